"""Statements of Rehmer & Kroll (2020), section 4: limit shapes of one gated unit."""

import jax
import jax.numpy as jnp

from .._types import Array
from ._errata_cells import parts
from ._errata_claim import Case, Claim, Sides
from ._rehmer_kroll_equations import step

PAPER = "Rehmer & Kroll (2020)"
_STEEP = 1e4


def _gate_bias(numbers: Array) -> Case:
    case = parts(numbers, w_z=(), b_z=(), w_c=(), b_c=(), x=())
    return case | {"x": 2 * jnp.tanh(case["x"])}


def _limits(case: Case) -> Sides:
    """Distances to tanh (b_z -> -inf) and to the identity (b_z -> inf), swish for any w_z, and the slope for w = 0."""
    w_z, b_z, w_c, b_c, x = (case[name] for name in ("w_z", "b_z", "w_c", "b_c", "x"))
    zero = jnp.zeros_like(x)
    t, s = jnp.tanh(w_c * x + b_c), jax.nn.sigmoid(w_z * x + b_z)
    value = step(w_z, b_z, w_c, b_c, x)
    reach = 1 + jnp.abs(x)
    swish = jnp.abs(step(w_z, zero, zero, zero, x) - x * jax.nn.sigmoid(w_z * x))
    slope = jax.grad(lambda x: step(zero, b_z, zero, b_c, x))(x)
    gaps = (
        jnp.abs(value - t) - s * reach,
        jnp.abs(value - x) - (1 - s) * reach,
        swish,
        jnp.abs(slope - jax.nn.sigmoid(b_z)),
    )
    return Sides(jnp.max(jnp.stack(gaps)), zero)


def _line(numbers: Array) -> Case:
    return parts(numbers, b_z=(), b_c=())


def _intercept(corrected: bool):
    def sides(case: Case) -> Sides:
        zero = jnp.zeros(())
        share = 1 - jax.nn.sigmoid(case["b_z"]) if corrected else jnp.ones(())
        value = step(zero, case["b_z"], zero, case["b_c"], zero)
        return Sides(jnp.abs(value - share * jnp.tanh(case["b_c"])), zero)

    return sides


def _step_tails(case: Case) -> Sides:
    """w_c -> inf with b_z of any size: s x + (1 - s) sign(x), away from the jump."""
    s, x = jax.nn.sigmoid(case["b_z"]), jnp.sign(case["x"]) * (0.1 + jnp.abs(case["x"]))
    zero = jnp.zeros(())
    value = step(zero, case["b_z"], jnp.full((), _STEEP), zero, x)
    return Sides(jnp.abs(value - s * x - (1 - s) * jnp.sign(x)), zero)


def _tail(numbers: Array) -> Case:
    return parts(numbers, b_z=(), x=())


def _signed(numbers: Array) -> Case:
    return {"x": numbers[0]}


def _steep_gate(case: Case, w_z: float) -> Array:
    zero = jnp.zeros(())
    return step(jnp.full((), w_z), zero, zero, zero, case["x"])


# |x| sigmoid(-|w x|) is at most 0.28 / |w|.
_NEAR = 0.3 / _STEEP


def _relu(case: Case) -> Sides:
    """The steep gate of negative sign."""
    return Sides(jnp.abs(_steep_gate(case, -_STEEP) - jax.nn.relu(case["x"])), jnp.full((), _NEAR))


def _relu_and_mirrored(case: Case) -> Sides:
    x = case["x"]
    gaps = _steep_gate(case, _STEEP) - jax.nn.relu(x), _steep_gate(case, -_STEEP) + jax.nn.relu(-x)
    return Sides(jnp.max(jnp.abs(jnp.stack(gaps))), jnp.full((), _NEAR))


def _leaky(numbers: Array) -> Case:
    """Left of the kink."""
    return {"w_c": 0.5 * jnp.tanh(numbers[0]), "x": -jnp.abs(numbers[1])}


def _leaky_slope(case: Case) -> Array:
    # The gate of fig. 6 is closed there.
    return jax.grad(lambda x: jnp.tanh(case["w_c"] * x))(case["x"])


def _slope_tanh(case: Case) -> Sides:
    return Sides(jnp.abs(_leaky_slope(case) - jnp.tanh(case["w_c"])), jnp.zeros(()))


def _slope_weight(case: Case) -> Sides:
    w_c = case["w_c"]
    return Sides(jnp.abs(_leaky_slope(case) - w_c), jnp.abs(w_c) * (w_c * case["x"]) ** 2)


def _elman(numbers: Array) -> Case:
    case = parts(numbers, w_x=(), b_x=(), x=())
    return {"w_x": 0.05 * jnp.tanh(case["w_x"]), "b_x": 0.05 * jnp.tanh(case["b_x"]), "x": jnp.tanh(case["x"])}


def _approaches_identity(case: Case) -> Sides:
    w, b, x = case["w_x"], case["b_x"], case["x"]
    return Sides(jnp.abs(jnp.tanh(w * x + b) - x), jnp.abs(w) + jnp.abs(b))


def _approaches_zero(case: Case) -> Sides:
    """It approaches 0; the identity is the limit of tanh(w x) / w, with a weight behind the state."""
    w, b, x = case["w_x"], case["b_x"], case["x"]
    to_zero = jnp.abs(jnp.tanh(w * x + b)) - jnp.abs(w) - jnp.abs(b)
    rescaled = jnp.abs(jnp.tanh(w * x) / w - x) - jnp.abs(x) * (w * x) ** 2 / 3
    return Sides(jnp.maximum(to_zero, rescaled), jnp.zeros(()))


CLAIMS = (
    Claim(
        "rehmer-kroll-limits", PAPER, "section 4, figs. 5-7",
        "The unit converges to tanh (b_z -> -inf), to the identity (b_z -> inf), to swish (w_c, b_c, b_z -> 0), and to "
        "a line of slope sigmoid(b_z) (w_z, w_c -> 0).",
        "holds",
        "At the rates s (1 + |x|) and (1 - s) (1 + |x|) for the first two; exactly for the others.",
        5, _gate_bias, None, _limits,
    ),
    Claim(
        "rehmer-kroll-step", PAPER, "section 4, fig. 5",
        "For w_z, b_c -> 0, w_c -> inf it converges to a leaky binary step whose tails have the slope sigmoid(b_z).",
        "holds", "As printed, away from x = 0, for every b_z; the step is from -1 to 1.",
        2, _tail, None, _step_tails,
    ),
    Claim(
        "rehmer-kroll-relu", PAPER, "section 4, fig. 6",
        "For w_z -> +-inf and w_c, b_z, b_c -> 0 it converges to ReLU, max(x, 0).",
        "holds when w_z -> +inf",
        "For w_z -> -inf it converges to min(x, 0).",
        1, _signed, _relu, _relu_and_mirrored,
    ),
    Claim(
        "rehmer-kroll-leaky-relu", PAPER, "section 4, fig. 6",
        "The tail of the leaky ReLU has the slope tanh(w_c).",
        "holds when w_c and w_c x are small, to first order",
        "The tail is tanh(w_c x): slope w_c at 0, and within |w_c| (w_c x)^2 of it at x.",
        2, _leaky, _slope_tanh, _slope_weight,
    ),
    Claim(
        "rehmer-kroll-intercept", PAPER, "section 4, fig. 7",
        "For w_z, w_c -> 0 the axis intercept of the line is tanh(b_c).",
        "false",
        "(1 - sigmoid(b_z)) tanh(b_c).",
        2, _line, _intercept(False), _intercept(True),
    ),
    Claim(
        "rehmer-kroll-elman-identity", PAPER, "section 4, last paragraph",
        "An Elman network of one unit represents the identity by letting w_x and b_x approach 0.",
        "false",
        "Then tanh(w_x x + b_x) approaches 0. The identity is the limit of tanh(w x) / w: it takes an output weight.",
        3, _elman, _approaches_identity, _approaches_zero,
    ),
)  # fmt: skip
