"""The policies of the deploying roles: how resources are named in them, and that they fit."""

from __future__ import annotations

import doctest
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import deploying_policies as deploying

POLICIES = sorted(deploying.FOLDER.glob("*.json"))
PLANNING = [file.name for file in POLICIES if file.name.startswith("plan")]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(deploying).failed == 0


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        ("*", "*"),
        (
            "arn:aws:cloudformation:us-east-1:123456789012:stack/tapstack-production-packet-basics/1b6a2f0e-0000-4a1b-8c2d-000000000000",
            "arn:aws:cloudformation:eu-central-1:111122223333:stack/tapstack-*-packet-basics/*",
        ),
        (
            "arn:aws:apigateway:eu-central-1::/apis/jlawcljy/routes/wjxinhzz",
            "arn:aws:apigateway:eu-central-1::/apis/*/routes/*",
        ),
        (
            "arn:aws:apigateway:eu-central-1::/tags/arn%3Aaws%3Aapigateway%3Aeu-central-1%3A%3A%2Fapis%2Fjlawcljy",
            "arn:aws:apigateway:eu-central-1::/tags/*",
        ),
        (
            "arn:aws:elasticloadbalancing:us-east-1:444455556666:listener/net/tf-lb-2026/0123456789abcdef/fedcba9876543210",
            "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/net/*/*/*",
        ),
        (
            "arn:aws:s3:::company-terraform-state/tapstack/x.tfstate.tflock",
            "arn:aws:s3:::company-terraform-state/tapstack/*.tfstate.tflock",
        ),
        (
            "arn:aws:s3:::tapstack-production-xdr-access-123456789012/2026-11-28-10-38-44-5F5540808876DB8D",
            "arn:aws:s3:::tapstack-*-xdr-*/*",
        ),
        ("arn:aws:s3:::tapstack-production-xdr-123456789012/guardduty/", "arn:aws:s3:::tapstack-*-xdr-*/guardduty/"),
        (
            "arn:aws:iam::123456789012:role/OIDC_tapstack-production-xdr-reader-sentinel",
            "arn:aws:iam::111122223333:role/OIDC_tapstack-*-xdr-*",
        ),
        (
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tapstack-production-response/webhooks/soc-a1B2c3",
            "arn:aws:secretsmanager:eu-central-1:111122223333:secret:tapstack-*-response/webhooks/*",
        ),
        (
            "arn:aws:lambda:eu-central-1:123456789012:event-source-mapping:1b6a2f0e-0000-4a1b-8c2d-000000000000",
            "arn:aws:lambda:eu-central-1:111122223333:event-source-mapping:*",
        ),
        (
            "arn:aws:guardduty:eu-central-1:123456789012:detector/e33d35bf0cd1f9498de5ed9eb4a4c39c"
            "/publishingDestination/eabdd877d7662822598c71af7808653a",
            "arn:aws:guardduty:eu-central-1:111122223333:detector/*/publishingDestination/*",
        ),
    ],
)
def test_when_a_resource_is_named_in_a_policy_then_ids_and_sites_are_left_open(resource: str, named: str) -> None:
    assert deploying.general(resource) == named


def statements(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((deploying.FOLDER / name).read_text(encoding="utf-8"))["Statement"]
    return found


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def test_the_role_that_plans_changes_nothing_but_the_lock_and_assumes_no_role_that_does() -> None:
    reads = re.compile(r"\w+:(Describe|Get|List|Validate)\w*|apigateway:GET")
    others = {
        (action, resource)
        for name in PLANNING
        for statement in statements(name)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if not reads.fullmatch(action)
    }

    assert others == {
        ("s3:PutObject", "arn:aws:s3:::company-terraform-state/tapstack/tapstack/*.tfstate.tflock"),
        ("s3:DeleteObject", "arn:aws:s3:::company-terraform-state/tapstack/tapstack/*.tfstate.tflock"),
        ("sts:AssumeRole", "arn:aws:iam::444455556666:role/tapstack-plan"),
    }


def test_only_the_role_that_applies_may_assume_the_role_that_applies() -> None:
    assumed = {
        file.name: [
            statement["Resource"] for statement in statements(file.name) if "sts:AssumeRole" in statement["Action"]
        ]
        for file in POLICIES
    }

    assert {name: roles for name, roles in assumed.items() if roles} == {
        "plan.json": ["arn:aws:iam::444455556666:role/tapstack-plan"],
        "apply-capture.json": ["arn:aws:iam::444455556666:role/tapstack-deploy"],
    }


def follow_the_page(directory: Path, given: dict[str, str]) -> Path:
    """Put names into a copy of the policies, by the page's own command."""
    page = (deploying.FOLDER / "README.md").read_text(encoding="utf-8")
    (block,) = (found for found in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "OTHER_ACCOUNT=" in found)
    command = block[block.index("(cd docs/iam") :]
    copy = directory / "docs/iam"
    # Those of responders have commands of their own.
    shutil.copytree(deploying.FOLDER, copy, ignore=shutil.ignore_patterns("responders"))
    subprocess.run(["sh", "-ec", command], cwd=directory, env={"PATH": "/usr/bin:/bin", **given}, check=True)
    return copy


def test_when_the_page_is_followed_then_no_name_of_the_example_is_left(tmp_path: Path) -> None:
    given = {
        "ACCOUNT": "999900001111",
        "OTHER_ACCOUNT": "999900002222",
        "REGION": "ap-south-1",
        "PROJECT": "northwind",
        "BUCKET": "northwind-states",
        "KEY_PREFIX": "terraform/capture",
        "KEY_ID": "key-of-the-state",
        "PLAN_ROLE": "reader",
        "DEPLOY_ROLE": "writer",
    }

    copy = follow_the_page(tmp_path, given)

    written = "".join(file.read_text(encoding="utf-8") for file in sorted(copy.rglob("*.json")))
    left = written.replace("tapstack:deployment", "")
    for name in ("tapstack", "111122223333", "444455556666", "eu-central-1", "company", "KEY_ID"):
        assert name not in left
    assert "arn:aws:s3:::northwind-states/terraform/capture/northwind/*.tfstate.tflock" in written
    assert "arn:aws:iam::999900002222:role/reader" in written


def test_when_a_responder_gets_a_policy_then_no_name_of_the_example_is_left(tmp_path: Path) -> None:
    page = (deploying.ROOT / "docs/incidents.md").read_text(encoding="utf-8")
    (block,) = (found for found in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "attach responders" in found)
    shutil.copytree(deploying.FOLDER / "responders", tmp_path / "checkout/docs/iam/responders")
    block = block.replace("=111122223333", "=999900001111").replace("=eu-c", "=ap-c").replace("aws iam", "true")

    (tmp_path / "temporary").mkdir()
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "temporary")}
    subprocess.run(["sh", "-ec", block], cwd=tmp_path / "checkout", env=environment, check=True)

    made = list((tmp_path / "temporary").glob("*/*.json"))
    assert made
    for file in made:
        (statement,) = json.loads(file.read_text(encoding="utf-8"))["Statement"]
        for resource in listed(statement["Resource"]):
            assert resource.startswith("arn:aws:execute-api:ap-central-1:999900001111:a1b2c3d4e5/$default/")


def test_when_the_roles_of_another_account_are_made_then_they_trust_those_of_the_pipeline(tmp_path: Path) -> None:
    page = (deploying.FOLDER / "README.md").read_text(encoding="utf-8")
    (block,) = (found for found in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "PIPELINE_ACCOUNT=" in found)
    block = block.replace("=111122223333", "=999900001111").replace("=444455556666", "=999900002222")
    shutil.copytree(deploying.FOLDER, tmp_path / "docs/iam")
    aws = tmp_path / "bin/aws"
    aws.parent.mkdir()
    aws.write_text('#!/bin/sh\necho "$@" >> "$CALLS"\n', encoding="utf-8")
    aws.chmod(0o755)
    calls = tmp_path / "calls"

    environment = {"PATH": f"{aws.parent}:/usr/bin:/bin", "CALLS": str(calls)}
    subprocess.run(["sh", "-ec", block], cwd=tmp_path, env=environment, check=True)

    copy = tmp_path / "iam-of-site"
    for kind, role in (("plan", "tapstack-plan"), ("apply", "tapstack-deploy")):
        (trust,) = json.loads((copy / f"trust/site-{kind}.json").read_text(encoding="utf-8"))["Statement"]
        assert trust["Principal"] == {"AWS": f"arn:aws:iam::999900001111:role/{role}"}
    policies = "".join(file.read_text(encoding="utf-8") for file in copy.glob("*.json"))
    assert not re.search("111122223333|444455556666|999900001111", policies)
    asked = calls.read_text(encoding="utf-8").splitlines()
    attached = {(line.split()[3], line.rpartition(" ")[2]) for line in asked if "attach-role-policy" in line}
    names = {file.stem for file in POLICIES if file.stem.startswith(("plan", "apply-"))}
    reading = {name for name in names if name.startswith("plan")}
    arn = "arn:aws:iam::999900002222:policy/tapstack-"
    assert reading == {"plan", "plan-xdr"}
    assert attached == {
        (role, arn + name) for role, its in (("tapstack-deploy", names), ("tapstack-plan", reading)) for name in its
    }
    assert {line.split()[3] for line in asked if "create-policy" in line} == {f"tapstack-{name}" for name in names}


def test_the_statement_for_an_encrypted_state_is_the_one_of_the_page() -> None:
    page = (deploying.FOLDER / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)

    generated = json.loads(deploying.render({})["state-key.json"])
    assert json.loads(shown) == generated
    assert statements("state-key.json") == generated["Statement"]


def test_with_the_longest_names_each_policy_fits_into_a_managed_policy(tmp_path: Path) -> None:
    given = {
        "ACCOUNT": "999900001111",
        "OTHER_ACCOUNT": "999900002222",
        "REGION": "ap-southeast-2",
        # As long as the deployment file lets a project's name be, and S3 a bucket's.
        "PROJECT": "p" * 40,
        "BUCKET": "b" * 63,
        "KEY_PREFIX": "terraform/incident-response/capture",
        "KEY_ID": "12345678-1234-1234-1234-123456789012",
        "PLAN_ROLE": "tapstack-plan",
        "DEPLOY_ROLE": "tapstack-deploy",
    }

    lengths = {
        file.name: deploying.length_of(file.read_text(encoding="utf-8"))
        for file in follow_the_page(tmp_path, given).glob("*.json")
    }

    assert len(lengths) == len(POLICIES)
    assert {name: length for name, length in lengths.items() if length > deploying.LONGEST} == {}
