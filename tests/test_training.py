"""Training: known optima, hand-computed truncation, interruption, failure, lanes. Truths are closed forms."""

import json
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from gru_dynamics import RESULTS
from gru_dynamics.cells import ElmanCell, GRUCell, LSTMCell, StackedCell
from gru_dynamics.linalg import Orthogonal
from gru_dynamics.training import (
    Dropout,
    SequenceModel,
    TrainingError,
    _drive,
    evaluate,
    fit,
    fit_many,
    orthogonality_drift,
)


def _explode(count):
    return jnp.where(count == 7, jnp.inf, 1.0).astype(jnp.float32)


# Made once: a new transformation is a new program to compile.
ADAM = optax.adam(1e-2)
EXPLODING = optax.chain(ADAM, optax.scale_by_schedule(_explode))
CLIMB = optax.sgd(-0.05)


class Batch(eqx.Module):
    inputs: jax.Array
    targets: jax.Array
    weights: jax.Array
    start: jax.Array


class Echo(eqx.Module):
    """y_t = x_{t-1} + noise, generated; squared error."""

    length: int = 6
    poison: int = -1  # from this step on the targets are nan
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)
    tokens: bool = eqx.field(static=True, default=False)
    carries_state: bool = eqx.field(static=True, default=False)

    def batch(self, key, step, batch_size):
        # Random enough, and much quicker to compile than a generator.
        number = jr.key_data(key).astype(jnp.float64).sum() % 997 + 0.1 * jnp.asarray(step, float)
        x = jnp.sin(number + jnp.arange(1.0, batch_size * self.length + 1) ** 2).reshape(batch_size, self.length, 1)
        y = jnp.roll(x, 1, axis=1).at[:, 0].set(0.0)
        y = jnp.where((self.poison >= 0) & (step >= self.poison), jnp.full_like(y, jnp.nan), y)
        return Batch(x, y, jnp.ones(x.shape[:2]), jnp.array(True))

    def loss(self, outputs, batch):
        return jnp.mean((outputs - batch.targets) ** 2)

    def metrics(self, outputs, batch):
        return {"mse": self.loss(outputs, batch), "perplexity": jnp.exp(self.loss(outputs, batch))}

    def steps_per_epoch(self, batch_size):
        return None


class Record(eqx.Module):
    """One long real record (B, N), cut into windows of T; the state is carried from window to window."""

    record: jax.Array
    target: jax.Array
    window: int = eqx.field(static=True)
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)
    tokens: bool = eqx.field(static=True, default=False)
    carries_state: bool = eqx.field(static=True, default=True)

    def batch(self, key, step, batch_size):
        number = step % self.steps_per_epoch(batch_size)
        cut = lambda a: jax.lax.dynamic_slice_in_dim(a, number * self.window, self.window, 1)  # noqa: E731
        x = cut(self.record)
        return Batch(x[..., None], cut(self.target)[..., None], jnp.ones(x.shape), number == 0)

    def loss(self, outputs, batch):
        return jnp.mean((outputs - batch.targets) ** 2)

    def metrics(self, outputs, batch):
        return {"mse": self.loss(outputs, batch)}

    def steps_per_epoch(self, batch_size):
        return self.record.shape[1] // self.window


class Turner(eqx.Module):
    """A cell-like part with two declared orthogonal matrices."""

    U: jax.Array
    V: jax.Array

    @property
    def constraints(self):
        return {"U": Orthogonal(0), "V": Orthogonal(1)}


def small(key, hidden=4, dtype=jnp.float32):
    cell_key, model_key = jr.split(key)
    return SequenceModel(ElmanCell(1, hidden, dtype=dtype, key=cell_key), 1, key=model_key)


def equal(a, b):
    a, b = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (a, b))
    return len(a) == len(b) and all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b, strict=True)
    )


# The model ---------------------------------------------------------------------------------------


def test_model_is_the_cell_in_a_loop(getkey):
    cell = StackedCell([LSTMCell(3, 4, key=getkey()), GRUCell(4, 2, key=getkey())])
    model = SequenceModel(cell, 5, key=getkey())
    x = jr.normal(getkey(), (6, 3))
    outputs, last = eqx.filter_jit(model)(x)

    @eqx.filter_jit
    def by_hand(x):
        state, expected = jnp.zeros(cell.state_size), []
        for row in x:
            state = cell(state, row)
            expected.append(model.weight @ cell.output(state) + model.bias)
        return jnp.stack(expected), state

    np.testing.assert_allclose(outputs, by_hand(x)[0], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(last, by_hand(x)[1], rtol=1e-13)
    first, middle = eqx.filter_jit(model)(x[:2])
    rest = eqx.filter_jit(model)(x[2:], middle)[0]
    np.testing.assert_allclose(jnp.concatenate([first, rest]), outputs, rtol=1e-13, atol=1e-15)


def test_embedding_and_tied_weights(getkey):
    cell = GRUCell(4, 4, key=getkey(), dtype=jnp.float32)
    model = SequenceModel(cell, 7, vocabulary=7, tie_weights=True, key=getkey())
    symbols = jnp.array([0, 6, 3])
    plain = eqx.tree_at(
        lambda m: (m.embedding, m.weight), model, (None, model.embedding), is_leaf=lambda leaf: leaf is None
    )
    np.testing.assert_allclose(model(symbols)[0], plain(model.embedding[symbols])[0], rtol=1e-6)
    assert model(symbols)[0].dtype == jnp.float32
    assert sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))) == 7 * 4 + 7 + 3 * (32 + 4)


def test_dropout_keeps_the_mean_of_linear_maps(getkey):
    """Three of four units pass, scaled so that the mean over masks of what is linear behind them stays."""
    below = ElmanCell(1, 400, key=getkey())
    above = ElmanCell(400, 1, activation=_same, activation_range=None, key=getkey())
    model = SequenceModel(StackedCell([below, above]), 1, dropout=Dropout(between=0.25), key=getkey())
    x, keys = jnp.ones((2, 1)), jr.split(getkey(), 500)
    many = eqx.filter_jit(jax.vmap(lambda key: model(x, key=key)[0][:, 0]))(keys)
    bound = 5 * np.asarray(many.std(axis=0)) / math.sqrt(500)
    assert (bound > 0).all()
    assert (abs(many.mean(axis=0) - model(x)[0][:, 0]) < bound).all()
    # One unit that passes its input on, then the readout y = 1 s: what is dropped of the input and of the output.
    line = ElmanCell(1, 1, activation=_same, activation_range=None, key=getkey())
    line = eqx.tree_at(lambda c: (c.W, c.U, c.b), line, (jnp.ones((1, 1)), jnp.zeros((1, 1)), jnp.zeros(1)))
    for place in ("input", "output"):
        model = SequenceModel(line, 1, dropout=Dropout(**{place: 0.25}), key=getkey())
        model = eqx.tree_at(lambda m: m.weight, model, jnp.ones((1, 1)))
        values = np.asarray(eqx.filter_jit(jax.vmap(lambda key, m=model: m(x, key=key)[0][:, 0]))(keys))
        assert np.unique(values.round(12)).tolist() == [0.0, round(4 / 3, 12)]
        assert abs((values == 0).mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 1000)
        assert (values[:, 0] != values[:, 1]).any()


def _same(x):
    return x


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda c: SequenceModel(c, 3, tie_weights=True, key=jr.key(0)), "tied weights"),
        (lambda c: SequenceModel(c, 3, dropout=1.0, key=jr.key(0)), "below 1"),
        (lambda c: SequenceModel(c, 3, key=jr.key(0))(jnp.zeros(4, int)), "real inputs"),
        (lambda c: SequenceModel(c, 3, vocabulary=3, key=jr.key(0))(jnp.zeros((4, 2))), "symbols"),
    ],
)
def test_bad_models(make, words):
    with pytest.raises(ValueError, match=words):
        make(GRUCell(2, 3, key=jr.key(0)))


# Learning ----------------------------------------------------------------------------------------


def test_least_squares_optimum(getkey):
    """A linear cell h' = x without memory (U = 0 is kept by freezing) and least squares: y = w x + b.

    With targets y_t = x_{t-1} independent of x_t the optimum is w = b = 0 with loss (T - 1) / T.
    """
    task = Echo(length=5)
    model = small(getkey())
    _, log = fit(model, task, ADAM, steps=300, batch_size=32, key=getkey(), block=100)
    assert log.loss.dtype == jnp.float32
    assert log.loss.shape == (300,)
    assert float(log.loss[-20:].mean()) < 0.5 * float(log.loss[:20].mean())
    assert log.result == RESULTS.successful


def test_sgd_reaches_the_closed_form(getkey):
    """Readout only, on fixed features: full-batch gradient descent goes to the normal equations."""
    key = getkey()
    x = jr.normal(key, (8, 12))
    y = 0.5 * x + jr.normal(getkey(), (8, 12)) - 1.0
    task = Record(x, y, window=12)
    cell = ElmanCell(1, 2, key=getkey(), activation=_same, activation_range=None)
    cell = eqx.tree_at(lambda c: (c.W, c.U), cell, (jnp.ones((2, 1)), jnp.diag(jnp.array([0.5, -0.5]))))
    model = SequenceModel(cell, 1, key=getkey())
    only = jax.tree.map(lambda _: "still", eqx.filter(model, eqx.is_inexact_array))
    only = eqx.tree_at(lambda m: (m.weight, m.bias), only, ("moves", "moves"))
    optim = optax.multi_transform({"still": optax.set_to_zero(), "moves": optax.sgd(0.1)}, lambda _: only)
    trained, log = fit(model, task, optim, steps=3000, batch_size=8, key=getkey(), block=1000)
    zero = eqx.tree_at(lambda m: (m.weight, m.bias), model, (jnp.eye(2)[:1], jnp.zeros(1)))
    one = eqx.tree_at(lambda m: m.weight, zero, jnp.eye(2)[1:])
    features = [jax.vmap(lambda s: m(s)[0])(x[..., None]).ravel() for m in (zero, one)]  # noqa: B023
    matrix = np.stack([*features, np.ones(x.size)], axis=1)
    solution, residual, *_ = np.linalg.lstsq(matrix, np.asarray(y).ravel(), rcond=None)
    np.testing.assert_allclose(trained.weight[0], solution[:2], rtol=1e-8)
    np.testing.assert_allclose(trained.bias[0], solution[2], rtol=1e-8)
    np.testing.assert_allclose(log.loss[-1], residual[0] / x.size, rtol=1e-10)
    assert float(log.grad_norm[0]) > 0
    assert equal(trained.cell, model.cell)


def test_gradient_norm_and_first_step_by_hand(getkey):
    model, task, key = small(getkey(), dtype=jnp.float64), Echo(), getkey()
    trained, log = fit(model, task, optax.sgd(0.1), steps=1, batch_size=3, key=key)
    batch = task.batch(jr.split(key, 3)[0], 0, 3)
    value, grads = eqx.filter_value_and_grad(lambda m: task.loss(jnp.stack([m(x)[0] for x in batch.inputs]), batch))(
        model
    )
    np.testing.assert_allclose(log.loss[0], value, rtol=1e-12)
    leaves = jax.tree.leaves(grads)
    np.testing.assert_allclose(log.grad_norm[0], math.sqrt(sum(float((g**2).sum()) for g in leaves)), rtol=1e-12)
    for new, old, grad in zip(jax.tree.leaves(trained), jax.tree.leaves(model), leaves, strict=True):
        np.testing.assert_allclose(new, old - 0.1 * grad, rtol=1e-9, atol=1e-14)


def test_truncated_backpropagation_by_hand(getkey):
    """Without updates the windows' losses are those of the long sequence, and the state starts anew at each pass."""
    x, y = jr.normal(getkey(), (2, 12)), jr.normal(getkey(), (2, 12))
    task, model = Record(x, y, window=4), small(getkey(), dtype=jnp.float64)
    _, log = fit(model, task, optax.set_to_zero(), steps=6, batch_size=2, key=getkey(), block=2)
    outputs = jax.vmap(lambda s: model(s)[0])(x[..., None])[..., 0]
    by_window = ((outputs - y) ** 2).reshape(2, 3, 4).mean(axis=(0, 2))
    np.testing.assert_allclose(log.loss, jnp.tile(by_window, 2), rtol=1e-12)
    # The gradient of a window does not reach into the windows before it.
    state = jax.vmap(lambda s: model(s)[1])(x[:, :4, None])
    grads = eqx.filter_grad(
        lambda m: ((jax.vmap(lambda s, h: m(s, h)[0])(x[:, 4:8, None], state)[..., 0] - y[:, 4:8]) ** 2).mean()
    )(model)
    np.testing.assert_allclose(log.grad_norm[1], optax.tree.norm(grads), rtol=1e-12)
    found = evaluate(model, task, key=getkey(), batch_size=2)
    np.testing.assert_allclose(found["mse"], by_window.mean(), rtol=1e-12)


def test_evaluation_weights(getkey):
    """Batches count by their weights, and the perplexity is the exponential of the mean."""

    losses, sizes = jnp.array([1.0, 3.0, jnp.nan]), jnp.array([1.0, 4.0, 0.0])

    class Fixed(eqx.Module):
        carries_state: bool = False

        def batch(self, key, step, batch_size):
            weights = jnp.full((batch_size,), sizes[step])
            return Batch(jnp.zeros((batch_size, 2, 1)), jnp.full((), losses[step]), weights, jnp.array(True))

        def loss(self, outputs, batch):
            return batch.targets + 0 * outputs.sum()

        def metrics(self, outputs, batch):
            return {"nll": self.loss(outputs, batch), "perplexity": jnp.exp(self.loss(outputs, batch))}

    found = evaluate(small(getkey(), dtype=jnp.float64), Fixed(), key=getkey(), batch_size=2, num_batches=3)
    np.testing.assert_allclose(found["loss"], (1 + 4 * 3) / 5, rtol=1e-14)
    np.testing.assert_allclose(found["perplexity"], math.exp((1 + 4 * 3) / 5), rtol=1e-14)


# The loop ----------------------------------------------------------------------------------------


def test_one_program_for_all_blocks(getkey):
    traces = []

    class Counting(eqx.Module):
        task: Echo
        carries_state: bool = False

        def batch(self, key, step, batch_size):
            traces.append(0)
            return self.task.batch(key, step, batch_size)

        def loss(self, outputs, batch):
            return self.task.loss(outputs, batch)

    fit(small(getkey()), Counting(Echo()), optax.adam(1e-3), steps=25, batch_size=2, key=getkey(), block=10)
    assert len(traces) == 1


def test_drift_of_declared_matrices(getkey):
    part = Turner(jnp.eye(3), jnp.diag(jnp.array([1.0, 1.0, -1.0])))
    drift = {name: float(value) for name, value in orthogonality_drift([part]).items()}
    assert drift == pytest.approx({"[0].U": 0, "[0].V": 0}, abs=1e-15)
    scaled = eqx.tree_at(lambda p: p.U, part, 2 * jnp.eye(3))
    np.testing.assert_allclose(orthogonality_drift(scaled)["U"], 3.0)

    class Turning(eqx.Module):
        turner: Turner
        inner: SequenceModel

        def __call__(self, inputs, state=None, *, key=None):
            outputs, state = self.inner(inputs, state)
            return outputs * self.turner.U[:1, :1] * self.turner.V[:1, :1], state

        def initial_state(self):
            return self.inner.initial_state()

    model = Turning(part, small(getkey(), dtype=jnp.float64))
    trained, log = fit(model, Echo(), optax.sgd(0.1), steps=5, batch_size=4, key=getkey(), block=2)
    assert log.drift_step.tolist() == [2, 4, 5]
    expected = np.linalg.norm(np.asarray(trained.turner.U.T @ trained.turner.U) - np.eye(3), 2)
    np.testing.assert_allclose(log.drift["turner.U"][-1], expected, rtol=1e-12)
    assert expected > 0


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_failure_keeps_the_last_good_model(where, getkey, tmp_path):
    model, key = small(getkey()), getkey()
    if where == "loss":
        task, optim = Echo(poison=7), ADAM
    else:
        # The eighth update overflows; loss and gradient before it are finite.
        task, optim = Echo(), EXPLODING
    stopped, log = fit(model, task, optim, steps=50, batch_size=4, key=key, block=10, out=tmp_path)
    assert log.result == RESULTS.training_diverged
    assert int(log.failed_step) == 8
    assert log.loss.shape == (8,)
    assert log.taken.tolist() == [True] * 7 + [False]
    good, _ = fit(model, task, optim, steps=7, batch_size=4, key=key, block=10)
    assert equal(stopped, good)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 8
    again, same = fit(model, task, optim, steps=50, batch_size=4, key=key, block=10, out=tmp_path, resume=True)
    assert equal(again, stopped)
    assert equal(same, log)


def test_early_stop_returns_the_best(getkey):
    """A diverging learning rate of constant sign: validation is best at first and then only worse."""
    model, key = small(getkey()), getkey()
    options: dict[str, Any] = {"batch_size": 8, "key": key, "block": 5, "validation": Echo(), "validation_batches": 2}
    best, log = fit(model, Echo(), CLIMB, steps=200, patience=3, **options)
    assert log.result == RESULTS.stopped_early
    assert log.validation_step.tolist() == [5, 10, 15, 20]
    assert int(log.best_step) == 5
    assert log.loss.shape == (20,)
    short, _ = fit(model, Echo(), CLIMB, steps=5, **options)
    assert equal(best, short)
    assert float(log.validation["loss"][0]) < float(log.validation["loss"][-1])


# Interruption ------------------------------------------------------------------------------------


def run_whole(out, key, **options):
    """A run with everything that has a state: carried states, Adam, dropout, validation."""
    x = jr.normal(jr.key(5), (2, 24)).astype(jnp.float32)
    task = Record(x, jnp.roll(x, 1, axis=1), window=4)
    cell = StackedCell([ElmanCell(size, 3, key=jr.key(size), dtype=jnp.float32) for size in (1, 3)])
    model = SequenceModel(cell, 1, dropout=0.2, key=jr.key(3))
    plan = {"steps": 23, "batch_size": 2, "block": 5, "validation": task, "validate_every": 4} | options
    return fit(model, task, ADAM, key=key, out=out, **plan)


def test_resume_is_bit_exact(tmp_path, monkeypatch):
    key = jr.key(7)
    whole, log = run_whole(tmp_path / "whole", key)
    text = (tmp_path / "whole/log.jsonl").read_bytes()
    assert log.loss.shape == (23,)
    true_block, true_validate = _drive.train_block, _drive.validate
    for number, target in enumerate(["train_block", "validate", "train_block", "validate"]):
        out, calls = tmp_path / str(number), []

        function = true_block if target == "train_block" else true_validate

        def interrupting(*args, function=function, calls=calls, number=number):
            calls.append(0)
            if len(calls) == number + 2:
                raise KeyboardInterrupt
            return function(*args)

        monkeypatch.setattr(_drive, target, interrupting)
        _, part = run_whole(out, key)
        monkeypatch.setattr(_drive, "train_block", true_block)
        monkeypatch.setattr(_drive, "validate", true_validate)
        assert part.result == RESULTS.interrupted
        assert 0 < part.loss.size < 23
        assert text.startswith((out / "log.jsonl").read_bytes())
        with (out / "log.jsonl").open("ab") as file:
            file.write(b'{"step": 99, "lo')  # what a killed process may leave behind
        resumed, rest = run_whole(out, key, resume=True)
        assert equal(resumed, whole)
        assert equal(rest, log)
        assert (out / "log.jsonl").read_bytes() == text
        assert sorted(file.name for file in out.iterdir()) == ["checkpoint.safetensors", "log.jsonl"]
    assert (tmp_path / "0/checkpoint.safetensors").read_bytes() == (
        tmp_path / "whole/checkpoint.safetensors"
    ).read_bytes()


def test_checkpoints_on_the_way(tmp_path, monkeypatch):
    """A process that dies without a word loses no more than `checkpoint_every` steps."""
    saved = []
    monkeypatch.setattr(_drive, "save_checkpoint", lambda path, session, setup: saved.append(session.step))
    run_whole(tmp_path, jr.key(0), checkpoint_every=8)
    assert saved == [8, 16, 23]


def test_resume_names_what_differs(tmp_path):
    key = jr.key(1)
    fit(small(key), Echo(), ADAM, steps=2, batch_size=2, key=key, out=tmp_path)

    def go_on(model=None, task=None, optim=None, key=key, batch_size=2, out=tmp_path, resume=True):
        model, task, optim = model or small(jr.key(1)), task or Echo(), optim or ADAM
        fit(model, task, optim, steps=4, batch_size=batch_size, key=key, out=out, resume=resume)

    for words, options in [
        (r"cell\.U: float32\[4, 4\] there, float32\[5, 5\] here", {"model": small(key, 5)}),
        (r"\.mu.* is missing here", {"optim": optax.sgd(1e-2)}),
        (r"trace.* is missing there", {"optim": optax.sgd(1e-2, momentum=0.9)}),
        (r"task: Echo\(\) there, Echo\(length=7\) here", {"task": Echo(7)}),
        ("key: .* there", {"key": jr.key(2)}),
        ("batch_size: 2 there, 3 here", {"batch_size": 3}),
        ("no such file", {"out": tmp_path / "absent"}),
        ("a run is there already", {"resume": False}),
    ]:
        with pytest.raises(TrainingError, match=words):
            go_on(**options)
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(TrainingError, match=r"log\.jsonl.*expected the 2 rows"):
        go_on()
    (tmp_path / "checkpoint.safetensors").write_bytes(b"no checkpoint at all")
    with pytest.raises(TrainingError, match="not a readable"):
        go_on()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"patience": 2}, "patience needs"),
        ({"resume": True}, "resume needs"),
    ],
)
def test_bad_settings(options, words):
    plan = {"optim": optax.adam(1e-3), "steps": 1, "batch_size": 2, "key": jr.key(0)} | options
    with pytest.raises(TrainingError, match=words):
        fit(small(jr.key(0)), Echo(), **plan)


# Many runs ---------------------------------------------------------------------------------------


def test_lanes_are_separate_runs(getkey):
    keys = jr.split(getkey(), 3)
    models = eqx.filter_vmap(lambda key: small(key, dtype=jnp.float64))(keys)
    # The second lane overflows in its first update.
    rates = jnp.array([1e-2, jnp.inf, 1e-3])
    many, log = fit_many(models, Echo(), optax.sgd, hypers=rates, keys=keys, steps=12, batch_size=4, block=5)
    assert log.loss.shape == (3, 12)
    assert log.failed_step.tolist() == [0, 1, 0]
    assert log.taken.all(axis=1).tolist() == [True, False, True]
    assert (log.result == RESULTS.training_diverged).tolist() == [False, True, False]
    model, plan = jax.tree.map(lambda leaf: leaf[2], models), {"steps": 12, "batch_size": 4, "key": keys[2]}
    one, alone = fit(model, Echo(), optax.sgd(1e-3), **plan)
    np.testing.assert_allclose(log.loss[2], alone.loss, rtol=1e-10)
    for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a[2], b, rtol=1e-9, atol=1e-12)
    for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(models), strict=True):
        np.testing.assert_array_equal(a[1], b[1])


def test_lanes_resume_and_stop_apart(getkey, tmp_path):
    keys = jr.split(jr.key(3), 2)
    models = eqx.filter_vmap(small)(keys)
    rates = jnp.array([-0.05, 0.05])  # the first lane climbs
    plan = {"hypers": rates, "keys": keys, "batch_size": 8, "block": 5, "validation": Echo(), "patience": 2}
    whole, log = fit_many(models, Echo(), optax.sgd, steps=30, **plan)
    assert (log.result == RESULTS.stopped_early).tolist() == [True, False]
    assert log.taken.sum(axis=1, dtype=int).tolist() == [15, 30]
    fit_many(models, Echo(), optax.sgd, steps=10, out=tmp_path, **plan)
    resumed, rest = fit_many(models, Echo(), optax.sgd, steps=30, out=tmp_path, resume=True, **plan)
    assert equal(resumed, whole)
    assert equal(rest, log)


def test_lanes_must_fit(getkey):
    keys = jr.split(getkey(), 3)
    with pytest.raises(TrainingError, match="leading axis"):
        fit_many(small(keys[0]), Echo(), optax.sgd(0.1), keys=keys, steps=1, batch_size=1)
