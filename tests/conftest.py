"""Groups of tests for parallel processes: those that wait for Terraform, those that share one account, all others.

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
        deploys = item.path.stem.startswith("test_rehearsal")
        if part == "terraform":
            item.add_marker(pytest.mark.terraform)
        if part == "rehearsal" or deploys:
            item.add_marker(pytest.mark.rehearsal)
        # Deploying waits for the account most of the time, so it goes beside the rest of Terraform.
        group = "deploy" if deploys else part
        item.add_marker(pytest.mark.xdist_group(group if group in ("terraform", "deploy", "rehearsal") else "kernel"))
