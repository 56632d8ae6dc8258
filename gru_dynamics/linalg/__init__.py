"""Floor 1: matrix maths, no models."""

from ._eigen import eigensystem as eigensystem, eigenvalues as eigenvalues
from ._small import inverse_and_sign as inverse_and_sign, solve as solve, solve_spd as solve_spd
