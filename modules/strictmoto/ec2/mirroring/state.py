"""What one account and Region remembers: filters, rules, targets, sessions, and who uses whom.

Lookups that every creation makes are indexed, so that ten thousand sessions cost no
more each than ten.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from strictmoto.ec2.mirroring import errors, limits

_serials = itertools.count(1)


@dataclass(slots=True, kw_only=True)
class Resource:
    """What the four kinds have in common; `serial` orders them by creation."""

    kind: ClassVar[str]
    prefix: ClassVar[str]
    quota_code: ClassVar[str | None] = None

    id: str
    description: str | None = None
    serial: int = field(default_factory=lambda: next(_serials))

    @classmethod
    def type_name(cls) -> str:
        """Return the name AWS's types, ids and error codes begin with, such as TrafficMirrorFilter."""
        return "".join(part.capitalize() for part in cls.kind.split("-"))

    @classmethod
    def id_name(cls) -> str:
        """Return the name of its id in requests and answers, such as TrafficMirrorFilterId."""
        return f"{cls.type_name()}Id"

    @classmethod
    def not_found(cls, resource_id: str) -> Any:
        """Return AWS's error for an id that does not exist."""
        words = cls.kind.replace("-", " ")
        return errors.refuse(f"Invalid{cls.id_name()}.NotFound", f"The {words} '{resource_id}' was not found")


@dataclass(slots=True, kw_only=True)
class Filter(Resource):
    """A traffic mirror filter; its rules are kept beside it."""

    kind: ClassVar[str] = "traffic-mirror-filter"
    prefix: ClassVar[str] = "tmf"
    quota_code: ClassVar[str | None] = "TrafficMirrorFilterLimitExceeded"

    network_services: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class FilterRule(Resource):
    """A rule of a filter.

    Attributes:
        filter_id: of its filter.
        direction: `ingress` or `egress`, as the source sees it.
        number: unique in its direction; the lowest is evaluated first.
        action: `accept` or `reject`.
        source_cidr: where packets come from.
        destination_cidr: where they go to.
        protocol: its number at IANA; None for every one.
        source_ports: both ends included; None for all of them.
        destination_ports: likewise.
    """

    kind: ClassVar[str] = "traffic-mirror-filter-rule"
    prefix: ClassVar[str] = "tmfr"

    filter_id: str
    direction: str
    number: int
    action: str
    source_cidr: str
    destination_cidr: str
    protocol: int | None = None
    source_ports: range | None = None
    destination_ports: range | None = None


@dataclass(slots=True, kw_only=True)
class Target(Resource):
    """A traffic mirror target: exactly one of the three destinations is set."""

    kind: ClassVar[str] = "traffic-mirror-target"
    prefix: ClassVar[str] = "tmt"
    quota_code: ClassVar[str | None] = "TrafficMirrorTargetLimitExceeded"

    network_interface_id: str | None = None
    network_load_balancer_arn: str | None = None
    gateway_load_balancer_endpoint_id: str | None = None

    @property
    def destination(self) -> str:
        """The id or ARN of it."""
        return (
            self.network_interface_id or self.network_load_balancer_arn or str(self.gateway_load_balancer_endpoint_id)
        )

    @property
    def type(self) -> str:
        """The kind of destination, in AWS's spelling."""
        if self.network_interface_id:
            return "network-interface"
        return "network-load-balancer" if self.network_load_balancer_arn else "gateway-load-balancer-endpoint"


@dataclass(slots=True, kw_only=True)
class Session(Resource):
    """A traffic mirror session. `packet_length` is what was asked for, None for whole packets."""

    kind: ClassVar[str] = "traffic-mirror-session"
    prefix: ClassVar[str] = "tms"
    quota_code: ClassVar[str | None] = "TrafficMirrorSessionLimitExceeded"

    network_interface_id: str
    target_id: str
    filter_id: str
    number: int
    virtual_network_id: int
    packet_length: int | None = None


KINDS: Final[tuple[type[Resource], ...]] = (Filter, FilterRule, Target, Session)


class State:
    """The resources of one account and Region by id, and the indexes over them."""

    def __init__(self) -> None:
        """Begin without a resource."""
        self.filters: dict[str, Filter] = {}
        self.rules: dict[str, FilterRule] = {}
        self.targets: dict[str, Target] = {}
        self.sessions: dict[str, Session] = {}
        self.virtual_network_ids: Counter[int] = Counter()
        self._rules_of_filter: defaultdict[str, dict[str, FilterRule]] = defaultdict(dict)
        self._targets_on: defaultdict[str, dict[str, Target]] = defaultdict(dict)
        self._sessions_from: defaultdict[str, dict[str, Session]] = defaultdict(dict)
        self._sessions_to: defaultdict[str, dict[str, Session]] = defaultdict(dict)
        self._sessions_with: defaultdict[str, dict[str, Session]] = defaultdict(dict)

    def table(self, kind: type[Resource]) -> dict[str, Any]:
        """Return the resources of one kind by id, oldest first."""
        tables: dict[type[Resource], dict[str, Any]] = {
            Filter: self.filters,
            FilterRule: self.rules,
            Target: self.targets,
            Session: self.sessions,
        }
        return tables[kind]

    def check_quota(self, kind: type[Resource]) -> None:
        """Refuse one more of a kind whose quota is used up."""
        if kind.quota_code and len(self.table(kind)) >= limits.PER_ACCOUNT_AND_REGION:
            words = kind.kind.replace("-", " ")
            raise errors.refuse(
                kind.quota_code, f"The maximum number of {words}s ({limits.PER_ACCOUNT_AND_REGION}) has been reached"
            )

    def add(self, resource: Resource) -> None:
        """Remember a new resource."""
        self.table(type(resource))[resource.id] = resource
        self._index(resource)

    def remove(self, resource: Resource) -> None:
        """Forget a resource that no other refers to."""
        del self.table(type(resource))[resource.id]
        self._unindex(resource)

    def replace(self, old: Resource, new: Resource) -> None:
        """Put changed values in the place of a resource, which keeps its id and its order."""
        self._unindex(old)
        self.table(type(new))[new.id] = new
        self._index(new)

    def _index(self, resource: Resource) -> None:
        for index, key in self._entries(resource):
            index[key][resource.id] = resource
        if isinstance(resource, Session):
            self.virtual_network_ids[resource.virtual_network_id] += 1

    def _unindex(self, resource: Resource) -> None:
        for index, key in self._entries(resource):
            del index[key][resource.id]
            if not index[key]:
                del index[key]
        if isinstance(resource, Session):
            self.virtual_network_ids -= Counter([resource.virtual_network_id])

    def _entries(self, resource: Resource) -> list[tuple[defaultdict[str, dict[str, Any]], str]]:
        match resource:
            case FilterRule():
                return [(self._rules_of_filter, resource.filter_id)]
            case Target():
                return [(self._targets_on, resource.destination)]
            case Session():
                return [
                    (self._sessions_from, resource.network_interface_id),
                    (self._sessions_to, resource.target_id),
                    (self._sessions_with, resource.filter_id),
                ]
        return []

    def rules_of(self, filter_id: str) -> list[FilterRule]:
        """Return the rules of a filter, oldest first."""
        return list(self._rules_of_filter.get(filter_id, {}).values())

    def targets_on(self, destination: str) -> list[Target]:
        """Return the targets that are this network interface, load balancer or endpoint."""
        return list(self._targets_on.get(destination, {}).values())

    def sessions_from(self, interface_id: str) -> list[Session]:
        """Return the sessions whose source is this network interface."""
        return list(self._sessions_from.get(interface_id, {}).values())

    def sessions_to(self, target_id: str) -> list[Session]:
        """Return the sessions that send to this target."""
        return list(self._sessions_to.get(target_id, {}).values())

    def sessions_with(self, filter_id: str) -> list[Session]:
        """Return the sessions that use this filter."""
        return list(self._sessions_with.get(filter_id, {}).values())
