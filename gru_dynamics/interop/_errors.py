"""The one error of this folder."""


class WeightError(ValueError):
    """Weights that cannot become a cell, a cell that has no form in a framework, or a file that cannot be read.

    The message is one line: what and where, what was expected, what was found, and the fix.

    **Source:** the house rule for bad input.
    """
