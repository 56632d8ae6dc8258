"""Generated tasks: layouts read back from the one-hot inputs by NumPy, distributions, baselines and floors."""

import itertools
import math
from collections import defaultdict

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.special
import scipy.stats

from gru_dynamics import tasks

TASKS = {
    "adding": tasks.Adding(7),
    "copying": tasks.Copying(4),
    "denoise": tasks.Denoise(4),
    "denoise, replacement": tasks.Denoise(4, replacement=True),
    "parenthesis": tasks.Parenthesis(9),
    "parenthesis, released": tasks.Parenthesis(9, variant="released"),
}

each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


@eqx.filter_jit
def draw(task, key, step, batch_size):
    return task.batch(key, step, batch_size)


@eqx.filter_jit
def metrics_of(task, outputs, batch):
    return {"loss": task.loss(outputs, batch), **task.metrics(outputs, batch)}


def key(seed):
    """A key of the generator that compiles fastest; its numbers under `vmap` are others."""
    return jr.key(seed, impl="rbg")


def symbols(batch):
    """Input symbols `(B, T)`, after a check that the inputs are one-hot."""
    inputs = np.asarray(batch.inputs)
    assert set(np.unique(inputs)) <= {0, 1}
    assert (inputs.sum(axis=-1) == 1).all()
    return inputs.argmax(axis=-1)


def sure(classes, num):
    """Logits of a predictor that is sure of these classes."""
    return jnp.asarray(1000.0 * np.eye(num)[classes])


def equal(a, b):
    return all(jax.tree.leaves(jax.tree.map(lambda x, y: np.array_equal(x, y), a, b)))


# What every generated task promises ---------------------------------------------------------------


@each_task
def test_batches_are_pure_functions_of_key_and_step(task):
    batch = draw(task, key(0), jnp.asarray(3), 5)
    assert equal(batch, draw(task, key(0), jnp.asarray(3), 5))
    assert not equal(batch, draw(task, key(0), jnp.asarray(4), 5))
    assert not equal(batch, draw(task, key(1), jnp.asarray(3), 5))


def test_eager_batches_are_the_same():
    task = TASKS["copying"]
    assert equal(task.batch(key(0), 3, 5), draw(task, key(0), jnp.asarray(3), 5))


@each_task
def test_shapes(task):
    batch = jax.eval_shape(lambda: task.batch(key(0), 0, 5))
    num, length, width = batch.inputs.shape
    assert (num, width) == (5, task.input_size)
    assert batch.targets.shape[0] == 5
    assert batch.weights.shape in [(5,), (5, length)]
    assert batch.start.shape == ()
    assert task.steps_per_epoch(5) is None
    assert not task.tokens
    assert not task.carries_state
    # Whatever the dtype of the data, losses have that of the outputs.
    outputs = jax.ShapeDtypeStruct((5, length, task.output_size), jnp.float32)
    values = jax.eval_shape(lambda y, b: {"loss": task.loss(y, b), **task.metrics(y, b)}, outputs, batch)
    assert {(value.shape, value.dtype) for value in values.values()} == {((), jnp.dtype("float32"))}
    assert len(values) > 1


def test_over_keys():
    task, keys = TASKS["copying"], jr.split(jr.key(0), 3)
    together = eqx.filter_jit(eqx.filter_vmap(draw, in_axes=(None, 0, None, None)))(task, keys, jnp.asarray(2), 4)
    for n in range(3):
        assert equal(jax.tree.map(lambda leaf, n=n: leaf[n], together), draw(task, keys[n], jnp.asarray(2), 4))


@each_task
def test_float32_without_x64(task):
    with jax.enable_x64(False):
        batch = jax.eval_shape(lambda: task.batch(key(0), 0, 2))
    assert {batch.inputs.dtype, batch.weights.dtype} == {jnp.dtype("float32")}


@each_task
def test_outputs_of_wrong_width(task):
    batch = jax.eval_shape(lambda: task.batch(key(0), 0, 5))
    outputs = jax.ShapeDtypeStruct((*batch.inputs.shape[:2], task.output_size + 1), jnp.float64)
    with pytest.raises(ValueError, match=f"must have {task.output_size} columns.*output_size=task.output_size"):
        jax.eval_shape(task.loss, outputs, batch)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tasks.Adding(1), "Adding: length must be at least 2, got 1"),
        (lambda: tasks.Copying(0), "Copying: length must be at least 1, got 0"),
        (lambda: tasks.Denoise(3, num_items=0), "Denoise: num_items must be at least 1, got 0"),
        (lambda: tasks.Parenthesis(0), "Parenthesis: length must be at least 1, got 0"),
        (lambda: tasks.Parenthesis(5, variant="mine"), "variant"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_sizes_that_make_no_task(make, message):
    # Under the runtime checker a wrong `variant` is a type error before it is a value error.
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# Adding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [2, 11])
def test_adding_layout(length):
    batch = draw(tasks.Adding(length), key(0), jnp.asarray(0), 20_000)
    values, markers = np.moveaxis(np.asarray(batch.inputs), -1, 0)
    assert (np.unique(markers)[-1:] == 1).all()
    assert markers.sum() == 40_000
    halves = markers[:, : length // 2], markers[:, length // 2 :]
    assert all((half.sum(axis=1) == 1).all() for half in halves)
    assert batch.targets.shape == (20_000,)
    np.testing.assert_allclose(batch.targets, (values * markers).sum(axis=1), rtol=1e-14)
    assert scipy.stats.kstest(values.ravel(), "uniform").pvalue > 1e-3
    assert all(half.shape[1] == 1 or scipy.stats.chisquare(half.sum(axis=0)).pvalue > 1e-3 for half in halves)


def test_adding_baseline_and_floor():
    task, num = tasks.Adding(11), 20_000
    batch = draw(task, key(0), jnp.asarray(0), num)
    constant = task.loss(jnp.ones((num, 11, 1)), batch)
    # (sum - 1)^2 has mean 1/6 and, the sum being triangular, variance 1/15 - 1/36.
    assert constant == pytest.approx(1 / 6, abs=4 * math.sqrt((1 / 15 - 1 / 36) / num))
    assert task.baseline == 1 / 6
    running = np.cumsum(batch.inputs[..., 0] * batch.inputs[..., 1], axis=1)
    assert task.loss(jnp.asarray(running)[..., None], batch) < 1e-30
    assert task.floor == 0


# Copying -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_symbols", "num_items"), [(8, 10), (3, 2)])
def test_copying_layout(num_symbols, num_items):
    task = tasks.Copying(6, num_symbols=num_symbols, num_items=num_items)
    batch = draw(task, key(0), jnp.asarray(0), 300)
    shown, targets = symbols(batch), np.asarray(batch.targets)
    digits = shown[:, :num_items]
    assert shown.shape == targets.shape == (300, 6 + 2 * num_items)
    assert set(np.unique(digits)) == set(range(1, num_symbols + 1))
    assert (shown[:, num_items : num_items + 6] == 0).all()
    assert (shown[:, num_items + 6] == num_symbols + 1).all()
    assert (shown[:, num_items + 7 :] == 0).all()
    # Recalled from the marker on.
    assert (targets[:, : num_items + 6] == 0).all()
    assert (targets[:, num_items + 6 :] == digits).all()
    assert scipy.stats.chisquare(np.bincount(digits.ravel())[1:]).pvalue > 1e-3


def test_copying_baseline_and_floor():
    task = tasks.Copying(6)
    batch = draw(task, key(0), jnp.asarray(0), 300)
    blind = np.where(np.arange(26)[:, None] < 16, np.eye(9)[0], np.arange(9) > 0) * 1000.0
    assert task.loss(jnp.broadcast_to(jnp.asarray(blind), (300, 26, 9)), batch) == pytest.approx(
        task.baseline, rel=1e-12
    )
    shown = symbols(batch)
    oracle = np.concatenate([np.zeros((300, 16), int), shown[:, :10]], axis=1)
    metrics = metrics_of(task, sure(oracle, 9), batch)
    assert metrics["cross_entropy"] == task.floor == 0
    assert metrics["accuracy"] == 1
    assert metrics_of(task, sure(np.zeros_like(oracle), 9), batch)["accuracy"] == 0


@pytest.mark.parametrize(("length", "baseline"), [(1000, 2.0387e-2), (2000, 1.0294e-2)])
def test_copying_baseline_of_the_paper(length, baseline):
    assert tasks.Copying(length).baseline == pytest.approx(baseline, abs=5e-7)


# Denoise -----------------------------------------------------------------------------------------


def test_denoise_layout():
    batch = draw(tasks.Denoise(7), key(0), jnp.asarray(0), 300)
    shown, targets = symbols(batch), np.asarray(batch.targets)
    assert batch.inputs.shape == (300, 27, 11)
    assert targets.shape == (300, 27)
    scattered = shown[:, :16]
    assert scattered.max() <= 9
    assert ((scattered > 0).sum(axis=1) == 10).all()
    assert (shown[:, 16] == 10).all()
    assert (shown[:, 17:] == 0).all()
    assert (targets[:, :17] == 0).all()
    assert (targets[:, 17:] == scattered[scattered > 0].reshape(300, 10)).all()


def test_denoise_released_layout():
    """Of symbols on one place the last is seen, all are asked for."""
    batch = draw(tasks.Denoise(7, replacement=True), key(0), jnp.asarray(0), 500)
    scattered, items = symbols(batch)[:, :16], np.asarray(batch.targets)[:, 17:]
    seen = [row[row > 0] for row in scattered]
    assert min(map(len, seen)) < 10
    for row, asked in zip(seen, items, strict=True):
        rest = iter(asked)
        assert all(symbol in rest for symbol in row)  # a subsequence
        assert row[-1] == asked[-1]


def test_denoise_distributions():
    task = tasks.Denoise(3, num_symbols=4, num_items=2)
    shown = symbols(draw(task, key(0), jnp.asarray(0), 4000))[:, :4]
    subsets = ((shown > 0) * 2 ** np.arange(4)).sum(axis=1)
    counts = np.unique(subsets, return_counts=True)[1]
    assert counts.size == 6
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    assert scipy.stats.chisquare(np.bincount(shown[shown > 0])[1:]).pvalue > 1e-3


def test_denoise_released_collisions():
    """10 places out of 209 differ with probability 0.804."""
    shown = symbols(draw(tasks.Denoise(200, replacement=True), key(0), jnp.asarray(0), 4000))
    distinct = np.mean((shown[:, :209] > 0).sum(axis=1) == 10)
    exact = math.prod(1 - i / 209 for i in range(10))
    assert round(exact, 3) == 0.804
    assert distinct == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 4000))


def released_posterior(num_places, num_items, num_symbols):
    """What is seen -> distribution of each asked item `(M, S)`, and how often it is seen, by listing every case."""
    seen = defaultdict(lambda: np.zeros((num_items, num_symbols)))
    for places in itertools.product(range(num_places), repeat=num_items):
        for items in itertools.product(range(num_symbols), repeat=num_items):
            row = [0] * num_places
            for place, item in zip(sorted(places), items, strict=True):
                row[place] = item + 1
            seen[tuple(row)][np.arange(num_items), items] += 1
    return seen


@pytest.mark.parametrize(("num_places", "num_items", "num_symbols"), [(4, 3, 2), (3, 3, 3), (4, 4, 2), (5, 1, 3)])
def test_denoise_floor_against_every_case(num_places, num_items, num_symbols):
    task = tasks.Denoise(num_places - num_items + 1, num_symbols=num_symbols, num_items=num_items, replacement=True)
    cases = released_posterior(num_places, num_items, num_symbols).values()
    total = (num_places * num_symbols) ** num_items
    entropy = sum(scipy.special.xlogy(case, case.sum(1, keepdims=True) / np.maximum(case, 1)).sum() for case in cases)
    exact = entropy / total / (task.length + 2 * num_items)
    assert task.floor == pytest.approx(exact, rel=1e-12)


def test_denoise_floor_is_reached_by_the_posterior():
    num = 4000
    task = tasks.Denoise(2, num_symbols=2, num_items=3, replacement=True)
    batch = draw(task, key(0), jnp.asarray(0), num)
    posterior = released_posterior(4, 3, 2)
    outputs = np.broadcast_to(1000.0 * np.eye(3)[0], (num, 8, 3)).copy()
    for output, row in zip(outputs, symbols(batch)[:, :4], strict=True):
        case = posterior[tuple(row)]
        output[-3:, 0] = -1000
        with np.errstate(divide="ignore"):
            output[-3:, 1:] = np.log(case / case.sum(axis=1, keepdims=True))
    loss = task.loss(jnp.asarray(outputs), batch)
    # At most 2 of 3 items are open, one bit each, so a sequence's loss lies within 3 ln 2 / 8.
    assert loss == pytest.approx(task.floor, abs=4 * (3 * math.log(2) / 8) / 2 / math.sqrt(num))
    assert 0.2 < task.floor / (3 * math.log(2) / 8) < 0.8


@pytest.mark.parametrize(("length", "floor", "baseline"), [(200, 7.04e-3, 9.99e-2), (400, 1.93e-3, 5.23e-2)])
def test_denoise_numbers_of_the_release(length, floor, baseline):
    task = tasks.Denoise(length, replacement=True)
    assert task.baseline == pytest.approx(baseline, abs=5e-5)
    # The truth at T = 200 is a simulated one; the exact sum is 7.012e-3.
    assert task.floor == pytest.approx(floor, rel=5e-3)
    assert tasks.Denoise(length).floor == 0
    assert tasks.Denoise(length).baseline == task.baseline


def test_denoise_baseline_and_floor():
    task = tasks.Denoise(7)
    batch = draw(task, key(0), jnp.asarray(0), 300)
    blind = np.where(np.arange(27)[:, None] < 17, np.eye(10)[0], np.arange(10) > 0) * 1000.0
    loss = metrics_of(task, jnp.broadcast_to(jnp.asarray(blind), (300, 27, 10)), batch)["loss"]
    assert loss == pytest.approx(task.baseline, rel=1e-12)
    shown = symbols(batch)[:, :16]
    oracle = np.concatenate([np.zeros((300, 17), int), shown[shown > 0].reshape(300, 10)], axis=1)
    assert metrics_of(task, sure(oracle, 10), batch)["loss"] == task.floor == 0


# Parenthesis -------------------------------------------------------------------------------------


def count_open(shown, num_kinds):
    """Counts `(B, T, K)` one symbol at a time."""
    counts = np.zeros((*shown.shape, num_kinds), int)
    for row, out in zip(shown, counts, strict=True):
        now = [0] * num_kinds
        for time, symbol in enumerate(row):
            if 1 <= symbol <= num_kinds:
                now[symbol - 1] = min(now[symbol - 1] + 1, 5)
            elif symbol > num_kinds:
                now[symbol - 1 - num_kinds] = max(now[symbol - 1 - num_kinds] - 1, 0)
            out[time] = now
    return counts


VARIANTS = pytest.mark.parametrize(("variant", "num_kinds"), [("paper", 10), ("released", 3)])


@VARIANTS
def test_parenthesis_layout_and_floor(variant, num_kinds):
    task = tasks.Parenthesis(60, variant=variant)
    batch = draw(task, key(0), jnp.asarray(0), 1000)
    shown = symbols(batch)
    counts = count_open(shown, num_kinds)
    assert counts.min() == 0
    assert counts.max() == 5
    np.testing.assert_array_equal(batch.targets, counts)
    assert scipy.stats.chisquare(np.bincount(shown.ravel(), minlength=2 * num_kinds + 1)).pvalue > 1e-3
    oracle = jnp.asarray((1000 if variant == "paper" else 1) * np.eye(6)[counts].reshape(1000, 60, 6 * num_kinds))
    metrics = metrics_of(task, oracle, batch)
    assert metrics["loss"] == task.floor == 0
    assert metrics["accuracy"] == 1
    assert set(metrics) == {"loss", "accuracy", "cross_entropy" if variant == "paper" else "mse"}


@VARIANTS
def test_parenthesis_baseline(variant, num_kinds):
    """The best constant on many sequences gets the baseline."""
    task, num = tasks.Parenthesis(60, variant=variant), 1000
    batch = draw(task, key(0), jnp.asarray(0), num)
    counts = np.asarray(batch.targets)
    share = np.bincount(counts.ravel(), minlength=6) / counts.size
    if variant == "paper":
        constant = np.log(share)
        each = -constant[counts]
    else:
        constant = share
        each = ((np.eye(6)[counts] - share) ** 2).mean(axis=-1)
    outputs = jnp.broadcast_to(jnp.asarray(np.tile(constant, num_kinds)), (num, 60, 6 * num_kinds))
    loss = metrics_of(task, outputs, batch)["loss"]
    assert loss == pytest.approx(each.mean(), rel=1e-12)
    spread = each.mean(axis=(1, 2)).std() / math.sqrt(num)
    assert loss == pytest.approx(task.baseline, abs=4 * spread)
    assert spread < 0.01 * loss


@pytest.mark.parametrize(("length", "baseline"), [(100, 0.136), (200, 0.138)])
def test_parenthesis_baseline_of_the_release(length, baseline):
    assert tasks.Parenthesis(length, variant="released").baseline == pytest.approx(baseline, abs=5e-4)


def test_parenthesis_mse_of_zeros():
    """Of each six outputs one should be 1: nothing gives 1/6."""
    batch = tasks.Batch(jnp.zeros((3, 5, 7)), jnp.ones((3, 5, 3), jnp.int32), jnp.ones((3, 5)), jnp.asarray(True))
    loss = tasks.Parenthesis(5, variant="released").loss(jnp.zeros((3, 5, 18)), batch)
    assert loss == pytest.approx(1 / 6, rel=1e-14)


# Metrics -----------------------------------------------------------------------------------------


def random_case(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, 4, 5)) * 3, rng.integers(0, 5, (3, 4)), rng.random((3, 4)) * (rng.random((3, 4)) > 0.3)


def test_cross_entropy():
    logits, targets, weights = random_case()
    each = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits), jnp.asarray(targets))
    expected = np.average(each, weights=weights)
    ours = tasks.cross_entropy(jnp.asarray(logits), jnp.asarray(targets), jnp.asarray(weights))
    assert ours == pytest.approx(expected, rel=1e-14)
    assert tasks.perplexity(ours) == pytest.approx(math.exp(expected), rel=1e-13)
    assert tasks.bits_per_character(ours) == pytest.approx(expected / math.log(2), rel=1e-13)


def test_accuracy():
    logits, targets, weights = random_case()
    expected = np.average(logits.argmax(-1) == targets, weights=weights)
    ours = tasks.accuracy(jnp.asarray(logits), jnp.asarray(targets), jnp.asarray(weights))
    assert ours == pytest.approx(expected, rel=1e-14)


def test_mean_squared_error():
    logits, targets, weights = random_case()
    expected = np.average((logits[..., 0] - targets) ** 2, weights=weights)
    ours = tasks.mean_squared_error(jnp.asarray(logits[..., 0]), jnp.asarray(targets), jnp.asarray(weights))
    assert ours == pytest.approx(expected, rel=1e-14)


def test_bernoulli_nll():
    logits, _, weights = random_case()
    targets = np.random.default_rng(1).integers(0, 2, logits.shape)
    likelihood = scipy.stats.bernoulli.logpmf(targets, scipy.special.expit(logits))
    ours = tasks.bernoulli_nll(jnp.asarray(logits), jnp.asarray(targets), jnp.asarray(weights))
    assert ours == pytest.approx(np.average(-likelihood.sum(-1), weights=weights), rel=1e-13)
    extreme = tasks.bernoulli_nll(jnp.asarray([[-1e4, 1e4]]), jnp.asarray([[0, 1]]), jnp.ones(1))
    assert extreme == 0


def test_nothing_counts():
    """A batch of padding alone has loss 0 and gradient 0, not nan."""
    value, gradient = jax.value_and_grad(tasks.weighted_mean)(jnp.ones(3), jnp.zeros(3))
    assert value == 0
    assert (gradient == 0).all()
