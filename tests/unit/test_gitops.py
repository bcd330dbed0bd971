"""The pipeline of docs/gitops.md: pinned by commit, and complete for the example."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
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
    assert strategy["fail-fast"] is False


def test_only_the_job_with_an_approval_assumes_the_role_that_applies() -> None:
    roles = {
        name: [step["with"]["role-to-assume"] for step in job["steps"] if "role-to-assume" in step.get("with", {})]
        for name, job in JOBS.items()
    }

    assert roles == {"plan": ["${{ vars.PLAN_ROLE }}"], "apply": ["${{ vars.APPLY_ROLE }}"]}
    assert JOBS["apply"]["environment"] == "production"
    assert JOBS["plan"]["if"] == "github.event_name == 'pull_request'"


def test_when_a_pull_request_is_planned_then_sites_are_planned_by_a_role_that_reads(tmp_path: Path) -> None:
    (tmp_path / "deployment.yaml").write_bytes((ROOT / "deployment.yaml").read_bytes())
    *_, step, planning = (step for step in JOBS["plan"]["steps"] if "run" in step)

    subprocess.run(["sh", "-ec", step["run"]], cwd=tmp_path, env={"PATH": "/usr/bin:/bin", **step["env"]}, check=True)

    assert planning["run"].startswith("make diff ")
    roles = {
        name: site.assume_role.role_arn
        for name, site in load_deployment(tmp_path / "deployment.yaml").sites.items()
        if site.assume_role
    }
    assert roles == {"shared-services": "arn:aws:iam::444455556666:role/tapstack-plan"}


def test_runs_of_two_pull_requests_share_no_group_and_wait_for_the_lock() -> None:
    # GitHub keeps one waiting run of a group, and cancels the others.
    assert PIPELINE["concurrency"]["group"] == "capture-${{ github.ref }}"
    assert {PIPELINE["env"][f"TF_CLI_ARGS_{command}"] for command in ("plan", "apply")} == {"-lock-timeout=30m"}


@pytest.mark.parametrize(
    ("job", "subject"),
    [("plan", "repo:OWNER/REPOSITORY:pull_request"), ("apply", "repo:OWNER/REPOSITORY:environment:production")],
)
def test_each_job_has_a_role_that_trusts_its_whole_subject(job: str, subject: str) -> None:
    (statement,) = json.loads((ROOT / f"docs/iam/trust/{job}.json").read_text(encoding="utf-8"))["Statement"]

    issuer = "token.actions.githubusercontent.com"
    assert statement["Condition"] == {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}}
    assert f"`{subject}`" in PAGE


@pytest.mark.parametrize("repository", ["octo-org@123456/octo-repo@456789", "octo-org/octo-repo"])
def test_when_the_roles_are_made_then_their_subject_is_there_before(repository: str, tmp_path: Path) -> None:
    """The blocks of the page, one after another in one shell, with names of the reader's own."""
    _, naming, making = (textwrap.dedent(found) for found in re.findall(r"^ *```sh\n(.*?)```", PAGE, re.DOTALL | re.M))
    naming = naming.replace("octo-org@123456/octo-repo@456789", repository)
    making = making.replace("=tapstack-plan", "=reader").replace("=tapstack-deploy", "=writer")
    page = (ROOT / "docs/iam/README.md").read_text(encoding="utf-8")
    (own_names,) = (found for found in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "KEY_PREFIX=" in found)
    shutil.copytree(ROOT / "docs/iam", tmp_path / "docs/iam")
    aws = tmp_path / "bin/aws"
    aws.parent.mkdir()
    # The account of the credentials, and what a role of each name trusts when it is made.
    aws.write_text(
        '#!/bin/sh\ncase "$1 $2" in\n'
        '"sts get-caller-identity") echo 999900001111;;\n'
        '"iam create-role") echo "$4 $(grep -o "repo:[^\\"]*" "${6#file://}")";;\n'
        '"iam attach-role-policy") echo "$4 $6";;\n'
        "esac\n",
        encoding="utf-8",
    )
    aws.chmod(0o755)

    made = subprocess.run(
        ["sh", "-ec", own_names + naming + making],
        cwd=tmp_path,
        env={"PATH": f"{aws.parent}:/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()

    assert made[:2] == [f"reader repo:{repository}:pull_request", f"writer repo:{repository}:environment:production"]
    assert {line.split()[0] for line in made[2:]} == {"reader", "writer"}
    assert {line.split()[1] for line in made[2:]} == {
        f"arn:aws:iam::999900001111:policy/tapstack-{file.stem}"
        for kind in ("plan", "apply-")
        for file in (ROOT / "docs/iam").glob(f"{kind}*.json")
    }
