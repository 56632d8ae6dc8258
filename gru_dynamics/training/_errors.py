"""The one error of this folder."""


class TrainingError(ValueError):
    """Settings that make no run, or a folder from which a run cannot go on. The message is one line: what and where,
    expected, found, and the fix.

    **Source:** the house rule for bad input.
    """
