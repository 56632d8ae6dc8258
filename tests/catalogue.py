"""Every kind of cell and system that a test should hold for, as lists of `(name, factory)`.

    @each("make", CELLS)
    def test_something(make):
        cell = draw(make)

Cell factories take `(input_size, key)`, system factories take nothing; `draw` is the cheap way to a random cell. All
are defined once at module level, so that they can be keys of a cache, and give small shapes, since compilation
dominates the time of a test. `KNOWN_POINTS` lists systems whose fixed points are known in closed form.
"""

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import pytest
from hypothesis import settings

from gru_dynamics.cells import AbstractCell, ElmanCell, GRUCell, LSTMCell, StackedCell
from gru_dynamics.systems import AbstractSystem, CellFlow, CellMap, library

HIDDEN_SIZE = 3
INPUT_SIZE = 2
INPUT_SIZES = (0, 1, 2)

CellFactory = Callable[[int, Any], AbstractCell]
SystemFactory = Callable[[], AbstractSystem]


def each(argument: str, catalogue: Sequence[tuple]) -> pytest.MarkDecorator:
    """Parametrize over a catalogue: `argument` takes the factory, the name becomes the id of the test."""
    return pytest.mark.parametrize(argument, [entry[1] for entry in catalogue], ids=[entry[0] for entry in catalogue])


def named(catalogue: Sequence[tuple], *names: str) -> list[tuple]:
    """The entries of a catalogue with these names; a name that is missing is an error."""
    table = {entry[0]: entry for entry in catalogue}
    return [table[name] for name in names]


# Cells -------------------------------------------------------------------------------------------


def _gru(input_size: int, key: Any, **options: Any) -> GRUCell:
    return GRUCell(input_size, HIDDEN_SIZE, key=key, **options)


def _elman(input_size: int, key: Any, **options: Any) -> ElmanCell:
    return ElmanCell(input_size, HIDDEN_SIZE, key=key, **options)


def _lstm(input_size: int, key: Any, **options: Any) -> LSTMCell:
    return LSTMCell(input_size, HIDDEN_SIZE, key=key, **options)


def _gru_gru(input_size: int, key: Any) -> StackedCell:
    below, above = jr.split(key)
    return StackedCell([GRUCell(input_size, 2, key=below), GRUCell(2, 3, reset="after", key=above)])


def _lstm_gru_elman(input_size: int, key: Any) -> StackedCell:
    first, second, third = jr.split(key, 3)
    layers = (LSTMCell(input_size, 2, key=first), GRUCell(2, 2, key=second), ElmanCell(2, 1, leak=0.4, key=third))
    return StackedCell(layers)


GRUS: list[tuple[str, CellFactory]] = [
    (f"gru-{reset}{'' if use_bias else '-nobias'}", functools.partial(_gru, reset=reset, use_bias=use_bias))
    for reset, use_bias in itertools.product(("before", "after", None), (True, False))
]

# A saturating activation bounds the state; softplus does not.
UNBOUNDED_CELLS: list[tuple[str, CellFactory]] = [
    ("elman-softplus", functools.partial(_elman, activation=jax.nn.softplus, leak=0.5)),
]
ELMANS: list[tuple[str, CellFactory]] = [
    ("elman-tanh", _elman),
    ("elman-leaky", functools.partial(_elman, leak=np.array([0.2, 0.5, 0.9]))),
    ("elman-sigmoid", functools.partial(_elman, activation=jax.nn.sigmoid, leak=0.5)),
    *UNBOUNDED_CELLS,
]
LSTMS: list[tuple[str, CellFactory]] = [("lstm", _lstm), ("lstm-nobias", functools.partial(_lstm, use_bias=False))]
STACKS: list[tuple[str, CellFactory]] = [("stack-gru-gru", _gru_gru), ("stack-lstm-gru-elman", _lstm_gru_elman)]

GATED_CELLS = GRUS + ELMANS
SINGLE_LAYERS = GATED_CELLS + LSTMS
CELLS = SINGLE_LAYERS + STACKS
BOUNDED_CELLS = [entry for entry in CELLS if entry not in UNBOUNDED_CELLS]

# Four structures that stand for all others where a test is expensive.
REPRESENTATIVE_CELLS = named(CELLS, "gru-before", "gru-after", "lstm", "stack-lstm-gru-elman")


@functools.cache
def _template(make: CellFactory, input_size: int) -> AbstractCell:
    return make(input_size, jr.key(0))


def draw(
    make: CellFactory, seed: int = 0, *, gain: float = 1.0, excite: float = 0.0, input_size: int = INPUT_SIZE
) -> AbstractCell:
    """A cell of the catalogue with all weights and biases uniform on `[-g, g]`, `g = gain / sqrt(HIDDEN_SIZE)`.

    `excite` is added to the diagonal of the recurrent matrices of the candidate: about 3 makes units bistable, so that
    the cell has many fixed points. Drawn by NumPy, which compiles nothing; a leak keeps its value.
    """
    rng = np.random.default_rng(seed)
    limit = gain / HIDDEN_SIZE**0.5

    def fill(path: Any, leaf: Any) -> Any:
        name = path[-1].name
        if name == "leak":
            return leaf
        extra = excite * np.eye(len(leaf)) if name in ("U", "U_c", "U_g") else 0.0
        return jnp.asarray(rng.uniform(-limit, limit, leaf.shape) + extra)

    return jax.tree_util.tree_map_with_path(fill, _template(make, input_size))


# Systems -----------------------------------------------------------------------------------------


def _cell_map(make: CellFactory) -> CellMap:
    return CellMap(draw(make), np.array([0.3, -0.7]))


def _cell_flow(make: CellFactory) -> CellFlow:
    return CellFlow(draw(make), np.array([0.3, -0.7]), tau=2.5)


CELL_MAPS: list[tuple[str, SystemFactory]] = [(f"map-{n}", functools.partial(_cell_map, make)) for n, make in CELLS]
CELL_FLOWS: list[tuple[str, SystemFactory]] = [(f"flow-{n}", functools.partial(_cell_flow, make)) for n, make in CELLS]

LIBRARY_MAPS: list[tuple[str, SystemFactory]] = [
    ("henon", library.henon),
    ("logistic", library.logistic),
    ("delayed-logistic", library.delayed_logistic),
    ("decoupled-tanh", functools.partial(library.decoupled_tanh, 2)),
    ("product-gru", functools.partial(library.product_gru, 2, key=jr.key(3))),
    ("tanh-rotation-map", library.tanh_rotation_map),
    ("constant-gate-unit", library.constant_gate_unit),
]
LIBRARY_FLOWS: list[tuple[str, SystemFactory]] = [
    ("lorenz", library.lorenz),
    ("van-der-pol", library.van_der_pol),
    ("brusselator", library.brusselator),
    ("fitzhugh-nagumo", library.fitzhugh_nagumo),
    ("hopf-normal-form", library.hopf_normal_form),
    ("cusp-normal-form", library.cusp_normal_form),
    ("decoupled-cubic", library.decoupled_cubic),
    ("lure", library.lure),
    ("bautin-normal-form", library.bautin_normal_form),
    ("multiplicity", library.multiplicity),
    ("bratu", library.bratu),
    ("tanh-rotation-flow", library.tanh_rotation_flow),
    ("rotated-copies", functools.partial(library.rotated_copies, (1.0, 0.8))),
    ("tanh-unit", library.tanh_unit),
    ("jordan-rotation", functools.partial(library.jordan_rotation, 0.9)),
    ("jordan-case", functools.partial(library.jordan, "table3:vi")),
]
LIBRARY = LIBRARY_MAPS + LIBRARY_FLOWS
SYSTEMS = CELL_MAPS + CELL_FLOWS + LIBRARY

# State dimension of the library's systems, which function systems without a box do not know.
DIMENSIONS = {
    "henon": 2,
    "logistic": 1,
    "delayed-logistic": 2,
    "decoupled-tanh": 2,
    "product-gru": 2,
    "tanh-rotation-map": 2,
    "constant-gate-unit": 1,
    "lorenz": 3,
    "van-der-pol": 2,
    "brusselator": 2,
    "fitzhugh-nagumo": 2,
    "hopf-normal-form": 2,
    "cusp-normal-form": 1,
    "decoupled-cubic": 3,
    "lure": 3,
    "bautin-normal-form": 2,
    "multiplicity": 15,
    "bratu": 15,
    "tanh-rotation-flow": 2,
    "rotated-copies": 4,
    "tanh-unit": 1,
    "jordan-rotation": 2,
    "jordan-case": 2,
}


# Fixed points in closed form ---------------------------------------------------------------------

TANH_2 = 0.9575040240772688  # the positive root of h = tanh(2 h)
TANH_3 = 0.9949015284526  # of h = tanh(3 h)


class KnownPoints(NamedTuple):
    """A system with all its fixed points `states (N, S)` and the number of unstable directions `unstable (N,)`."""

    make: SystemFactory
    states: np.ndarray
    unstable: np.ndarray


def _grid(value: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Every vector of `{-value, 0, value}^n`; each zero coordinate is one unstable direction."""
    states = np.array(list(itertools.product((-value, 0.0, value), repeat=n)))
    return states, np.sum(states == 0, axis=1)


def _quadratic(a: float, b: float, c: float) -> tuple[float, float]:
    root = math.sqrt(b * b - 4 * a * c)
    return (-b + root) / (2 * a), (-b - root) / (2 * a)


_HENON = np.array([[x, 0.3 * x] for x in _quadratic(1.4, 0.7, -1.0)])  # x = 1 - 1.4 x^2 + 0.3 x
_WING = math.sqrt(8 / 3 * 27)

KNOWN_POINTS: list[tuple[str, KnownPoints]] = [
    ("henon", KnownPoints(library.henon, _HENON, np.array([1, 1]))),
    # multipliers r = 3.2 at 0 and 2 - r = -1.2 at 1 - 1/r
    ("logistic", KnownPoints(library.logistic, np.array([[0.0], [1 - 1 / 3.2]]), np.array([1, 1]))),
    # at (1 - 1/r, same): m^2 - m + (r - 1) = 0, |m|^2 = r - 1 = 0.9
    (
        "delayed-logistic",
        KnownPoints(library.delayed_logistic, np.array([[0.0, 0.0], [1 - 1 / 1.9] * 2]), np.array([1, 0])),
    ),
    # rho = 28 is above the origin's pitchfork at 1 and the wings' Hopf at 470/19
    (
        "lorenz",
        KnownPoints(
            library.lorenz,
            np.array([[0.0, 0.0, 0.0], [_WING, _WING, 27.0], [-_WING, -_WING, 27.0]]),
            np.array([1, 2, 2]),
        ),
    ),
    ("van-der-pol", KnownPoints(library.van_der_pol, np.array([[0.0, 0.0]]), np.array([2]))),
    ("brusselator", KnownPoints(library.brusselator, np.array([[1.0, 1.5]]), np.array([0]))),
    ("hopf-normal-form", KnownPoints(library.hopf_normal_form, np.array([[0.0, 0.0]]), np.array([2]))),
    ("cusp-normal-form", KnownPoints(library.cusp_normal_form, *_grid(1.0, 1))),
    ("decoupled-cubic", KnownPoints(library.decoupled_cubic, *_grid(1.0, 3))),
    ("decoupled-tanh", KnownPoints(functools.partial(library.decoupled_tanh, 2), *_grid(TANH_2, 2))),
    ("product-gru", KnownPoints(functools.partial(library.product_gru, 2, key=jr.key(3)), *_grid(TANH_2, 2))),
    (
        "product-gru-6",
        KnownPoints(functools.partial(library.product_gru, 2, weight=6.0, key=jr.key(4)), *_grid(TANH_3, 2)),
    ),
]


# Helpers of tests --------------------------------------------------------------------------------

# For hypothesis tests: the same examples in every run, no time limit (an example may compile), nothing left on disk.
PROPERTY = settings(max_examples=25, deadline=None, derandomize=True, database=None)


@contextlib.contextmanager
def without_type_checks() -> Iterator[None]:
    """The package as a user runs it; the runtime shape checks of the test run would speak before our own errors do."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


@eqx.filter_jit
def residual_and_jacobian(system: AbstractSystem, resting: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Residual `(R,)` and its Jacobian by autodiff `(R, R)`; one compilation for all systems of one structure."""
    return system.residual(resting), jax.jacfwd(system.residual)(resting)


def polish(system: AbstractSystem, resting: Any, steps: int = 30) -> np.ndarray:
    """Root of the residual near `resting` by Newton's method in NumPy, an oracle apart from the library's solvers."""
    state = np.asarray(resting, float)
    for _ in range(steps):
        value, slope = residual_and_jacobian(system, jnp.asarray(state))
        state = state - np.linalg.solve(np.asarray(slope), np.asarray(value))
    return state
