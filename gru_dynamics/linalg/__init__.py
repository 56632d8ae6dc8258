"""Floor 1: matrix maths, no models."""

from . import intervals as intervals
from ._bordered import solve_and_sign as solve_and_sign
from ._eigen import eigensystem as eigensystem, eigenvalues as eigenvalues
from ._small import inverse_and_sign as inverse_and_sign, solve as solve, solve_spd as solve_spd
from .intervals import Interval as Interval
