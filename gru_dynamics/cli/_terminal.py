"""Words for the person at the terminal: results on stdout, everything else on stderr."""

import sys
import textwrap
from collections.abc import Iterable


def say(text: str) -> None:
    """One line of progress."""
    print(f"gru-dynamics: {text}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """A result."""
    print(text, flush=True)


def paragraphs(texts: Iterable[str]) -> str:
    """Texts wrapped for a terminal, with a blank line between them."""
    return "\n\n".join(textwrap.fill(text, 100) for text in texts)
