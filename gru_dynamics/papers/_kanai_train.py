"""Runs of Kanai, Fujiwara, Iwamura (2017): many optimisers, rates and seeds in one program, looked at as they train."""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from .._types import Array
from ..cells import GRUCell, glorot
from ..linalg import spectral_norm
from ..optim import spectral_ball
from ..tasks import AbstractTask
from ..training import SequenceModel, evaluate, fit_many

Family = Literal["sgd", "sgd plateau", "adam", "rmsprop"]
Metrics = dict[str, np.ndarray]

# Large enough to do nothing, and finite: a matrix is divided by its radius.
_NO_BALL = 1e12


class Arm(NamedTuple):
    """How a network is trained: at most one of `clip` (norm), `element` (each entry) and `delta` is set.

    `rate` is divided by `decay` once an epoch after the tenth.
    """

    name: str
    rate: float
    clip: float = np.inf
    element: float = np.inf
    delta: float | None = None
    decay: float = 1.0

    @property
    def radius(self) -> float:
        return _NO_BALL if self.delta is None else 2 - self.delta


class Setting(NamedTuple):
    """What all runs of an experiment share. `summed`, steps over which the loss is summed for the gradient; `epoch`,
    steps in one; `checks`, how often the validation is measured."""

    train: AbstractTask
    valid: AbstractTask
    hidden_size: int
    batch_size: int
    steps: int
    checks: int
    epoch: int
    summed: int
    dropout: float = 0.0
    embedding_size: int | None = None


class Runs(NamedTuple):
    """What A arms with S seeds did: `loss` and `grad_norm (A, S, N)`, `stops (K,)` with, after each, `valid`,
    `sigma` = sigma_1(U_c) and `rho` = rho(J(0)), all `(A, S, K)`; `failed (A, S)`, the step that was not finite or 0.

    Gradients are those of the summed loss, before any clipping.
    """

    arms: tuple[Arm, ...]
    loss: np.ndarray
    grad_norm: np.ndarray
    stops: np.ndarray
    valid: np.ndarray
    sigma: np.ndarray
    rho: np.ndarray
    failed: np.ndarray


def train(setting: Setting, family: Family, arms: Sequence[Arm], seeds: int, say: Callable[[str], None]) -> Runs:
    """All arms with all seeds in one program. Seed k starts from the same network and sees the same data everywhere."""
    keys = jax.vmap(jr.key)(jnp.tile(jnp.arange(seeds, dtype=jnp.int32), len(arms)))
    models = eqx.filter_vmap(lambda key: network(setting, key))(keys)
    hypers = {
        name: jnp.repeat(jnp.array([getattr(arm, name) for arm in arms], jnp.float32), seeds)
        for name in ("rate", "clip", "element", "radius", "decay")
    }
    optim = optimiser(setting, family)
    stops = np.unique(np.linspace(0, setting.steps, setting.checks + 1).astype(int))[1:]
    seen: list[tuple[np.ndarray, ...]] = []
    log: Any = None
    with tempfile.TemporaryDirectory() as out:
        for stop in stops:
            models, log = fit_many(
                models,
                setting.train,
                optim,
                keys=keys,
                hypers=hypers,
                steps=int(stop),
                batch_size=setting.batch_size,
                block=max(1, min(50, int(stops[0]))),
                out=out,
                resume=bool(seen),
            )
            seen.append(_look(models, setting))
            ended = int(np.sum(np.asarray(log.failed_step) > 0))
            say(f"{family}: {len(keys)} runs, step {stop} of {setting.steps}, {ended} ended")
    shape = (len(arms), seeds)
    valid, sigma, rho = (np.stack(one, axis=-1).reshape(*shape, -1) for one in zip(*seen, strict=True))
    loss, norm = (
        _padded(np.asarray(one, float), setting.steps).reshape(*shape, -1) for one in (log.loss, log.grad_norm)
    )
    failed = np.asarray(log.failed_step).reshape(shape)
    return Runs(tuple(arms), loss, setting.summed * norm, stops, valid, sigma, rho, failed)


def network(setting: Setting, key: Array) -> SequenceModel:
    """One layer of gated units without biases, in single precision, with a linear readout."""
    task, size = setting.train, setting.hidden_size
    inputs = task.input_size if not task.tokens else setting.embedding_size or size
    # Data are drawn from the key itself.
    for_cell, for_readout = jr.split(jr.fold_in(key, 1))
    cell = GRUCell(
        inputs, size, use_bias=False, input_init=glorot, recurrent_init=glorot, dtype=jnp.float32, key=for_cell
    )
    vocabulary = task.input_size if task.tokens else None
    return SequenceModel(cell, task.output_size, vocabulary=vocabulary, dropout=setting.dropout, key=for_readout)


def optimiser(setting: Setting, family: Family) -> Callable[[dict[str, Array]], optax.GradientTransformation]:
    """From the numbers of an arm to its transformation: sum, clip, move, project."""

    def make(hyper: dict[str, Array]) -> optax.GradientTransformation:
        def step_size(count: Any) -> Array:
            late = jnp.maximum(count // setting.epoch - 9, 0).astype(hyper["decay"].dtype)
            return -hyper["rate"] / hyper["decay"] ** late

        moved = {
            "sgd": optax.identity(),
            "sgd plateau": optax.identity(),
            "adam": optax.scale_by_adam(0.9, 0.999, 1e-8),
            "rmsprop": optax.scale_by_rms(0.99, 1e-8),
        }[family]
        plateau = optax.contrib.reduce_on_plateau(factor=0.8, patience=10, accumulation_size=setting.epoch)
        return optax.chain(
            optax.scale(float(setting.summed)),
            optax.clip_by_global_norm(hyper["clip"]),
            optax.clip(hyper["element"]),
            moved,
            optax.scale_by_schedule(step_size),
            plateau if family == "sgd plateau" else optax.identity(),
            _ball(hyper["radius"]),
        )

    return make


def _ball(radius: Array) -> optax.GradientTransformation:
    """`spectral_ball` for U_c with a radius of each lane: that of radius 1, in units of the radius."""
    unit = spectral_ball(1.0, method="eigh", where=lambda model: model.cell.U_c)

    def scaled(model: Any, factor: Array) -> Any:
        return eqx.tree_at(lambda model: model.cell.U_c, model, model.cell.U_c * factor)

    def init(params: Any) -> Any:
        return unit.init(scaled(params, 1 / radius))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, state = unit.update(scaled(updates, 1 / radius), state, scaled(params, 1 / radius))
        return scaled(updates, radius), state

    return optax.GradientTransformation(init, update)


def spectral_radius(U_c: np.ndarray) -> np.ndarray:
    """rho(J(0)), J(0) = U_c / 4 + I / 2 (Lemmas 1 and 2), for matrices `(..., n, n)`, shape `(...)`."""
    jacobian = U_c.astype(np.float64) / 4 + np.eye(U_c.shape[-1]) / 2
    return np.abs(np.linalg.eigvals(jacobian)).max(axis=-1)


@eqx.filter_jit
def _validate(models: Any, task: AbstractTask, batch_size: int) -> Array:
    return eqx.filter_vmap(lambda model: evaluate(model, task, key=jr.key(0), batch_size=batch_size)["loss"])(models)


def _look(models: Any, setting: Setting) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    U_c = models.cell.U_c
    valid = _validate(models, setting.valid, setting.batch_size)
    return np.asarray(valid, float), np.asarray(spectral_norm(U_c), float), spectral_radius(np.asarray(U_c))


def _padded(rows: np.ndarray, steps: int) -> np.ndarray:
    """`(L, N)` with nan behind where all runs had stopped."""
    return np.pad(rows, ((0, 0), (0, steps - rows.shape[1])), constant_values=np.nan)
