"""A real browser without a window."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium on the PATH (chromium, chromium-browser or google-chrome)"
)


def command(url: str, profile: Path, *options: str) -> list[str]:
    """Return what opens a page.

    Args:
        url: of the page.
        profile: directory of the browser's own.
        options: of the browser.
    """
    assert BROWSER is not None
    return [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        f"--user-data-dir={profile}",
        *options,
        url,
    ]


def open_page(url: str, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page, and return what the browser printed; the arguments are those of `command`."""
    return subprocess.run(command(url, profile, *options), capture_output=True, text=True, timeout=60, check=True)
