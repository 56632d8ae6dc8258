"""Normal form coefficients against closed forms, other formulas, and their own invariances."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import without_type_checks

from gru_dynamics.bifurcations._normal_forms import (
    bogdanov_takens_test,
    branch_point_coefficients,
    critical_vectors,
    cusp_coefficient,
    first_lyapunov_coefficient,
    flip_coefficient,
    fold_coefficient,
    neimark_sacker_coefficient,
    null_vectors,
)
from gru_dynamics.cells import ElmanCell, GRUCell
from gru_dynamics.systems import CellFlow, CellMap, FunctionFlow, FunctionMap, Iterate, jacobian, library

close = functools.partial(pytest.approx, rel=1e-11, abs=1e-12)


def state(*values):
    return jnp.array(values, dtype=float)


def eig(A) -> tuple[Any, Any]:
    values, vectors = np.linalg.eig(np.asarray(A, complex))
    return values, vectors


# Null vectors ------------------------------------------------------------------------------------


def singular_matrix(n, value, seed=0):
    """Real, with the simple eigenvalue `value`, and its conjugate."""
    rng = np.random.default_rng(seed)
    S = rng.standard_normal((n, n))
    D = np.diag(rng.uniform(-3, -1, n))
    if np.iscomplex(value):
        D[:2, :2] = [[value.real, -value.imag], [value.imag, value.real]]
    else:
        D[0, 0] = value.real
    return S @ D @ np.linalg.inv(S)


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("value", [0.0, 1.3j])
def test_critical_vectors(n, value):
    A = singular_matrix(n, value)
    shift = value if np.iscomplex(value) else 0.0
    M = A - shift * np.eye(n)
    q, p = map(np.asarray, critical_vectors(jnp.asarray(M)))
    assert np.iscomplexobj(q) == np.iscomplexobj(M)
    assert np.linalg.norm(M @ q) <= 1e-13 * np.linalg.norm(M)
    assert np.linalg.norm(p.conj() @ M) <= 1e-13 * np.linalg.norm(M) * np.linalg.norm(p)
    assert np.vdot(q, q) == close(1)
    assert np.vdot(p, q) == close(1)
    q, p = map(np.asarray, null_vectors(jnp.asarray(M)))
    assert np.vdot(q, q) == close(1)
    assert np.vdot(p, p) == close(1)


def test_orientation_of_a_real_vector():
    """The largest component is positive; of components that are equal up to rounding, the first."""
    for sign in (1, -1):
        for vector in ((0.6, -0.8), (1.0, -1.0 - 1e-12), (1.0 - 1e-12, 1.0)):
            v = sign * np.array(vector)
            M = np.eye(2) - np.outer(v, v) / (v @ v)
            q = np.asarray(critical_vectors(jnp.asarray(M)).q)
            leading = 0 if abs(abs(v[0]) - abs(v[1])) < 1e-6 else np.argmax(np.abs(v))
            assert q[leading] > 0


def test_critical_vectors_along_singular_matrices():
    """First and second derivatives along S(t) D S(t)^-1, whose null vector is known for each t."""
    generator = jnp.asarray(np.random.default_rng(1).standard_normal((4, 4)))
    D = jnp.diag(jnp.array([0.0, -1.0, -2.0, 1.5]))

    def basis(t):
        return jnp.eye(4) + t * generator + t**2 * generator.T

    def exact(t):
        q = basis(t)[:, 0]
        return q / jnp.sqrt(q @ q)

    def ours(t):
        S = basis(t)
        return critical_vectors(S @ D @ jnp.linalg.inv(S)).q

    t = jnp.asarray(0.2)
    sign = jnp.sign(jnp.vdot(exact(t), ours(t)))
    for order in range(3):
        f, g = (functools.reduce(lambda h, _: jax.jacfwd(h), range(order), h) for h in (ours, exact))
        np.testing.assert_allclose(jax.jit(f)(t), sign * jax.jit(g)(t), rtol=0, atol=1e-10)


# Folds, cusps and branch points ------------------------------------------------------------------


@pytest.mark.parametrize(("w", "sign"), [(2.0, 1), (2.0, -1), (4.0, 1)])
def test_fold_of_a_tanh_unit(w, sign):
    """`w^2 tanh'' / 2 = -w h`, since tanh' = 1/w at the fold."""
    h = sign * np.sqrt(1 - 1 / w)
    b = np.arctanh(h) - w * h
    assert fold_coefficient(library.tanh_unit(w, b), state(h)) == close(-w * h)


def _henon_fold(b):
    """`q = (1, b)/sqrt(1 + b^2)`, p proportional to (1, 1); `B(q, q) = (-2 a q_1^2, 0)`."""
    a = -((1 - b) ** 2) / 4
    x = -(1 - b) / (2 * a)
    return library.henon(a, b), state(x, b * x), -a / ((1 + b) * np.sqrt(1 + b * b))


@pytest.mark.parametrize("b", [0.3, -0.6])
def test_fold_of_the_henon_map(b):
    system, at, expected = _henon_fold(b)
    assert fold_coefficient(system, at) == close(expected)
    assert fold_coefficient(system, at, jnp.array([1.0, 0.0])) == close(expected)
    assert fold_coefficient(system, at, jnp.array([-1.0, 0.0])) == close(-expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_fold_of_the_cusp_normal_form(sign):
    x = sign / np.sqrt(3)
    assert fold_coefficient(library.cusp_normal_form(-sign * 2 / 27**0.5), state(x)) == close(-3 * x)


def test_cusps_in_one_dimension():
    assert cusp_coefficient(library.cusp_normal_form(0.0, 0.0), state(0)) == close(-1)
    assert cusp_coefficient(library.tanh_unit(1.0, 0.0), state(0)) == close(-1 / 3)


@pytest.mark.parametrize("kind", [CellMap, CellFlow])
def test_pitchfork_of_decoupled_units(kind):
    """Only the first unit is critical: `tanh(h) - h = -h^3/3`."""
    cell = ElmanCell(0, 3, use_bias=False, key=jr.key(0))
    cell = eqx.tree_at(lambda c: c.U, cell, jnp.diag(jnp.array([1.0, 0.5, -0.3])))
    coefficients = branch_point_coefficients(kind(cell), jnp.zeros(3))
    assert coefficients.quadratic == close(0)
    assert coefficients.cubic == close(-1 / 3)


@pytest.mark.parametrize("sigma", [10.0, 2.0])
def test_pitchfork_of_lorenz(sigma):
    """At rho = 1: `z = x y / beta` on the centre manifold, `q = (1, 1, 0)/sqrt 2`, p proportional to (1, sigma, 0)."""
    coefficients = branch_point_coefficients(library.lorenz(sigma, 1.0, 8 / 3), jnp.zeros(3))
    assert coefficients.quadratic == close(0)
    assert coefficients.cubic == close(-sigma / (2 * (8 / 3) * (1 + sigma)))


@pytest.mark.parametrize("rate", [-1.0, -3.0, 2.0])
def test_centre_manifold(rate):
    """`x' = a x^2 + x y, y' = rate y + x^2`: `y = -x^2/rate + ...`, so `x' = a x^2 - x^3/rate`."""

    def field(t, s, a):
        return jnp.stack([a * s[0] ** 2 + s[0] * s[1], rate * s[1] + s[0] ** 2])

    for a in (0.0, 0.7):
        coefficients = branch_point_coefficients(FunctionFlow(field, jnp.asarray(a)), jnp.zeros(2))
        assert coefficients.quadratic == close(a)
        assert coefficients.cubic == close(-1 / rate)


def _takens(t, s, p):
    """At the origin: eigenvalues 0 and c."""
    return jnp.stack([s[1], p * s[1] + s[0] ** 2])


@pytest.mark.parametrize("c", [0.5, 0.0, -0.5])
def test_bogdanov_takens(c):
    """`q = (1, 0)` and p proportional to (-c, 1): `|<p, q>| = |c| / sqrt(1 + c^2)`, with the sign of the other
    eigenvalue, c."""
    system = FunctionFlow(_takens, jnp.asarray(c))
    assert bogdanov_takens_test(system, jnp.zeros(2)) == close(c / np.sqrt(1 + c * c))
    step = FunctionMap(lambda s, p: s + _takens(0.0, s, p), jnp.asarray(c))
    assert bogdanov_takens_test(step, jnp.zeros(2)) == close(c / np.sqrt(1 + c * c))
    if c == 0:
        slope = jax.grad(lambda c: bogdanov_takens_test(FunctionFlow(_takens, c), jnp.zeros(2)))(jnp.asarray(0.0))
        assert slope == close(1)


@pytest.mark.parametrize("seed", range(6))
def test_bogdanov_takens_has_the_sign_of_the_other_eigenvalues(seed):
    rng = np.random.default_rng(seed)
    S, others = rng.standard_normal((4, 4)), rng.uniform(-1, 1, 3)
    matrix = S @ np.diag([0.0, *others]) @ np.linalg.inv(S)
    test = bogdanov_takens_test(FunctionFlow(lambda t, s, A: A @ s, jnp.asarray(matrix)), jnp.zeros(4))
    assert np.sign(test) == np.sign(np.prod(others))
    assert abs(test) <= 1


# Hopf --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("A", [0.5, 1.0, 2.0])
def test_hopf_of_the_brusselator(A):
    l1 = first_lyapunov_coefficient(library.brusselator(A, 1 + A * A), state(A, (1 + A * A) / A), A)
    assert l1 == close(-(2 + A * A) / (2 * A * (1 + 2 * A * A)))


def test_hopf_of_lure():
    assert first_lyapunov_coefficient(library.lure(1.0, 1.0), jnp.zeros(3), 1.0) == close(-0.3)


@pytest.mark.parametrize(("omega", "l1"), [(1.0, -1.0), (2.5, 0.4)])
def test_hopf_normal_form(omega, l1):
    """`z = sqrt 2 w` for a q of length 1, so that `w' = i omega w + 2 l1 w |w|^2`."""
    value = first_lyapunov_coefficient(library.hopf_normal_form(0.0, omega, l1), jnp.zeros(2), omega)
    assert value == close(2 * l1 / omega)


@pytest.mark.parametrize("c", [1.0, 0.0, -0.5])
def test_hopf_of_the_bautin_normal_form(c):
    assert first_lyapunov_coefficient(library.bautin_normal_form(0.0, c), jnp.zeros(2), 1.0) == close(2 * c)


@pytest.mark.parametrize("theta", [0.3, 0.7, 1.2])
def test_hopf_of_tanh_rotation(theta):
    """`C(q, q, q*) = -2 (s R q)^2 (s R q)* = -s^3 e^it q`, hence `-s^3 cos t / (2 tan t)` with `s = 1/cos t`."""
    s, omega, expected = 1 / np.cos(theta), np.tan(theta), -1 / np.sin(2 * theta)
    flow = library.tanh_rotation_flow(s, theta)
    assert first_lyapunov_coefficient(flow, jnp.zeros(2), omega) == close(expected)
    copies = library.rotated_copies((1.0, 0.8, 0.5), s / 0.8, theta)  # the second copy is critical, the first unstable
    assert first_lyapunov_coefficient(copies, jnp.zeros(6), omega) == close(expected)


def test_hopf_of_a_gru():
    """Eq. 8 of Jordan et al.: r = z = 1/2, so the field is `(tanh(3/2 R h) - h)/2` and the sum is `-(27/16) e^ia q`."""
    alpha = np.arccos(2 / 3)
    l1 = first_lyapunov_coefficient(library.jordan_rotation(alpha), jnp.zeros(2), 0.75 * np.sin(alpha))
    assert l1 == close(-0.75 / np.sin(alpha))


@pytest.mark.parametrize("v", [-np.sqrt(0.936), np.sqrt(0.936)])
def test_hopf_of_fitzhugh_nagumo(v):
    """Against the formula of Guckenheimer & Holmes (1983), eq. 3.4.11, in the coordinates `(v, w) = 2 Re((x + iy) q)`
    where the linear part is a rotation and the cubic coefficient is `omega l1`; subcritical."""
    omega = np.sqrt(0.08 - 0.064**2)
    J = np.array([[1 - v * v, -1.0], [0.08, -0.064]])
    values, vectors = eig(J)
    q = vectors[:, np.argmax(values.imag)]
    assert np.max(np.abs(values.real)) <= 1e-14
    T = 2 * np.stack([q.real, -q.imag], axis=1)
    first, second = np.linalg.inv(T)[:, 0]  # the nonlinearity `-v d^2 - d^3/3` acts on the first equation only
    x, y = T[0]
    xx, xy, yy = -2 * v * np.array([x * x, x * y, y * y])
    cubic = -2 * (first * (x**3 + x * y * y) + second * (x * x * y + y**3))
    mixed = first**2 * xy * (xx + yy) - second**2 * xy * (xx + yy) - first * second * (xx**2 - yy**2)
    expected = (cubic + mixed / omega) / 16 / omega
    I = v**3 / 3 - v + (v + 0.7) / 0.8
    l1 = first_lyapunov_coefficient(library.fitzhugh_nagumo(I), state(v, (v + 0.7) / 0.8), float(omega))
    assert l1 > 0
    assert l1 == close(expected)


def _lorenz_hopf(sigma=10.0, beta=8 / 3):
    rho = sigma * (sigma + beta + 3) / (sigma - beta - 1)
    wing = np.sqrt(beta * (rho - 1))
    return library.lorenz(sigma, rho, beta), np.array([wing, wing, rho - 1]), np.sqrt(beta * (sigma + rho))


def test_hopf_of_lorenz():
    """Subcritical. The oracle takes eigenvectors of LAPACK, and the normal form of Hassard, Kazarinoff & Wan (1981):
    `Re(g21/2 + i (g20 g11 - 2 |g11|^2 - |g02|^2/3) / (2 omega))`, which eliminates the third direction by hand."""
    system, at, omega = _lorenz_hopf()
    assert omega == pytest.approx(9.6245300637, abs=1e-10)
    values, right = eig(jacobian(system, jnp.asarray(at)))
    left = np.linalg.inv(right)
    i, k = np.argmax(values.imag), np.argmin(np.abs(values.imag))
    q, p, r, s = right[:, i], left[i], right[:, k], left[k]

    def B(u, v):
        return np.array([0, -(u[0] * v[2] + u[2] * v[0]), u[0] * v[1] + u[1] * v[0]])

    h11, h20 = -(s @ B(q, q.conj())) / values[k], (s @ B(q, q)) / (2j * omega - values[k])
    g20, g11, g02 = p @ B(q, q), p @ B(q, q.conj()), p @ B(q.conj(), q.conj())
    g21 = p @ (2 * B(q, r) * h11 + B(q.conj(), r) * h20)
    c1 = g21 / 2 + 1j / (2 * omega) * (g20 * g11 - 2 * abs(g11) ** 2 - abs(g02) ** 2 / 3)
    l1 = first_lyapunov_coefficient(system, jnp.asarray(at), omega)
    assert l1 > 0
    # Terms of size 1e-2 cancel.
    assert l1 == pytest.approx(c1.real / omega, rel=1e-9)


# Maps --------------------------------------------------------------------------------------------


def test_flip_of_the_logistic_map():
    """`c = F''^2/4 + F'''/6` with `F'' = -6`."""
    assert flip_coefficient(library.logistic(3.0), state(2 / 3)) == close(9)


@pytest.mark.parametrize("z", [0.0, 0.5, 0.9])
def test_flip_of_a_constant_gate_unit(z):
    w = -(1 + z) / (1 - z)
    assert flip_coefficient(library.constant_gate_unit(w, z), state(0)) == close(-(1 - z) * w**3 / 3)


@pytest.mark.parametrize("b", [0.3, -0.6])
def test_flip_of_the_henon_map(b):
    """`q = (1, -b)/sqrt(1 + b^2)`, p proportional to (1, -1), C = 0."""
    a = 3 * (1 - b) ** 2 / 4
    x = (1 - b) / (2 * a)
    assert flip_coefficient(library.henon(a, b), state(x, b * x)) == close(a * a / ((1 - b * b) * (1 + b * b)))


@pytest.mark.parametrize("kind", ["logistic", "henon"])
def test_flip_is_a_pitchfork_of_the_second_iterate(kind):
    """`u -> -u + c u^3` twice is `u - 2 c u^3`."""
    system, at = (
        (library.logistic(3.0), state(2 / 3))
        if kind == "logistic"
        else (library.henon(0.3675), state(0.35 / 0.3675, 0.3 * 0.35 / 0.3675))
    )
    coefficients = branch_point_coefficients(Iterate(system, 2), at)
    assert coefficients.quadratic == close(0)
    assert coefficients.cubic == close(-2 * float(flip_coefficient(system, at)))


@pytest.mark.parametrize("theta", [0.3, 0.7, 2.5])
def test_neimark_sacker_of_tanh_rotation(theta):
    assert neimark_sacker_coefficient(library.tanh_rotation_map(1.0, theta), jnp.zeros(2), theta) == close(-0.5)


def test_neimark_sacker_of_the_delayed_logistic_map():
    """r = 2, multipliers `e^(+-i pi/3) = m`: `q = (m, 1)/sqrt 2`, `h11 = (-1, -1)`, `h20 = (m, 1/m)`, `B(q*, h20) = 0`,
    and the sum is `-4 m^2`."""
    assert neimark_sacker_coefficient(library.delayed_logistic(2.0), state(0.5, 0.5), np.pi / 3) == close(-1)


def test_neimark_sacker_of_the_delayed_logistic_map_by_its_circle():
    """Just beyond, the radius of the invariant circle is `|w|^2 = -beta/d`, `1 + beta = sqrt(r - 1)`, and x is
    `x* + 2 Re(w q_1)`, of variance `2 |w|^2 |q_1|^2 = |w|^2`."""
    r = 2 + 1e-4
    x = y = 1 - 1 / r
    x += 0.005
    orbit = np.empty(400_000)
    for k in range(orbit.size):
        x, y = r * x * (1 - y), x
        orbit[k] = x
    d = -(np.sqrt(r - 1) - 1) / np.var(orbit[200_000:])
    assert d == pytest.approx(-1, rel=5e-3)


def test_neimark_sacker_of_a_gru():
    """The map of eq. 8 of Jordan et al. at arccos(1/4): `h/2 + tanh(3/2 R h)/2`."""
    alpha = np.arccos(1 / 4)
    theta = np.angle(0.5 + 0.75 * np.exp(1j * alpha))
    step = CellMap(library.jordan_rotation(alpha).cell)
    assert neimark_sacker_coefficient(step, jnp.zeros(2), theta) == close(-27 / 32 * np.cos(alpha - theta))


# Invariances -------------------------------------------------------------------------------------


def _seen_in(t, y, p):
    system, S = p
    return S @ system.velocity(jnp.linalg.solve(S, y))


def _step_seen_in(y, p):
    system, S = p
    return S @ system(jnp.linalg.solve(S, y))


def coefficient_of(name):
    """`(system, state, function, parity)` with `function(system, state)`."""
    if name == "fold":
        system, at, _ = _henon_fold(0.3)
        return system, at, fold_coefficient, -1
    if name == "pitchfork":
        return library.lorenz(rho=1.0), jnp.zeros(3), cusp_coefficient, 1
    if name == "hopf":
        system, at, omega = _lorenz_hopf()
        return system, jnp.asarray(at), functools.partial(first_lyapunov_coefficient, omega=omega), 1
    if name == "flip":
        return library.henon(0.3675), state(0.35 / 0.3675, 0.3 * 0.35 / 0.3675), flip_coefficient, 1
    theta = functools.partial(neimark_sacker_coefficient, theta=np.pi / 3)
    return library.delayed_logistic(2.0), state(0.5, 0.5), theta, 1


@pytest.mark.parametrize("name", ["fold", "pitchfork", "hopf", "flip", "neimark-sacker"])
def test_coordinates(name):
    """Rotations and reflections change nothing (the sign of q at a fold), a change of scale only the scale, and other
    linear maps no sign: the length of q is all that the normalisation takes from the coordinates."""
    system, at, function, parity = coefficient_of(name)
    value = float(function(system, at))
    rng = np.random.default_rng(0)
    matrices = [np.linalg.qr(rng.standard_normal((at.size, at.size)))[0] for _ in range(3)]
    matrices += [-np.eye(at.size), 3 * np.eye(at.size), rng.standard_normal((at.size, at.size)) + 2 * np.eye(at.size)]
    factors = [1, 1, 1, 1, 3 ** (-1 if name == "fold" else -2), None]
    is_map = name in ("fold", "flip", "neimark-sacker")
    for S, factor in zip(matrices, factors, strict=True):
        args = (system, jnp.asarray(S))
        seen = FunctionMap(_step_seen_in, args) if is_map else FunctionFlow(_seen_in, args)
        result = float(function(seen, jnp.asarray(S) @ at))
        if parity < 0:
            result, value = abs(result), abs(value)
        if factor is None:
            assert np.sign(result) == np.sign(value)
        else:
            # The coefficient of Lorenz is the difference of terms 40 times as large, at states of size 24.
            assert result == pytest.approx(factor * value, rel=1e-9)


# Derivatives and batches -------------------------------------------------------------------------


def _l1_of_brusselator(A):
    """Along the curve of Hopf points."""
    B = 1 + A * A
    return first_lyapunov_coefficient(library.brusselator(A, B), jnp.stack([A, B / A]), A)


def _closed_form(A):
    return -(2 + A * A) / (2 * A * (1 + 2 * A * A))


@pytest.mark.slow
def test_derivatives_along_a_curve_of_hopf_points():
    A = jnp.asarray(0.8)
    for ours, exact in (
        (jax.grad(_l1_of_brusselator), jax.grad(_closed_form)),
        (jax.jacfwd(jax.jacfwd(_l1_of_brusselator)), jax.hessian(_closed_form)),
    ):
        assert jax.jit(ours)(A) == pytest.approx(float(exact(A)), rel=1e-10)


def test_gradient_in_all_weights_of_a_gru():
    """Against central differences, in the system and in the state, around a point with a pair on the imaginary axis."""
    cell = GRUCell(0, 3, reset="after", key=jr.key(3))
    system, at = CellFlow(cell), jnp.array([0.1, -0.2, 0.3])
    spin = jnp.array([[2.4, -2.0, 0.0], [2.0, 2.4, 0.0], [0.0, 0.0, 0.0]])
    system = eqx.tree_at(lambda s: s.cell.U_c, system, cell.U_c + spin)
    # Damped or excited until the pair is critical, so that the matrix is singular.
    values, _ = eig(jacobian(system, at))
    pair = values[np.argmax(values.imag)]
    growth, omega = pair.real, jnp.asarray(pair.imag)

    def coefficient(parts):
        return first_lyapunov_coefficient(FunctionFlow(_shifted, (parts[0], growth)), parts[1], omega)

    gradient = eqx.filter_jit(eqx.filter_grad(coefficient))((system, at))
    rng = np.random.default_rng(0)
    leaves, tree = jax.tree.flatten(eqx.filter((system, at), eqx.is_inexact_array))
    direction = tree.unflatten([jnp.asarray(rng.standard_normal(leaf.shape)) for leaf in leaves])
    step = 1e-4

    def at_distance(t):
        moved = eqx.apply_updates((system, at), jax.tree.map(lambda d: t * d, direction))
        return float(coefficient(moved))

    difference = (8 * (at_distance(step) - at_distance(-step)) - (at_distance(2 * step) - at_distance(-2 * step))) / (
        12 * step
    )
    slope = sum(
        float(jnp.vdot(g, d)) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    )
    assert abs(slope) > 1e-3
    assert slope == pytest.approx(difference, rel=1e-7)


def _shifted(t, s, p):
    system, growth = p
    return system.velocity(s) - growth * s


@pytest.mark.parametrize("name", ["fold", "pitchfork", "flip", "neimark-sacker"])
def test_other_gradients(name):
    """In the state, against central differences; the critical matrix is singular at the point only."""
    system, at, function, _ = coefficient_of(name)
    gradient = jax.grad(lambda x: function(system, x))(at)
    step = 1e-4
    for k, unit in enumerate(np.eye(at.size)):
        f = [float(function(system, at + jnp.asarray(m * step * unit))) for m in (1, -1, 2, -2)]
        difference = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * step)
        assert float(gradient[k]) == pytest.approx(difference, rel=1e-7, abs=1e-7)


@eqx.filter_jit
@eqx.debug.assert_max_traces(max_traces=1)
def _batch(A):
    return jax.vmap(_l1_of_brusselator)(A)


def test_batches():
    for A in (np.array([0.5, 1.0, 2.0]), np.array([0.7, 1.1, 3.0])):
        np.testing.assert_allclose(_batch(jnp.asarray(A)), _closed_form(A), rtol=1e-11)
    r = jnp.array([3.0, 3.0])
    flips = jax.vmap(lambda r: flip_coefficient(library.logistic(r), 1 - 1 / r[None]))(r)
    np.testing.assert_allclose(flips, 9, rtol=1e-11)


# Errors ------------------------------------------------------------------------------------------


def test_wrong_kind_of_system_raises():
    with without_type_checks():
        with pytest.raises(TypeError, match="belongs to a flow; for a map use neimark_sacker_coefficient"):
            first_lyapunov_coefficient(library.henon(), jnp.zeros(2), 1.0)
        with pytest.raises(TypeError, match="belongs to a map; for a flow use first_lyapunov_coefficient"):
            neimark_sacker_coefficient(library.van_der_pol(), jnp.zeros(2), 1.0)
        with pytest.raises(TypeError, match="a flip belongs to a map"):
            flip_coefficient(library.van_der_pol(), jnp.zeros(2))
