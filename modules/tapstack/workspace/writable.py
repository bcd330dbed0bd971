"""Whether a place can be written, known before anything is begun."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def obstacle(place: Path) -> str | None:
    """Say why nothing can be written below a directory that is there, or could be made; nothing where it can.

    By trying: permissions tell nothing of pseudo file systems (/proc, /sys) nor of the superuser. What is made for it
    is removed.
    """
    there = next(directory for directory in (place, *place.parents) if directory.exists())
    if not there.is_dir():
        return f"{there} is no directory"
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".tapstack-", dir=there))
    except OSError:
        return f"{there} may not be written"
    return None
