"""A printed statement as something that can be tried, and the search for a case that breaks it.

A statement says `left <= right` for every case that meets its hypotheses; an equality says that the largest difference
is at most 0. Cases are drawn from normal numbers. The case that breaks it most is rounded to as few digits as still
break it, so that it can be printed, and checked by hand or by another program.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, PRNGKey
from ._theorem import Equality, Inequality

Case = dict[str, Array]
# A statement is broken, and survives, by these shares of `1 + |right|`: far above and at the level of rounding.
BROKEN, ROUNDING = 1e-3, 1e-9
# A case that breaks a statement by this share is clear enough; ascent: steps and their length.
_CLEAR, _SEARCHED, _STEPS, _LENGTH = 0.2, 20_000, 200, 0.05


class Sides(NamedTuple):
    """`left <= right` at one case, each `()`, and whether the case meets the hypotheses."""

    left: Array
    right: Array
    applies: Array | bool = True

    @property
    def excess(self) -> Array:
        """How far the statement is broken, relative to `1 + |right|`; -inf where nothing is claimed."""
        gap = (self.left - self.right) / (1 + jnp.abs(self.right))
        return jnp.where(self.applies, gap, -jnp.inf)


def equal(found: Equality) -> Sides:
    """That a formula gives what is measured."""
    return Sides(found.error, jnp.zeros_like(found.error))


def bound(found: Inequality) -> Sides:
    """That a bound holds in all its entries."""
    left, right = (found.bound, found.measured) if found.lower else (found.measured, found.bound)
    worst = jnp.argmax(left - right)
    return Sides(left.reshape(-1)[worst], right.reshape(-1)[worst])


class Claim(NamedTuple):
    """One statement of a paper.

    `name`, of the record and of its test; `paper` and `place`; `statement`, as printed; `verdict`, "holds", "holds when
    ..." or "false"; `corrected`, what holds. `size` normal numbers make a case by `build`; `printed` and `right` give
    the sides of both statements. The corrected one is tried on `num` cases, drawn by `wide` from `wide_size` numbers if
    given. `tolerance`: what its rounding may amount to. `when` turns a case into one that meets the condition of "holds
    when ...", where the printed statement must hold as well; without it `right` must cover the condition.
    """

    name: str
    paper: str
    place: str
    statement: str
    verdict: str
    corrected: str
    size: int
    build: Callable[[Array], Case]
    printed: Callable[[Case], Sides] | None
    right: Callable[[Case], Sides]
    num: int = 10_000
    wide: Callable[[Array], Case] | None = None
    wide_size: int = 0
    tolerance: float = ROUNDING
    when: Callable[[Case], Case] | None = None


class Reading(NamedTuple):
    """A statement that is settled by looking it up or by one computation: `find` gives the case, plain data, with the
    sides of the printed statement, `(data, left, right)`, and `right` the number of cases in which the corrected one
    was checked, with the largest excess."""

    name: str
    paper: str
    place: str
    statement: str
    verdict: str
    corrected: str
    find: Callable[[], tuple[Mapping[str, Any], float, float]]
    right: Callable[[], tuple[int, float]]
    tolerance: float = ROUNDING


class Erratum(NamedTuple):
    """What came out for one statement.

    **Fields**, plain values, no arrays of any shape: `name`, `paper`, `place`, `statement`, `verdict`, `corrected`;
    `counterexample`, names to numbers or nested lists of them, or `None`; `left`, `right`, the sides there; `broken`,
    the share of random cases that break it; `searched`, how many were tried; `found_by`, "random search", "gradient
    ascent" or "computation"; `survived`, cases in which the corrected statement was tried; `worst`, its largest
    relative excess there; `test`.

    **Source:** none; a record.
    """

    name: str
    paper: str
    place: str
    statement: str
    verdict: str
    corrected: str
    counterexample: Mapping[str, Any] | None
    left: float | None
    right: float | None
    broken: float | None
    searched: int
    found_by: str | None
    survived: int
    worst: float
    test: str

    @property
    def settled(self) -> bool:
        """Whether the verdict is borne out: a counterexample unless it holds, and no exception to the corrected one."""
        return self.survived > 0 and (self.verdict == "holds") == (self.counterexample is None)


def normals(key: PRNGKey) -> np.ndarray:
    """Enough normal numbers for every statement, drawn at once."""
    return np.asarray(jax.random.normal(key, (4_000_000,), jnp.float64))


def settle(claim: Claim | Reading, draw: np.ndarray) -> Erratum:
    """Search for a counterexample and try the corrected statement.

    **Raises:** `ArithmeticError` when a statement said to be false is not broken, or a corrected one is.
    """
    test = f"tests/test_papers_errata.py::test_counterexample[{claim.name}]"
    record = functools.partial(Erratum, *claim[:6], test=test)
    if isinstance(claim, Reading):
        data, left, right = claim.find()
        survived, worst = claim.right()
        _check(claim, survived, worst)
        holds = claim.verdict == "holds"
        found = None if holds else data
        return record(found, left, right, None, 1, None if holds else "computation", survived, worst)
    # One program for both statements where they are tried on the same cases.
    alone = claim.wide is not None
    num = min(claim.num, _SEARCHED) if alone else claim.num
    cases = _cases(draw, num, claim.build, claim.size)
    both = jax.jit(jax.vmap(functools.partial(_both, claim, alone)))
    printed, right, conditional = both(cases)
    if claim.wide is not None:
        right = jax.jit(jax.vmap(claim.right))(_cases(draw, claim.num, claim.wide, claim.wide_size))
    survived, worst = _worst(right)
    if conditional is not None:
        worst = max(worst, _worst(conditional)[1])
    _check(claim, survived, worst)
    if printed is None:
        return record(None, None, None, None, 0, None, survived, worst)
    numbers = draw[: num * claim.size].reshape(num, claim.size)
    excess = np.nan_to_num(np.asarray(printed.excess), nan=-np.inf, posinf=-np.inf)
    case, how = _clearest(claim, cases, numbers, excess)
    data, sides = _rounded(claim, case, lambda cases: both(cases)[0], num)
    share = float(np.mean(excess > BROKEN))
    return record(data, float(sides.left), float(sides.right), share, num, how, survived, worst)


def _both(claim: Claim, alone: bool, case: Case) -> tuple[Sides | None, Sides | None, Sides | None]:
    """The printed statement, the corrected one, and the printed one under its condition."""
    printed, right = claim.printed, None if alone else claim.right(case)
    if printed is None:
        return None, right, None
    return printed(case), right, None if claim.when is None else printed(claim.when(case))


def _check(claim: Claim | Reading, survived: int, worst: float) -> None:
    if not worst <= claim.tolerance or survived == 0:
        raise ArithmeticError(f"{claim.name}: the corrected statement fails, by {worst:.3g} in {survived} cases")


def _cases(draw: np.ndarray, num: int, build: Callable[[Array], Case], size: int) -> Case:
    return jax.jit(jax.vmap(build))(jnp.asarray(draw[: num * size].reshape(num, size)))


def _worst(sides: Sides) -> tuple[int, float]:
    """Cases that meet the hypotheses, and the largest excess; what is nan is not known to hold."""
    excess = np.asarray(sides.excess)
    worst = np.inf if np.isnan(excess).any() else float(excess.max())
    return int(np.sum(~np.isneginf(excess))), worst


def _clearest(claim: Claim, cases: Case, numbers: np.ndarray, excess: np.ndarray) -> tuple[Case, str]:
    """The smallest of the cases that break the statement clearly."""
    top = int(np.argmax(excess))
    printed = claim.printed
    assert printed is not None
    if excess[top] < BROKEN:
        uphill = _ascend(lambda v: printed(claim.build(v)).excess, jnp.asarray(numbers[top]))
        return claim.build(uphill), "gradient ascent"
    clear = excess >= min(_CLEAR, 0.5 * excess[top])
    smallest = int(np.argmin(np.where(clear, np.sum(numbers**2, axis=1), np.inf)))
    return jax.tree.map(lambda leaf: leaf[smallest], cases), "random search"


def _rounded(claim: Claim, case: Case, printed: Callable[[Case], Sides], num: int) -> tuple[dict[str, Any], Sides]:
    """The case with as few digits as still break the statement, and the sides there."""
    roundings = [{name: np.round(np.asarray(x), digits) + 0.0 for name, x in case.items()} for digits in range(16)]
    # In a batch of the same size, so that nothing is compiled again.
    rows = np.minimum(np.arange(num), len(roundings) - 1)
    sides = printed({name: jnp.asarray(np.stack([one[name] for one in roundings])[rows]) for name in case})
    broken = np.asarray(sides.excess)[: len(roundings)] > 10 * BROKEN
    if not broken.any():
        raise ArithmeticError(f"{claim.name}: no counterexample was found among {num} cases")
    best = int(np.argmax(broken))
    data = {name: value.tolist() for name, value in roundings[best].items()}
    return data, jax.tree.map(lambda leaf: leaf[best], sides)


def _ascend(excess: Callable[[Array], Array], start: Array) -> Array:
    """Uphill along the normalised gradient; the best point on the way."""

    @jax.jit
    def climb(start: Array) -> Array:
        def move(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
            here, best, top = carry
            value, slope = jax.value_and_grad(excess)(here)
            better = value > top
            best, top = jnp.where(better, here, best), jnp.where(better, value, top)
            slope = jnp.nan_to_num(slope)
            return (here + _LENGTH * slope / (jnp.linalg.norm(slope) + 1e-12), best, top), None

        first = start, start, jnp.asarray(-jnp.inf, start.dtype)
        return jax.lax.scan(move, first, None, length=_STEPS)[0][1]

    return climb(start)
