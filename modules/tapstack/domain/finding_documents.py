"""The forms that a GuardDuty finding comes in, and what is taken for one but is something else.

Sources: Amazon EventBridge events reference, "Amazon GuardDuty events"; Amazon GuardDuty API
Reference, GetFindings; Amazon SNS Developer Guide, "Parsing message formats"; AWS Lambda Developer
Guide, "Invoking Lambda with events from other services"; AWS Security Hub User Guide, "Required
top-level ASFF attributes" and "OCSF findings".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.json_parts import Part
from tapstack.domain.outside_text import quoted

EVENT_SOURCE: Final = "aws.guardduty"
SECURITY_HUB_EVENT_SOURCE: Final = "aws.securityhub"
SECURITY_HUB_DETAIL_TYPE: Final = "Security Hub Findings - Imported"
SECURITY_HUB_V2_DETAIL_TYPE: Final = "Findings Imported V2"
THREAT_CATEGORIES: Final = ("TTPs", "Effects", "Unusual Behaviors", "Sensitive Data Identifications")
"""What types of ASFF begin with that are about threats, and not about configuration."""
EVENT_DETAIL_TYPE: Final = "GuardDuty Finding"
ESSENTIALS: Final = ("id", "type", "severity", "accountId", "region")
"""What every finding has."""
_FORMS: Final = (
    f"expected the event that EventBridge delivers (source {EVENT_SOURCE}, detail-type {EVENT_DETAIL_TYPE}), the "
    "finding in it (its detail), or the output of aws guardduty get-findings"
)
_OF_SECURITY_HUB: Final = "tapstack xdr try --source securityhub takes its events"
_INNER: Final = "expected the finding in it"


def finding_in(part: Part) -> Part:
    """Return the finding, out of whichever form it comes in.

    Raises:
        RuleViolation: it is something else; the message says what, and what to give instead.
    """
    keys = part.mapping()
    if (other := _other(part)) is not None:
        raise RuleViolation(f"this is {other}")
    if "detail-type" in keys:
        return part.required("detail")
    if "detail" in keys:
        raise RuleViolation(f"detail-type: is missing: an event of GuardDuty has it, {EVENT_DETAIL_TYPE!r}")
    if (several := part.optional("findings")).value is not None:
        findings = several.items()
        if len(findings) != 1:
            raise RuleViolation(f"{several.where}: expected exactly one finding, got {len(findings)}")
        return findings[0]
    if all(part.optional(key).value is None for key in ESSENTIALS):
        raise RuleViolation(f"this is JSON of another kind, with no {', '.join(ESSENTIALS)}: {_FORMS}")
    return part


def _other(part: Part) -> str | None:
    """Return what the document is, if not a finding, with what to give instead."""
    keys = part.mapping()
    if "TopicArn" in keys:
        return f"a message of Amazon SNS, which has its content as text: {_INNER} (jq -r .Message FILE)"
    if "Records" in keys:
        return f"a batch of records, as Amazon SNS and SQS give them to functions: {_INNER}, in a message or a body"
    if "detail-type" in keys:
        return _other_event(keys)
    several = part.optional("findings").value
    if any(_is_of_security_hub(found) for found in (keys, *(several if isinstance(several, list) else ()))):
        return f"a finding in a form of Security Hub (ASFF or OCSF), not GuardDuty's own: {_FORMS}; {_OF_SECURITY_HUB}"
    return None


def _other_event(keys: Mapping[str, Any]) -> str | None:
    kind, source = keys["detail-type"], keys.get("source", EVENT_SOURCE)
    if source == SECURITY_HUB_EVENT_SOURCE:
        return f"an event of Security Hub, {quoted(kind)}, not GuardDuty's own: {_FORMS}; {_OF_SECURITY_HUB}"
    if source != EVENT_SOURCE:
        return f"an event of another source, {quoted(source)}: {_FORMS}"
    if kind != EVENT_DETAIL_TYPE:
        return f"an event of GuardDuty that is no finding, {quoted(kind)}: {_FORMS}"
    return None


def _is_of_security_hub(found: object) -> bool:
    """Tell ASFF and OCSF, by attributes that they must have and GuardDuty's findings have not."""
    return isinstance(found, dict) and ("ProductArn" in found or "class_uid" in found)
