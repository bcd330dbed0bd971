"""A GuardDuty finding, in whichever of its forms it arrives.

Sources, as of 2026-11-21: Amazon GuardDuty User Guide, "GuardDuty finding format",
"Severity levels of GuardDuty findings" and "Sample findings"; Amazon GuardDuty API
Reference (in botocore's model of it), Finding, Resource, InstanceDetails, Service and
ServiceAdditionalInfo; Amazon EventBridge events reference, "Amazon GuardDuty events".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier, example_of
from tapstack.domain.incidents import Severity
from tapstack.domain.tokens import is_token

EVENT_SOURCE: Final = "aws.guardduty"
EVENT_DETAIL_TYPE: Final = "GuardDuty Finding"
HIGHEST_SEVERITY: Final = 10.0
_LEVELS: Final[tuple[tuple[float, Severity], ...]] = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"))
"""Where each level begins; below is low."""
SAMPLE_PREFIX: Final = "[SAMPLE]"
SAMPLE_INSTANCE: Final = "i-99999999"
"""The instance of every sample finding. It does not exist; were it to, it would be another customer's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a decision needs of a finding.

    Attributes:
        id: 32 hexadecimal digits; the same for every later occurrence of the same finding.
        type: such as `UnauthorizedAccess:EC2/TorClient`.
        severity: 0.0 to 10.0; GuardDuty itself uses 1.0 and more.
        account_id: the account it is about.
        region: the Region it is about.
        instance_id: the EC2 instance; none for findings about other resources, and about several.
        network_interface_ids: that instance's, as GuardDuty knew them.
        tags: that instance's, as GuardDuty knew them; they may have changed since.
        title: one sentence of printable characters; empty where the finding has none.
        archived: in GuardDuty, by a person or a suppression rule.
        sample: generated for trying out; what it names does not exist.
        resource_role: `TARGET` or `ACTOR`; none where GuardDuty does not say.
        count: how often it has occurred.
        first_seen: ISO 8601; none where the finding does not say.
        last_seen: ISO 8601; none where the finding does not say.
        arn: of the finding; none where the finding does not say.
    """

    id: str
    type: str
    severity: float
    account_id: str
    region: str
    instance_id: str | None = None
    network_interface_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    archived: bool = False
    sample: bool = False
    resource_role: str | None = None
    count: int = 1
    first_seen: str | None = None
    last_seen: str | None = None
    arn: str | None = None

    @property
    def threat_purpose(self) -> str:
        """What the type begins with, such as `UnauthorizedAccess`."""
        return self.type.partition(":")[0]

    @property
    def level(self) -> Severity:
        """The severity in words: low below 4.0, medium below 7.0, high below 9.0, else critical."""
        return severity_level(self.severity)


def severity_level(severity: float) -> Severity:
    """Return GuardDuty's word for a severity."""
    return next((level for least, level in _LEVELS if severity >= least), "low")


def parse_finding(document: object) -> Finding:
    """Read a finding from parsed JSON.

    Three forms are taken: the event that EventBridge delivers, the bare finding (the
    event's `detail`), and an answer of the GuardDuty API's GetFindings, or one finding of
    it. Keys may begin in lower case, as EventBridge writes them, or in upper case, as
    the API, boto3 and the AWS CLI do.

    Raises:
        RuleViolation: it is none of these; the message names the place, what was found
            there and what belongs there.
    """
    return _finding(_unwrapped(_Part(document, "")))


def _unwrapped(part: _Part) -> _Part:
    keys = part.mapping()
    if "detail-type" in keys or "detail" in keys:
        if "detail-type" not in keys:
            raise RuleViolation(f"detail-type: is missing: an event of GuardDuty has it, {EVENT_DETAIL_TYPE!r}")
        if (kind := keys["detail-type"]) != EVENT_DETAIL_TYPE:
            raise RuleViolation(f"detail-type: expected {EVENT_DETAIL_TYPE!r}, got {_shown(kind)}")
        if (source := keys.get("source", EVENT_SOURCE)) != EVENT_SOURCE:
            raise RuleViolation(f"source: expected {EVENT_SOURCE!r}, got {_shown(source)}")
        return part.required("detail")
    if "Findings" in keys or "findings" in keys:
        findings = part.required("findings").items()
        if len(findings) != 1:
            raise RuleViolation(f"{part.place('findings')}: expected exactly one finding, got {len(findings)}")
        return findings[0]
    return part


def _finding(part: _Part) -> Finding:
    resource = part.required("resource")
    instance = resource.optional("instanceDetails")
    service = part.optional("service")
    kind = part.required("type").text()
    if not all(kind.partition(":")):
        raise RuleViolation(
            f"{part.place('type')}: expected the form ThreatPurpose:Resource/Family, "
            f"such as UnauthorizedAccess:EC2/TorClient, got {_shown(kind)}"
        )
    title = part.optional("title").text_or("")
    instance_id = instance.optional("instanceId").identifier_or_none("instance")
    return Finding(
        id=part.required("id").text(),
        type=kind,
        severity=part.required("severity").number(0.0, HIGHEST_SEVERITY),
        account_id=part.required("accountId").identifier("account"),
        region=part.required("region").identifier("region"),
        instance_id=instance_id,
        network_interface_ids=_interfaces(instance),
        tags={tag.required("key").text(): tag.optional("value").text_or("") for tag in instance.list_of("tags")},
        # Some titles contain names that an attacker may have chosen.
        title="".join(character for character in title if character.isprintable()),
        archived=service.optional("archived").truth(),
        sample=title.startswith(SAMPLE_PREFIX) or instance_id == SAMPLE_INSTANCE or _says_sample(service),
        resource_role=service.optional("resourceRole").text_or("").upper() or None,
        count=service.optional("count").count(),
        first_seen=service.optional("eventFirstSeen").text_or("") or None,
        last_seen=service.optional("eventLastSeen").text_or("") or None,
        arn=part.optional("arn").text_or("") or None,
    )


def _interfaces(instance: _Part) -> tuple[str, ...]:
    """Return the network interface ids, each once, as they come."""
    found = (
        interface.optional("networkInterfaceId").identifier_or_none("network interface")
        for interface in instance.list_of("networkInterfaces")
    )
    return tuple(dict.fromkeys(interface for interface in found if interface))


def _says_sample(service: _Part) -> bool:
    """Tell whether additionalInfo marks a sample: as a key of its own, or in JSON within `value`."""
    info = service.optional("additionalInfo")
    if info.optional("sample").truth():
        return True
    try:
        inner = json.loads(info.optional("value").text_or("{}"))
    except (ValueError, RecursionError):
        return False  # free text; this says nothing about samples
    return isinstance(inner, dict) and inner.get("sample") is True


@dataclass(frozen=True, slots=True)
class _Part:
    """A value in the document, with the place it stands at. None and absence are the same."""

    value: Any
    where: str

    def place(self, key: str) -> str:
        """Return the place of a key, in the form that the document uses."""
        spelled = self._spelling(key)
        return f"{self.where}.{spelled}" if self.where else spelled

    def required(self, key: str) -> _Part:
        found = self.optional(key)
        if found.value is None:
            raise RuleViolation(f"{self.place(key)}: is missing: a GuardDuty finding has it")
        return found

    def optional(self, key: str) -> _Part:
        if self.value is None:
            return _Part(None, self.place(key))
        return _Part(self.mapping().get(self._spelling(key)), self.place(key))

    def mapping(self) -> dict[str, Any]:
        if isinstance(self.value, dict):
            return self.value
        raise self._refusal("a JSON object")

    def items(self) -> list[_Part]:
        if isinstance(self.value, list):
            return [_Part(item, f"{self.where}[{position}]") for position, item in enumerate(self.value)]
        raise self._refusal("a list")

    def list_of(self, key: str) -> list[_Part]:
        found = self.optional(key)
        return [] if found.value is None else found.items()

    def text(self) -> str:
        if isinstance(self.value, str) and self.value:
            return self.value
        raise self._refusal("text")

    def text_or(self, default: str) -> str:
        if self.value is None or self.value == "":
            return default
        return self.text()

    def truth(self) -> bool:
        if self.value is None or isinstance(self.value, bool):
            return bool(self.value)
        raise self._refusal("true or false")

    def number(self, low: float, high: float) -> float:
        value = self.value
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise self._refusal(f"a number from {low:g} to {high:g}")

    def count(self) -> int:
        if self.value is None:
            return 1
        if isinstance(self.value, int) and not isinstance(self.value, bool) and self.value >= 0:
            return self.value
        raise self._refusal("a whole number, 0 or more")

    def identifier(self, kind: str) -> str:
        text = self.text()
        if is_token(text):  # which the deployment's own ids may be, and a finding's never
            raise self._refusal(f"the form {example_of(kind)}")
        try:
            return check_identifier(kind, text)
        except RuleViolation as violation:
            raise RuleViolation(f"{self.where}: {violation}") from None

    def identifier_or_none(self, kind: str) -> str | None:
        return None if self.value is None else self.identifier(kind)

    def _spelling(self, key: str) -> str:
        upper = key[:1].upper() + key[1:]
        keys = self.value if isinstance(self.value, dict) else {}
        if key in keys:
            return key
        return upper if upper in keys or any(name[:1].isupper() for name in keys) else key

    def _refusal(self, expected: str) -> RuleViolation:
        where = f"{self.where}: " if self.where else ""
        return RuleViolation(f"{where}expected {expected}, got {_shown(self.value)}")


def _shown(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
