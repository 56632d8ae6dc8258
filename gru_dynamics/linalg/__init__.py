"""Floor 1: matrix maths, no models."""

from . import intervals as intervals
from ._batch import as_one_batch as as_one_batch
from ._bordered import solve_and_sign as solve_and_sign
from ._cayley import (
    adjoint as adjoint,
    cayley as cayley,
    cayley_from_inverse as cayley_from_inverse,
    cayley_gradient as cayley_gradient,
    cayley_inverse as cayley_inverse,
    cayley_signs as cayley_signs,
    choose_signs as choose_signs,
    eye_like as eye_like,
    hyperpower_step as hyperpower_step,
    inverse_cayley as inverse_cayley,
    inverse_residual as inverse_residual,
    neumann_step as neumann_step,
    orthogonality_defect as orthogonality_defect,
    orthogonality_error as orthogonality_error,
    product as product,
    random_cayley as random_cayley,
    skew_part as skew_part,
)
from ._constraints import Constrained as Constrained, Orthogonal as Orthogonal
from ._eigen import eigensystem as eigensystem, eigenvalues as eigenvalues
from ._order import run_after as run_after
from ._retractions import (
    polar_step as polar_step,
    rebased_step as rebased_step,
    retract_cayley as retract_cayley,
    retract_exponential as retract_exponential,
    retract_polar as retract_polar,
    retract_qr as retract_qr,
)
from ._small import inverse_and_sign as inverse_and_sign, solve as solve, solve_spd as solve_spd
from ._spectral import (
    SpectralProjection as SpectralProjection,
    project_spectral_ball as project_spectral_ball,
    spectral_norm as spectral_norm,
    spectral_projection as spectral_projection,
    start_subspace as start_subspace,
)
from .intervals import Interval as Interval
