"""Floor 3: a cell, or any function, seen as a map or a flow."""

from . import library as library
from ._base import (
    AbstractFlow as AbstractFlow,
    AbstractMap as AbstractMap,
    AbstractSystem as AbstractSystem,
    Enclosure as Enclosure,
    jacobian as jacobian,
)
from ._cell import CellFlow as CellFlow, CellMap as CellMap
from ._family import AbstractFamily as AbstractFamily, Family as Family, FunctionFamily as FunctionFamily
from ._function import FunctionFlow as FunctionFlow, FunctionMap as FunctionMap
from ._iterate import Iterate as Iterate
