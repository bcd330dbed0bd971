"""The pipeline of docs/gitops.md: pinned by commit, and complete for the example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tapstack.settings.load import load_deployment
from tapstack.workspace import state

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
PIPELINE: dict[Any, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
JOBS = PIPELINE["jobs"]
ACTIONS = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]


@pytest.mark.parametrize("action", sorted(set(ACTIONS)))
def test_every_action_is_pinned_by_its_commit_and_names_its_release(action: str) -> None:
    assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action)
    assert re.search(rf"{re.escape(action)} # v\d+\.\d+\.\d+\n", PAGE)


@pytest.mark.parametrize("job", JOBS)
def test_every_job_goes_through_the_stacks_of_the_example_in_their_order(job: str) -> None:
    strategy = JOBS[job]["strategy"]

    assert strategy["matrix"]["stack"] == list(state.stack_names(load_deployment(ROOT / "deployment.yaml")))
    assert strategy["max-parallel"] == 1


def test_only_the_job_with_an_approval_assumes_the_role_that_applies() -> None:
    roles = {
        name: [step["with"]["role-to-assume"] for step in job["steps"] if "role-to-assume" in step.get("with", {})]
        for name, job in JOBS.items()
    }

    assert roles == {"plan": ["${{ vars.PLAN_ROLE }}"], "apply": ["${{ vars.APPLY_ROLE }}"]}
    assert "environment" in JOBS["apply"]
    assert JOBS["plan"]["if"] == "github.event_name == 'pull_request'"
