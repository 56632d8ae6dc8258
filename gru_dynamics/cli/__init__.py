"""Floor 11: the command `gru-dynamics`."""

from ._main import main as main
