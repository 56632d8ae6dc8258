"""Figure 4 and what is next to it: regions of homoclinic orbits, and the orbit that a saddle has to itself."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..bifurcations import Hopf, Located, locate
from ..cycles import (
    CycleBranch,
    PeriodLimit,
    SaddleConnection,
    cycle_from_hopf,
    find_homoclinic,
    find_saddle_connection,
)
from ..fixed_points import Kind
from ..systems import CellFlow, library
from ..trajectories import section_through
from ._jordan_homoclinic import saddle_directions
from ._jordan_knobs import GAIN, at, knob, with_matrix
from ._jordan_measure import Measured
from ._jordan_orbits import backward, paths
from ._jordan_rotation import NODES

TURN = -0.1
_LONGEST = 160.0


class Loop(NamedTuple):
    """The printed system of figure 4 with `U_h = gain R(TURN)`: its Hopf point, the cycles born there, where they end,
    and the saddle's homoclinic orbit there, `orbit (T, 2)`."""

    hopf: Located
    cycles: CycleBranch
    limit: PeriodLimit
    connection: SaddleConnection
    flow: CellFlow
    orbit: np.ndarray


def follow_loop(case: str) -> Loop:
    """From the Hopf point to the homoclinic orbit, along the gain."""
    family = knob(with_matrix(library.jordan(case)), GAIN, alpha=TURN)
    hopf = locate(family, Hopf(), state=jnp.zeros(2), mu=2.0)
    cycle, mu = cycle_from_hopf(family, hopf, 0.005, num_nodes=NODES)
    limit, cycles = find_homoclinic(family, cycle, mu, mu_range=(1.9, 2.3), max_period=_LONGEST, num_steps=60)
    rows = np.flatnonzero(np.asarray(cycles.mask))
    last = cycles.cycle(int(rows[np.argmax(np.asarray(cycles.period)[rows])]))
    flow = at(family, limit.mu)
    orbit = np.asarray(last.orbit(flow, 4000)[1])
    speed = np.linalg.norm(np.asarray(eqx.filter_vmap(flow.velocity)(jnp.asarray(orbit))), axis=1)
    saddle, fastest = orbit[np.argmin(speed)], orbit[np.argmax(speed)]
    # Which halves of the manifolds belong to the orbit: where it leaves and comes back.
    near = np.roll(np.linalg.norm(orbit - saddle, axis=1) < 0.1, -int(np.argmin(speed)))
    turned = np.roll(orbit, -int(np.argmin(speed)), axis=0)
    leaves, returns = turned[np.argmin(near)], turned[len(near) - 1 - np.argmin(near[::-1])]
    sides = int(np.sign(leaves - saddle)[0]), int(np.sign(returns - saddle)[0])
    section = section_through(flow, jnp.asarray(fastest))
    connection = find_saddle_connection(family, jnp.asarray(saddle), limit.mu, section, sides=sides)
    return Loop(hopf, cycles, limit, connection, at(family, connection.mu), orbit)


def borders(measured: Measured) -> list[np.ndarray]:
    """Closed lines `(T, 2)` from the origin along the stable manifold of a saddle to it, and along the unstable one
    back: they bound the regions of homoclinic orbits."""
    found = []
    for state in measured.states[measured.kinds == Kind.SADDLE]:
        halves = []
        flows = measured.flow, backward(measured.flow)
        for flow, direction in zip(flows, saddle_directions(measured, state), strict=True):
            ends = paths(flow, np.stack([state + 1e-4 * direction, state - 1e-4 * direction]), 4000.0)
            halves.append([path for path in ends if np.linalg.norm(path[-1]) < 0.02])
        if halves[0] and halves[1]:
            found.append(np.concatenate([halves[1][0][::-1], halves[0][0]]))
    return found


def area(line: np.ndarray) -> float:
    """Area inside a closed line, by the shoelace formula."""
    x, y = line.T
    return float(abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2)


def loop_facts(one: Loop) -> dict[str, Any]:
    """The numbers of one loop."""
    return {
        "turn": TURN,
        "hopf": {
            "gain": float(one.hopf.mu),
            "lyapunov": float(one.hopf.coefficient),
            "closed_form": 2 / np.cos(TURN),
        },
        "homoclinic": {
            "gain_from_the_period": float(one.limit.mu),
            "gain_from_the_manifolds": float(one.connection.mu),
            "gap": float(one.connection.gap),
            "saddle": np.asarray(one.connection.saddle).tolist(),
            "eigenvalues": np.asarray(one.connection.eigenvalues).tolist(),
            "saddle_quantity": float(jnp.sum(one.connection.eigenvalues)),
            "all_stable": bool(np.asarray(one.cycles.stable)[np.asarray(one.cycles.mask)].all()),
            "rate": float(one.limit.rate),
            "longest_period": float(np.asarray(one.cycles.period)[np.asarray(one.cycles.mask)].max()),
        },
    }
