"""Train the networks of one column of a table, all seeds of a network in one program, in float32."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from ..cells import GORUCell, GRUCell, LSTMCell, NCGRUCell, ScoRNNCell, StackedCell, num_parameters
from ..optim import constrained, orthogonal_leaves
from ..training import Dropout, SequenceModel, TrainLog, evaluate, fit, fit_many

_CELLS = {"lstm": LSTMCell, "gru": GRUCell, "scornn": ScoRNNCell, "goru": GORUCell, "nc-gru": NCGRUCell}

# Coprime to 20, 49 and 50, so that the drift is seen at all distances from a reset.
_BLOCK = 47
_TEST_BATCHES = 20
_TIMED, _REPEATS = 40, 7


class Network(NamedTuple):
    """One row of a table: sizes of its layers, options of its cell, and how its matrices are kept orthogonal."""

    name: str
    cell: str
    hidden: tuple[int, ...]
    options: Mapping[str, Any] = {}
    update: Mapping[str, Any] = {}


class Setting(NamedTuple):
    """On what the networks are trained, and how. `alone`: the time per step is that of one network, not of all seeds;
    with no `steps`, nothing but that is measured."""

    task: Any
    networks: tuple[Network, ...]
    steps: int
    batch_size: int
    rate: float
    orthogonal_rate: float
    decay: bool = False
    clip: float | None = None
    dropout: float | Dropout = 0.0
    embedding: int = 0
    valid: Any = None
    test: Any = None
    metric: str = "loss"
    alone: bool = False


class Run(NamedTuple):
    """What was measured: L seeds, N steps, R timed repetitions; `drift` is the largest over steps and matrices."""

    network: Network
    parameters: int
    dtype: str
    loss: np.ndarray
    metric: np.ndarray
    drift: np.ndarray | None
    seconds: np.ndarray
    failed: int


def train(network: Network, setting: Setting, seeds: int) -> Run:
    """All seeds of a network. The best weights on validation data are measured on test data; where sequences are
    generated, both are fresh ones."""
    # The command line works in float64; training does not need it and is slower with it.
    with jax.enable_x64(False):
        keys = jr.split(jr.key(0), seeds)
        models = eqx.filter_vmap(lambda key: build(network, setting, key))(keys)
        one = build(network, setting, keys[0])
        optim = optimiser(network, setting, one)
        trained, log, seconds = _fit(models, optim, keys, setting)
        found = _measure(trained, setting)
    drifts = [np.asarray(value, float).max(axis=1) for value in log.drift.values()]
    return Run(
        network=network,
        parameters=num_parameters(one),
        dtype=_dtype((trained, log.loss)),
        loss=np.asarray(log.loss, float),
        metric=np.where(np.asarray(log.failed_step) > 0, math.inf, np.asarray(found[setting.metric], float)),
        drift=np.max(drifts, axis=0) if drifts else None,
        seconds=race((network,), setting)[0].seconds if setting.alone else np.array([seconds]),
        failed=int((np.asarray(log.failed_step) > 0).sum()),
    )


def race(networks: Sequence[Network], setting: Setting) -> list[Run]:
    """Time per step of each network, several times over and in turn, without validation; nothing else is measured."""
    key, nothing = jr.key(0), np.array([math.nan])
    options: dict[str, Any] = {"key": key, "batch_size": setting.batch_size, "block": _TIMED, "steps": _TIMED}
    with jax.enable_x64(False):
        models = [build(network, setting, key) for network in networks]
        optims = [optimiser(network, setting, model) for network, model in zip(networks, models, strict=True)]

        def run(number: int) -> float:
            before = time.perf_counter()
            fit(models[number], setting.task, optims[number], **options)
            return (time.perf_counter() - before) / _TIMED

        lanes = range(len(networks))
        # The first call compiles.
        for number in lanes:
            run(number)
        seconds = np.array([[run(number) for number in lanes] for _ in range(_REPEATS)])
        return [
            Run(network, num_parameters(model), _dtype(model), nothing[:, None], nothing, None, own, 0)
            for network, model, own in zip(networks, models, seconds.T, strict=True)
        ]


def _fit(models: Any, optim: Any, keys: jax.Array, setting: Setting) -> tuple[Any, TrainLog, float]:
    """The trained networks, their log, and the seconds per step."""
    options: dict[str, Any] = {
        "keys": keys,
        "batch_size": setting.batch_size,
        "block": _BLOCK,
        "validation": setting.valid or setting.task,
        "validation_batches": 10,
        "validate_every": max(setting.steps // 20, 1),
    }
    # The first call compiles, so that the second can be timed.
    fit_many(models, setting.task, optim, steps=1, **options)
    before = time.perf_counter()
    trained, log = fit_many(models, setting.task, optim, steps=setting.steps, **options)
    return trained, log, (time.perf_counter() - before) / setting.steps


def _measure(trained: Any, setting: Setting) -> dict[str, jax.Array]:
    """Metrics on test data, or on fresh sequences."""
    test = setting.test or setting.task
    batches = test.steps_per_epoch(setting.batch_size)
    batches = _TEST_BATCHES if batches is None else min(batches, 10 * _TEST_BATCHES)

    def one(model: SequenceModel) -> dict[str, jax.Array]:
        return evaluate(model, test, key=jr.key(1), batch_size=setting.batch_size, num_batches=batches)

    return eqx.filter_vmap(one)(trained)


def build(network: Network, setting: Setting, key: jax.Array) -> SequenceModel:
    """The network with its readout; symbols are embedded, and read out with the embedding where the sizes allow it."""
    task = setting.task
    cell_key, model_key = jr.split(key)
    sizes = (setting.embedding if task.tokens else task.input_size, *network.hidden)
    keys = jr.split(cell_key, len(network.hidden))
    layers = [
        _CELLS[network.cell](size, hidden, **_options(network, hidden), dtype=jnp.float32, key=layer_key)
        for size, hidden, layer_key in zip(sizes[:-1], sizes[1:], keys, strict=True)
    ]
    return SequenceModel(
        layers[0] if len(layers) == 1 else StackedCell(layers),
        task.output_size,
        vocabulary=task.input_size if task.tokens else None,
        dropout=setting.dropout,
        tie_weights=task.tokens and sizes[0] == sizes[-1],
        key=model_key,
    )


def optimiser(network: Network, setting: Setting, model: SequenceModel) -> optax.GradientTransformation:
    """Adam, on the skew matrices of what is orthogonal."""
    free, moved = _adam(setting, setting.rate), _adam(setting, setting.orthogonal_rate)
    if orthogonal_leaves(eqx.filter(model, eqx.is_inexact_array)):
        free = constrained(free, model, orthogonal=moved, **network.update)
    return free if setting.clip is None else optax.chain(optax.clip_by_global_norm(setting.clip), free)


def _adam(setting: Setting, rate: float) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(rate, setting.steps) if setting.decay else rate)


def _dtype(tree: Any) -> str:
    """The widest of all reals in it."""
    return str(jnp.result_type(*jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))))


def _options(network: Network, hidden: int) -> dict[str, Any]:
    """Options of the cell of one layer; narrow layers of small runs cannot have more negative signs than units."""
    options = dict(network.options)
    if "num_negative" in options:
        options["num_negative"] = min(options["num_negative"], hidden)
    return options
