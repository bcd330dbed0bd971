"""A function's files on disk: its zip, its layers, and the packages that Lambda's Python brings."""

from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import io
import sys
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from strictmoto.lambda_.errors import Refused

PACKAGES_OF_THE_RUNTIME: Final = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What a function may import without bringing it along.

Source: Lambda Developer Guide, "Packaging dependencies", "Runtime-included SDK".
"""


class Packages:
    """Unpacks each zip once; processes share what is unpacked, as it is read-only on AWS."""

    def __init__(self, home: Path) -> None:
        """Take the directory to unpack into."""
        self._home = home
        self._lock = threading.Lock()

    def unpack(self, *zips: bytes) -> Path:
        """Return the directory that holds the files of all zips; a later one wins, as with layers.

        Raises:
            Refused: InvalidZipFileException.
        """
        key = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in zips)).hexdigest()
        root = self._home / key[:16]
        with self._lock:
            if not root.exists():
                root.mkdir(parents=True)
                for one in zips:
                    _extract(one, root)
        return root


def _extract(code: bytes, root: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            for entry in archive.infolist():
                target = Path(archive.extract(entry, root))
                if mode := entry.external_attr >> 16 & 0o777:
                    target.chmod(mode | (0o700 if entry.is_dir() else 0o600))
    except (zipfile.BadZipFile, OSError) as error:
        raise Refused(502, "InvalidZipFileException", "Lambda could not unzip the deployment package.") from error


def layer_paths(layers: Path, runtime: str) -> list[str]:
    """Return where Python looks for modules in what layers hold."""
    return [str(layers / "python" / "lib" / runtime / "site-packages"), str(layers / "python")]


@functools.cache
def homes_of_the_runtime() -> dict[str, str]:
    """Return the directory of each of the runtime's packages on this machine."""
    return dict(_homes(PACKAGES_OF_THE_RUNTIME))


def _homes(names: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for name in names:
        spec = importlib.machinery.PathFinder.find_spec(name, sys.path)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            home = origin.parent.parent if origin.name == "__init__.py" else origin.parent
            found.append((name, str(home)))
    return found
