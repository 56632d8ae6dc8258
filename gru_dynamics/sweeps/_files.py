"""Files that are whole or absent, whoever else writes beside us and whenever the machine stops."""

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_SCRATCH = ".tmp-"
_DAY = 86400


def write_whole(path: Path, write: Callable[[BinaryIO], object], *, replace: bool = True) -> bool:
    """Write beside `path` under a name of our own, make it durable, then give it its name in one step.

    With `replace=False` a file that is there already stays, and the answer is False.
    """
    scratch = path.with_name(f"{_SCRATCH}{path.name}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        with open(scratch, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        written = _rename(scratch, path) if replace else _rename_new(scratch, path)
        _sync_folder(path.parent)
        return written
    finally:
        scratch.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Scratch files that a killed process left more than a day ago; younger ones may be another's work."""
    for file in folder.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > _DAY:
                file.unlink()


def _rename(scratch: Path, path: Path) -> bool:
    os.replace(scratch, path)
    return True


def _rename_new(scratch: Path, path: Path) -> bool:
    try:
        os.link(scratch, path)  # unlike a rename, it fails where a file is
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links. Two writers may both pass here: every part names its sweep, so that
        # those of the one that lost are noticed.
        return not path.exists() and _rename(scratch, path)
    return True


def _sync_folder(folder: Path) -> None:
    # Not every system can open a folder, nor every network file system sync one.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
