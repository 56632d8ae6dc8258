"""What a field of a model promises to stay, declared by the model and kept by an optimiser."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@dataclasses.dataclass(frozen=True)
class Orthogonal:
    """A square matrix that stays orthogonal, written `W = (I + A)^-1 (I - A) D` with A skew.

    **Fields**, plain numbers: `num_negative`, how many entries of D (`(n, n)`, diagonal), the last ones, are -1; it
    fixes `det W = (-1)^num_negative`. None leaves D to the optimiser.

    **Source:** Helfrich, Willmott, Ye (2018), eq. 5.
    """

    num_negative: int | None = None


@runtime_checkable
class Constrained(Protocol):
    """A model, or part of one, that declares which of its fields are constrained.

    `constraints` maps the name of a field, an array of shape `(..., n, n)`, to what it has to be.

    **Source:** none; an interface between cells and optimisers, which do not know each other.
    """

    @property
    def constraints(self) -> Mapping[str, Orthogonal]:
        """Name of a field -> its constraint."""
        ...
