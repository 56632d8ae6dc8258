"""Kanai, Fujiwara, Iwamura (2017), supplement: Lemmas 1 to 6 and eq. 11, as printed and corrected.

Cells are those of the paper: `GRUCell(reset="before", use_bias=False)` and stacks of them, without input.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ..cells import GRUCell, StackedCell
from ..linalg import eigenvalues, product, run_after, spectral_norm, spectral_projection
from ._theorem import Equality, Inequality


@eqx.filter_jit
def lemma_1(cell: GRUCell) -> Equality:
    """The origin is a fixed point, `F(0) = 0`, for a cell without biases and without input.

    **Arguments:** `cell`.

    **Returns:** an `Equality` of states `(H,)`.

    **Source:** Kanai et al. (2017), Lemma 1.
    """
    origin = jnp.zeros((cell.hidden_size,), cell.U_c.dtype)
    return Equality(origin, cell(origin))


@eqx.filter_jit
def lemma_2(cell: GRUCell) -> Equality:
    """The Jacobian at the origin is `U_c / 4 + I / 2`, for both forms of the reset gate.

    **Arguments:** `cell`, without biases.

    **Returns:** an `Equality` of matrices `(H, H)`; measured by autodiff.

    **Source:** Kanai et al. (2017), Lemma 2, eq. 7.
    """
    origin = jnp.zeros((cell.hidden_size,), cell.U_c.dtype)
    return Equality(_at_origin(cell.U_c), jax.jacfwd(cell)(origin))


@eqx.filter_jit
def lemma_3(U_c: Float[Array, "n n"]) -> Inequality:
    """The origin is stable when `sigma_1(U_c) < 2`, since `rho(U_c / 4 + I / 2) <= sigma_1(U_c) / 4 + 1 / 2`.

    **Arguments:** `U_c (n, n)`.

    **Returns:** an `Inequality` of shape `()` for the spectral radius; the bound is below 1 when the norm is below 2.

    **Source:** Kanai et al. (2017), Lemma 3.
    """
    size = spectral_norm(U_c)
    return Inequality(size / 4 + 0.5, _radius(_at_origin(run_after(U_c, size))))


@eqx.filter_jit
def lemma_4(stack: StackedCell) -> Equality:
    """The spectral radius of a stack at the origin is the largest of its layers'.

    **Arguments:** `stack`, of cells without biases.

    **Returns:** an `Equality` of shape `()`; measured from the Jacobian of the whole stack by autodiff.

    **Source:** Kanai et al. (2017), Lemma 4, eq. 12.
    """
    measured = claimed = _radius(_jacobian(stack))
    layers = []
    for layer in stack.layers:
        assert isinstance(layer, GRUCell)
        claimed = _radius(_at_origin(run_after(layer.U_c, claimed)))
        layers.append(claimed)
    return Equality(jnp.max(jnp.stack(layers)), measured)


@eqx.filter_jit
def equation_11(stack: StackedCell, *, as_printed: bool = False) -> Equality:
    """The blocks of the Jacobian of a stack at the origin.

        dh_l(t)/dh_{l-d}(t-1) = B_l ... B_{l-d+1} A_{l-d},      A_l = U_l / 4 + I / 2,   B_l = W_l / 2
        printed: the sum over p = 0 ... d of B_l ... B_{l-p+1} A_{l-p} B_{l-p} ... B_{l-d+1}

    The further terms would carry the state below at t-1 through the state above at t-1, which is a variable of its own.
    The eigenvalues are those of the diagonal blocks either way, so Lemma 4 stands.

    **Arguments:** `stack`, of `GRUCell`s without biases; `as_printed`.

    **Returns:** an `Equality` of matrices `(S, S)`; measured by autodiff.

    **Source:** Kanai et al. (2017), eqs. 9-11.
    """
    layers = [layer for layer in stack.layers if isinstance(layer, GRUCell)]
    A = [_at_origin(layer.U_c) for layer in layers]
    B = [layer.W_c / 2 for layer in layers]
    rows = []
    for top in range(len(layers)):
        row = []
        for bottom in range(len(layers)):
            block = jnp.zeros((layers[top].hidden_size, layers[bottom].hidden_size), A[0].dtype)
            # Where the recurrent step is taken: in the layer below, or as printed in any layer on the way.
            for taken in range(bottom, top + 1) if as_printed else (bottom,):
                if bottom <= top:
                    block = block + _path(A, B, bottom, taken, top)
            row.append(block)
        rows.append(row)
    return Equality(jnp.block(rows), _jacobian(stack))


@eqx.filter_jit
def lemma_5(matrix: Float[Array, "n n"], other: Float[Array, "n n"], delta: float | Scalar) -> Inequality:
    """P_delta gives the nearest matrix with singular values of at most 2 - delta.

        ||W - K||_F >= ||W - P||_F = sqrt(sum (sigma_i(W) - 2 + delta)_+^2)      for all K with sigma_1(K) <= 2 - delta

    **Arguments:** `matrix`, W, and `other`, `(n, n)`; K is its projection; `delta` in [0, 2).

    **Returns:** an `Inequality` `(2,)`, lower bounds: of the distance to K, and of minus the difference between
    `||W - P||_F` and its formula, by 0.

    **Source:** Kanai et al. (2017), Lemma 5.
    """
    projected = spectral_projection(jnp.stack([matrix, other]), 2 - delta).matrix
    distances = jnp.linalg.norm(matrix[None] - projected, axis=(1, 2))
    above = jnp.maximum(jnp.linalg.svd(run_after(matrix, projected), compute_uv=False) - 2 + delta, 0)
    formula = jnp.linalg.norm(above)
    zero = jnp.zeros_like(formula)
    return Inequality(
        jnp.stack([formula, zero]), jnp.stack([distances[1], -jnp.abs(distances[0] - formula)]), lower=True
    )


@eqx.filter_jit
def lemma_6(matrix: Float[Array, "n n"], gradient: Float[Array, "n n"], rate: Scalar) -> Inequality:
    """A step of gradient descent raises no singular value by more than the length of the step.

        sigma_i(W - eta G) <= sigma_i(W) + |eta| ||G||_F

    So nothing has to be projected when `sigma_1(W) + |eta| ||G||_F <= 2 - delta`.

    **Arguments:** `matrix`, W, and `gradient`, G, `(n, n)`; `rate`, eta, `()`.

    **Returns:** an `Inequality` of singular values `(n,)`.

    **Source:** Kanai et al. (2017), Lemma 6.
    """
    values = jnp.linalg.svd(jnp.stack([matrix, matrix - rate * gradient]), compute_uv=False)
    return Inequality(values[0] + jnp.abs(rate) * jnp.linalg.norm(gradient), values[1])


@eqx.filter_jit
def with_gate_biases(cell: GRUCell, *, as_printed: bool = False) -> Inequality:
    """The origin of a cell with biases in its gates is stable when `sigma_1(U_c diag(sigmoid(b_r))) < 1`.

        rho(diag(z) + diag(1 - z) U_c diag(r)) <= y + (1 - y) s < 1,    s = sigma_1(U_c diag(r)) < 1,    y = max z_i

    The condition of Lemma 3, `s = sigma_1(U_c) / 2 < 1`, is this for r = 1/2 and for no larger r.

    **Arguments:** `cell`, with `reset="before"` and `b_c = 0`; `as_printed`, with the condition of Lemma 3.

    **Returns:** an `Inequality` of shape `()` for the spectral radius. For s >= 1 the bound is s, which says nothing of
    stability.

    **Source:** Kanai et al. (2017), Lemma 3; the corrected condition is ours.
    """
    assert cell.b_r is not None
    assert cell.b_z is not None
    reset, keep = jax.nn.sigmoid(cell.b_r), jnp.max(jax.nn.sigmoid(cell.b_z))
    jacobian = jax.jacfwd(cell)(jnp.zeros((cell.hidden_size,), cell.U_c.dtype))
    size = spectral_norm(cell.U_c) / 2 if as_printed else spectral_norm(cell.U_c * reset[None, :])
    return Inequality(jnp.maximum(keep + (1 - keep) * size, size), _radius(run_after(jacobian, size)))


def _at_origin(U_c: Array) -> Array:
    return U_c / 4 + jnp.eye(U_c.shape[0], dtype=U_c.dtype) / 2


def _radius(matrix: Array) -> Array:
    return jnp.max(jnp.abs(eigenvalues(matrix)))


def _jacobian(stack: StackedCell) -> Array:
    dtype = jax.tree.leaves(eqx.filter(stack, eqx.is_inexact_array))[0].dtype
    return jax.jacfwd(stack)(jnp.zeros((stack.state_size,), dtype))


def _path(A: list[Array], B: list[Array], bottom: int, taken: int, top: int) -> Array:
    """Up through the layers from `bottom` to `top`, with the recurrent step in layer `taken`."""
    total = jnp.eye(A[bottom].shape[0], dtype=A[bottom].dtype)
    for layer in range(bottom, top + 1):
        total = product(B[layer], total) if layer > bottom else total
        total = product(A[layer], total) if layer == taken else total
    return total
