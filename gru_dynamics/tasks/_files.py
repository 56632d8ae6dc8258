"""Data files of the user: found, checked by SHA-256, never downloaded."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType


class DataError(ValueError):
    """A data file that is missing, is another one than expected, or does not hold what it should.

    The message is one line: which file, what was expected, what was found, and the fix.

    **Source:** the house rule for bad input.
    """


PTB_CHECKSUMS: Mapping[str, str] = MappingProxyType(
    {
        "ptb.train.txt": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
        "ptb.valid.txt": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
        "ptb.test.txt": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
    }
)

MUSIC_CHECKSUMS: Mapping[str, str] = MappingProxyType(
    {
        "JSB_Chorales.mat": "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
        "Nottingham.mat": "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
        "MuseData.mat": "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
        "Piano_midi.mat": "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
    }
)


def read_checked(path: str | os.PathLike[str], checksum: Mapping[str, str] | None) -> bytes:
    """The bytes of a file whose SHA-256 stands under its name in `checksum`; `None` checks nothing."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: expected a data file, found none; put it there, it is never downloaded")
    if not path.is_file():
        raise DataError(f"{path}: expected a data file, found a directory; name a file in it")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, found: {error.strerror}; check its permissions") from error
    if checksum is None:
        return content
    if path.name not in checksum:
        known = ", ".join(sorted(checksum))
        raise DataError(
            f"{path}: expected one of {known}, found {path.name!r} whose SHA-256 is not known; "
            "pass checksum={name: sha256}, or checksum=None to use the file unchecked"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != checksum[path.name]:
        raise DataError(
            f"{path}: expected SHA-256 {checksum[path.name]}, found {found}; get the original file, "
            "or pass checksum=None to use this one"
        )
    return content
