"""Groups of tests for two processes: what waits for Terraform, what shares one account, and all others.

The others stay together because they share one jsii kernel.
"""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["tapstack.rehearsal.pytest_plugin"]

# CI looks at the same examples every time; elsewhere each run may find something new.
hypothesis.settings.register_profile("tapstack", deadline=None, max_examples=100, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("tapstack")

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        part = item.path.relative_to(HERE).parts[0]
        if part == "terraform":
            item.add_marker(pytest.mark.terraform)
        item.add_marker(pytest.mark.xdist_group(part if part in ("terraform", "rehearsal") else "kernel"))
