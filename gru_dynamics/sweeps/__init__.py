"""Floor 8: studies of a parameter space in blocks that anyone can compute, anywhere, again."""

from ._analysis import (
    AbstractAnalysis as AbstractAnalysis,
    Enumerate as Enumerate,
    Search as Search,
)
from ._errors import SweepError as SweepError
from ._family import NamedFamily as NamedFamily
from ._points import (
    AbstractPoints as AbstractPoints,
    ArrayPoints as ArrayPoints,
    Grid as Grid,
    Sobol as Sobol,
)
from ._run import RunReport as RunReport, run as run
from ._sweep import Sweep as Sweep, run_block as run_block
from ._table import Table as Table, load as load, write_table as write_table
from ._undecided import undecided as undecided
