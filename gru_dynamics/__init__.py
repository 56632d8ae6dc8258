"""Gated recurrent networks as dynamical systems, in JAX."""

from . import cells as cells, systems as systems
from ._results import RESULTS as RESULTS
from .cells import (
    AbstractCell as AbstractCell,
    AbstractGatedCell as AbstractGatedCell,
    ElmanCell as ElmanCell,
    GRUCell as GRUCell,
    LSTMCell as LSTMCell,
    StackedCell as StackedCell,
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
    jacobian as jacobian,
    library as library,
)
