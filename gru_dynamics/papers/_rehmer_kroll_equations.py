"""Rehmer & Kroll (2020), section 3: eqs. 7 to 12, the derivatives of the state in the parameters.

    x' = tanh(w_x x + b_x)                                                         RNN, one unit
    x' = s x + (1 - s) t,   s = sigmoid(w_z x + b_z),   t = tanh(w_c x + b_c)      GRU, one unit without a reset gate

`slope` is the derivative of the present state x in the parameter, what earlier steps contribute.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Scalar
from ._theorem import Equality, Inequality


class Unit(NamedTuple):
    """A gated unit at a state: four parameters, the state x, and its derivative `slope`, each of shape `()` or of one
    shape `(...)`.

    **Source:** Rehmer & Kroll (2020), eq. 5 for one state, without reset gate.
    """

    w_z: Scalar
    b_z: Scalar
    w_c: Scalar
    b_c: Scalar
    x: Scalar
    slope: Scalar


def step(w_z: Array, b_z: Array, w_c: Array, b_c: Array, x: Array) -> Array:
    """The next state of the gated unit, `s x + (1 - s) t`.

    **Returns:** the shape of the arguments, `(...)`.

    **Source:** Rehmer & Kroll (2020), eqs. 5, 15.
    """
    s = jax.nn.sigmoid(w_z * x + b_z)
    return s * x + (1 - s) * jnp.tanh(w_c * x + b_c)


@eqx.filter_jit
def equation_7(w_x: Scalar, b_x: Scalar, x: Scalar, slope: Scalar) -> Equality:
    """The derivative of the RNN in w_x, `(x + w_x slope) tanh'`. As printed it is right.

    **Arguments:** the parameters, the state and its derivative, each `()`.

    **Returns:** an `Equality` `()`; measured by autodiff.

    **Source:** Rehmer & Kroll (2020), eq. 7.
    """
    claimed = (x + w_x * slope) * (1 - jnp.tanh(w_x * x + b_x) ** 2)
    measured = jax.jvp(lambda w, x: jnp.tanh(w * x + b_x), (w_x, x), (jnp.ones_like(w_x), slope))[1]
    return Equality(claimed, measured)


@eqx.filter_jit
def equation_8(unit: Unit, *, as_printed: bool = False) -> Equality:
    """The derivative of the GRU in w_z.

        (x - t) s' (x + w_z slope) + s slope + (1 - s) tanh' w_c slope
        printed: (1 - t) s' (x + w_z slope) + (1 - s) tanh' slope

    The printed form has 1 for x, and lacks the term `s slope` and a factor w_c.

    **Arguments:** `unit`; `as_printed`.

    **Returns:** an `Equality` `()`; measured by autodiff.

    **Source:** Rehmer & Kroll (2020), eq. 8.
    """
    s, t = _activations(unit)
    return Equality(in_gate(s, t, unit, as_printed=as_printed), _measured(unit, 0))


@eqx.filter_jit
def equation_9(unit: Unit, *, as_printed: bool = False) -> Equality:
    """The derivative of the GRU in w_c.

        (x - t) s' w_z slope + s slope + (1 - s) tanh' (x + w_c slope)                   printed: without the factor w_z

    **Arguments:** `unit`; `as_printed`, right for w_z = 1.

    **Returns:** an `Equality` `()`; measured by autodiff.

    **Source:** Rehmer & Kroll (2020), eq. 9.
    """
    s, t = _activations(unit)
    return Equality(in_candidate(s, t, unit, as_printed=as_printed), _measured(unit, 2))


@eqx.filter_jit
def equation_10(w_x: Scalar, b_x: Scalar, x: Scalar, slope: Scalar, *, as_printed: bool = False) -> Inequality:
    """The derivative of the RNN is at most `|x + w_x slope|`; printed without absolute values on either side.

    **Arguments:** as `equation_7`; `as_printed`.

    **Returns:** an `Inequality` `()`.

    **Source:** Rehmer & Kroll (2020), eq. 10.
    """
    measured, bound = equation_7(w_x, b_x, x, slope).measured, x + w_x * slope
    return Inequality(bound, measured) if as_printed else Inequality(jnp.abs(bound), jnp.abs(measured))


@eqx.filter_jit
def equation_11(unit: Unit, *, as_printed: bool = False) -> Equality:
    """The derivatives in w_z and w_c for a closed gate, s = 0: `(tanh' w_c slope, tanh' (x + w_c slope))`.

    Printed is the first one without w_c.

    **Arguments:** `unit`, whose b_z counts as -inf; `as_printed`.

    **Returns:** an `Equality` `(2,)`; measured by autodiff at the saturated gate.

    **Source:** Rehmer & Kroll (2020), eq. 11.
    """
    closed = unit._replace(w_z=jnp.zeros_like(unit.w_z), b_z=jnp.full_like(unit.b_z, -800.0))
    bend = 1 - _activations(closed)[1] ** 2
    factor = jnp.ones_like(unit.w_c) if as_printed else unit.w_c
    claimed = jnp.stack([bend * factor * unit.slope, bend * (unit.x + unit.w_c * unit.slope)])
    return Equality(claimed, jnp.stack([_measured(closed, 0), _measured(closed, 2)]))


@eqx.filter_jit
def equation_12(unit: Unit, *, as_printed: bool = False) -> Equality:
    """The derivatives in w_z and w_c for an open gate, s = 1: `(slope, slope)`. Printed is 0 for the first.

    **Arguments:** `unit`, whose b_z counts as +inf; `as_printed`.

    **Returns:** an `Equality` `(2,)`; measured by autodiff at the saturated gate.

    **Source:** Rehmer & Kroll (2020), eq. 12.
    """
    opened = unit._replace(w_z=jnp.zeros_like(unit.w_z), b_z=jnp.full_like(unit.b_z, 800.0))
    first = jnp.zeros_like(unit.slope) if as_printed else unit.slope
    return Equality(jnp.stack([first, unit.slope]), jnp.stack([_measured(opened, 0), _measured(opened, 2)]))


def in_gate(s: Array, t: Array, unit: Unit, *, as_printed: bool = False) -> Array:
    """Eq. 8 with the activations s and t of gate and candidate as free variables, of shape `(...)`, as in fig. 3.

    **Returns:** `(...)`.

    **Source:** Rehmer & Kroll (2020), eq. 8.
    """
    turn, bend = s * (1 - s), 1 - t * t
    if as_printed:
        return (1 - t) * turn * (unit.x + unit.w_z * unit.slope) + (1 - s) * bend * unit.slope
    direct = (unit.x - t) * turn * (unit.x + unit.w_z * unit.slope)
    return direct + s * unit.slope + (1 - s) * bend * unit.w_c * unit.slope


def in_candidate(s: Array, t: Array, unit: Unit, *, as_printed: bool = False) -> Array:
    """Eq. 9 with the activations s and t of gate and candidate as free variables, of shape `(...)`, as in fig. 3.

    **Returns:** `(...)`.

    **Source:** Rehmer & Kroll (2020), eq. 9.
    """
    turn = s * (1 - s) * (jnp.ones_like(unit.w_z) if as_printed else unit.w_z)
    return (unit.x - t) * turn * unit.slope + s * unit.slope + (1 - s) * (1 - t * t) * (unit.x + unit.w_c * unit.slope)


def in_state(s: Array, t: Array, unit: Unit) -> Array:
    """The derivative of the next state in the present one, with s and t as free variables, of shape `(...)`.

        s + s' w_z (x - t) + (1 - s) tanh' w_c

    **Returns:** `(...)`.

    **Source:** Rehmer & Kroll (2020), eq. 5, differentiated.
    """
    return s + s * (1 - s) * unit.w_z * (unit.x - t) + (1 - s) * (1 - t * t) * unit.w_c


def _activations(unit: Unit) -> tuple[Array, Array]:
    return jax.nn.sigmoid(unit.w_z * unit.x + unit.b_z), jnp.tanh(unit.w_c * unit.x + unit.b_c)


def _measured(unit: Unit, place: int) -> Array:
    """The derivative of the next state in the parameter at `place`, by autodiff."""
    *parameters, x, slope = unit
    directions = [jnp.ones_like(p) if i == place else jnp.zeros_like(p) for i, p in enumerate(parameters)]
    return jax.jvp(step, (*parameters, x), (*directions, slope))[1]
