"""The instance that an alert of another tool is about: EC2 says which one it is. What is not certain is not guessed.

Source: Amazon EC2 API Reference, DescribeNetworkInterfaces (filters network-interface-id, addresses.private-ip-address
and vpc-id; an interface that is attached to an instance has the instance's id in its attachment, and since when).
Amazon EC2 User Guide, "Secondary IP addresses for your EC2 instances": only a secondary address moves to another
interface, at any time; EC2 does not say when it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tapstack.domain.alerts import Alert, AlertInstance, Target
from tapstack.domain.incidents import as_moment, as_text
from tapstack.domain.instance_states import GONE_STATES
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.tags import tags_of
from tapstack.responder.capture.interfaces import existing_instances
from tapstack.responder.environment import environment
from tapstack.responder.store import incidents


class Unresolved(Exception):  # noqa: N818
    """What an alert names leads to no instance, or to more than one."""


def resolved(alert: Alert) -> tuple[Alert, Existing]:
    """Return an alert with the instances that it is about, and what EC2 says of these.

    An instance elsewhere is not asked for: the policy only notifies of it. Nor is that of a sample, which does not
    exist. One that is gone, and has an open incident, is meant for certain: the alert belongs to that.

    Raises:
        Unresolved: it leads to no instance of this account and Region, to one that is gone, or to more than one; or
            what it names besides belongs to another instance.
    """
    target = alert.target
    if target is None:
        return _with_its_own(alert)
    if alert.where != environment().home:
        if not target.instance_ids:
            where = alert.where
            raise Unresolved(f"it is about account {where.account_id} in {where.region}, not about this site's")
        return _with(alert, target.instance_ids), existing([])
    if alert.sample:
        return _with(alert, target.instance_ids), existing([])
    if target.instance_ids:
        named = list(target.instance_ids)
    elif target.network_interface_id is not None:
        named = [_of_interface(alert, target.network_interface_id)]
    else:
        named = [_of_address(alert, str(target.private_ip), str(target.vpc_id))]
    there, meant, left_out = _asked(named)
    if not meant:
        raise Unresolved("; ".join(left_out))
    owner = _checked_owner(alert, target, named)
    return replace(_with(alert, meant, owner), left_out=(*alert.left_out, *left_out)), there


def _with_its_own(alert: Alert) -> tuple[Alert, Existing]:
    """Return an alert that has instances already, with those of this site that are meant, and all others."""
    home = environment().home
    there, meant, left_out = _asked([one.id for one in alert.instances if one.where == home and not alert.sample])
    kept = tuple(one for one in alert.instances if one.where != home or alert.sample or one.id in meant)
    if left_out and not kept:
        raise Unresolved("; ".join(left_out))
    return replace(alert, instances=kept, left_out=(*alert.left_out, *left_out)), there


def _asked(ids: Sequence[str]) -> tuple[Existing, list[str], list[str]]:
    """Return what EC2 says of some instances, those that can be meant, and what is said of the others."""
    there = existing(ids)
    captured = _with_open_incident() if there.missing else set()
    meant = [one for one in ids if one in there.ids or one in captured]
    return there, meant, [said for one, said in there.missing.items() if one not in meant]


def _with_open_incident() -> set[str | None]:
    """Return the instances of this account and Region that have an open incident; eventually consistent."""
    home = environment().home
    return {one.instance_id for one in incidents.listed("open") if one.where == home and incidents.is_open(one)}


@dataclass(frozen=True, slots=True)
class Existing:
    """What EC2 says of some instances of this account and Region.

    Attributes:
        ids: those that exist and are not ending.
        missing: what is said of the others, by id.
        tags: of those that EC2 describes, by id.
    """

    ids: list[str]
    missing: dict[str, str]
    tags: dict[str, dict[str, str]]


def existing(ids: Sequence[str]) -> Existing:
    """Return which instances exist and are not ending: the others have no packets any more."""
    described = {one["InstanceId"]: one for one in existing_instances(ids)}
    states = {id_: one["State"]["Name"] for id_, one in described.items()}
    found = [one for one in ids if one in states and states[one] not in GONE_STATES]
    missing = {
        one: f"instance {one} is {states[one]}"
        if one in states
        else f"there is no instance {one} in this account and Region"
        for one in ids
        if one not in found
    }
    tags = {id_: tags_of(one) for id_, one in described.items()}
    return Existing(found, missing, tags)


def _with(alert: Alert, instance_ids: Sequence[str], owner: str | None = None) -> Alert:
    """Return an alert about instances; of several, the interface that it names belongs to its owner, where known."""
    interface = alert.target.network_interface_id if alert.target else None

    def interfaces(instance: str) -> tuple[str, ...]:
        return () if interface is None or (len(instance_ids) > 1 and instance != owner) else (interface,)

    return replace(alert, instances=tuple(AlertInstance(one, alert.where, interfaces(one)) for one in instance_ids))


def _checked_owner(alert: Alert, target: Target, named: list[str]) -> str | None:
    """Check that the interface and the address that an alert names besides are those of one of its instances.

    Returns:
        The instance of the interface that is named; None where none is, or it is not known.

    Raises:
        Unresolved: one is another instance's.
    """
    asked, owners = [], {}
    if target.network_interface_id is not None and target.instance_ids:
        interface = target.network_interface_id
        asked.append((f"interface {interface}", {"network-interface-id": interface}))
    if target.private_ip is not None and (target.instance_ids or target.network_interface_id is not None):
        address, vpc_id = target.private_ip, str(target.vpc_id)
        asked.append((f"address {address} in {vpc_id}", _by_address(address, vpc_id)))
    for what, filters in asked:
        described = _interfaces(filters)
        is_further = _ADDRESS in filters and _with_further(described, filters[_ADDRESS]) is not None
        owner = None if is_further or _attached_since(alert, described) else _owner(described)
        # What is unknown, attached to none, attached after the alert, or free to move speaks against nothing.
        if owner is not None and owner not in named:
            raise Unresolved(f"it names {_said(target, named)}, but its {what} is that of {owner}")
        owners[what] = owner
    return owners.get(f"interface {target.network_interface_id}")


def _of_interface(alert: Alert, interface: str) -> str:
    found = _interfaces({"network-interface-id": interface})
    if not found:
        raise Unresolved(f"there is no network interface {interface} in this account and Region")
    return _attached(alert, found, f"network interface {interface}")


def _of_address(alert: Alert, address: str, vpc_id: str) -> str:
    found = _interfaces(_by_address(address, vpc_id))
    if len(found) != 1:
        number = f"{len(found)} network interfaces have" if found else "no network interface has"
        raise Unresolved(f"{number} the address {address} in {vpc_id}")
    if (interface := _with_further(found, address)) is not None:
        raise Unresolved(
            f"the address {address} in {vpc_id} is a further one of {interface}, and EC2 does not say since when: "
            "which instance had it then is not known. Let the tool send the id of the instance, or of its interface"
        )
    return _attached(alert, found, f"the interface with the address {address} in {vpc_id}")


def _attached(alert: Alert, found: list[dict[str, Any]], named: str) -> str:
    """Return the instance of the one interface.

    Raises:
        Unresolved: it has none, or did not have it yet when what the alert reports was seen.
    """
    if (owner := _owner(found)) is None:
        raise Unresolved(f"{named} is attached to no instance")
    if (since := _attached_since(alert, found)) is not None:
        raise Unresolved(
            f"{named} is attached to {owner} since {since}, after what it reports was seen last, at {alert.last_seen}: "
            "which instance had it then is not known"
        )
    return owner


def _attached_since(alert: Alert, found: list[dict[str, Any]]) -> str | None:
    """Return since when an interface is attached, where that is after the alert's own time; otherwise None."""
    seen = as_moment(alert.last_seen)
    moments = [at for item in found if (at := item.get("Attachment", {}).get("AttachTime")) is not None]
    # Alerts have their times to the second.
    late = [at for at in moments if seen is not None and at.replace(microsecond=0) > seen]
    return as_text(max(late)) if late else None


def _said(target: Target, found: list[str]) -> str:
    return ", ".join(found) if target.instance_ids else f"{target.network_interface_id} of {found[0]}"


_ADDRESS: Final = "addresses.private-ip-address"


def _by_address(address: str, vpc_id: str) -> dict[str, str]:
    return {_ADDRESS: address, "vpc-id": vpc_id}


def _with_further(found: list[dict[str, Any]], address: str) -> str | None:
    """Return the interface that has an address as a further one, which can move at any time; None where none has."""
    return next((item["NetworkInterfaceId"] for item in found if item.get("PrivateIpAddress") != address), None)


def _interfaces(filters: Mapping[str, str]) -> list[dict[str, Any]]:
    # Filters, because an unknown id in NetworkInterfaceIds would fail the call.
    asked = [{"Name": name, "Values": [value]} for name, value in filters.items()]
    pages = client("ec2").get_paginator("describe_network_interfaces").paginate(Filters=asked)
    return [item for page in pages for item in page["NetworkInterfaces"]]


def _owner(found: list[dict[str, Any]]) -> str | None:
    """Return the instance that the one interface is attached to; None where there is none."""
    ids = {item.get("Attachment", {}).get("InstanceId") for item in found}
    return next(iter(ids)) if len(ids) == 1 else None
