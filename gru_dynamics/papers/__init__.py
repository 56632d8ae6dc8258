"""Floor 10: tables, figures and theorems of the seed papers, measured beside printed."""

from ._options import OptionError as OptionError
from ._registry import Reproduction as Reproduction, names as names, reproduce as reproduce
