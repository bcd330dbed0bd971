"""Whether a directory can be written, found out before anything is changed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def obstacle(place: Path) -> str | None:
    """Return why a directory, which need not exist, cannot be written; None where it can.

    By creating a directory and removing it again: permissions do not show what pseudo file systems (/proc, /sys) allow,
    nor what the superuser may do.
    """
    there = next(directory for directory in (place, *place.parents) if directory.exists())
    if not there.is_dir():
        return f"{there} is no directory"
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".tapstack-", dir=there))
    except OSError:
        return f"{there} may not be written"
    return None
