"""A cell becomes a dict and a cell again: the same numbers, bit for bit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_dynamics import interop
from gru_dynamics.cells import ElmanCell, GRUCell, LSTMCell, StackedCell

I, H = 3, 5


def gru(reset, use_bias=True, zero_inner=False):
    def make(width, key):
        cell = GRUCell(width, H, reset=reset, use_bias=use_bias, key=key)
        return eqx.tree_at(lambda c: c.b_hc, cell, jnp.zeros(H)) if zero_inner else cell

    return make


def lstm(use_bias=True):
    return lambda width, key: LSTMCell(width, H, use_bias=use_bias, key=key)


def elman(activation="tanh", use_bias=True):
    function = interop._gates.ACTIVATIONS[activation]
    return lambda width, key: ElmanCell(width, H, activation=function, use_bias=use_bias, key=key)


# format, cell, options of from_weights
CASES = {
    "torch_gru": ("torch", gru("after"), {}),
    "torch_gru_no_bias": ("torch", gru("after", False), {}),
    "torch_lstm": ("torch", lstm(), {}),
    "torch_lstm_no_bias": ("torch", lstm(False), {}),
    "torch_elman": ("torch", elman(), {}),
    "torch_relu": ("torch", elman("relu"), {"activation": "relu"}),
    "equinox_gru": ("equinox", gru("after"), {}),
    "equinox_gru_no_bias": ("equinox", gru("after", False), {}),
    "equinox_lstm": ("equinox", lstm(), {}),
    "linen_gru": ("flax_linen", gru("after"), {}),
    "linen_lstm": ("flax_linen", lstm(), {}),
    "linen_elman": ("flax_linen", elman("sigmoid"), {"activation": "sigmoid"}),
    "nnx_gru": ("flax_nnx", gru("after", zero_inner=True), {}),
    "nnx_lstm": ("flax_nnx", lstm(), {}),
    "nnx_elman": ("flax_nnx", elman(), {}),
    "haiku_gru": ("haiku", gru("before"), {}),
    "haiku_elman": ("haiku", elman("relu"), {}),
    "keras_after": ("keras", gru("after"), {}),
    "keras_before": ("keras", gru("before"), {}),
    "keras_no_bias": ("keras", gru("before", False), {"reset": "before"}),
    "keras_lstm": ("keras", lstm(), {}),
    "keras_elman": ("keras", elman(), {}),
    "onnx_after": ("onnx", gru("after"), {"reset": "after"}),
    "onnx_before": ("onnx", gru("before"), {"reset": "before"}),
    "onnx_no_bias": ("onnx", gru("after", False), {"reset": "after"}),
    "onnx_lstm": ("onnx", lstm(), {}),
    "onnx_elman": ("onnx", elman(), {}),
}


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("name", CASES)
def test_cell_to_dict_to_cell(name, getkey):
    format, make, options = CASES[name]
    cell = make(I, getkey())
    weights = interop.to_weights(cell, format)
    same(interop.from_weights(weights, format, **options), cell)
    same(interop.from_weights(weights, **options), cell)


@pytest.mark.parametrize("name", CASES)
def test_stack_through_a_file(name, getkey, tmp_path):
    format, make, options = CASES[name]
    stack = StackedCell([make(I, getkey()), make(H, getkey())])
    path = tmp_path / "stack.safetensors"
    interop.save_weights(path, interop.to_weights(stack, format))
    same(interop.load_cell(path, **options), stack)
    same(interop.load_cell(path, format, layer=1, **options), stack.layers[1])


@pytest.mark.parametrize("name", CASES)
def test_arrays_are_in_c_order(name, getkey):
    """safetensors writes a transposed view wrongly, without a word."""
    format, make, _ = CASES[name]
    arrays = jax.tree.leaves(interop.to_weights(make(I, getkey()), format))
    assert all(isinstance(array, np.ndarray) and array.flags.c_contiguous for array in arrays)


def test_haiku_lstm_up_to_its_forget_bias(getkey):
    """Haiku adds 1 in code, so `b_f - 1 + 1` rounds once: at most an ulp of 1."""
    cell = LSTMCell(I, H, key=getkey())
    again = interop.from_haiku(interop.to_haiku(cell))
    np.testing.assert_allclose(again.b_f, cell.b_f, rtol=0, atol=np.finfo(np.float64).eps)
    same(eqx.tree_at(lambda c: c.b_f, again, cell.b_f), cell)


def test_nnx_lstm_by_names(getkey):
    cell = LSTMCell(I, H, key=getkey())
    weights = interop.to_flax_nnx(cell, optimized=False)
    assert "if_" in weights
    same(interop.from_flax_nnx(weights), cell)
    same(interop.from_weights(weights), cell)


@pytest.mark.parametrize("kind", [gru("after"), lstm(), elman()])
def test_torch_single_cell_names(kind, getkey):
    cell = kind(I, getkey())
    weights = interop.to_torch(cell, single=True)
    assert sorted(weights) == ["bias_hh", "bias_ih", "weight_hh", "weight_ih"]
    same(interop.from_torch(weights), cell)


def test_flat_names_with_either_separator(getkey):
    cell = GRUCell(I, H, reset="after", key=getkey())
    nested = {"params": {"rnn": interop.to_flax_linen(cell), "readout": {"kernel": np.ones((H, 2))}}}
    for separator in "/.":
        flat = {}
        for gate, entry in nested["params"]["rnn"].items():
            flat |= {separator.join(["params", "rnn", gate, name]): array for name, array in entry.items()}
        same(interop.from_flax_linen(flat), cell)
    same(interop.from_flax_linen(nested), cell)
    same(interop.from_flax_linen(nested, prefix="params/rnn"), cell)


def test_autonomous_cell(getkey):
    cell = GRUCell(0, H, reset="after", key=getkey())
    same(interop.from_torch(interop.to_torch(cell)), cell)


def test_haiku_readout_is_no_lstm(getkey):
    cell = ElmanCell(I, H, activation=jax.nn.relu, key=getkey())
    same(interop.from_haiku({**interop.to_haiku(cell), "linear": {"w": np.ones((H, 2)), "b": np.ones(2)}}), cell)


def test_dtype(getkey):
    cell = GRUCell(I, H, reset="after", key=getkey())
    half = interop.from_torch(interop.to_torch(cell), dtype=jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype("float32")}
    wide = interop.from_torch(interop.to_torch(half))
    assert {leaf.dtype for leaf in jax.tree.leaves(wide)} == {jnp.dtype("float64")}
    with pytest.raises(interop.WeightError, match="overflows in float32"):
        interop.from_torch({k: v * 1e300 for k, v in interop.to_torch(cell).items()}, dtype=jnp.float32)


def test_lfads_equations(getkey):
    """The step written out as in the source: the constant goes to the candidate."""
    rng = np.random.default_rng(0)
    weights = {
        "wRUHX": rng.normal(size=(2 * H, H + I)),
        "bRU": rng.normal(size=2 * H),
        "wCHX": rng.normal(size=(H, H + I)),
        "bC": rng.normal(size=H),
        "wO": rng.normal(size=(2, H)),
    }
    h, x = rng.normal(size=H), rng.normal(size=I)
    r, u = np.split(1 / (1 + np.exp(-(weights["wRUHX"] @ np.concatenate([h, x]) + weights["bRU"]))), 2)
    c = np.tanh(weights["wCHX"] @ np.concatenate([r * h, x]) + weights["bC"] + 0.5)
    cell = interop.from_lfads(weights)
    np.testing.assert_allclose(cell(jnp.asarray(h), jnp.asarray(x)), u * h + (1 - u) * c, rtol=0, atol=1e-14)


@pytest.mark.parametrize("writer", ["to_torch", "to_equinox", "to_flax_linen", "to_flax_nnx"])
def test_reset_forms_do_not_convert(writer, getkey):
    with pytest.raises(interop.WeightError, match=r"reset='before'; the forms are different networks.*to_haiku"):
        getattr(interop, writer)(GRUCell(I, H, key=getkey()))


def test_cells_a_framework_lacks(getkey):
    after = GRUCell(I, H, reset="after", key=getkey())
    plain = ElmanCell(I, H, key=getkey())
    leaky = ElmanCell(I, H, leak=0.5, key=getkey())
    bounded = ElmanCell(I, H, activation=jax.nn.sigmoid, key=getkey())
    cases = [
        (lambda: interop.to_haiku(after), r"reset='after'"),
        (lambda: interop.to_keras(GRUCell(I, H, reset=None, key=getkey())), "only save_cell"),
        (lambda: interop.to_flax_nnx(after), "b_hc = 0"),
        (lambda: interop.to_equinox(plain), "no plain recurrent cell"),
        (lambda: interop.to_haiku(plain), "relu only"),
        (lambda: interop.to_torch(bounded), "tanh and relu only"),
        (lambda: interop.to_onnx(leaky), "leaky"),
        (lambda: interop.to_torch(StackedCell([after, LSTMCell(H, H, key=getkey())])), "one kind"),
        (lambda: interop.to_weights(after, "tensorflow"), "unknown format 'tensorflow'"),
    ]
    for call, text in cases:
        with pytest.raises(interop.WeightError, match=text) as caught:
            call()
        assert "\n" not in str(caught.value)
