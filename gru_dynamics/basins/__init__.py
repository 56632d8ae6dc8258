"""Floor 8: attractors and the shares of initial states that end on them."""

from ._attractors import AttractorKind as AttractorKind
from ._binomial import clopper_pearson_interval as clopper_pearson_interval, wilson_interval as wilson_interval
from ._fractions import basin_fractions as basin_fractions
from ._graph import AttractorGraph as AttractorGraph, attractor_graph as attractor_graph
from ._match import AttractorMatch as AttractorMatch, match_attractors as match_attractors
from ._result import BasinFractions as BasinFractions
from ._sweep import BasinSweep as BasinSweep, basin_sweep as basin_sweep
