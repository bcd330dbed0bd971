"""What makes Pipfile.lock the same on every machine: no package index in it, and a hash of the Pipfile's own content.

pipenv hashes the Pipfile together with the package indexes that pip is configured with, so that
its own `pipenv verify` calls the lock outdated wherever pip is configured otherwise.
"""

import argparse
import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# Any address, and the paths pip writes for what it found on this disk.
LEAK = re.compile(r"://|\"file:|\"(?:path|file|find_links)\":")
# Sections of a Pipfile that hold no packages.
NO_PACKAGES = ("source", "requires", "scripts", "pipfile", "pipenv")


def pipfile_hash(text: str) -> str:
    """Return the SHA-256 of what a Pipfile asks for: its layout, and this machine's pip configuration, do not count."""
    pipfile = tomllib.loads(text)
    content = {"requires": pipfile.get("requires", {}), "packages": {}, "dev-packages": {}} | {
        section: packages for section, packages in pipfile.items() if section not in NO_PACKAGES
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def neutral(lock: dict[str, Any], pipfile: str) -> str:
    """Return the text of a lock without indexes, with the hash of the Pipfile that it was made from.

    Args:
        lock: as pipenv wrote it; changed in place.
        pipfile: the text of the Pipfile.

    Raises:
        ValueError: an address would stay in it; the message shows the lines.
    """
    lock["_meta"]["sources"] = []
    lock["_meta"]["hash"] = {"sha256": pipfile_hash(pipfile)}
    for section in lock.values():
        for package in section.values():
            if isinstance(package, dict):
                package.pop("index", None)
    text = json.dumps(lock, indent=4, sort_keys=True) + "\n"
    leaks = [line.strip() for line in text.splitlines() if LEAK.search(line)]
    if leaks:
        raise ValueError("\n  ".join(["Pipfile.lock still holds addresses:", *leaks]))
    return text


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Make the lock neutral in place, or check that it fits the Pipfile; return 1 when that fails."""
    parser = argparse.ArgumentParser(prog="scripts.lock", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; 1 when the Pipfile changed since")
    options = parser.parse_args(arguments)
    pipfile = (root / "Pipfile").read_text(encoding="utf-8")
    path = root / "Pipfile.lock"
    lock = json.loads(path.read_text(encoding="utf-8"))
    if options.check:
        if lock["_meta"]["hash"]["sha256"] == pipfile_hash(pipfile):
            return 0
        print("Pipfile.lock was not made from this Pipfile: run make lock, and commit both", file=sys.stderr)
        return 1
    try:
        path.write_text(neutral(lock, pipfile), encoding="utf-8")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
