"""Floor 5: curves of fixed points in a parameter, and what happens on them."""

from ._branch import Branch as Branch, SpecialPoints as SpecialPoints
from ._continue import continue_fixed_points as continue_fixed_points, extend_branch as extend_branch
from ._curve import AbstractCurve as AbstractCurve, FixedPointCurve as FixedPointCurve
from ._deflation import DeflatedPoints as DeflatedPoints, deflated_fixed_points as deflated_fixed_points
from ._diagram import Diagram as Diagram, continue_all as continue_all
from ._event import AbstractEvent as AbstractEvent, Crossing as Crossing
from ._kinds import End as End, Location as Location, SpecialKind as SpecialKind
from ._krylov import Krylov as Krylov
from ._method import AbstractMethod as AbstractMethod, Natural as Natural, PseudoArclength as PseudoArclength
from ._solver import AbstractLinearSolver as AbstractLinearSolver, Correction as Correction, Dense as Dense
from ._step import Lane as Lane, Range as Range, advance as advance, start_lane as start_lane
from ._trace import Trace as Trace, extend as extend, trace as trace
