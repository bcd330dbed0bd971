"""The security groups of a network interface: isolation itself.

Each interface is changed by a call of its own, because ModifyInstanceAttribute refuses instances that have several.
The quarantine group has no rules for IPv6 either.

Source: Amazon EC2 API Reference, ModifyNetworkInterfaceAttribute and DescribeNetworkInterfaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from tapstack.domain.containment import PriorState, Value
from tapstack.domain.ec2_filters import FILTER_VALUES
from tapstack.domain.quarantine import rule_lines
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of, message_of
from tapstack.responder.containment.changes.gone import Gone, gone_when


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return the groups of each interface that exists, attached or not."""
    return {
        item["NetworkInterfaceId"]: [group["GroupId"] for group in item["Groups"]]
        for item in interfaces([one.key for one in prior_states])
    }


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Give an interface exactly these groups."""
    with gone_with(prior.key):
        client("ec2").modify_network_interface_attribute(NetworkInterfaceId=prior.key, Groups=list(to))


restore = change


@contextmanager
def gone_with(network_interface_id: str) -> Iterator[None]:
    """Raise Gone for an error of a call about an interface that does not exist any more.

    The role may change interfaces of some VPCs alone, so IAM may refuse the call before EC2 says that there is none.
    """
    try:
        with gone_when("InvalidNetworkInterfaceID.NotFound"):
            yield
    except ClientError as error:
        if code_of(error) == "UnauthorizedOperation" and not interfaces([network_interface_id]):
            raise Gone(message_of(error)) from error
        raise


def interfaces(ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return those of these interfaces that exist."""
    # A filter, because an unknown id in NetworkInterfaceIds would fail the whole call.
    return list(_filtered("describe_network_interfaces", "NetworkInterfaces", "network-interface-id", ids))


def members(group_ids: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the interfaces that have one of these security groups, and no other ones."""
    asked = sorted(set(group_ids))
    for item in _filtered("describe_network_interfaces", "NetworkInterfaces", "group-id", asked):
        if {group["GroupId"] for group in item["Groups"]} <= set(asked):
            yield item


def missing(group_ids: Iterable[str]) -> set[str]:
    """Return those of these security groups that do not exist any more."""
    asked = set(group_ids)
    return asked - {group["GroupId"] for group in described(asked)}


def described(group_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return those of these security groups that exist, as EC2 describes them."""
    return list(_filtered("describe_security_groups", "SecurityGroups", "group-id", sorted(set(group_ids))))


def rules(group_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the rules of those of these security groups that have any, by id, a line each."""
    found = {group["GroupId"]: tuple(sorted(rule_lines(group))) for group in described(group_ids)}
    return {group_id: lines for group_id, lines in found.items() if lines}


def _filtered(operation: str, result: str, name: str, values: Sequence[str]) -> Iterator[dict[str, Any]]:
    pages = client("ec2").get_paginator(operation)
    for start in range(0, len(values), FILTER_VALUES):
        some = list(values[start : start + FILTER_VALUES])
        for page in pages.paginate(Filters=[{"Name": name, "Values": some}]):
            yield from page[result]
