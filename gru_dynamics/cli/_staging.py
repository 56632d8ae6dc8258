"""All files of a run appear together at its end, or none of them does."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ._errors import CommandError

# The files that speak of the others come last.
_LAST = ("result.json", "report.html")


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A scratch folder whose files are moved to `out` when the block ends well; in any case it is removed.

    It lies on the same file system as `out`: inside it, or beside it when it does not exist yet. A folder that cannot
    be written to is found before anything is computed.
    """
    if out.exists() and not out.is_dir():
        raise CommandError(f"{out}: --out must be a folder, found a file; choose another name")
    home = out.absolute()
    while not home.exists():
        home = home.parent
    if not home.is_dir():
        raise CommandError(f"{out}: --out must be a folder, but {home} is a file; choose another name")
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".gru-dynamics-", dir=home))
    except OSError as error:
        raise CommandError(
            f"{out}: --out must be writable, found {home}: {error.strerror}; choose another folder"
        ) from error
    try:
        yield scratch
        try:
            _publish(scratch, out)
        except OSError as error:
            raise CommandError(
                f"{out}: cannot be written: {error.strerror} ({error.filename}); choose another --out"
            ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _publish(scratch: Path, out: Path) -> None:
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        umask = os.umask(0)
        os.umask(umask)
        scratch.chmod(0o777 & ~umask)
        # Where someone else made the folder meanwhile, the files go into it one by one.
        with contextlib.suppress(OSError):
            os.rename(scratch, out)
            return
        out.mkdir(exist_ok=True)
    for file in sorted(scratch.iterdir(), key=lambda file: (file.name in _LAST, file.name)):
        os.replace(file, out / file.name)
