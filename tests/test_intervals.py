"""Interval arithmetic against exact rational numbers and ball arithmetic (python-flint).

Every check asks the same: does the box hold the exact result of every member? The last tests break the rounding on
purpose and expect the checks to notice.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import PROPERTY
from flint import arb, ctx, fmpq
from hypothesis import given, strategies as st

from gru_dynamics.linalg import Interval, intervals
from gru_dynamics.linalg.intervals import _functions, _interval, _products, _rounding, as_interval

MODES = [pytest.param(False, id="eager"), pytest.param(True, id="jit-vmap")]
LARGEST = float(np.finfo(float).max)

needs_gpu = pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs a GPU as the default device of JAX")


def exact(x):
    return fmpq(*float(x).as_integer_ratio())


def holds(low, high, value):
    """Whether `value`, a rational number or a ball, is in `[low, high]`; a nan endpoint excludes nothing."""
    if low == math.inf or high == -math.inf:
        return False
    to = (lambda x: arb(x)) if isinstance(value, arb) else exact
    above = not math.isfinite(low) or not (to(low) > value)
    return above and (not math.isfinite(high) or not (to(high) < value))


def violations(box, truths):
    """How many of the exact results, one list per component of `box`, it fails to hold."""
    low, high = np.ravel(box.lower).tolist(), np.ravel(box.upper).tolist()
    assert len(low) == len(truths)
    return sum(not holds(a, b, value) for a, b, values in zip(low, high, truths, strict=True) for value in values)


def boxes(rng, num, limits=(-300, 300)):
    """Random boxes `(num,)` with three members each `(3, num)`, both ends among them.

    Centres of every magnitude, zeros of both signs, round numbers; widths from nothing over adjacent floats to boxes
    that straddle zero.
    """
    sign = rng.choice([-1.0, 1.0], num)
    center = sign * 10.0 ** rng.uniform(*limits, num)
    center = np.where(rng.random(num) < 0.4, rng.uniform(-3, 3, num), center)
    round_numbers = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1 + 2**-52, 1 - 2**-53, 10.0 ** limits[0], 10.0 ** limits[1]]
    center = np.where(rng.random(num) < 0.15, rng.choice(round_numbers, num), center)
    style = rng.integers(0, 4, num)
    wide = center + np.abs(center) * 10.0 ** rng.uniform(-16, 1, num)
    upper = np.select([style == 0, style == 1, style == 2], [center, np.nextafter(center, np.inf), wide], center)
    lower = np.where(style == 3, -np.abs(center) * rng.uniform(0, 2, num), center)
    upper = np.where(style == 3, np.abs(center), upper)
    # Numbers below the smallest normal one have a test of their own.
    lower, upper = (np.where(np.abs(x) < 1e-307, 0.0 * x, x) for x in (lower, upper))
    lower, upper = np.minimum(lower, upper), np.maximum(lower, upper)
    between = np.clip(lower + rng.random(num) * (upper - lower), lower, upper)
    return lower, upper, np.stack([lower, upper, between])


def interval(lower, upper=None):
    lower, upper = jnp.asarray(lower, jnp.float64), jnp.asarray(lower if upper is None else upper, jnp.float64)
    return Interval(lower, upper)


def run(function, compiled, *arguments):
    """`function` on stacks of intervals and arrays, all at once, or compiled for one and mapped over the stack."""
    return (jax.jit(jax.vmap(function)) if compiled else function)(*arguments)


# The four operations -----------------------------------------------------------------------------

BINARY = {
    "add": (lambda x, y: x + y, lambda x, y: x + y),
    "sub": (lambda x, y: x - y, lambda x, y: x - y),
    "mul": (lambda x, y: x * y, lambda x, y: x * y),
    "div": (lambda x, y: x / y, lambda x, y: x / y if y != 0 else None),
}


def binary_violations(name, compiled, num=700, seed=0):
    """Violations of one operation over intervals on both sides, and over an array on either side."""
    operation, truth = BINARY[name]
    rng = np.random.default_rng(seed)
    (low, high, members), (low2, high2, members2) = boxes(rng, num), boxes(rng, num)
    # the second half nearly cancels the first operand
    near = rng.random(num) < 0.3
    low2, high2 = np.where(near, -high, low2), np.where(near, -low, high2)
    members2 = np.where(near, -members[[1, 0, 2]], members2)
    one, two = interval(low, high), interval(low2, high2)
    rationals, rationals2 = ([[exact(x) for x in row] for row in m.T.tolist()] for m in (members, members2))

    def truths(left, right):
        found = ([truth(a, b) for a, b in itertools.product(x, y)] for x, y in zip(left, right, strict=True))
        return [[value for value in values if value is not None] for values in found]

    ends, ends2 = [x[:1] for x in rationals], [x[:1] for x in rationals2]
    number, number2 = jnp.asarray(low), jnp.asarray(low2)
    return (
        violations(run(operation, compiled, one, two), truths(rationals, rationals2))
        + violations(run(operation, compiled, one, number2), truths(rationals, ends2))
        + violations(run(operation, compiled, number, two), truths(ends, rationals2))
    )


@pytest.mark.parametrize("compiled", MODES)
@pytest.mark.parametrize("name", BINARY)
def test_operations_hold_every_exact_result(name, compiled):
    assert binary_violations(name, compiled) == 0


@pytest.mark.parametrize("compiled", MODES)
@pytest.mark.parametrize("name", BINARY)
def test_operations_with_numbers_on_either_side(name, compiled):
    operation, truth = BINARY[name]
    low, high, members = boxes(np.random.default_rng(1), 200)
    for number in (0.1, 3, -1e-7, 2.0**-300, 1e200):
        for swapped in (False, True):
            constant = functools.partial(lambda number, swapped, x: operation(*[x, number][:: -1 if swapped else 1]))
            box = run(functools.partial(constant, number, swapped), compiled, interval(low, high))
            pairs = [[(exact(x), exact(number))[:: -1 if swapped else 1] for x in row] for row in members.T.tolist()]
            truths = [[t for pair in row if (t := truth(*pair)) is not None] for row in pairs]
            assert violations(box, truths) == 0


@PROPERTY
@given(
    st.sampled_from(sorted(BINARY)),
    st.lists(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False), min_size=4, max_size=4),
)
def test_operations_on_any_numbers(name, ends):
    operation, truth = BINARY[name]
    (low, high), (low2, high2) = sorted(ends[:2]), sorted(ends[2:])
    box = operation(interval(low, high), interval(low2, high2))
    results = [truth(exact(a), exact(b)) for a in (low, high) for b in (low2, high2)]
    assert violations(box, [[value for value in results if value is not None]]) == 0


def test_numpy_on_the_left_does_not_take_an_interval_apart():
    x = interval([1.0, 2.0], [1.5, 2.5])
    for box in (np.array([1.0, 2.0]) + x, np.array([1.0, 2.0]) * x, np.array([1.0, 2.0]) - x, np.ones(2) / x):
        assert isinstance(box, Interval)
        assert box.shape == (2,)


def test_results_are_not_wider_than_a_few_rounding_errors():
    x, y = (np.random.default_rng(seed).uniform(0.5, 2, 100) for seed in (0, 1))
    for operation, _ in BINARY.values():
        box = operation(interval(x), interval(y))
        assert (np.asarray(box.width) <= 8 * 2**-52 * np.maximum(np.asarray(box.magnitude), 1e-2)).all()
    for function, ulps in ((intervals.tanh, _functions.TANH_ULPS), (intervals.sigmoid, _functions.SIGMOID_ULPS)):
        assert (np.asarray(function(interval(x)).width) <= (2 * ulps + 4) * 2**-52).all()


@pytest.mark.parametrize("compiled", MODES)
def test_division_by_zero_and_overflow_stay_honest(compiled):
    """1/[-1, 1], 1/[0, 1] and sums beyond the largest float: everything, or at least infinite on the right side."""
    lower, upper = np.array([-1.0, 0.0, -1.0, 0.0]), np.array([1.0, 1.0, -0.0, 0.0])
    quotient = run(lambda x: 1.0 / x, compiled, interval(lower, upper))
    for value in (1e300, -1e300):
        assert np.asarray(quotient.contains(value)).all()
    for operation in (lambda x: x + x, lambda x: x * x, lambda x: x * 2.0, lambda x: x.square):
        box = run(operation, compiled, interval([LARGEST, 1.0], [LARGEST, LARGEST]))
        assert not (np.asarray(box.lower) == np.inf).any()
        assert not (np.asarray(box.upper) <= LARGEST).any()


@pytest.mark.parametrize("compiled", MODES)
def test_infinite_and_unknown_endpoints_hold_everything_they_might(compiled):
    wide = interval([-np.inf, np.nan, 0.0], [np.inf, np.nan, np.inf])
    for operation in (lambda x: x + 1.0, lambda x: x * 2.0, lambda x: x * x, lambda x: x - x, lambda x: x.square):
        box = run(operation, compiled, wide)
        assert np.asarray(box.contains(5.0)).all()
    assert np.asarray(run(intervals.tanh, compiled, wide).contains(0.5)).all()
    assert np.asarray(run(intervals.sigmoid, compiled, wide).contains(0.75)).all()
    assert not bool(jnp.any(wide[1].inside(wide[0])))
    assert not bool(jnp.any(wide[1].disjoint(wide[2])))
    kept = interval([1.0], [2.0]).intersect(wide[1:2])
    assert (float(kept.lower[0]), float(kept.upper[0])) == (1.0, 2.0)


@pytest.mark.parametrize("compiled", MODES)
def test_numbers_below_the_smallest_normal_one(compiled):
    """XLA on CPU may take them for zero: covered unless the other factor is beyond 1e17."""
    tiny = np.array([5e-324, -5e-324, 1e-310, -1e-310, 2.0**-1022, 2.2e-308])
    for partner in (1e-300, 1.0, 1e15):
        for name, (operation, truth) in BINARY.items():
            if name == "div" and partner < 1e-17:
                continue
            box = run(operation, compiled, interval(tiny), interval(np.full(6, partner)))
            assert violations(box, [[truth(exact(x), exact(partner))] for x in tiny]) == 0, (name, partner)
    for name, function, truth in FUNCTIONS:
        with ctx.workprec(200):
            box = run(function, compiled, interval(tiny))
            assert violations(box, [[truth(x)] for x in tiny.tolist()]) == 0, name


# Functions ---------------------------------------------------------------------------------------


def _tanh(x):
    return arb(x).tanh()


def _sigmoid(x):
    return 1 / (1 + (-arb(x)).exp())


def _square(x):
    return exact(x) * exact(x)


FUNCTIONS = [
    ("square", lambda x: x.square, _square),
    ("neg", lambda x: -x, lambda x: -exact(x)),
    ("tanh", intervals.tanh, _tanh),
    ("sigmoid", intervals.sigmoid, _sigmoid),
    ("relu", intervals.relu, lambda x: max(exact(x), fmpq(0))),
]


def function_violations(function, truth, compiled, seed=2, num=1500):
    rng = np.random.default_rng(seed)
    low, high, members = boxes(rng, num)
    # half of them where the functions bend, saturate, and leave saturation
    bend = rng.random(num) < 0.5
    shift = rng.choice([0.0, 20.0, -20.0, 19.06, -37.0, 37.0, -708.0, -745.0], num) + rng.normal(size=num)
    width = 10.0 ** rng.uniform(-17, 0, num)
    low, high = np.where(bend, shift, low), np.where(bend, shift + width, high)
    members = np.where(bend, np.stack([shift, shift + width, np.clip(shift + width / 2, low, high)]), members)
    with ctx.workprec(200):
        box = run(function, compiled, interval(low, high))
        return violations(box, [[truth(x) for x in row] for row in members.T.tolist()])


@pytest.mark.parametrize("compiled", MODES)
@pytest.mark.parametrize(("name", "function", "truth"), FUNCTIONS, ids=[entry[0] for entry in FUNCTIONS])
def test_functions_hold_every_exact_value(name, function, truth, compiled):
    assert function_violations(function, truth, compiled) == 0


@pytest.mark.parametrize("compiled", MODES)
def test_ranges_are_kept(compiled):
    x = np.linspace(-800, 800, 4001)
    for function, bottom in ((intervals.tanh, -1.0), (intervals.sigmoid, 0.0)):
        box = run(function, compiled, interval(x, x + 0.3))
        assert float(jnp.min(box.lower)) >= bottom
        assert float(jnp.max(box.upper)) <= 1.0


def slope_violations(function, truth, bottom, compiled, num=1500):
    """The slopes take boxes of values within `[bottom, 1]`."""
    rng = np.random.default_rng(3)
    ends = rng.uniform(bottom, 1, (2, num))
    near = rng.choice([bottom, 0.0, 0.5, 1.0], num)
    ends = np.where(rng.random(num) < 0.5, np.clip(near + rng.normal(size=(2, num)) * 1e-8, bottom, 1), ends)
    ends[1] = np.where(rng.random(num) < 0.3, np.clip(np.nextafter(ends[0], 2), bottom, 1), ends[1])
    ends[:, :4] = [[bottom, 1.0, 0.5, 1e-300], [1.0, 1.0, 0.5, 1e-300]]
    ends.sort(axis=0)
    members = np.stack([*ends, np.clip(ends.mean(axis=0), *ends), np.clip(0.5, *ends)])
    box = run(function, compiled, interval(*ends))
    return violations(box, [[truth(exact(x)) for x in row] for row in members.T.tolist()])


SLOPES = [
    ("tanh", intervals.tanh_slope, lambda c: 1 - c * c, -1.0),
    ("sigmoid", intervals.sigmoid_slope, lambda s: s * (1 - s), 0.0),
]


@pytest.mark.parametrize("compiled", MODES)
@pytest.mark.parametrize(("name", "function", "truth", "bottom"), SLOPES, ids=[entry[0] for entry in SLOPES])
def test_slopes_hold_every_exact_value(name, function, truth, bottom, compiled):
    assert slope_violations(function, truth, bottom, compiled) == 0


def _modrelu_values(x, b):
    """Both values at zero, where the function may jump."""
    x, b = exact(x), exact(b)
    size = max(abs(x) + b, fmpq(0))
    return [size, -size] if x == 0 else [size if x > 0 else -size]


def _modrelu_slopes(x, b):
    x, b = exact(x), exact(b)
    gap = abs(x) + b
    if x == 0 and b > 0:
        return [fmpq(1), fmpq(10) ** 9]
    return [fmpq(0), fmpq(1)] if gap == 0 else [fmpq(int(gap > 0))]


@pytest.mark.parametrize("compiled", MODES)
def test_modrelu_and_its_slope(compiled):
    rng = np.random.default_rng(4)
    num = 1500
    low, high, members = boxes(rng, num, (-30, 30))
    bias = rng.choice([0.0, -0.0, 0.5, -0.5, 1e-20, -1e-20], num) + rng.normal(size=num) * rng.integers(0, 2, num)
    # exactly at a kink
    bias = np.where(rng.random(num) < 0.2, -np.abs(low), bias)
    zero = np.clip(0.0, low, high)
    kink = np.clip(np.abs(bias), low, high)
    rows = np.stack([*members, zero, kink]).T.tolist()
    x = interval(low, high)
    for function, truth in ((intervals.modrelu, _modrelu_values), (intervals.modrelu_slope, _modrelu_slopes)):
        box = run(function, compiled, x, jnp.asarray(bias))
        expected = [[v for m in row for v in truth(m, b)] for row, b in zip(rows, bias.tolist(), strict=True)]
        assert violations(box, expected) == 0
    inside = jnp.asarray(rng.uniform(0.6, 3, 50))
    assert (np.asarray(intervals.modrelu_slope(interval(inside), jnp.full(50, -0.5)).lower) == 1).all()
    assert (
        np.asarray(intervals.modrelu_slope(interval(inside - 0.6, inside - 0.6), jnp.full(50, -3.0)).upper) == 0
    ).all()


@pytest.mark.parametrize("compiled", MODES)
def test_relu_slope(compiled):
    low, high, members = boxes(np.random.default_rng(5), 1500)
    box = run(intervals.relu_slope, compiled, interval(low, high))
    truths = [
        [v for x in row for v in ([fmpq(0), fmpq(1)] if x == 0 else [fmpq(int(x > 0))])] for row in members.T.tolist()
    ]
    assert violations(box, truths) == 0


# Geometry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", MODES)
def test_midpoint_radius_width_and_magnitude(compiled):
    low, high, members = boxes(np.random.default_rng(6), 1500)
    middle, radius, width, magnitude = (
        np.asarray(x).tolist()
        for x in run(lambda x: (x.midpoint, x.radius, x.width, x.magnitude), compiled, interval(low, high))
    )
    for n, row in enumerate(members.T.tolist()):
        a, b, _ = (exact(x) for x in row)
        assert a <= exact(middle[n]) <= b
        assert width[n] == math.inf or exact(width[n]) >= b - a
        assert exact(magnitude[n]) == max(abs(a), abs(b))
        for x in row:
            assert radius[n] == math.inf or abs(exact(x) - exact(middle[n])) <= exact(radius[n])


def test_relations_and_lattice():
    a, b = interval([0.0, 0.0, 0.0], [1.0, 1.0, 1.0]), interval([0.25, 1.0, 2.0], [0.75, 3.0, 3.0])
    np.testing.assert_array_equal(b.inside(a), [True, False, False])
    np.testing.assert_array_equal(a.inside(a), [False] * 3)
    np.testing.assert_array_equal(a.disjoint(b), [False, False, True])
    np.testing.assert_array_equal(a.contains(1.0), [True] * 3)
    np.testing.assert_array_equal(a.intersect(b)[:2].lower, [0.25, 1.0])
    np.testing.assert_array_equal(a.intersect(b)[:2].upper, [0.75, 1.0])
    np.testing.assert_array_equal(a.hull(b).lower, [0.0] * 3)
    np.testing.assert_array_equal(a.hull(b).upper, [1.0, 3.0, 3.0])
    assert as_interval(a) is a
    with pytest.raises(ValueError, match="shapes"):
        Interval(jnp.zeros(2), jnp.zeros(3))


# Products ----------------------------------------------------------------------------------------

COMBINATIONS = list(itertools.product((False, True), repeat=2))


def _factor(rng, shape, is_box):
    """Entries of mixed magnitude `(*shape)` and the ends of boxes around them."""
    exponent = rng.choice([0.0, 20.0, 140.0], shape[0])[:, None, None]
    low = rng.normal(size=shape) * 10.0 ** (exponent * rng.uniform(-1, 1, shape))
    if not is_box:
        return low, low
    width = rng.choice([0.0, 1e-16, 1e-9, 1.0], shape) * np.abs(low)
    return low, low + width


def _cancel(left, right):
    """Make the second half of each sum nearly the negative of the first."""
    half = left.shape[-1] // 2
    left[: len(left) // 2, :, half : 2 * half] = -left[: len(left) // 2, :, :half] * (1 + 2.0**-52)
    right[: len(right) // 2, half : 2 * half] = right[: len(right) // 2, :half]


def product_violations(terms, is_box, compiled, num=6, rows=2, columns=2):
    """`matmul` and `matvec` of `num` products with `terms` terms, against the exact range of each sum."""
    rng = np.random.default_rng(terms)
    left, right = _factor(rng, (num, rows, terms), is_box[0]), _factor(rng, (num, terms, columns), is_box[1])
    ends = [[left[0].copy(), right[0].copy()], [left[1].copy(), right[1].copy()]]
    for end in ends:
        _cancel(*end)
    left, right = ([np.minimum(a, b), np.maximum(a, b)] for a, b in zip(*ends, strict=True))
    arguments = [
        interval(*ends) if box else jnp.asarray(ends[0]) for ends, box in zip((left, right), is_box, strict=True)
    ]
    if compiled:
        product = jax.jit(jax.vmap(intervals.matmul))(*arguments)
        column = jax.jit(jax.vmap(lambda a, b: intervals.matvec(a, b[:, 0])))(*arguments)
    else:
        singles = [jax.tree.map(lambda x, n=n: x[n], arguments) for n in range(num)]
        product = jax.tree.map(lambda *x: jnp.stack(x), *[intervals.matmul(a, b) for a, b in singles])
        column = jax.tree.map(lambda *x: jnp.stack(x), *[intervals.matvec(a, b[:, 0]) for a, b in singles])
    truths = []
    exact_left, exact_right = ([np.vectorize(exact, otypes=[object])(end) for end in ends] for ends in (left, right))
    for n, i, j in itertools.product(range(num), range(rows), range(columns)):
        corners = [a[n, i, :] * b[n, :, j] for a in exact_left[: 1 + is_box[0]] for b in exact_right[: 1 + is_box[1]]]
        truths.append([sum(np.min(corners, axis=0)), sum(np.max(corners, axis=0)), sum(corners[0])])
    return violations(product, truths) + violations(column, truths[::columns])


@pytest.mark.parametrize(("terms", "compiled"), [(2, False), (40, False), *((n, True) for n in (1, 2, 3, 8, 9, 40))])
def test_products_hold_every_exact_sum(terms, compiled):
    for is_box in COMBINATIONS:
        assert product_violations(terms, is_box, compiled) == 0, is_box


@pytest.mark.parametrize("terms", [3, 40])
def test_products_are_tight(terms):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, terms)), rng.normal(size=(terms, 4))
    for left, right in itertools.product((jnp.asarray(a), interval(a)), (jnp.asarray(b), interval(b))):
        width = np.asarray(intervals.matmul(left, right).width)
        assert (width <= 8 * (terms + 4) * 2**-52 * (np.abs(a) @ np.abs(b))).all()


@pytest.mark.parametrize("compiled", MODES)
def test_times_nonnegative(compiled):
    rng = np.random.default_rng(7)
    num = 1000
    (low, high, members), (low2, high2, members2) = boxes(rng, num), boxes(rng, num)
    low, high = np.where(low < 0, 0.0, low), np.where(low < 0, np.abs(high), high)
    members = np.clip(members, low, high)
    box = run(intervals.times_nonnegative, compiled, interval(low, high), interval(low2, high2))
    pairs = zip(members.T.tolist(), members2.T.tolist(), strict=True)
    assert violations(box, [[exact(a) * exact(b) for a, b in itertools.product(*pair)] for pair in pairs]) == 0


# How accurate tanh and sigmoid are here ----------------------------------------------------------


def awkward_numbers(num=6000):
    """Arguments where implementations change branch, lose digits, or saturate."""
    rng = np.random.default_rng(8)
    ends = [(1e-8, 1e-3), (1e-3, 0.1), (0.1, 0.6), (0.6, 2), (2, 8), (8, 19), (19, 19.99), (19.99, 20.01), (20, 40)]
    positive = np.concatenate([rng.uniform(low, high, num) for low, high in ends])
    steps = np.arange(0.0, 45.0, 0.125)[1:]
    around = np.concatenate([np.nextafter(steps, 0), steps, np.nextafter(steps, 99)])
    tiny = 10.0 ** rng.uniform(-280, -3, num)
    far = rng.uniform(40, 700, num)
    positive = np.concatenate([positive, around, tiny, far])
    return np.concatenate([positive, -positive])


def worst_ulps(function, reference, numbers):
    """Largest relative error of `function` in units of 2^-52, where the value is not below 1e-280."""
    worst = 0.0
    with ctx.workprec(100):
        for x, value in zip(numbers.tolist(), np.asarray(function(jnp.asarray(numbers))).tolist(), strict=True):
            truth = reference(x)
            if abs(truth) > 1e-280:
                worst = max(worst, float(abs((arb(value) - truth) / truth).upper()) * 2**52)
    return worst


ACCURACY = [
    ("tanh", jnp.tanh, _tanh, _functions.TANH_ULPS),
    ("sigmoid", jax.nn.sigmoid, _sigmoid, _functions.SIGMOID_ULPS),
]


@pytest.mark.parametrize(("name", "function", "truth", "bound"), ACCURACY, ids=[entry[0] for entry in ACCURACY])
@pytest.mark.parametrize("compiled", MODES)
def test_elementary_functions_are_four_times_as_accurate_as_proofs_need(name, function, truth, bound, compiled):
    compute = jax.jit(jax.vmap(lambda x: function(1.0 * x))) if compiled else function
    assert worst_ulps(compute, truth, awkward_numbers()) <= bound / 4


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize("compiled", MODES)
def test_everything_holds_on_an_accelerator(compiled):
    """All that proofs rest on, where other code computes tanh, sums, and numbers near zero."""
    for _, function, truth, bound in ACCURACY:
        compute = jax.jit(jax.vmap(function)) if compiled else function
        assert worst_ulps(compute, truth, awkward_numbers(20_000)) <= bound / 4
    for name in BINARY:
        assert binary_violations(name, compiled, num=3000) == 0
    for _, function, truth in FUNCTIONS:
        assert function_violations(function, truth, compiled) == 0
    for _, function, truth, bottom in SLOPES:
        assert slope_violations(function, truth, bottom, compiled) == 0
    for terms in (1, 2, 3, 8, 9, 40, 300):
        for is_box in COMBINATIONS:
            assert product_violations(terms, is_box, compiled) == 0


# The checks can fail -----------------------------------------------------------------------------


def _same(x):
    return x


@pytest.mark.parametrize("compiled", MODES)
def test_without_rounding_the_operations_are_caught(monkeypatch, compiled):
    for name in BINARY:
        assert binary_violations(name, compiled, num=100) == 0
    for end in ("down", "up"):
        with monkeypatch.context() as broken:
            broken.setattr(_interval, end, _same)
            for name, (operation, truth) in BINARY.items():
                # a fresh function, so that nothing compiled before is used again
                broken.setitem(BINARY, name, (lambda x, y, operation=operation: operation(x, y), truth))
                assert binary_violations(name, compiled, num=100) > 0, (name, end)


@pytest.mark.parametrize("terms", [1, 3, 40])
def test_without_the_bound_on_sums_the_products_are_caught(monkeypatch, terms):
    monkeypatch.setattr(_products, "sum_slack", lambda terms: 0.0)
    monkeypatch.setattr(_products, "cover", lambda terms, bound: bound)
    for end in ("down", "up"):
        monkeypatch.setattr(_rounding, end, _same)
        monkeypatch.setattr(_products, end, _same)
    for is_box in COMBINATIONS:
        assert product_violations(terms, is_box, False) > 0, is_box


def test_without_rounding_the_functions_are_caught(monkeypatch):
    monkeypatch.setattr(_functions, "_inflated", lambda low, high, ulps: (low, high))
    monkeypatch.setattr(_functions, "down", _same)
    monkeypatch.setattr(_functions, "up", _same)
    for name, function, truth in FUNCTIONS:
        if name in ("tanh", "sigmoid"):
            assert function_violations(function, truth, False) > 0, name
    for name, function, truth, bottom in SLOPES:
        assert slope_violations(function, truth, bottom, False) > 0, name


def test_a_bound_of_too_few_ulps_is_caught(monkeypatch):
    monkeypatch.setattr(_functions, "TANH_ULPS", 1)
    assert function_violations(intervals.tanh, _tanh, False, num=20_000) > 0
