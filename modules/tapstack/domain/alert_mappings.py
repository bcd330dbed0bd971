"""From the document that another tool sends to alerts: expressions of JMESPath say where its values are.

A mapping answers text and numbers of others. Each of them is checked, bounded and made one line of printable
characters here, so that what follows need not. What names no alert for certain is unmatched, with the reason; nothing
is guessed.

Sources: JMESPath Specification; AWS Security Hub User Guide, "AWS Security Finding Format (ASFF)", "Security Hub CSPM
EventBridge event types" and "EventBridge event format for Security Hub"; OCSF Schema 1.6.0, Detection Finding; Hunters,
"The anatomy of a lead" (what a lead has; its webhook's body is made by a workflow of one's own). As of 2026-11-26.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, get_args

from tapstack.domain.alerts import (
    HIGHEST_SEVERITY,
    SAMPLE_INSTANCE,
    SAMPLE_PREFIX,
    SECURITY_HUB,
    TYPE_LENGTH,
    Alert,
    Target,
    one_title,
)
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import FINDING_ID, instance_of_arn, parse_finding
from tapstack.domain.incidents import EARLIEST, TECHNIQUE_PATTERN, as_moment, as_text
from tapstack.domain.json_parts import Part
from tapstack.domain.outside_text import quoted
from tapstack.domain.regions import AccountRegion
from tapstack.domain.suggestions import did_you_mean, nearest
from tapstack.domain.threats import TACTICS, tactic_named, tactics_of

T = TypeVar("T")

SEVERITY_WORDS: Final[Mapping[str, float]] = MappingProxyType(
    {"informational": 0.0, "info": 0.0, "low": 1.0, "medium": 4.0, "high": 7.0, "critical": 9.0, "fatal": 10.0}
)
"""Where each level begins. OCSF's Fatal is the one above its Critical."""
SeverityScale = Literal[10, 100]
SEVERITY_SCALES: Final[tuple[int, ...]] = get_args(SeverityScale)
ALERTS_OF_A_DOCUMENT: Final = 100
"""An event of Security Hub has up to 20 findings."""
SOURCES_FILE: Final = "alert_sources.json"
"""What the functions' package calls the file with the sources of the deployment."""
INSTANCES_OF_AN_ALERT: Final = 100
"""A finding of Security Hub has up to 32 resources."""
EXPRESSION_LENGTH: Final = (1, 1000)
_ID_LENGTH: Final = 200
"""With the name of its source it fits into the alert id of an incident. A longer one is replaced by its hash."""
_ID: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
_LISTED: Final = 20
"""How many tactics, techniques and left-out values of an alert are kept."""
_FINDING_ARN: Final = re.compile(
    r"arn:[a-z-]+:guardduty:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):detector/[\w-]+/finding/(?P<id>[\w-]{1,128})",
    re.ASCII,
)
# ASFF writes GuardDuty's types with its own categories before them, and a hyphen for the slash.
_TYPE_IN_ASFF: Final = re.compile(r"(?:[^:]*/)?(?P<purpose>[A-Za-z]+:[A-Za-z0-9]+)-(?P<family>[^/]+)")
_TTPS: Final = "TTPs/"
"""What a type of ASFF begins with that names a tactic."""
_TARGETS: Final = ("instance_id", "instance_arn", "network_interface_id", "private_ip")
_NOTHING: Final[tuple[object, ...]] = (None, "", [], {})
_SHOWN: Final = 10
"""How many keys or kinds of a document a message shows."""
_NEARLY: Final = 0.85
"""How alike the core of a name is to that which was meant: so that one letter is wrong, missing or too much."""
_ADDRESS_ALONE: Final = "the address alone may be another instance's in another VPC"
_MILLISECONDS: Final = 1e11
"""Above this a number is a time in milliseconds: in seconds it would be after the year 5000."""
_TIMES: Final = (EARLIEST.timestamp(), 253402300799.0)


@dataclass(frozen=True, slots=True)
class AlertMapping:
    """Where the values of an alert are in the documents of a source: an expression of JMESPath for each.

    An expression answers text, a number, a list of text, or null, which is the same as leaving the expression out.

    Attributes:
        match: True of the documents that the mapping is for: anything but null, false and what is empty.
        alert_id: What later occurrences of the same alert have, too. The ARN of a GuardDuty finding stands for the
            finding, whichever way it comes.
        severity: A number on the scale, or a word for where a level begins on that to 10: informational or info 0, low
            1, medium 4, high 7, critical 9, fatal 10.
        each: The list whose entries are alerts; all other expressions but `match` are then relative to an entry.
            By default the document is one alert.
        title: One sentence.
        type: What the tool calls this kind of alert; rules of the policy match it.
        time: When what it reports was seen last, not when it was detected: in ISO 8601, or in seconds or milliseconds
            of the epoch, and of 2000 or later. Of alternatives in brackets, as in `[event_time, detection_time]`, the
            first that is such a time; of a list of times the latest. The moment at which it was received counts where
            it says none.
        technique: Of ATT&CK, such as T1071.004, or with its name behind it, as in `T1071 - Application Layer Protocol`;
            one, or a list.
        tactics: Of ATT&CK, by name or id, or id and name; one, or a list.
        account_id: The account that it is about; the site's by default.
        region: The Region that it is about; the site's by default.
        instance_id: The instance. All of these keys that answer something must agree, otherwise the alert is unmatched.
        instance_arn: The instance, by its ARN; its account and Region must be those of `account_id` and `region`.
        network_interface_id: An interface of the instance.
        private_ip: The primary private IPv4 address of an interface of the instance; needs `vpc_id`. Beside the keys
            above only one counts.
        vpc_id: The VPC of the address; a literal in single quotes names a fixed one.
        guardduty_finding: Id or ARN of the GuardDuty finding that the alert passes on.
        archived: True where the tool has settled the alert: responders are then only notified.
        severity_scale: The highest number of `severity`, 10 or 100.
        several_instances: Whether an alert that names several instances is about each of them. By default it is
            unmatched, because which one is meant is not certain.
    """

    match: str
    alert_id: str
    severity: str
    each: str | None = None
    title: str | None = None
    type: str | None = None
    time: str | None = None
    technique: str | None = None
    tactics: str | None = None
    account_id: str | None = None
    region: str | None = None
    instance_id: str | None = None
    instance_arn: str | None = None
    network_interface_id: str | None = None
    private_ip: str | None = None
    vpc_id: str | None = None
    guardduty_finding: str | None = None
    archived: str | None = None
    severity_scale: SeverityScale = 10
    several_instances: bool = False

    def __post_init__(self) -> None:
        """Compile every expression.

        Raises:
            RuleViolation: an expression is none of JMESPath, no target can be found, or a number is out of range.
        """
        for name, expression in self.expressions():
            try:
                check_expression(expression)
            except RuleViolation as violation:
                raise RuleViolation(f"{name}: {violation}") from None
        if problem := self.problem():
            raise RuleViolation(problem)

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Yield the expressions that are given, by name."""
        for each in fields(self):
            if isinstance(value := getattr(self, each.name), str):
                yield each.name, value

    def problem(self) -> str | None:
        """Return what does not fit together; None where all does."""
        if not (self.instance_id or self.instance_arn or self.network_interface_id or self.private_ip):
            return (
                "expected one of instance_id, instance_arn, network_interface_id, private_ip: what the alert is about"
            )
        if (self.private_ip is None) != (self.vpc_id is None):
            return "private_ip and vpc_id go together: addresses repeat in other VPCs"
        if isinstance(self.severity_scale, bool) or self.severity_scale not in SEVERITY_SCALES:
            expected = " or ".join(map(str, SEVERITY_SCALES))
            return f"severity_scale must be {expected}, got {self.severity_scale!r}"
        return None


AlertPreset = Literal["generic", "guardduty", "hunters", "securityhub", "securityhub_ocsf"]
PRESETS: Final[tuple[AlertPreset, ...]] = get_args(AlertPreset)
GUARDDUTY_PRESET: Final[AlertPreset] = "guardduty"
"""GuardDuty's own events, as another tool passes them on: they are read as those that GuardDuty sends."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A mapping that the deployment file has, and what messages say of it: they name its keys."""

    mapping: AlertMapping

    def place(self, key: str) -> str:
        """Return how messages name the value of a key."""
        return key

    @property
    def failure(self) -> str:
        """What a message says of an expression that fails."""
        return "the expression fails on this alert"

    @property
    def documents(self) -> str:
        """Which documents it reads."""
        return f"the mapping is for documents with {self.mapping.match}"

    def has(self, document: Mapping[str, Any]) -> str:
        """Return what a document has that is none of these."""
        keys = ", ".join(quoted(key, 40) for key in list(document)[:_SHOWN])
        return f"the keys {keys}" if keys else "no keys"

    def no_instance(self, _entry: object) -> str:
        """Return why an alert names no instance."""
        named = [key for key in _TARGETS if getattr(self.mapping, key) is not None]
        return f"it names no instance: {', '.join(named)} answer nothing"

    def misnamed(self, _entry: object) -> Iterator[tuple[str, str]]:
        """Yield the values that are not read because of a typing error in what names them, and what a message says."""
        return iter(())

    def no_vpc(self, _entry: object) -> str:
        """Return why the address of an alert does not do."""
        return f"{self.place('vpc_id')}: is missing: {_ADDRESS_ALONE}"


@dataclass(frozen=True, slots=True)
class _Preset(_Form):
    """A mapping of ours, and what it reads in words of the document: whoever uses it has written no expression.

    Attributes:
        name: of the preset.
        kind: of the documents, with what makes one of them.
        decided_by: paths of the values that do.
        instance: what names the instance.
        holder: path of what that is in.
        held: an expression for what there may be in its place, as a list.
        held_words: what a message says before this list.
        places: where a value is, for each expression that is no plain path.
        named: an expression for the names and values of the list that has the target, as pairs; none where there is no
            such list.
        names: those that are read of it, each with what its values are identifiers of.
    """

    name: AlertPreset
    kind: str
    decided_by: tuple[str, ...]
    instance: str
    holder: str
    held: str
    held_words: str
    places: Mapping[str, str]
    named: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def place(self, key: str) -> str:
        return self.places.get(key) or str(getattr(self.mapping, key))

    @property
    def failure(self) -> str:
        return "cannot be read"

    @property
    def documents(self) -> str:
        return f"preset {self.name} reads {self.kind}"

    def has(self, document: Mapping[str, Any]) -> str:
        found = {path.strip('"'): _answer(path, document) for path in self.decided_by}
        if all(value is None for value in found.values()):
            # Not super(): a class with slots is another one than that which it was written as.
            return _Form.has(self, document)
        there = ", ".join(f"{path} {quoted(value, 40)}" for path, value in found.items() if value is not None)
        missing = " and ".join(f"no {path}" for path, value in found.items() if value is None)
        return f"{there}, but {missing}" if missing else there

    def no_instance(self, entry: object) -> str:
        return f"it names no instance: preset {self.name} reads {self.instance}; this alert has {self._held_by(entry)}"

    def no_vpc(self, entry: object) -> str:
        return f"{_Form.no_vpc(self, entry)}; this alert has {self._held_by(entry)}"

    def misnamed(self, entry: object) -> Iterator[tuple[str, str]]:
        """Yield each value that has the form of what is read, under a name that is nearly, but not quite, its own.

        The form is asked for as well, because documents have names of their own: aws_account_name is no typing error.
        """
        names = {_core(name): name for name in self.names}
        found = _answer(self.named, entry) if self.named else None
        for name, value in found if isinstance(found, list) else ():
            if not isinstance(name, str) or name in self.names or not isinstance(value, str | int):
                continue
            meant = names.get(nearest(_core(name), names, at_least=_NEARLY) or "")
            if meant is not None and _has_form(value, self.names[meant]):
                of = f"{self.holder}: {quoted(name, 40)} with the value {quoted(str(value), 40)}"
                yield str(value), f"{of} is not read: did you mean {meant}?"

    def _held_by(self, entry: object) -> str:
        if isinstance(held := _answer(self.held, entry), list) and held:
            different = dict.fromkeys(quoted(one, 40) for one in held)
            return f"{self.held_words} {', '.join(list(different)[:_SHOWN])}"
        holder = _answer(self.holder, entry)
        return f"no {self.holder}" if holder in _NOTHING else f"{self.holder} {quoted(holder)}"


def _has_form(value: str | int, kind: str) -> bool:
    return Part(str(value)).or_else(lambda part: part.identifier(kind), "") != ""


def _core(name: str) -> str:
    """Return the part of a name that says what it names: `account` of aws_account_id, AWS-Account and account_id."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return letters.removeprefix("aws").removeprefix("ec2").removesuffix("id")


@functools.cache
def _of_preset(name: str) -> _Preset:
    """Return what `PRESETS` has under a name; nothing of GuardDuty's, whose documents `domain.findings` reads.

    Raises:
        RuleViolation: there is none of this name.
    """
    if name == "hunters":
        return _Preset(
            AlertMapping(
                match="uuid && detector",
                alert_id="uuid",
                # Some detectors run on a schedule: what they find happened before they detected it.
                time="[event_time, detection_time]",
                severity="risk || score",
                title="name || detector",
                type="detector",
                technique="mitre.technique",
                tactics="mitre.tactic",
                account_id="entities[?kind=='aws_account_id'].value",
                instance_id="entities[?kind=='aws_instance_id'].value",
                network_interface_id="entities[?kind=='aws_eni_id'].value",
                private_ip="entities[?kind=='ip'].value",
                vpc_id="entities[?kind=='aws_vpc_id'].value",
                guardduty_finding="guardduty_finding",
            ),
            name="hunters",
            kind="leads with uuid and detector, neither of which is empty",
            decided_by=("uuid", "detector"),
            instance="entities of the kinds aws_instance_id, aws_eni_id, or ip with aws_vpc_id, each with a value",
            holder="entities",
            held="entities[].kind",
            held_words="entities of the kinds",
            places={
                "time": "event_time or detection_time",
                "severity": "risk or score",
                "title": "name or detector",
                "account_id": "entity of the kind aws_account_id",
                "instance_id": "entity of the kind aws_instance_id",
                "network_interface_id": "entity of the kind aws_eni_id",
                "private_ip": "entity of the kind ip",
                "vpc_id": "entity of the kind aws_vpc_id",
            },
            named="entities[].[kind, value]",
            # Not the address: that without its VPC, or the VPC without it, is unmatched or left out anyway.
            names=MappingProxyType(
                {"aws_account_id": "account", "aws_instance_id": "instance", "aws_eni_id": "network interface"}
            ),
        )
    if name == "securityhub":
        return _Preset(
            AlertMapping(
                match=(
                    "source=='aws.securityhub' && starts_with(\"detail-type\", 'Security Hub Findings - ') && "
                    "detail.findings[?ProductArn]"
                ),
                each="detail.findings",
                alert_id="Id",
                time="[LastObservedAt, UpdatedAt]",
                # What GuardDuty says itself, so that a rule decides the same by whichever way the finding comes.
                severity=(
                    "(contains(ProductArn || '', ':product/aws/guardduty') && "
                    "FindingProviderFields.Severity.Original) || "
                    "(contains(ProductArn || '', ':product/aws/guardduty') && Severity.Product) || Severity.Label"
                ),
                title="Title",
                type="Types[0]",
                # Types such as TTPs/Command and Control/...; GuardDuty's own say their tactics by themselves.
                tactics=(
                    "(!contains(ProductArn || '', ':product/aws/guardduty') && Types[?starts_with(@, 'TTPs/')]) || "
                    "`null`"
                ),
                account_id="AwsAccountId",
                region="Region",
                instance_arn="Resources[?Type=='AwsEc2Instance'].Id",
                archived="RecordState=='ARCHIVED' || Workflow.Status=='SUPPRESSED' || Workflow.Status=='RESOLVED'",
                several_instances=True,
            ),
            name="securityhub",
            kind=(
                "events of Security Hub CSPM: source aws.securityhub, a detail-type that begins with 'Security Hub "
                "Findings - ', and findings with ProductArn in detail.findings"
            ),
            decided_by=("source", '"detail-type"', "detail.findings[].ProductArn"),
            instance="Resources of the Type AwsEc2Instance, each with an Id",
            holder="Resources",
            held="Resources[].Type",
            held_words="Resources of the Types",
            places={
                "time": "LastObservedAt or UpdatedAt",
                "severity": "Severity.Label (of GuardDuty FindingProviderFields.Severity.Original)",
                "tactics": "Types that begin with TTPs/",
                "instance_arn": "Id of the resource of the Type AwsEc2Instance",
                "archived": "RecordState or Workflow.Status",
            },
        )
    if name == "securityhub_ocsf":
        return _Preset(
            AlertMapping(
                match="source=='aws.securityhub' && starts_with(\"detail-type\", 'Findings Imported V2')",
                each="detail.findings",
                alert_id="finding_info.uid",
                time="[finding_info.last_seen_time, finding_info.modified_time, time]",
                severity="severity",
                title="finding_info.title",
                type="finding_info.types[0]",
                technique="finding_info.attacks[].[sub_technique.uid || technique.uid][]",
                tactics="finding_info.attacks[].[tactic.uid || tactic.name][]",
                account_id="cloud.account.uid",
                region="cloud.region",
                instance_arn="resources[?type=='AWS::EC2::Instance'].uid",
                # Suppressed, resolved and archived; or closed.
                archived="status_id==`3` || status_id==`4` || status_id==`5` || activity_id==`3`",
                several_instances=True,
            ),
            name="securityhub_ocsf",
            kind=(
                "events of Security Hub v2: source aws.securityhub, and a detail-type that begins with 'Findings "
                "Imported V2'"
            ),
            decided_by=("source", '"detail-type"'),
            instance="resources of the type AWS::EC2::Instance, each with a uid",
            holder="resources",
            held="resources[].type",
            held_words="resources of the types",
            places={
                "time": "finding_info.last_seen_time, finding_info.modified_time or time",
                "technique": "sub_technique.uid or technique.uid in finding_info.attacks",
                "tactics": "tactic.uid or tactic.name in finding_info.attacks",
                "instance_arn": "uid of the resource of the type AWS::EC2::Instance",
                "archived": "status_id or activity_id",
            },
        )
    if name == "generic":
        return _Preset(
            AlertMapping(
                match="version=='1' && alert_id",
                alert_id="alert_id",
                time="time",
                severity="severity",
                title="title",
                type="type",
                technique="technique",
                tactics="tactics",
                account_id="account_id",
                region="region",
                instance_id="target.instance_id",
                instance_arn="target.instance_arn",
                network_interface_id="target.network_interface_id",
                private_ip="target.private_ip",
                vpc_id="target.vpc_id",
                guardduty_finding="guardduty_finding",
                archived="archived",
            ),
            name="generic",
            kind="alerts with version '1', a text, and an alert_id that is not empty",
            decided_by=("version", "alert_id"),
            instance="a target with instance_id, instance_arn, network_interface_id, or private_ip with vpc_id",
            holder="target",
            held="keys(target)",
            held_words="a target with",
            places={},
        )
    raise RuleViolation(f"no preset of this name: {did_you_mean(name, PRESETS)}expected {', '.join(PRESETS)}")


def preset(name: str) -> AlertMapping:
    """Return a mapping of `PRESETS`; none but GuardDuty's, whose documents `domain.findings` reads.

    Raises:
        RuleViolation: there is none of this name.
    """
    return _of_preset(name).mapping


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a document was mapped to.

    Attributes:
        alerts: that it has.
        unmatched: why what else it has names none, a reason each.
        is_foreign: whether the source reads documents of other kinds only.
    """

    alerts: tuple[Alert, ...] = ()
    unmatched: tuple[str, ...] = ()
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class AlertSource:
    """A source of alerts: how its documents are read.

    Attributes:
        preset: Who sends them, where Tapstack knows how to read it; in place of `mapping`.
        mapping: One of its own, in place of a preset.
        webhook: Whether the tool signs what it sends, with a secret that `tapstack xdr rotate-secret` sets: callers of
            the API then cannot send under this name. By default only they can, with the right `alert`.
    """

    preset: AlertPreset | None = None
    mapping: AlertMapping | None = None
    webhook: bool = False

    def __post_init__(self) -> None:
        """Check that exactly one is given.

        Raises:
            RuleViolation: both or none is, or there is no such preset.
        """
        if (self.preset is None) == (self.mapping is None):
            raise RuleViolation("expected exactly one of preset, mapping")
        if self.preset not in (None, GUARDDUTY_PRESET):
            preset(self.preset)


def map_alerts(name: str, source: AlertSource, document: object, *, home: AccountRegion) -> Mapped:
    """Return the alerts of a document, and why the rest of it is none.

    Pure: which instance is meant is asked of EC2 later, by `Alert.target`.

    Args:
        name: of the source.
        source: how its documents are read.
        document: parsed JSON.
        home: account and Region of the site, for alerts that name none.
    """
    if source.preset == GUARDDUTY_PRESET:
        return _of_guardduty(name, document)
    form = _Form(source.mapping) if source.mapping is not None else _of_preset(str(source.preset))
    return _mapped(name, (form,), document, home)


def map_security_hub(event: object, *, home: AccountRegion) -> Mapped:
    """Return the alerts of an event of Security Hub, CSPM or v2."""
    return _mapped(SECURITY_HUB, (_of_preset("securityhub"), _of_preset("securityhub_ocsf")), event, home)


def _of_guardduty(name: str, document: object) -> Mapped:
    try:
        return Mapped((replace(parse_finding(document), source=name),))
    except RuleViolation as violation:
        return Mapped(unmatched=(str(violation),))


_TOO_DEEP: Final = "it is nested too deeply"


def _mapped(name: str, forms: Sequence[_Form], document: object, home: AccountRegion) -> Mapped:
    if not isinstance(document, dict):
        return Mapped(unmatched=(f"expected a JSON object, got {quoted(document)}",), is_foreign=True)
    form = next((one for one in forms if _matches(one.mapping, document)), None)
    if form is None:
        return Mapped(unmatched=(_no_match(forms, document),), is_foreign=True)
    mapping = form.mapping
    try:
        entries = _entries(form, document)
    except RuleViolation as violation:
        return Mapped(unmatched=(str(violation),))
    alerts, unmatched = [], []
    for position, entry in enumerate(entries[:ALERTS_OF_A_DOCUMENT]):
        try:
            alerts.append(_Reading(form, entry).alert(name, home))
        except (RuleViolation, RecursionError) as error:
            why = _TOO_DEEP if isinstance(error, RecursionError) else str(error)
            unmatched.append(f"{mapping.each}[{position}]: {why}" if mapping.each else why)
    if (further := len(entries) - ALERTS_OF_A_DOCUMENT) > 0:
        unmatched.append(f"{further} further entries: at most {ALERTS_OF_A_DOCUMENT} of a document are read")
    return Mapped(tuple(alerts), tuple(unmatched))


def _matches(mapping: AlertMapping, document: object) -> bool:
    # Where the function of an expression is given what it cannot take, it is for other documents.
    return _answer(mapping.match, document) not in (False, *_NOTHING)


def _no_match(forms: Sequence[_Form], document: Mapping[str, Any]) -> str:
    # What decides about a document of Security Hub is the same in both of its forms, and more in the first.
    return f"{'; '.join(one.documents for one in forms)}; this one has {forms[0].has(document)}"


def _entries(form: _Form, document: object) -> list[Any]:
    each = form.mapping.each
    if each is None:
        return [document]
    try:
        found = _evaluate(each, document)
    except RuleViolation as violation:
        raise RuleViolation(f"{each}: {form.failure}: {violation}") from None
    if isinstance(found, list) and found:
        return found
    raise RuleViolation(f"{each}: expected a list of alerts, got {quoted(found)}")


@functools.lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    """Compile an expression.

    Raises:
        RuleViolation: it is none.
    """
    # Imported here: most commands read no mapping.
    import jmespath
    from jmespath.exceptions import JMESPathError

    low, high = EXPRESSION_LENGTH
    if not isinstance(expression, str) or not low <= len(expression) <= high:
        raise RuleViolation(f"expected an expression of JMESPath with {low} to {high} characters")
    try:
        compiled = jmespath.compile(expression)
    except (JMESPathError, RecursionError, ValueError) as error:
        # Its messages have the expression, and a mark below the place, in further lines.
        first = (str(error) or type(error).__name__).splitlines()[0]
        why = first.removeprefix("Invalid jmespath expression: ").rstrip(":")
        raise RuleViolation(f"{quoted(expression)} is no expression of JMESPath: {why}") from None
    _check_functions(expression, compiled.parsed)
    return compiled


def check_expression(expression: str) -> str:
    """Return `expression` when it is one of JMESPath, with functions that there are.

    Raises:
        RuleViolation: it is not.
    """
    _compiled(expression)
    return expression


def _check_functions(expression: str, node: Any) -> None:
    """Refuse calls that JMESPath refuses only when it evaluates them."""
    from jmespath.functions import Functions

    if not isinstance(node, dict):
        return
    if node.get("type") == "function_expression":
        name, given = node["value"], len(node["children"])
        known = Functions.FUNCTION_TABLE
        if name not in known:
            raise RuleViolation(
                f"{quoted(expression)}: JMESPath has no function {name}: {did_you_mean(name, tuple(known))}"
                f"it has {', '.join(sorted(known))}"
            )
        signature = known[name]["signature"]
        several = bool(signature) and bool(signature[-1].get("variadic"))
        if given < len(signature) or (given > len(signature) and not several):
            raise RuleViolation(f"{quoted(expression)}: {name} takes {len(signature)} arguments, got {given}")
    for child in node.get("children", ()):
        _check_functions(expression, child)


def _has_alternatives(expression: str | None) -> bool:
    """Return whether an expression is a list in brackets, such as `[one, another]`: what else answers a list has it of
    the document, such as the times of several events.
    """
    return expression is not None and _compiled(expression).parsed["type"] == "multi_select_list"


def _answer(expression: str, document: object) -> Any:
    """Return what an expression answers, and null where it fails."""
    try:
        return _evaluate(expression, document)
    except RuleViolation:
        return None


def _evaluate(expression: str, document: object) -> Any:
    """Return what an expression answers.

    Raises:
        RuleViolation: a function of it was given what it cannot take.
    """
    from jmespath.exceptions import JMESPathError

    try:
        return _compiled(expression).search(document)
    except (JMESPathError, RecursionError, TypeError, ValueError, OverflowError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise RuleViolation(quoted(first)) from None


class _Reading:
    """Reads the values of one alert."""

    def __init__(self, form: _Form, entry: object) -> None:
        self.form, self.mapping, self.entry = form, form.mapping, entry
        self.left_out: dict[str, None] = {}

    def alert(self, source: str, home: AccountRegion) -> Alert:
        """Return the alert.

        Raises:
            RuleViolation: it lacks what is needed, or names its instance by something that has not the form of it.
        """
        id_, of_guardduty, detected_in = self._id()
        title = one_title(self._lenient("title", _line, ""))
        kind = self._lenient("type", _line, "")[:TYPE_LENGTH]
        if of_guardduty and (found := _TYPE_IN_ASFF.fullmatch(kind)):
            kind = f"{found['purpose']}/{found['family']}"
        tactics = self._several("tactics", _tactic)
        target, where = self._about(home)
        return Alert(
            source=source,
            id=id_,
            type=kind,
            severity=self._severity(),
            where=where,
            target=target,
            title=title,
            tactics=tuple(dict.fromkeys((*tactics, *(tactics_of(kind) if of_guardduty else ()))))[:_LISTED],
            techniques=self._several("technique", _technique),
            archived=self._lenient("archived", Part.truth, default=False),
            # Titles of other tools may have words of attackers in them, which must not disarm an alert.
            sample=(of_guardduty and title.startswith(SAMPLE_PREFIX)) or SAMPLE_INSTANCE in target.instance_ids,
            last_seen=self._time(),
            of_guardduty=of_guardduty,
            detected_in=detected_in,
            left_out=tuple(self.left_out)[:_LISTED],
        )

    def _part(self, name: str) -> Part:
        """Return what the expression of a field answers; an absent part where there is no expression."""
        expression, place = getattr(self.mapping, name), self.form.place(name)
        if expression is None:
            return Part(None, place, self.left_out)
        try:
            found = _evaluate(expression, self.entry)
        except RuleViolation as violation:
            raise RuleViolation(f"{place}: {self.form.failure}: {violation}") from None
        return Part(None if found in _NOTHING else found, place, self.left_out)

    def _lenient(self, name: str, read: Any, default: T) -> Any | T:
        """Return a value that may be absent, or be left out where it has another form."""
        try:
            part = self._part(name)
        except RuleViolation as violation:
            self.left_out[str(violation)] = None
            return default
        return part.or_else(lambda found: read(_only(found)), default)

    def _time(self) -> str | None:
        """Return the time: of alternatives the first that is one, of several times the latest."""
        try:
            part = self._part("time")
        except RuleViolation as violation:
            self.left_out[str(violation)] = None
            return None
        alternatives = _listed(part) if _has_alternatives(self.mapping.time) else [part]
        for one in alternatives:
            if found := [time for each in _listed(one) if (time := each.or_else(_moment, None)) is not None]:
                return max(found)
        return None

    def _one(self, name: str, read: Any) -> Any:
        """Return the one value of a field; None where there is none.

        Raises:
            RuleViolation: it has another form, or there are several.
        """
        part = self._part(name)
        return None if part.value is None else read(_only(part))

    def _several(self, name: str, read: Any) -> tuple[str, ...]:
        """Return those values of a list, or the one value, that have the form, each once."""
        try:
            part = self._part(name)
        except RuleViolation as violation:
            self.left_out[str(violation)] = None
            return ()
        found = (each.or_else(read, None) for each in _listed(part))
        return tuple(dict.fromkeys(value for value in found if value is not None))[:_LISTED]

    def _id(self) -> tuple[str, bool, AccountRegion | None]:
        """Return the id of the alert, whether it is that of a GuardDuty finding, and where an ARN says it is from."""
        finding = self._one("guardduty_finding", _finding_id)
        if finding is not None:
            id_, detected_in = finding
            return id_, True, detected_in
        part = self._part("alert_id")
        if part.value is None:
            raise RuleViolation(f"{part.where}: is missing, so that the same alert would not be known again")
        text = _id_text(_only(part))
        if (named := _finding_of_arn(text)) is not None:
            id_, detected_in = named
            return id_, True, detected_in
        if len(text) <= _ID_LENGTH and _ID.fullmatch(text):
            return text, False, None
        # Escaped halves of pairs are no characters, and have no bytes.
        return f"sha256-{hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()}", False, None

    def _severity(self) -> float:
        part = self._part("severity")
        if part.value is None:
            raise RuleViolation(f"{part.where}: is missing")
        part = _only(part)
        value, scale = part.value, self.mapping.severity_scale
        if isinstance(value, str):
            word = value.strip().lower()
            if word in SEVERITY_WORDS:
                return SEVERITY_WORDS[word]
            if (number := _number_in(word)) is None:
                raise part.refusal(f"{', '.join(SEVERITY_WORDS)}, or a number from 0 to {scale}")
            part = replace(part, value=number)
        return part.number(0, scale) * HIGHEST_SEVERITY / scale

    def _about(self, home: AccountRegion) -> tuple[Target, AccountRegion]:
        """Return what EC2 is asked for, and where that is: an ARN says so itself.

        Raises:
            RuleViolation: nothing is named, or what is named contradicts itself.
        """
        where = self._where(home)
        ids = self._instances("instance_id", lambda part: part.identifier("instance"))
        if by_arn := self._instances("instance_arn", instance_of_arn):
            of_arn, where = self._of_arns(by_arn)
            if ids and set(ids) != set(of_arn):
                arn, id_ = self.form.place("instance_arn"), self.form.place("instance_id")
                raise RuleViolation(f"{arn}: names {', '.join(of_arn)}, but {id_} {', '.join(ids)}")
            ids = of_arn
        interface = self._one("network_interface_id", lambda part: part.identifier("network interface"))
        address, vpc_id = self._address(is_needed=not ids and interface is None)
        for value, why in self.form.misnamed(self.entry):
            if value not in (*ids, interface, where.account_id):
                raise RuleViolation(why)
            # It changes nothing: the same was read, or holds by default.
            self.left_out[why] = None
        return Target(tuple(ids), interface, address, vpc_id), where

    def _where(self, default: AccountRegion) -> AccountRegion:
        """Return account and Region that are given, or those of a default."""
        return AccountRegion(
            self._one("account_id", lambda part: part.identifier("account")) or default.account_id,
            self._one("region", lambda part: part.identifier("region")) or default.region,
        )

    def _of_arns(self, named: list[tuple[str, AccountRegion]]) -> tuple[list[str], AccountRegion]:
        """Return the instances that ARNs name, each once, and where they are."""
        arn = self.form.place("instance_arn")
        if len(places := {place for _, place in named}) > 1:
            raise RuleViolation(f"{arn}: the instances are of several accounts or Regions")
        place = places.pop()
        # What is not given agrees.
        if (given := self._where(place)) != place:
            account, region = self.form.place("account_id"), self.form.place("region")
            raise RuleViolation(
                f"{arn}: is of account {place.account_id} in {place.region}, but {account} and {region} say "
                f"account {given.account_id} in {given.region}"
            )
        return list(dict.fromkeys(id_ for id_, _ in named)), place

    def _address(self, *, is_needed: bool) -> tuple[str | None, str | None]:
        """Return the address and its VPC; where the instance is named otherwise, only one that is certain."""
        try:
            address = self._one("private_ip", _address)
            if address is None and is_needed:
                raise RuleViolation(self.form.no_instance(self.entry))
            vpc_id = None if address is None else self._one("vpc_id", lambda part: part.identifier("vpc"))
            if vpc_id is None and is_needed:
                raise RuleViolation(self.form.no_vpc(self.entry))
        except RuleViolation as violation:
            if is_needed:
                raise
            # Several are normal then: that of the other end may be among them.
            self.left_out[str(violation)] = None
            return None, None
        return (None, None) if vpc_id is None else (address, vpc_id)

    def _instances(self, name: str, read: Callable[[Part], T]) -> list[T]:
        """Return the instances that a field names, each once."""
        part = self._part(name)
        if part.value is None:
            return []
        parts = _listed(part) if self.mapping.several_instances else [_only(part)]
        if len(parts) > INSTANCES_OF_AN_ALERT:
            raise RuleViolation(
                f"{part.where}: names {len(parts)} instances: at most {INSTANCES_OF_AN_ALERT} of one are read"
            )
        return list(dict.fromkeys(read(one) for one in parts))


def _listed(part: Part) -> list[Part]:
    """Return the items of a list, or the one value; without null."""
    if part.value is None:
        return []
    values = part.value if isinstance(part.value, list) else [part.value]
    # Each with the place of the whole: an expression may have filtered, so a position is not that in the document.
    return [replace(part, value=value) for value in values if value not in (None, "")]


def _only(part: Part) -> Part:
    """Return the one value of a part, which may be a list in which it stands, once or more.

    Raises:
        RuleViolation: there are several.
    """
    if not isinstance(part.value, list):
        return part
    different = {json.dumps(one.value, sort_keys=True, default=str): one for one in _listed(part)}
    if not different:
        raise part.refusal("a value")
    if len(different) == 1:
        return next(iter(different.values()))
    raise RuleViolation(
        f"{part.where}: names {len(different)}, {quoted(part.value)}: which one is meant is not certain"
    )


def _line(part: Part) -> str:
    """Return text as one line of printable characters; a number as text."""
    value = part.value
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else part.text()
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * TYPE_LENGTH])
    return " ".join(line.split())


def _id_text(part: Part) -> str:
    value = part.value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else part.text()


def _finding_of_arn(text: str) -> tuple[str, AccountRegion] | None:
    found = _FINDING_ARN.fullmatch(text)
    return (found["id"], AccountRegion(found["account"], found["region"])) if found else None


def _finding_id(part: Part) -> tuple[str, AccountRegion | None]:
    text = part.text()
    if (found := _finding_of_arn(text)) is not None:
        return found
    if FINDING_ID.fullmatch(text):
        return text, None
    raise part.refusal("the id or the ARN of a GuardDuty finding")


def _number_in(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text, re.ASCII) else None


def _tactic(part: Part) -> str:
    text = part.text()
    if text.startswith(_TTPS):
        text = text.removeprefix(_TTPS).partition("/")[0]
    if (found := tactic_named(_without_name(text))) is not None:
        return found
    raise part.refusal(f"a tactic of ATT&CK, such as {next(iter(TACTICS))} or TA0043")


def _without_name(text: str) -> str:
    """Return the id of an id with its name behind it, as Cortex writes both: T1071 - Application Layer Protocol."""
    return text.partition(" - ")[0]


def _technique(part: Part) -> str:
    text = _without_name(part.text()).strip().upper()
    if re.fullmatch(TECHNIQUE_PATTERN, text, re.ASCII):
        return text
    raise part.refusal("a technique of ATT&CK, such as T1071 or T1071.004")


def _address(part: Part) -> str:
    text = part.text()
    if re.fullmatch(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!\Z)|\Z)){4}", text, re.ASCII):
        return text
    raise part.refusal("an IPv4 address such as 10.0.1.10")


def _moment(part: Part) -> str:
    """Return a time as incidents have it: in UTC, to the second."""
    value = part.value
    if isinstance(value, str) and (found := as_moment(value)) is not None:
        return as_text(found)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = value / 1000 if value > _MILLISECONDS else float(value)
        except OverflowError:
            seconds = 0.0
        if _TIMES[0] <= seconds <= _TIMES[1]:
            return as_text(datetime.fromtimestamp(seconds, UTC))
    raise part.refusal(
        f"a time of {EARLIEST.year} or later, such as 2026-01-02T03:04:05Z, or in seconds or milliseconds of the epoch"
    )


def dump_sources(sources: Mapping[str, AlertSource]) -> str:
    """Return sources as JSON, which `load_sources` reads again; the same sources give the same text."""
    return json.dumps({name: _plain(source) for name, source in sorted(sources.items())}, indent=1, ensure_ascii=True)


def load_sources(text: str) -> dict[str, AlertSource]:
    """Read what `dump_sources` wrote."""
    return {
        name: AlertSource(
            given.get("preset"),
            AlertMapping(**given["mapping"]) if given.get("mapping") is not None else None,
            given.get("webhook", False),
        )
        for name, given in json.loads(text).items()
    }


def _plain(source: AlertSource) -> dict[str, Any]:
    webhook = {"webhook": True} if source.webhook else {}
    if source.mapping is None:
        return {"preset": source.preset, **webhook}
    given = {each.name: getattr(source.mapping, each.name) for each in fields(source.mapping)}
    return {"mapping": {name: value for name, value in given.items() if value is not None}, **webhook}
