"""Orbits that leave the origin and come back to it, and the separatrices that bound them."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..fixed_points import Kind
from ..systems import jacobian
from ._jordan_measure import Measured
from ._jordan_orbits import backward, ends, paths


def saddle_directions(measured: Measured, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unstable and stable eigenvector of a saddle, each `(2,)`."""
    values, vectors = np.linalg.eig(np.asarray(jacobian(measured.flow, jnp.asarray(state))))
    order = np.argsort(np.real(values))
    return np.real(vectors[:, order[1]]), np.real(vectors[:, order[0]])


def homoclinic(measured: Measured, axis: np.ndarray, duration: float = 600.0, near: float = 0.06) -> np.ndarray:
    """Which states of the grid `(N, N)` come near the origin both forward and backward in time."""
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)

    def returns(flow: Any) -> np.ndarray:
        return np.linalg.norm(ends(flow, grid, duration), axis=1) < near

    return (returns(measured.flow) & returns(backward(measured.flow))).reshape(len(axis), len(axis)).astype(float)


def regions_of(axis: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
    """States of each connected part of a mask, `(N, 2)`, crumbs left out. All parts meet at the origin, so a disc
    around it is cut out first."""
    states = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = (inside > 0) & (np.linalg.norm(states, axis=-1) > 0.1)
    label = np.where(inside, np.arange(1, inside.size + 1).reshape(inside.shape), 0)
    for _ in range(2 * max(inside.shape)):
        wide = np.pad(label, 1)
        around = np.max([wide[1:-1, 1:-1], wide[2:, 1:-1], wide[:-2, 1:-1], wide[1:-1, 2:], wide[1:-1, :-2]], axis=0)
        label = np.where(inside, around, 0)
    parts = [states[label == number] for number in np.unique(label[label > 0])]
    return [part for part in parts if len(part) > 0.01 * inside.size]


def nested_loops(regions: list[np.ndarray]) -> np.ndarray:
    """Starts of nested loops: in each region along one ray from the origin, from the outside in."""
    chosen = []
    for region in regions:
        ray = region.mean(axis=0) / np.linalg.norm(region.mean(axis=0))
        along = region @ ray
        aside = np.abs(region @ np.array([-ray[1], ray[0]]))
        reach = along[aside < 0.05].max()
        chosen += [share * reach * ray for share in (0.97, 0.75, 0.5)]
    return np.array(chosen)


def separatrices(measured: Measured) -> list[np.ndarray]:
    """Stable and unstable manifolds of the saddles."""
    lines = []
    for state in measured.states[measured.kinds == Kind.SADDLE]:
        flows = measured.flow, backward(measured.flow)
        for flow, direction in zip(flows, saddle_directions(measured, state), strict=True):
            lines += paths(flow, np.stack([state + 1e-3 * direction, state - 1e-3 * direction]), 400.0)
    return [line for line in lines if len(line) > 3]
