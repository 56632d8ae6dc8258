"""Matrix products of an analysis are never rounded to TF32, whatever the cell itself asks for."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
T = TypeVar("T")


def highest_precision(function: Callable[P, T]) -> Callable[P, T]:
    """`function` with `Precision.HIGHEST` as the default of all matrix products traced inside it."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return wrapped
