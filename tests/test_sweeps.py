"""Sweeps: what a block is, what a run leaves, and that the answers are those of closed forms."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

import gru_dynamics as gd
from gru_dynamics import sweeps
from gru_dynamics.sweeps import _describe, _sweep

TRACES = []


class Residual(sweeps.AbstractAnalysis):
    """The residual at the middle, and a count of how often it is traced."""

    scale: float = 1.0

    def columns(self, system, key):
        TRACES.append(1)
        return {
            "second": self.scale * system.residual(jnp.full((1,), 0.5, system.cell.b.dtype))[0],
            "status": gd.RESULTS.successful,
        }

    @property
    def codes(self):
        return {}


def unit():
    """h' = tanh(w h + b)."""
    cell = gd.ElmanCell(0, 1, key=jax.random.key(0))
    return gd.CellMap(eqx.tree_at(lambda c: (c.U, c.b), cell, (jnp.ones((1, 1)), jnp.zeros(1))))


@functools.cache
def small(block_size=16, analysis=None, num=9):
    family = sweeps.NamedFamily(unit(), ("U[0,0]", "b[0]"))
    points = sweeps.Grid({"U[0,0]": (0.3, 4.3, num), "b[0]": (-1.5, 1.5, num)})
    return sweeps.Sweep(family, points, analysis or Residual(), block_size=block_size)


def expected_count(w, b):
    """Closed form: the folds of h = tanh(w h + b) lie where w (1 - h^2) = 1."""
    h = np.sqrt(np.clip(1 - 1 / w, 0, None))
    return np.where((w > 1) & (np.abs(b) < w * h - np.arctanh(h)), 3, 1)


# Points and families -----------------------------------------------------------------------------


def test_grid_is_a_meshgrid():
    grid = sweeps.Grid({"a": (-1, 1, 5), "b": (0, 6, 7)})
    a, b = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(0, 6, 7), indexing="ij")
    np.testing.assert_array_equal(grid.rows(0, 35), np.stack([a.ravel(), b.ravel()], 1))
    np.testing.assert_array_equal(grid.rows(11, 14), grid.rows(0, 35)[11:14])
    assert (grid.num, grid.names, grid.shape) == (35, ("a", "b"), (5, 7))


def test_sobol_is_scipys_in_any_pieces():
    points = sweeps.Sobol({"a": (-1, 1), "b": (0, 6)}, num=64, seed=3)
    unit_points = qmc.Sobol(2, rng=np.random.default_rng(3)).random(64)
    np.testing.assert_allclose(points.rows(0, 64), unit_points * [2, 6] + [-1, 0], rtol=1e-15)
    np.testing.assert_array_equal(np.concatenate([points.rows(0, 5), points.rows(5, 64)]), points.rows(0, 64))
    assert qmc.discrepancy(unit_points) < 1e-2


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: sweeps.Grid({}), "distinct names"),
        (lambda: sweeps.Grid({"a": (0, 1, 0)}), "at least 1 value"),
        (lambda: sweeps.Grid({"a": (0, np.inf, 3)}), "finite"),
        (lambda: sweeps.Sobol({"a": (0, 1)}, num=0), "1 to 2"),
        (lambda: sweeps.ArrayPoints(["a"], np.zeros((3, 2))), r"\(num, 1\)"),
        (lambda: sweeps.ArrayPoints(["a", "a"], np.zeros((3, 2))), "distinct names"),
        (lambda: small(block_size=0), "block_size"),
        (lambda: sweeps.Sweep(small().family, sweeps.Grid({"a": (0, 1, 2)}), Residual()), "takes 2 parameters"),
        (lambda: sweeps.Sweep(small().family, small().points, Residual(), dtype="int32"), "float64 or float32"),
        (lambda: sweeps.run_block(small(), 6), "blocks 0 to 5"),
        (lambda: sweeps.NamedFamily(unit(), ["U[0,1]"]), r"such as .*U\[0,0\]"),
        (lambda: sweeps.NamedFamily(unit(), ["U"]), "one number"),
        (lambda: sweeps.NamedFamily(unit(), ["U[0"]), "expected a name"),
        (lambda: sweeps.NamedFamily(unit(), ["absent"]), "one number"),
        (lambda: small().family(jnp.zeros(3)), "expected 2 parameters"),
        (lambda: sweeps.run(small(), "unused", shard=(2, 2)), "shard"),
    ],
)
def test_mistakes(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_named_family_is_family():
    flow = gd.library.jordan("fig:3a")
    family = sweeps.NamedFamily(flow, ["U_c[0,1]", "cell.b_c[1]", "tau"])
    np.testing.assert_array_equal(family.mu, [flow.cell.U_c[0, 1], 0, 1])
    new = family(jnp.array([0.5, 0.25, 2.0]))
    assert new.cell.U_c.tolist() == [[flow.cell.U_c[0, 0], 0.5], flow.cell.U_c[1].tolist()]
    assert new.cell.b_c.tolist() == [0, 0.25]
    assert float(new.tau) == 2
    assert flow.cell.b_c.tolist() == [0, 0]
    lorenz = sweeps.NamedFamily(gd.library.lorenz(), ["args.rho"])
    assert float(lorenz(jnp.array([3.0])).args["rho"]) == 3
    stack = gd.StackedCell([gd.GRUCell(1, 2, key=jax.random.key(0)), gd.GRUCell(2, 2, key=jax.random.key(1))])
    named = sweeps.NamedFamily(gd.CellMap(stack, jnp.zeros(1)), ["layers[1].b_c[0]", "input[0]"])
    assert float(named(jnp.array([7.0, 8.0])).cell.layers[1].b_c[0]) == 7


# Blocks ------------------------------------------------------------------------------------------


def test_one_program_for_all_blocks():
    sweep = small(analysis=Residual(2.0))
    TRACES.clear()
    blocks = [sweeps.run_block(sweep, block) for block in range(sweep.num_blocks)]
    assert len(TRACES) == 1
    assert [len(block["row"]) for block in blocks] == [16, 16, 16, 16, 16, 1]
    assert list(blocks[0]) == ["row", "U[0,0]", "b[0]", "second", "status"]
    table = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    np.testing.assert_array_equal(table["row"], np.arange(81))
    assert table["row"].dtype == np.int64
    np.testing.assert_allclose(table["second"], 2 * (np.tanh(0.5 * table["U[0,0]"] + table["b[0]"]) - 0.5), atol=1e-15)
    again = sweeps.run_block(sweep, 3)
    assert all(again[name].tobytes() == blocks[3][name].tobytes() for name in again)


def test_scalar_parameter_and_whole_leaf():
    family = gd.Family(unit(), lambda s: s.cell.b, 0)
    sweep = sweeps.Sweep(family, sweeps.Grid({"b": (-1, 1, 5)}), Residual())
    np.testing.assert_allclose(sweeps.run_block(sweep, 0)["second"], np.tanh(0.5 + np.linspace(-1, 1, 5)) - 0.5)
    family = gd.Family(unit(), lambda s: s.cell.U)
    sweep = sweeps.Sweep(family, sweeps.Grid({"u": (-1, 1, 5)}), Residual())
    np.testing.assert_allclose(sweeps.run_block(sweep, 0)["second"], np.tanh(0.5 * np.linspace(-1, 1, 5)) - 0.5)


def test_float32_and_what_float64_needs():
    sweep = eqx.tree_at(lambda s: s.dtype, small(), "float32")
    block = sweeps.run_block(sweep, 0)
    assert block["second"].dtype == block["b[0]"].dtype == np.float32
    with jax.enable_x64(False), pytest.raises(sweeps.SweepError, match="JAX_ENABLE_X64=1"):
        sweeps.run_block(small(), 0)


def test_a_result_may_not_bear_the_name_of_a_parameter():
    sweep = sweeps.Sweep(gd.Family(unit(), lambda s: s.cell.b, 0), sweeps.Grid({"second": (0, 1, 2)}), Residual())
    with pytest.raises(ValueError, match="rename"):
        sweeps.run_block(sweep, 0)


# Truth -------------------------------------------------------------------------------------------


def _check_counts(table, count):
    w, b = table["U[0,0]"], table["b[0]"]
    np.testing.assert_array_equal(count, expected_count(w, b))
    assert (table["num_sinks"] + table["num_saddles"] + table["num_sources"] == count).all()
    # One unit: two sinks with an unstable point between them, or one sink.
    np.testing.assert_array_equal(table["num_sinks"], (count + 1) // 2)
    assert set(table["status"]) == {"successful"}


def test_search_counts():
    sweep = small(128, sweeps.Search(num_guesses=16, max_points=8), 11)
    table = sweeps.run_block(sweep, 0)
    _check_counts(table, table["count"])
    assert set(table["complete"]) == {"consistent"}
    assert (table["index_sum"] == 1).all()
    assert (table["num_degenerate"] == 0).all()


def test_enumerate_counts():
    sweep = small(128, sweeps.Enumerate(max_boxes=5000, max_points=8), 11)
    table = sweeps.run_block(sweep, 0)
    _check_counts(table, table["count_lower"])
    np.testing.assert_array_equal(table["count_lower"], table["count_upper"])
    assert set(table["complete"]) == {"certified"}
    assert (table["boxes"] > 0).all()
    # A budget of two boxes: what is not proven is said to be open.
    few = sweeps.run_block(eqx.tree_at(lambda s: s.analysis.max_boxes, sweep, 2), 0)
    spent = few["status"] == "box_budget_spent"
    assert spent.any()
    assert (few["count_lower"] <= expected_count(few["U[0,0]"], few["b[0]"])).all()
    assert (few["count_upper"] >= expected_count(few["U[0,0]"], few["b[0]"])).all()
    np.testing.assert_array_equal(sweeps.undecided(few) == "box_budget_spent", spent)


def _blows_up(state, args):
    return jnp.tanh(2 * state) + jnp.log(args["p"])


def test_no_row_is_dropped():
    """Parameters that are nan, systems that return nan, and searches that fail keep their row and say so."""
    family = sweeps.NamedFamily(
        gd.FunctionMap(_blows_up, {"p": jnp.array(1.0)}, bounds=(jnp.array([-2.0]), jnp.array([2.0]))), ["args.p"]
    )
    points = sweeps.ArrayPoints(["args.p"], [[1.0], [-1.0], [np.nan], [1.5]])
    table = sweeps.run_block(sweeps.Sweep(family, points, sweeps.Search(16, 8)), 0)
    assert table["status"].tolist() == ["successful", "nonfinite_system", "nonfinite_system", "successful"]
    assert table["row"].tolist() == [0, 1, 2, 3]
    assert np.isnan(table["args.p"][2])
    assert sweeps.undecided(table).tolist()[1:3] == ["nonfinite_system"] * 2


# Runs --------------------------------------------------------------------------------------------


def same(a, b):
    """Bit for bit."""
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].tobytes() == b[name].tobytes(), name


def test_run_load_resume_and_shards(tmp_path, capfd):
    sweep = small()
    whole = sweeps.run(sweep, tmp_path / "whole", progress=False)
    assert (whole.computed, whole.found, whole.repaired) == (tuple(range(6)), (), ())
    assert capfd.readouterr().err == ""
    again = sweeps.run(sweep, tmp_path / "whole")
    assert (again.computed, again.found) == ((), tuple(range(6)))
    assert "6/6" in capfd.readouterr().err
    table = sweeps.load(tmp_path / "whole")
    assert table.complete
    assert table.names == ("U[0,0]", "b[0]")
    blocks = [sweeps.run_block(sweep, block) for block in range(6)]
    same(table.columns, {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})

    one = sweeps.run(sweep, tmp_path / "parts", shard=(1, 4), progress=False)
    assert one.computed == (1, 5)
    partial = sweeps.load(str(tmp_path / "parts"))
    assert partial.missing == (0, 2, 3, 4)
    assert partial["row"].tolist() == [*range(16, 32), 80]
    for shard in (0, 2, 3):
        sweeps.run(sweep, tmp_path / "parts", shard=(shard, 4), progress=False)
    same(sweeps.load(tmp_path / "parts").columns, table.columns)
    sweeps.write_table(tmp_path / "all.parquet", table)
    assert (tmp_path / "all.parquet").stat().st_size > 0


def test_load_nothing(tmp_path):
    with pytest.raises(sweeps.SweepError, match=r"sweep\.json"):
        sweeps.load(tmp_path)


# Descriptions ------------------------------------------------------------------------------------

_SOURCE = """
def make(scale):
    def function(state, args):
        return jnp.tanh(scale * state) if "a" in {"a", "b", "c", "d"} else state * CONSTANT
    return function
"""


def _description(source=_SOURCE, scale=2.0):
    names = {"jnp": jnp}
    exec(source.replace("CONSTANT", "3.0") if "CONSTANT" in source else source, names)
    return _describe.describe(gd.FunctionMap(names["make"](scale), {"p": jnp.ones(2)}))


def test_description_knows_functions_by_what_they_do():
    assert _description() == _description()
    assert _description() != _description(scale=2.5)
    assert _description() != _description(_SOURCE.replace("CONSTANT", "4.0"))
    assert "0x" not in str(_description())


def test_description_of_everything_else():
    assert _describe.describe(functools.partial(max, 1)) == _describe.describe(functools.partial(max, 1))
    assert _describe.describe(object()) == "object"
    assert _describe.describe(jnp.ones(2)) != _describe.describe(jnp.ones((2, 1)))
    assert _describe.describe(jax.random.key(0)) != _describe.describe(jax.random.key(1))
    assert _describe.describe(gd.Kind.SINK) == 1
    assert _describe.describe([1.0, None, {"b": {2, 1}}]) == ["1.0", None, {"b": [1, 2]}]
    assert _describe.describe(jax.nn.relu) == _describe.describe(jax.nn.relu) != _describe.describe(jax.nn.silu)


def test_differences_name_what_differs():
    old, new = (_describe.describe_sweep(small(size)) for size in (16, 8))
    assert _describe.differences(old, new) == ["block_size: 16 there, 8 here"]
    assert _describe.fingerprint(old) != _describe.fingerprint(new)
    finer = _describe.describe_sweep(small(num=10))
    assert "points.axes.0.num: 9 there, 10 here" in _describe.differences(old, finer)


def test_words_for_codes():
    assert _sweep._words(np.array([0, 2]), {0: "a", 2: "c"}).tolist() == ["a", "c"]
