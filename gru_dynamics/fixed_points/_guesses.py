"""Where to start looking."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, ArrayLike, Float, PRNGKey
from ..systems import AbstractSystem


class AbstractGuesses(eqx.Module):
    """Starting points of a search: `guesses(system, key)` returns resting states of shape `(num, R)`.

    **Source:** Sussillo & Barak (2013), section 3, on the choice of starting points.
    """

    num: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, system: AbstractSystem, key: PRNGKey) -> Float[Array, "num R"]:
        """The guesses, shape `(num, R)`."""


class UniformGuesses(AbstractGuesses):
    """`num` points uniform in the box `[lower, upper]`.

    **Fields:** `lower`, `upper`, numbers or vectors `(R,)`, by default the trapping box of the system; `num`.

    **Raises:** `ValueError` when called on a system of unknown dimension with scalar or missing ends.

    **Source:** the usual choice when no visited states are at hand.
    """

    lower: Array | float | None
    upper: Array | float | None
    num: int = eqx.field(static=True)

    def __init__(self, lower: ArrayLike | None = None, upper: ArrayLike | None = None, *, num: int = 1024):
        if (lower is None) != (upper is None):
            raise ValueError("UniformGuesses: give both ends of the box or neither")
        self.lower, self.upper, self.num = (_end(lower), _end(upper), num)

    def __call__(self, system: AbstractSystem, key: PRNGKey) -> Float[Array, "num R"]:
        lower, upper = self.lower, self.upper
        if lower is None or upper is None:
            if system.bounds is None:
                raise ValueError("UniformGuesses: this system has no trapping box, so give `lower` and `upper`")
            lower, upper = system.bounds
        size = max(jnp.size(lower), jnp.size(upper))
        if jnp.ndim(lower) == jnp.ndim(upper) == 0:
            if system.resting_size is None:
                raise ValueError("UniformGuesses: this system does not know its dimension, so give `lower` as a vector")
            size = system.resting_size
        elif system.resting_size not in (None, size):
            raise ValueError(f"UniformGuesses: the box has {size} dimensions, the system {system.resting_size}")
        dtype = float_dtype(system)
        lower, upper = (jnp.broadcast_to(jnp.asarray(end, dtype), (size,)) for end in (lower, upper))
        return jr.uniform(key, (self.num, size), dtype, lower[None], upper[None])


class TrajectoryGuesses(AbstractGuesses):
    """`num` states drawn with replacement from visited states, plus normal noise.

    **Fields:** `states`, shape `(T, S)`, for example from `rollout` on task inputs; `num`; `noise`, standard deviation.

    **Source:** Sussillo & Barak (2013), section 3; Golub & Sussillo (2018).
    """

    states: Float[Array, "T S"]
    num: int = eqx.field(static=True)
    noise: float = eqx.field(static=True)

    def __init__(self, states: ArrayLike, *, num: int = 1024, noise: float = 0.0):
        array = jnp.asarray(states)
        if array.ndim != 2 or array.shape[0] == 0:
            raise ValueError(f"TrajectoryGuesses: states must have shape (T, S) with T > 0, got {array.shape}")
        self.states, self.num, self.noise = array, num, noise

    def __call__(self, system: AbstractSystem, key: PRNGKey) -> Float[Array, "num R"]:
        key_pick, key_noise = jr.split(key)
        pick = jr.randint(key_pick, (self.num,), 0, self.states.shape[0])
        chosen = jax.vmap(system.rest)(self.states[pick].astype(float_dtype(system)))
        return chosen + self.noise * jr.normal(key_noise, chosen.shape, chosen.dtype)


class ArrayGuesses(AbstractGuesses):
    """The given resting states as they are. `find_fixed_points` makes one from a plain array.

    **Fields:** `points`, shape `(num, R)`.

    **Source:** none; the identity.
    """

    points: Float[Array, "num R"]
    num: int = eqx.field(static=True)

    def __init__(self, points: ArrayLike):
        array = jnp.asarray(points)
        if array.ndim != 2 or array.shape[0] == 0:
            raise ValueError(f"guesses must have shape (num, R) with num > 0, got {array.shape}")
        self.points, self.num = array, array.shape[0]

    def __call__(self, system: AbstractSystem, key: PRNGKey) -> Float[Array, "num R"]:
        return self.points.astype(float_dtype(system))


def as_guesses(guesses: AbstractGuesses | ArrayLike) -> AbstractGuesses:
    """Guesses as they are; an array becomes `ArrayGuesses`."""
    return guesses if isinstance(guesses, AbstractGuesses) else ArrayGuesses(guesses)


def float_dtype(system: AbstractSystem) -> jnp.dtype:
    """The float dtype of the system's own arrays; JAX's default when it has none."""
    leaves = jax.tree.leaves(eqx.filter(system, eqx.is_inexact_array))
    return jnp.result_type(*leaves) if leaves else jnp.zeros(()).dtype


def _end(value: ArrayLike | None) -> Array | float | None:
    return value if value is None or isinstance(value, float) else jnp.asarray(value, jnp.zeros(()).dtype)
