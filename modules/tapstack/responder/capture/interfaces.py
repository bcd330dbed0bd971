"""The network interfaces of an incident, and whether AWS can mirror them.

Sources: Amazon EC2 API Reference, DescribeInstances and DescribeNetworkInterfaces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from tapstack.domain import capture_plan
from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.capture_plan import Interface
from tapstack.domain.ec2_filters import FILTER_VALUES
from tapstack.domain.instance_states import GONE_STATES
from tapstack.responder.appliance import stacks
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.aws.tags import tags_of
from tapstack.responder.capture import sessions
from tapstack.responder.environment import environment
from tapstack.responder.errors import NothingToCapture
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident, IncidentInterface


def prepare(incident_id: str) -> dict[str, Any]:
    """Find the interfaces of an incident and refuse those that cannot be mirrored.

    Returns:
        `eligible` (ids), `refused` (how many), and for the appliance to be launched
        `source_interface` and `source_number`: the first eligible interface that accepts another
        session, and its first free session number.

    Raises:
        NothingToCapture: the instance does not exist any more, or no interface can be mirrored.
    """
    incident = incidents.get(incident_id)
    found = _of_instance(incident) if incident.instance_id else _named(incident.network_interface_ids)
    refused = refusals(found)
    eligible = [interface.id for interface in found if interface.id not in refused]
    notes = {interface.id: _warnings(interface) for interface in found}
    source, number = _source(eligible)
    # Entries of an earlier call of this step are kept.
    before = {one.network_interface_id: one for one in incident.interfaces}
    interfaces = [_listed(i.id, refused.get(i.id), notes[i.id], before.get(i.id)) for i in found]
    incidents.record_prepared(incident_id, interfaces, (source, number), {one.id: one.place for one in found})
    if not before:
        for note in filter(None, notes.values()):
            incidents.add_event(incident_id, "prepare", "warning", note)
    if not eligible:
        raise NothingToCapture(
            "no network interface can be mirrored: " + "; ".join(f"{id_}: {why}" for id_, why in refused.items())
        )
    return {
        "eligible": eligible,
        "refused": len(refused),
        "source_interface": source,
        "source_number": number,
    }


def _source(eligible: list[str]) -> tuple[str | None, int | None]:
    """Return the interface that the stack of a launched appliance mirrors itself; None for an existing appliance."""
    if not isinstance(environment().appliance, DeployedLaunch) or not eligible:
        return None, None
    there = sessions.facts(sessions.on_interfaces(eligible))
    for interface in eligible:
        if (number := capture_plan.number_for(interface, there)) is not None:
            return interface, number
    return None, None


def _of_instance(incident: Incident) -> list[Interface]:
    instance_id = incident.named_instance_id
    try:
        found = instances([instance_id])
    except ClientError as error:
        if code_of(error).startswith("InvalidInstanceID"):
            raise _gone(incident, f"there is no instance {instance_id} in this account and Region") from error
        raise
    if not found:
        raise _gone(incident, f"there is no instance {instance_id} in this account and Region")
    if (state := found[0]["State"]["Name"]) in GONE_STATES:
        raise _gone(incident, f"instance {instance_id} is {state}: it has no packets any more")
    return of_instance(found[0])


def of_instance(instance: dict[str, Any]) -> list[Interface]:
    """Return the network interfaces of an instance, as EC2 describes it."""
    # The primary one first: it is mirrored where the target does not take all.
    attached = sorted(instance.get("NetworkInterfaces", []), key=lambda one: one["Attachment"]["DeviceIndex"])
    return [_interface(one, instance) for one in attached]


def refusals(found: Collection[Interface]) -> dict[str, str]:
    """Return which network interfaces cannot, or should not, be mirrored, and why."""
    accept = environment().capture.accept_unsupported_instance_types
    return {
        interface.id: reason
        for interface in found
        if (reason := capture_plan.refusal(interface, accept_unsupported_instance_types=accept))
    }


def _gone(incident: Incident, why: str) -> NothingToCapture:
    incidents.record_gone(incident.id)
    return NothingToCapture(why)


def _named(ids: Sequence[str]) -> list[Interface]:
    pages = client("ec2").get_paginator("describe_network_interfaces")
    # A filter, because an unknown id in NetworkInterfaceIds would fail the whole call.
    filters = [{"Name": "network-interface-id", "Values": list(ids)}]
    described = {
        item["NetworkInterfaceId"]: item
        for page in pages.paginate(Filters=filters)
        for item in page["NetworkInterfaces"]
    }
    if not described:
        raise NothingToCapture(f"there is no network interface {', '.join(ids)} in this account and Region")
    attached = {_instance_of(item) for item in described.values()} - {None}
    of_id = {item["InstanceId"]: item for item in instances(sorted(filter(None, attached)))} if attached else {}
    return [
        _interface(described[id_], of_id.get(_instance_of(described[id_]) or "")) if id_ in described else _missing(id_)
        for id_ in ids
    ]


def instances(ids: list[str]) -> list[dict[str, Any]]:
    """Return instances as EC2 describes them, those of the same reservations too.

    Raises:
        ClientError: InvalidInstanceID.NotFound, when one does not exist.
    """
    pages = client("ec2").get_paginator("describe_instances").paginate(InstanceIds=ids)
    return [item for page in pages for reservation in page["Reservations"] for item in reservation["Instances"]]


def existing_instances(ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield those of the instances that exist in this account and Region, as EC2 describes them."""
    pages = client("ec2").get_paginator("describe_instances")
    for begin in range(0, len(ids), FILTER_VALUES):
        # A filter, because an unknown id in InstanceIds would fail the whole call.
        values = list(ids[begin : begin + FILTER_VALUES])
        for page in pages.paginate(Filters=[{"Name": "instance-id", "Values": values}]):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]


def instances_of(ids: Collection[str]) -> dict[str, str]:
    """Return the instances that network interfaces are attached to, by interface; others are left out."""
    listed, found = sorted(ids), {}
    pages = client("ec2").get_paginator("describe_network_interfaces")
    for begin in range(0, len(listed), FILTER_VALUES):
        filters = [{"Name": "network-interface-id", "Values": listed[begin : begin + FILTER_VALUES]}]
        for page in pages.paginate(Filters=filters):
            for item in page["NetworkInterfaces"]:
                if (instance := _instance_of(item)) is not None:
                    found[item["NetworkInterfaceId"]] = instance
    return found


def _instance_of(described: dict[str, Any]) -> str | None:
    found = described.get("Attachment", {}).get("InstanceId")
    return None if found is None else str(found)


def _interface(described: dict[str, Any], instance: dict[str, Any] | None) -> Interface:
    interface_id = described["NetworkInterfaceId"]
    return Interface(
        id=interface_id,
        type=described.get("InterfaceType", "interface"),
        vpc_id=described.get("VpcId"),
        instance_id=instance["InstanceId"] if instance else None,
        instance_type=instance.get("InstanceType") if instance else None,
        requester_managed=described.get("RequesterManaged", False),
        appliance=_is_appliance(described, instance),
        addresses=_addresses(described),
    )


def _addresses(described: dict[str, Any]) -> tuple[str, ...]:
    private = described.get("PrivateIpAddresses", [])
    public = [one["Association"].get("PublicIp") for one in private if "Association" in one]
    sixes = [one["Ipv6Address"] for one in described.get("Ipv6Addresses", [])]
    return tuple(filter(None, (*(one["PrivateIpAddress"] for one in private), *public, *sixes)))


def _missing(interface_id: str) -> Interface:
    return Interface(interface_id, type="none, because it does not exist")


def _is_appliance(described: dict[str, Any], instance: dict[str, Any] | None) -> bool:
    """Return whether the interface is that of an appliance: it would receive its own packets."""
    appliance = environment().appliance
    if isinstance(appliance, DeployedLaunch):
        return stacks.creates(appliance.stack_name, tags_of(instance or {}))
    interfaces = [described, *(instance or {}).get("NetworkInterfaces", [])]
    if appliance.target_interface_id in [interface["NetworkInterfaceId"] for interface in interfaces]:
        return True
    # The same address may be another instance's in another VPC.
    addresses = {
        address["PrivateIpAddress"]
        for interface in interfaces
        if interface.get("VpcId") == environment().vpc_id
        for address in interface.get("PrivateIpAddresses", [])
    }
    return not {(instance or {}).get("InstanceId"), *addresses}.isdisjoint(appliance.target_appliances)


def _warnings(interface: Interface) -> str:
    return "; ".join(capture_plan.warnings(interface, vpc_id=environment().vpc_id))


def _listed(interface_id: str, refused: str | None, note: str, before: IncidentInterface | None) -> IncidentInterface:
    if before is not None and before.state == "mirrored":
        return before
    return IncidentInterface(interface_id, "refused" if refused else "eligible", note=refused or note)
