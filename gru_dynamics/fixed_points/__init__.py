"""Floor 4: all fixed and slow points of one system: search, merge, classify, certify."""

from ._enumerate import enumerate_fixed_points as enumerate_fixed_points
from ._enumeration import (
    NO_BOUND as NO_BOUND,
    Clusters as Clusters,
    Enumeration as Enumeration,
)
from ._find import find_fixed_points as find_fixed_points
from ._guesses import (
    AbstractGuesses as AbstractGuesses,
    ArrayGuesses as ArrayGuesses,
    TrajectoryGuesses as TrajectoryGuesses,
    UniformGuesses as UniformGuesses,
)
from ._levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
from ._linear import LinearSystem as LinearSystem, linearise as linearise
from ._points import Completeness as Completeness, FixedPoints as FixedPoints, Kind as Kind
from ._refine import fixed_point as fixed_point
from ._slow import SlowKind as SlowKind, SlowPoints as SlowPoints, find_slow_points as find_slow_points
from ._tolerances import PrecisionWarning as PrecisionWarning
from ._verify import VerifiedPoint as VerifiedPoint, verify_point as verify_point
