"""The folder of a sweep: `sweep.json` says what it holds, and `part-000000.parquet` and so on hold it."""

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from ._describe import describe_sweep, differences, fingerprint
from ._errors import SweepError
from ._files import write_whole
from ._sweep import Sweep

_FORMAT = 1

# Rows come out the same bit for bit only where these agree; the other versions are kept for the record.
_BINDING = ("gru_dynamics", "jax", "jaxlib", "backend")


def versions() -> dict[str, str]:
    """What the numbers may depend on."""
    packages = ("gru_dynamics", "jax", "jaxlib", "numpy", "scipy")
    return {
        **{name: metadata.version(name) for name in packages},
        "backend": jax.default_backend(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def differing_versions(old: dict[str, str]) -> list[str]:
    """`name there, here`, where the rows of a process with the `old` versions might not be those of this one."""
    new = versions()
    return [f"{name} {old.get(name)} there, {new[name]} here" for name in _BINDING if old.get(name) != new[name]]


def claim(folder: Path, sweep: Sweep) -> str:
    """Make the folder that of the sweep, or check that it is. Returns the fingerprint that every part bears."""
    spec = describe_sweep(sweep)
    record = {"format": _FORMAT, "fingerprint": fingerprint(spec), "sweep": spec, "versions": versions()}
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    path = folder / "sweep.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_whole(path, lambda file: file.write(text.encode()), replace=False)
    except OSError as error:
        raise SweepError(
            f"{folder}: the folder of a sweep must be writable, found: {error.strerror}; "
            "free space or choose another folder, and run again"
        ) from error
    held = read_record(folder)
    unlike = differences(held["sweep"], spec)
    if unlike:
        more = f" and {len(unlike) - 3} more" if len(unlike) > 3 else ""
        raise SweepError(
            f"{folder}: holds another sweep ({'; '.join(unlike[:3])}{more}); "
            "continue it with its own settings or choose another folder"
        )
    unlike = differing_versions(held["versions"])
    if unlike:
        raise SweepError(
            f"{folder}: was begun with other versions ({', '.join(unlike)}), whose rows may differ in the last bits; "
            "continue with those or choose another folder"
        )
    return record["fingerprint"]


def read_record(folder: Path) -> dict[str, Any]:
    """The contents of `sweep.json`."""
    path = folder / "sweep.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SweepError(f"{folder}: expected the folder of a sweep, found no sweep.json; check the name") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SweepError(
            f"{path}: expected the description of a sweep, found something unreadable ({reason}); restore it, "
            "or remove it if you know that the parts belong to the sweep you run"
        ) from error
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        found = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise SweepError(f"{path}: expected format {_FORMAT}, found {found}; use the version of the package it names")
    return record
