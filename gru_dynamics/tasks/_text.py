"""Text: predict the next word or character, window after window with carried state."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, Float, Int, PRNGKey, Scalar
from ._base import AbstractTask, Batch, check_at_least
from ._files import PTB_CHECKSUMS, DataError, read_checked
from ._metrics import bits_per_character, cross_entropy, perplexity


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """The symbols of a text, numbered in the order of `symbols`.

    **Fields:** `symbols`, V different strings. `encode` gives numbers `(N,)`.

    **Source:** definition.
    """

    symbols: tuple[str, ...]

    @functools.cached_property
    def index(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    # A static field of a task is hashed and compared at each call of a jitted function: ten thousand words are not.
    def __hash__(self) -> int:
        return hash((len(self.symbols), self.symbols[:8]))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Vocabulary) and self.symbols == other.symbols)

    def encode(self, items: Iterable[str]) -> np.ndarray:
        """Numbers `(N,)` of the symbols in `items`. Raises `DataError` for a symbol that is not listed."""
        try:
            return np.fromiter(map(self.index.__getitem__, items), np.int32)
        except KeyError as error:
            raise DataError(
                f"Vocabulary: expected one of {len(self)} symbols, found {error.args[0]!r}; "
                "build the vocabulary from all texts"
            ) from error

    def decode(self, numbers: Sequence[int] | np.ndarray) -> list[str]:
        """The symbols with these numbers."""
        return [self.symbols[int(number)] for number in numbers]


class Text(AbstractTask):
    """Next-symbol prediction with truncated backpropagation through time.

    The text of N symbols is cut into B rows of `n = N // B` and read `window` symbols at a time, so that each batch
    continues the one before; after `ceil((n - 1) / window)` batches it begins again and `start` is true. The last
    window may be shorter: its missing steps have weight 0. The loss is the cross-entropy per symbol. `key` is ignored.

    **Fields:** `symbols (N + window,)`, numbers, padded with zeros; `num_symbols`, N; `vocabulary`; `unit`, `"word"` or
    `"character"`; `window`, T; `frequency_entropy` in nats, what the best constant gets on this text: the `baseline`.

    **Shapes:** inputs, targets and weights `(B, T)`, outputs `(B, T, V)`.

    **Source:** Zaremba, Sutskever, Vinyals (2014) and Merity, Keskar, Socher (2018) for the layout; Mucllari et al.
    (2022), sections 4.5 and 4.6.
    """

    symbols: Int[Array, " N"]
    num_symbols: int = eqx.field(static=True)
    vocabulary: Vocabulary = eqx.field(static=True)
    unit: Literal["word", "character"] = eqx.field(static=True)
    window: int = eqx.field(static=True)
    frequency_entropy: float = eqx.field(static=True)

    def __init__(
        self,
        symbols: Sequence[int] | np.ndarray,
        vocabulary: Vocabulary,
        *,
        unit: Literal["word", "character"],
        window: int,
    ):
        """**Arguments:** `symbols (N,)`, numbers in `vocabulary`; `unit` decides which metrics are reported; `window`.

        **Raises:** `ValueError` for a window below 1, and for fewer than two symbols or numbers outside the vocabulary.
        """
        numbers = np.asarray(symbols, np.int32)
        check_at_least("Text", 1, window=window)
        check_at_least("Text", 2, num_symbols=numbers.size)
        if numbers.min() < 0 or numbers.max() >= len(vocabulary):
            raise ValueError(
                f"Text: symbols must lie in 0..{len(vocabulary) - 1}, got {numbers.min()}..{numbers.max()}"
            )
        self.symbols = jnp.asarray(np.pad(numbers, (0, window)))
        self.num_symbols = numbers.size
        self.vocabulary, self.unit, self.window = vocabulary, unit, window
        counts = np.bincount(numbers)
        share = counts[counts > 0] / numbers.size
        self.frequency_entropy = float(-np.sum(share * np.log(share)))

    @staticmethod
    def words(
        folder: str | os.PathLike[str], *, window: int = 35, checksum: Mapping[str, str] | None = PTB_CHECKSUMS
    ) -> "tuple[Text, Text, Text]":
        """Penn Treebank as words, each line closed by `<eos>`: (train, valid, test) with one vocabulary.

        **Arguments:** `folder` with `ptb.train.txt`, `ptb.valid.txt` and `ptb.test.txt`; `window`, T; `checksum`,
        SHA-256 by file name, or `None` to use the files unchecked.

        **Returns:** three `Text`s; symbols `(929589,)`, `(73760,)` and `(82430,)` of 10,000 words.

        **Raises:** `DataError`, one line, for files that are missing, are others, or are not UTF-8 text.

        **Source:** Mikolov's version of the corpus, as in Mucllari et al. (2022), section 4.6.
        """
        texts = _read_splits(folder, checksum)
        return _share([text.replace("\n", " <eos> ").split() for text in texts], "word", window)

    @staticmethod
    def characters(
        folder: str | os.PathLike[str], *, window: int = 100, checksum: Mapping[str, str] | None = PTB_CHECKSUMS
    ) -> "tuple[Text, Text, Text]":
        """Penn Treebank as characters, the raw text with spaces and line ends: (train, valid, test), one vocabulary.

        **Arguments:** as for `words`.

        **Returns:** three `Text`s; symbols `(5101618,)`, `(399782,)` and `(449945,)` of 50 characters.

        **Raises:** `DataError`, one line, for files that are missing, are others, or are not UTF-8 text.

        **Source:** Mucllari et al. (2022), section 4.5.
        """
        return _share(_read_splits(folder, checksum), "character", window)

    @property
    def input_size(self) -> int:
        return len(self.vocabulary)

    @property
    def output_size(self) -> int:
        return len(self.vocabulary)

    @property
    def tokens(self) -> bool:
        return True

    @property
    def carries_state(self) -> bool:
        return True

    @property
    def baseline(self) -> float | None:
        return self.frequency_entropy

    @property
    def floor(self) -> float:
        return 0.0

    def steps_per_epoch(self, batch_size: int) -> int:
        """`ceil((N // B - 1) / T)`. Raises `ValueError` when the rows have fewer than two symbols."""
        row = self._row(batch_size)
        return -(-(row - 1) // self.window)

    def batch(self, key: PRNGKey, step: Int[Array, ""] | int, batch_size: int) -> Batch:
        row = self._row(batch_size)
        step = jnp.asarray(step, jnp.int32) % self.steps_per_epoch(batch_size)
        begin = step * self.window
        begins = begin + row * jnp.arange(batch_size, dtype=jnp.int32)
        cut = jax.vmap(lambda at: jax.lax.dynamic_slice(self.symbols, (at,), (self.window + 1,)))(begins)
        inside = begin + jnp.arange(self.window, dtype=jnp.int32) < row - 1
        weights = jnp.broadcast_to(inside.astype(jnp.result_type(float))[None], (batch_size, self.window))
        return Batch(cut[:, :-1], cut[:, 1:], weights, step == 0)

    def loss(self, outputs: Float[Array, "B T O"], batch: Batch) -> Scalar:
        return cross_entropy(self.checked(outputs), batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "B T O"], batch: Batch) -> dict[str, Scalar]:
        """`cross_entropy`, and `perplexity` of words or `bits_per_character`, each `()`."""
        nats = self.loss(outputs, batch)
        if self.unit == "word":
            return {"cross_entropy": nats, "perplexity": perplexity(nats)}
        return {"cross_entropy": nats, "bits_per_character": bits_per_character(nats)}

    def _row(self, batch_size: int) -> int:
        row = self.num_symbols // batch_size
        if row < 2:
            raise ValueError(
                f"Text: {self.num_symbols} symbols in {batch_size} rows leave nothing to predict; lower batch_size"
            )
        return row


def _read_splits(folder: str | os.PathLike[str], checksum: Mapping[str, str] | None) -> list[str]:
    texts = []
    for name in PTB_CHECKSUMS:
        path = Path(folder) / name
        try:
            texts.append(read_checked(path, checksum).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}: expected UTF-8 text, found byte {error.start} that is none; save it again as UTF-8"
            ) from error
    return texts


def _share(splits: Sequence[Sequence[str]], unit: Literal["word", "character"], window: int) -> tuple[Text, Text, Text]:
    """Texts over one vocabulary, numbered in the order of first appearance."""
    vocabulary = Vocabulary(tuple(dict.fromkeys(symbol for split in splits for symbol in split)))
    train, valid, test = (Text(vocabulary.encode(split), vocabulary, unit=unit, window=window) for split in splits)
    return train, valid, test
