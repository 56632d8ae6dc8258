"""Polyphonic music: predict which of 88 keys sound at the next step."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import scipy.io

from .._types import Array, Float, Int, PRNGKey, Scalar, Shaped
from ._base import AbstractTask, Batch, check_at_least
from ._files import MUSIC_CHECKSUMS, DataError, read_checked
from ._metrics import bernoulli_nll

_KEYS = 88
_FIELDS = {"train": "traindata", "valid": "validdata", "test": "testdata"}


class PianoRoll(AbstractTask):
    """Next-step prediction of piano rolls with 88 independent keys; the loss is the negative log-likelihood per step.

    Tunes are padded to the longest, with weight 0 behind their end. An epoch shows each tune once; its last batch is
    filled up with tunes of weight 0.

    **Fields:** `rolls (R, L + 1, 88)`, 0 or 1; `num_steps (R,)`, predicted steps of each; `shuffle`, a new order for
    each epoch drawn from the key, otherwise that of the file; `frequency_entropy` in nats per step, what the best
    constant for each key gets: the `baseline`.

    **Shapes:** inputs and targets `(B, L, 88)`, weights `(B, L)`, outputs `(B, L, 88)`, logits.

    **Source:** Boulanger-Lewandowski, Bengio, Vincent (2012), data and loss; used by Kanai, Fujiwara, Iwamura (2017).
    """

    rolls: Shaped[Array, "R L 88"]
    num_steps: Int[Array, " R"]
    shuffle: bool = eqx.field(static=True)
    frequency_entropy: float = eqx.field(static=True)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        split: Literal["train", "valid", "test"] = "train",
        max_length: int | None = None,
        shuffle: bool | None = None,
        checksum: Mapping[str, str] | None = MUSIC_CHECKSUMS,
    ):
        """**Arguments:** `path` of a `.mat` file with cells `traindata`, `validdata` and `testdata`; `split`;
        `max_length`, cut longer tunes so that each piece, begun from rest, predicts at most so many steps and each
        step is predicted once; `shuffle`, by default for training only; `checksum`, SHA-256 by file name, or
        `None` to use the file unchecked.

        **Raises:** `DataError`, one line, for a file that is missing, is another, or holds no piano rolls; `ValueError`
        for another split or a `max_length` below 1.
        """
        if split not in _FIELDS:
            raise ValueError(f"PianoRoll: split must be one of {', '.join(_FIELDS)}, got {split!r}")
        tunes = _read_tunes(Path(path), _FIELDS[split], checksum)
        if max_length is not None:
            check_at_least("PianoRoll", 1, max_length=max_length)
            tunes = [tune[at : at + max_length + 1] for tune in tunes for at in range(0, len(tune) - 1, max_length)]
        rolls = np.zeros((len(tunes), max(map(len, tunes)), _KEYS), np.uint8)
        for roll, tune in zip(rolls, tunes, strict=True):
            roll[: len(tune)] = tune
        self.rolls = jnp.asarray(rolls)
        self.num_steps = jnp.asarray([len(tune) - 1 for tune in tunes], jnp.int32)
        self.shuffle = split == "train" if shuffle is None else shuffle
        share = np.mean(np.concatenate([tune[1:] for tune in tunes]), axis=0)
        self.frequency_entropy = float(np.sum(_entropy(share) + _entropy(1 - share)))

    @property
    def input_size(self) -> int:
        return _KEYS

    @property
    def output_size(self) -> int:
        return _KEYS

    @property
    def tokens(self) -> bool:
        return False

    @property
    def carries_state(self) -> bool:
        return False

    @property
    def baseline(self) -> float | None:
        return self.frequency_entropy

    @property
    def floor(self) -> float:
        return 0.0

    def steps_per_epoch(self, batch_size: int) -> int:
        """`ceil(R / B)`."""
        return -(-self.rolls.shape[0] // batch_size)

    def batch(self, key: PRNGKey, step: Int[Array, ""] | int, batch_size: int) -> Batch:
        num, steps = self.rolls.shape[0], self.steps_per_epoch(batch_size)
        epoch, within = jnp.divmod(jnp.asarray(step, jnp.int32), jnp.asarray(steps, jnp.int32))
        order = jnp.arange(num, dtype=jnp.int32)
        if self.shuffle:
            order = jr.permutation(jr.fold_in(key, epoch), order)
        place = within * batch_size + jnp.arange(batch_size, dtype=jnp.int32)
        tune = order[jnp.minimum(place, num - 1)]
        shown = self.rolls[tune].astype(jnp.result_type(float))
        times = jnp.arange(shown.shape[1] - 1, dtype=jnp.int32)
        counts = (times[None] < self.num_steps[tune][:, None]) & (place < num)[:, None]
        return Batch(shown[:, :-1], shown[:, 1:], counts.astype(shown.dtype), jnp.asarray(True))

    def loss(self, outputs: Float[Array, "B T O"], batch: Batch) -> Scalar:
        return bernoulli_nll(self.checked(outputs), batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "B T O"], batch: Batch) -> dict[str, Scalar]:
        """`nll`, nats per step summed over the keys, shape `()`."""
        return {"nll": self.loss(outputs, batch)}


def markov_nll(train: PianoRoll, test: PianoRoll) -> float:
    """Negative log-likelihood per step of 88 independent two-state Markov chains: what each key alone tells.

    `p(on | before) = (n(before, on) + 1/2) / (n(before) + 1)` with the counts of `train`.

    **Arguments:** `train` and `test`, rolls `(R, L + 1, 88)`.

    **Returns:** nats per step, shape `()`.

    **Source:** maximum likelihood with Krichevsky & Trofimov's estimator. On the test splits: JSB Chorales 10.49,
    Nottingham 5.15.
    """
    before, after = _transitions(train)
    num_on = before.sum(axis=0)
    num_off = len(before) - num_on
    both = (before & after).sum(axis=0)
    after_on = (both + 0.5) / (num_on + 1)
    after_off = (after.sum(axis=0) - both + 0.5) / (num_off + 1)
    before, after = _transitions(test)
    p = np.where(before, after_on, after_off)
    return float(-np.mean(np.sum(np.log(np.where(after, p, 1 - p)), axis=1)))


def _transitions(task: PianoRoll) -> tuple[np.ndarray, np.ndarray]:
    """All predicted steps one below the other: keys before and after, `(steps, 88)` booleans."""
    rolls = np.asarray(task.rolls, bool)
    counts = np.arange(rolls.shape[1] - 1)[None] < np.asarray(task.num_steps)[:, None]
    return rolls[:, :-1][counts], rolls[:, 1:][counts]


def _entropy(p: np.ndarray) -> np.ndarray:
    return -p * np.log(np.where(p > 0, p, 1))


def _read_tunes(path: Path, field: str, checksum: Mapping[str, str] | None) -> Sequence[np.ndarray]:
    content = read_checked(path, checksum)
    try:
        found = scipy.io.loadmat(io.BytesIO(content))
    # Whatever the bytes are, the user needs the same line: the reader raises many kinds of errors on damaged files.
    except Exception as error:
        raise DataError(
            f"{path}: expected a MATLAB 5 file, found one that cannot be read ({type(error).__name__}); get it again"
        ) from error
    if field not in found:
        names = ", ".join(sorted(name for name in found if not name.startswith("__"))) or "nothing"
        raise DataError(f"{path}: expected the field {field!r}, found {names}; get the piano-roll file")
    tunes = [np.asarray(tune) for tune in np.ravel(found[field])]
    for number, tune in enumerate(tunes):
        if tune.ndim != 2 or tune.shape[1] != _KEYS or len(tune) < 2 or not np.isin(tune, (0, 1)).all():
            raise DataError(
                f"{path}: expected {field}[{number}] of zeros and ones, at least two rows of {_KEYS} keys, "
                f"found shape {tune.shape}, dtype {tune.dtype}; get the piano-roll file"
            )
    if not tunes:
        raise DataError(f"{path}: expected tunes in {field!r}, found none; get the piano-roll file")
    return tunes
