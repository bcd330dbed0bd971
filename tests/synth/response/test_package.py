"""The functions' package: the same bytes everywhere, all that is imported, and nothing that is not needed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tapstack.response.package as package_module
from tapstack.response.package import MissingPackageError, build_package
from tests.synth.response.building import NAMES

# Bytes, not compressed: sources alone, of Tapstack and two libraries. One dependency more would be over it.
LARGEST = 1_900_000
PROGRAM = """
import importlib, json, os, sys
sys.path[:0] = [sys.argv[1]]
os.environ.update(AWS_DEFAULT_REGION="eu-central-1", AWS_LAMBDA_FUNCTION_NAME="f")
importlib.import_module("tapstack.responder.handlers." + sys.argv[2])
# What is imported by the first request only.
importlib.import_module("fastjsonschema")
ours = [m for m in sys.modules.values() if (getattr(m, "__file__", None) or "").startswith(sys.argv[1])]
print(json.dumps({"zip": sorted(m.__name__ for m in ours), "all": sorted({n.partition(".")[0] for n in sys.modules})}))
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's Python runtime brings: boto3 and what that needs, and nothing else of this environment."""
    site = Path(str(__import__("botocore").__file__)).parents[1]
    directory = tmp_path_factory.mktemp("runtime")
    for name in ("boto3", "botocore", "jmespath", "s3transfer", "urllib3", "dateutil", "six.py"):
        if (site / name).exists():
            (directory / name).symlink_to(site / name)
    return directory


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("package") / "responder.zip"
    file.write_bytes(build_package().content)
    return file


@pytest.fixture(scope="module")
def imported(archive: Path, runtime: Path) -> dict[str, dict[str, list[str]]]:
    """What each handler imports where only the package and the runtime are there."""
    found = {}
    for name in NAMES:
        done = subprocess.run(
            # No site-packages, no environment, no current directory.
            [
                sys.executable,
                "-S",
                "-I",
                "-c",
                f"import sys; sys.path.append({str(runtime)!r})\n{PROGRAM}",
                archive,
                name,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
        found[name] = json.loads(done.stdout)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_when_a_function_starts_then_its_package_has_all_that_it_imports(
    name: str, imported: dict[str, dict[str, list[str]]]
) -> None:
    assert f"tapstack.responder.handlers.{name}" in imported[name]["zip"]
    assert not {"cdktf", "jsii", "pydantic", "yaml"} & set(imported[name]["all"])


@pytest.mark.thorough
def test_when_the_package_is_built_then_it_has_no_unused_package(
    imported: dict[str, dict[str, list[str]]],
) -> None:
    modules = {module for found in imported.values() for module in found["zip"]}
    for part in package_module.POWERTOOLS_PARTS:
        module = f"aws_lambda_powertools.{part.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")
        assert any(m == module or m.startswith(f"{module}.") for m in modules), f"{part} is not imported"


def test_when_the_package_is_built_then_it_is_small_and_holds_sources_only() -> None:
    package = build_package()
    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        names = archive.namelist()
    assert len(package.content) < LARGEST
    assert {name.rpartition(".")[2] for name in names} == {"py"}
    assert {name.partition("/")[0] for name in names} == {
        "tapstack",
        "aws_lambda_powertools",
        "fastjsonschema",
        "typing_extensions.py",
    }
    parts = {"/".join(name.split("/")[:2]) for name in names if name.startswith("tapstack/")}
    assert parts == {"tapstack/__init__.py", "tapstack/domain", "tapstack/responder"}


def test_when_the_package_is_built_again_then_it_is_the_same_byte_by_byte() -> None:
    first = build_package()
    build_package.cache_clear()
    again = build_package()
    assert again == first
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    # What zlib makes of it differs between machines, what is stored does not.
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {(entry.date_time, entry.external_attr, entry.create_system) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644 << 16, 3)
    }


def test_fails_when_a_package_is_missing_and_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_module, "WHOLE", ("no_such_package",))
    build_package.cache_clear()
    with pytest.raises(MissingPackageError, match="needs no_such_package, .* with its extra response$"):
        build_package()
