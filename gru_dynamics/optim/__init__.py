"""Floor 2: optax transformations that keep parameters where they belong; knows matrices, no models."""

from ._constrained import (
    constrained as constrained,
    constraint_labels as constraint_labels,
    orthogonal_adam as orthogonal_adam,
    orthogonal_leaves as orthogonal_leaves,
)
from ._neumann_cayley import NeumannCayleyState as NeumannCayleyState, neumann_cayley as neumann_cayley
from ._orthogonal_state import OrthogonalLeaf as OrthogonalLeaf
from ._spectral_ball import SpectralBallState as SpectralBallState, spectral_ball as spectral_ball
