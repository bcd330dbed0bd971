"""Where telemetry lies in the bucket that an XDR reads: one prefix for each source, one form of object for each prefix.

The names below are a contract with whoever reads the bucket: they do not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_name
from tapstack.domain.names import QUEUE_NAME, Prefix, name_within
from tapstack.domain.suggestions import did_you_mean

FLOW: Final = "flow/"
"""VPC Flow Logs; AWS continues with `AWSLogs/<account>/vpcflowlogs/<Region>/<yyyy>/<mm>/<dd>/`."""
GUARDDUTY: Final = "guardduty/"
"""Findings that GuardDuty exports; AWS continues with `AWSLogs/<account>/GuardDuty/<Region>/<yyyy>/<mm>/<dd>/`."""
INCIDENTS: Final = "incidents/v1/"
"""Events of incidents; continued with the date, so that the order of the keys is that of the events."""
INCIDENTS_OCSF: Final = "incidents-ocsf/"
"""The same events as Detection Findings of OCSF."""
FEEDS: Final = "feeds/"
"""What others put, such as the logs of an endpoint protection; each producer below its own name."""
UNMATCHED: Final = "unmatched/"
"""Alerts for which no single instance could be determined; no reader sees them."""

KEPT: Final = (FLOW, f"{GUARDDUTY}AWSLogs/", INCIDENTS, INCIDENTS_OCSF, FEEDS)
"""Below what telemetry lies that expires, besides `unmatched/`. The object `guardduty/` itself stays: GuardDuty asks
for it, and Terraform would put it again."""

_PREFIXES: Final = {
    "flow": FLOW,
    "guardduty": GUARDDUTY,
    "incidents": INCIDENTS,
    "incidents-ocsf": INCIDENTS_OCSF,
}
"""What readers may be given, besides feeds, by the name in the deployment file."""

DEAD_LETTERS: Final = "-dead-letters"
"""How the name of the queue ends of messages that a reader did not delete; what is before is that of its queue."""
BUCKET_LENGTH: Final = 63
"""Characters of a bucket's name at most. Source: Amazon S3 User Guide, "General purpose bucket naming rules"."""
_ACCOUNT: Final = 12


@dataclass(frozen=True, slots=True)
class LandingBucket:
    """The bucket of a landing that others made, for what puts into it.

    Attributes:
        bucket_name: its name; may be a token.
        key_arn: of the key that encrypts what is put; None where the bucket has none of its own.
    """

    bucket_name: str
    key_arn: str | None = None


def feed_prefix(producer: str) -> str:
    """Return the prefix of the objects that a producer puts."""
    return f"{FEEDS}{producer}/"


def prefix_of(name: str) -> str:
    """Return the prefix of objects by its name in the deployment file.

    Args:
        name: flow, guardduty, incidents, incidents-ocsf, or feeds/ and the name of a producer.

    Raises:
        RuleViolation: no prefix of this name may be read.
    """
    if name in _PREFIXES:
        return _PREFIXES[name]
    begin, _, producer = name.partition("/")
    if begin == FEEDS.strip("/") and producer:
        return feed_prefix(check_name(producer))
    known = [*_PREFIXES, "feeds/PRODUCER"]
    raise RuleViolation(
        f"{name!r} is no prefix that a reader can be given: {did_you_mean(name, known)}expected {', '.join(known)}"
    )


def producer_of(name: str) -> str | None:
    """Return the producer whose feed a name of a prefix means; None for the other ones."""
    begin, _, producer = name.partition("/")
    return producer if begin == FEEDS.strip("/") else None


def landing_name(deployment: str, site: str) -> Prefix:
    """Return what the names of all resources of a site's XDR begin with."""
    return Prefix(deployment, site, "xdr")


def reader_queue_name(deployment: str, site: str, reader: str) -> str:
    """Return the name of the queue of a reader, up to 80 characters."""
    return name_within(landing_name(deployment, site), f"reader-{reader}", QUEUE_NAME)


def reader_dead_letters_name(deployment: str, site: str, reader: str) -> str:
    """Return the name of the queue of messages that a reader did not delete, up to 80 characters."""
    return name_within(landing_name(deployment, site), f"reader-{reader}{DEAD_LETTERS}", QUEUE_NAME)


def event_queue_name(deployment: str, site: str) -> str:
    """Return the name of the queue through which events of incidents reach the landing, up to 80 characters."""
    return name_within(landing_name(deployment, site), "incidents", QUEUE_NAME)


def event_dead_letters_name(deployment: str, site: str) -> str:
    """Return the name of the queue of events that could not be written, up to 80 characters."""
    return name_within(landing_name(deployment, site), "incidents-dead", QUEUE_NAME)


def landing_bucket_name(deployment: str, site: str, account: str, *, access_logs: bool = False) -> str:
    """Return the name of the bucket that a landing makes, or of that of its access logs.

    It ends in the account's id, because the names of buckets are those of all accounts.

    Args:
        deployment: name of the deployment.
        site: name of the site.
        account: id of the account; may be a token.
        access_logs: the bucket of the access logs.
    """
    name = name_within(landing_name(deployment, site), "access" if access_logs else "", BUCKET_LENGTH - _ACCOUNT - 1)
    return f"{name}-{account}"


def landing_key_name(deployment: str, site: str) -> str:
    """Return the name of the alias of a landing's key, without `alias/`."""
    return name_within(landing_name(deployment, site), "key", 250)
