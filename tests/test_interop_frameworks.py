"""Each framework's own cells, stepped beside ours, in both directions. Needs the `interop` extra."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from goldens.make import CASES, HIDDEN, INPUTS, run
from test_interop_goldens import load, outputs_of, tolerance, tree

from gru_dynamics import interop
from gru_dynamics.cells import ElmanCell, GRUCell, LSTMCell, StackedCell

# The warnings are the frameworks' own, on import or in their internals.
pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PACKAGES = {"torch": "torch", "equinox": "equinox", "flax": "flax", "haiku": "haiku", "keras": "keras", "onnx": "onnx"}


def require(name):
    module = "onnxruntime" if name.startswith("onnxruntime") else PACKAGES[name.split("_")[0]]
    pytest.importorskip(module)


@pytest.mark.parametrize("name", CASES)
def test_framework_to_ours(name):
    require(name)
    _, _, format, options = CASES[name]
    inputs, weights, outputs = run(name)
    cell = interop.from_weights(tree(weights), format, **options)
    assert abs(outputs_of(cell, inputs) - outputs).max() < tolerance(name)


@pytest.mark.parametrize("name", CASES)
def test_stored_golden_is_what_the_framework_gives(name):
    require(name)
    inputs, _, outputs = load(name)
    again_inputs, _, again = run(name)
    np.testing.assert_array_equal(inputs, again_inputs)
    assert abs(outputs - again).max() < tolerance(name)


def our_cell(name, key):
    """A random cell of ours of the kind, form and depth that a case runs."""
    _, runner, format, options = CASES[name]
    kind = runner["kind"]
    bias = runner.get("bias", runner.get("use_bias", True))
    if "GRU" in kind:
        form = "before" if format == "haiku" or runner.get("reset_after", True) is False else "after"
        form = options.get("reset", form)

        def make(width, key):
            cell = GRUCell(width, HIDDEN, reset=form, use_bias=bias, key=key)
            if format == "flax_nnx":
                cell = eqx.tree_at(lambda c: c.b_hc, cell, jnp.zeros(HIDDEN))
            return cell
    elif "LSTM" in kind:

        def make(width, key):
            return LSTMCell(width, HIDDEN, use_bias=bias, key=key)
    else:
        relu = format == "haiku" or options.get("activation") == "relu"

        def make(width, key):
            activation = interop._gates.ACTIVATIONS["relu" if relu else "tanh"]
            return ElmanCell(width, HIDDEN, activation=activation, use_bias=bias, key=key)

    keys = jr.split(key, runner.get("num_layers", 1))
    cells = [make(INPUTS if number == 0 else HIDDEN, k) for number, k in enumerate(keys)]
    return cells[0] if len(cells) == 1 else StackedCell(cells)


def entries(weights, start=""):
    out = {}
    for key, value in weights.items():
        out |= entries(value, f"{start}{key}|") if isinstance(value, dict) else {start + key: value}
    return out


@pytest.mark.parametrize("name", [name for name in CASES if name != "haiku_vanilla_one_bias"])
def test_ours_to_framework(name, getkey):
    require(name)
    _, runner, format, _ = CASES[name]
    cell = our_cell(name, getkey())
    if format == "torch":
        weights = interop.to_torch(cell, single=runner["kind"].endswith("Cell"))
    elif name == "flax_nnx_lstm":
        weights = interop.to_flax_nnx(cell, optimized=False)
    else:
        weights = interop.to_weights(cell, format)
    inputs, _, outputs = run(name, entries(weights))
    assert abs(outputs_of(cell, inputs) - outputs).max() < tolerance(name)


def test_equinox_cell_as_it_is(getkey):
    theirs = eqx.nn.GRUCell(INPUTS, HIDDEN, use_bias=False, key=getkey())
    ours = interop.from_equinox(vars(theirs))
    h, x = jnp.linspace(-1.0, 1.0, HIDDEN), jnp.ones(INPUTS)
    np.testing.assert_allclose(ours(h, x), theirs(x, h), rtol=0, atol=1e-15)


def test_torch_tensors_with_readout_and_prefix(getkey):
    torch = pytest.importorskip("torch")
    model = torch.nn.ModuleDict({"rnn": torch.nn.GRU(INPUTS, HIDDEN), "readout": torch.nn.Linear(HIDDEN, 2)})
    cell = interop.from_torch(model.state_dict())
    assert isinstance(cell, GRUCell)
    assert cell.W_z.dtype == jnp.float64
    expected = model["rnn"].weight_hh_l0.detach().numpy()[HIDDEN : 2 * HIDDEN]
    np.testing.assert_array_equal(cell.U_z, expected.astype(np.float64))
