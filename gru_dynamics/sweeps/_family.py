"""Families by the names of parameters."""

import re
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._types import Array
from ..systems import AbstractFamily, AbstractSystem

# A name such as `cell.layers[0].U_c[0,1]`: fields and entries from the system down to one number.
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[([\d\s,-]+)\]")


class NamedFamily(AbstractFamily):
    """The systems that come from one by changing numbers that are called by name.

    A name is what one would write after `system.`, as in `tau`, `input[0]` or `cell.U_c[0,1]`; `cell.` may be left out,
    and entries of dictionaries are written as fields, `args.a`.

    **Fields:** `system` to start from; `names`, P of them; `paths`, how to reach each.

    **Shapes:** `mu` has shape `(P,)`.

    **Raises:** `ValueError` for a name that does not lead to one number of the system.

    **Source:** Kuznetsov (2004), section 2.1.
    """

    system: AbstractSystem
    names: tuple[str, ...] = eqx.field(static=True)
    paths: tuple[tuple[Any, ...], ...] = eqx.field(static=True)

    def __init__(self, system: AbstractSystem, names: Sequence[str]):
        self.system, self.names = system, tuple(names)
        self.paths = tuple(_resolve(system, name) for name in self.names)

    @property
    def mu(self) -> Array:
        return jnp.stack([jnp.asarray(_follow(self.system, path)) for path in self.paths])

    def __call__(self, mu: Any) -> AbstractSystem:
        """The system with the parameters replaced by `mu`."""
        if len(mu) != len(self.paths):
            raise ValueError(f"NamedFamily: expected {len(self.paths)} parameters, got {len(mu)}")
        system = self.system
        for path, value in zip(self.paths, mu, strict=True):
            system = _replaced(system, path, value)
        return system


def _resolve(system: AbstractSystem, name: str) -> tuple[Any, ...]:
    """The steps of a name: texts for fields, tuples for entries."""
    steps, end = [], 0
    for match in _STEP.finditer(name):
        if match.start() != end:
            break
        field, index = match.groups()
        steps.append(field if field is not None else tuple(int(i) for i in index.split(",")))
        end = match.end()
    if end != len(name) or not steps:
        raise ValueError(f"parameter {name!r}: expected a name such as b_c[0], U_c[0,1] or tau")
    for path in (tuple(steps), ("cell", *steps)):
        try:
            value = _follow(system, path)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            continue
        if eqx.is_inexact_array(value) and value.ndim == 0:
            return path
    raise ValueError(
        f"parameter {name!r}: expected one number of the system, such as {', '.join(_examples(system))}, found none"
    )


def _examples(system: AbstractSystem) -> list[str]:
    cell = getattr(system, "cell", system)
    found = []
    for name, value in vars(cell).items():
        if eqx.is_inexact_array(value) and value.size:
            found.append(name + (f"[{','.join('0' * value.ndim)}]" if value.ndim else ""))
    return found[:8] or ["args.a"]


def _get(node: Any, step: Any) -> Any:
    if isinstance(step, str):
        return node[step] if isinstance(node, dict) else getattr(node, step)
    if isinstance(node, list | tuple):
        return node[step[0]]
    if not all(-size <= i < size for i, size in zip(step, np.shape(node), strict=True)):
        raise IndexError(step)  # JAX would clamp it
    return node[step]


def _follow(node: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        node = _get(node, step)
    return node


def _replaced(system: AbstractSystem, path: tuple[Any, ...], value: Any) -> AbstractSystem:
    owner = _follow(system, path[:-1])
    if isinstance(path[-1], tuple) and eqx.is_array_like(owner):
        leaf = jnp.asarray(owner)
        new = leaf.at[path[-1]].set(jnp.asarray(value, leaf.dtype))
        path = path[:-1]
    else:
        new = jnp.asarray(value, jnp.asarray(_follow(system, path)).dtype)
    return eqx.tree_at(lambda root: _follow(root, path), system, new)
