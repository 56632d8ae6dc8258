"""An order for computations that XLA would run at the same time."""

import jax.numpy as jnp

from .._types import Array, Inexact


def run_after(value: Inexact[Array, "*shape"], other: Inexact[Array, "..."]) -> Inexact[Array, "*shape"]:
    """`value` unchanged, but not known before `other` is.

    On CPU a batched LAPACK call waits in one thread of XLA's pool for the others: as many of them at a time as there
    are threads wait for ever. Where two are independent, the second is made to need the first.

    **Returns:** `value`, its shape and numbers.

    **Source:** none; `jax.lax.optimization_barrier` is removed on CPU before the order matters.
    """
    first = other.ravel()[:1].real
    # Never true, which XLA does not see.
    never = jnp.any(jnp.isnan(first) & jnp.isinf(first))
    return jnp.where(never, -value, value)
