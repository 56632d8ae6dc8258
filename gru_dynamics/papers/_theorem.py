"""What a theorem says beside what is measured."""

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, Float, Scalar


class Equality(eqx.Module):
    """A formula beside the value it is for.

    **Fields**, of one shape `(...)`: `claimed`, by the formula; `measured`, by autodiff or by definition.

    **Source:** none; a record.
    """

    claimed: Float[Array, "*shape"]
    measured: Float[Array, "*shape"]

    @property
    def error(self) -> Scalar:
        """Largest absolute difference, `()`."""
        return jnp.max(jnp.abs(self.claimed - self.measured))


class Inequality(eqx.Module):
    """A bound beside what it bounds, `measured <= bound`, or `measured >= bound` for a `lower` bound.

    **Fields:** `bound`, `measured`, of one shape `(...)`; `lower`, static.

    **Source:** none; a record.
    """

    bound: Float[Array, "*shape"]
    measured: Float[Array, "*shape"]
    lower: bool = eqx.field(static=True, default=False)

    @property
    def excess(self) -> Scalar:
        """By how much the bound is violated, `()`; at most 0, up to rounding, where it holds."""
        excess = self.bound - self.measured if self.lower else self.measured - self.bound
        return jnp.max(excess)
