"""Orthogonal updates for optax: against plain NumPy, known optima, and the laws their errors follow."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from gru_dynamics import linalg, optim

MODES = {
    "closed_loop": {},
    "exact": {"mode": "exact"},
    "rebased": {"mode": "rebased"},
    "qr": {"mode": "rebased", "retraction": linalg.retract_qr},
}
N = 6


@pytest.fixture(autouse=True)
def promotion_of_optax():
    """optax adds integers to floats inside, so strict promotion cannot be asked of what runs with it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def error(matrix):
    w = np.asarray(matrix, complex if np.iscomplexobj(matrix) else float)
    return np.linalg.norm(w.conj().T @ w - np.eye(w.shape[-1]), 2)


def loss(w, target):
    return jnp.sum((w - target) ** 2)


def train(transform, w, target, steps, keep=lambda w, state: w) -> Any:
    """Final W and state, and what `keep` makes of each step; one program."""

    @jax.jit
    def run(w, target):
        def step(carry: Any, _):
            w, state = carry
            updates, state = transform.update(jax.grad(loss)(w, target), state, w)
            w = optax.apply_updates(w, updates)
            return (w, state), keep(w, state)

        return jax.lax.scan(step, (w, transform.init(w)), None, length=steps)

    return run(w, target)


@pytest.fixture
def problem(getkey):
    """A start, and a target within reach of it: the same sign of the determinant, not the same matrix."""
    w = linalg.random_cayley(getkey(), N, 2, jnp.float64)
    turn = linalg.cayley(0.15 * linalg.skew_part(jr.normal(getkey(), (N, N))))
    return w, 3 * turn @ w + 0.1 * jr.normal(getkey(), (N, N))


@pytest.mark.parametrize("mode", MODES)
def test_orthogonal_procrustes(problem, mode):
    w, target = problem
    transform = optim.neumann_cayley(optax.sgd(0.02), signs=2, **MODES[mode])
    (w, state), errors = train(transform, w, target, 1500, lambda w, _: linalg.orthogonality_defect(w))
    u, _, vt = np.linalg.svd(target)
    assert np.linalg.det(u @ vt) == pytest.approx(np.linalg.det(w))
    assert loss(w, target) - loss(u @ vt, target) < 1e-10
    assert np.max(np.abs(errors)) < 1e-13
    assert state.leaves.refactorisations == 0


@pytest.mark.parametrize(
    ("num_negative", "mode", "tolerance"),
    # W follows A to the third power of a step, and what is left is not carried on.
    [(0, "exact", 1e-13), (3, "exact", 1e-13), (3, "closed_loop", 1e-5), (None, "closed_loop", 1e-5)],
)
def test_signs(problem, num_negative, mode, tolerance):
    w, target = problem
    if num_negative is not None:
        w = linalg.random_cayley(jr.key(1), N, num_negative, w.dtype)
    transform = optim.neumann_cayley(optax.sgd(0.02), signs=num_negative, mode=mode)
    (w, state), _ = train(transform, w, target, 20)
    np.testing.assert_allclose(linalg.cayley(state.leaves.skew, state.leaves.signs), w, atol=tolerance)
    if num_negative is not None:
        assert np.sum(state.leaves.signs == -1) == num_negative


def test_adam_keeps_the_skew_matrix_skew_to_the_last_bit(getkey):
    w, noise = linalg.random_cayley(getkey(), 4, 1, jnp.float32), jr.normal(getkey(), (97, 4, 4), jnp.float32)
    transform = optim.orthogonal_adam(1e-3)

    @jax.jit
    def run(w):
        def step(carry: tuple[Any, Any], i):
            w, state = carry
            updates, state = transform.update(noise[i % 97], state, w)
            moved: Any = (optax.apply_updates(w, updates), state)
            a = moved[1].leaves.skew
            return moved, (jnp.all(a == -a.T), jnp.max(jnp.abs(linalg.orthogonality_defect(moved[0]))))

        return jax.lax.scan(step, (w, transform.init(w)), jnp.arange(10_000, dtype=jnp.int32))[1]

    same, errors = run(w)
    assert np.all(same)
    assert np.max(errors) < 5e-7


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "limit"), [(jnp.float32, 1e-6), (jnp.float64, 1e-12)])
@pytest.mark.parametrize(("n", "steps"), [(118, 10_000), (512, 10_000)])
def test_ten_thousand_steps_of_adam(dtype, limit, n, steps):
    """`pytest -m slow tests/test_neumann_cayley.py`; minutes in float32, most of an hour for n = 512 in float64."""
    w = linalg.random_cayley(jr.key(0), n, n // 2, dtype)
    target = linalg.random_cayley(jr.key(1), n, n // 2, dtype)
    transform = optim.orthogonal_adam(1e-3)

    @jax.jit
    def block(carry: Any, keys):
        def step(carry: Any, key):
            w, state = carry
            x = jr.normal(key, (32, n), dtype)
            gradient = jax.grad(lambda w: jnp.mean((x @ (w - target)) ** 2))(w)
            updates, state = transform.update(gradient, state, w)
            return (optax.apply_updates(w, updates), state), None

        return jax.lax.scan(step, carry, keys)[0]

    carry: Any = (w, transform.init(w))
    worst = 0.0
    for keys in jr.split(jr.key(2), (100, steps // 100)):
        carry = block(carry, keys)
        worst = max(worst, error(carry[0]))
    print(f"n = {n}, {np.dtype(dtype).name}: ||W^T W - I||_2 at most {worst:.2e} in {steps} steps")
    assert worst < limit
    assert carry[1].leaves.refactorisations == 0


def algorithm_1(w, signs, target, rate, steps, reset_every=None):
    """Algorithm 1 of Mucllari et al. (2022) as printed, with plain gradient descent, in NumPy."""
    identity = np.eye(len(w))
    a = np.linalg.solve(identity + w * signs, identity - w * signs)
    x, ws, misfits = np.linalg.inv(identity + a), [], []
    for k in range(1, steps + 1):
        v = x.T @ (2 * (w - target)) @ (np.diag(signs) + w.T)
        da = rate * (v.T - v)
        a = a - da
        e = x @ da
        x = (identity + e + e @ e) @ x
        if reset_every and k % reset_every == 0:
            x = np.linalg.inv(identity + a)
        w = x @ (identity - a) @ np.diag(signs)
        ws.append(w)
        misfits.append(np.linalg.norm(identity - x @ (identity + a)))
    return np.array(ws), np.array(misfits)


@pytest.mark.parametrize("reset_every", [None, 7])
def test_paper_mode_is_algorithm_1(problem, reset_every):
    w, target = problem
    transform = optim.neumann_cayley(optax.sgd(0.01), signs=2, mode="paper", reset_every=reset_every)
    (_, state), found = train(transform, w, target, 30, lambda w, state: (w, state.leaves.residual))
    signs = np.asarray(linalg.cayley_signs(N, 2, w.dtype))
    ws, misfits = algorithm_1(np.asarray(w), signs, np.asarray(target), 0.01, 30, reset_every)
    np.testing.assert_allclose(found[0], ws, atol=1e-12)
    np.testing.assert_allclose(found[1], misfits, atol=1e-12)
    if reset_every is None:
        # Open loop: the error of early steps is there at the end.
        assert misfits[-1] > 0.9 * misfits.max() > 1e-5
    assert state.leaves.refactorisations == 0


def test_open_loop_drift_law(getkey):
    """R_t = E^3 + (I + E + E^2) R_(t-1), E = X dA, for steps that the gradient has no part in."""
    identity = np.eye(N)
    a = np.asarray(linalg.skew_part(jr.normal(getkey(), (N, N))))
    x, left = np.linalg.inv(identity + a), np.zeros((N, N))
    for key in jr.split(getkey(), 20):
        da = np.asarray(0.05 * linalg.skew_part(jr.normal(key, (N, N))))
        e = x @ da
        left = np.linalg.matrix_power(e, 3) + (identity + e + e @ e) @ left
        x, a = np.asarray(linalg.neumann_step(jnp.asarray(x), jnp.asarray(da))), a - da
        np.testing.assert_allclose(identity - x @ (identity + a), left, atol=1e-14)


def test_tolerance_of_paper_mode_resets(problem):
    w, target = problem
    transform = optim.neumann_cayley(optax.sgd(0.01), mode="paper", tol=1e-5)
    (w, state), residuals = train(transform, w, target, 60, lambda _, state: state.leaves.residual)
    assert np.max(residuals) <= 1e-5
    assert state.leaves.refactorisations > 0


def test_released_mode_drifts(problem):
    w, target = problem
    adam = optax.adam(1e-2)
    released = optim.neumann_cayley(adam, mode="released", learning_rate=1e-2, reset_every=49)
    (_, _), drift = train(released, w, target, 48, lambda w, _: jnp.max(jnp.abs(linalg.orthogonality_defect(w))))
    assert drift[-1] > 1e-2


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("mode", ["closed_loop", "rebased"])
def test_steps_too_long_for_the_series(getkey, mode, dtype):
    w = linalg.random_cayley(getkey(), 40, 20, dtype)
    target = jr.normal(getkey(), (40, 40), dtype)
    transform = optim.neumann_cayley(optax.adam(0.3), mode=mode)
    (_, state), errors = train(transform, w, target, 20, lambda w, _: jnp.max(jnp.abs(linalg.orthogonality_defect(w))))
    assert np.max(errors) < 20 * jnp.finfo(dtype).eps
    assert state.leaves.refactorisations > 0


def test_the_state_is_in_charge(problem):
    w, target = problem
    transform = optim.neumann_cayley(optax.sgd(0.01))
    state: Any = transform.init(w)
    updates, _ = transform.update(jax.grad(loss)(w, target), state, w + 0.3)
    assert error(w + 0.3 + updates) < 1e-14


# With the rest of optax and JAX ---------------------------------------------------------------------


class Layer(eqx.Module):
    U: jax.Array
    b: jax.Array

    @property
    def constraints(self):
        return {"U": linalg.Orthogonal(num_negative=1)}


class Net(NamedTuple):
    layers: list[Layer]
    scale: jax.Array


def net(key, shape=()):
    keys = jr.split(key, (*shape, 2))
    make = lambda k: linalg.random_cayley(k, 4, 1, jnp.float64)  # noqa: E731
    for _ in shape:
        make = jax.vmap(make)
    return Net([Layer(make(keys[..., i]), jnp.ones((*shape, 4))) for i in range(2)], jnp.ones(shape))


def net_loss(model):
    x = jnp.ones(4)
    for layer in model.layers:
        x = jnp.tanh(layer.U @ x + layer.b)
    return model.scale * jnp.sum(x**3) + 0.1 * model.scale**2


def descend(transform, model, steps=5) -> Any:
    """Five steps in one program."""

    def step(carry: Any, _):
        model, state = carry
        updates, state = transform.update(jax.grad(net_loss)(model), state, model)
        return (optax.apply_updates(model, updates), state), None

    return jax.lax.scan(step, (model, transform.init(model)), None, length=steps)[0]


def test_constrained_drives_each_leaf_by_its_kind(getkey):
    model = net(getkey())
    found, _ = jax.jit(lambda m: descend(optim.constrained(optax.adam(0.01), m), m))(model)
    plain, _ = jax.jit(lambda m: descend(optax.adam(0.01), m, 1))(model)
    one, _ = jax.jit(lambda m: descend(optim.constrained(optax.adam(0.01), m), m, 1))(model)
    np.testing.assert_array_equal(one.scale, plain.scale)
    np.testing.assert_array_equal(one.layers[1].b, plain.layers[1].b)
    assert set(optim.orthogonal_leaves(found)) == {".layers[0].U", ".layers[1].U"}
    for matrix in optim.orthogonal_leaves(found).values():
        assert error(matrix) < 2e-13
        assert np.linalg.det(matrix) == pytest.approx(-1)
    assert error(plain.layers[0].U) > 1e-6
    labels = optim.constraint_labels(model)
    assert labels.scale == "free"
    assert labels.layers[0].U != labels.layers[0].b == "free"


@pytest.mark.parametrize("name", ["chain", "schedule", "multi_steps", "masked", "finite"])
def test_inside_other_transformations(getkey, name):
    model = net(getkey())
    inner = optim.constrained(optax.sgd(0.05), model)
    is_u = jax.tree.map(lambda label: label != "free", optim.constraint_labels(model))
    transform = {
        "chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), inner),
        "schedule": lambda: optim.constrained(optax.adam(optax.cosine_decay_schedule(0.05, 5)), model),
        "multi_steps": lambda: optax.MultiSteps(inner, 2),
        "masked": lambda: optax.masked(optim.orthogonal_adam(0.05), is_u),
        "finite": lambda: optax.apply_if_finite(inner, 3),
    }[name]()
    found, _ = jax.jit(lambda m: descend(transform, m))(model)
    for before, after in zip(model.layers, found.layers, strict=True):
        assert error(after.U) < 2e-13
        assert not np.array_equal(after.U, before.U)


def test_one_ensemble_is_its_members(getkey):
    models = net(getkey(), (3,))
    transform = optim.constrained(optax.adam(0.05), models)
    together, _ = jax.jit(jax.vmap(lambda m: descend(transform, m)))(models)
    alone, _ = jax.jit(lambda m: descend(transform, m))(jax.tree.map(lambda leaf: leaf[1], models))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-13), together, alone)


@pytest.mark.parametrize("options", [{}, {"mode": "paper", "tol": 1e-3, "reset_every": 50}], ids=["closed", "paper"])
def test_no_inverse_is_computed_under_vmap_unless_one_is_needed(getkey, options):
    transform = optim.orthogonal_adam(0.01, **options)
    w = jnp.stack([linalg.random_cayley(key, 4, 1, jnp.float64) for key in jr.split(getkey(), 3)])
    state = jax.vmap(transform.init)(w)
    text = str(jax.make_jaxpr(jax.vmap(transform.update))(w, state, w))
    # The LU decomposition stands inside a branch that a single flag of the whole batch opens.
    before, inside = text.split("cond[", 1)
    assert "lu" not in before.split()
    assert "lu[" in inside or "lu_" in inside or "LU" in inside


def test_batched_leaf_is_its_matrices(getkey):
    w = jnp.stack([linalg.random_cayley(key, 4, 1, jnp.float64) for key in jr.split(getkey(), 3)])
    target = jr.normal(getkey(), (3, 4, 4))
    transform = optim.orthogonal_adam(0.01)
    (together, _), _ = train(transform, w, target, 5)
    (alone, _), _ = train(transform, w[2], target[2], 5)
    np.testing.assert_allclose(together[2], alone, atol=1e-14)


def test_unitary(getkey):
    z = jax.lax.complex(jr.normal(getkey(), (5, 5)), jr.normal(getkey(), (5, 5)))
    a = 0.3 * linalg.skew_part(z)
    w, target = linalg.cayley(a), 3 * linalg.cayley(0.8 * a.T)
    transform = optim.neumann_cayley(optax.sgd(0.02))

    @jax.jit
    def run(w):
        def step(carry, _):
            w, state = carry
            gradient = jax.grad(lambda w: jnp.sum(jnp.abs(w - target) ** 2))(w).conj()
            updates, state = transform.update(gradient, state, w)
            return (optax.apply_updates(w, updates), state), None

        return jax.lax.scan(step, (w, transform.init(w)), None, length=800)[0]

    w, _ = run(w)
    assert error(w) < 1e-13
    u, s, vt = np.linalg.svd(target)
    np.testing.assert_allclose(np.real(np.vdot(w, target)), s.sum(), atol=1e-8)
    np.testing.assert_allclose(w, u @ vt, atol=1e-6)


# Bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inner", "matrix", "options", "kind", "words"),
    [
        (optax.adam(0.1), jnp.ones((3, 4)), {}, ValueError, "square"),
        (optax.adam(0.1), jnp.ones(3), {}, ValueError, "square"),
        (optax.adam(0.1), 1.01 * jnp.eye(3), {}, RuntimeError, "not orthogonal"),
        (optax.adam(0.1), jnp.full((3, 3), jnp.nan), {}, RuntimeError, "not orthogonal"),
        (optax.adam(0.1), jnp.eye(3, dtype=jnp.bfloat16), {}, TypeError, "float32"),
        (optax.adam(0.1), jnp.eye(3, dtype=jnp.int32), {}, TypeError, "float32"),
        (optax.adam(0.1), jnp.eye(3), {"signs": jnp.ones(4)}, ValueError, "do not fit"),
        (optax.adam(0.1), jnp.eye(3), {"signs": 4}, ValueError, "from 0 to 3"),
        (optax.adamw(0.1), jnp.eye(3), {}, ValueError, "weight decay"),
        (optax.noisy_sgd(0.1, key=0), jnp.eye(3), {}, ValueError, "noise"),
        (optax.chain(optax.keep_params_nonnegative(), optax.sgd(0.1)), jnp.eye(3), {}, ValueError, "skew"),
    ],
)
def test_bad_starts(inner, matrix, options, kind, words):
    with pytest.raises(kind, match=words):
        optim.neumann_cayley(inner, **options).init({"U": matrix})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "cayley"}, "closed_loop"),
        ({"order": 0}, "1 or more"),
        ({"reset_every": 0}, "from 1 up"),
        ({"mode": "released"}, "needs it"),
        ({"learning_rate": 0.1}, "no other mode"),
        ({"retraction": linalg.retract_qr}, "rebased"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        optim.neumann_cayley(optax.sgd(0.1), **options)


def test_update_without_parameters():
    transform = optim.neumann_cayley(optax.sgd(0.1))
    state = transform.init(jnp.eye(3))
    with pytest.raises(ValueError, match="give the parameters"):
        transform.update(jnp.eye(3), state)


def test_nothing_to_constrain():
    with pytest.raises(ValueError, match="declares no orthogonal matrix"):
        optim.constrained(optax.adam(0.1), {"w": jnp.eye(3)}, mode="exact")
