"""Each framework's own recurrent layers, run on given or random weights.

`python tests/goldens/make.py` writes one `.npz` per case beside this file: weights, inputs and the framework's outputs.
The live tests (`pytest -m interop`) call the same functions. A framework is imported only when its case runs.
"""

import os
import zlib
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np

HERE = Path(__file__).parent
STEPS, BATCH, INPUTS, HIDDEN = 6, 2, 3, 4


def generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def fill(rng, template, weights):
    """The given weights after a check of names and shapes, or random ones, biases included."""
    shapes = {name: np.shape(value) for name, value in template.items()}
    if weights is None:
        return {name: rng.normal(scale=0.6, size=shape) for name, shape in shapes.items()}
    assert {name: np.shape(value) for name, value in weights.items()} == shapes
    return weights


def flat(tree, start=""):
    out = {}
    for key, value in tree.items():
        out |= flat(value, f"{start}{key}|") if isinstance(value, dict) else {start + key: np.asarray(value)}
    return out


def nested(weights):
    tree = {}
    for name, value in weights.items():
        *path, last = name.split("|")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = jnp.asarray(value)
    return tree


def torch_layer(x, rng, weights, kind, **options):
    import torch

    layer = getattr(torch.nn, kind)(INPUTS, HIDDEN, dtype=torch.float64, **options)
    weights = fill(rng, layer.state_dict(), weights)
    layer.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return weights, layer(torch.from_numpy(x))[0].detach().numpy()


def torch_cell(x, rng, weights, kind):
    import torch

    cell = getattr(torch.nn, kind)(INPUTS, HIDDEN, dtype=torch.float64)
    weights = fill(rng, cell.state_dict(), weights)
    cell.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    state, out = None, []
    for step in torch.from_numpy(x):
        state = cell(step, state)
        out.append((state[0] if kind == "LSTMCell" else state).detach().numpy())
    return weights, np.stack(out)


def equinox(x, rng, weights, kind, **options):
    import equinox as eqx

    cell = getattr(eqx.nn, kind)(INPUTS, HIDDEN, key=jax.random.key(0), **options)
    names = [name for name, value in vars(cell).items() if hasattr(value, "shape")]
    weights = fill(rng, {name: getattr(cell, name) for name in names}, weights)
    leaves = [jnp.asarray(weights[name]) for name in names]
    cell = eqx.tree_at(lambda c: [getattr(c, name) for name in names], cell, leaves)
    zeros = jnp.zeros((BATCH, HIDDEN))
    state, out = (zeros, zeros) if kind == "LSTMCell" else zeros, []
    for step in x:
        state = jax.vmap(cell)(jnp.asarray(step), state)
        out.append(state[0] if kind == "LSTMCell" else state)
    return weights, np.stack(out)


def flax_linen(x, rng, weights, kind, **options):
    import flax.linen as nn

    cell = getattr(nn, kind)(HIDDEN, param_dtype=jnp.float64, **options)
    carry = cell.initialize_carry(jax.random.key(0), x[0].shape)
    template = cell.init(jax.random.key(0), carry, jnp.asarray(x[0]))["params"]
    weights = fill(rng, flat(template), weights)
    out = []
    for step in x:
        carry, y = cell.apply({"params": nested(weights)}, carry, jnp.asarray(step))
        out.append(y)
    return weights, np.stack(out)


def flax_nnx(x, rng, weights, kind, **options):
    from flax import nnx

    cell = getattr(nnx, kind)(INPUTS, HIDDEN, param_dtype=jnp.float64, dtype=jnp.float64, rngs=nnx.Rngs(0), **options)
    state = nnx.state(cell, nnx.Param)
    weights = fill(rng, flat(nnx.to_pure_dict(state)), weights)
    nnx.replace_by_pure_dict(state, nested(weights))
    nnx.update(cell, state)
    carry, out = cell.initialize_carry(x[0].shape, nnx.Rngs(0)), []
    for step in x:
        carry, y = cell(carry, jnp.asarray(step))
        out.append(y)
    return weights, np.stack(out)


def haiku(x, rng, weights, kind, **options):
    import haiku as hk

    def step(inputs, state):
        core = getattr(hk, kind)(HIDDEN, **options)
        return core(inputs, core.initial_state(BATCH) if state is None else state)

    step = hk.without_apply_rng(hk.transform(step))
    template = step.init(jax.random.key(0), jnp.asarray(x[0]), None)
    weights = fill(rng, flat(template), weights)
    state, out = None, []
    for inputs in x:
        y, state = step.apply(nested(weights), jnp.asarray(inputs), state)
        out.append(y)
    return weights, np.stack(out)


def keras(x, rng, weights, kind, **options):
    import keras

    # On JAX, Keras rounds every operation to float32, whatever its dtype policy says.
    layer = getattr(keras.layers, kind)(HIDDEN, return_sequences=True, **options)
    layer.build((BATCH, STEPS, INPUTS))
    weights = fill(rng, {variable.name: variable for variable in layer.weights}, weights)
    layer.set_weights([weights[variable.name] for variable in layer.weights])
    return weights, np.asarray(layer(jnp.asarray(x.swapaxes(0, 1), jnp.float32))).swapaxes(0, 1)


def onnx(x, rng, weights, kind, runtime=False, **attributes):
    from onnx import TensorProto, helper

    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[kind] * HIDDEN
    template = {"W": (1, gates, INPUTS), "R": (1, gates, HIDDEN), "B": (1, 2 * gates)}
    weights = fill(rng, {name: np.zeros(shape) for name, shape in template.items()}, weights)
    code, dtype = (TensorProto.FLOAT, np.float32) if runtime else (TensorProto.DOUBLE, np.float64)
    node = helper.make_node(kind, ["X", "W", "R", "B"], ["Y"], hidden_size=HIDDEN, **attributes)
    inputs = [helper.make_tensor_value_info(name, code, None) for name in ("X", "W", "R", "B")]
    graph = helper.make_graph([node], "step", inputs, [helper.make_tensor_value_info("Y", code, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    feed = {name: np.asarray(value, dtype) for name, value in {"X": x, **weights}.items()}
    if runtime:
        import onnxruntime

        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return weights, session.run(None, feed)[0][:, 0]
    from onnx.reference import ReferenceEvaluator

    return weights, ReferenceEvaluator(model).run(None, feed)[0][:, 0]


# name: (runner, its options, format, options of from_weights)
CASES = {
    "torch_gru": (torch_layer, {"kind": "GRU"}, "torch", {}),
    "torch_gru_no_bias": (torch_layer, {"kind": "GRU", "bias": False}, "torch", {}),
    "torch_gru_2_layers": (torch_layer, {"kind": "GRU", "num_layers": 2}, "torch", {}),
    "torch_lstm_2_layers": (torch_layer, {"kind": "LSTM", "num_layers": 2}, "torch", {}),
    "torch_rnn": (torch_layer, {"kind": "RNN"}, "torch", {}),
    "torch_rnn_relu": (torch_layer, {"kind": "RNN", "nonlinearity": "relu"}, "torch", {"activation": "relu"}),
    "torch_gru_cell": (torch_cell, {"kind": "GRUCell"}, "torch", {}),
    "torch_lstm_cell": (torch_cell, {"kind": "LSTMCell"}, "torch", {}),
    "torch_rnn_cell": (torch_cell, {"kind": "RNNCell"}, "torch", {}),
    "equinox_gru": (equinox, {"kind": "GRUCell"}, "equinox", {}),
    "equinox_gru_no_bias": (equinox, {"kind": "GRUCell", "use_bias": False}, "equinox", {}),
    "equinox_lstm": (equinox, {"kind": "LSTMCell"}, "equinox", {}),
    "flax_linen_gru": (flax_linen, {"kind": "GRUCell"}, "flax_linen", {}),
    "flax_linen_lstm": (flax_linen, {"kind": "LSTMCell"}, "flax_linen", {}),
    "flax_linen_lstm_optimized": (flax_linen, {"kind": "OptimizedLSTMCell"}, "flax_linen", {}),
    "flax_linen_simple": (flax_linen, {"kind": "SimpleCell"}, "flax_linen", {}),
    "flax_nnx_gru": (flax_nnx, {"kind": "GRUCell"}, "flax_nnx", {}),
    "flax_nnx_lstm": (flax_nnx, {"kind": "LSTMCell"}, "flax_nnx", {}),
    "flax_nnx_lstm_optimized": (flax_nnx, {"kind": "OptimizedLSTMCell"}, "flax_nnx", {}),
    "flax_nnx_simple": (flax_nnx, {"kind": "SimpleCell"}, "flax_nnx", {}),
    "haiku_gru": (haiku, {"kind": "GRU"}, "haiku", {}),
    "haiku_lstm": (haiku, {"kind": "LSTM"}, "haiku", {}),
    "haiku_vanilla": (haiku, {"kind": "VanillaRNN"}, "haiku", {}),
    "haiku_vanilla_one_bias": (haiku, {"kind": "VanillaRNN", "double_bias": False}, "haiku", {}),
    "keras_gru_after": (keras, {"kind": "GRU", "reset_after": True}, "keras", {}),
    "keras_gru_before": (keras, {"kind": "GRU", "reset_after": False}, "keras", {}),
    "keras_gru_no_bias": (
        keras,
        {"kind": "GRU", "reset_after": False, "use_bias": False},
        "keras",
        {"reset": "before"},
    ),
    "keras_lstm": (keras, {"kind": "LSTM"}, "keras", {}),
    "keras_simple": (keras, {"kind": "SimpleRNN"}, "keras", {}),
    "onnx_gru_before": (onnx, {"kind": "GRU", "linear_before_reset": 0}, "onnx", {"reset": "before"}),
    "onnx_gru_after": (onnx, {"kind": "GRU", "linear_before_reset": 1}, "onnx", {"reset": "after"}),
    "onnx_lstm": (onnx, {"kind": "LSTM"}, "onnx", {}),
    "onnx_rnn": (onnx, {"kind": "RNN"}, "onnx", {}),
    "onnxruntime_gru_before": (
        onnx,
        {"kind": "GRU", "linear_before_reset": 0, "runtime": True},
        "onnx",
        {"reset": "before"},
    ),
    "onnxruntime_gru_after": (
        onnx,
        {"kind": "GRU", "linear_before_reset": 1, "runtime": True},
        "onnx",
        {"reset": "after"},
    ),
    "onnxruntime_lstm": (onnx, {"kind": "LSTM", "runtime": True}, "onnx", {}),
}


def run(name, weights=None):
    """Inputs `(T, B, I)`, weights and outputs `(T, B, H)` of a case, under JAX's usual promotion rules."""
    runner, options, _, _ = CASES[name]
    rng = generator(name)
    x = rng.normal(size=(STEPS, BATCH, INPUTS))
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        weights, outputs = runner(x, rng, weights, **options)
    return x, weights, np.asarray(outputs, np.float64)


def main():
    jax.config.update("jax_enable_x64", True)
    for name in CASES:
        x, weights, outputs = run(name)
        arrays = {f"weights|{key}": value for key, value in weights.items()}
        np.savez_compressed(HERE / f"{name}.npz", inputs=x, outputs=outputs, **arrays)
        print(name, (HERE / f"{name}.npz").stat().st_size)


if __name__ == "__main__":
    main()
