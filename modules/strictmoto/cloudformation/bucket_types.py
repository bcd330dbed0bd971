"""AWS::S3::Bucket, with all that its template says and S3's API of this account knows.

Sources: CloudFormation Template Reference, "AWS::S3::Bucket"; Amazon S3 API Reference, CreateBucket and the Put and
Delete calls of each of its configurations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from moto.utilities.utils import get_partition

from strictmoto.cloudformation.api_types import ApiResource

_WITHOUT_PLACE: Final = "us-east-1"
_EVENTS: Final = (
    ("LambdaConfigurations", "LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
    ("QueueConfigurations", "QueueConfigurations", "Queue", "QueueArn"),
    ("TopicConfigurations", "TopicConfigurations", "Topic", "TopicArn"),
)


def _renamed(given: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Return a part of a template with the API's names; those that are not given stay as they are."""
    return {names.get(name, name): value for name, value in given.items()}


def _encryption(given: Mapping[str, Any], _bucket: str) -> dict[str, Any]:
    default = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    return {"Rules": [_renamed(rule, **default) for rule in given["ServerSideEncryptionConfiguration"]]}


def _lifecycle(given: Mapping[str, Any], _bucket: str) -> dict[str, Any]:
    return {**given, "Rules": [_lifecycle_rule(rule) for rule in given["Rules"]]}


def _lifecycle_rule(given: Mapping[str, Any]) -> dict[str, Any]:
    """A rule whose filter and expiration a template spreads over properties of its own."""
    rule = dict(given)
    sizes = ("ObjectSizeGreaterThan", "ObjectSizeLessThan")
    filters = {name: rule.pop(name) for name in ("Prefix", *sizes) if name in rule}
    tags = rule.pop("TagFilters", [])
    if len(tags) == 1 and not filters:
        rule["Filter"] = {"Tag": tags[0]}
    elif len(filters) + len(tags) > 1:
        rule["Filter"] = {"And": {**filters, **({"Tags": tags} if tags else {})}}
    else:
        rule["Filter"] = filters or {"Prefix": ""}
    ends = {
        "ExpirationInDays": "Days",
        "ExpirationDate": "Date",
        "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
    }
    if expiration := {name: rule.pop(old) for old, name in ends.items() if old in rule}:
        rule["Expiration"] = expiration
    if (days := rule.pop("NoncurrentVersionExpirationInDays", None)) is not None:
        rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    moves = {"TransitionInDays": "Days", "TransitionDate": "Date"}
    for one, many, names in (
        ("Transition", "Transitions", moves),
        ("NoncurrentVersionTransition", "NoncurrentVersionTransitions", {"TransitionInDays": "NoncurrentDays"}),
    ):
        given_moves = [*rule.pop(many, []), *([rule.pop(one)] if one in rule else [])]
        if given_moves:
            rule[many] = [_renamed(move, **names) for move in given_moves]
    return rule


def _cors(given: Mapping[str, Any], _bucket: str) -> dict[str, Any]:
    names = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"}
    return {"CORSRules": [_renamed(rule, **names) for rule in given["CorsRules"]]}


def _logging(given: Mapping[str, Any], bucket: str) -> dict[str, Any]:
    """The logging of a bucket, into itself where the template names no other."""
    target = {
        "TargetBucket": bucket,
        "TargetPrefix": "",
        **_renamed(given, DestinationBucketName="TargetBucket", LogFilePrefix="TargetPrefix"),
    }
    return {"LoggingEnabled": target}


def _notification(given: Mapping[str, Any], _bucket: str) -> dict[str, Any]:
    configuration = {name: value for name, value in given.items() if name not in {one[0] for one in _EVENTS}}
    if "EventBridgeConfiguration" in configuration:
        configuration["EventBridgeConfiguration"] = {}
    for ours, theirs, target, arn in _EVENTS:
        if ours in given:
            configuration[theirs] = [_notified(one, target, arn) for one in given[ours]]
    return configuration


def _notified(given: Mapping[str, Any], target: str, arn: str) -> dict[str, Any]:
    one = {**_renamed(given, **{target: arn, "Event": "Events"}), "Events": [given["Event"]]}
    if "Filter" in given:
        one["Filter"] = {"Key": {"FilterRules": given["Filter"]["S3Key"]["Rules"]}}
    return one


def _website(given: Mapping[str, Any], _bucket: str) -> dict[str, Any]:
    configuration = dict(given)
    if "IndexDocument" in given:
        configuration["IndexDocument"] = {"Suffix": given["IndexDocument"]}
    if "ErrorDocument" in given:
        configuration["ErrorDocument"] = {"Key": given["ErrorDocument"]}
    if rules := given.get("RoutingRules"):
        configuration["RoutingRules"] = [
            _renamed(rule, RedirectRule="Redirect", RoutingRuleCondition="Condition") for rule in rules
        ]
    return configuration


@dataclass(frozen=True)
class _Part:
    """A configuration of a bucket.

    Attributes:
        name: the property.
        setting: the call that sets it.
        parameter: what the call takes.
        taken: makes the parameter of the property and the bucket's name.
        ending: the call that ends it; "" where it is set to what `ended` says.
        ended: the parameter where the property is no longer there.
    """

    name: str
    setting: str
    parameter: str
    taken: Callable[[Any, str], Any] = lambda given, _bucket: given
    ending: str = ""
    ended: Any = None


_OFF: Final = {"Status": "Suspended"}
_PARTS: Final = (
    _Part("VersioningConfiguration", "put_bucket_versioning", "VersioningConfiguration", ended=_OFF),
    _Part(
        "OwnershipControls",
        "put_bucket_ownership_controls",
        "OwnershipControls",
        ending="delete_bucket_ownership_controls",
    ),
    _Part(
        "PublicAccessBlockConfiguration",
        "put_public_access_block",
        "PublicAccessBlockConfiguration",
        ending="delete_public_access_block",
    ),
    _Part(
        "BucketEncryption",
        "put_bucket_encryption",
        "ServerSideEncryptionConfiguration",
        _encryption,
        "delete_bucket_encryption",
    ),
    _Part(
        "LifecycleConfiguration",
        "put_bucket_lifecycle_configuration",
        "LifecycleConfiguration",
        _lifecycle,
        "delete_bucket_lifecycle",
    ),
    _Part("CorsConfiguration", "put_bucket_cors", "CORSConfiguration", _cors, "delete_bucket_cors"),
    _Part("LoggingConfiguration", "put_bucket_logging", "BucketLoggingStatus", _logging, ended={}),
    _Part(
        "NotificationConfiguration",
        "put_bucket_notification_configuration",
        "NotificationConfiguration",
        _notification,
        ended={},
    ),
    _Part("WebsiteConfiguration", "put_bucket_website", "WebsiteConfiguration", _website, "delete_bucket_website"),
    _Part(
        "AccelerateConfiguration",
        "put_bucket_accelerate_configuration",
        "AccelerateConfiguration",
        lambda given, _bucket: _renamed(given, AccelerationStatus="Status"),
        ended=_OFF,
    ),
    _Part(
        "ObjectLockConfiguration",
        "put_object_lock_configuration",
        "ObjectLockConfiguration",
        ended={"ObjectLockEnabled": "Enabled"},
    ),
    _Part(
        "ReplicationConfiguration",
        "put_bucket_replication",
        "ReplicationConfiguration",
        ending="delete_bucket_replication",
    ),
    _Part("Tags", "put_bucket_tagging", "Tagging", lambda tags, _bucket: {"TagSet": tags}, "delete_bucket_tagging"),
)


class Bucket(ApiResource):
    """A bucket."""

    TYPE = "AWS::S3::Bucket"
    SERVICE = "s3"
    NAME = "BucketName"

    def create(self) -> None:
        """Create it, and set its configurations."""
        place = None if self.region == _WITHOUT_PLACE else {"LocationConstraint": self.region}
        self.call(
            "create_bucket",
            Bucket=self.name,
            CreateBucketConfiguration=place,
            ObjectLockEnabledForBucket=self.properties.get("ObjectLockEnabled"),
            ObjectOwnership=self._ownership(),
            ACL=self._acl(),
        )
        self.ref, self.deleted_when_failed = self.name, True
        partition = get_partition(self.region)
        suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        self.attributes = {
            "Arn": f"arn:{partition}:s3:::{self.name}",
            "DomainName": f"{self.name}.s3.{suffix}",
            "RegionalDomainName": f"{self.name}.s3.{self.region}.{suffix}",
            "DualStackDomainName": f"{self.name}.s3.dualstack.{self.region}.{suffix}",
            "WebsiteURL": f"http://{self.name}.s3-website.{self.region}.{suffix}",
        }
        self._configure({})

    def update(self, old: dict[str, Any]) -> None:
        """Change its configurations."""
        if self.changed(old, "AccessControl"):
            self.call("put_bucket_acl", Bucket=self.name, ACL=self._acl() or "private")
        self._configure(old)

    def delete_it(self) -> None:
        """Delete it; S3 refuses it where it is not empty."""
        self.call("delete_bucket", Bucket=self.name)

    def _acl(self) -> str | None:
        """The canned ACL, such as log-delivery-write of LogDeliveryWrite."""
        given = self.properties.get("AccessControl")
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", str(given)).lower() if given else None

    def _ownership(self) -> str | None:
        """It comes with the bucket, as an ACL beside it must be allowed by then."""
        rules = (self.properties.get("OwnershipControls") or {}).get("Rules") or [{}]
        found: str | None = rules[0].get("ObjectOwnership")
        return found

    def _configure(self, old: Mapping[str, Any]) -> None:
        for part in _PARTS:
            if old.get(part.name) == self.properties.get(part.name):
                continue
            given = self.properties.get(part.name)
            if given is None and part.ending:
                self.call(part.ending, Bucket=self.name)
            else:
                wanted = part.ended if given is None else part.taken(given, self.name)
                self.call(part.setting, Bucket=self.name, **{part.parameter: wanted})


def install() -> None:
    """Do nothing: the type is registered as it is defined."""
