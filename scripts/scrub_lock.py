"""Take the package index out of Pipfile.lock, so that each site's own index serves it."""

import json
import re
import sys
from pathlib import Path

# Any address, and the paths pip writes for what it found on this disk.
LEAK = re.compile(r"://|\"file:|\"(?:path|file|find_links)\":")


def main() -> int:
    """Scrub the lock in place; 1, leaving it as it was, when an address would stay."""
    path = Path(__file__).resolve().parent.parent / "Pipfile.lock"
    lock = json.loads(path.read_text(encoding="utf-8"))
    # `_meta.hash` is kept: it hashes the Pipfile, which has no sources either.
    lock["_meta"]["sources"] = []
    for section in lock.values():
        for package in section.values():
            if isinstance(package, dict):
                package.pop("index", None)
    text = json.dumps(lock, indent=4, sort_keys=True) + "\n"
    leaks = [line.strip() for line in text.splitlines() if LEAK.search(line)]
    if leaks:
        print("Pipfile.lock still holds addresses:", *leaks, sep="\n  ", file=sys.stderr)
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
