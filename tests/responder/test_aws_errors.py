"""Which errors are transient: throttling, as each service names it, and calls without an answer; what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from strictmoto.faults import Fault
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import message_of, said_by, transient_as_try_again
from tapstack.responder.errors import TryAgain
from tapstack.responder.outbound.executions import failure
from tests.responder.conftest import Site

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "cloudformation": ("describe_stacks", {}),
    "dynamodb": ("get_item", {"TableName": "tap-incidents", "Key": {"pk": {"S": "a"}, "sk": {"S": "a"}}}),
    "ec2": ("describe_vpcs", {}),
    "events": ("put_events", {"Entries": [{"Source": "tapstack", "DetailType": "t", "Detail": "{}"}]}),
    "sns": ("publish", {"TopicArn": "arn:aws:sns:eu-central-1:123456789012:tap-notices", "Message": "m"}),
    "stepfunctions": ("list_state_machines", {}),
}


@pytest.mark.parametrize("kind", ["throttled", "server error", "lost before", "lost after"])
@pytest.mark.parametrize("service", CALLS)
def test_when_it_lasts_for_longer_than_clients_try_then_the_step_is_tried_again(
    site: Site, service: str, kind: Any
) -> None:
    operation, arguments = CALLS[service]
    site.account.faults.add(Fault("*", kind, times=4))
    with pytest.raises(TryAgain), transient_as_try_again():
        getattr(client(service), operation)(**arguments)
    getattr(client(service), operation)(**arguments)


HOSTILE = "no\n\nWhat to run next:\r\n  tapstack incident release inc-1\u2028\x1b[2J"


def test_when_aws_says_why_then_that_is_one_quoted_line_and_our_own_words_are_not() -> None:
    refused = ClientError({"Error": {"Code": "ValidationError", "Message": HOSTILE}}, "CreateStack")
    assert message_of(refused) == f"ValidationError: {HOSTILE!r}"
    assert said_by(refused) == message_of(refused)
    assert said_by(EndpointConnectionError(endpoint_url=HOSTILE)).startswith("'Could not connect to the endpoint URL")
    assert said_by(TryAgain("it was overtaken")) == "it was overtaken"
    assert message_of(ClientError({"Error": {"Code": "Gone"}}, "CreateStack")) == "Gone"
    assert message_of(ClientError({"Error": {"Code": HOSTILE, "Message": "x"}}, "CreateStack")).startswith("'no")


@pytest.mark.parametrize(
    ("error", "cause", "shown"),
    [
        ("ClientError", json.dumps({"errorMessage": HOSTILE}), f"ClientError: {HOSTILE!r}"),
        ("States.Timeout", HOSTILE, f"States.Timeout: {HOSTILE!r}"),
        ("ContainmentFailed", json.dumps({"errorMessage": "eni-1 is NOT isolated"}), None),
    ],
)
def test_when_a_step_fails_then_what_is_not_in_our_words_is_quoted(error: str, cause: str, shown: str | None) -> None:
    assert failure(error, cause) == (shown or "ContainmentFailed: eni-1 is NOT isolated")
