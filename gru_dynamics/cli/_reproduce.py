"""`gru-dynamics reproduce`: tables and figures of a paper, recomputed."""

import json as text
from pathlib import Path

from ..papers import OptionError, names, reproduce
from ..tasks import DataError
from ._errors import CommandError
from ._staging import staged
from ._terminal import say, show


def run_reproduce(
    command: str, name: str, *, scale: str, seeds: int, data: Path | None, out: Path | None, json: bool
) -> None:
    """Recompute what `name` stands for into a folder."""
    if name not in names():
        raise CommandError(f"reproduce: expected one of {', '.join(names())}, found {name!r}; choose one")
    out = Path(name) if out is None else out
    with staged(out) as scratch:
        try:
            found = reproduce(name, scratch, scale=scale, seeds=seeds, data=data, say=say)
        except (OptionError, DataError) as error:
            raise CommandError(f"reproduce {error}") from error
    if json:
        show(text.dumps(found.result, indent=1, allow_nan=False, ensure_ascii=False))
        return
    show(f"{found.summary}\n\nPage: {out / found.files[0]}\nTable: {out / found.files[1]}")
