"""Three changes that every deployment sees one day, each made alone: a source, a filter rule, a target.

What Terraform plans for each is compared with what the change should touch, and then applied.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from strictmoto.company import IMAGE
from tapstack.rehearsal.deployment import SiteDeployment

Document = dict[str, Any]
"""A deployment file as plain data."""

_SESSION: Final = "aws_ec2_traffic_mirror_session"
_RULE: Final = "aws_ec2_traffic_mirror_filter_rule"
_PORTS: Final = ("8443", "8444")


@dataclass(frozen=True, slots=True)
class Change:
    """A change, and all that it should touch.

    Attributes:
        title: of the change, in the report.
        document: the deployment file after it.
        addresses: pattern of the addresses that it should touch.
        actions: what Terraform should do with each of them.
        count: how many they are.
    """

    title: str
    document: Document
    addresses: str
    actions: list[str]
    count: int = 1

    def is_right(self, touched: Mapping[str, list[str]]) -> bool:
        """Return whether exactly what should be touched is touched."""
        return len(touched) == self.count and all(
            actions == self.actions and re.fullmatch(self.addresses, address) for address, actions in touched.items()
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """A change that was made.

    Attributes:
        title: of the change.
        touched: what Terraform did, by address.
        expected: what it should have done, in words.
        right: that it did exactly that.
    """

    title: str
    touched: dict[str, list[str]]
    expected: str
    right: bool


@dataclass(slots=True)
class Spares:
    """Resources that the changes need besides those of the deployment; take them back with `remove`.

    Args:
        ec2: a client of the site's account and Region.
    """

    ec2: Any
    _undo: list[Callable[[], Any]] = field(default_factory=list)

    def source(self, subnet: str, tags: Mapping[str, str]) -> str:
        """Make a network interface that can be mirrored."""
        made = self.ec2.create_network_interface(SubnetId=subnet, Description="a spare source")
        interface = str(made["NetworkInterface"]["NetworkInterfaceId"])
        if tags:
            self.ec2.create_tags(Resources=[interface], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
        self._undo.append(lambda: self.ec2.delete_network_interface(NetworkInterfaceId=interface))
        return interface

    def server(self, subnet: str, tags: Mapping[str, str]) -> str:
        """Start an instance with such an interface, and return the interface: lookups find no idle ones."""
        interface = self.source(subnet, tags)
        nic = {"NetworkInterfaceId": interface, "DeviceIndex": 0}
        made = self.ec2.run_instances(
            ImageId=IMAGE, InstanceType="m5.large", MinCount=1, MaxCount=1, NetworkInterfaces=[nic]
        )
        instance = made["Instances"][0]["InstanceId"]
        self._undo.append(lambda: self.ec2.terminate_instances(InstanceIds=[instance]))
        return interface

    def target(self) -> str:
        """Make a target in a VPC of its own, where no lookup of the site finds its interface."""
        ec2 = self.ec2
        vpc = ec2.create_vpc(CidrBlock="10.250.0.0/24")["Vpc"]["VpcId"]
        self._undo.append(lambda: ec2.delete_vpc(VpcId=vpc))
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.250.0.0/24")["Subnet"]["SubnetId"]
        self._undo.append(lambda: ec2.delete_subnet(SubnetId=subnet))
        interface = self.source(subnet, {})
        made = ec2.create_traffic_mirror_target(NetworkInterfaceId=interface)["TrafficMirrorTarget"]
        target = str(made["TrafficMirrorTargetId"])
        self._undo.append(lambda: ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=target))
        return target

    def remove(self) -> None:
        """Take everything back, youngest first."""
        while self._undo:
            self._undo.pop()()


def rehearse_changes(
    site: SiteDeployment, name: str, document: Document, spares: Spares, write: Callable[[str], Any]
) -> Iterator[Outcome]:
    """Make the changes one after the other, and return what each touched.

    Args:
        site: deployed, and planned without a difference.
        name: of the site.
        document: what is deployed.
        spares: where further sources and targets come from.
        write: synthesizes the text of a deployment file.
    """
    for prepare in (_add_source, _change_rule, _replace_target):
        change = prepare(name, copy.deepcopy(document), site.addresses(), spares)
        if change is None:
            continue
        write(json.dumps(change.document))
        touched = site.changes()
        site.apply_planned()
        expected = f"{' and '.join(change.actions)} of {change.count} matching {change.addresses}"
        yield Outcome(change.title, touched, expected, change.is_right(touched))
        document = change.document


def _add_source(name: str, document: Document, addresses: list[str], spares: Spares) -> Change | None:
    for group, settings in _groups(document, name):
        for source in settings["sources"]:
            interface = _interface_beside(source, document["sites"][name], spares)
            if interface is None:
                continue
            if _named_interface(source):
                settings["sources"].append(interface)
            title = f"a source added to {group}"
            return Change(title, document, re.escape(f'{_SESSION}.{group}["{interface}"]'), ["create"])
    return None


def _interface_beside(source: Any, site: Mapping[str, Any], spares: Spares) -> str | None:
    """Make an interface like a source: in the same subnet, or on a new server that the lookup finds."""
    if named := _named_interface(source):
        found = spares.ec2.describe_network_interfaces(NetworkInterfaceIds=[named])["NetworkInterfaces"]
        return spares.source(found[0]["SubnetId"], {})
    if "instance_id" in source:
        return None
    subnet = source.get("subnet_id")
    if subnet is None:
        asked = [{"Name": "vpc-id", "Values": [source.get("vpc_id", site["vpc_id"])]}]
        subnet = spares.ec2.describe_subnets(Filters=asked)["Subnets"][0]["SubnetId"]
    return spares.server(subnet, source.get("tags", {}))


def _named_interface(source: Any) -> str | None:
    return source if isinstance(source, str) else source.get("network_interface_id")


def _change_rule(name: str, document: Document, addresses: list[str], spares: Spares) -> Change | None:
    for filter_name, settings in (document["sites"][name].get("filters") or {}).items():
        for rule in settings.get("rules") or ():
            if "destination_ports" in rule:
                rule["destination_ports"] = next(port for port in _PORTS if str(rule["destination_ports"]) != port)
            else:
                rule["description"] = f"{rule.get('description', '')} changed".strip()
            pattern = rf"{_RULE}\.filter-{re.escape(filter_name)}_.+"
            return Change(f"a rule of the filter {filter_name} changed", document, pattern, ["update"])
    return None


def _replace_target(name: str, document: Document, addresses: list[str], spares: Spares) -> Change | None:
    for group, settings in _groups(document, name):
        count = sum(address.startswith(f"{_SESSION}.{group}[") for address in addresses)
        if count:
            # Another target for the sessions, not another destination of the same: AWS has no such change.
            settings["target"] = spares.target()
            pattern = rf"{_SESSION}\.{re.escape(group)}\[.+\]"
            return Change(f"the target of {group} replaced", document, pattern, ["update"], count)
    return None


def _groups(document: Document, name: str) -> Iterator[tuple[str, Any]]:
    yield from (document["sites"][name].get("sessions") or {}).items()
