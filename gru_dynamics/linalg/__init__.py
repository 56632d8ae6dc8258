"""Floor 1: matrix maths, no models."""

from ._eigen import eigensystem as eigensystem, eigenvalues as eigenvalues
from ._small import determinant as determinant, inverse as inverse, solve as solve, solve_spd as solve_spd
