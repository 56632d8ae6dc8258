"""The one error of the command line."""


class CommandError(ValueError):
    """Input that a user can put right. The message is one line: what and where, expected, found, and the fix.

    **Source:** the house rule for bad input.
    """
