"""Floor 7: periodic orbits, their multipliers, and how they end."""

from ._branch import CycleBranch as CycleBranch
from ._connection import (
    SaddleConnection as SaddleConnection,
    find_saddle_connection as find_saddle_connection,
    saddle_connection_gap as saddle_connection_gap,
)
from ._continue import continue_cycles as continue_cycles
from ._curve import CycleCurve as CycleCurve
from ._cycle import Cycle as Cycle
from ._find import find_cycle as find_cycle
from ._homoclinic import (
    PeriodLimit as PeriodLimit,
    find_homoclinic as find_homoclinic,
    period_limit as period_limit,
)
from ._hopf import HopfPoint as HopfPoint, cycle_from_hopf as cycle_from_hopf
from ._periodic import MapCycles as MapCycles, cycles_of_map as cycles_of_map
from ._segments import Shooting as Shooting
