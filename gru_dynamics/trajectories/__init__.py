"""Floor 4: run a system."""

from ._integrate import integrate as integrate
from ._rollout import rollout as rollout
