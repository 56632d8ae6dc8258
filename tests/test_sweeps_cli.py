"""`gru-dynamics sweep` and the phase diagram that it draws."""

import json
import os

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.colors
import matplotlib.patches
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics import interop, plot, sweeps
from gru_dynamics.cli import _sweep, main
from gru_dynamics.plot import _phase_classes

QUICK = ["--analysis", "search", "--guesses", "8", "--max-points", "12"]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAX_ENABLE_X64", raising=False)


@pytest.fixture
def net(tmp_path):
    """h' = tanh(2 h), one unit with one input."""
    cell = gd.ElmanCell(1, 1, key=jax.random.key(0))
    cell = eqx.tree_at(lambda c: (c.U, c.b, c.W), cell, (jnp.full((1, 1), 2.0), jnp.zeros(1), jnp.ones((1, 1))))
    interop.save_cell(tmp_path / "net.safetensors", cell)
    return "net.safetensors"


# The command -------------------------------------------------------------------------------------


def test_file_in_two_shards(net, capsys, tmp_path):
    """The fold of h = tanh(2 h + b) lies at |b| = sqrt(2) - arctanh(sqrt(1/2)) = 0.53284."""
    words = ["sweep", net, "--vary", "b[0]=-1:1:21", "--vary", "input[0]=0:0.5:2", "--block-size", "12", *QUICK]
    assert main([*words, "--shard", "1/2", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["blocks_missing"], first["rows_there"]) == ([0, 2], 18)
    assert not (tmp_path / "net-sweep/table.parquet").exists()
    assert main([*words, "--shard", "0/2"]) == 0
    shown = capsys.readouterr()
    assert "net.safetensors: 42 systems over b[0], input[0]" in shown.out
    # |b + input| < 0.53284: 11 of 21 values without, and 11 with the input.
    assert "22 ( 52.4 %) with 3 fixed points" in shown.out
    assert "20 ( 47.6 %) with 1 fixed point\n" in shown.out
    assert "undecided" not in shown.out
    files = {path.name for path in (tmp_path / "net-sweep").iterdir() if not path.name.startswith("part-")}
    assert files == {"sweep.json", "summary.json", "table.parquet", "phase_diagram.png"}
    # The command is its own way to resume, and reads what is there.
    (tmp_path / "net-sweep/part-000001.parquet").write_bytes(b"PAR1")
    assert main([*words, "--json"]) == 0
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert (summary["blocks_repaired"], summary["blocks_computed"], summary["blocks_found"]) == ([1], 1, 3)
    assert summary["count"] == {"1": 20, "3": 22}
    assert summary["complete"] == {"consistent": 42}
    assert "part-000001.parquet" in shown.err
    assert main([*words[:-4], "--guesses", "9", "--analysis", "search"]) == 2
    assert "analysis.num_guesses: 8 there, 9 here" in capsys.readouterr().err


def test_samples_of_three_parameters(net, capsys, tmp_path):
    words = ["sweep", net, "--samples", "30", "--vary", "b[0]=0:1", "--vary", "U[0,0]=0:1", "--vary", "input[0]=-1:1"]
    assert main([*words, "--out", "out", *QUICK]) == 0
    shown = capsys.readouterr()
    assert "no picture: more than two parameters" in shown.err
    assert not (tmp_path / "out/phase_diagram.png").exists()
    table = sweeps.load(tmp_path / "out")
    assert table.names == ("b[0]", "U[0,0]", "input[0]")
    assert table["count"].tolist() == [1] * 30  # a contraction


def test_alpha_plane(capsys, tmp_path):
    """FACTS of eq. 8: nine fixed points at small alpha; the last one turns from source to sink at arccos(2/3)."""
    assert main(["sweep", "--plane", "alpha", "--vary", "alpha=0.05:1.6:32", "--out", "out", *QUICK]) == 0
    table = sweeps.load(tmp_path / "out")
    alpha = table["alpha"]
    np.testing.assert_array_equal(table["num_sources"] == 1, alpha < np.arccos(2 / 3))
    assert table["count"][0] == 9
    assert (table["count"][alpha > 0.2] == 1).all()
    assert (tmp_path / "out/phase_diagram.png").exists()
    assert "eq. 8" in capsys.readouterr().out


def test_planes_have_the_right_parameters():
    from gru_dynamics.cli._sweep_source import from_plane

    for plane, names in (("weights", ("U_c[0,0]", "U_c[1,1]")), ("biases", ("b_c[0]", "b_c[1]"))):
        source = from_plane(plane, "table3:xx", (), None, 0)
        assert source.points.names == names
        assert source.points.shape == (200, 200)
    new = source.family(jnp.array([0.25, -0.5]))
    assert new.cell.b_c.tolist() == [0.25, -0.5]
    np.testing.assert_array_equal(new.cell.U_c, gd.library.jordan("table3:xx").cell.U_c)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], ["expected a file of weights or --plane", "neither"]),
        (["net.safetensors", "--plane", "alpha"], ["expected a file of weights or --plane", "net.safetensors and"]),
        (["net.safetensors"], ["net.safetensors", "--vary b_c[0]=-2:2:200"]),
        (["absent.safetensors", "--vary", "b[0]=0:1:2"], ["absent.safetensors", "no such file"]),
        (["net.safetensors", "--vary", "b_c[0]=0:1:2"], ["net.safetensors", "'b_c[0]'", "b[0]"]),
        (["net.safetensors", "--vary", "b[0]=0:1"], ["NAME=LOWER:UPPER:NUM", "'b[0]=0:1'"]),
        (["net.safetensors", "--vary", "b[0]=0:1:2", "--samples", "4"], ["NAME=LOWER:UPPER ", "'b[0]=0:1:2'"]),
        (["net.safetensors", "--vary", "b[0]=0:inf:2"], ["finite", "'b[0]=0:inf:2'"]),
        (["net.safetensors", "--vary", "b[0]=0:1:2", "--vary", "b[0]=0:1:3"], ["b[0] twice"]),
        (["net.safetensors", "--vary", "b[0]=0:1:2", "--samples", "0"], ["--samples", "at least 1"]),
        (["net.safetensors", "--vary", "b[0]=0:1:2", "--shard", "2/2"], ["--shard", "'2/2'", "--shard 0/4"]),
        (["net.safetensors", "--vary", "b[0]=0:1:2", "--block-size", "0"], ["--block-size", "at least 1"]),
        (["net.safetensors", "--vary", "b[0]=0:1:2", "--out", "net.safetensors"], ["--out", "folder", "file"]),
        (["net.safetensors", "--vary", "b[0]=0:1:2", "--out", "/proc/nowhere"], ["/proc/nowhere", "writable"]),
        (["--plane", "gamma"], ["--plane", "weights, biases, alpha", "'gamma'"]),
        (["--plane", "biases", "--case", "fig:99"], ["--case", "fig:3a", "'fig:99'"]),
        (["--plane", "alpha", "--case", "fig:3a"], ["--case", "alpha"]),
        (["--plane", "alpha", "--vary", "b_c[0]=0:1:2"], ["alpha=LOWER:UPPER:NUM", "b_c[0]"]),
    ],
)
def test_bad_input(net, words, parts, capsys, tmp_path):
    before = set(tmp_path.rglob("*"))
    assert main(["sweep", *words, *QUICK]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [line for line in shown.err.splitlines() if "systems in" not in line]
    assert len(lines) == 1, shown.err
    assert all(part in shown.err for part in parts), shown.err
    assert "Traceback" not in shown.err
    assert set(tmp_path.rglob("*")) == before


def test_missing_extra(net, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    assert main(["sweep", net, "--vary", "b[0]=0:1:2", *QUICK]) == 2
    assert "pip install 'gru_dynamics[sweep]'" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_proof_is_the_default():
    assert isinstance(_sweep._analysis("enumerate", 1, 8, 100, 1e-3), sweeps.Enumerate)
    assert _sweep._analysis("search", 7, 8, 100, 1e-3) == sweeps.Search(7, 8)


# The picture -------------------------------------------------------------------------------------


def grid_table(n=6, **changes):
    """Fixed points of h' = tanh(w h + b), as a sweep would write them, by a rough rule."""
    w, b = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 4, n), np.linspace(-1, 1, n), indexing="ij"))
    three = (w > 1) & (np.abs(b) < 0.4 * (w - 1))
    table = {
        "w": w,
        "b": b,
        "count": np.where(three, 3, 1),
        "num_sinks": np.where(three, 2, 1),
        "num_saddles": np.zeros(n * n, int),
        "num_sources": np.where(three, 1, 0),
        "num_degenerate": np.zeros(n * n, int),
        "complete": np.full(n * n, "consistent"),
        "status": np.full(n * n, "successful"),
    }
    return {**table, **changes}


def names(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def by_gid(ax, gid):
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def test_counts_topology_and_undecided():
    table = grid_table()
    complete, status = table["complete"].copy(), np.full(36, "successful", "U40")
    complete[[0, 35]] = "incomplete"
    status[7] = "nonfinite_system"
    table = {**table, "complete": complete, "status": status}
    ax = plot.phase_diagram(table, x="w", y="b", value="topology")
    three = int((table["count"] == 3)[1:35].sum())
    assert names(ax) == [
        "undecided: nonfinite system (2.8 %)",
        "undecided: incomplete (5.6 %)",
        f"3: 2 sinks, 1 source ({100 * three / 36:.1f} %)",
        f"1: 1 sink ({100 * (33 - three) / 36:.1f} %)",
    ]
    hatched = by_gid(ax, "undecided")
    assert [artist.get_hatch() for artist in hatched] == ["////", "\\\\\\\\"]
    assert [int((~artist.get_array().mask).sum()) for artist in hatched] == [2, 1]
    assert len(by_gid(ax, "borders")) == 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$w$", "$b$")
    assert ax.get_legend().get_title().get_text() == "fixed points"
    ax.figure.canvas.draw()
    cells = np.asarray(ax.collections[0].get_array()).reshape(6, 6)
    np.testing.assert_array_equal(cells.T.ravel() == 1, (table["count"] == 3) & (complete != "incomplete"))


def test_proven_counts():
    table = grid_table()
    lower = table.pop("count")
    table |= {"count_lower": lower, "complete": np.where(lower == 3, "incomplete", "certified")}
    table["status"] = np.where(lower == 3, "undecided_cluster", "successful")
    table["num_unclear"] = (table["row"] if "row" in table else np.arange(36)) == 0
    ax = plot.phase_diagram(table, x="w", y="b")
    assert [name.split(" (")[0] for name in names(ax)] == ["undecided: undecided cluster", "1"]
    ax = plot.phase_diagram(table, x="w", y="b", value="topology")
    assert any("stability" in name for name in names(ax))


def test_missing_cells_other_columns_and_dots():
    table = {name: column[:-2] for name, column in grid_table().items()}
    ax = plot.phase_diagram(table, x="w", y="b", value=np.arange(34) % 2)
    assert names(ax)[0] == "not computed (5.6 %)"
    ax = plot.phase_diagram(table, x="w", y="b", value="num_sinks")
    assert ax.get_legend().get_title().get_text() == "num_sinks"
    points = np.random.default_rng(0).uniform(size=(50, 2))
    ax = plot.phase_diagram({"a": points[:, 0], "c": points[:, 1]}, x="a", y="c", value=np.arange(50) % 3)
    assert sum(len(artist.get_offsets()) for artist in ax.collections) == 50


def test_steps_over_one_parameter():
    table = {name: column[2:36:6] for name, column in grid_table().items()}
    complete = table["complete"].copy()
    complete[0] = "incomplete"
    ax = plot.phase_diagram({**table, "complete": complete}, x="w", value="topology")
    heights = [patch.get_height() for patch in ax.patches if patch.get_gid() is None and isinstance(patch, _Rectangle)]
    assert sorted(set(heights)) == [1, 3]
    assert ax.get_ylabel() == "number of fixed points"
    ax.figure.canvas.draw()


_Rectangle = matplotlib.patches.Rectangle


class One(sweeps.AbstractAnalysis):
    """Every system has one fixed point, a sink."""

    def columns(self, system, key):
        one = jnp.ones((), jnp.int32)
        complete = one * gd.Completeness.CONSISTENT
        return {"count": one, "num_sinks": one, "complete": complete, "status": gd.RESULTS.successful}

    @property
    def codes(self):
        return {"complete": gd.Completeness}


def test_axes_of_the_user_and_a_table(tmp_path):
    from matplotlib.figure import Figure

    family = sweeps.NamedFamily(gd.CellMap(gd.ElmanCell(0, 1, key=jax.random.key(0))), ["U[0,0]", "b[0]"])
    sweep = sweeps.Sweep(family, sweeps.Grid({"U[0,0]": (0, 2, 4), "b[0]": (-1, 1, 3)}), One())
    sweeps.run(sweep, tmp_path / "sweep", progress=False)
    axes = Figure().subplots()
    assert plot.phase_diagram(sweeps.load(tmp_path / "sweep"), value="topology", ax=axes) is axes
    assert axes.get_xlabel() == "$U[0,0]$"
    assert names(axes) == ["1: 1 sink (100.0 %)"]


@pytest.mark.parametrize(
    ("table", "options", "match"),
    [
        (grid_table(), {"x": "v", "y": "b"}, "no column 'v'; there are w, b"),
        (grid_table(), {}, "which column is x"),
        (grid_table(), {"x": "w"}, "twice"),
        (grid_table(), {"x": "w", "y": "w"}, "twice"),
        ({name: column[:0] for name, column in grid_table().items()}, {"x": "w", "y": "b"}, "no rows"),
        ({"w": np.arange(3.0), "count": np.ones(3)}, {"x": "w"}, "complete and status"),
    ],
)
def test_bad_tables(table, options, match):
    with pytest.raises(ValueError, match=match):
        plot.phase_diagram(table, **options)


def _luminance(colour):
    red, green, blue = matplotlib.colors.to_rgb(colour)
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2


def test_colours_read_in_grey():
    """Of each count only one class: every further one is darker; classes of one count differ in hue."""
    colours = _phase_classes._colours([(count,) for count in (1, 3, 5, 7, 9, 11)])
    light = [_luminance(colour) for colour in colours]
    assert (np.diff(light) < -0.02).all()
    same_count = _phase_classes._colours([(1, 0), (3, 2), (3, 1), (3, 0), (5, 0)])
    assert len(set(same_count)) == 5


def test_rare_classes_share_a_colour():
    value = np.concatenate([np.repeat(np.arange(20), 5), [20, 21]])
    found, classes = _phase_classes.classify({}, value)
    assert len(classes) == 14
    assert classes[-1].name == "9 others, rare"
    assert (found[-2:] == 13).all()
