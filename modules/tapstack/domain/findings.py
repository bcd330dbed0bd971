"""A GuardDuty finding, in whichever of its forms it arrives.

Sources, as of 2026-11-27: Amazon GuardDuty User Guide, "GuardDuty finding format",
"Severity levels of GuardDuty findings", "GuardDuty attack sequence finding types", "GuardDuty
Runtime Monitoring finding types", "GuardDuty IAM finding types" and "Sample findings"; Amazon
GuardDuty API Reference (in botocore's model of it), Finding, Resource, InstanceDetails, Service,
ServiceAdditionalInfo, Sequence, ResourceV2, Indicator and Signal; Amazon EventBridge events
reference, "Amazon GuardDuty events".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tapstack.domain.alerts import (
    CRITICAL,
    GUARDDUTY,
    HIGHEST_SEVERITY,
    SAMPLE_INSTANCE,
    SAMPLE_PREFIX,
    Alert,
    AlertInstance,
    is_attack_sequence,
    one_title,
)
from tapstack.domain.finding_documents import finding_in
from tapstack.domain.json_parts import Part
from tapstack.domain.regions import AccountRegion
from tapstack.domain.threats import tactic_named, tactics_of

# GuardDuty itself knows of these that the credentials were an instance's, and of which. In every other finding a
# role session's name is the caller's own choice: an attacker could name another instance, to have that contained.
_OF_INSTANCE_CREDENTIALS: Final = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration."
FINDING_ID: Final = re.compile(r"[A-Za-z0-9-]{1,128}")
_TYPE: Final = re.compile(r"(?=.{3,256}\Z)[!-9;-~]+:[!-~]+")
_MOST_OCCURRENCES: Final = 2**31 - 1


def parse_finding(document: object) -> Alert:
    """Read a finding from parsed JSON.

    Three forms are taken: the event that EventBridge delivers, the bare finding (the
    event's `detail`), and an answer of the GuardDuty API's GetFindings, or one finding of
    it. Keys may begin in lower case, as EventBridge writes them, or in upper case, as
    the API, boto3 and the AWS CLI do.

    Only id, type, account, Region and, unless it is an attack sequence, severity are
    needed. Anything else that is odd is left out: `Alert.left_out`.

    Raises:
        RuleViolation: it is none of these, or lacks what is needed; the message names what it
            is, or the place, what was found there and what belongs there.
    """
    part = finding_in(Part(document))
    part.mapping()
    id_ = part.required("id")
    if not FINDING_ID.fullmatch(id_.text()):
        raise id_.refusal("letters, digits and hyphens, as GuardDuty's 32 hexadecimal digits")
    kind = part.required("type")
    if not _TYPE.fullmatch(kind.text()):
        raise kind.refusal("the form ThreatPurpose:Resource/Family, such as UnauthorizedAccess:EC2/TorClient")
    where = AccountRegion(
        part.required("accountId").identifier("account"), part.required("region").identifier("region")
    )
    severity = _severity(part, kind.text())
    service = part.optional("service")
    instances = _instances(part, kind.text(), where)
    title = part.optional("title").or_else(Part.text, "")
    sequence = _sequence_tactics(_sequence(part, kind.text()))
    finding = Alert(
        source=GUARDDUTY,
        id=id_.text(),
        type=kind.text(),
        severity=severity,
        where=where,
        instances=instances,
        # Some titles contain names that an attacker may have chosen.
        title=one_title(title),
        tactics=tuple(dict.fromkeys((*tactics_of(kind.text()), *sequence))),
        archived=service.optional("archived").or_else(Part.truth, default=False),
        sample=title.startswith(SAMPLE_PREFIX)
        or any(instance.id == SAMPLE_INSTANCE for instance in instances)
        or _says_sample(service),
        resource_role=service.optional("resourceRole").or_else(_resource_role, None),
        count=service.optional("count").or_else(lambda count: count.whole_number(0, _MOST_OCCURRENCES), 1),
        last_seen=service.optional("eventLastSeen").or_else(Part.moment, None),
        of_guardduty=True,
        detected_in=where,
    )
    return replace(finding, left_out=tuple(part.left_out))


def _severity(part: Part, kind: str) -> float:
    """Return the severity; an attack sequence is critical, whatever it says."""
    if not is_attack_sequence(kind):
        return _from_0_to_10(part.required("severity"))
    return max(CRITICAL, part.optional("severity").or_else(_from_0_to_10, CRITICAL))


def _from_0_to_10(severity: Part) -> float:
    return severity.number(0.0, HIGHEST_SEVERITY)


def _resource_role(role: Part) -> str:
    if (text := role.text().upper()) in ("TARGET", "ACTOR"):
        return text
    raise role.refusal("TARGET or ACTOR")


def _sequence(part: Part, kind: str) -> Part:
    """Return the sequence of an attack sequence; an absent one for other findings."""
    found = part.optional("service").optional("detection").optional("sequence")
    return found if is_attack_sequence(kind) else Part(None, found.where, found.left_out)


def _instances(part: Part, kind: str, where: AccountRegion) -> tuple[AlertInstance, ...]:
    """Return the instances, each once, as they come."""
    resource = part.optional("resource")
    found = [
        *_instance(resource.optional("instanceDetails"), where),
        *(one for listed in _sequence(part, kind).list_of("resources") for one in _of_sequence(listed)),
    ]
    if not found and kind.startswith(_OF_INSTANCE_CREDENTIALS):
        found += _of_principal(resource.optional("accessKeyDetails").optional("principalId"), where)
    once: dict[tuple[AccountRegion, str], AlertInstance] = {}
    for instance in found:
        once.setdefault((instance.where, instance.id), instance)
    return tuple(once.values())


def _instance(details: Part, where: AccountRegion) -> Iterator[AlertInstance]:
    """Yield the instance of `instanceDetails`."""
    id_ = details.optional("instanceId").or_else(_instance_id, None)
    if id_ is not None:
        interfaces = [one.optional("networkInterfaceId") for one in details.list_of("networkInterfaces")]
        yield AlertInstance(id_, where, _interfaces(interfaces), _tags(details))


def _of_sequence(resource: Part) -> Iterator[AlertInstance]:
    """Yield the instance that a resource of an attack sequence is.

    Other resources list instances too (those of a VPC, an image, an instance profile), which need not have done
    or suffered anything.
    """
    details = resource.optional("data").optional("ec2Instance")
    if resource.optional("resourceType").value != "EC2_INSTANCE" and details.value is None:
        return
    for key in ("uid", "name"):
        found = resource.optional(key).or_else(instance_of_arn, None)
        if found is not None:
            id_, where = found
            interfaces = details.list_of("ec2NetworkInterfaceUids")
            yield AlertInstance(id_, where, _interfaces(interfaces), _tags(resource))
            return


def _of_principal(principal: Part, where: AccountRegion) -> Iterator[AlertInstance]:
    """Yield the instance whose credentials were used: EC2 names a role's session after the instance."""
    _, _, session = principal.or_else(Part.text, "").partition(":")
    if session.startswith("i-"):
        id_ = Part(session, principal.where, principal.left_out).or_else(_instance_id, None)
        if id_ is not None:
            yield AlertInstance(id_, where)


def instance_of_arn(part: Part) -> tuple[str, AccountRegion]:
    """Return id and place of an instance, from its ARN.

    Raises:
        RuleViolation: it is no ARN of an instance.
    """
    try:
        arn, _, service, region, account, resource = part.text().split(":", 5)
        kind, id_ = resource.split("/")
        if (arn, service, kind) == ("arn", "ec2", "instance"):
            # Read as parts: the deployment's own ids may be tokens, and those of a finding never.
            place = AccountRegion(Part(account).identifier("account"), Part(region).identifier("region"))
            return Part(id_).identifier("instance"), place
    except ValueError:  # of which a RuleViolation is one
        pass
    raise part.refusal("the ARN of an instance")


def _instance_id(part: Part) -> str:
    return part.identifier("instance")


def _interfaces(parts: list[Part]) -> tuple[str, ...]:
    """Return the ids of network interfaces, each once, as they come."""
    found = (part.or_else(_interface_id, None) for part in parts)
    return tuple(dict.fromkeys(interface for interface in found if interface is not None))


def _interface_id(part: Part) -> str:
    """Return the id of a network interface, which an ARN ends with."""
    text = part.text()
    return Part(text.rpartition("/")[2] if text.startswith("arn:") else text, part.where).identifier(
        "network interface"
    )


def _tags(holder: Part) -> dict[str, str]:
    found = {}
    for tag in holder.list_of("tags"):
        key = tag.optional("key").or_else(Part.text, None)
        if key is not None:
            found[key] = tag.optional("value").or_else(Part.text, "")
    return found


def _sequence_tactics(sequence: Part) -> tuple[str, ...]:
    """Return the tactics that GuardDuty names, of the sequence and of its signals, and those of findings in it."""
    signals = sequence.list_of("signals")
    indicators = [
        *sequence.list_of("sequenceIndicators"),
        *(indicator for signal in signals for indicator in signal.list_of("signalIndicators")),
    ]
    named = (
        value.or_else(_tactic, None)
        for indicator in indicators
        if indicator.optional("key").value == "ATTACK_TACTIC"
        for value in indicator.list_of("values")
    )
    of_findings = (
        tactic for signal in signals for tactic in tactics_of(signal.optional("name").or_else(Part.text, ""))
    )
    return tuple(dict.fromkeys((*filter(None, named), *of_findings)))


def _tactic(part: Part) -> str:
    found = tactic_named(part.text())
    if found is None:
        raise part.refusal("a tactic of ATT&CK")
    return found


def _says_sample(service: Part) -> bool:
    """Return whether additionalInfo marks a sample: as a key of its own, or in JSON within `value`."""
    info = service.optional("additionalInfo")
    if info.optional("sample").or_else(Part.truth, default=False):
        return True
    try:
        inner = json.loads(info.optional("value").or_else(Part.text, "{}"))
    except (ValueError, RecursionError):
        return False  # free text; this says nothing about samples
    return isinstance(inner, dict) and inner.get("sample") is True
