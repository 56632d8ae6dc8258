"""Files: exact round trips, nothing half-written, and one clear line for everything that can be wrong."""

import json
import os
import pickle
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from gru_dynamics import interop
from gru_dynamics.cells import ElmanCell, GRUCell, LSTMCell, StackedCell
from gru_dynamics.interop import WeightError, load_arrays, load_cell, save_cell, save_weights

I, H = 3, 5
ENDINGS = (".safetensors", ".npz")


def cells(getkey):
    return {
        "before": GRUCell(I, H, key=getkey()),
        "after": GRUCell(I, H, reset="after", key=getkey()),
        "no_reset": GRUCell(I, H, reset=None, key=getkey()),
        "no_bias": GRUCell(0, H, reset="after", use_bias=False, key=getkey()),
        "lstm": LSTMCell(I, H, key=getkey()),
        "elman": ElmanCell(I, H, key=getkey()),
        "leaky": ElmanCell(I, H, leak=0.25, activation=jnp.arctan, key=getkey()),
        "leaks": ElmanCell(I, H, leak=jnp.linspace(0.1, 1.0, H), use_bias=False, key=getkey()),
        "range": ElmanCell(I, H, activation=jax.nn.softplus, activation_range=(0.0, 9.0), key=getkey()),
        "stack": StackedCell([LSTMCell(I, H, key=getkey()), GRUCell(H, 2, key=getkey())]),
    }


@pytest.mark.parametrize("ending", ENDINGS)
def test_round_trip_is_exact(ending, tmp_path, getkey):
    for name, cell in cells(getkey).items():
        path = tmp_path / f"{name}{ending}"
        save_cell(path, cell)
        again = load_cell(path)
        assert jax.tree.structure(again) == jax.tree.structure(cell)
        for left, right in zip(jax.tree.leaves(again), jax.tree.leaves(cell), strict=True):
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)


def test_header(tmp_path, getkey):
    path = tmp_path / "cell.safetensors"
    save_cell(path, GRUCell(I, H, key=getkey()))
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["gru_dynamics"])
    layer = {"cell": "GRUCell", "input_size": I, "hidden_size": H, "dtype": "float64", "reset": "before"}
    assert header == {"format_version": 1, "cell": "GRUCell", "layers": [layer]}


def test_layer_of_a_stack(tmp_path, getkey):
    stack = cells(getkey)["stack"]
    save_cell(tmp_path / "s.npz", stack)
    assert isinstance(load_cell(tmp_path / "s.npz", layer=1), GRUCell)
    with pytest.raises(WeightError, match=r"layer must lie in 0\.\.1, got 2"):
        load_cell(tmp_path / "s.npz", layer=2)


@pytest.mark.parametrize("ending", ENDINGS)
def test_weights_and_other_arrays(ending, tmp_path, getkey):
    cell = GRUCell(I, H, reset="after", key=getkey())
    path = tmp_path / f"w{ending}"
    save_weights(path, {"rnn": interop.to_torch(cell), "readout": {"weight": np.ones((2, H)), "file": np.arange(3)}})
    arrays = load_arrays(path)
    assert "rnn.weight_hh_l0" in arrays
    np.testing.assert_array_equal(arrays["readout.weight"], np.ones((2, H)))
    np.testing.assert_array_equal(arrays["readout.file"], np.arange(3))
    np.testing.assert_array_equal(load_cell(path).U_c, cell.U_c)


@pytest.mark.parametrize("ending", ENDINGS)
def test_transposed_arrays_are_saved_right(ending, tmp_path):
    """`safetensors.numpy.save` ignores strides."""
    array = np.arange(6.0).reshape(2, 3).T
    save_weights(tmp_path / f"t{ending}", {"a": array})
    np.testing.assert_array_equal(load_arrays(tmp_path / f"t{ending}")["a"], array)


def test_bundled_examples():
    folder = Path(interop.__file__).parent.parent / "data"
    cell = load_cell(folder / "flipflop_gru16_seed0.safetensors")
    assert isinstance(cell, GRUCell)
    assert (cell.input_size, cell.hidden_size, cell.reset) == (3, 16, "after")
    assert load_arrays(folder / "flipflop_gru16_seed0_states.npz")["states"].shape == (2048, 16)


def test_low_precision_weights(tmp_path, getkey):
    weights = interop.to_torch(GRUCell(I, H, reset="after", key=getkey()))
    half = {name: array.astype(jnp.bfloat16) for name, array in weights.items()}
    save_weights(tmp_path / "h.safetensors", half)
    cell = load_cell(tmp_path / "h.safetensors")
    assert cell.U_z.dtype == jnp.float64
    np.testing.assert_array_equal(cell.U_z, half["weight_hh_l0"][H : 2 * H].astype(np.float64))
    with pytest.raises(WeightError, match="bfloat16"):
        save_weights(tmp_path / "h.npz", half)


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_half_written(ending, tmp_path, getkey, monkeypatch):
    path = tmp_path / f"c{ending}"
    cell = GRUCell(I, H, key=getkey())
    save_cell(path, cell)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(WeightError, match="cannot be written: No space left"):
        save_cell(path, GRUCell(I, 2, key=getkey()))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def make_good(path):
    save_weights(path, interop.to_torch(GRUCell(I, H, reset="after", key=jax.random.key(0))))


def write(path, content):
    path.write_bytes(content)
    return path


def damaged(path, change):
    make_good(path)
    return write(path, change(path.read_bytes()))


def with_entry(path, **changes):
    weights = interop.to_torch(GRUCell(I, H, reset="after", key=jax.random.key(0)))
    save_weights(path, {k: v for k, v in (weights | changes).items() if v is not None})
    return path


def object_npz(path):
    np.savez(path, a=np.array([{}], dtype=object))
    return path


def own_with(path, **changes):
    save_cell(path, GRUCell(I, H, key=jax.random.key(0)))
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["gru_dynamics"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header |= changes
    safetensors.numpy.save_file(arrays, path, {"gru_dynamics": json.dumps(header)})
    return path


def nan_weights(value):
    array = np.zeros((3 * H, H))
    array[0, 0] = value
    return array


BAD = {
    "missing": (lambda d: d / "none.safetensors", "no such file"),
    "directory": (lambda d: (d / "dir.npz").mkdir() or d / "dir.npz", "is a directory"),
    "empty safetensors": (lambda d: write(d / "e.safetensors", b""), "is empty"),
    "empty npz": (lambda d: write(d / "e.npz", b""), "is empty"),
    "text safetensors": (lambda d: write(d / "t.safetensors", b"weights, as text"), "not a readable safetensors"),
    "text npz": (lambda d: write(d / "t.npz", b"weights, as text"), "is not an npz file"),
    "pickle as npz": (lambda d: write(d / "p.npz", pickle.dumps({"a": 1})), "is not an npz file"),
    "pickle inside": (lambda d: object_npz(d / "o.npz"), "not a readable npz"),
    "truncated safetensors": (lambda d: damaged(d / "c.safetensors", lambda b: b[:-9]), "not a readable safetensors"),
    "cut header": (lambda d: damaged(d / "c.safetensors", lambda b: b[:5]), "not a readable safetensors"),
    "truncated npz": (lambda d: damaged(d / "c.npz", lambda b: b[:-30]), "not a readable npz"),
    "corrupted npz": (lambda d: damaged(d / "c.npz", lambda b: b[:200] + b"\0" * 64 + b[264:]), "not a readable npz"),
    "pt": (lambda d: write(d / "m.pt", b"x"), r"never unpickled.*safetensors\.torch\.save_file or numpy\.savez"),
    "pth": (lambda d: write(d / "m.pth", b"x"), "never unpickled"),
    "pkl": (lambda d: write(d / "m.pkl", b"x"), "never unpickled"),
    "h5": (lambda d: write(d / "m.h5", b"x"), r"expected a \.safetensors or \.npz file, found the ending '\.h5'"),
    "no ending": (lambda d: write(d / "model", b"x"), "found no ending"),
    "missing key": (
        lambda d: with_entry(d / "k.npz", bias_hh_l0=None),
        r"'bias_hh_l0' is missing; expected shape \(15,\)",
    ),
    "wrong shape": (
        lambda d: with_entry(d / "k.npz", weight_ih_l0=np.ones((4, 3))),
        r"'weight_ih_l0' must have shape \(15, any\), found \(4, 3\)",
    ),
    "wrong gates": (lambda d: with_entry(d / "k.npz", weight_hh_l0=np.ones((11, 5))), r"must stack 1 \(plain\), 3"),
    "nan": (
        lambda d: with_entry(d / "k.npz", weight_hh_l0=nan_weights(np.nan)),
        "'weight_hh_l0' must be finite, found 1",
    ),
    "inf": (lambda d: with_entry(d / "k.npz", weight_hh_l0=nan_weights(-np.inf)), "'weight_hh_l0' must be finite"),
    "integers": (lambda d: with_entry(d / "k.npz", weight_hh_l0=np.ones((15, 5), int)), "floating dtype, found int64"),
    "unknown entry": (lambda d: with_entry(d / "k.npz", bais=None, bias_hh_0=np.ones(15)), "unknown entry 'bias_hh_0'"),
    "bidirectional": (lambda d: with_entry(d / "k.npz", weight_hh_l0_reverse=np.ones((15, 5))), "bidirectional"),
    "projection": (lambda d: with_entry(d / "k.npz", weight_hr_l0=np.ones((2, 5))), "projection"),
    "gap in layers": (lambda d: with_entry(d / "k.npz", weight_hh_l2=np.ones((15, 5))), "'weight_hh_l1' is missing"),
    "no weights": (
        lambda d: save_weights(d / "n.npz", {"x": np.ones(2)}) or d / "n.npz",
        "no recurrent weights of a known",
    ),
    "two formats": (
        lambda d: with_entry(d / "k.npz", **{"gru.recurrent_kernel": np.ones((2, 6))}),
        "fit several formats: keras, torch; .*choose with format=",
    ),
    "two networks": (
        lambda d: with_entry(d / "k.npz", **{"enc.weight_hh_l0": np.ones((15, 5))}),
        r"expected one recurrent network, found 2 .*prefix=",
    ),
    "future version": (lambda d: own_with(d / "k.safetensors", format_version=2), "expected format version 1, found 2"),
    "unknown class": (lambda d: own_with(d / "k.safetensors", layers=[{"cell": "X"}]), "must name a known cell"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name, tmp_path):
    make, text = BAD[name]
    path = make(tmp_path)
    with pytest.raises(WeightError, match=text) as caught:
        load_cell(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_bad_arguments(tmp_path):
    path = tmp_path / "g.npz"
    make_good(path)
    cases = [
        (lambda: load_cell(path, "tensorflow"), "unknown format 'tensorflow'; expected one of auto"),
        (lambda: load_cell(path, "gru_dynamics"), "found no header of ours"),
        (lambda: load_cell(path, reset="before"), "have reset='after', got reset='before'"),
        (lambda: load_cell(path, layer=1), r"layer must lie in 0\.\.0, got 1"),
        (lambda: load_cell(path, prefix="rnn"), "no recurrent weights"),
        (lambda: load_cell(path, "keras"), "from_keras: no recurrent weights anywhere"),
        (lambda: save_weights(tmp_path / "none" / "g.npz", {"a": np.ones(1)}), "check that the folder exists"),
        (lambda: save_weights(tmp_path / "g.pt", {"a": np.ones(1)}), "never unpickled"),
        (lambda: save_weights(path, {}), "found none"),
        (lambda: save_weights(path, {"a": np.ones(1, complex)}), "complex128"),
    ]
    for call, text in cases:
        with pytest.raises(WeightError, match=text):
            call()


def test_cell_that_cannot_be_saved(tmp_path, getkey):
    with pytest.raises(WeightError, match="has no name"):
        save_cell(tmp_path / "c.npz", ElmanCell(I, H, activation=jnp.sinh, key=getkey()))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_arrays_with_nan(value, tmp_path):
    path = tmp_path / "states.npz"
    np.savez(path, states=np.array([0.0, value]))
    with pytest.raises(WeightError, match=r"states\.npz: 'states' must be finite, found 1"):
        load_arrays(path)
    assert load_arrays(path, finite=False)["states"].shape == (2,)


def test_forms_that_weights_do_not_tell(getkey):
    bare = interop.to_keras(GRUCell(I, H, use_bias=False, key=getkey()))
    with pytest.raises(WeightError, match="does not tell its form"):
        interop.from_keras(bare)
    with pytest.raises(WeightError, match="means reset='before', got reset='after'"):
        interop.from_keras(interop.to_keras(GRUCell(I, H, key=getkey())), reset="after")
    onnx = interop.to_onnx(GRUCell(I, H, key=getkey()))
    with pytest.raises(WeightError, match="linear_before_reset"):
        interop.from_onnx(onnx)
    with pytest.raises(WeightError, match="two directions"):
        interop.from_onnx({k: np.concatenate([v, v]) for k, v in onnx.items()}, linear_before_reset=0)
    with pytest.raises(WeightError, match="peephole"):
        interop.from_onnx({**interop.to_onnx(LSTMCell(I, H, key=getkey())), "P": np.ones((1, 3 * H))})


@pytest.mark.parametrize("format", interop.FORMATS)
def test_every_reader_names_the_bad_tensor(format, getkey):
    """A nan in any tensor, a missing or a misshapen one: the error names it."""
    form = "before" if format == "haiku" else "after"
    cell = GRUCell(I, H, reset=form, key=getkey())
    if format == "flax_nnx":
        cell = GRUCell(I, H, reset=form, use_bias=False, key=getkey())
    flat = interop._tree.flatten(interop.to_weights(cell, format))
    for name, array in flat.items():
        broken = np.array(array)
        broken.flat[-1] = np.nan
        dotted = name.replace("/", ".")
        for value in (broken, array[None, None], "text" * 2):
            with pytest.raises(WeightError) as caught:
                interop.from_weights({**flat, name: value}, format, reset=form)
            assert dotted.split(".")[-1] in str(caught.value)
            assert "\n" not in str(caught.value)
