"""Floor 6: special points, and the parameters at which they exist."""

from ._distance import BifurcationDistance as BifurcationDistance, bifurcation_distance as bifurcation_distance
from ._events import (
    BranchPoint as BranchPoint,
    Fold as Fold,
    Hopf as Hopf,
    NeimarkSacker as NeimarkSacker,
    PeriodDoubling as PeriodDoubling,
    all_events as all_events,
)
from ._jordan import jordan_family as jordan_family
from ._locate import Located as Located, locate as locate
from ._normal_forms import (
    BranchPointCoefficients as BranchPointCoefficients,
    CriticalVectors as CriticalVectors,
    bogdanov_takens_test as bogdanov_takens_test,
    branch_point_coefficients as branch_point_coefficients,
    critical_vectors as critical_vectors,
    cusp_coefficient as cusp_coefficient,
    first_lyapunov_coefficient as first_lyapunov_coefficient,
    flip_coefficient as flip_coefficient,
    fold_coefficient as fold_coefficient,
    neimark_sacker_coefficient as neimark_sacker_coefficient,
    null_vectors as null_vectors,
)
from ._portrait import (
    DegeneratePoints as DegeneratePoints,
    Portrait as Portrait,
    portrait as portrait,
    topology as topology,
)
from ._realise import Realisation as Realisation, realise_topology as realise_topology
from ._switch import (
    BranchStart as BranchStart,
    IterateFamily as IterateFamily,
    branch_tangents as branch_tangents,
    switch_branch as switch_branch,
    switch_period_doubling as switch_period_doubling,
)
from ._topology import (
    Repair as Repair,
    Topology as Topology,
    impossible_rows as impossible_rows,
    paper_rows as paper_rows,
    repaired_rows as repaired_rows,
)
from ._two_parameters import (
    BifurcationBranch as BifurcationBranch,
    continue_bifurcation as continue_bifurcation,
)
