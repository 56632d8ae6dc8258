"""The ways to carry an orthogonal matrix from one step to the next, each a small object.

`pull` takes the gradient to the skew matrix, `advance` moves the matrix by what the inner optimiser made of it.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, Bool, Inexact
from ..linalg import (
    adjoint,
    cayley_gradient,
    cayley_inverse,
    eye_like,
    hyperpower_step,
    inverse_residual,
    neumann_step,
    product,
    skew_part,
)
from ._orthogonal_state import OrthogonalLeaf, certify, frobenius, invert_where


class AbstractMode(eqx.Module):
    """One way to update `W = (I + A)^-1 (I - A) D`. All methods take batches `(..., n, n)` and are pure."""

    @abc.abstractmethod
    def start(self, leaf: OrthogonalLeaf) -> OrthogonalLeaf:
        """Add what the mode keeps besides W, A and D."""

    @abc.abstractmethod
    def pull(self, leaf: OrthogonalLeaf, gradient: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
        """The gradient in A, exactly skew, of a loss with this `gradient` in W."""

    @abc.abstractmethod
    def advance(
        self,
        leaf: OrthogonalLeaf,
        update: Inexact[Array, "... n n"],
        pulled: Inexact[Array, "... n n"],
        reset: Bool[Array, ""],
    ) -> OrthogonalLeaf:
        """Add `update`, what the inner optimiser made of the gradient `pulled`, to A; with `reset`, invert anew."""


class ClosedLoop(AbstractMode):
    """Correct the inverse by its own measured residual, or by LU if `order` is None; then polar steps until W is
    orthogonal to `tol`.

    What one step leaves, the next one measures, so errors do not add up. Order 2 and one polar step are 10 n^3
    operations.
    """

    order: int | None = eqx.field(static=True)
    tol: float = eqx.field(static=True)

    def start(self, leaf: OrthogonalLeaf) -> OrthogonalLeaf:
        return leaf

    def pull(self, leaf: OrthogonalLeaf, gradient: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
        return cayley_gradient(_implied_inverse(leaf), leaf.matrix, gradient, leaf.signs)

    def advance(
        self,
        leaf: OrthogonalLeaf,
        update: Inexact[Array, "... n n"],
        pulled: Inexact[Array, "... n n"],
        reset: Bool[Array, ""],
    ) -> OrthogonalLeaf:
        skew = leaf.skew + update
        if self.order is None:
            inverse = cayley_inverse(skew)
        else:
            inverse, _ = hyperpower_step(_implied_inverse(leaf), skew, self.order)
        identity = eye_like(skew)
        rotation, residual, anew = certify(2 * inverse - identity, skew, identity, self.tol, reset)
        return leaf._replace(
            skew=skew,
            matrix=rotation * leaf.signs[..., None, :],
            residual=residual,
            refactorisations=leaf.refactorisations + anew.astype(jnp.int32),
        )


class Rebased(AbstractMode):
    """Take W itself as the base at every step, so that A is zero there: `W <- retraction(W, d)`, then polar steps.

    No inverse, no D, and no eigenvalue -1 to stay away from; the momentum of the inner optimiser refers to the base,
    which moves.
    """

    retraction: Callable[[Array, Array], Array] = eqx.field(static=True)
    tol: float = eqx.field(static=True)

    def start(self, leaf: OrthogonalLeaf) -> OrthogonalLeaf:
        return leaf._replace(skew=jnp.zeros_like(leaf.skew))

    def pull(self, leaf: OrthogonalLeaf, gradient: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
        return 4 * skew_part(product(leaf.matrix, adjoint(gradient)))

    def advance(
        self,
        leaf: OrthogonalLeaf,
        update: Inexact[Array, "... n n"],
        pulled: Inexact[Array, "... n n"],
        reset: Bool[Array, ""],
    ) -> OrthogonalLeaf:
        moved = self.retraction(leaf.matrix, -update)
        matrix, residual, anew = certify(moved, update, leaf.matrix, self.tol, reset)
        return leaf._replace(
            matrix=matrix, residual=residual, refactorisations=leaf.refactorisations + anew.astype(jnp.int32)
        )


class OpenLoop(AbstractMode):
    """A Neumann series from the inverse of the last step, as published; its errors stay until a reset.

    With a `learning_rate` the series follows `learning_rate * gradient`, while A takes the step of the inner optimiser:
    the inverse then belongs to another matrix. This is what the released programs of the paper do.
    """

    order: int = eqx.field(static=True)
    tol: float | None = eqx.field(static=True)
    learning_rate: float | None = eqx.field(static=True)

    def start(self, leaf: OrthogonalLeaf) -> OrthogonalLeaf:
        return leaf._replace(inverse=cayley_inverse(leaf.skew))

    def pull(self, leaf: OrthogonalLeaf, gradient: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
        return cayley_gradient(_kept_inverse(leaf), leaf.matrix, gradient, leaf.signs)

    def advance(
        self,
        leaf: OrthogonalLeaf,
        update: Inexact[Array, "... n n"],
        pulled: Inexact[Array, "... n n"],
        reset: Bool[Array, ""],
    ) -> OrthogonalLeaf:
        change = -update if self.learning_rate is None else self.learning_rate * pulled
        skew = leaf.skew + update
        inverse = neumann_step(_kept_inverse(leaf), change, self.order)
        misfit = frobenius(inverse_residual(inverse, skew))
        lost = jnp.zeros_like(misfit, bool) if self.tol is None else ~(misfit <= self.tol)
        inverse = invert_where(reset | lost, skew, inverse)
        # X (I - A), the product as printed; for an exact X it is 2 X - I.
        rotation = inverse - product(inverse, skew)
        return OrthogonalLeaf(
            skew=skew,
            inverse=inverse,
            matrix=rotation * leaf.signs[..., None, :],
            signs=leaf.signs,
            residual=frobenius(rotation + eye_like(skew) - 2 * inverse),
            refactorisations=leaf.refactorisations + jnp.any(lost).astype(jnp.int32),
        )


def _implied_inverse(leaf: OrthogonalLeaf) -> Array:
    return (leaf.matrix * leaf.signs[..., None, :] + eye_like(leaf.matrix)) / 2


def _kept_inverse(leaf: OrthogonalLeaf) -> Array:
    assert leaf.inverse is not None
    return leaf.inverse
