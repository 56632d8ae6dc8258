"""Normal form coefficients: which side the new fixed points or cycles are on, and whether they are stable.

All are functions of a system and a state `(S,)`, at which the bifurcation is taken to happen; they can be
differentiated in both, and batched. With `A` the Jacobian, `B` and `C` the second and third derivatives of the velocity
(for maps these are derivatives of the step too), right and left null vectors `q` and `p` of the critical matrix, and
`<u, v> = conj(u) . v`:

    fold, branch point    A q = 0         p^T A = 0          for maps A - I instead of A
    Hopf                  A q = i w q     p^H A = i w p^H
    flip                  A q = -q        p^T A = -p^T
    Neimark-Sacker        A q = e^it q    p^H A = e^it p^H

all with `<q, q> = 1` and `<p, q> = 1`, as in Kuznetsov (2004). Coefficients of odd order do not depend on the sign or
phase of q; those of second order change sign with q and are given for the q whose largest component is positive.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, ArrayLike, Complex, Float, Scalar
from ..fixed_points._precision import highest_precision
from ..systems import AbstractFlow, AbstractMap, AbstractSystem


class CriticalVectors(NamedTuple):
    """Right and left null vectors `q (n,)` and `p (n,)` of a singular matrix, `M q = 0` and `p^H M = 0`.

    **Source:** Kuznetsov (2004), section 10.2.
    """

    q: Float[Array, " n"] | Complex[Array, " n"]
    p: Float[Array, " n"] | Complex[Array, " n"]


class BranchPointCoefficients(NamedTuple):
    """`u' = quadratic u^2 + cubic u^3` on the centre manifold, both `()`.

    A branch point is transcritical where `quadratic` is not zero, else a pitchfork, supercritical for `cubic < 0`.

    **Source:** Kuznetsov (2004), sections 7.4 and 8.2.
    """

    quadratic: Scalar
    cubic: Scalar


def null_vectors(M: Float[Array, "n n"] | Complex[Array, "n n"]) -> CriticalVectors:
    """Null vectors of unit length of a matrix with one eigenvalue at or near zero, differentiable in the matrix.

        [M, b; c^H, 0] [q; g] = [0; 1],     b, c the last singular vectors, held fixed

    The phases of `q` and `p` are arbitrary. For a matrix that is not quite singular they are the last singular vectors.

    **Arguments:** `M`, real or complex, shape `(n, n)`.

    **Returns:** `CriticalVectors(q (n,), p (n,))` with `|q| = |p| = 1`; nan or inf when two singular values vanish.

    **Source:** Kuznetsov (2004), section 10.2; Govaerts (2000), section 3.2.
    """
    n = M.shape[0]
    # The border is any vector not orthogonal to the null vector, which does not depend on it: no derivative is lost.
    left, _, right = jnp.linalg.svd(jax.lax.stop_gradient(M))
    b, c = left[:, -1], right[-1].conj()
    zero = jnp.zeros((1, 1), M.dtype)
    unit = jnp.zeros((n + 1,), M.dtype).at[-1].set(1)
    bordered = jnp.block([[M, b[:, None]], [c.conj()[None], zero]])
    q, p = jnp.linalg.solve(bordered, unit)[:-1], jnp.linalg.solve(bordered.conj().T, unit)[:-1]
    return CriticalVectors(q / _length(q), p / _length(p))


def critical_vectors(M: Float[Array, "n n"] | Complex[Array, "n n"]) -> CriticalVectors:
    """Null vectors of a matrix with one eigenvalue at or near zero, with `<q, q> = <p, q> = 1`.

    **Arguments:** `M`, real or complex, shape `(n, n)`: a Jacobian minus its critical eigenvalue.

    **Returns:** `CriticalVectors(q (n,), p (n,))`, differentiable in `M`. The phase of `q` is arbitrary; a real `q` has
    a positive largest component. `p` is inf or nan where the zero eigenvalue is double.

    **Source:** Kuznetsov (2004), section 10.2.
    """
    q, p = null_vectors(M)
    if not jnp.iscomplexobj(M):
        q = _oriented(q)
    return CriticalVectors(q, p / jnp.vdot(q, p))


@eqx.filter_jit
@highest_precision
def fold_coefficient(
    system: AbstractSystem, state: Float[Array, " S"], direction: Float[Array, " S"] | None = None
) -> Scalar:
    """Coefficient `a = <p, B(q, q)> / 2` of a fold, `u' = beta + a u^2`; zero at a cusp.

    **Arguments:** `system`, flow or map; `state`, shape `(S,)`, the fixed point with eigenvalue 0 (flow) or 1 (map);
    `direction`, shape `(S,)`, on whose side to take q, for a sign that is continuous along a curve of folds.

    **Returns:** `()`, for the q whose largest component is positive when there is no `direction`.

    **Source:** Kuznetsov (2004), sections 5.4.1 and 5.4.2.
    """
    q, p = critical_vectors(_velocity_jacobian(system, state))
    side = 1.0 if direction is None else jax.lax.stop_gradient(jnp.sign(jnp.vdot(direction, q)))
    return side * jnp.vdot(p, _derivative(system, state, q, q)) / 2


@eqx.filter_jit
@highest_precision
def branch_point_coefficients(system: AbstractSystem, state: Float[Array, " S"]) -> BranchPointCoefficients:
    """Quadratic and cubic coefficients on the centre manifold of a zero eigenvalue.

        a = <p, B(q, q)> / 2,   c = <p, C(q, q, q) + 3 B(q, h)> / 6,   A h = 2 a q - B(q, q),  <p, h> = 0

    **Arguments:** `system`, flow or map; `state`, shape `(S,)`, the fixed point with eigenvalue 0 (flow) or 1 (map).

    **Returns:** `BranchPointCoefficients(quadratic (), cubic ())`, `quadratic` being the `fold_coefficient`.

    **Source:** Kuznetsov (2004), section 8.7.1.
    """
    A = _velocity_jacobian(system, state)
    q, p = critical_vectors(A)
    square = _derivative(system, state, q, q)
    twice_a = jnp.vdot(p, square)
    bordered = jnp.block([[A, q[:, None]], [p[None], jnp.zeros((1, 1), A.dtype)]])
    h = jnp.linalg.solve(bordered, jnp.append(twice_a * q - square, 0))[:-1]
    cubic = jnp.vdot(p, _derivative(system, state, q, q, q) + 3 * _derivative(system, state, q, h)) / 6
    return BranchPointCoefficients(twice_a / 2, cubic)


def cusp_coefficient(system: AbstractSystem, state: Float[Array, " S"]) -> Scalar:
    """Coefficient c of a cusp, `u' = beta_1 + beta_2 u + c u^3`: the cubic one of `branch_point_coefficients`.

    **Arguments:** `system`, flow or map; `state`, shape `(S,)`, the fixed point with eigenvalue 0 (flow) or 1 (map).

    **Returns:** `()`; for `c < 0` the middle one of the three fixed points is the least stable.

    **Source:** Kuznetsov (2004), section 8.7.1.
    """
    return branch_point_coefficients(system, state).cubic


@eqx.filter_jit
def bogdanov_takens_test(system: AbstractSystem, state: Float[Array, " S"]) -> Scalar:
    """`<p, q>` of null vectors of unit length, which is zero where the zero eigenvalue is double.

    **Arguments:** `system`, flow or map; `state`, shape `(S,)`, a fixed point with eigenvalue 0 (flow) or 1 (map).

    **Returns:** `()`, in [-1, 1], with the sign of the product of the other eigenvalues of the velocity's derivative,
    and so continuous along a curve of folds.

    **Source:** Kuznetsov (2004), section 10.3.1, for the test; the sign is ours.
    """
    return double_test(_velocity_jacobian(system, state))


def double_test(A: Float[Array, "n n"]) -> Scalar:
    """`<p, q>` of the null vectors of a singular matrix, of unit length: zero where its null eigenvalue is double."""
    q, p = null_vectors(A)
    # adj A = k q p^T has the product as its trace, and det [A, p; q^T, 0] = -k.
    bordered = jnp.block([[A, p[:, None]], [q[None], jnp.zeros((1, 1), A.dtype)]])
    return -jnp.linalg.slogdet(jax.lax.stop_gradient(bordered))[0] * jnp.vdot(p, q)


def first_lyapunov_coefficient(system: AbstractSystem, state: Float[Array, " S"], omega: ArrayLike) -> Scalar:
    """First Lyapunov coefficient of a Hopf point; negative: supercritical, the cycle that is born is stable.

        l1 = Re <p, C(q, q, q*) - 2 B(q, A^-1 B(q, q*)) + B(q*, (2 i omega - A)^-1 B(q, q))> / (2 omega)

    The amplitude equation is `w' = (rho + i omega) w + (omega l1 + i ...) w |w|^2` at `state + 2 Re(w q)`.

    **Arguments:** `system`, a flow; `state`, shape `(S,)`, the fixed point with eigenvalues +-i omega; `omega`,
    positive, shape `()`, in radians per unit of time.

    **Returns:** `()`, with the normalisation `<q, q> = 1`.

    **Raises:** `TypeError` for a map.

    **Source:** Kuznetsov (2004), section 5.4.1.
    """
    if not isinstance(system, AbstractFlow):
        raise TypeError("a first Lyapunov coefficient belongs to a flow; for a map use neimark_sacker_coefficient")
    return _first_lyapunov(system, state, jnp.asarray(omega, state.dtype))


def neimark_sacker_coefficient(system: AbstractSystem, state: Float[Array, " S"], theta: ArrayLike) -> Scalar:
    """Coefficient of a Neimark-Sacker point; negative: supercritical, the invariant circle that is born is stable.

        d = Re e^-it <p, C(q, q, q*) + 2 B(q, (I - A)^-1 B(q, q*)) + B(q*, (e^2it - A)^-1 B(q, q))> / 2

    The amplitude equation is `|w| -> (1 + beta) |w| + d |w|^3` at `state + 2 Re(w q)`.

    **Arguments:** `system`, a map; `state`, shape `(S,)`, the fixed point with eigenvalues `e^+-it`; `theta`, the
    angle t in (0, pi), radians, shape `()`. At `2 pi/3` and `pi/2`, the strong resonances, d does not decide.

    **Returns:** `()`, with the normalisation `<q, q> = 1`.

    **Raises:** `TypeError` for a flow.

    **Source:** Kuznetsov (2004), section 5.4.2.
    """
    if not isinstance(system, AbstractMap):
        raise TypeError("a Neimark-Sacker coefficient belongs to a map; for a flow use first_lyapunov_coefficient")
    return _neimark_sacker(system, state, jnp.asarray(theta, state.dtype))


@eqx.filter_jit
@highest_precision
def flip_coefficient(system: AbstractSystem, state: Float[Array, " S"]) -> Scalar:
    """Coefficient c of a flip, `u -> -(1 + beta) u + c u^3`; positive: supercritical, the 2-cycle born is stable.

        c = <p, C(q, q, q)> / 6 - <p, B(q, (A - I)^-1 B(q, q))> / 2

    **Arguments:** `system`, a map; `state`, shape `(S,)`, the fixed point with eigenvalue -1.

    **Returns:** `()`, with the normalisation `<q, q> = 1`.

    **Raises:** `TypeError` for a flow.

    **Source:** Kuznetsov (2004), section 5.4.2.
    """
    if not isinstance(system, AbstractMap):
        raise TypeError("a flip belongs to a map: the Jacobian of a flow may have the eigenvalue -1 anywhere")
    A = system.jacobian(state)
    identity = jnp.eye(state.size, dtype=A.dtype)
    q, p = critical_vectors(A + identity)
    h = jnp.linalg.solve(A - identity, _derivative(system, state, q, q))
    return jnp.vdot(p, _derivative(system, state, q, q, q) - 3 * _derivative(system, state, q, h)) / 6


@eqx.filter_jit
@highest_precision
def _first_lyapunov(system: AbstractFlow, state: Array, omega: Scalar) -> Scalar:
    value = jax.lax.complex(jnp.zeros_like(omega), omega)
    return _resonant_cubic(system, state, value, 2 * value, jnp.zeros_like(omega)).real / omega


@eqx.filter_jit
@highest_precision
def _neimark_sacker(system: AbstractMap, state: Array, theta: Scalar) -> Scalar:
    value = jax.lax.complex(jnp.cos(theta), jnp.sin(theta))
    return (_resonant_cubic(system, state, value, value**2, jnp.ones_like(theta)) / value).real


def _resonant_cubic(system: AbstractSystem, state: Array, value: Array, double: Array, constant: Array) -> Array:
    """Coefficient of `w |w|^2` for the eigenvalue `value`: `<p, C(q, q, q*) + 2 B(q, h11) + B(q*, h20)> / 2` with
    `(constant - A) h11 = B(q, q*)` and `(double - A) h20 = B(q, q)`."""
    A, identity = system.jacobian(state), jnp.eye(state.size, dtype=state.dtype)
    complex_A, complex_identity = A.astype(value.dtype), identity.astype(value.dtype)
    q, p = critical_vectors(complex_A - value * complex_identity)
    # B(q, q) and B(q, q*) together, then the products with h together: each derivative is code to compile.
    with_real, with_imag = jax.vmap(lambda v: _derivative(system, state, q, v))(jnp.stack([q.real, q.imag]))
    h11 = jnp.linalg.solve(constant * identity - A, (with_real - 1j * with_imag).real)
    h20 = jnp.linalg.solve(double * complex_identity - complex_A, with_real + 1j * with_imag)
    left, right = jnp.stack([2 * q, q.conj()]), jnp.stack([h11.astype(q.dtype), h20])
    quadratic = jnp.sum(jax.vmap(lambda u, v: _derivative(system, state, u, v))(left, right), axis=0)
    return jnp.vdot(p, _derivative(system, state, q, q, q.conj()) + quadratic) / 2


def _derivative(system: AbstractSystem, state: Array, *directions: Array) -> Array:
    """`D^k velocity(state)` along k real or complex directions. The system itself only ever sees real states."""
    if not directions:
        return system.velocity(state)
    first, *rest = directions

    def along(v: Array) -> Array:
        return jax.jvp(lambda x: _derivative(system, x, *rest), (state,), (v,))[1]

    if not jnp.iscomplexobj(first):
        return along(first)
    real, imag = jax.vmap(along)(jnp.stack([first.real, first.imag]))
    return real.astype(first.dtype) + 1j * imag.astype(first.dtype)


def _velocity_jacobian(system: AbstractSystem, state: Array) -> Array:
    J = system.jacobian(state)
    return J - jnp.eye(state.size, dtype=J.dtype) if isinstance(system, AbstractMap) else J


def _length(v: Array) -> Array:
    return jnp.sqrt(jnp.vdot(v, v).real).astype(v.dtype)


def _oriented(v: Array) -> Array:
    """With a positive largest component, the first of several that are equal up to rounding."""
    size = jnp.abs(v)
    return v * jax.lax.stop_gradient(jnp.sign(v[jnp.argmax(size > (1 - 1e-6) * jnp.max(size))]))
