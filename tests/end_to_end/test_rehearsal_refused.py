"""Without a statement of its role, each part of the response is really refused, with AWS's own error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from strictmoto.recorder import Record
from tapstack.cli.incident_api import ServiceError
from tests.end_to_end.deployed import SITE, DeployedResponse, NotThereError, wait_for
from tests.end_to_end.scenarios import find, heard_by, the_template_makes_a_role_within_the_boundary

CODES: Final = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})
EPB: Final = "epb"
"""CloudFormation makes the appliance with it."""


def opened(response: DeployedResponse) -> None:
    """The stack mirrors the first interface by itself; the second is left for the capture."""
    with contextlib.suppress(ServiceError):
        response.open("database")


def contained(response: DeployedResponse) -> None:
    response.contain(response.captured("database"))


def released(response: DeployedResponse) -> None:
    incident = response.captured("database")
    response.contain(incident)
    response.until_settled(incident, "contained")
    response.release(incident)


def found(response: DeployedResponse) -> None:
    with heard_by(response):
        find(response, response.company.instances["web-1"], "without")


def alerted(response: DeployedResponse) -> None:
    """An alert of another tool by the API, which cannot be kept."""
    alert = {"version": "1", "alert_id": "a-1", "severity": "low", "target": {"instance_id": "i-0123456789abcdef0"}}
    with contextlib.suppress(ServiceError):
        response.api.post("/alerts/soar", alert, repeatable=False, holds="kept")


def swept(response: DeployedResponse) -> None:
    response.account.client("lambda").invoke(FunctionName=response.function("sweeper"), Payload=b"{}")


def scheduled(response: DeployedResponse) -> None:
    response.set_sweeper("ENABLED")


CASES: Final[dict[str, tuple[str, Callable[[DeployedResponse], None]]]] = {
    "api": ("states:StartExecution", opened),
    "incidents-workflow": ("lambda:InvokeFunction", opened),
    "prepare": ("ec2:DescribeInstances", opened),
    "appliance": ("cloudformation:CreateStack", opened),
    "capture": ("ec2:CreateTrafficMirrorSession", opened),
    "incident": ("dynamodb:GetItem", opened),
    "containment": ("ec2:ModifyNetworkInterfaceAttribute", contained),
    "release": ("ec2:ModifyNetworkInterfaceAttribute", released),
    "findings": ("dynamodb:GetItem", found),
    "alerts": ("sqs:SendMessage", alerted),
    "sweeper": ("dynamodb:Query", swept),
    "sweeper-schedule": ("lambda:InvokeFunction", scheduled),
    EPB: ("ec2:CreateTrafficMirrorFilter", opened),
}
"""By role: an action whose statement is taken away, and what makes the role need it."""


@pytest.fixture
def response(deployed: dict[str, DeployedResponse]) -> Iterator[DeployedResponse]:
    """A response that is as it was deployed, before and afterwards."""
    its = deployed[SITE]
    its.account.recorder.clear()
    yield its
    its.set_sweeper("DISABLED")
    # What a refusal leaves half done is not what is tried here.
    its.wipe()


def test_when_a_role_is_deployed_then_it_is_tried(response: DeployedResponse) -> None:
    assert {arn.removeprefix(response.role("")) for arn in response.roles} == {*CASES}


@pytest.mark.parametrize("name", CASES)
def test_fails_when_a_statement_is_missing(response: DeployedResponse, name: str) -> None:
    action, provoke = CASES[name]
    with without(response, name, action):
        provoke(response)
        wait_for(lambda: bool(refused(response, name, action)), lambda: f"{name} is not refused {action}")
    [record, *_] = refused(response, name, action)
    assert record.error in CODES
    if provoke in (contained, released):
        # With the statement in place again, what was changed is changed back.
        response.clean()


def test_fails_when_a_statement_of_the_stack_is_missing(response: DeployedResponse) -> None:
    with without(response, EPB, "iam:CreateRole"), pytest.raises(NotThereError) as failed:
        the_template_makes_a_role_within_the_boundary(_Only(response))  # type: ignore[arg-type]
    assert "/AWSCloudFormation is not authorized to perform: iam:CreateRole" in str(failed.value)


class _Only:
    """As much of the scenarios as one of them needs."""

    def __init__(self, response: DeployedResponse) -> None:
        self.response = response


@contextlib.contextmanager
def without(response: DeployedResponse, name: str, action: str) -> Iterator[None]:
    """Take the statements from a role's policy that allow an action, for a while."""
    iam = response.account.client("iam")
    role = response.role(name).rpartition("/")[2]
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    of_role = {"RoleName": role, "PolicyName": policy}
    document: dict[str, Any] = iam.get_role_policy(**of_role)["PolicyDocument"]
    statements = document["Statement"]
    less = {**document, "Statement": [one for one in statements if action not in _listed(one["Action"])]}
    assert less != document
    iam.put_role_policy(**of_role, PolicyDocument=json.dumps(less))
    try:
        yield
    finally:
        iam.put_role_policy(**of_role, PolicyDocument=json.dumps(document))


def refused(response: DeployedResponse, name: str, action: str) -> list[Record]:
    """Return the calls of a role that IAM refused because of an action."""
    refusal = f"is not authorized to perform: {action}".encode()
    return [record for record in response.records(name) if record.status >= 400 and refusal in record.body]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
