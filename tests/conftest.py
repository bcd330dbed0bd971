"""Two groups of tests for two processes: those that wait for Terraform, and all others.

The others stay together because they share one jsii kernel.
"""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# CI looks at the same examples every time; elsewhere each run may find something new.
hypothesis.settings.register_profile("tapstack", deadline=None, max_examples=100, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("tapstack")

WAITING = Path(__file__).parent / "terraform"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        waits = WAITING in item.path.parents
        if waits:
            item.add_marker(pytest.mark.terraform)
        item.add_marker(pytest.mark.xdist_group("terraform" if waits else "kernel"))
