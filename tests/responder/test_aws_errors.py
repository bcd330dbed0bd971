"""Which errors are transient: throttling, as each service names it, and calls without an answer."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.faults import Fault
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import transient_as_try_again
from tapstack.responder.errors import TryAgain
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
