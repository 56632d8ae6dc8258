"""Folds of random GRUs, against the number of fixed points that enumeration proves: none is missed, none invented."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics.continuation import Location

LOW, HIGH = -4.0, 4.0
GRID = np.linspace(LOW, HIGH, 33)
SEEDED = slice(0, None, 4)
BRANCHES = 2048


def random_cells(number: int, seed: int) -> gd.GRUCell:
    """Two-unit GRUs with normal weights and biases, gains 0.5 to 4."""
    rng = np.random.default_rng(seed)
    gain = rng.uniform(0.5, 4.0, number)
    template = gd.GRUCell(0, 2, key=jax.random.key(0))

    def draw(leaf: Any) -> Any:
        return jnp.asarray(rng.normal(size=(number, *leaf.shape)) * gain.reshape(-1, *[1] * leaf.ndim))

    return jax.tree.map(lambda leaf: draw(leaf) if eqx.is_array(leaf) else leaf, template)


def bias(system):
    return system.cell.b_c


def family(cell: gd.GRUCell) -> gd.Family:
    return gd.Family(gd.CellFlow(cell), bias, 0)


def every(function):
    """Over cells, and with them over values."""
    return eqx.filter_jit(eqx.filter_vmap(function))


@every
def enumerated(cell, mu):
    points = gd.enumerate_fixed_points(family(cell)(mu), throw=False, max_points=18)
    return points.points.state, points.points.mask, points.count


@every
def followed(cell, state, mu):
    branch = gd.continue_fixed_points(
        family(cell), state, mu, mu_range=(LOW, HIGH), num_steps=250, events=(gd.Fold(),), throw=False
    )
    return branch.special_points, branch.end


class Fold(NamedTuple):
    mu: float
    state: np.ndarray


class Found(NamedTuple):
    """`counts (F, 33)`, lowest and highest number of fixed points; `folds`, a list for each family; number of branches,
    of special points that were only bracketed, and of branches that ended before the range."""

    counts: np.ndarray
    folds: list[list[Fold]]
    branches: int
    bracketed: int
    unfinished: int


def pick(cells: gd.GRUCell, rows: np.ndarray) -> gd.GRUCell:
    return jax.tree.map(lambda leaf: leaf[rows] if eqx.is_array(leaf) else leaf, cells)


def search(cells: gd.GRUCell, number: int) -> Found:
    owner, place = (index.ravel() for index in np.meshgrid(np.arange(number), np.arange(GRID.size), indexing="ij"))
    states, masks, counts = (np.asarray(x) for x in enumerated(pick(cells, owner), jnp.asarray(GRID[place])))
    # Where there are more points than at a neighbour there may be an isola between the values that are seeded anyway.
    lowest = counts[:, 0].reshape(number, GRID.size)
    padded = np.pad(lowest, ((0, 0), (1, 1)), mode="edge")
    rises = ((lowest > padded[:, :-2]) | (lowest > padded[:, 2:])).ravel()
    seeded = np.isin(place, np.arange(GRID.size)[SEEDED]) | rises
    system, row = np.nonzero(masks & seeded[:, None])
    folds: list[list[Fold]] = [[] for _ in range(number)]
    bracketed = unfinished = 0
    for begin in range(0, system.size, BRANCHES):
        some = np.arange(begin, begin + BRANCHES) % system.size
        who = owner[system[some]]
        start = jnp.asarray(states[system[some], row[some]]), jnp.asarray(GRID[place[system[some]]])
        points, end = jax.tree.map(np.asarray, followed(pick(cells, who), *start))
        bracketed += int(np.sum(points.mask & (points.location != Location.CONVERGED)))
        unfinished += int(np.sum((end != gd.End.RANGE) & (end != gd.End.CLOSED)))
        for branch, k in zip(*np.nonzero(points.mask), strict=True):
            new = Fold(float(points.mu[branch, k]), points.state[branch, k])
            known = folds[who[branch]]
            if not any(abs(f.mu - new.mu) < 1e-6 and np.max(np.abs(f.state - new.state)) < 1e-6 for f in known):
                known.append(new)
    return Found(counts.reshape(number, GRID.size, 2), folds, system.size, bracketed, unfinished)


# The same equations in NumPy, with derivatives by complex steps.


class Weights(NamedTuple):
    U_r: np.ndarray
    b_r: np.ndarray
    U_c: np.ndarray
    b_c: np.ndarray


def residual(w: Weights, h: np.ndarray, mu: complex) -> np.ndarray:
    reset = 1 / (1 + np.exp(-(w.U_r @ h + w.b_r)))
    return np.tanh(w.U_c @ (reset * h) + np.array([mu, w.b_c[1]])) - h


def jacobian(w: Weights, h: np.ndarray, mu: float) -> np.ndarray:
    return np.stack([residual(w, h + 1e-30j * e, mu).imag / 1e-30 for e in np.eye(h.size)], axis=1)


def jump(w: Weights, fold: Fold) -> tuple[float, float, int]:
    """Residual and smallest singular value at a fold, and the change of the number of fixed points there."""
    J = jacobian(w, fold.state, fold.mu)
    U, singular, Vt = np.linalg.svd(J)
    p, q, step = U[:, -1], Vt[-1], 1e-5
    turned = [jacobian(w, fold.state + sign * step * q, fold.mu) @ q for sign in (1, -1)]
    bend = p @ (turned[0] - turned[1]) / (2 * step)
    moved = p @ residual(w, fold.state, fold.mu + 1e-30j).imag / 1e-30
    return np.max(np.abs(residual(w, fold.state, fold.mu))), singular[-1], -2 * int(np.sign(bend * moved))


def mismatches(cells: gd.GRUCell, number: int, found: Found) -> list[str]:
    """What contradicts enumeration, in words."""
    wrong = []
    for i in range(number):
        weights = Weights(*(np.asarray(leaf[i]) for leaf in (cells.U_r, cells.b_r, cells.U_c, cells.b_c)))
        change = np.zeros(GRID.size - 1, int)
        for fold in found.folds[i]:
            size, singular, sign = jump(weights, fold)
            if size > 1e-10 or singular > 1e-8 or not LOW <= fold.mu <= HIGH:
                wrong.append(
                    f"{i}: no fold at {fold.mu} {fold.state}: residual {size:.1e}, singular value {singular:.1e}"
                )
            change[min(np.searchsorted(GRID, fold.mu, side="right") - 1, GRID.size - 2)] += sign
        low, high = found.counts[i].T
        wrong += [f"{i}: {low[k]} to {high[k]} fixed points at {GRID[k]}" for k in np.flatnonzero(low != high)]
        bad = np.flatnonzero((np.diff(low) != change) & (low == high)[1:] & (low == high)[:-1])
        wrong += [
            f"{i}: {low[k]} and {low[k + 1]} fixed points at {GRID[k]} and {GRID[k + 1]}, folds give {change[k]:+d}: "
            + ", ".join(f"{f.mu:.9f} {f.state}" for f in found.folds[i] if GRID[k] <= f.mu <= GRID[k + 1])
            for k in bad
        ]
    return wrong


@pytest.mark.slow
def test_folds_of_random_grus():
    number = 100
    cells = random_cells(number, 0)
    found = search(cells, number)
    assert mismatches(cells, number, found) == []
    assert found.bracketed == 0
    assert found.unfinished == 0
    assert sum(len(folds) for folds in found.folds) >= 50
    # Families with one up to nine fixed points are among them.
    np.testing.assert_array_equal(np.unique(found.counts), [1, 3, 5, 7, 9])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_folds_of_many_random_grus(seed):
    test = random_cells(100, seed)
    found = search(test, 100)
    assert mismatches(test, 100, found) == []
    assert found.bracketed == 0
    assert found.unfinished == 0
