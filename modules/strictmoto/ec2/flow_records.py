"""Files of flow logs, written on demand: packets do not flow here, so that nothing would fill them.

Each flow log to a bucket gets the flows of its VPC, subnet or interface, as one file of text. Parquet is not written.

Sources: Amazon VPC User Guide, "Flow log files" (folders, names), "Flow log records" (fields; a custom format has the
version of its newest field) and "Troubleshoot VPC Flow Logs" (Access error).
"""

from __future__ import annotations

import gzip
import ipaddress
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

_FILE: Final = 300
"""Seconds of traffic in one file, which is named after the first of them."""
_NOTHING: Final = "-"
_TCP: Final = 6
_OPENED_AND_CLOSED: Final = "3"
_OPENED: Final = "2"
_IN_VPC: Final = "1"
_BY_INTERNET_GATEWAY: Final = "8"
# Of the blocks for documentation, RFC 5737.
_CLIENT: Final = "198.51.100.10"
_SCANNER: Final = "203.0.113.66"


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow at an interface.

    Args:
        interface: its id.
        source: IP address that it comes from.
        destination: IP address that it goes to.
        source_port: 0 to 65535.
        destination_port: 0 to 65535.
        protocol: number of IANA, such as 6 for TCP.
        packets: 1 or more.
        bytes: 1 or more.
        action: whether security groups and network ACLs let it through.

    Raises:
        ValueError: an address, a port or a count that cannot be.
    """

    interface: str
    source: str
    destination: str
    source_port: int = 0
    destination_port: int = 0
    protocol: int = _TCP
    packets: int = 10
    bytes: int = 5_200
    action: Literal["ACCEPT", "REJECT"] = "ACCEPT"

    def __post_init__(self) -> None:
        """Refuse what no interface sees."""
        for address in (self.source, self.destination):
            ipaddress.ip_address(address)
        if not all(0 <= port <= 65_535 for port in (self.source_port, self.destination_port)):
            raise ValueError(f"ports must be 0 to 65535, got {self.source_port} and {self.destination_port}")
        if not (0 <= self.protocol <= 255 and self.packets >= 1 and self.bytes >= 1):
            raise ValueError("protocol must be 0 to 255, packets and bytes 1 or more")
        if self.action not in ("ACCEPT", "REJECT"):
            raise ValueError(f"action must be ACCEPT or REJECT, got {self.action!r}")


class FlowRecords:
    """The files of an account's flow logs."""

    def __init__(self, region: str) -> None:
        """Begin without a file.

        Args:
            region: for flows of no other Region.
        """
        self._region = region

    def write(
        self, *flows: Flow, at: float | None = None, region: str = "", account: str = DEFAULT_ACCOUNT_ID
    ) -> tuple[str, ...]:
        """Write a file for each flow log to a bucket that has some of the flows; return them as bucket/key.

        A flow log whose bucket or key does not let AWS deliver gets the status FAILED, and no file.

        Args:
            flows: by default two for each interface of an instance: an HTTPS request that is accepted, and a probe
                of SSH that is rejected.
            at: when they ended, in seconds since 1970, UTC; now by default.
            region: of the flow logs; the account's default Region by default.
            account: of the flow logs; that of whoever assumes no role by default.

        Raises:
            ValueError: there is no such interface, or a flow log has files in Parquet.
        """
        backend: Any = get_backend("ec2")[account][region or self._region]
        seen = [(flow, _interface(backend, flow.interface)) for flow in flows or _traffic(backend)]
        ended = time.time() if at is None else at
        chosen = [(log, _of(log, seen)) for log in list(backend.flow_logs.values())]
        chosen = [(log, found) for log, found in chosen if found and log.log_destination_type == "s3"]
        for log, _ in chosen:
            if (log.destination_options or {}).get("FileFormat") == "parquet":
                raise ValueError(f"strictmoto writes no files in Parquet: flow log {log.id}")
        return tuple(name for log, found in chosen if (name := _write(backend, log, found, ended)))


def _interface(backend: Any, identity: str) -> Any:
    interface = backend.enis.get(identity)
    if interface is None:
        raise ValueError(f"no network interface {identity} in account {backend.account_id}, {backend.region_name}")
    return interface


def _traffic(backend: Any) -> Iterator[Flow]:
    for interface in list(backend.enis.values()):
        if interface.instance is None:
            continue
        own = interface.private_ip_address
        yield Flow(interface.id, _CLIENT, own, 49_152, 443)
        yield Flow(interface.id, _SCANNER, own, 40_000, 22, packets=1, bytes=40, action="REJECT")


def _of(log: Any, seen: Iterable[tuple[Flow, Any]]) -> list[tuple[Flow, Any]]:
    """Return the flows that a flow log is about."""
    return [
        (flow, interface)
        for flow, interface in seen
        if log.resource_id in (interface.id, interface.subnet.id, interface.subnet.vpc_id)
        and log.traffic_type in ("ALL", flow.action)
    ]


def _write(backend: Any, log: Any, found: list[tuple[Flow, Any]], ended: float) -> str:
    # Late: EC2's import takes longer than an account takes to start.
    from strictmoto.ec2.flow_logs import account_folder, delivery_to, fields_of, folder_of
    from strictmoto.s3.deliveries import NotDelivered

    bucket, folder = folder_of(log.log_destination)
    names = fields_of(log.log_format)
    began = ended - log.max_aggregation_interval
    lines = [" ".join(names), *(_line(backend, names, *one, began, ended) for one in found)]
    options = log.destination_options or {}
    key = f"{folder}{account_folder(backend.account_id, options or None)}{_name(backend, log.id, options, ended)}"
    try:
        delivery_to(bucket, backend).put(key, gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    except NotDelivered:
        log.deliver_logs_status, log.deliver_logs_error_message = "FAILED", "Access error"
        return ""
    log.deliver_logs_status, log.deliver_logs_error_message = "SUCCESS", None
    return f"{bucket}/{key}"


def _name(backend: Any, log_id: str, options: dict[str, Any], ended: float) -> str:
    """Return the folders below that of the account, and the name of the file."""
    first = datetime.fromtimestamp(ended - ended % _FILE, UTC)
    region, hourly = backend.region_name, options.get("PerHourPartition")
    if options.get("HiveCompatiblePartitions"):
        folders = f"aws-service=vpcflowlogs/aws-region={region}/{first:year=%Y/month=%m/day=%d/}"
        folders += f"{first:hour=%H/}" if hourly else ""
    else:
        folders = f"vpcflowlogs/{region}/{first:%Y/%m/%d/}" + (f"{first:%H/}" if hourly else "")
    name = f"{backend.account_id}_vpcflowlogs_{region}_{log_id}_{first:%Y%m%dT%H%MZ}_{secrets.token_hex(4)}.log.gz"
    return folders + name


def _line(backend: Any, names: list[str], flow: Flow, interface: Any, began: float, ended: float) -> str:
    from strictmoto.ec2.flow_logs import FIELDS

    subnet, instance = interface.subnet, interface.instance
    enters = flow.destination in _addresses(interface)
    block = ipaddress.ip_network(backend.get_vpc(subnet.vpc_id).cidr_block)
    left = _IN_VPC if ipaddress.ip_address(flow.destination) in block else _BY_INTERNET_GATEWAY
    flags = _OPENED_AND_CLOSED if flow.action == "ACCEPT" else _OPENED
    # The others are of services that do not run here.
    values: dict[str, Any] = {
        "version": max(FIELDS[name] for name in names),
        "account-id": backend.account_id,
        "interface-id": flow.interface,
        "srcaddr": flow.source,
        "dstaddr": flow.destination,
        "srcport": flow.source_port,
        "dstport": flow.destination_port,
        "protocol": flow.protocol,
        "packets": flow.packets,
        "bytes": flow.bytes,
        "start": int(began),
        "end": int(ended),
        "action": flow.action,
        "log-status": "OK",
        "vpc-id": subnet.vpc_id,
        "subnet-id": subnet.id,
        "instance-id": instance.id if instance else None,
        "tcp-flags": flags if flow.protocol == _TCP else 0,
        "type": "IPv6" if ":" in flow.source else "IPv4",
        "pkt-srcaddr": flow.source,
        "pkt-dstaddr": flow.destination,
        "region": backend.region_name,
        "az-id": subnet.availability_zone_id,
        "flow-direction": "ingress" if enters else "egress",
        "traffic-path": None if enters else left,
    }
    return " ".join(_NOTHING if (value := values.get(name)) is None else str(value) for name in names)


def _addresses(interface: Any) -> set[str]:
    private = {one.get("PrivateIpAddress") for one in interface.private_ip_addresses}
    return {interface.private_ip_address, *private, *interface.ipv6_addresses}
