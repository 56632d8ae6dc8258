"""What counting alone achieves on text: losses that a network must beat."""

import numpy as np
import scipy.optimize

from ._text import Text


def unigram_cross_entropy(train: Text, test: Text) -> float:
    """Cross-entropy of the frequencies of `train` on the symbols that `test` predicts: `-mean ln (c(w) / N)`.

    **Arguments:** `train` and `test`, texts over one vocabulary, symbols `(N,)`.

    **Returns:** nats per symbol, shape `()`; infinite when `test` has a symbol that `train` has not.

    **Source:** maximum likelihood. On Penn Treebank: test perplexity 639 of words, 4.32 bits per character.
    """
    return float(-np.mean(_log(_frequencies(train)[_symbols(test)[1:]])))


def bigram_cross_entropy(train: Text, valid: Text, test: Text) -> float:
    """Cross-entropy of a bigram interpolated with the unigram: `p(w | v) = a c(v, w) / c(v) + (1 - a) c(w) / N`.

    Counts are those of `train`; `a` is the best for `valid`.

    **Arguments:** `train`, `valid` and `test`, texts over one vocabulary, symbols `(N,)`.

    **Returns:** nats per symbol, shape `()`, on `test`.

    **Source:** Jelinek & Mercer (1980). On Penn Treebank: test perplexity 209 of words, 3.31 bits per character.
    """
    unigram, counts = _frequencies(train), _symbols(train)
    num = len(train.vocabulary)
    pairs, times = np.unique(_pairs(counts, num), return_counts=True)
    before = np.bincount(counts[:-1], minlength=num)

    def parts(text: Text) -> tuple[np.ndarray, np.ndarray]:
        symbols = _symbols(text)
        wanted = _pairs(symbols, num)
        at = np.minimum(np.searchsorted(pairs, wanted), pairs.size - 1)
        seen = np.where(pairs[at] == wanted, times[at], 0)
        return seen / np.maximum(before[symbols[:-1]], 1), unigram[symbols[1:]]

    def nats(share: float, text: tuple[np.ndarray, np.ndarray]) -> float:
        return float(-np.mean(_log(share * text[0] + (1 - share) * text[1])))

    on_valid = parts(valid)
    share: float = scipy.optimize.fminbound(nats, 0, 1, args=(on_valid,))  # pyright: ignore[reportAssignmentType]
    return nats(share, parts(test))


def _symbols(text: Text) -> np.ndarray:
    return np.asarray(text.symbols)[: text.num_symbols].astype(np.int64)


def _pairs(symbols: np.ndarray, num: int) -> np.ndarray:
    return symbols[:-1] * num + symbols[1:]


def _frequencies(text: Text) -> np.ndarray:
    return np.bincount(_symbols(text), minlength=len(text.vocabulary)) / text.num_symbols


def _log(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(p)
