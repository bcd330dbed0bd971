"""The sources of alerts, in the functions' package: apart from the environment, which every function reads."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from tapstack.domain.alert_mappings import SOURCES_FILE, AlertSource, load_sources


@functools.cache
def alert_sources() -> Mapping[str, AlertSource]:
    """Return the sources of alerts, by name; none where the package has no file of them."""
    try:
        text = (Path(__file__).parents[1] / SOURCES_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return load_sources(text)
