"""Stored weights, inputs and outputs of each framework, made by `tests/goldens/make.py`: no framework needed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from goldens.make import BATCH, CASES, HERE, HIDDEN, INPUTS, STEPS

from gru_dynamics import interop


def tree(arrays):
    """`a|b` is entry `b` of the dict `a`, as the framework nests them."""
    out = {}
    for name, value in arrays.items():
        *path, last = name.split("|")
        node = out
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value
    return out


def load(name):
    with np.load(HERE / f"{name}.npz") as file:
        weights = {key.removeprefix("weights|"): file[key] for key in file.files if key.startswith("weights|")}
        return file["inputs"], tree(weights), file["outputs"]


@eqx.filter_jit
def outputs_of(cell, inputs):
    """Hidden states `(T, B, H)` of our cell from a zero state, in float64."""

    def step(state, x):
        state = cell(state, x)
        return state, cell.output(state)

    def sequence(x):
        return jax.lax.scan(step, jnp.zeros(cell.state_size), x)[1]

    return jax.vmap(sequence, in_axes=1, out_axes=1)(jnp.asarray(inputs))


def tolerance(name):
    """A step sums `I + H + 4` products of size up to 4 and the maps hardly amplify: 50 ulp; at most 4 were seen.

    The float32 frameworks also round the weights. `test_goldens_can_tell_gates_apart` bounds what a mistake makes.
    """
    return 50 * float(np.finfo(np.float32 if name.startswith(("keras", "onnxruntime")) else np.float64).eps)


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    inputs, weights, outputs = load(name)
    _, _, format, options = CASES[name]
    assert inputs.shape == (STEPS, BATCH, INPUTS)
    assert outputs.shape == (STEPS, BATCH, HIDDEN)
    cell = interop.from_weights(weights, format, **options)
    assert abs(outputs_of(cell, inputs) - outputs).max() < tolerance(name)


@pytest.mark.parametrize("name", CASES)
def test_format_is_told_by_names(name):
    _, weights, _ = load(name)
    _, _, format, options = CASES[name]
    found = jax.tree.leaves(interop.from_weights(weights, **options))
    wanted = jax.tree.leaves(interop.from_weights(weights, format, **options))
    assert all((a == b).all() for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_goldens_can_tell_gates_apart(name):
    """Scaling any one tensor changes the outputs by far more than the tolerance: no weight is idle in these cases."""
    inputs, weights, outputs = load(name)
    _, _, format, options = CASES[name]
    leaves, shape = jax.tree.flatten(weights)
    for number in range(len(leaves)):
        changed = jax.tree.unflatten(shape, [1.5 * a if n == number else a for n, a in enumerate(leaves)])
        cell = interop.from_weights(changed, format, **options)
        assert abs(outputs_of(cell, inputs) - outputs).max() > 1e-4


def test_goldens_are_small():
    assert all((HERE / f"{name}.npz").stat().st_size < 10_000 for name in CASES)
