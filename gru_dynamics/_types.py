"""Array aliases used in every signature: jaxtyping shapes over whatever float dtype the user runs in."""

from collections.abc import Callable
from typing import Any, TypeAlias

from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Bool, Complex, Float, Inexact, Int, Key, Shaped

Scalar: TypeAlias = Float[Array, ""]
Activation: TypeAlias = Callable[[Array], Array]
PRNGKey: TypeAlias = Key[Array, ""]
ArrayTree: TypeAlias = Any
Bounds: TypeAlias = tuple[Float[Array, " n"], Float[Array, " n"]]

__all__ = [
    "Activation",
    "Array",
    "ArrayLike",
    "ArrayTree",
    "Bool",
    "Bounds",
    "Complex",
    "DTypeLike",
    "Float",
    "Inexact",
    "Int",
    "Key",
    "PRNGKey",
    "Scalar",
    "Shaped",
]
