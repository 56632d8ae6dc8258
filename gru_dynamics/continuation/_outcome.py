"""How a branch came out, in the words of `RESULTS`."""

import jax.numpy as jnp
from jax.core import Tracer

from .._results import RESULTS, raise_failure
from .._types import Array, Bool, Int
from ._kinds import End


def outcome(end: Int[Array, " 2"], overflow: Bool[Array, ""]) -> RESULTS:
    """The worst of why both ends ended and whether special points were lost."""
    result = RESULTS.where(jnp.any(end == End.STEPS), RESULTS.steps_spent, RESULTS.successful)
    result = RESULTS.where(overflow, RESULTS.special_points_overflow, result)
    result = RESULTS.where(jnp.any(end == End.STUCK), RESULTS.step_too_small, result)
    return RESULTS.where(jnp.any(end == End.NONFINITE), RESULTS.nonfinite_branch, result)


def is_one_of(result: RESULTS, failures: tuple[RESULTS, ...]) -> Bool[Array, "*batch"]:
    """Whether a result is among the given ones."""
    return jnp.any(jnp.stack([result == failure for failure in failures]), axis=0)


def raise_at_start(where: str, result: RESULTS, failures: tuple[RESULTS, ...]) -> None:
    """`RuntimeError` when there is no branch at all; nothing inside `jax.jit` and for a batch."""
    hit = is_one_of(result, failures)
    if not isinstance(hit, Tracer) and hit.ndim == 0 and bool(hit):
        raise_failure(where, result)
