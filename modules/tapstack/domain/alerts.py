"""An alert: what a policy decides about, whichever tool raised it.

GuardDuty's findings are alerts (`domain.findings` reads them), and so is what a mapping makes of the document of any
other tool (`domain.alert_mappings`).

Sources: Amazon GuardDuty User Guide, "Severity levels of GuardDuty findings" (where the levels begin) and "Sample
findings"; MITRE ATT&CK, "Techniques" (the form of their ids).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tapstack.domain.incidents import Severity
from tapstack.domain.outside_text import quoted, word
from tapstack.domain.regions import AccountRegion

GUARDDUTY: Final = "guardduty"
"""The source of findings that GuardDuty's own events bring."""
SECURITY_HUB: Final = "securityhub"
"""The source of findings that Security Hub's events bring, CSPM and v2."""
TITLES: Final[Mapping[str, str]] = {GUARDDUTY: "GuardDuty", SECURITY_HUB: "Security Hub"}
"""What messages call these sources; any other is called by its name."""
HIGHEST_SEVERITY: Final = 10.0
CRITICAL: Final = 9.0
"""The severity from which GuardDuty calls a finding critical."""
_LEVELS: Final[tuple[tuple[float, Severity], ...]] = ((CRITICAL, "critical"), (7.0, "high"), (4.0, "medium"))
"""Where each level begins; below is low."""
ATTACK_SEQUENCE: Final = "AttackSequence"
RUNTIME: Final = "Runtime"
"""What findings of Runtime Monitoring are about, in their types. They have no resource role."""
SAMPLE_PREFIX: Final = "[SAMPLE]"
SAMPLE_INSTANCE: Final = "i-99999999"
"""The instance of every sample finding. It does not exist; were it to, it would be another customer's."""
TITLE_LENGTH: Final = 300
TYPE_LENGTH: Final = 256
"""Characters of what a tool calls a kind of alert at most."""
_WORD: Final = re.compile(r"[!-~]{1,256}")
_TYPE_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class AlertInstance:
    """An EC2 instance that an alert is about.

    Attributes:
        id: such as i-0123456789abcdef0.
        where: its account and Region.
        network_interface_ids: its interfaces, as the alert has them.
        tags: as the alert has them; they may have changed since.
    """

    id: str
    where: AccountRegion
    network_interface_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """What an alert of another tool names, for EC2 to be asked which instance that is; never trusted unasked.

    Attributes:
        instance_ids: instances, each once; more than one only where the alert is about each of them.
        network_interface_id: an interface. Beside one instance it must be that one's, where it is attached.
        private_ip: the primary private IPv4 address of an interface; with `vpc_id`, because addresses repeat in other
            VPCs. Beside an instance or an interface it must not be that of another instance.
        vpc_id: the VPC of the address.
    """

    instance_ids: tuple[str, ...] = ()
    network_interface_id: str | None = None
    private_ip: str | None = None
    vpc_id: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """What a decision needs of an alert.

    Attributes:
        source: by which way it came, which is what is known for certain: `guardduty`, `securityhub`, or the name of a
            source in the deployment file.
        id: the same for every later occurrence of the same alert; unique within what raised it.
        type: such as `UnauthorizedAccess:EC2/TorClient`; of other tools, any text, or empty.
        severity: 0.0 to 10.0.
        where: the account and Region that it is about.
        instances: the EC2 instances that it is about, each once; none for alerts about other resources, and as long as
            EC2 was not asked for those of `target`.
        target: what the instances are found by; none where the alert needs no question.
        title: one sentence of printable characters; empty where the alert has none.
        tactics: of ATT&CK, those of its type and those that were given.
        techniques: of ATT&CK, as they were given, such as T1071.004; none of GuardDuty.
        archived: where it was raised, by a person or a rule.
        sample: generated for trying out; what it names does not exist.
        resource_role: `TARGET` or `ACTOR`; none where GuardDuty does not say.
        count: how often it has occurred.
        last_seen: ISO 8601; none where the alert does not say.
        of_guardduty: whether it is a finding of GuardDuty, whichever way it came. Its id is then the finding's, so that
            it is one alert by whichever way.
        detected_in: of a finding of GuardDuty, the account and Region of its detector, as its ARN or its event has
            them; none where only its id is given.
        left_out: what has a form that its source does not describe, each with its place; it counts as absent.
    """

    source: str
    id: str
    type: str
    severity: float
    where: AccountRegion
    instances: tuple[AlertInstance, ...] = ()
    target: Target | None = None
    title: str = ""
    tactics: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    archived: bool = False
    sample: bool = False
    resource_role: str | None = None
    count: int = 1
    last_seen: str | None = None
    of_guardduty: bool = False
    detected_in: AccountRegion | None = None
    left_out: tuple[str, ...] = ()

    @property
    def level(self) -> Severity:
        """The severity in words: low below 4.0, medium below 7.0, high below 9.0, else critical."""
        return severity_level(self.severity)

    @property
    def noun(self) -> str:
        """What messages call it: GuardDuty and Security Hub raise findings, other tools alerts."""
        return "finding" if self.source in TITLES else "alert"

    @property
    def shown_id(self) -> str:
        """The id in lines of ours: with its source, except for GuardDuty's findings."""
        return self.id if self.of_guardduty else word(f"{self.source}:{self.id}")

    @property
    def shown_type(self) -> str:
        """The type in lines of ours: as it is where it is one word, as GuardDuty's are, otherwise quoted.

        Where there is no type, the title.
        """
        if not (shown := self.type or self.title):
            return "something without a type or a title"
        return shown if _WORD.fullmatch(shown) else quoted(shown, _TYPE_SHOWN)

    @property
    def is_attack_sequence(self) -> bool:
        """Whether GuardDuty correlated several signals, about any number of resources."""
        return self.of_guardduty and is_attack_sequence(self.type)

    @property
    def of_runtime_monitoring(self) -> bool:
        """Whether Runtime Monitoring reports it, which gives no resource role."""
        return self.type.partition(":")[2].startswith(f"{RUNTIME}/")

    def key(self, instance: AlertInstance) -> str:
        """Return what later occurrences find the instance's incident by, as incidents have it in `alert_id`.

        An id of another source begins with its name: two tools may use the same one. An attack sequence may name more
        instances later, so there each has an id of its own from the beginning.
        """
        if not self.of_guardduty:
            return f"{self.source}:{self.id}"
        return f"{self.id}/{instance.id}" if self.is_attack_sequence else self.id

    def other_key(self, instance: AlertInstance) -> str | None:
        """Return what the instance's incident has in place of `key` where the same finding came first by another way.

        A tool that passes on an attack sequence may give it a type of its own. None where there is no such key.
        """
        if not self.of_guardduty or (self.source == GUARDDUTY and not self.is_attack_sequence):
            return None
        return self.id if self.is_attack_sequence else f"{self.id}/{instance.id}"

    def opened(self, alert_id: str | None) -> bool:
        """Return whether an incident with an alert id was opened by this attack sequence, about any instance."""
        return alert_id is not None and (alert_id == self.id or alert_id.startswith(f"{self.id}/"))


def severity_level(severity: float) -> Severity:
    """Return GuardDuty's word for a severity."""
    return next((level for least, level in _LEVELS if severity >= least), "low")


def is_attack_sequence(finding_type: str) -> bool:
    """Return whether findings of a type are attack sequences."""
    return finding_type.startswith(f"{ATTACK_SEQUENCE}:")


def title_of(source: str) -> str:
    """Return what messages call a source: AWS's own name of its service, otherwise the name in the deployment file."""
    return TITLES.get(source, source)


def one_title(text: str) -> str:
    """Return a title from outside as one line of printable characters, up to 300: it may hold anything."""
    return "".join(character for character in text if character.isprintable())[:TITLE_LENGTH]
