"""The service control policies of docs/security.md: whom they stop, and whom they must not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from strictmoto.iam.policies import Request, Resource, judge, read_policy

PAGE = (Path(__file__).resolve().parents[2] / "docs/security.md").read_text(encoding="utf-8")
TAGS, POLICY = map(json.loads, re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
ACTIONS = [
    "CancelUpdateStack",
    "ContinueUpdateRollback",
    "CreateChangeSet",
    "DeleteStack",
    "ExecuteChangeSet",
    "RollbackStack",
    "SetStackPolicy",
    "UpdateStack",
]
ROLE = "arn:aws:iam::111122223333:role/"


def allows(role: str, action: str, stack: str = "tapstack-production-epb") -> bool:
    """Return whether the policy leaves a call to a role, to which all else allows it."""
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    arn = f"arn:aws:cloudformation:eu-central-1:111122223333:stack/{stack}/1b6a2f0e"
    asked = Request(f"cloudformation:{action}", (Resource(arn),), {"aws:PrincipalArn": (ROLE + role,)})
    return judge(read_policy({**POLICY, "Statement": [anything, *POLICY["Statement"]]}), asked).allowed


@pytest.mark.parametrize("action", ACTIONS)
def test_when_others_call_then_they_are_stopped_at_this_stack_only(action: str) -> None:
    assert not allows("developer", action)
    assert not allows("tapstack-production-response-api", action)
    assert allows("developer", action, stack="another")
    assert f"`{action}`" in PAGE


@pytest.mark.parametrize("action", ACTIONS)
def test_when_the_appliance_of_a_site_has_a_role_then_others_are_stopped_at_its_stack_too(action: str) -> None:
    assert not allows("developer", action, stack="tapstack-production-packet-basics")
    assert allows("tapstack-deploy", action, stack="tapstack-production-packet-basics")


@pytest.mark.parametrize("role", ["appliance", "sweeper"])
def test_when_an_appliance_is_retired_then_its_functions_are_not_stopped(role: str) -> None:
    assert allows(f"tapstack-production-response-{role}", "DeleteStack")
    assert allows("tapstack-deploy", "UpdateStack")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("stack", ["tapstack-production-epb", "tapstack-production-packet-basics"])
def test_when_a_stack_is_within_the_stack_then_others_are_stopped_at_it_and_its_role_is_not(
    stack: str, action: str
) -> None:
    nested = f"{stack}-Nested-1A2B3C4D5E6F"
    assert not allows("developer", action, stack=nested)
    role = "response-epb" if stack.endswith("-epb") else "packet-basics-role"
    assert allows(f"tapstack-production-{role}", action, stack=nested)


@pytest.mark.parametrize(
    ("role", "action", "key", "allowed"),
    [
        ("web", "CreateTags", "tapstack-protected", False),
        ("web", "DeleteTags", "tapstack-protected", False),
        # IAM compares keys of tags without regard to case, as the plan of a containment does.
        ("web", "CreateTags", "Tapstack-Protected", False),
        ("web", "CreateTags", "Name", True),
        ("administrators", "CreateTags", "tapstack-protected", True),
    ],
)
def test_when_an_instance_tags_itself_then_only_administrators_give_the_tag_that_protects(
    role: str, action: str, key: str, allowed: bool
) -> None:
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    instance = Resource("arn:aws:ec2:eu-central-1:111122223333:instance/i-0123456789abcdef0")
    context = {"aws:PrincipalArn": (ROLE + role,), "aws:TagKeys": ("Name", key)}
    asked = Request(f"ec2:{action}", (instance,), context)
    policy = read_policy({**TAGS, "Statement": [anything, *TAGS["Statement"]]})
    assert judge(policy, asked).allowed is allowed
