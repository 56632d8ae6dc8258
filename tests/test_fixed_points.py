"""Fixed points against closed forms, published counts, and exact identities."""

import math
from importlib import resources

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import KNOWN_POINTS, each, without_type_checks

import gru_dynamics as gd
from gru_dynamics import Completeness, Kind

UNIFORM = gd.UniformGuesses(num=1024)


def flipflop(seed):
    with resources.as_file(resources.files("gru_dynamics.data") / f"flipflop_gru16_seed{seed}.safetensors") as path:
        return gd.load_cell(path)


def by_unstable_dim(points):
    return np.bincount(np.asarray(points.unstable_dim)[np.asarray(points.mask)]).tolist()


def check_real(system, points):
    """Every reported point is a zero of the residual, inside the box, and a fixed point of the step itself."""
    state, mask = np.asarray(points.state), np.asarray(points.mask)
    assert (np.asarray(points.residual)[mask] < 1e-12).all()
    rest = np.asarray(jax.vmap(system.rest)(state))[mask]
    if system.bounds is not None:
        assert (rest > np.asarray(system.bounds[0])).all()
        assert (rest < np.asarray(system.bounds[1])).all()
    speed = np.abs(np.asarray(jax.vmap(system.velocity)(state))[mask])
    scale = 1 + np.abs(state[mask]).max()
    assert (speed < 1e-12 * scale).all()


@pytest.mark.parametrize(("seed", "expected"), [(0, [8, 12, 6, 1]), (1, [8, 12, 5])])
def test_flipflop(seed, expected):
    system = gd.CellMap(flipflop(seed))
    points = gd.find_fixed_points(system, UNIFORM, key=jr.key(0))
    assert by_unstable_dim(points) == expected
    assert int(points.index_sum) == 1
    assert int(points.complete) == Completeness.CONSISTENT
    check_real(system, points)


def test_product_gru_has_all_729_points():
    system = gd.library.product_gru(6, key=jr.key(1))
    points = gd.find_fixed_points(system, gd.UniformGuesses(num=8192), key=jr.key(0))
    assert by_unstable_dim(points) == [math.comb(6, k) * 2 ** (6 - k) for k in range(7)]
    check_real(system, points)
    root = 0.9575040240772688
    coordinates = np.asarray(points.state)[np.asarray(points.mask)]
    assert (np.abs(np.abs(coordinates)[:, :, None] - np.array([0.0, root])).min(-1) < 1e-12).all()


@pytest.mark.parametrize("n", range(1, 7))
def test_decoupled_units(n):
    system = gd.library.decoupled_tanh(n)
    points = gd.find_fixed_points(system, gd.UniformGuesses(num=min(8192, 32 * 3**n)), key=jr.key(0))
    assert by_unstable_dim(points) == [math.comb(n, k) * 2 ** (n - k) for k in range(n + 1)]
    assert int(points.index_sum) == 1
    check_real(system, points)


@each("known", KNOWN_POINTS)
def test_known_points(known):
    system = known.make()
    size = known.states.shape[1]
    reach = 1.5 * np.abs(known.states).max() + 1
    guesses = gd.UniformGuesses(jnp.full(size, -reach), jnp.full(size, reach), num=256)
    points = gd.find_fixed_points(system, guesses, key=jr.key(0))
    found = np.asarray(points.state)[np.asarray(points.mask)]
    distance = np.abs(found[:, None] - known.states[None]).max(-1)
    assert found.shape == known.states.shape
    assert (distance.min(0) < 1e-9).all()
    np.testing.assert_array_equal(np.asarray(points.unstable_dim)[distance.argmin(0)], known.unstable)
    assert (int(points.complete) == Completeness.UNKNOWN) == (system.bounds is None)


@pytest.fixture(scope="module")
def eleven():
    return gd.find_fixed_points(gd.library.jordan("fig:3a"), UNIFORM, key=jr.key(0))


def test_eleven_points_of_figure_3a(eleven):
    kinds = np.asarray(eleven.kind)[np.asarray(eleven.mask)].tolist()
    assert [kinds.count(kind) for kind in (Kind.SINK, Kind.SADDLE, Kind.SOURCE)] == [5, 5, 1]
    assert int(eleven.count) == 11
    assert int(np.asarray(eleven.hits).sum()) == int(eleven.num_converged) == 1024
    padding = ~np.asarray(eleven.mask)
    assert np.isinf(np.asarray(eleven.residual)[padding]).all()
    assert (np.asarray(eleven.kind)[padding] == Kind.NONE).all()


def test_the_table_says_what_was_found(eleven):
    table = eleven.table()
    assert "11 fixed points (5 sinks, 5 saddles, 1 source)" in table
    assert "index sum +1: consistent" in table
    assert "sink (node)" in table
    assert len(table.splitlines()) == 13


def test_degenerate_points_are_named_and_not_repeated():
    """Case iv: the whole Jacobian vanishes at the origin, and two points are folds; 4 points in all."""
    points = gd.find_fixed_points(gd.library.jordan("table3:iv"), UNIFORM, key=jr.key(0))
    kinds = np.asarray(points.kind)[np.asarray(points.mask)].tolist()
    assert (kinds.count(Kind.SINK), kinds.count(Kind.DEGENERATE), len(kinds)) == (1, 3, 4)
    assert int(points.complete) == Completeness.INCOMPLETE
    assert (np.asarray(points.index)[np.asarray(points.kind) == Kind.DEGENERATE] == 0).all()


def test_focus_and_node():
    """r = 1/2, z = 1/2: J_flow = (gain R(alpha)/2 - I)/2 at the origin, complex for alpha = 1.2."""
    points = gd.find_fixed_points(gd.library.jordan_rotation(1.2), UNIFORM, key=jr.key(0))
    assert int(points.count) == 1
    assert bool(points.focus[0])
    expected = complex((1.5 * math.cos(1.2) - 1) / 2, 0.75 * math.sin(1.2))
    np.testing.assert_allclose(complex(points.eigenvalues[0, 0]), expected, atol=1e-12)


def test_map_and_flow_rules_are_kept_apart():
    """At alpha = 1.2 > arccos(2/3) the flow is stable; the map is not before arccos(1/4) = 1.318."""
    flow = gd.library.jordan_rotation(1.2)
    assert int(gd.find_fixed_points(flow, UNIFORM, key=jr.key(0)).kind[0]) == Kind.SINK
    step = gd.CellMap(flow.cell)
    points = gd.find_fixed_points(step, UNIFORM, key=jr.key(0))
    origin = int(np.where(points.mask, np.abs(np.asarray(points.state)).max(-1), np.inf).argmin())
    assert int(points.unstable_dim[origin]) == 2


def test_the_update_gate_moves_no_fixed_point():
    cell = gd.library.jordan("fig:3a").cell
    other = eqx.tree_at(lambda c: (c.U_z, c.b_z), cell, (jr.normal(jr.key(1), (2, 2)), jnp.array([3.0, -3.0])))
    one = gd.find_fixed_points(gd.CellMap(cell), UNIFORM, key=jr.key(0))
    two = gd.find_fixed_points(gd.CellMap(other), UNIFORM, key=jr.key(2))
    first, second = (np.asarray(p.state)[np.asarray(p.mask)] for p in (one, two))
    assert len(first) == len(second) == 11
    assert np.abs(first[:, None] - second[None]).max(-1).min(1).max() < 1e-12


def test_a_closed_gate_is_neither_a_fixed_point_nor_a_degeneracy():
    """Keep gate 1 - 5e-7: the speed is tiny everywhere, the residual is not, and sinks are still sinks."""
    cell = gd.library.jordan("fig:2").cell
    slow = eqx.tree_at(lambda c: c.b_z, cell, jnp.array([14.5, 14.5]))
    points = gd.find_fixed_points(gd.CellMap(slow), UNIFORM, key=jr.key(0))
    assert by_unstable_dim(points) == [4, 4, 1]
    assert not (np.asarray(points.kind) == Kind.DEGENERATE).any()


def test_trajectory_and_array_guesses():
    cell = gd.library.jordan("fig:3a").cell
    states = gd.rollout(cell, jnp.array([0.1, 0.3]), num_steps=64)
    points = gd.find_fixed_points(gd.CellMap(cell), gd.TrajectoryGuesses(states, num=128, noise=0.3), key=jr.key(0))
    assert int(points.index_sum) == 1
    points = gd.find_fixed_points(gd.CellMap(cell), states, key=jr.key(0))
    assert int(points.index_sum) == 1


def test_reseeding_finds_what_one_guess_cannot():
    """From one saddle alone, with index -1, the search goes on until the sum is +1."""
    system = gd.library.jordan("fig:3a")
    near_saddle = jnp.array([[-0.3766, -0.3766]] * 64)
    alone = gd.find_fixed_points(system, near_saddle, key=jr.key(0), max_reseeds=0)
    assert int(alone.count) == 1
    assert int(alone.complete) == Completeness.INCOMPLETE
    more = gd.find_fixed_points(system, near_saddle, key=jr.key(0))
    assert int(more.num_reseeds) > 0
    assert int(more.complete) == Completeness.CONSISTENT


def test_fixed_point_refines_one_state():
    system = gd.library.jordan("fig:3a")
    point = gd.fixed_point(system, jnp.array([0.9, 0.9]))
    assert float(jnp.abs(system.residual(point)).max()) < 1e-15
    with pytest.raises(RuntimeError, match="stopped before"):
        gd.fixed_point(system, jnp.array([0.9, 0.9]), max_steps=1)


def test_linearise_at_a_fixed_point():
    """Gain by moving the input, modes by their definition, time constants of the product GRU in closed form."""
    cell = gd.GRUCell(2, 3, key=jr.key(5))
    system = gd.CellMap(cell, input=jnp.array([0.3, -0.2]))
    state = gd.fixed_point(system, jnp.zeros(3))
    linear = gd.linearise(system, state)
    step = 1e-6
    moved = [gd.fixed_point(gd.CellMap(cell, input=jnp.array([0.3 + s, -0.2])), state) for s in (step, -step)]
    np.testing.assert_allclose(linear.gain[:, 0], (moved[0] - moved[1]) / (2 * step), atol=1e-8)
    left, right, values = (np.asarray(a) for a in (linear.left, linear.right, linear.eigenvalues))
    np.testing.assert_allclose(left @ np.asarray(linear.A) @ right, np.diag(values), atol=1e-12)
    product = gd.library.product_gru(2)
    root = 0.9575040240772688
    slope = 0.5 + 0.5 * 2 * (1 - root**2)
    linear = gd.linearise(product, jnp.full(2, root))
    np.testing.assert_allclose(linear.time_constants, -1 / math.log(slope), rtol=1e-10)
    np.testing.assert_allclose(linear.frequencies, 0.0)


def _summary(cell, guesses):
    points = gd.find_fixed_points(gd.CellFlow(cell), guesses, key=jr.key(0), throw=False)
    simple = points.mask & (points.unstable_dim < 2)  # the source of this cell has a double eigenvalue
    position = jnp.sum(jnp.where(simple[:, None], points.state**2, 0))
    return position, jnp.sum(jnp.where(simple[:, None], points.eigenvalues.real**2, 0))


_gradients = eqx.filter_jit(
    lambda cell, guesses: tuple(eqx.filter_grad(lambda c, k=k: _summary(c, guesses)[k])(cell) for k in (0, 1))
)
_values = eqx.filter_jit(_summary)


def test_points_and_eigenvalues_differentiate_in_every_weight():
    cell = gd.library.jordan("fig:3a").cell
    guesses = gd.UniformGuesses(num=64)
    exact = _gradients(cell, guesses)
    direction = jax.tree.map(lambda x: jr.normal(jr.key(x.size), x.shape) if eqx.is_array(x) else x, cell)
    step = 1e-6
    up, down = (
        _values(jax.tree.map(lambda x, d, s=s: x + s * d if eqx.is_array(x) else x, cell, direction), guesses)
        for s in (step, -step)
    )
    for gradient, high, low in zip(exact, up, down, strict=True):
        terms = jax.tree.map(lambda g, d: jnp.sum(g * d), *(eqx.filter(t, eqx.is_array) for t in (gradient, direction)))
        np.testing.assert_allclose(sum(jax.tree.leaves(terms)), (high - low) / (2 * step), rtol=1e-5)


def test_second_derivative_of_a_fixed_point():
    """h = tanh(w h): implicit differentiation twice by hand, with s = 1 - h^2, d = 1 - w s."""
    template = gd.library.decoupled_tanh(1)

    def point(w):
        system = eqx.tree_at(lambda s: s.cell.U, template, w.reshape(1, 1))
        return gd.fixed_point(system, jnp.array([0.9]), throw=False)[0]

    w = jnp.array(2.0)
    h = float(point(w))
    s = 1 - h * h
    d = 1 - 2 * s
    first = h * s / d
    ds = -2 * h * first
    second = ((first * s + h * ds) * d + h * s * (s + 2 * ds)) / d**2
    np.testing.assert_allclose(jax.grad(point)(w), first, rtol=1e-12)
    np.testing.assert_allclose(jax.grad(jax.grad(point))(w), second, rtol=1e-10)


def test_results_say_what_to_do():
    nothing = gd.FunctionMap(lambda s, _: s + 1.0)
    guesses = gd.UniformGuesses(jnp.zeros(2), jnp.ones(2), num=64)
    with pytest.raises(RuntimeError, match="more guesses"):
        gd.find_fixed_points(nothing, guesses, key=jr.key(0))
    quiet = gd.find_fixed_points(nothing, guesses, key=jr.key(0), throw=False)
    assert quiet.result == gd.RESULTS.no_fixed_point
    assert not quiet.mask.any()
    system = gd.library.jordan("fig:3a")
    broken = eqx.tree_at(lambda s: s.cell.U_c, system, jnp.full((2, 2), jnp.nan))
    with pytest.raises(RuntimeError, match="inf or nan"):
        gd.find_fixed_points(broken, UNIFORM, key=jr.key(0))
    with pytest.raises(RuntimeError, match="max_points"):
        gd.find_fixed_points(system, UNIFORM, key=jr.key(0), max_points=3)


def test_bad_guesses_say_what_to_do():
    system = gd.library.jordan("fig:3a")
    with pytest.raises(ValueError, match="num > 0"):
        gd.find_fixed_points(system, jnp.zeros((0, 2)), key=jr.key(0))
    with pytest.raises(ValueError, match="3 components"):
        gd.find_fixed_points(system, jnp.zeros((4, 3)), key=jr.key(0))
    with pytest.raises(ValueError, match="no trapping box"):
        gd.find_fixed_points(gd.library.henon(), gd.UniformGuesses(num=8), key=jr.key(0))
    with pytest.raises(ValueError, match="as a vector"):
        gd.find_fixed_points(gd.library.henon(), gd.UniformGuesses(-1.0, 1.0, num=8), key=jr.key(0))
    with pytest.raises(ValueError, match="both ends"):
        gd.UniformGuesses(-1.0)
    with pytest.raises(ValueError, match=r"\(T, S\)"):
        gd.TrajectoryGuesses(jnp.zeros(3))
    with without_type_checks(), pytest.raises(ValueError, match="one vector"):
        gd.fixed_point(system, jnp.zeros((2, 1)))
    with without_type_checks(), pytest.raises(ValueError, match="one vector"):
        gd.linearise(system, jnp.zeros((2, 1)))


def test_float32_works_and_says_so_once():
    system = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_array(x) else x, gd.library.jordan("fig:3a"))
    gd.fixed_points._tolerances.warn_float32.cache_clear()
    with pytest.warns(gd.fixed_points.PrecisionWarning, match="JAX_ENABLE_X64"):
        points = gd.find_fixed_points(system, gd.UniformGuesses(num=256), key=jr.key(0))
    assert points.state.dtype == jnp.float32
    assert by_unstable_dim(points) == [5, 5, 1]
    gd.find_fixed_points(system, gd.UniformGuesses(num=256), key=jr.key(0))


def test_same_shapes_compile_once():
    cells = [gd.GRUCell(0, 3, key=jr.key(k)) for k in range(2)]
    counted = eqx.debug.assert_max_traces(
        lambda cell: gd.find_fixed_points(gd.CellMap(cell), gd.UniformGuesses(num=16), key=jr.key(0), throw=False),
        max_traces=1,
    )
    jitted = eqx.filter_jit(counted)
    for cell in cells:
        assert int(jitted(cell).index_sum) == 1
