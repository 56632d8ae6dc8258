"""What cannot be known when data symbols overwrite each other: an exact sum."""

import functools
import itertools
import math

import numpy as np


@functools.lru_cache(maxsize=64)
def collision_floor(num_places: int, num_items: int, num_symbols: int) -> float:
    """Sum over the M asked items of the entropy of each given what is seen, in nats.

    M items fall on N places with replacement, in sorted order, and of the items at one place only the last is seen. A
    network that sees no answers gives each item its own distribution, so the entropies of single items add up. Given
    K places with `m_1 + ... + m_K = M` items, of probability proportional to `M! / (m_1! ... m_K!)`, item j is the
    symbol seen at place i if it is the last one there, and otherwise any symbol:

        p_j(a) = sum_i w_ji [s_i = a] + w_j0 / S

    The S symbols are alike, so the mean entropy is S times the mean of `-p ln p` over which of the K places show a
    given symbol, each with probability 1/S: a sum over 2^K cases.
    """
    N, M, S = num_places, num_items, num_symbols
    total = 0.0
    for K in range(1, min(M, N) + 1):
        shown = np.array(list(itertools.product((0, 1), repeat=K)))
        count = shown.sum(axis=1)
        likelihood = (1 / S) ** count * (1 - 1 / S) ** (K - count)
        known = _last_at_place(M, K)
        p = shown @ known.T + (1 - known.sum(axis=1)) / S
        surprise = -p * np.log(np.where(p > 0, p, 1))
        total += _surjections(M, K) * math.comb(N, K) / N**M * S * float(likelihood @ surprise.sum(axis=1))
    return total


def _surjections(M: int, K: int) -> int:
    """Ways to put M items on K places so that none stays empty."""
    return sum((-1) ** (K - i) * math.comb(K, i) * i**M for i in range(K + 1))


def _last_at_place(M: int, K: int) -> np.ndarray:
    """`(M, K)`: the probability that sorted item j is the last one at the i-th of K occupied places."""
    known, total = np.zeros((M, K)), 0.0
    for cuts in itertools.combinations(range(1, M), K - 1):
        sizes = np.diff([0, *cuts, M])
        weight = 1 / math.prod(math.factorial(size) for size in sizes)
        known[np.cumsum(sizes) - 1, np.arange(K)] += weight
        total += weight
    return known / total
