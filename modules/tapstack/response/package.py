"""The functions' package: one zip for all of them, the same bytes wherever it is built.

Files are sorted, their times and modes fixed, and they are stored, not deflated: what zlib
makes of the same bytes differs between its builds, and a plan would then show every function
changed because a colleague made it. boto3, with botocore and jmespath, comes with Lambda's
own runtime.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import io
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapstack.bindings import Construct, cdk
from tapstack.domain.alert_mappings import SOURCES_FILE

OWN_PARTS: Final = ("domain", "responder")
"""The parts of tapstack that run in Lambda, besides its `__init__`."""

POWERTOOLS_PARTS: Final = (
    "__init__.py",
    "exceptions",
    "logging",
    "metrics",
    "package_logger.py",
    "shared",
    "tracing",
    "utilities/__init__.py",
    "utilities/jmespath_utils",
    "warnings",
)
"""The modules of Powertools that the responder imports, directly or indirectly; a test compares the two."""

WHOLE: Final = ("fastjsonschema",)
SINGLE_FILES: Final = ("typing_extensions",)

# The first moment that a zip can express.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o100644 << 16
_NAME: Final = "responder.zip"


class MissingPackageError(ImportError):
    """A package that goes into the functions' zip is not installed where the synthesis runs."""


@dataclass(frozen=True)
class FunctionPackage:
    """A built package.

    Attributes:
        content: the zip.
        digest: SHA-256 of it, in hexadecimal digits.
    """

    content: bytes
    digest: str

    @property
    def source_code_hash(self) -> str:
        """The digest in base64, as Lambda has it and Terraform wants it."""
        return base64.b64encode(bytes.fromhex(self.digest)).decode()

    def place(self, scope: Construct, id_: str) -> str:
        """Have the zip written beside the stack's Terraform; return its path relative to that."""
        asset = cdk.TerraformAsset(scope, id_, path=str(self._file()), type=cdk.AssetType.FILE, asset_hash=self.digest)
        return str(asset.path)

    def _file(self) -> Path:
        """cdktf copies the asset when it synthesizes, so the file lives as long as the process."""
        file = Path(_scratch().name) / self.digest / _NAME
        if not file.exists():
            file.parent.mkdir()
            file.write_bytes(self.content)
        return file


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tapstack-package-")


@functools.cache
def build_package(alert_sources: str | None = None) -> FunctionPackage:
    """Build the package from what is installed here.

    Args:
        alert_sources: the sources of alerts, as `dump_sources` writes them: they take more room than the environment of
            a function has.

    Raises:
        MissingPackageError: names what is missing, and the extra that brings it.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(_files(alert_sources)):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = _MODE
            entry.create_system = 3  # Unix, wherever it is built
            archive.writestr(entry, content)
    content = buffer.getvalue()
    return FunctionPackage(content, hashlib.sha256(content).hexdigest())


def _files(alert_sources: str | None) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every file, in any order."""
    if alert_sources is not None:
        yield f"tapstack/{SOURCES_FILE}", alert_sources.encode()
    own = Path(__file__).resolve().parents[1]
    yield "tapstack/__init__.py", _text(own / "__init__.py")
    for part in OWN_PARTS:
        yield from _tree(own / part, f"tapstack/{part}")
    powertools = _home("aws_lambda_powertools")
    for part in POWERTOOLS_PARTS:
        found = powertools / part
        if found.is_file():
            yield f"aws_lambda_powertools/{part}", _text(found)
        else:
            yield from _tree(found, f"aws_lambda_powertools/{part}")
    for name in WHOLE:
        yield from _tree(_home(name), name)
    for name in SINGLE_FILES:
        yield f"{name}.py", _text(_home(name))


def _home(package: str) -> Path:
    """Return the directory of an installed package, or the file of a single module; imports nothing."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingPackageError(
            f"the functions' package needs {package}, which is not installed: install tapstack with its extra response"
        )
    file = Path(spec.origin)
    return file.parent if spec.submodule_search_locations else file


def _tree(directory: Path, name: str) -> Iterator[tuple[str, bytes]]:
    for file in directory.rglob("*.py"):
        yield f"{name}/{file.relative_to(directory).as_posix()}", _text(file)


def _text(file: Path) -> bytes:
    """Return a source file with the same line ends everywhere: git may check it out with others."""
    return file.read_bytes().replace(b"\r\n", b"\n")
