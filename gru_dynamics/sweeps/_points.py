"""Which parameters a sweep visits."""

import abc
import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np


class AbstractPoints(eqx.Module):
    """The parameter points of a sweep, numbered from 0: `rows(start, stop)` are points `(stop - start, P)`.

    **Fields:** `names` of the P parameters; `num`, how many points there are.

    **Shapes:** each point is a row of shape `(P,)`.

    **Source:** the interface that a block needs, and no more.
    """

    names: eqx.AbstractVar[tuple[str, ...]]
    num: eqx.AbstractVar[int]

    @abc.abstractmethod
    def rows(self, start: int, stop: int) -> np.ndarray:
        """Points `start` to `stop - 1`, shape `(stop - start, P)`, in float64; the same whoever asks."""


class Axis(NamedTuple):
    """`num` values from `lower` to `upper`, both included."""

    name: str
    lower: float
    upper: float
    num: int


class Grid(AbstractPoints):
    """All combinations of evenly spaced values; the last axis varies fastest.

    **Fields:** `axes`, a tuple of `(name, lower, upper, num)`; `names`; `num`, of all points. Made from a mapping
    `name -> (lower, upper, num)`. The ends are included.

    **Shapes:** as many points as the product of the `num`, each `(P,)`.

    **Raises:** `ValueError` for no axis, `num` below 1, or ends that are not finite.

    **Source:** a full factorial design.
    """

    axes: tuple[Axis, ...]
    names: tuple[str, ...]
    num: int

    def __init__(self, axes: Mapping[str, tuple[float | int, float | int, int]]):
        _check_names(tuple(axes))
        for name, (lower, upper, num) in axes.items():
            _check_range(name, lower, upper)
            if num < 1:
                raise ValueError(f"Grid: {name} must have at least 1 value, got {num}")
        self.axes = tuple(Axis(name, float(low), float(up), int(num)) for name, (low, up, num) in axes.items())
        self.names = tuple(axes)
        self.num = int(np.prod(self.shape, dtype=np.int64))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values along each axis."""
        return tuple(axis.num for axis in self.axes)

    def rows(self, start: int, stop: int) -> np.ndarray:
        places = np.unravel_index(np.arange(start, stop), self.shape)
        values = [np.linspace(axis.lower, axis.upper, axis.num) for axis in self.axes]
        return np.stack([value[place] for value, place in zip(values, places, strict=True)], axis=1)


class Sobol(AbstractPoints):
    """Scrambled Sobol points in a box: they fill it evenly for any `num`, best for a power of two.

    **Fields:** `names`; `lower`, `upper`, the ends of each range, `(P,)`; `num`; `seed` of the scrambling. Made from a
    mapping `name -> (lower, upper)`.

    **Shapes:** `num` points, each `(P,)`.

    **Raises:** `ValueError` for no range, ends that are not finite, or `num` outside 1 to 2**30.

    **Source:** Sobol' (1967), Owen (1998), as in `scipy.stats.qmc`.
    """

    names: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    num: int
    seed: int

    def __init__(self, ranges: Mapping[str, tuple[float | int, float | int]], *, num: int, seed: int = 0):
        _check_names(tuple(ranges))
        for name, (lower, upper) in ranges.items():
            _check_range(name, lower, upper)
        if not 1 <= num <= 2**30:
            raise ValueError(f"Sobol: num must be 1 to 2**30, got {num}")
        self.names = tuple(ranges)
        self.lower = tuple(float(lower) for lower, _ in ranges.values())
        self.upper = tuple(float(upper) for _, upper in ranges.values())
        self.num, self.seed = int(num), int(seed)

    def rows(self, start: int, stop: int) -> np.ndarray:
        unit = _sobol(len(self.names), self.num, self.seed)[start:stop]
        lower, upper = np.array(self.lower), np.array(self.upper)
        return lower + (upper - lower) * unit


class ArrayPoints(AbstractPoints):
    """The given points as they are. A point may hold nan: its row will say so.

    **Fields:** `names`, one for each of the P columns; `num`; `points (num, P)`.

    **Raises:** `ValueError` when the columns are not as many as the names.

    **Source:** none; the identity.
    """

    names: tuple[str, ...]
    num: int
    points: np.ndarray

    def __init__(self, names: Sequence[str], points: Any):
        array = np.array(points, dtype=np.float64)
        if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != len(names):
            raise ValueError(f"ArrayPoints: points must have shape (num, {len(names)}) with num > 0, got {array.shape}")
        _check_names(tuple(names))
        self.names, self.num, self.points = tuple(names), len(array), array

    def rows(self, start: int, stop: int) -> np.ndarray:
        return self.points[start:stop]


@functools.lru_cache(maxsize=1)
def _sobol(dims: int, num: int, seed: int) -> np.ndarray:
    from scipy.stats import qmc  # a quarter of a second, for those who sweep such points only

    with warnings.catch_warnings():
        # A length that is no power of two is the user's choice.
        warnings.simplefilter("ignore", UserWarning)
        return qmc.Sobol(dims, scramble=True, rng=np.random.default_rng(seed)).random(num)


def _check_names(names: tuple[str, ...]) -> None:
    if not names or len(set(names)) != len(names) or not all(names):
        raise ValueError(f"the parameters of a sweep must have distinct names, got {names}")


def _check_range(name: str, lower: Any, upper: Any) -> None:
    if not (np.isfinite(lower) and np.isfinite(upper)):
        raise ValueError(f"the range of {name} must be finite, got {lower} to {upper}")
