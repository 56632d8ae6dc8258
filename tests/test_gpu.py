"""The main results again on an accelerator: `pytest -m gpu` on a machine that has one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import GATED_CELLS, draw, each

import gru_dynamics as gd

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs a GPU as the default device of JAX"),
]


def test_product_gru_has_all_729_points():
    points = gd.find_fixed_points(gd.library.product_gru(6), gd.UniformGuesses(num=8192), key=jr.key(0))
    assert np.bincount(np.asarray(points.unstable_dim)[np.asarray(points.mask)]).tolist() == [
        64,
        192,
        240,
        160,
        60,
        12,
        1,
    ]
    assert (np.asarray(points.residual)[np.asarray(points.mask)] < 1e-12).all()


@each("make", GATED_CELLS)
def test_closed_form_jacobians_in_float32_do_not_use_tf32(make):
    """TF32 keeps 10 bits, float32 24: a product in TF32 would be off by 1e-3."""
    cell = draw(make)
    single = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_array(x) else x, cell)
    state, input = jr.normal(jr.key(0), (cell.state_size,)), jr.normal(jr.key(1), (cell.input_size,))
    exact = cell.jacobians(state, input)[0]
    ours = single.jacobians(state.astype(jnp.float32), input.astype(jnp.float32))[0]
    np.testing.assert_allclose(ours, exact, atol=1e-5)


def test_many_systems_in_one_call():
    cells = eqx.filter_vmap(lambda key: gd.GRUCell(0, 16, reset="after", key=key))(jr.split(jr.key(0), 100))

    @eqx.filter_jit
    def sweep(cells):
        return eqx.filter_vmap(
            lambda cell: gd.find_fixed_points(
                gd.CellMap(cell), gd.UniformGuesses(num=64), key=jr.key(0), max_points=16, throw=False
            )
        )(cells)

    assert (np.asarray(sweep(cells).index_sum) == 1).all()


def test_proofs_are_those_of_the_cpu():
    """The same counts and kinds, and boxes that hold one and the same point."""
    cases = [gd.library.jordan(case) for case in ("table3:ii", "table3:xiv", "fig:3a")]
    systems = jax.tree.map(lambda *leaves: jnp.stack(leaves), *cases)
    enumerate_all = eqx.filter_vmap(lambda system: gd.enumerate_fixed_points(system, max_points=16, throw=False))
    there = enumerate_all(systems)
    cpu = jax.local_devices(backend="cpu")[0]
    with jax.default_device(cpu):
        here = enumerate_all(jax.tree.map(lambda leaf: jax.device_put(leaf, cpu), systems))
    assert np.asarray(there.count)[:, 0].tolist() == [3, 9, 11]
    assert (np.asarray(there.kind) == np.asarray(here.kind)).all()
    mask = np.asarray(there.mask)[..., None]
    assert (np.where(mask, there.lower, 0) <= np.where(mask, here.upper, 0)).all()
    assert (np.where(mask, there.upper, 0) >= np.where(mask, here.lower, 0)).all()


def test_verified_point():
    points = gd.find_fixed_points(gd.library.product_gru(3), gd.UniformGuesses(num=512), key=jr.key(0), verify=True)
    assert bool(points.proven[points.mask].all())
    assert float(points.radius[points.mask].max()) < 1e-12
