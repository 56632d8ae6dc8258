"""Gated recurrent networks as dynamical systems, in JAX."""

from . import (
    basins as basins,
    bifurcations as bifurcations,
    cells as cells,
    continuation as continuation,
    fixed_points as fixed_points,
    interop as interop,
    linalg as linalg,
    papers as papers,
    plot as plot,
    sweeps as sweeps,
    systems as systems,
    trajectories as trajectories,
)
from ._results import RESULTS as RESULTS
from .basins import (
    AttractorGraph as AttractorGraph,
    AttractorKind as AttractorKind,
    BasinFractions as BasinFractions,
    BasinSweep as BasinSweep,
    attractor_graph as attractor_graph,
    basin_fractions as basin_fractions,
    basin_sweep as basin_sweep,
    match_attractors as match_attractors,
)
from .bifurcations import (
    BifurcationBranch as BifurcationBranch,
    BranchPoint as BranchPoint,
    Fold as Fold,
    Hopf as Hopf,
    Located as Located,
    NeimarkSacker as NeimarkSacker,
    PeriodDoubling as PeriodDoubling,
    Realisation as Realisation,
    Topology as Topology,
    all_events as all_events,
    bifurcation_distance as bifurcation_distance,
    continue_bifurcation as continue_bifurcation,
    locate as locate,
    realise_topology as realise_topology,
    switch_branch as switch_branch,
    switch_period_doubling as switch_period_doubling,
    topology as topology,
)
from .cells import (
    AbstractCell as AbstractCell,
    AbstractGatedCell as AbstractGatedCell,
    ElmanCell as ElmanCell,
    GRUCell as GRUCell,
    LSTMCell as LSTMCell,
    StackedCell as StackedCell,
)
from .continuation import (
    Branch as Branch,
    End as End,
    Krylov as Krylov,
    Location as Location,
    Natural as Natural,
    PseudoArclength as PseudoArclength,
    SpecialKind as SpecialKind,
    SpecialPoints as SpecialPoints,
    continue_all as continue_all,
    continue_fixed_points as continue_fixed_points,
    extend_branch as extend_branch,
)
from .fixed_points import (
    ArrayGuesses as ArrayGuesses,
    Completeness as Completeness,
    Enumeration as Enumeration,
    FixedPoints as FixedPoints,
    Kind as Kind,
    LevenbergMarquardt as LevenbergMarquardt,
    LinearSystem as LinearSystem,
    TrajectoryGuesses as TrajectoryGuesses,
    UniformGuesses as UniformGuesses,
    enumerate_fixed_points as enumerate_fixed_points,
    find_fixed_points as find_fixed_points,
    find_slow_points as find_slow_points,
    fixed_point as fixed_point,
    linearise as linearise,
    verify_point as verify_point,
)
from .interop import (
    WeightError as WeightError,
    load_cell as load_cell,
    save_cell as save_cell,
)
from .systems import (
    AbstractFlow as AbstractFlow,
    AbstractMap as AbstractMap,
    AbstractSystem as AbstractSystem,
    CellFlow as CellFlow,
    CellMap as CellMap,
    Family as Family,
    FunctionFamily as FunctionFamily,
    FunctionFlow as FunctionFlow,
    FunctionMap as FunctionMap,
    Iterate as Iterate,
    jacobian as jacobian,
    library as library,
)
from .trajectories import integrate as integrate, rollout as rollout
