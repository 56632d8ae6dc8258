"""Textbook systems with known fixed points and bifurcations, and the cells of the papers.

Each function returns a system whose parameters sit in `system.args` (function systems) or in `system.cell` (cells).
"""

import csv
import functools
from collections.abc import Sequence
from importlib import resources
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._types import Array, ArrayLike
from ..cells import ElmanCell, GRUCell
from ._cell import CellFlow, CellMap
from ._function import FunctionFlow, FunctionMap


def _args(**parameters: ArrayLike) -> dict[str, Array]:
    return {name: jnp.asarray(value, jnp.zeros(()).dtype) for name, value in parameters.items()}


def _henon(s: Array, p: Any) -> Array:
    return jnp.stack([1 - p["a"] * s[0] ** 2 + s[1], p["b"] * s[0]])


def henon(a: ArrayLike = 1.4, b: ArrayLike = 0.3) -> FunctionMap:
    """Hénon map `x' = 1 - a x^2 + y, y' = b x`.

    **Returns:** map on states `(2,)`. Fold at `a = -(1-b)^2/4`, first flip at `a = 3(1-b)^2/4`.

    **Source:** Hénon (1976).
    """
    return FunctionMap(_henon, _args(a=a, b=b))


def _logistic(s: Array, p: Any) -> Array:
    return p["r"] * s * (1 - s)


def logistic(r: ArrayLike = 3.2) -> FunctionMap:
    """Logistic map `x' = r x (1 - x)`.

    **Returns:** map on states `(1,)`. Period doublings at r = 3, 1 + sqrt 6, ...

    **Source:** May (1976).
    """
    return FunctionMap(_logistic, _args(r=r))


def _delayed_logistic(s: Array, p: Any) -> Array:
    return jnp.stack([p["r"] * s[0] * (1 - s[1]), s[0]])


def delayed_logistic(r: ArrayLike = 1.9) -> FunctionMap:
    """Delayed logistic map `x' = r x (1 - y), y' = x`.

    **Returns:** map on states `(2,)`. Neimark-Sacker at r = 2.

    **Source:** Kuznetsov (2004), example 4.2.
    """
    return FunctionMap(_delayed_logistic, _args(r=r))


def _lorenz(t: Any, s: Array, p: Any) -> Array:
    x, y, z = s
    return jnp.stack([p["sigma"] * (y - x), x * (p["rho"] - z) - y, x * y - p["beta"] * z])


def lorenz(sigma: ArrayLike = 10.0, rho: ArrayLike = 28.0, beta: ArrayLike = 8 / 3) -> FunctionFlow:
    """Lorenz system `x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z`.

    **Returns:** flow on states `(3,)`. Points at the origin and `(+-sqrt(beta (rho-1)), same, rho - 1)`.

    **Source:** Lorenz (1963), eqs. 25-27.
    """
    return FunctionFlow(_lorenz, _args(sigma=sigma, rho=rho, beta=beta))


def _van_der_pol(t: Any, s: Array, p: Any) -> Array:
    return jnp.stack([s[1], p["mu"] * (1 - s[0] ** 2) * s[1] - s[0]])


def van_der_pol(mu: ArrayLike = 1.0) -> FunctionFlow:
    """Van der Pol oscillator `x' = y, y' = mu (1 - x^2) y - x`.

    **Returns:** flow on states `(2,)` with one source at the origin for `mu > 0`.

    **Source:** van der Pol (1926).
    """
    return FunctionFlow(_van_der_pol, _args(mu=mu))


def _brusselator(t: Any, s: Array, p: Any) -> Array:
    x, y = s
    return jnp.stack([p["A"] - (p["B"] + 1) * x + x * x * y, p["B"] * x - x * x * y])


def brusselator(A: ArrayLike = 1.0, B: ArrayLike = 1.5) -> FunctionFlow:
    """Brusselator `x' = A - (B+1) x + x^2 y, y' = B x - x^2 y`.

    **Returns:** flow on states `(2,)`, fixed point `(A, B/A)`, Hopf at `B = 1 + A^2`.

    **Source:** Prigogine & Lefever (1968).
    """
    return FunctionFlow(_brusselator, _args(A=A, B=B))


def _fitzhugh_nagumo(t: Any, s: Array, p: Any) -> Array:
    v, w = s
    return jnp.stack([v - v**3 / 3 - w + p["I"], p["epsilon"] * (v + p["a"] - p["b"] * w)])


def fitzhugh_nagumo(
    I: ArrayLike = 0.5, epsilon: ArrayLike = 0.08, a: ArrayLike = 0.7, b: ArrayLike = 0.8
) -> FunctionFlow:
    """FitzHugh-Nagumo neuron `v' = v - v^3/3 - w + I, w' = epsilon (v + a - b w)`.

    **Returns:** flow on states `(2,)`. Hopf at I = 0.3312813375 and 1.4187186625 for the default parameters.

    **Source:** FitzHugh (1961).
    """
    return FunctionFlow(_fitzhugh_nagumo, _args(I=I, epsilon=epsilon, a=a, b=b))


def _hopf_normal_form(t: Any, s: Array, p: Any) -> Array:
    x, y = s
    growth = p["rho"] + p["l1"] * (x * x + y * y)
    return jnp.stack([growth * x - p["omega"] * y, p["omega"] * x + growth * y])


def hopf_normal_form(rho: ArrayLike = 0.1, omega: ArrayLike = 1.0, l1: ArrayLike = -1.0) -> FunctionFlow:
    """Hopf normal form `r' = rho r + l1 r^3, theta' = omega` in Cartesian coordinates.

    **Returns:** flow on states `(2,)`; Hopf at `rho = 0`, cycle of radius `sqrt(-rho/l1)` and period `2 pi/omega`.

    **Source:** Kuznetsov (2004), section 3.4.
    """
    return FunctionFlow(_hopf_normal_form, _args(rho=rho, omega=omega, l1=l1))


def _cusp_normal_form(t: Any, s: Array, p: Any) -> Array:
    return p["mu"] + p["l"] * s - s**3


def cusp_normal_form(mu: ArrayLike = 0.0, l: ArrayLike = 1.0) -> FunctionFlow:
    """Cusp normal form `x' = mu + l x - x^3`.

    **Returns:** flow on states `(1,)`; for l = 1 folds at mu = +-2/(3 sqrt 3).

    **Source:** Kuznetsov (2004), section 8.2.
    """
    return FunctionFlow(_cusp_normal_form, _args(mu=mu, l=l))


def _decoupled_cubic(t: Any, s: Array, p: Any) -> Array:
    return p["rate"] * (s - s**3)


def decoupled_cubic(n: int = 3, rate: ArrayLike = 1.0) -> FunctionFlow:
    """n decoupled units `x_i' = rate (x_i - x_i^3)`.

    **Returns:** flow on states `(n,)` with the trapping box [-2, 2]^n and 3^n fixed points, coordinates 0 and +-1; each
    of the 2^n sinks has the same share of the box as its basin.

    **Source:** closed form.
    """
    ends = jnp.full((n,), 2.0)
    return FunctionFlow(_decoupled_cubic, _args(rate=rate), bounds=(-ends, ends))


def _lure(t: Any, s: Array, p: Any) -> Array:
    x, y, z = s
    return jnp.stack([y, z, -p["a"] * z - p["b"] * y - x + x * x])


def lure(a: ArrayLike = 1.2, b: ArrayLike = 1.0) -> FunctionFlow:
    """Lur'e feedback system `x''' = -a x'' - b x' - x + x^2`, as `x' = y, y' = z, z' = -a z - b y - x + x^2`.

    **Returns:** flow on states `(3,)`, fixed points `(0, 0, 0)` and `(1, 0, 0)`. The origin has a Hopf point at
    `a b = 1` with `omega = sqrt(b)`, and first Lyapunov coefficient -0.3 for b = 1.

    **Source:** Kuznetsov (2004), example 5.4.
    """
    return FunctionFlow(_lure, _args(a=a, b=b))


def _bautin_normal_form(t: Any, s: Array, p: Any) -> Array:
    x, y = s
    square = x * x + y * y
    growth = p["rho"] + p["c"] * square - square * square
    return jnp.stack([growth * x - y, x + growth * y])


def bautin_normal_form(rho: ArrayLike = -0.1, c: ArrayLike = 1.0) -> FunctionFlow:
    """Bautin normal form `r' = rho r + c r^3 - r^5, theta' = 1` in Cartesian coordinates.

    **Returns:** flow on states `(2,)`; Hopf at `rho = 0`, degenerate for c = 0. Cycles have radius
    `r^2 = (c +- sqrt(c^2 + 4 rho)) / 2` and period 2 pi, and for c > 0 a fold at `rho = -c^2/4`.

    **Source:** Kuznetsov (2004), section 8.3.
    """
    return FunctionFlow(_bautin_normal_form, _args(rho=rho, c=c))


def _multiplicity(t: Any, s: Array, p: Any) -> Array:
    return -s + p["l"] * p["rates"] * s - s**3


def multiplicity(l: ArrayLike = 0.5) -> FunctionFlow:
    """`x' = -x + l L x - x^3` with `L = diag(1, 1/2, 1/2, 1/3, 1/3, 1/3, ...)`, 1/i repeated i times, i = 1 ... 5.

    **Returns:** flow on states `(15,)`; at the origin i eigenvalues vanish at once at `l = i`.

    **Source:** closed form.
    """
    counts = np.arange(1, 6)
    return FunctionFlow(_multiplicity, _args(l=l, rates=np.repeat(1 / counts, counts)))


def _bratu(t: Any, s: Array, p: Any) -> Array:
    ends = jnp.zeros((1,), s.dtype)
    left, right = jnp.concatenate([ends, s[:-1]]), jnp.concatenate([s[1:], ends])
    return p["density"] ** 2 * (left - 2 * s + right) + p["lam"] * jnp.exp(s)


def bratu(n: int = 15, lam: ArrayLike = 1.0) -> FunctionFlow:
    """Bratu problem `du/dt = u_xx + lam e^u` on (0, 1), `u = 0` at both ends, by central differences.

    **Returns:** flow on states `(n,)`, the values at the n interior points, `1/(n + 1)` apart. Its two branches of
    fixed points meet in a fold at lam = 3.5066811168 for n = 15, 3.5133843732 for 63 and 3.5138028245 for 255.

    **Source:** Bratu (1914); the fold is near 3.513830719, Doedel & Friedman (1989).
    """
    return FunctionFlow(_bratu, _args(lam=lam, density=n + 1))


def _rotate(theta: Array, s: Array) -> Array:
    return jnp.stack([jnp.cos(theta) * s[0] - jnp.sin(theta) * s[1], jnp.sin(theta) * s[0] + jnp.cos(theta) * s[1]])


def _tanh_rotation_map(s: Array, p: Any) -> Array:
    return jnp.tanh(p["s"] * _rotate(p["theta"], s))


def tanh_rotation_map(s: ArrayLike = 1.1, theta: ArrayLike = 0.7) -> FunctionMap:
    """Two-unit network `h' = tanh(s R(theta) h)`, R the rotation by theta radians.

    **Returns:** map on states `(2,)`; at the origin a Neimark-Sacker point at `s = 1` with angle theta.

    **Source:** closed form.
    """
    return FunctionMap(_tanh_rotation_map, _args(s=s, theta=theta))


def _tanh_rotation_flow(t: Any, s: Array, p: Any) -> Array:
    return _tanh_rotation_map(s, p) - s


def tanh_rotation_flow(s: ArrayLike = 1.5, theta: ArrayLike = 0.7) -> FunctionFlow:
    """Two-unit network `dh/dt = -h + tanh(s R(theta) h)`, R the rotation by theta radians.

    **Returns:** flow on states `(2,)`; at the origin a supercritical Hopf point at `s = 1/cos theta` with
    `omega = tan theta`.

    **Source:** closed form.
    """
    return FunctionFlow(_tanh_rotation_flow, _args(s=s, theta=theta))


def _rotated_copies(t: Any, s: Array, p: Any) -> Array:
    multiply = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    h = multiply(s, p["Q"]).reshape(2, -1)
    return multiply(p["Q"], jnp.tanh(p["s"] * p["scales"][None] * _rotate(p["theta"], h)).reshape(-1)) - s


def rotated_copies(
    scales: Sequence[float] | Array, s: ArrayLike = 1.0, theta: ArrayLike = 0.7, *, seed: int = 0
) -> FunctionFlow:
    """Uncoupled `tanh_rotation_flow` with gains `s c_i`, in coordinates `y = Q h` with Q a random orthogonal matrix.

    **Arguments:** `scales`, the c_i, shape `(k,)`; `s`; `theta` in radians; `seed` of the matrix.

    **Returns:** flow on states `(2 k,)`; at the origin Hopf points at `s = 1/(c_i cos theta)` with `omega = tan theta`.

    **Source:** closed form.
    """
    size = 2 * len(scales)
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    return FunctionFlow(_rotated_copies, _args(s=s, theta=theta, scales=jnp.asarray(scales), Q=Q))


def _tanh_unit(t: Any, s: Array, p: Any) -> Array:
    return -s + jnp.tanh(p["w"] * s + p["b"])


def tanh_unit(w: ArrayLike = 2.0, b: ArrayLike = 0.0) -> FunctionFlow:
    """One unit `dh/dt = -h + tanh(w h + b)`.

    **Returns:** flow on states `(1,)`; cusp at `w = 1, b = 0`, folds at `h = +-sqrt(1 - 1/w)`, for w = 2 at
    b = -+0.5328399754.

    **Source:** Jordan, Sokół, Park (2019), theorem 3.
    """
    return FunctionFlow(_tanh_unit, _args(w=w, b=b))


def _constant_gate_unit(s: Array, p: Any) -> Array:
    return p["z"] * s + (1 - p["z"]) * jnp.tanh(p["w"] * s)


def constant_gate_unit(w: ArrayLike = -2.0, z: ArrayLike = 0.5) -> FunctionMap:
    """One gated unit with a constant keep gate, `h' = z h + (1 - z) tanh(w h)`.

    **Returns:** map on states `(1,)`; at the origin a pitchfork at `w = 1` and a flip at `w = -(1 + z)/(1 - z)`.

    **Source:** closed form.
    """
    return FunctionMap(_constant_gate_unit, _args(w=w, z=z))


def decoupled_tanh(n: int, weight: ArrayLike = 2.0) -> CellMap:
    """n decoupled units `h_i' = tanh(weight h_i)`: an Elman cell with `U = weight I`.

    **Returns:** map on states `(n,)`; for `weight > 1` it has 3^n fixed points, `C(n, k) 2^(n-k)` with k unstable
    directions, coordinates 0 and +-h with h = tanh(weight h) (0.9575040240772688 for weight 2).

    **Source:** closed form.
    """
    cell = ElmanCell(0, n, use_bias=False, key=jr.key(0))
    return CellMap(eqx.tree_at(lambda c: c.U, cell, jnp.asarray(weight, cell.U.dtype) * jnp.eye(n)))


def product_gru(n: int, weight: ArrayLike = 4.0, *, key: Any = None) -> CellMap:
    """GRU (reset after, no biases, U_r = 0) whose candidate is `tanh(weight/2 h)`, with a random keep gate.

    **Arguments:** `n` units; `weight` on the diagonal of U_c; `key` for the keep gate's weights (standard normal), or
    `None` for a gate that is 1/2 everywhere.

    **Returns:** map on states `(n,)` with the fixed points of `decoupled_tanh(n, weight/2)`, whatever the keep gate.

    **Source:** closed form.
    """
    cell = GRUCell(0, n, reset="after", use_bias=False, key=jr.key(0))
    gate = jnp.zeros((n, n), cell.U_c.dtype) if key is None else jr.normal(key, (n, n), cell.U_c.dtype)
    new = jnp.zeros_like(gate), gate, jnp.asarray(weight, gate.dtype) * jnp.eye(n, dtype=gate.dtype)
    return CellMap(eqx.tree_at(lambda c: (c.U_r, c.U_z, c.U_c), cell, new))


def _two_unit_gru(U_c: Array, U_r: Array, b_c: Array, b_r: Array) -> CellFlow:
    cell = GRUCell(0, 2, reset="before", key=jr.key(0))
    zeros = jnp.zeros((2, 2), cell.U_c.dtype), jnp.zeros((2,), cell.U_c.dtype)
    return CellFlow(
        eqx.tree_at(
            lambda c: (c.U_c, c.U_r, c.b_c, c.b_r, c.U_z, c.b_z), cell, (U_c, U_r, b_c, b_r, zeros[0], zeros[1])
        )
    )


def jordan_rotation(alpha: ArrayLike, gain: ArrayLike = 3.0) -> CellFlow:
    """Two-unit GRU with `U_c = gain R(alpha)` (rotation by alpha radians), all other parameters zero.

    **Returns:** flow on states `(2,)`. For gain 3: Hopf at alpha = arccos(2/3), omega = (3/4) sin alpha; the map of the
    same cell has its Neimark-Sacker point at arccos(1/4) instead.

    **Source:** Jordan, Sokół, Park (2019), eq. 8.
    """
    alpha = jnp.asarray(alpha, jnp.zeros(()).dtype)
    gain = jnp.asarray(gain, alpha.dtype)
    rotation = jnp.stack([jnp.cos(alpha), -jnp.sin(alpha), jnp.sin(alpha), jnp.cos(alpha)]).reshape(2, 2)
    nothing = jnp.zeros((2,), alpha.dtype)
    return _two_unit_gru(gain * rotation, jnp.zeros((2, 2), alpha.dtype), nothing, nothing)


@functools.cache
def _jordan_rows() -> dict[str, dict[str, float]]:
    text = resources.files("gru_dynamics.data").joinpath("jordan_parameters.csv").read_text()
    rows = csv.DictReader(text.splitlines())
    return {row.pop("case"): {name: float(value) for name, value in row.items()} for row in rows}


def jordan_cases() -> tuple[str, ...]:
    """Names that `jordan` takes: `"table3:i"` ... `"table3:xxxvi"` and `"fig:2"` ... `"fig:7a"`.

    **Returns:** tuple of 47 names (36 topologies and 11 figure panels), as shapes in a table: no arrays.

    **Source:** Jordan, Sokół, Park (2019), tables 1 and 3.
    """
    return tuple(_jordan_rows())


def jordan(case: str) -> CellFlow:
    """The two-unit GRU of one case of the paper, at the printed parameters, with keep gate 1/2.

    **Arguments:** `case`, one of `jordan_cases()`.

    **Returns:** flow on states `(2,)`.

    **Raises:** `ValueError` for an unknown case.

    **Source:** Jordan, Sokół, Park (2019), tables 1 and 3.
    """
    rows = _jordan_rows()
    if case not in rows:
        raise ValueError(f"unknown case {case!r}; the cases are {', '.join(rows)}")
    row = rows[case]
    dtype = jnp.zeros(()).dtype

    def matrix(name: str) -> Array:
        return jnp.array([[row[f"{name}11"], row[f"{name}12"]], [row[f"{name}21"], row[f"{name}22"]]], dtype)

    def vector(name: str) -> Array:
        return jnp.array([row[f"{name}1"], row[f"{name}2"]], dtype)

    return _two_unit_gru(matrix("Uh"), matrix("Ur"), vector("bh"), vector("br"))
