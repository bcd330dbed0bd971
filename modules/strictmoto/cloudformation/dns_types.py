"""Hosted zones of Route 53 and their records.

Sources: CloudFormation Template Reference, "AWS::Route53"; Amazon Route 53 API Reference, ChangeResourceRecordSets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strictmoto.cloudformation.api_types import ApiResource, FailedError
from strictmoto.cloudformation.templates import text

_ZONE = ("HostedZoneId", "HostedZoneName")
_RECORD = (
    "Name",
    "Type",
    "SetIdentifier",
    "Weight",
    "Region",
    "GeoLocation",
    "Failover",
    "MultiValueAnswer",
    "TTL",
    "ResourceRecords",
    "AliasTarget",
    "HealthCheckId",
)
_IDENTITY = ("Name", "Type", "SetIdentifier")


class HostedZone(ApiResource):
    """A public hosted zone, or a private one of VPCs."""

    TYPE = "AWS::Route53::HostedZone"
    SERVICE = "route53"
    NAME = "Name"

    def create(self) -> None:
        """Create it for the first of its VPCs, and associate the others."""
        vpcs = self.properties.get("VPCs") or []
        comment = (self.properties.get("HostedZoneConfig") or {}).get("Comment")
        config = {"PrivateZone": bool(vpcs), **({"Comment": comment} if comment else {})}
        made = self.call(
            "create_hosted_zone",
            Name=self.properties["Name"],
            CallerReference=self.name,
            HostedZoneConfig=config,
            VPC=vpcs[0] if vpcs else None,
            DelegationSetId=self.properties.get("DelegationSetId"),
        )
        self.ref, self.deleted_when_failed = made["HostedZone"]["Id"].rpartition("/")[2], True
        self.attributes = {"Id": self.ref, "NameServers": made.get("DelegationSet", {}).get("NameServers", [])}
        self.update({"VPCs": vpcs[:1], **self.of("HostedZoneConfig")})

    def update(self, old: dict[str, Any]) -> None:
        """Change its comment, its VPCs, its log of queries and its tags."""
        if self.changed(old, "HostedZoneConfig"):
            comment = (self.properties.get("HostedZoneConfig") or {}).get("Comment", "")
            self.call("update_hosted_zone_comment", Id=self.ref, Comment=comment)
        before, after = old.get("VPCs") or [], self.properties.get("VPCs") or []
        # The new ones first: the last VPC of a zone stays.
        for operation, vpcs in (
            ("associate_vpc_with_hosted_zone", [vpc for vpc in after if vpc not in before]),
            ("disassociate_vpc_from_hosted_zone", [vpc for vpc in before if vpc not in after]),
        ):
            for vpc in vpcs:
                self.call(operation, HostedZoneId=self.ref, VPC=vpc)
        if self.changed(old, "QueryLoggingConfig"):
            self._log_queries()
        tags, former = (
            {tag["Key"]: tag["Value"] for tag in some.get("HostedZoneTags") or ()} for some in (self.properties, old)
        )
        if tags != former:
            added = [{"Key": key, "Value": value} for key, value in tags.items()]
            dropped = [key for key in former if key not in tags]
            self.call(
                "change_tags_for_resource",
                ResourceType="hostedzone",
                ResourceId=self.ref,
                AddTags=added or None,
                RemoveTagKeys=dropped or None,
            )

    def delete_it(self) -> None:
        """Delete it; Route 53 refuses it where records are left."""
        self.call("delete_hosted_zone", Id=self.ref)

    def _log_queries(self) -> None:
        for one in self.call("list_query_logging_configs")["QueryLoggingConfigs"]:
            if one["HostedZoneId"] == self.ref:
                self.call("delete_query_logging_config", Id=one["Id"])
        if wanted := self.properties.get("QueryLoggingConfig"):
            arn = wanted["CloudWatchLogsLogGroupArn"]
            self.call("create_query_logging_config", HostedZoneId=self.ref, CloudWatchLogsLogGroupArn=arn)


class RecordSet(ApiResource):
    """A record, whose Ref is its name."""

    TYPE = "AWS::Route53::RecordSet"
    SERVICE = "route53"

    def create(self) -> None:
        """Create it."""
        self._apply({}, self.of(*_RECORD))
        self.ref = text(self.properties["Name"])

    def update(self, old: dict[str, Any]) -> None:
        """Change it; one of another name, type or identifier takes its place."""
        self._apply({name: old[name] for name in _RECORD if name in old}, self.of(*_RECORD))
        self.ref = text(self.properties["Name"])

    def delete_it(self) -> None:
        """Delete it."""
        self._apply(self.of(*_RECORD), {})

    def _apply(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        _change(self, self.properties, _changes([old] if old else [], [new] if new else []))


class RecordSetGroup(ApiResource):
    """Records of one zone, or of several."""

    TYPE = "AWS::Route53::RecordSetGroup"
    SERVICE = "route53"

    def create(self) -> None:
        """Create them."""
        self.attributes = {"Id": self.ref}
        self._apply({})

    def update(self, old: dict[str, Any]) -> None:
        """Change them, and delete those that are left out."""
        self._apply(old)

    def delete_it(self) -> None:
        """Delete them."""
        old, self.properties = self.properties, {**self.properties, "RecordSets": []}
        self._apply(old)

    def _apply(self, old: Mapping[str, Any]) -> None:
        """Change each zone's records by one call: none of them, or all."""
        zones: dict[tuple[Any, ...], tuple[list[Any], list[Any]]] = {}
        for index, properties in enumerate((old, self.properties)):
            for record in properties.get("RecordSets") or ():
                named = {**{name: properties[name] for name in _ZONE if name in properties}, **record}
                zone = tuple(named.get(name) for name in _ZONE)
                if lost := sorted(set(record) - {*_RECORD, *_ZONE}):
                    raise FailedError(f"strictmoto does not make {', '.join(lost)} of {self.TYPE}")
                kept = {name: record[name] for name in _RECORD if name in record}
                zones.setdefault(zone, ([], []))[index].append(kept)
        for zone, (before, after) in zones.items():
            where = {name: value for name, value in zip(_ZONE, zone, strict=True) if value}
            comment = {"Comment": self.properties["Comment"]} if "Comment" in self.properties else {}
            _change(self, {**where, **comment}, _changes(before, after))


def _identity(record: Mapping[str, Any]) -> tuple[str, ...]:
    name, kind, identifier = (text(record.get(part, "")) for part in _IDENTITY)
    return name.rstrip(".").lower(), kind, identifier


def _changes(old: list[Any], new: list[Any]) -> list[dict[str, Any]]:
    """What a zone is asked for: what is new is created, what stays is changed, and the rest is deleted."""
    before, after = ({_identity(record): record for record in records} for records in (old, new))
    changes = [("DELETE", record) for key, record in before.items() if key not in after]
    changes += [
        ("UPSERT" if key in before else "CREATE", record) for key, record in after.items() if before.get(key) != record
    ]
    return [{"Action": action, "ResourceRecordSet": _record(action, record)} for action, record in changes]


def _record(action: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A record as the API takes it.

    Raises:
        FailedError: as Route 53 refuses what is neither an alias nor has values with a TTL.
    """
    record = dict(given)
    if ("AliasTarget" in record) == ("TTL" in record and "ResourceRecords" in record):
        where = ", ".join(f"{name}={text(given.get(name, 'null'))}" for name in _IDENTITY)
        raise FailedError(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or "
            f"TrafficPolicyInstanceId], but found {'more than one' if 'AliasTarget' in record else 'none'} in Change "
            f"with [Action={action}, {where}]"
        )
    if "AliasTarget" in record:
        record["AliasTarget"] = {"EvaluateTargetHealth": False, **record["AliasTarget"]}
    else:
        record["ResourceRecords"] = [{"Value": value} for value in record["ResourceRecords"]]
    return record


def _change(resource: ApiResource, properties: Mapping[str, Any], changes: list[dict[str, Any]]) -> None:
    if changes:
        batch = {"Changes": changes}
        if comment := properties.get("Comment"):
            batch["Comment"] = comment
        zone = _zone(resource, properties)
        resource.call("change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)


def _zone(resource: ApiResource, properties: Mapping[str, Any]) -> str:
    """The id of the zone that records are in, by its id or by its name.

    Raises:
        FailedError: none of them is given, or both, or no zone has the name, or several have.
    """
    zone, name = properties.get("HostedZoneId"), properties.get("HostedZoneName")
    if bool(zone) == bool(name):
        raise FailedError("Exactly one of HostedZoneId and HostedZoneName must be given")
    if zone:
        return text(zone).rpartition("/")[2]
    name = text(name)
    zones = resource.call("list_hosted_zones_by_name", DNSName=name)["HostedZones"]
    named = [one for one in zones if one["Name"].rstrip(".").lower() == name.rstrip(".").lower()]
    # Without the dot at its end it is not the name of a zone.
    if not named or not name.endswith("."):
        raise FailedError(f"No hosted zones named {name} found")
    if len(named) > 1:
        raise FailedError(f"Found multiple hosted zones named {name}")
    return str(named[0]["Id"]).rpartition("/")[2]


def install() -> None:
    """Do nothing: the types are registered as they are defined."""
