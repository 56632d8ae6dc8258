"""The one error of a sweep."""

import importlib
from typing import Any


class SweepError(RuntimeError):
    """A sweep that cannot go on. The message is one line: where, what was expected, what was found, and the fix. Parts
    that are already written stay valid.

    **Source:** the house rule for bad input.
    """


def optional(name: str, extra: str) -> Any:
    """A module of an optional extra, or one line that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SweepError(
            f"sweeps: expected the package {name.split('.')[0]}, found none; "
            f"install it with: pip install 'gru_dynamics[{extra}]'"
        ) from error
