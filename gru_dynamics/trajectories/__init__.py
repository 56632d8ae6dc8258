"""Floor 4: run a system."""

from ._integrate import integrate as integrate
from ._poincare import (
    Crossings as Crossings,
    PoincareSection as PoincareSection,
    section_through as section_through,
)
from ._rollout import rollout as rollout
