"""The two cores, and which of them is installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Final

CORES: Final = {"cdktf": "cdktf_cdktf_provider_aws", "cdktn": "cdktn_provider_aws"}
"""Each core, and its AWS bindings."""


class MissingBindingsError(ImportError):
    """Neither cdktf nor cdktn, with its AWS bindings, is installed."""


def choose_core() -> str:
    """Return the core that `$TAPSTACK_CDK` names, or the one that is installed, cdktf first.

    Raises:
        MissingBindingsError: it is not there.
    """
    wanted = os.environ.get("TAPSTACK_CDK", "")
    if wanted and wanted not in CORES:
        raise MissingBindingsError(f"$TAPSTACK_CDK must be one of {', '.join(CORES)}, got {wanted!r}")
    for core in [wanted] if wanted else list(CORES):
        if importlib.util.find_spec(core) and importlib.util.find_spec(CORES[core]):
            return core
    missing = wanted or "cdktf"
    raise MissingBindingsError(f"no CDK for Terraform found: install {missing} and {CORES[missing].replace('_', '-')}")


def package_root(package: str) -> Path | None:
    """Return the directory of an installed package, without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
