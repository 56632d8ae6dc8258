"""Basins against closed forms, NumPy iterations, scipy's intervals, and the task that a network was trained on."""

import itertools
from importlib import resources

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import gru_dynamics as gd
from gru_dynamics.basins import (
    AttractorKind,
    attractor_graph,
    basin_fractions,
    basin_sweep,
    clopper_pearson_interval,
    match_attractors,
    wilson_interval,
)
from gru_dynamics.fixed_points import ArrayGuesses, TrajectoryGuesses, UniformGuesses
from gru_dynamics.interop import load_arrays

library = gd.library
KEY = jr.key(0)
UNIT = UniformGuesses(jnp.zeros(1), jnp.ones(1), num=1000)


def kinds(found):
    return [AttractorKind(int(code)).name for code in np.asarray(found.kind)[np.asarray(found.mask)]]


def check_counts(found):
    """Counts, shares and labels tell the same story."""
    label, count = np.asarray(found.label), np.asarray(found.count)
    np.testing.assert_array_equal(np.bincount(label[label >= 0], minlength=count.size), count)
    np.testing.assert_allclose(found.fraction, count / label.size, rtol=1e-15)
    assert int(found.num_unresolved) == (label < 0).sum() == label.size - count.sum()


# Shares ------------------------------------------------------------------------------------------


def test_eight_basins_of_the_cubic_flow():
    """Each basin is an eighth: the octant of its sink."""
    found = basin_fractions(library.decoupled_cubic(3), UniformGuesses(num=10_000), key=KEY)
    assert kinds(found) == ["SINK"] * 8
    check_counts(found)
    assert int(found.num_unresolved) == 0
    np.testing.assert_array_equal(np.asarray(found.state)[np.asarray(found.label)].round(9), np.sign(found.states))
    used = np.asarray(found.mask)
    assert (np.asarray(found.lower)[used] < 1 / 8).all()
    assert (np.asarray(found.upper)[used] > 1 / 8).all()
    assert (np.asarray(found.period)[used] == 0).all()


AXIS = (np.arange(20) + 0.5) / 10 - 1
GRID = ArrayGuesses(np.array(list(itertools.product(AXIS, repeat=3))))
SEARCHED = ArrayGuesses(GRID.points[np.arange(1024) * 7])


def test_exact_shares_on_a_symmetric_grid():
    found = basin_fractions(library.decoupled_tanh(3), GRID, key=KEY)
    assert np.asarray(found.count)[:8].tolist() == [1000] * 8
    np.testing.assert_allclose(np.abs(found.state[:8]), 0.9575040240772688, atol=1e-12)
    assert (np.asarray(found.period)[:8] == 1).all()
    again = basin_fractions(library.decoupled_tanh(3), GRID, key=jr.key(5))
    np.testing.assert_array_equal(found.label, again.label)


def test_sinks_that_the_search_missed_are_found_by_trajectories():
    system = library.decoupled_tanh(3)
    points = gd.find_fixed_points(system, SEARCHED, key=KEY)
    nothing = eqx.tree_at(lambda p: p.mask, points, jnp.zeros_like(points.mask))
    found = basin_fractions(system, GRID, key=KEY, points=nothing)
    assert np.asarray(found.count)[:8].tolist() == [1000] * 8
    assert kinds(found) == ["SINK"] * 8
    np.testing.assert_array_equal(np.sign(found.state)[np.asarray(found.label)], np.sign(found.states))


@pytest.mark.slow
def test_too_many_attractors():
    with pytest.raises(RuntimeError, match="basin_fractions"):
        basin_fractions(library.decoupled_tanh(3), GRID, key=KEY, max_attractors=4)
    found = basin_fractions(library.decoupled_tanh(3), GRID, key=KEY, max_attractors=4, throw=False)
    check_counts(found)
    assert int(found.num_unresolved) == 4000


# Cycles and others of maps -----------------------------------------------------------------------


SQUARE = UniformGuesses(jnp.zeros(2), jnp.ones(2), num=2000)


@pytest.mark.parametrize(("r", "period"), [(3.2, 2), (3.5, 4)])
def test_cycles_of_two_logistic_maps(r, period):
    """Two units side by side, each on its k-cycle: k cycles, by how far the second is ahead; by plain iteration."""
    found = basin_fractions(library.logistic(r), SQUARE, key=KEY)
    assert kinds(found) == ["CYCLE"] * period
    assert (np.asarray(found.period)[:period] == period).all()
    assert int(found.num_unresolved) == 0
    check_counts(found)
    x = np.asarray(found.states)
    for _ in range(4000):
        x = r * x * (1 - x)
    cycle = [x[0, 0]]
    for _ in range(period - 1):
        cycle.append(r * cycle[-1] * (1 - cycle[-1]))

    def ahead(states):
        phase = np.argmin(np.abs(states[..., None] - np.array(cycle)), axis=-1)
        return (phase[..., 1] - phase[..., 0]) % period

    orbit = np.asarray(found.orbit[:period, :period])
    np.testing.assert_array_equal(ahead(x), ahead(orbit[:, 0])[np.asarray(found.label)])
    np.testing.assert_allclose(np.sort(orbit[..., 0]), np.broadcast_to(np.sort(cycle), (period, period)), atol=1e-9)
    if period == 2:
        roots = (r + 1 + np.array([-1, 1]) * np.sqrt((r - 3) * (r + 1))) / (2 * r)
        np.testing.assert_allclose(np.sort(orbit[0, :, 0]), roots, atol=1e-9)


def test_chaos_is_no_cycle():
    found = basin_fractions(library.logistic(3.9), SQUARE, key=KEY)
    assert kinds(found) == ["OTHER"]
    assert int(found.count[0]) == 2000
    assert float(found.period[0]) == np.inf


def escapes(step, states):
    with np.errstate(all="ignore"):
        for _ in range(4000):
            states = step(states)
    return ~np.isfinite(states).all(axis=1)


@pytest.mark.parametrize(
    ("system", "upper", "step"),
    [
        (library.henon, 2.0, lambda s: np.stack([1 - 1.4 * s[:, 0] ** 2 + s[:, 1], 0.3 * s[:, 0]], 1)),
        (
            lambda: library.delayed_logistic(2.1),
            1.0,
            lambda s: np.stack([2.1 * s[:, 0] * (1 - s[:, 1]), s[:, 0]], 1),
        ),
    ],
    ids=["henon", "delayed_logistic"],
)
def test_infinity_and_the_strange_attractor(system, upper, step):
    """Chaos (Henon) and an invariant curve (delayed logistic past its Neimark-Sacker point r = 2), or infinity."""
    lower = -2.0 if upper == 2 else 0.0
    guesses = UniformGuesses(jnp.full(2, lower), jnp.full(2, upper), num=2000)
    found = basin_fractions(system(), guesses, key=KEY)
    assert sorted(kinds(found)) == ["ESCAPED", "OTHER"]
    check_counts(found)
    gone = np.asarray(found.kind)[np.asarray(found.label)] == AttractorKind.ESCAPED
    np.testing.assert_array_equal(gone, escapes(step, np.asarray(found.states)))
    assert 0 < gone.mean() < 1
    assert "infinity" in found.summary()


@pytest.mark.slow
def test_batch_of_maps():
    def one(r):
        return basin_fractions(library.logistic(r), UNIT, key=KEY, max_attractors=4, throw=False)

    found = eqx.filter_jit(jax.vmap(one))(jnp.array([2.5, 3.2, 3.5]))
    assert np.asarray(found.period[:, 0]).tolist() == [1, 2, 4]
    assert np.asarray(found.count[:, 0]).tolist() == [1000] * 3
    assert np.asarray(found.kind[:, 0]).tolist() == [AttractorKind.SINK, AttractorKind.CYCLE, AttractorKind.CYCLE]
    with pytest.raises(ValueError, match="batch"):
        found.table()


@pytest.mark.slow
def test_lstm_states_are_lifted():
    cell = gd.LSTMCell(0, 3, key=jr.key(3))
    system = gd.CellMap(cell)
    found = basin_fractions(system, UniformGuesses(num=100), key=KEY)
    assert found.states.shape == (100, 6)
    assert kinds(found) == ["SINK"]
    np.testing.assert_allclose(system(found.state[0]), found.state[0], atol=1e-12)
    assert int(found.count[0]) == 100


# Cycles of flows ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_cycle_of_jordan_takes_everything():
    """Period from an independent integration; beyond the Hopf point arccos(2/3) the origin takes everything."""
    found = basin_fractions(library.jordan_rotation(np.pi / 5), UniformGuesses(num=500), key=KEY)
    assert kinds(found) == ["CYCLE"]
    assert int(found.count[0]) == 500
    np.testing.assert_allclose(found.period[0], 17.45796528, rtol=1e-8)
    found = basin_fractions(library.jordan_rotation(0.9), UniformGuesses(num=500), key=KEY)
    assert kinds(found) == ["SINK"]
    assert int(found.count[0]) == 500


def _radial(t, s, p):
    """r' = -0.1 r + r^3 - r^5, theta' = 1, pushed."""
    square = jnp.sum(s * s)
    return (-0.1 + square - square**2) * s + jnp.stack([-s[1], s[0]]) + p["push"]


RADIAL = gd.FunctionFlow(_radial, {"push": jnp.zeros(2)})
BORDER, RADIUS = np.sqrt((1 - np.sqrt(0.6)) / 2), np.sqrt((1 + np.sqrt(0.6)) / 2)


@pytest.fixture(scope="module")
def radial():
    return basin_fractions(RADIAL, UniformGuesses(-jnp.ones(2), jnp.ones(2), num=2000), key=KEY)


def test_sink_inside_a_cycle(radial):
    """The border is the unstable cycle, so every label is known."""
    assert kinds(radial) == ["CYCLE", "SINK"]
    check_counts(radial)
    np.testing.assert_allclose(radial.period[0], 2 * np.pi, rtol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(radial.orbit[0], axis=1), RADIUS, atol=1e-8)
    outside = np.linalg.norm(np.asarray(radial.states), axis=1) > BORDER
    np.testing.assert_array_equal(np.asarray(radial.label) == 0, outside)


@pytest.mark.slow
def test_a_pulse_at_several_phases(radial):
    """A kick from the cycle leads inside the border or not, by phase; from the sink it always leads out."""
    family = gd.Family(RADIAL, where=lambda s: s.args["push"])
    kick, time = np.array([0.9, 0.0]), 1e-3
    graph = attractor_graph(family, kick[None] / time, radial, duration=time, num_phases=16)
    start = np.asarray(radial.orbit[0, ::8])
    inside = np.linalg.norm(start + kick, axis=1) < BORDER
    assert 0 < inside.sum() < 16
    assert np.asarray(graph.transitions[0, :2]).tolist() == [-1, 0]
    np.testing.assert_allclose(graph.share[0, :2, :2], [[1 - inside.mean(), inside.mean()], [1, 0]], atol=1e-15)
    assert "?" in graph.table()


# Automata ----------------------------------------------------------------------------------------


def data(name):
    return resources.as_file(resources.files("gru_dynamics.data") / name)


def test_flipflop_is_the_exact_automaton():
    """Eight memories; a pulse on an input writes its sign into that bit and leaves the other two."""
    with data("flipflop_gru16_seed0.safetensors") as path:
        cell, arrays = gd.load_cell(path, format="torch"), load_arrays(path)
    with data("flipflop_gru16_seed0_states.npz") as path:
        visited = load_arrays(path)["states"]
    system = gd.CellMap(cell)
    found = basin_fractions(system, TrajectoryGuesses(visited, num=2048), key=KEY)
    assert kinds(found) == ["SINK"] * 8
    assert int(found.num_unresolved) == 0
    pulses = np.concatenate([np.eye(3), -np.eye(3)])
    graph = attractor_graph(system, pulses, found, duration=1)
    memory = np.sign(np.asarray(found.state[:8]) @ arrays["readout.weight"].T + arrays["readout.bias"])
    assert len({tuple(bits) for bits in memory}) == 8
    targets = np.asarray(graph.transitions[:, :8])
    assert (targets >= 0).all()
    expected = np.where(pulses[:, None] != 0, pulses[:, None], memory[None])
    np.testing.assert_array_equal(memory[targets], expected)
    assert (np.asarray(graph.transitions[:, 8:]) == -1).all()
    assert "(+1 +0 +0)" in graph.table()


def driven(case):
    """The cell of the paper with an input that is added to the candidate's argument."""
    source = library.jordan(case).cell
    cell = gd.GRUCell(2, 2, key=KEY)
    names = ("U_r", "U_z", "U_c", "b_r", "b_z", "b_c")
    cell = eqx.tree_at(lambda c: [getattr(c, n) for n in names], cell, [getattr(source, n) for n in names])
    zeros = jnp.zeros((2, 2))
    return eqx.tree_at(lambda c: (c.W_r, c.W_z, c.W_c), cell, (zeros, zeros, jnp.eye(2)))


# Along an axis in figure 2; not in figure 3a, where two sinks and the border between two basins lie on the axes.
PULSES = {
    "fig:2": np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0], [0.0, -3.0], [3.0, -2.0], [-2.0, 3.0]]),
    "fig:3a": np.array([[3.0, 0.5], [0.5, 3.0], [-3.0, 0.4], [0.4, -3.0], [3.0, -2.0], [-2.0, 3.0]]),
}
SWAPPED_PULSE = [1, 0, 3, 2, 5, 4]


def numpy_step(cell, h, x):
    U_r, U_c, b_r, b_c = (np.asarray(a) for a in (cell.U_r, cell.U_c, cell.b_r, cell.b_c))
    r = 1 / (1 + np.exp(-(U_r @ h + b_r)))
    return 0.5 * h + 0.5 * np.tanh(x + U_c @ (r * h) + b_c)


@pytest.mark.parametrize(("case", "sinks"), [("fig:2", 4), ("fig:3a", 5)])
def test_automata_of_jordan(case, sinks):
    """Transitions by plain iteration in NumPy; and both systems are symmetric in their two units."""
    cell, pulses = driven(case), PULSES[case]
    found = basin_fractions(gd.CellMap(cell), UniformGuesses(num=1000), key=KEY)
    assert kinds(found) == ["SINK"] * sinks
    graph = attractor_graph(gd.CellMap(cell), pulses, found, duration=10)
    state, targets = np.asarray(found.state[:sinks]), np.asarray(graph.transitions[:, :sinks])
    for p, a in itertools.product(range(len(pulses)), range(sinks)):
        h = state[a]
        for step in range(500):
            h = numpy_step(cell, h, pulses[p] if step < 10 else np.zeros(2))
        assert targets[p, a] == np.argmin(np.linalg.norm(state - h, axis=1))
    swap = [int(np.argmin(np.linalg.norm(state - s[::-1], axis=1))) for s in state]
    np.testing.assert_array_equal(targets[SWAPPED_PULSE][:, swap], np.asarray(swap)[targets])
    if case == "fig:2":
        written = np.where(pulses[:4, None] != 0, np.sign(pulses[:4, None]), np.sign(state)[None])
        np.testing.assert_array_equal(np.sign(state)[targets[:4]], written)


# Neighbouring parameters -------------------------------------------------------------------------


def moved(found, orbit, kind=None, mask=None):
    """A result with other orbits, for matching."""
    new = eqx.tree_at(lambda f: (f.orbit, f.state), found, (jnp.asarray(orbit), jnp.asarray(orbit)[:, 0]))
    new = new if kind is None else eqx.tree_at(lambda f: f.kind, new, jnp.asarray(kind, jnp.int32))
    return new if mask is None else eqx.tree_at(lambda f: f.mask, new, jnp.asarray(mask))


def test_match(radial):
    orbit, kind = np.array(radial.orbit), np.array(radial.kind)
    orbit[2], kind[2] = np.inf, AttractorKind.ESCAPED
    mask = np.arange(orbit.shape[0]) < 3
    before = moved(radial, orbit, kind, mask)
    # The rows change places, the cycle is listed from another phase and has moved a little.
    shuffled, codes = orbit.copy(), kind.copy()
    shuffled[0], shuffled[1], shuffled[2] = orbit[2], np.roll(orbit[0], 17, axis=0) * 1.01, orbit[1] + 0.05
    codes[:3] = kind[[2, 0, 1]]
    match = match_attractors(before, moved(radial, shuffled, codes, mask))
    assert np.asarray(match.index)[:4].tolist() == [2, 0, 1, -1]
    np.testing.assert_allclose(match.distance[2], 0.05 * np.sqrt(2), atol=1e-12)
    assert not np.asarray(match.vanished).any()
    # A limit on the distance takes the sink its partner.
    match = match_attractors(before, moved(radial, shuffled, codes, mask), max_distance=0.05)
    assert np.asarray(match.index)[:3].tolist() == [2, 0, -1]
    assert np.flatnonzero(match.vanished).tolist() == [1]
    # The sink is gone: nothing takes its place.
    match = match_attractors(before, moved(radial, orbit, kind, mask & (np.arange(mask.size) != 1)))
    assert np.asarray(match.index)[:3].tolist() == [0, -1, 2]
    assert np.flatnonzero(match.vanished).tolist() == [1]


def _bias(system):
    return system.cell.b


def test_sweep_through_two_folds():
    """h' = tanh(2 h + b): the middle root is the border of the basins; folds at b = -+0.5328399754."""
    cell = eqx.tree_at(lambda c: (c.U, c.b), gd.ElmanCell(0, 1, key=KEY), (jnp.full((1, 1), 2.0), jnp.zeros(1)))
    family = gd.Family(gd.CellMap(cell), where=_bias, index=0)
    biases = np.linspace(-0.9, 0.9, 13)
    grid = np.linspace(-1, 1, 402)[:, None]
    sweep = basin_sweep(family, biases, ArrayGuesses(grid), key=KEY, max_attractors=4)
    assert sweep.mask.shape == (13, 2)
    np.testing.assert_array_equal(sweep.mask, np.stack([biases < 0.5328399754, biases > -0.5328399754], axis=1))
    for row, b in enumerate(biases):
        # tanh(2 h + b) - h is monotone between its turning points, where tanh^2 = 1/2.
        turns = (np.array([-1, 1]) * np.arctanh(np.sqrt(0.5)) - b) / 2
        ends = [-2, *turns, 2]
        gap = [float(np.tanh(2 * h + b) - h) for h in ends]
        roots = [
            scipy.optimize.root_scalar(lambda h, b=b: np.tanh(2 * h + b) - h, bracket=ends[i : i + 2], xtol=1e-14).root
            for i in range(3)
            if gap[i] * gap[i + 1] < 0
        ]
        below = (grid < (roots[1] if len(roots) == 3 else -np.sign(b) * np.inf)).sum()
        assert np.asarray(sweep.count[row]).tolist() == [below, grid.size - below]
        used = np.asarray(sweep.mask[row])
        np.testing.assert_allclose(np.asarray(sweep.state[row, used, 0]), sorted({roots[0], roots[-1]}), atol=1e-10)
    lines = sweep.table().splitlines()
    assert len(lines) == 14
    assert " . " in lines[1]


# Intervals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "method"), [(wilson_interval, "wilson"), (clopper_pearson_interval, "exact")], ids=["wilson", "exact"]
)
def test_intervals_are_those_of_scipy(interval, method):
    counts = np.minimum(np.arange(201), 100)
    expected = [scipy.stats.binomtest(int(k), 100).proportion_ci(0.95, method=method) for k in counts]
    lower, upper = interval(counts, 100)
    np.testing.assert_allclose(lower, [ci.low for ci in expected], atol=1e-14)
    np.testing.assert_allclose(upper, [ci.high for ci in expected], atol=1e-14)
    lower, upper = interval(np.zeros(201), np.zeros(201))
    assert (np.asarray(lower) == 0).all()
    assert (np.asarray(upper) == 1).all()


def test_exact_intervals_cover_at_least_what_they_say():
    """The coverage itself, summed over all outcomes, for shares large and tiny."""
    counts = np.arange(201)
    for interval, least in ((clopper_pearson_interval, 0.95), (wilson_interval, 0.83)):
        lower, upper = (np.asarray(end) for end in interval(counts, 200))
        for p in (0.5, 1 / 8, 0.01, 0.001):
            weight = scipy.stats.binom.pmf(counts, 200, p)
            assert weight[(lower <= p) & (p <= upper)].sum() >= least


def test_intervals_of_runs_cover_the_truth():
    """200 runs from random initial states; the basin of the sink in the first octant is exactly 1/8."""
    system = library.decoupled_tanh(3)
    points = gd.find_fixed_points(system, SEARCHED, key=KEY)
    covered = []
    for seed in range(200):
        run = basin_fractions(system, UniformGuesses(num=8000), key=jr.key(seed), points=points)
        row = int(np.argmax(np.asarray(run.state[:8]).sum(axis=1)))
        covered.append(float(run.lower[row]) <= 1 / 8 <= float(run.upper[row]))
    assert 0.93 <= np.mean(covered) < 1


# What goes wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({"duration": 0.0}, "duration must be positive"),
        ({"interval": 1.5}, "whole numbers"),
        ({"max_attractors": 0}, "max_attractors"),
        ({"max_period": 200}, "orbit_length"),
    ],
)
def test_settings_are_checked(options, phrase):
    with pytest.raises(ValueError, match=phrase):
        basin_fractions(library.logistic(3.2), UNIT, key=KEY, **options)


def test_graph_checks_its_pulses(radial):
    with pytest.raises(ValueError, match="pulses must have shape"):
        attractor_graph(gd.CellMap(driven("fig:2")), np.zeros((3, 4)), radial, duration=1)
    with pytest.raises(ValueError, match="whole for a map"):
        attractor_graph(gd.CellMap(driven("fig:2")), np.zeros((3, 2)), radial, duration=1.5)
