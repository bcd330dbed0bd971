"""preload.cjs: what Node loads late, what it keeps for the next time, and what it leaves alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tapstack.kernel.cores import package_root
from tapstack.kernel.node import PRELOAD, node_binary


def installed(directory: Path, package: str, files: dict[str, str]) -> Path:
    """A package as jsii installs it: a link to where it is."""
    there, here = directory / "cache" / package, directory / "jsii-kernel-x" / "node_modules" / package
    for name, text in files.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text(text)
    here.parent.mkdir(parents=True, exist_ok=True)
    here.symlink_to(there)
    return here


def run(home: Path, program: str | Path) -> list[str]:
    node = node_binary()
    assert node is not None
    what = [str(program)] if isinstance(program, Path) else ["-e", program]
    done = subprocess.run(
        [node, "--preserve-symlinks", "--require", str(PRELOAD), *what],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


HELPER = "var __importStar = (m) => m;\n"
LISTS = 'exports.a = void 0;\nexports.a = require("./a");\nexports.b = __importStar(require("./b"));\n'
DOES_MORE = 'exports.a = require("./a");\nexports.b = [require("./b")][0];\n'


@pytest.mark.parametrize(("index", "loaded_at_once"), [(HELPER + LISTS, 0), (DOES_MORE, 2)])
def test_when_an_index_only_lists_modules_then_each_is_loaded_on_first_use(
    tmp_path: Path, index: str, loaded_at_once: int
) -> None:
    files = {"lib/index.js": index, "lib/a.js": "exports.name = 'a';\n", "lib/b.js": "exports.name = 'b';\n"}
    package = installed(tmp_path, "@cdktf/provider-aws", files)
    entry = json.dumps(str(package / "lib" / "index.js"))
    count = "Object.keys(require.cache).filter((f) => /[ab].js$/.test(f)).length"
    found = run(tmp_path, f"const i = require({entry}); console.log({count}, i.a.name, i.b.name, {count})")
    assert found == [str(loaded_at_once), "a", "b", "2"]


@pytest.mark.parametrize(
    ("use", "loaded_at_once"),
    [("archiver('zip', 1)", False), ("archiver.create('zip', 1)", True), ("[archiver][0]('zip', 1)", True)],
)
def test_when_a_library_is_called_only_then_it_is_loaded_when_it_is(
    tmp_path: Path, use: str, loaded_at_once: bool
) -> None:
    library = "module.exports = (...given) => given.join();\nmodule.exports.create = module.exports;\n"
    files = {
        "lib/private/fs.js": f'const archiver = require("archiver");\nexports.zip = () => {use};\n',
        "node_modules/archiver/index.js": library,
    }
    package = installed(tmp_path, "cdktf", files)
    entry = json.dumps(str(package / "lib" / "private" / "fs.js"))
    count = "Object.keys(require.cache).some((f) => f.includes('archiver'))"
    found = run(tmp_path, f"const f = require({entry}); console.log({count}, f.zip(), {count})")
    assert found == [str(loaded_at_once).lower(), "zip,1", "true"]


def compiled(home: Path) -> list[Path]:
    return [path for path in (home / ".cache" / "tapstack").rglob("*") if path.is_file()]


def load_something(directory: Path, home: Path) -> None:
    package = installed(directory, "cdktf", {"lib/a.js": "exports.name = function name() { return 'a'; };\n"})
    assert run(home, f"console.log(require({json.dumps(str(package / 'lib' / 'a.js'))}).name())") == ["a"]


def test_when_a_module_was_compiled_then_that_is_kept_in_a_directory_of_the_users_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    load_something(tmp_path, home)
    assert compiled(home)
    assert (home / ".cache" / "tapstack" / "node").stat().st_mode & 0o777 == 0o700


def test_when_others_can_write_to_that_directory_then_it_is_not_used(tmp_path: Path) -> None:
    directory = tmp_path / "home" / ".cache" / "tapstack" / "node"
    directory.mkdir(parents=True)
    directory.chmod(0o777)
    load_something(tmp_path, tmp_path / "home")
    assert compiled(tmp_path / "home") == []


def test_when_there_can_be_no_such_directory_then_everything_works_as_well(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file")
    load_something(tmp_path, home)
    assert home.read_text() == "a file"


KERNEL = """
const util = require("util");
let composed = 0;
const K = { inspect: (value) => { composed += 1; return util.inspect(value); } };
const check = (e) => `Kernel error: EXPECTED type information, got ${(0,K.inspect)(e)}`;
console.log(check(7), composed);
"""


@pytest.mark.parametrize(("file", "composed"), [("lib/program.js", 0), ("lib/other.js", 1)])
def test_when_the_kernel_is_loaded_then_it_composes_no_message_for_each_value(
    tmp_path: Path, file: str, composed: int
) -> None:
    script = tmp_path / file
    script.parent.mkdir()
    script.write_text(KERNEL.replace("EXPECTED", "expected"))
    assert run(tmp_path, script)[-2:] == ["7", str(composed)]
    script.write_text(KERNEL)
    assert run(tmp_path, script)[-2:] == ["7", "1"]


DIGESTING = """
const fs = require("fs");
const V = { digestFile: (file, ...salts) => {
  console.log("read");
  return require("crypto").createHash("sha256").update(fs.readFileSync(file)).update(salts.join()).digest();
} };
const find = (e, ...f) => { const _=(0,V.digestFile)(e,...f); console.log(_.toString("hex")); };
find("PACKAGE", "1");
find("PACKAGE", "1");
"""


def digests(directory: Path, file: Path) -> list[str]:
    script = directory / "lib" / "program.js"
    script.parent.mkdir(exist_ok=True)
    script.write_text(DIGESTING.replace("PACKAGE", str(file)))
    return run(directory / "home", script)


def test_when_a_package_was_read_whole_then_its_digest_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    package = tmp_path / "package.tgz"
    package.write_bytes(b"old")
    status = package.stat()
    old, new = (hashlib.sha256(content + b"1").hexdigest() for content in (b"old", b"new"))
    assert digests(tmp_path, package) == ["read", old, old]
    assert digests(tmp_path, package) == [old, old]
    # As many bytes, and as old as the ones before claim to be.
    package.write_bytes(b"new")
    os.utime(package, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digests(tmp_path, package) == ["read", new, new]


@pytest.mark.parametrize("there", ["a directory that others write to", "no directory"])
def test_when_there_is_no_safe_place_for_digests_then_each_package_is_read(tmp_path: Path, there: str) -> None:
    place = tmp_path / "home" / ".cache" / "tapstack" / "node"
    if there == "no directory":
        (tmp_path / "home").touch()
    else:
        place.mkdir(parents=True)
        place.chmod(0o777)
    package = tmp_path / "package.tgz"
    package.write_bytes(b"old")
    digest = hashlib.sha256(b"old1").hexdigest()
    assert digests(tmp_path, package) == ["read", digest, "read", digest]


def test_when_a_digest_was_kept_in_part_only_then_the_package_is_read(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    package = tmp_path / "package.tgz"
    package.write_bytes(b"old")
    expected = digests(tmp_path, package)
    (kept,) = (tmp_path / "home" / ".cache" / "tapstack" / "node").glob("digest-*")
    kept.write_bytes(kept.read_bytes()[:7])
    assert digests(tmp_path, package) == expected


@pytest.mark.parametrize(
    "replaced",
    [
        r"`Kernel error: expected type information, got \$\{\(0,\w+\.inspect\)\(\w+\)\}`",
        r"\(0,\w+\.digestFile\)\(\w+,\.\.\.\w+\)",
    ],
)
def test_when_jsii_is_installed_then_its_kernel_has_what_is_replaced_in_it(replaced: str) -> None:
    root = package_root("jsii")
    assert root is not None
    source = (root / "_embedded" / "jsii" / "lib__program.js").read_text()
    assert len(re.findall(replaced, source)) == 1
