"""Bifurcation pictures: lines change where stability does, marks sit on the points and tell kinds apart."""

import io

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics import basins, continuation, cycles, plot
from gru_dynamics.bifurcations import BifurcationBranch
from gru_dynamics.plot import _special
from gru_dynamics.plot._special import STYLES, Marks, join, pieces

FOLD = 2 / (3 * np.sqrt(3))  # of x' = mu + x - x^3, at x = -+1/sqrt 3
EVENTS = (gd.Fold(), gd.BranchPoint(), gd.Hopf())


def _mu(system):
    return system.args["mu"]


def _rho(system):
    return system.args["rho"]


def _first(state):
    return state[0] ** 2


def tagged(ax, gid: str) -> np.ndarray:
    """All points of the lines with a tag, nan rows left out."""
    parts = [np.asarray(line.get_xydata()) for line in ax.lines if line.get_gid() == gid]
    points = np.concatenate([np.zeros((0, 2)), *parts])
    return points[np.isfinite(points).all(axis=1)]


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def texts(ax) -> list[str]:
    return sorted(text.get_text() for text in ax.texts)


def paint(ax) -> None:
    """Draw in earnest: missing glyphs and bad layouts only show then, and warnings are errors."""
    ax.figure.savefig(io.BytesIO(), format="png", dpi=40)


@pytest.fixture(scope="module")
def cusp():
    family = gd.Family(gd.library.cusp_normal_form(), _mu)
    return gd.continue_fixed_points(family, jnp.array([1.3]), 0.9, mu_range=(-1.0, 1.0), num_steps=120, events=EVENTS)


@pytest.fixture(scope="module")
def circles():
    """Cycles of the Hopf normal form by 8 nodes each: radius sqrt(rho), period 2 pi, multiplier exp(-4 pi rho)."""
    rho, angle = np.linspace(0.05, 0.5, 12), 2 * np.pi * np.arange(8) / 8 + 0.1
    radius = np.sqrt(rho)
    nodes = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)[None]
    ones, zero = jnp.ones(12), jnp.zeros(4)
    none = jnp.zeros(4, jnp.int32)
    points = gd.SpecialPoints(
        kind=none, mask=none > 0, mu=zero, state=jnp.zeros((4, 2)), omega=zero, coefficient=zero, multiplicity=none,
        bracket=jnp.zeros((4, 2)), row=none, residual=zero, location=none,
    )  # fmt: skip
    return cycles.CycleBranch(
        states=jnp.asarray(nodes),
        period=2 * jnp.pi * ones,
        mu=jnp.asarray(rho),
        mask=ones > 0,
        minimum=jnp.asarray(np.stack([-radius, -radius], axis=1)),
        maximum=jnp.asarray(np.stack([radius, radius], axis=1)),
        multipliers=jnp.asarray(np.exp(-4 * np.pi * rho) + 0j)[:, None],
        trivial_error=0 * ones,
        unstable_dim=jnp.zeros(12, jnp.int32),
        stable=ones > 0,
        slope=jnp.stack([0 * ones, ones], axis=1),
        residual=0 * ones,
        end=jnp.zeros(2, jnp.int32),
        closed=jnp.zeros((), bool),
        special_points=points,
        special_period=zero,
        result=gd.RESULTS.successful,
    )


def bracketed(branch):
    """The same branch as if its special points were known by their brackets only."""
    location = jnp.where(branch.special_points.mask, gd.Location.BRACKETED, 0).astype(jnp.int32)
    return eqx.tree_at(lambda b: b.special_points.location, branch, location)


# One parameter -----------------------------------------------------------------------------------


def test_line_changes_at_the_folds(cusp):
    ax = plot.bifurcation_diagram(cusp)
    paint(ax)
    folds = np.array([[-FOLD, 1 / np.sqrt(3)], [FOLD, -1 / np.sqrt(3)]])
    inner = tagged(ax, "unstable")
    np.testing.assert_allclose(inner[np.argsort(inner[:, 0])[[0, -1]]], folds, atol=1e-9)
    outer = tagged(ax, "stable")
    # x' = mu + x - x^3 is stable where |x| > 1/sqrt 3: both parts begin at the folds, and hold all stable rows.
    assert np.abs(outer[:, 1]).min() == pytest.approx(1 / np.sqrt(3), abs=1e-9)
    assert len(outer) == int(cusp.stable.sum()) + 2
    assert np.abs(inner[:, 1]).max() <= 1 / np.sqrt(3) + 1e-9
    np.testing.assert_allclose(inner[:, 0], inner[:, 1] ** 3 - inner[:, 1], atol=1e-9)
    widths = {line.get_gid(): line.get_linewidth() for line in ax.lines if line.get_gid() in ("stable", "unstable")}
    assert widths["stable"] > 2 * widths["unstable"]


def test_marks_labels_and_legend(cusp):
    ax = plot.bifurcation_diagram(cusp)
    marks = tagged(ax, "fold")
    np.testing.assert_allclose(np.sort(marks[:, 0]), [-FOLD, FOLD], atol=1e-9)
    assert texts(ax) == ["LP", "LP"]
    assert legend(ax) == ["stable", "unstable", "LP  fold (2)"]
    assert ax.get_xlabel() == r"$\mu$"
    assert ax.get_ylabel() == "$h_{1}$"
    assert texts(plot.bifurcation_diagram(cusp, labels=False)) == []


def test_bracketed_points_are_hollow(cusp):
    full, hollow = plot.bifurcation_diagram(cusp), plot.bifurcation_diagram(bracketed(cusp))
    paint(hollow)
    face = {ax: next(line for line in ax.lines if "fold" in (line.get_gid() or "")) for ax in (full, hollow)}
    assert face[full].get_markerfacecolor() == STYLES[gd.SpecialKind.FOLD].colour
    assert face[hollow].get_markerfacecolor() == "#ffffff"
    assert face[hollow].get_markeredgecolor() == STYLES[gd.SpecialKind.FOLD].colour
    assert "hollow: bracketed only (2)" in legend(hollow)
    assert not any("hollow" in text for text in legend(full))


def test_every_kind_can_be_told_apart_without_colour():
    """In one picture: kinds of branches of flows, of maps, of cycles, and of codimension two."""
    kind = gd.SpecialKind
    assert set(STYLES) == set(kind) - {kind.NONE}
    # Two names of one shape are a branch point whose normal form is known, and one whose form is not.
    alike = {kind.PITCHFORK}
    together = [
        {k for k in kind if 1 <= k < 10} - alike,
        {k for k in kind if 10 <= k < 20},
        {k for k in kind if 20 <= k < 40},
        {k for k in kind if k >= 40},
    ]
    for kinds in together[:2] + together[3:]:
        assert len({STYLES[k].marker for k in kinds}) == len(kinds)
    assert len({(STYLES[k].marker, STYLES[k].short) for k in together[2]}) == len(together[2])
    assert len({(STYLES[k].marker, STYLES[k].colour) for k in together[2]}) == len(together[2])


def test_batch_list_and_diagram_draw_the_same(cusp):
    one = tagged(plot.bifurcation_diagram(cusp), "stable")
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), cusp)
    ax = plot.bifurcation_diagram(batch)
    np.testing.assert_array_equal(tagged(ax, "stable"), np.concatenate([one, one]))
    # A point that two branches go through is marked once.
    assert "LP  fold (2)" in legend(ax)
    np.testing.assert_array_equal(tagged(plot.bifurcation_diagram([cusp, batch]), "stable"), np.concatenate([one] * 3))
    empty = eqx.tree_at(lambda b: b.mask, batch, batch.mask.at[1].set(False))
    none = jnp.zeros((), jnp.int32)
    diagram = continuation.Diagram(empty, jnp.array([True, False]), cusp.special_points, none[None], cusp.result)
    np.testing.assert_array_equal(tagged(plot.bifurcation_diagram(diagram), "stable"), one)


@pytest.mark.parametrize(
    ("component", "value", "label"),
    [
        (np.array([2.0]), lambda x: 2 * x, "projection"),
        ("norm", np.abs, r"$\|h\|$"),
        (_first, np.square, "projection"),
    ],
)
def test_projections(cusp, component, value, label):
    ax = plot.bifurcation_diagram(cusp, component=component)
    states = np.asarray(cusp.state)[np.asarray(cusp.mask & cusp.stable), 0]
    drawn = tagged(ax, "stable")[:, 1]
    assert np.isin(np.round(value(states), 12), np.round(drawn, 12)).all()
    marks = tagged(ax, "fold")
    np.testing.assert_allclose(np.sort(marks[:, 1]), np.sort(value(np.array([1, -1]) / np.sqrt(3))), atol=1e-9)
    assert ax.get_ylabel() == label


def test_given_axes_are_used(cusp):
    import matplotlib.pyplot as plt

    numbers = plt.get_fignums()
    ax = plot.bifurcation_diagram(cusp)
    assert plot.bifurcation_diagram(cusp, ax=ax) is ax
    assert plt.get_fignums() == numbers


@pytest.mark.parametrize(
    ("component", "part"), [(1, "0 to 0"), (-1, "0 to 0"), ("mean", '"norm"'), (np.zeros(3), r"\(1,\)")]
)
def test_wrong_components(cusp, component, part):
    with pytest.raises(ValueError, match=part):
        plot.bifurcation_diagram(cusp, component=component)


def test_wrong_things(cusp, circles):
    with pytest.raises(ValueError, match="no branch"):
        plot.bifurcation_diagram([])
    with pytest.raises(ValueError, match="one number"):
        plot.bifurcation_diagram(cusp, component=lambda state: state)
    with pytest.raises(ValueError, match="continue_bifurcation"):
        plot.two_parameter_diagram([])
    with pytest.raises(ValueError, match="CycleBranch"):
        plot.cycle_periods([])
    few = eqx.tree_at(lambda c: c.states, circles, circles.states[:, :1])
    with pytest.raises(ValueError, match="num_nodes=8"):
        plot.bifurcation_diagram(_origin(), component="norm", cycles=few)
    wide = eqx.tree_at(lambda c: c.maximum, circles, 3 * circles.maximum)
    with pytest.raises(ValueError, match="num_nodes=16"):
        plot.bifurcation_diagram(_origin(), component="norm", cycles=wide)


# Joining -----------------------------------------------------------------------------------------


def _joined(good, rows, used=None):
    """A line along y = 0 at x = 0, 1, ..., with special points at the middle of the given intervals."""
    good = np.array(good, bool)
    points = np.stack([np.arange(len(good), dtype=float), np.zeros(len(good))], axis=1)
    place = np.stack([np.array(rows, float) + 0.25, np.zeros(len(rows))], axis=1)
    marks = Marks(place, np.ones(len(rows), int), np.array(rows, int), np.ones(len(rows), bool))
    line = join(points, good, np.ones(len(good), bool) if used is None else np.array(used, bool), marks)
    return line.points[:, 0].tolist(), line.good.tolist()


def test_join_without_special_points():
    assert _joined([1, 1, 0, 0], []) == ([0, 1, 1.5, 2, 3], [True, True, False, False])
    assert _joined([1, 1], []) == ([0, 1], [True])


def test_join_at_special_points():
    assert _joined([1, 1, 0], [1]) == ([0, 1, 1.25, 2], [True, True, False])
    assert _joined([1, 1, 1], [1]) == ([0, 1, 1.25, 2], [True, True, True])
    # A fold and a Hopf point in one interval: between them it is unstable.
    assert _joined([1, 0], [0, 0]) == ([0, 0.25, 0.25, 1], [True, False, False])
    assert _joined([0, 1], [0, 0]) == ([0, 0.25, 0.25, 1], [False, False, True])
    # Rows that are not in use are gone, and the numbers of the rows still fit.
    assert _joined([1, 1, 0, 0], [2], used=[0, 1, 1, 1]) == ([1, 1.5, 2, 2.25, 3], [True, False, False, False])


def test_pieces_are_runs_with_gaps():
    points = np.arange(10.0).reshape(5, 2)
    line = _special.Line(points, np.array([True, False, False, True]))
    good, bad = pieces(line, True), pieces(line, False)
    np.testing.assert_array_equal(bad, points[1:4])
    np.testing.assert_array_equal(good[[0, 1, 3, 4]], points[[0, 1, 3, 4]])
    assert np.isnan(good[2]).all()
    assert pieces(_special.Line(points[:2], np.array([True])), False).shape == (0, 2)


# Cycles ------------------------------------------------------------------------------------------


def _origin():
    family = gd.Family(gd.library.hopf_normal_form(), _rho)
    return gd.continue_fixed_points(family, jnp.zeros(2), 0.1, mu_range=(-0.5, 0.5), num_steps=60, events=(gd.Hopf(),))


def test_cycle_envelope_is_a_parabola(circles):
    ax = plot.bifurcation_diagram(_origin(), cycles=circles)
    paint(ax)
    points = tagged(ax, "stable cycle")
    assert len(points) >= 6
    np.testing.assert_allclose(points[:, 1] ** 2, points[:, 0], rtol=1e-9)
    assert (points[:, 1] > 0).any()
    assert (points[:, 1] < 0).any()
    assert len(tagged(ax, "unstable cycle")) == 0
    assert "stable cycle, least and greatest" in legend(ax)
    assert "H  Hopf (1)" in legend(ax)
    # A vector is not a state variable, and is taken along the nodes and what lies between them: 64 samples, 0.2 %.
    slanted = plot.bifurcation_diagram(_origin(), cycles=circles, component=np.array([1.0, 1.0]))
    points = tagged(slanted, "stable cycle")
    np.testing.assert_allclose(points[:, 1] ** 2, 2 * points[:, 0], rtol=5e-3)


def test_unstable_cycles_are_hollow(circles):
    ax = plot.bifurcation_diagram(_origin(), cycles=eqx.tree_at(lambda c: c.stable, circles, ~circles.mask))
    lines = [line for line in ax.lines if line.get_gid() == "unstable cycle"]
    assert lines
    assert all(line.get_markerfacecolor() == "#ffffff" for line in lines)
    assert len(tagged(ax, "stable cycle")) == 0


def test_cycle_periods(circles):
    for log in (False, True):
        ax = plot.cycle_periods(circles, log=log)
        paint(ax)
        assert ax.get_yscale() == ("log" if log else "linear")
        points = tagged(ax, "stable")
        np.testing.assert_allclose(points[:, 1], 2 * np.pi, rtol=1e-6)
        assert len(points) >= int(circles.count)


# Two parameters ----------------------------------------------------------------------------------


def _curve(kind, mu, coefficient, special, row) -> BifurcationBranch:
    """A curve of bifurcations through `mu (N, 2)`, with one special point at the origin after a row."""
    rows, zero, number = len(mu), jnp.zeros((1,)), jnp.zeros((1,), jnp.int32)
    points = gd.SpecialPoints(
        kind=number + int(special),
        mask=jnp.ones(1, bool),
        mu=jnp.zeros((1, 2)),
        state=jnp.zeros((1, 2)),
        omega=zero,
        coefficient=zero + jnp.nan,
        multiplicity=number + 1,
        bracket=jnp.zeros((1, 2, 2)),
        row=number + row,
        residual=zero,
        location=number + int(gd.Location.CONVERGED),
    )
    return BifurcationBranch(
        kind=jnp.asarray(kind, jnp.int32),
        state=jnp.zeros((rows, 2)),
        mu=jnp.asarray(mu),
        omega=jnp.ones(rows),
        coefficient=jnp.asarray(coefficient),
        eigenvalues=jnp.zeros((rows, 2), complex),
        residual=jnp.zeros(rows),
        mask=jnp.ones(rows, bool),
        end=jnp.zeros(2, jnp.int32),
        closed=jnp.zeros((), bool),
        special_points=points,
        result=gd.RESULTS.successful,
    )


@pytest.fixture(scope="module")
def wedge():
    """The folds of x' = mu + l x - x^3: x = t, l = 3 t^2, mu = -2 t^3."""
    t = np.linspace(-0.8, 0.8, 40)
    return _curve(gd.SpecialKind.FOLD, np.stack([-2 * t**3, 3 * t**2], axis=1), 3 * t, gd.SpecialKind.CUSP, 19)


def test_fold_curve_and_its_cusp(wedge):
    """4 l^3 = 27 mu^2, with the cusp at the origin."""
    ax = plot.two_parameter_diagram(wedge, names=("mu", "l"))
    paint(ax)
    line = tagged(ax, "fold")
    np.testing.assert_allclose(4 * line[:, 1] ** 3, 27 * line[:, 0] ** 2, atol=1e-8)
    np.testing.assert_allclose(tagged(ax, "cusp"), [[0, 0]], atol=1e-6)
    assert texts(ax) == ["CP"]
    assert legend(ax) == ["fold", "CP  cusp (1)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("mu", "l")


def test_background_of_counts(wedge):
    x, y = np.linspace(-1, 1, 9), np.linspace(-1, 2, 7)
    counts = np.where(4 * y[:, None] ** 3 > 27 * x[None] ** 2, 3, 1)
    ax = plot.two_parameter_diagram(wedge, background=(x, y, counts))
    paint(ax)
    cells = next(c for c in ax.collections if type(c).__name__ == "QuadMesh")
    np.testing.assert_array_equal(np.asarray(cells.get_array()).reshape(7, 9), (counts == 3).astype(int))
    assert {"1 fixed point", "3 fixed points"} <= set(legend(ax))
    with pytest.raises(ValueError, match="counts"):
        plot.two_parameter_diagram(wedge, background=(x, y, counts.T))


def test_hopf_curve_changes_at_the_generalised_hopf_point():
    """The Hopf line rho = 0 of the Bautin normal form is supercritical for c < 0."""
    c = np.linspace(-1.0, 1.0, 5)
    mu = np.stack([np.zeros(5), c], axis=1)
    curve = _curve(gd.SpecialKind.HOPF, mu, c - 1e-12, gd.SpecialKind.GENERALISED_HOPF, 2)
    ax = plot.two_parameter_diagram(curve)
    paint(ax)
    np.testing.assert_allclose(tagged(ax, "Hopf, supercritical")[:, 1], [-1, -0.5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(tagged(ax, "Hopf, subcritical")[:, 1], [0, 0.5, 1], atol=1e-12)
    styles = {line.get_gid(): line.get_linestyle() for line in ax.lines}
    assert styles["Hopf, supercritical"] == "-"
    assert styles["Hopf, subcritical"] == "--"
    assert texts(ax) == ["GH"]


# Basins ------------------------------------------------------------------------------------------


def _found(states: np.ndarray, label: np.ndarray) -> basins.BasinFractions:
    """Two sinks at x = -+1 and infinity, as a search would list them, with one row of padding."""
    kind = jnp.array([1, 1, 4, 0], jnp.int32)
    place = jnp.array([[-1.0, 0.0], [1.0, 0.0], [jnp.inf, jnp.inf], [jnp.inf, jnp.inf]])
    count = jnp.array([(label == row).sum() for row in range(4)], jnp.int32)
    share = count / len(label)
    return basins.BasinFractions(
        state=place,
        mask=kind > 0,
        kind=kind,
        period=jnp.zeros(4),
        orbit=jnp.repeat(place[:, None], 3, axis=1),
        radius=jnp.ones((4, 3)),
        count=count,
        fraction=share,
        lower=share,
        upper=share,
        label=jnp.asarray(label, jnp.int32),
        states=jnp.asarray(states),
        num_unresolved=jnp.asarray((label < 0).sum(), jnp.int32),
        result=gd.RESULTS.successful,
    )


def test_basins_on_a_grid_are_cells():
    x, y = np.meshgrid(np.linspace(-2, 2, 4), np.linspace(-1, 1, 3))
    states = np.stack([x.ravel(), y.ravel()], axis=1)
    label = np.where(states[:, 0] < 0, 0, 1)
    label[0], label[-1] = -1, 2
    shuffled = np.random.default_rng(0).permutation(len(states))
    ax = plot.basins(_found(states[shuffled], label[shuffled]))
    paint(ax)
    cells = next(c for c in ax.collections if type(c).__name__ == "QuadMesh")
    np.testing.assert_array_equal(np.asarray(cells.get_array()).ravel(), label)
    np.testing.assert_array_equal(tagged(ax, "sink"), [[-1, 0], [1, 0]])
    assert [text.split(":")[0] for text in legend(ax)] == ["sink", "sink", "infinity", "not settled"]
    assert "41.7 %" in legend(ax)[0]  # 5 of 12


def test_basins_elsewhere_are_dots():
    states = np.random.default_rng(0).normal(size=(50, 2))
    ax = plot.basins(_found(states, (states[:, 0] > 0).astype(int)), legend=False)
    paint(ax)
    dots = {c.get_gid(): np.asarray(c.get_offsets()) for c in ax.collections}
    assert set(dots) == {"basin 0", "basin 1"}
    assert (dots["basin 0"][:, 0] < 0).all()
    assert (dots["basin 1"][:, 0] > 0).all()
    assert ax.get_legend() is None
    swapped = plot.basins(_found(states, np.zeros(50, int)), components=(1, 0))
    np.testing.assert_array_equal(np.asarray(swapped.collections[0].get_offsets()), states[:, ::-1])
    assert (swapped.get_xlabel(), swapped.get_ylabel()) == ("$h_{2}$", "$h_{1}$")
    with pytest.raises(ValueError, match="0 to 1"):
        plot.basins(_found(states, np.zeros(50, int)), components=(0, 2))
    with pytest.raises(ValueError, match="batch"):
        plot.basins(jax.tree.map(lambda x: jnp.stack([x, x]), _found(states, np.zeros(50, int))))


def test_a_flow_cycle_is_a_closed_line_and_a_map_cycle_dots():
    angle = 2 * np.pi * np.arange(6) / 6
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = _found(np.zeros((3, 2)), np.zeros(3, int))
    found = eqx.tree_at(lambda f: f.kind, found, jnp.array([2, 2, 0, 0], jnp.int32))
    found = eqx.tree_at(lambda f: f.mask, found, found.kind > 0)
    orbits = jnp.asarray(np.stack([ring, np.tile(ring[:2], (3, 1)), ring, ring]))
    ax = plot.basins(eqx.tree_at(lambda f: f.orbit, found, orbits))
    one, two = [line for line in ax.lines if line.get_gid() == "cycle"]
    np.testing.assert_allclose(one.get_xydata(), np.concatenate([ring, ring[:1]]), atol=1e-12)
    assert (one.get_linestyle(), two.get_linestyle()) == ("-", "None")


def test_shares_are_stacked():
    rows, number = 3, 10
    share = jnp.array([[0.2, 0.5], [0.5, 0.5], [1.0, 0.0]])
    order = jnp.array([1, 2, 0])  # parameters need not be in order
    sweep = basins.BasinSweep(
        mu=jnp.array([0.0, 1.0, 2.0])[order],
        mask=share > 0,
        kind=jnp.where(share > 0, jnp.array([[1, 2]]), 0).astype(jnp.int32)[order],
        state=jnp.zeros((rows, 2, 2)),
        period=jnp.zeros((rows, 2)),
        count=(number * share).astype(jnp.int32)[order],
        fraction=share[order],
        lower=share,
        upper=share,
        num_unresolved=jnp.array([3, 0, 0], jnp.int32)[order],
        num_states=number,
        result=gd.RESULTS.successful,
    )
    ax = plot.basin_shares(sweep)
    paint(ax)
    bands = {c.get_gid(): c.get_paths()[0].vertices for c in ax.collections}
    assert set(bands) == {"share 0", "share 1", "open"}
    for gid, row in (("share 0", 0.2), ("share 1", 0.7)):
        at_zero = bands[gid][bands[gid][:, 0] == 0, 1]
        assert at_zero.max() == pytest.approx(row)
    assert legend(ax) == ["1  sink", "2  cycle", "not settled"]
    with pytest.raises(ValueError, match="one parameter"):
        plot.basin_shares(eqx.tree_at(lambda s: s.mu, sweep, jnp.zeros((3, 2))))
