"""The linear algebra of one correction for systems too large for matrices."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from .._types import Array, Complex, Float, Scalar
from ..fixed_points._linear import sort_spectrum
from ..linalg._arnoldi import leading_eigenvalues
from ..systems import AbstractMap, AbstractSystem
from ._curve import AbstractCurve
from ._solver import AbstractLinearSolver, Correction


class Krylov(AbstractLinearSolver):
    """Products with the Jacobian only, no matrix: GMRES for the bordered systems, and the leading eigenvalues by the
    Krylov-Schur method.

        [P A; row] delta = [-P F; gap]

    The whole bordered system is solved at once, so folds are no obstacle. The sign of its determinant is not known:
    branch points are those where a real eigenvalue crosses and the branch does not turn. Special points are found by
    bisection along the branch, which needs nothing else, and have no normal form.

    **Fields:**

    - `rtol ()`: relative residual of GMRES. `restart`, `max_steps`: dimension of its space, and products in all.
    - `num_eigenvalues` k: how many are computed; the list must hold more than become unstable.
    - `dimension`, `eigenvalue_rtol ()`, `max_restarts`: of the Krylov-Schur method.
    - `preconditioner`: linear function `(R,) -> (R,)` near the inverse of `dF/dx`, a module-level function or a module.
      Networks need none; a differential operator does.
    - `shift ()`: for a flow, eigenvalues are found near this number (shift and invert, an inner GMRES) rather than by
      their real part. For stiff systems; it must not be an eigenvalue.

    **Shapes:** states of a thousand to many thousand; work and memory `n (restart + dimension)` beside the products.

    **Source:** Saad & Schultz (1986); Stewart (2002); Govaerts (2000), section 3.
    """

    dense: ClassVar[bool] = False
    rtol: float = 1e-10
    eigenvalue_rtol: float = 1e-10
    shift: float | None = None
    preconditioner: Callable[[Array], Array] | None = None
    num_eigenvalues: int = eqx.field(static=True, default=6)
    restart: int = eqx.field(static=True, default=40)
    max_steps: int = eqx.field(static=True, default=400)
    dimension: int = eqx.field(static=True, default=40)
    max_restarts: int = eqx.field(static=True, default=50)

    def __check_init__(self):
        if not 0 < self.num_eigenvalues <= self.dimension - 4:
            raise ValueError(
                f"Krylov: dimension must be at least num_eigenvalues + 4, got {self.dimension} for "
                f"{self.num_eigenvalues} eigenvalues"
            )

    def correct(
        self, curve: AbstractCurve, u: Float[Array, " u"], aux: Any, row: Float[Array, " u"], gap: Scalar
    ) -> Correction:
        F, product = jax.linearize(lambda v: curve.value(v, aux), u)
        scale = jnp.linalg.norm(row)

        def bordered(v: Float[Array, " u"]) -> Float[Array, " u"]:
            return jnp.append(self._precondition(product(v)), jnp.dot(row, v) / scale)

        right = jnp.stack([jnp.append(-self._precondition(F), gap / scale), jnp.zeros_like(u).at[-1].set(1)])
        columns = jax.vmap(lambda b: self._solve(bordered, b))(right)
        return Correction(columns[0], columns[1], jnp.zeros_like(gap))

    def spectrum(self, system: AbstractSystem, state: Float[Array, " S"]) -> Complex[Array, " k"]:
        _, product = jax.linearize(system.velocity, state)
        is_map, shift = isinstance(system, AbstractMap), self.shift
        if is_map and shift is not None:
            raise ValueError("Krylov: `shift` is for flows; the leading eigenvalues of a map are the largest ones")

        def step(v: Float[Array, " S"]) -> Float[Array, " S"]:
            return v + product(v)

        def inverse(v: Float[Array, " S"]) -> Float[Array, " S"]:
            return self._solve(lambda w: self._precondition(product(w) - shift * w), self._precondition(v))  # pyright: ignore[reportOptionalOperand]

        apply = step if is_map else product if shift is None else inverse
        values = leading_eigenvalues(
            apply, jnp.asarray(np.random.default_rng(0).normal(size=state.size), state.dtype), self.num_eigenvalues,
            _real_part if not is_map and shift is None else jnp.abs,
            dimension=self.dimension, rtol=jnp.asarray(self.eigenvalue_rtol, state.dtype),
            max_restarts=self.max_restarts,
        )  # fmt: skip
        if shift is not None:
            values = 1 / values + jnp.asarray(shift, values.dtype)
        return sort_spectrum(system, values)

    def _precondition(self, v: Array) -> Array:
        return v if self.preconditioner is None else self.preconditioner(v)

    def _solve(self, apply: Callable[[Array], Array], b: Array) -> Array:
        size = jnp.linalg.norm(b)
        unit = b / jnp.where(size > 0, size, 1)
        operator = lx.FunctionLinearOperator(apply, jax.ShapeDtypeStruct(b.shape, b.dtype))
        # lineax weighs each component by `atol + rtol |b_i|`; the components of a unit vector are weighed alike.
        solver = lx.GMRES(rtol=0.0, atol=self.rtol, restart=min(self.restart, b.size), max_steps=self.max_steps)
        return size * lx.linear_solve(operator, unit, solver, throw=False).value


def _real_part(values: Complex[Array, " m"]) -> Float[Array, " m"]:
    return values.real
