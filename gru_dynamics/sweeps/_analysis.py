"""What a sweep measures at each point."""

import abc
import enum
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, PRNGKey
from ..fixed_points import Completeness, Kind, UniformGuesses, enumerate_fixed_points, find_fixed_points
from ..systems import AbstractSystem

_KINDS = (("sinks", Kind.SINK), ("saddles", Kind.SADDLE), ("sources", Kind.SOURCE))


class AbstractAnalysis(eqx.Module):
    """What is measured for one system. The sweep calls `columns` under `jax.vmap` and `jax.jit`, so it must be pure;
    each value it returns, of shape `()`, becomes a column of the table.

    `status` is asked for: a `RESULTS` item, written as its name, `"successful"` or the reason why not.

    **Source:** equation, method and result apart, as in diffrax.
    """

    @abc.abstractmethod
    def columns(self, system: AbstractSystem, key: PRNGKey) -> dict[str, Any]:
        """Name -> value of shape `()`."""

    @property
    @abc.abstractmethod
    def codes(self) -> Mapping[str, type[enum.IntEnum]]:
        """Columns that hold codes, which are written as lower-case names."""


class Search(AbstractAnalysis):
    """Fixed points by `find_fixed_points` from uniform guesses, the same guesses for all systems.

    Columns: `count`, `num_sinks`, `num_saddles`, `num_sources`, `num_degenerate`, `index_sum`, `complete`
    (`"consistent"` when the indices sum to +1, `"incomplete"`, or `"unknown"` without a trapping box), `status`.

    **Fields:** `num_guesses` for each system; `max_points`, room for fixed points of one system; `lower`, `upper`, the
    box of the guesses, numbers or tuples of R numbers, by default the trapping box.

    **Shapes:** each column has one value, `()`, per system.

    **Source:** as `find_fixed_points`.
    """

    num_guesses: int = 64
    max_points: int = 32
    lower: float | tuple[float, ...] | None = None
    upper: float | tuple[float, ...] | None = None

    def columns(self, system: AbstractSystem, key: PRNGKey) -> dict[str, Any]:
        lower, upper = (None if end is None else jnp.asarray(end) for end in (self.lower, self.upper))
        guesses = UniformGuesses(lower, upper, num=self.num_guesses)
        points = find_fixed_points(system, guesses, key=key, max_points=self.max_points, throw=False)
        return {
            "count": points.count.astype(jnp.int32),
            **{f"num_{name}": _number(points.kind == kind) for name, kind in _KINDS},
            "num_degenerate": _number(points.kind == Kind.DEGENERATE),
            "index_sum": points.index_sum.astype(jnp.int32),
            "complete": points.complete,
            "status": points.result,
        }

    @property
    def codes(self) -> Mapping[str, type[enum.IntEnum]]:
        return {"complete": Completeness}


class Enumerate(AbstractAnalysis):
    """Every fixed point with proof, by `enumerate_fixed_points`; for networks of up to about 8 units.

    Columns: `count_lower` and `count_upper`, what is proven of the number of fixed points (2**31 - 1 without an upper
    bound); `num_sinks`, `num_saddles`, `num_sources`, of proven kind; `num_unclear`, proven points whose kind is not;
    `num_clusters`, undecided places; `boxes` looked at; `complete`, `"certified"` when the count is proven, else
    `"incomplete"`; `status`.

    **Fields:** `max_boxes` for each system; `min_width` of a box that is still halved; `max_points`, room for fixed
    points of one system.

    **Shapes:** each column has one value, `()`, per system.

    **Source:** as `enumerate_fixed_points`.
    """

    max_boxes: int = 100_000
    min_width: float = 1e-6
    max_points: int = 32

    def columns(self, system: AbstractSystem, key: PRNGKey) -> dict[str, Any]:
        found = enumerate_fixed_points(
            system, max_boxes=self.max_boxes, min_width=self.min_width, max_points=self.max_points, throw=False
        )
        clear = found.mask & found.kind_proven
        return {
            "count_lower": found.count[0],
            "count_upper": found.count[1],
            **{f"num_{name}": _number(clear & (found.kind == kind)) for name, kind in _KINDS},
            "num_unclear": _number(found.mask & ~found.kind_proven),
            "num_clusters": found.num_clusters,
            "boxes": found.num_boxes,
            "complete": found.complete,
            "status": found.result,
        }

    @property
    def codes(self) -> Mapping[str, type[enum.IntEnum]]:
        return {"complete": Completeness}


def _number(flags: Array) -> Array:
    return jnp.sum(flags, dtype=jnp.int32)
