"""What buckets tell of their objects: to whom, of what, and only where S3 may.

A configuration is refused where two of its rules could match one event, and where a destination is not there or does
not let S3 send: its policy, and that of the key that encrypts it. Where IAM is enforced, events go only where they may.

Sources: Amazon S3 API Reference, PutBucketNotificationConfiguration (Event and the ARN are required, the test message,
x-amz-skip-destination-validation) and GetBucketNotificationConfiguration (EventBridgeConfiguration, an empty element);
Amazon S3 User Guide, "Configuring event notifications using object key name filtering" (overlaps), "Granting
permissions to publish event notification messages to a destination", "Supported event destinations" (no FIFO queues).
The texts are those that S3 sends; that of FIFO queues is inferred. Keys keep their slashes, as in messages that users
show.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from strictmoto.iam.access import service_may
from strictmoto.kms.uses import service_may_send
from strictmoto.requests.arns import is_somewhere
from strictmoto.running import enforces_iam

SERVICE: Final = "s3.amazonaws.com"
_SKIP: Final = "x-amz-skip-destination-validation"
_INVALID: Final = "Unable to validate the following destination configurations"
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "Topic": ("topic", "sns:Publish"),
    "Queue": ("queue", "sqs:SendMessage"),
    "CloudFunction": ("Lambda function", "lambda:InvokeFunction"),
}
"""What the texts call a destination, and what S3 does there, by the element that names it."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one configuration matches, and where it sends."""

    kind: str
    arn: str
    events: tuple[str, ...]
    prefix: str
    suffix: str

    def shares_event(self, other: _Rule) -> bool:
        pairs = itertools.product(self.events, other.events)
        return any(_covers(one, two) or _covers(two, one) for one, two in pairs)

    def shares_key(self, other: _Rule) -> bool:
        prefixes = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        return prefixes and (self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix))

    @property
    def filters(self) -> bool:
        return bool(self.prefix or self.suffix)


def _covers(event: str, other: str) -> bool:
    return event == other or (event.endswith("*") and other.startswith(event[:-1]))


def install() -> None:
    """Make the S3 of this process's moto do so."""
    from moto.s3 import notifications

    _check_configurations()
    _show_event_bridge()
    module: Any = notifications
    # moto quotes the slashes of keys, too.
    module.quote_plus = functools.partial(quote_plus, safe="/")
    module._send_sqs_message = _where_allowed(module._send_sqs_message, "sqs:SendMessage", "sqs")
    module._send_sns_message = _where_allowed(module._send_sns_message, "sns:Publish", "")


def _check_configurations() -> None:
    from moto.s3.exceptions import MalformedXML
    from moto.s3.responses import S3Response

    response: Any = S3Response
    read = response._notification_config_from_body

    @functools.wraps(read)
    def notification_config_from_body(self: Any) -> Any:
        try:
            found = read(self)
        except (AssertionError, AttributeError, KeyError, TypeError) as error:
            # At what is missing moto fails.
            raise MalformedXML from error
        rules = list(_rules(found))
        _check_overlaps(rules)
        if str(self.headers.get(_SKIP, "")).lower() != "true":
            bucket = self.backend.get_bucket(self.bucket_name)
            for rule in rules:
                _check_destination(rule, bucket)
        return found

    response._notification_config_from_body = notification_config_from_body


def _rules(configuration: Mapping[str, Any]) -> Iterator[_Rule]:
    for kind in _KINDS:
        for one in configuration.get(f"{kind}Configuration") or ():
            named = ((one.get("Filter") or {}).get("S3Key") or {}).get("FilterRule") or ()
            filters = {str(rule["Name"]).lower(): str(rule["Value"]) for rule in named}
            yield _Rule(kind, one[kind], tuple(one["Event"]), filters.get("prefix", ""), filters.get("suffix", ""))


def _check_overlaps(rules: list[_Rule]) -> None:
    from moto.s3.exceptions import S3ClientError

    for one, two in itertools.combinations(rules, 2):
        if not (one.shares_event(two) and one.shares_key(two)):
            continue
        if one.filters or two.filters:
            message = (
                "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes "
                "are overlapping for the same event type."
            )
        else:
            message = "Configurations overlap. Configurations on the same bucket cannot share a common event type."
        raise S3ClientError("InvalidArgument", message)


def _check_destination(rule: _Rule, bucket: Any) -> None:
    from moto.s3.exceptions import InvalidArgumentError

    named, action = _KINDS[rule.kind]
    reason = ""
    if not _exists(rule):
        reason = f"The destination {named} does not exist"
    elif rule.arn.endswith(".fifo"):
        reason = f"The destination {named} is a FIFO {named}"
    elif enforces_iam() and not _may(action, rule.arn, bucket.arn):
        reason = f"Permissions on the destination {named} do not allow S3 to publish notifications from this bucket"
    if reason:
        raise InvalidArgumentError(_INVALID, rule.arn, reason)


def _may(action: str, arn: str, source_arn: str) -> bool:
    may = service_may if action.startswith("lambda:") else service_may_send
    return may(SERVICE, action, arn, source_arn)


def _exists(rule: _Rule) -> bool:
    from moto.awslambda.models import lambda_backends
    from moto.sns.models import sns_backends
    from moto.sqs.models import sqs_backends

    if not is_somewhere(rule.arn):
        return False
    _, _, _, region, account, name = rule.arn.split(":", 5)
    if rule.kind == "Queue":
        return name in sqs_backends[account][region].queues
    if rule.kind == "Topic":
        return rule.arn in sns_backends[account][region].topics
    function = ":".join(rule.arn.split(":")[:7])
    backend: Any = lambda_backends[account][region]
    return backend._lambdas.get_arn(function) is not None


def _show_event_bridge() -> None:
    """Answer that a bucket sends its events to EventBridge, which moto keeps and leaves out."""
    from moto.s3.responses import S3Response

    response: Any = S3Response
    get = response.get_bucket_notification

    @functools.wraps(get)
    def get_bucket_notification(self: Any) -> Any:
        kept = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if kept and kept.event_bridge is not None:
            write = self.serialized

            def serialized(result: Any) -> Any:
                result.result["EventBridgeConfiguration"] = {}
                return write(result)

            self.serialized = serialized
        return get(self)

    response.get_bucket_notification = get_bucket_notification


def _where_allowed(send: Any, action: str, service: str) -> Any:
    @functools.wraps(send)
    def send_where_allowed(account_id: str, event_body: Any, name: str, region_name: str) -> None:
        arn = f"arn:aws:{service}:{region_name}:{account_id}:{name}" if service else name
        # The first message is a test, and of the bucket alone.
        records = event_body.get("Records")
        source = records[0]["s3"]["bucket"]["arn"] if records else f"arn:aws:s3:::{event_body['Bucket']}"
        if not enforces_iam() or service_may_send(SERVICE, action, arn, source):
            send(account_id, event_body, name, region_name)

    return send_where_allowed
