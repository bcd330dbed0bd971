"""What Node is asked before Python can: known from the installed packages, without importing them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tapstack.kernel.classes import AWS_CLASSES

_LOAD: Final = re.compile(
    r"JSIIAssembly\.load\(\s*"
    r'"(?P<name>[^"]+)",\s*"(?P<version>[^"]+)",\s*__name__\[0:-6\],\s*"(?P<file>[^"]+)",?\s*\)'
)


def load_request(root: Path) -> dict[str, object] | None:
    """Return the request with which the package in `root` will load its assembly, or None where that is not clear."""
    directory = root / "_jsii"
    try:
        text = (directory / "__init__.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = _LOAD.search(text)
    if found is None or not (directory / found["file"]).is_file():
        return None
    return {
        "name": found["name"],
        "version": found["version"],
        "tarball": str(directory / found["file"]),
        "api": "load",
    }


def warming_requests(assembly: str) -> list[dict[str, object]]:
    """Return requests that make Node load the modules of what tapstack creates; their answers do not matter.

    They read a constant of each class, so nothing is changed by them, and one that fails does no harm.
    """
    return [
        {"fqn": f"{assembly}.{_camel(module)}.{name}", "property": "tfResourceType", "api": "sget"}
        for name, module in AWS_CLASSES.items()
        # The bindings append an A where another class has the name.
        if name.lower().removesuffix("a") == module.replace("_", "").removesuffix("a") or name == "AwsProvider"
    ]


def _camel(module: str) -> str:
    """Return the name of a module in the assembly: `iam_role` is `iamRole`."""
    first, *rest = module.split("_")
    return first + "".join(word.capitalize() for word in rest)
