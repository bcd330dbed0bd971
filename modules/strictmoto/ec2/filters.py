"""Filters of EC2's Describe actions: those that AWS has are applied, and others refused.

moto filters where it can, which is fast. Where it lacks a filter, or answers it wrongly, it describes everything, and
the answer is filtered here, member by member.

Sources: Amazon EC2 API Reference, the Describe actions; Amazon EC2 User Guide, "Filter resources using the API".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError

from strictmoto.ec2.answers import parse, write
from strictmoto.ec2.filter_names import documented, is_of_tags, items_of, path_of

Answer = tuple[int, Any, Any]
Filters = Sequence[Mapping[str, Any]]

# What moto passes over, takes for something else, or cannot do with any filter: all of an action, or some.
_NOT_MOTOS: Final[Mapping[str, frozenset[str] | None]] = {
    "DescribeAvailabilityZones": None,
    "DescribeFlowLogs": frozenset({"deliver-log-status"}),
    "DescribeInstanceStatus": None,
    "DescribeInstanceTypes": frozenset(
        {
            "dedicated-hosts-supported",
            "ebs-info.attachment-limit-type",
            "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps",
            "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps",
            "ebs-info.maximum-ebs-attachments",
            "network-info.bandwidth-weightings",
            "network-info.flexible-ena-queues-support",
            "nitro-enclaves-support",
            "nitro-tpm-info.supported-versions",
            "nitro-tpm-support",
            "processor-info.supported-features",
            "processor-info.sustained-clock-speed-in-ghz",
            "reboot-migration-support",
        }
    ),
    "DescribeLaunchTemplateVersions": None,
    # Of an address moto compares the primary one only.
    "DescribeNetworkInterfaces": frozenset({"addresses.private-ip-address", "attachment.instance-owner-id"}),
    "DescribeRegions": None,
    "DescribeRouteTables": frozenset({"route.gateway-id"}),
    "DescribeTrunkInterfaceAssociations": None,
    "DescribeVpcEndpointConnections": None,
    "DescribeVpcEndpointServiceConfigurations": None,
    "DescribeVpcEndpointServices": None,
    "DescribeVpcs": frozenset({"dhcp-options-id"}),
}
_OF_INTERFACES: Final = "network-interface."
_FAILS: Final = (NotImplementedError, AttributeError, KeyError, TypeError)
"""How moto ends where it does not know a filter."""
_lacking: set[tuple[str, frozenset[str]]] = set()
"""Combinations that moto could not do in this process: it is not asked again."""


def answer(response: Any, describe: Callable[[], Answer]) -> Answer:
    """Answer a call of EC2, with its filters.

    Args:
        response: moto's, of this request.
        describe: lets moto answer it.

    Raises:
        EC2ClientError: InvalidParameterValue, where AWS has no such filter; Unsupported, where this account does not.
    """
    given: Filters = response.params.get("Filters") or response.params.get("Filter") or ()
    action = str(response._get_action())
    known = documented(action) if given else {}
    if not known:
        return describe()
    names = frozenset(str(one.get("Name", "")) for one in given)
    for name in names:
        if name not in known and not is_of_tags(name):
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name or 'null'}' is invalid")
    if (
        (action, names) not in _lacking
        and not _is_wrong(action, names)
        and not _is_read_otherwise(given)
        and not _is_passed_over(action, response.params)
    ):
        try:
            return describe()
        except _FAILS:
            _lacking.add((action, names))
    return _filtered(response, action, given, describe)


def _is_wrong(action: str, names: frozenset[str]) -> bool:
    if action not in _NOT_MOTOS:
        return False
    wrong = _NOT_MOTOS[action]
    return wrong is None or not wrong.isdisjoint(names)


def _is_read_otherwise(given: Filters) -> bool:
    """Return whether a value has what moto reads as Python's fnmatch does: sets in brackets, and a plain backslash."""
    return any({"[", "\\"} & set(str(value)) for one in given for value in one.get("Values") or ())


def _is_passed_over(action: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether moto looks at no filter at all, because ids are given."""
    return action == "DescribeImages" and bool(parameters.get("ImageIds"))


def _filtered(response: Any, action: str, given: Filters, describe: Callable[[], Answer]) -> Answer:
    """Let moto describe everything, and keep what passes."""
    accepts = [_condition(action, one, response.ec2_backend) for one in given]
    for name in ("Filters", "Filter"):
        response.params.pop(name, None)
    status, headers, body = describe()
    if int(status) >= 400:
        return status, headers, body
    parsed = parse(action, status, body)
    path, _ = items_of(action)
    _keep(parsed, path, lambda item: all(accept(item) for accept in accepts))
    return status, headers, write(action, parsed)


def _keep(parsed: dict[str, Any], path: Sequence[str], accepts: Callable[[Any], bool]) -> None:
    """Keep what passes in an answer; what holds nothing any more goes, as an empty reservation."""
    first, *rest = path
    kept = []
    for item in parsed.get(first, ()):
        if not rest:
            if accepts(item):
                kept.append(item)
            continue
        around = {name: value for name, value in item.items() if name != rest[0]}
        item[rest[0]] = [inner for inner in item[rest[0]] if accepts({**around, **inner})]
        if item[rest[0]]:
            kept.append(item)
    parsed[first] = kept


def _condition(action: str, given: Mapping[str, Any], backend: Any) -> Callable[[Any], bool]:
    """Return a function that says whether a filter accepts an item: any of its values is any of the item's."""
    name = str(given["Name"])
    patterns = [_pattern(str(value)) for value in given.get("Values") or ()]
    if is_of_tags(name):

        def values(item: Any) -> Iterator[str]:
            return _of_tags(item, name)

    else:
        path = path_of(action, documented(action).get(name, name))
        if path is None and action == "DescribeInstances" and name.startswith(_OF_INTERFACES):
            return _condition_on_interfaces(given, backend)
        if path is None:
            raise EC2ClientError("Unsupported", f"strictmoto has no filter '{name}' of {action}")

        def values(item: Any) -> Iterator[str]:
            return _values(item, path)

    return lambda item: any(pattern.fullmatch(value) for value in values(item) for pattern in patterns)


def _condition_on_interfaces(given: Mapping[str, Any], backend: Any) -> Callable[[Any], bool]:
    """Return a function that says whether a filter accepts an interface within an instance's description."""
    action = "DescribeNetworkInterfaces"
    # moto associates an address with an interface, which shows it for its primary private one.
    name = str(given["Name"]).removeprefix(_OF_INTERFACES).replace("addresses.association.", "association.")
    of_interfaces = {**given, "Name": name}
    accepts = _condition(action, of_interfaces, backend)
    described = parse(action, 200, write(action, {"NetworkInterfaces": backend.get_all_network_interfaces()}))
    accepted = {one["NetworkInterfaceId"] for one in described["NetworkInterfaces"] if accepts(one)}
    return lambda instance: any(one["NetworkInterfaceId"] in accepted for one in instance.get("NetworkInterfaces", ()))


def _of_tags(item: Mapping[str, Any], name: str) -> Iterator[str]:
    tags = item.get("Tags") or item.get("TagSet") or ()
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return (tag["Value"] for tag in tags if tag["Key"] == key)
    member = "Value" if name == "tag-value" else "Key"
    return (tag[member] for tag in tags)


def _values(item: Any, path: Sequence[str]) -> Iterator[str]:
    if isinstance(item, list):
        for one in item:
            yield from _values(one, path)
    elif not path:
        yield _text(item)
    elif isinstance(item, dict) and path[0] in item:
        yield from _values(item[path[0]], path[1:])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return str(value)


def _pattern(value: str) -> re.Pattern[str]:
    """Read EC2's wildcards: * is any characters, ? is one, and a backslash makes them literal."""
    wild = {"*": ".*", "?": "."}
    parts = re.findall(r"\\.|.", value, re.DOTALL)
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)
