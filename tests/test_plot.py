"""Pictures: the right marks at the right places, on the axes given, and nothing left behind."""

import collections
import functools
import io

import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import gru_dynamics as gd
from gru_dynamics.plot import pca_portrait, phase_portrait, spectrum


def marks(ax) -> dict[str, int]:
    """Number of points by the tag of the artist that draws them."""
    counts = collections.Counter()
    for line in ax.lines:
        if line.get_gid():
            counts[line.get_gid()] += np.size(line.get_data_3d()[0] if ax.name == "3d" else line.get_xdata())
    for collection in ax.collections:
        if collection.get_gid():
            counts[collection.get_gid()] += len(collection.get_offsets())
    return dict(counts)


def pieces(ax, gid: str) -> list:
    return [line for line in ax.lines if line.get_gid() == gid]


def paint(ax) -> None:
    """Draw in earnest: missing glyphs and bad layouts only show then, and warnings are errors."""
    ax.figure.savefig(io.BytesIO(), format="png", dpi=40)


def listed(system, states, *, rows: int | None = None) -> gd.FixedPoints:
    """The list of given fixed points without a search, kinds from the eigenvalues, padded to `rows`."""
    states = np.asarray(states, float)
    num, size = states.shape
    values = np.array([np.linalg.eigvals(np.asarray(system.jacobian(jnp.asarray(s)))) for s in states])
    values = values.reshape(num, size).astype(complex)
    excess = np.abs(values) - 1 if isinstance(system, gd.AbstractMap) else np.real(values)
    unstable = (excess > 1e-9).sum(axis=1)
    kind = np.where(unstable == 0, gd.Kind.SINK, np.where(unstable == size, gd.Kind.SOURCE, gd.Kind.SADDLE))
    kind = np.where((np.abs(excess) <= 1e-9).any(axis=1), gd.Kind.DEGENERATE, kind)
    pad = num if rows is None else rows

    def padded(array, dtype):
        return jnp.asarray(np.concatenate([array, np.zeros((pad - num, *array.shape[1:]))]), dtype)

    integer = functools.partial(padded, dtype=jnp.int32)
    zero = jnp.zeros((), jnp.int32)
    return gd.FixedPoints(
        state=padded(states, jnp.float64),
        mask=jnp.arange(pad) < num,
        kind=integer(kind),
        unstable_dim=integer(unstable),
        focus=jnp.zeros(pad, bool),
        eigenvalues=padded(values, jnp.complex128),
        residual=padded(np.zeros(num), jnp.float64),
        index=integer(np.zeros(num)),
        hits=integer(np.ones(num)),
        proven=jnp.zeros(pad, bool),
        radius=jnp.full(pad, jnp.inf),
        index_sum=zero,
        complete=zero,
        num_guesses=zero,
        num_converged=zero,
        num_reseeds=zero,
        result=gd.RESULTS.successful,
    )


@pytest.fixture(scope="module")
def plane():
    flow = gd.library.jordan("fig:3a")
    return flow, gd.find_fixed_points(flow, gd.UniformGuesses(num=256), key=jr.key(0))


@pytest.fixture(scope="module")
def cube():
    """27 points: 8 sinks, 12 + 6 saddles, 1 source, from the closed form."""
    system = gd.library.decoupled_tanh(3)
    h = 0.9575040240772688
    points = np.array([[a, b, c] for a in (-h, 0, h) for b in (-h, 0, h) for c in (-h, 0, h)])
    return system, listed(system, points, rows=40)


def test_phase_portrait_marks(plane):
    flow, points = plane
    path = np.stack([np.linspace(-0.5, 0.5, 30), np.linspace(0, 0.3, 30)], axis=1)
    ax = phase_portrait(flow, points, trajectories=[path, -path], resolution=41)
    paint(ax)
    assert marks(ax) == {"sink": 5, "saddle": 5, "source": 1, "trajectory": 60}
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"sink (5)", "saddle (5)", "source (1)", "trajectories"} <= set(texts)
    assert len([text for text in texts if "nullcline" in text]) == 2


def test_phase_portrait_markers_sit_on_the_points(plane):
    flow, points = plane
    ax = phase_portrait(flow, points, resolution=21)
    drawn = np.concatenate([line.get_xydata() for gid in ("sink", "saddle", "source") for line in pieces(ax, gid)])
    states = np.asarray(points.state)[np.asarray(points.mask)]
    np.testing.assert_array_equal(np.unique(drawn, axis=0), np.unique(states, axis=0))
    styles = {gid: pieces(ax, gid)[0] for gid in ("sink", "saddle", "source")}
    assert styles["sink"].get_markerfacecolor() != styles["source"].get_markerfacecolor()
    assert styles["saddle"].get_fillstyle() == "left"


def test_nullclines_cross_at_the_fixed_points(plane):
    flow, points = plane
    ax = phase_portrait(flow, points, resolution=161)
    curves = [c for c in ax.collections if type(c).__name__ == "QuadContourSet"]
    assert len(curves) == 2
    states = np.asarray(points.state)[np.asarray(points.mask)]
    for curve in curves:
        vertices = np.concatenate([path.vertices for path in curve.get_paths()])
        gaps = np.linalg.norm(states[:, None] - vertices[None], axis=-1).min(axis=1)
        assert gaps.max() < 0.03  # two cells of the grid
    assert not [
        c
        for c in phase_portrait(flow, nullclines=False, resolution=21).collections
        if type(c).__name__ == "QuadContourSet"
    ]


def test_arrows_point_along_the_field():
    # Rotation about the origin: the direction is known everywhere.
    ax = phase_portrait(gd.library.hopf_normal_form(rho=0.0, l1=0.0), bounds=(-1.0, 1.0), resolution=21)
    arrows = next(c for c in ax.collections if type(c).__name__ == "Quiver")
    position = np.asarray(arrows.XY)
    radius = np.linalg.norm(position, axis=1)
    away = radius > 1e-9
    expected = np.stack([-position[:, 1], position[:, 0]], axis=1)[away] / radius[away, None]
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], axis=1)[away], expected, atol=1e-12)


def test_phase_portrait_of_a_map_with_a_degenerate_point():
    system = gd.library.delayed_logistic(2.0)  # Neimark-Sacker at (1/2, 1/2)
    points = listed(system, [[0.5, 0.5], [0.0, 0.0]], rows=4)
    ax = phase_portrait(system, points, resolution=21)
    paint(ax)
    assert marks(ax)["degenerate"] == 1
    assert pieces(ax, "degenerate")[0].get_marker() != "o"
    assert "F(h) - h" in ax.figure.axes[1].get_ylabel()


def test_given_axes_are_used_and_pyplot_keeps_nothing(plane, cube):
    before = plt.get_fignums()
    axes = Figure().subplots(1, 3)
    assert phase_portrait(*plane, resolution=21, ax=axes[0]) is axes[0]
    assert pca_portrait(*cube, ax=axes[1]) is axes[1]
    assert spectrum(cube[1], kind="map", ax=axes[2]) is axes[2]
    for ax in (phase_portrait(*plane, resolution=21), pca_portrait(*cube), spectrum(cube[1], kind="map")):
        assert isinstance(ax.figure, Figure)
    assert plt.get_fignums() == before


def test_pca_portrait_marks(cube):
    system, points = cube
    states = np.asarray(jr.uniform(jr.key(1), (50, 3), minval=-1.0, maxval=1.0))
    readout = np.eye(3) / 0.9575040240772688
    ax = pca_portrait(system, points, states, readout=(readout, np.zeros(3)), trajectories=[states[:5]])
    paint(ax)
    found = marks(ax)
    segments = found.pop("unstable-direction")
    assert found == {"sink-0": 8, "saddle-1": 12, "saddle-2": 6, "source-3": 1, "visited": 50, "trajectory": 5}
    # One segment with two ends for each unstable direction of each point: 12 + 2 * 6 + 3.
    assert segments == 2 * 27
    labels = {text.get_text().replace("\N{THIN SPACE}", "") for text in ax.texts if text.get_gid() == "readout"}
    assert labels == {a + b + c for a in "+\N{MINUS SIGN}" for b in "+\N{MINUS SIGN}" for c in "+\N{MINUS SIGN}"}


def test_pca_axes_and_share_of_variance(cube):
    system, points = cube
    # A cloud stretched along a known direction.
    direction = np.array([2.0, 1.0, -2.0]) / 3
    states = np.linspace(-1, 1, 21)[:, None] * direction + 0.1 * np.array([[0.2, 0.2, -0.2]])
    ax = pca_portrait(system, points, states)
    assert ax.get_xlabel() == "PC 1 (100%)"
    cloud = pieces(ax, "visited")[0].get_xydata()
    np.testing.assert_allclose(np.abs(cloud[:, 0]), np.abs(np.linspace(-1, 1, 21)), atol=1e-12)
    np.testing.assert_allclose(cloud[:, 1], 0, atol=1e-7)


def test_unstable_directions_are_eigenvectors(cube):
    # The units are decoupled: at the 9 points where a unit rests at zero, that unit's axis is an unstable direction.
    system, points = cube
    states = np.array([[3.0, 0, 0], [-3, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 1], [0, 0, -1]])  # components = units
    ax = pca_portrait(system, points, states)
    spans = np.array([np.ptp(line.get_xydata(), axis=0) for line in pieces(ax, "unstable-direction")])
    long = spans.max()
    kinds = collections.Counter(tuple(int(side) for side in np.round(span / long, 6)) for span in spans)
    assert kinds == {(1, 0): 9, (0, 1): 9, (0, 0): 9}


def test_complex_pair_gets_two_directions():
    flow = gd.library.decoupled_cubic(3)
    rotation = jnp.array([[0.5, -1.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.0, -1.0]])
    system = gd.FunctionFlow(lambda t, s, p: p @ s, rotation, bounds=flow.bounds)
    points = listed(system, np.zeros((1, 3)))
    states = np.random.default_rng(0).normal(size=(40, 3))
    segments = [
        line.get_xydata() for line in pieces(pca_portrait(system, points, states, dims=2), "unstable-direction")
    ]
    assert len(segments) == 2
    first, second = (segment[1] - segment[0] for segment in segments)
    assert abs(first[0] * second[1] - first[1] * second[0]) > 1e-3  # they span a plane


def test_three_dimensions(cube):
    system, points = cube
    ax = pca_portrait(system, points, dims=3, readout=np.eye(3))
    paint(ax)
    assert ax.name == "3d"
    assert marks(ax)["saddle-1"] == 12
    with pytest.raises(ValueError, match="projection"):
        pca_portrait(system, points, dims=3, ax=Figure().subplots())


def test_spectrum(cube):
    system, points = cube
    ax = spectrum(points, system=system)
    paint(ax)
    assert marks(ax) == {"unstable-0": 24, "unstable-1": 36, "unstable-2": 18, "unstable-3": 3}
    assert any(patch.get_gid() == "unit-circle" for patch in ax.patches)
    flow = spectrum(np.array([[-1 + 1j, -1 - 1j], [0.5, -2]]), kind="flow")
    paint(flow)
    assert marks(flow) == {"imaginary-axis": 2, "unstable-0": 2, "unstable-1": 2}
    assert marks(spectrum(np.array([0.5, 1.5]), kind="map")) == {"unstable-1": 2}


def test_no_points_at_all():
    system = gd.FunctionFlow(lambda t, s, p: p + s * s, jnp.asarray(1.0))
    points = listed(system, np.zeros((0, 2)), rows=3)
    paint(phase_portrait(system, points, bounds=(-1, 1), resolution=21))
    paint(spectrum(points, system=system))


def test_window_from_points_without_a_box():
    flow = gd.library.van_der_pol()
    points = listed(flow, np.zeros((1, 2)))
    ax = phase_portrait(flow, points, resolution=21)
    assert ax.get_xlim()[0] < 0 < ax.get_xlim()[1]


def test_refusals(plane, cube):
    flow, points = plane
    system, many = cube
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), points)
    with pytest.raises(ValueError, match="2 state variables, got 3; use pca_portrait"):
        phase_portrait(system, many)
    with pytest.raises(ValueError, match="got 3"):
        phase_portrait(gd.library.decoupled_cubic(3))
    with pytest.raises(ValueError, match="use pca_portrait"):
        phase_portrait(gd.library.lorenz())
    with pytest.raises(ValueError, match="give bounds"):
        phase_portrait(gd.library.van_der_pol())
    with pytest.raises(ValueError, match="lower < upper"):
        phase_portrait(flow, bounds=(1, -1))
    with pytest.raises(ValueError, match=r"shape \(T, 2\)"):
        phase_portrait(flow, trajectories=[np.zeros((4, 3))])
    for draw in (phase_portrait, pca_portrait):
        with pytest.raises(ValueError, match="pick one"):
            draw(flow, batch)
    with pytest.raises(ValueError, match="pick one"):
        spectrum(batch, system=flow)
    with pytest.raises(ValueError, match=r"states must have shape \(T, 3\)"):
        pca_portrait(system, many, np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"readout must have shape \(O, 3\)"):
        pca_portrait(system, many, readout=np.zeros((2, 2)))
    with pytest.raises(ValueError, match="dims=2"):
        pca_portrait(flow, points, dims=3)
    with pytest.raises(ValueError, match="kind="):
        spectrum(many)
    with pytest.raises(ValueError, match="does not agree"):
        spectrum(many, system=system, kind="flow")
    with pytest.raises(ValueError, match="shape"):
        spectrum(np.zeros((2, 2, 2)), kind="map")
