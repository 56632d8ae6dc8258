"""Matrix-free continuation against dense linear algebra and closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from gru_dynamics import continue_fixed_points
from gru_dynamics.bifurcations import BranchPoint, Fold, Hopf, NeimarkSacker
from gru_dynamics.cells import GRUCell
from gru_dynamics.continuation import Dense, Krylov, Location, PseudoArclength, SpecialKind
from gru_dynamics.linalg._arnoldi import leading_eigenvalues
from gru_dynamics.systems import CellFlow, Family, FunctionFamily, FunctionFlow, FunctionMap, library


def _lam(system):
    return system.args["lam"]


def _s(system):
    return system.args["s"]


def _inverse_laplacian(v):
    """Solution of `(n+1)^2 (u_left - 2 u + u_right) = v` with zeros at both ends, by two sums."""
    n = v.size
    slope = jnp.concatenate([jnp.zeros((1,), v.dtype), jnp.cumsum(v)]) / (n + 1) ** 2
    u = jnp.cumsum(slope)
    return (u - u[-1] * jnp.arange(1, n + 2, dtype=v.dtype) / (n + 1))[:-1]


BRATU = Krylov(preconditioner=_inverse_laplacian, shift=1.0, num_eigenvalues=2, dimension=12)


def _points(branch):
    mask = np.asarray(branch.special_points.mask)
    return jax.tree.map(lambda x: np.asarray(x)[mask], branch.special_points)


@eqx.filter_jit
def _leading(A, start, num, rank, dimension):
    return leading_eigenvalues(
        lambda v: A @ v, start, num, rank, dimension=dimension, rtol=jnp.asarray(1e-11), max_restarts=60
    )


def _real(values):
    return values.real


@pytest.mark.parametrize(("rank", "of"), [(jnp.abs, np.abs), (_real, np.real)], ids=["modulus", "real"])
def test_eigenvalues_of_a_random_matrix(rank, of):
    """Seven of a real matrix whose eigenvalues fill a disc: the list cuts a pair for one of the two orders."""
    A = np.random.default_rng(3).normal(size=(150, 150)) / np.sqrt(150)
    truth = np.linalg.eigvals(A)
    truth = truth[np.lexsort((-truth.imag, -np.abs(truth.imag), -np.round(of(truth), 12)))]
    for num in (6, 7):
        values = np.asarray(
            _leading(jnp.asarray(A), jnp.asarray(np.random.default_rng(0).normal(size=150)), num, rank, 24)
        )
        np.testing.assert_allclose(values, truth[:num], atol=1e-9)


def test_eigenvalues_of_multiplicity_and_of_small_matrices():
    """Where the Krylov space ends early it is continued elsewhere."""
    diagonal = np.repeat([3.0, 2.0, -1.0], [1, 2, 57])
    start = jnp.asarray(np.random.default_rng(0).normal(size=60))
    values = np.asarray(_leading(jnp.diag(jnp.asarray(diagonal)), start, 4, _real, 12))
    np.testing.assert_allclose(values, [3, 2, 2, -1], atol=1e-12)
    small = np.random.default_rng(1).normal(size=(3, 3))
    values = np.asarray(_leading(jnp.asarray(small), start[:3], 4, jnp.abs, 12))
    np.testing.assert_allclose(np.sort_complex(values), np.sort_complex(np.linalg.eigvals(small)), atol=1e-12)


def _bratu_branch(n, solver, num_steps):
    family = Family(library.bratu(n), _lam)
    return continue_fixed_points(
        family, jnp.zeros(n), 1.0, mu_range=(0.5, 4.0), num_steps=num_steps, method=PseudoArclength(solver=solver),
        events=(Fold(),),
    )  # fmt: skip


def test_bratu_as_with_dense_solver():
    """Row by row, through the fold at which the Jacobian alone is singular."""
    free, dense = (_bratu_branch(63, solver, 100) for solver in (BRATU, Dense()))
    mask = np.asarray(dense.mask)
    np.testing.assert_array_equal(mask, free.mask)
    for name in ("mu", "state", "tangent"):
        np.testing.assert_allclose(
            np.asarray(getattr(free, name))[mask], np.asarray(getattr(dense, name))[mask], atol=1e-9
        )
    np.testing.assert_allclose(free.eigenvalues[mask], dense.eigenvalues[mask, :2], atol=1e-7)
    points = _points(free)
    assert points.kind.tolist() == [SpecialKind.FOLD]
    assert points.location.tolist() == [Location.CONVERGED]
    np.testing.assert_allclose(points.mu, 3.5133843732, atol=1e-9)
    assert np.isnan(points.coefficient).all()


def _bratu_fold(n):
    """Newton's method of numpy for `F = 0, F_x v = 0, c . v = 1`."""
    grid = np.arange(1, n + 1) / (n + 1)
    u, v, lam = 1.2 * np.sin(np.pi * grid), np.sin(np.pi * grid), 3.5
    c, zero = v / (v @ v), np.zeros((n, n))
    L = (n + 1) ** 2 * (np.eye(n, k=-1) - 2 * np.eye(n) + np.eye(n, k=1))
    for _ in range(8):
        e = np.exp(u)
        J = L + np.diag(lam * e)
        G = np.concatenate([L @ u + lam * e, J @ v, [c @ v - 1]])
        right = np.concatenate([e, e * v, [0]])[:, None]
        DG = np.hstack(
            [np.vstack([np.hstack([J, zero]), np.hstack([np.diag(lam * e * v), J]), np.append(0 * c, c)]), right]
        )
        step = np.linalg.solve(DG, -G)
        u, v, lam = u + step[:n], v + step[n : 2 * n], lam + step[-1]
    return lam, u


@pytest.mark.slow
def test_bratu_with_1023_unknowns():
    lam, u = _bratu_fold(1023)
    points = _points(_bratu_branch(1023, BRATU, 60))
    assert points.kind.tolist() == [SpecialKind.FOLD]
    np.testing.assert_allclose(points.mu, lam, atol=1e-9)
    np.testing.assert_allclose(points.state[0], u, atol=1e-5)


def _with_gain(system, gain):
    return eqx.tree_at(lambda s: s.cell.U_c, system, gain * system.cell.U_c)


@pytest.mark.slow
def test_gru_as_with_dense_solver():
    """A gated cell, whose residual is not its vector field; states and events against the dense solver."""
    cell = GRUCell(0, 24, key=jr.key(2))
    family = FunctionFamily(_with_gain, CellFlow(cell), 1.0)
    branches = [
        continue_fixed_points(
            family, jnp.zeros(24), 0.5, mu_range=(0.2, 9.0), num_steps=120,
            method=PseudoArclength(solver=solver), events=(Hopf(), Fold()),
        )
        for solver in (Krylov(num_eigenvalues=6, dimension=20), Dense())
    ]  # fmt: skip
    free, dense = branches
    mask = np.asarray(dense.mask)
    np.testing.assert_array_equal(mask, free.mask)
    np.testing.assert_allclose(np.asarray(free.state)[mask], np.asarray(dense.state)[mask], atol=1e-9)
    points, truth = _points(free), _points(dense)
    assert points.kind.tolist() == truth.kind.tolist() != []
    np.testing.assert_allclose(points.mu, truth.mu, atol=1e-8)
    np.testing.assert_allclose(points.omega, truth.omega, atol=1e-6)


def _rotated(h, p):
    """Pairs of units rotated into each other with gains `s c_i`, after single units with gains `s d_i`."""
    z, x, y = h[: p["d"].size], *h[p["d"].size :].reshape(2, -1)
    c, s = jnp.cos(p["theta"]), jnp.sin(p["theta"])
    gain = p["s"] * p["c"]
    return jnp.concatenate(
        [jnp.tanh(p["s"] * p["d"] * z), jnp.tanh(gain * (c * x - s * y)), jnp.tanh(gain * (s * x + c * y))]
    )


def _network(t, h, p):
    return _rotated(h, p) - h


@pytest.mark.slow
def test_network_of_2000_units():
    """A pitchfork at s = 1/d_1 and a Hopf point at s = 1/(c_1 cos theta), with the rest of the spectrum well inside."""
    theta = 0.7
    args = {
        "s": jnp.asarray(0.9), "theta": jnp.asarray(theta),
        "c": jnp.asarray([1.0, *np.linspace(0.1, 0.6, 949)]), "d": jnp.asarray([0.95, *np.linspace(-0.5, 0.5, 99)]),
    }  # fmt: skip
    family = Family(FunctionFlow(_network, args), _s)
    branch = continue_fixed_points(
        family, jnp.zeros(2000), 0.9, mu_range=(0.8, 1.5), num_steps=40,
        method=PseudoArclength(solver=Krylov(num_eigenvalues=3)), events=(Fold(), BranchPoint(), Hopf()),
    )  # fmt: skip
    points = _points(branch)
    assert points.kind.tolist() == [SpecialKind.BRANCH_POINT, SpecialKind.HOPF]
    np.testing.assert_allclose(points.mu, [1 / 0.95, 1 / np.cos(theta)], atol=1e-8)
    np.testing.assert_allclose(points.omega, [0, np.tan(theta)], atol=1e-8)
    assert points.location.tolist() == [Location.CONVERGED] * 2
    assert np.asarray(branch.unstable_dim)[np.asarray(branch.mask)].max() == 3


@pytest.mark.slow
def test_map_of_600_units():
    """Neimark-Sacker at s = 1 with angle theta: the step's eigenvalues, not those of its displacement."""
    args = {
        "s": jnp.asarray(0.7), "theta": jnp.asarray(0.7), "c": jnp.asarray([1.0, *np.linspace(0.1, 0.8, 249)]),
        "d": jnp.asarray(np.linspace(-0.5, 0.5, 100)),
    }  # fmt: skip
    family = Family(FunctionMap(_rotated, args), _s)
    branch = continue_fixed_points(
        family, jnp.zeros(600), 0.7, mu_range=(0.6, 1.2), num_steps=40,
        method=PseudoArclength(solver=Krylov(num_eigenvalues=2)), events=(NeimarkSacker(),),
    )  # fmt: skip
    points = _points(branch)
    assert points.kind.tolist() == [SpecialKind.NEIMARK_SACKER]
    np.testing.assert_allclose(points.mu, 1, atol=1e-8)
    np.testing.assert_allclose(points.omega, 0.7, atol=1e-8)


def test_arguments():
    with pytest.raises(ValueError, match="dimension must be at least"):
        Krylov(num_eigenvalues=30, dimension=32)
    with pytest.raises(ValueError, match="for flows"):
        Krylov(shift=1.0).spectrum(library.logistic(), jnp.zeros(1))
