"""An incident as the functions have it: its interfaces, its appliance and its containment.

The store reads and writes them as items; no other module knows the form of an item. Attributes that an earlier version
did not write have defaults, and unknown attributes are left unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal

from tapstack.domain.callers import BY_RELEASE, is_policy
from tapstack.domain.containment_settings import ApprovalDefault, ContainmentState, Decision, Mode
from tapstack.domain.incidents import (
    ApplianceState,
    Because,
    InterfaceState,
    Severity,
    Source,
    State,
    StorageState,
    as_time,
)
from tapstack.domain.packet_watch import PacketsState, first_period
from tapstack.domain.regions import AccountRegion
from tapstack.domain.table_names import OPEN
from tapstack.responder.errors import is_refusal
from tapstack.responder.store.keys import where_of

Task = Literal["contain", "release"]
"""Tasks of executions beside the capture."""

PUBLIC: Final = (
    "id",
    "state",
    "reason",
    "severity",
    "technique",
    "techniques",
    "tactics",
    "alert_id",
    "source",
    "opened_at",
    "expires_at",
    "closed_at",
    "opened_by",
    "minutes",
    "instance_id",
    "network_interface_ids",
    "interfaces",
    "appliance",
    "packets",
    "in_place",
    "undo",
    "close_requested",
    "closed_because",
    "stored_packets",
    "containment",
)
"""What operators and subscribers see of an incident, in this order, besides its timeline."""


@dataclass(frozen=True, slots=True)
class IncidentInterface:
    """A network interface as an incident lists it.

    Attributes:
        network_interface_id: which.
        state: whether it is mirrored.
        session_id: the traffic mirror session of incidents of this deployment; none where it is not mirrored.
        session_number: of the session, where it is known.
        note: why it waits or is refused, or a remark.
        refused_by_aws_at: when AWS refused a session of it last, since it was mirrored last; for some time it takes
            free places at the mirror target only.
    """

    network_interface_id: str
    state: InterfaceState
    session_id: str | None = None
    session_number: int | None = None
    note: str = ""
    refused_by_aws_at: str | None = None

    @property
    def owned(self) -> bool:
        """Whether an incident of this deployment created the session."""
        return self.session_id is not None

    def as_dict(self) -> dict[str, Any]:
        """Return it as operators and subscribers see it."""
        return {
            "network_interface_id": self.network_interface_id,
            "state": self.state,
            "session_id": self.session_id,
            "session_number": self.session_number,
            "owned": self.owned,
            "note": self.note,
        }

    def as_item(self) -> dict[str, Any]:
        """Return it as items have it."""
        refused = {} if self.refused_by_aws_at is None else {"refused_by_aws_at": self.refused_by_aws_at}
        return {**self.as_dict(), **refused}


@dataclass(frozen=True, slots=True)
class IncidentPackets:
    """What is known of the packets of an incident.

    Attributes:
        state: `mirroring` while nothing is known.
        since: when mirroring began.
        seen_at: the beginning of the five minutes in which CloudWatch counted the first packets; of the last instance,
            where there are several.
        missing: the instances of which it counted none.
        counted_from: the beginning of the first period of CloudWatch that counts; none where an earlier version began
            it.
    """

    state: PacketsState
    since: str
    seen_at: str | None = None
    missing: tuple[str, ...] = ()
    counted_from: str | None = None

    @property
    def first_period(self) -> datetime:
        """The beginning of the first period of CloudWatch that counts."""
        return as_time(self.counted_from) if self.counted_from else first_period(as_time(self.since), ended=True)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON and items have it."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "missing": list(self.missing)}


@dataclass(frozen=True, slots=True)
class IncidentAppliance:
    """The appliance in an incident.

    Attributes:
        stack_name: of a launched one.
        state: of it.
        portal_url: where packets are shown.
        target_id: traffic mirror target.
        filter_id: traffic mirror filter.
        launched_by_us: whether an incident launched it.
        generation: of the launch; none where it exists already.
    """

    stack_name: str | None
    state: ApplianceState
    portal_url: str | None
    target_id: str | None
    filter_id: str | None
    launched_by_us: bool
    generation: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON and items have it."""
        shown = asdict(self)
        return shown if self.generation is not None else {k: v for k, v in shown.items() if k != "generation"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of a volume of a launched appliance.

    Attributes:
        snapshot_id: which.
        volume_id: of which volume.
        size_gib: size of the volume.
        encrypted: whether it is encrypted, which it is where the volume was.
    """

    snapshot_id: str
    volume_id: str
    size_gib: int
    encrypted: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON and items have it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StoredPackets:
    """Where the packets are that a launched appliance captured.

    Attributes:
        state: `appliance`: on it; `snapshots`: it is deleted, and its volumes are snapshots; `deleted`: these were
            deleted at their time; `lost`: it was gone before snapshots could be taken, or none are taken.
        snapshots: of its volumes.
        until: when they are deleted; none without any.
    """

    state: StorageState
    snapshots: tuple[Snapshot, ...] = ()
    until: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON and items have it."""
        return {"state": self.state, "snapshots": [one.as_dict() for one in self.snapshots], "until": self.until}


@dataclass(frozen=True, slots=True)
class IncidentContainment:
    """What was requested and decided about containing the instance of an incident.

    Attributes:
        mode: `approval` or `now`.
        state: how far it is.
        asked_by: who requested it.
        requester: the person who did, as `domain.callers` has it; where the policy did, who sent the alert to the API.
            None where no caller did, or an earlier version recorded it.
        asked_at: when.
        decided_by: who approved, overrode or rejected it; `release` where a release of the instance ended it.
        decided_at: when.
        decision: which.
        decision_reason: why it was overridden or rejected, as whoever did wrote; none where that was left out.
        deadline: when the default applies; none without approval.
        default: the decision after the deadline.
        as_of: of a request of the policy, or one without an answer, or one that failed in part and goes on for newer
            activity: a later release of the instance ends it.
        asked_again_at: when a responder requested it again: while it was contained, for what was not done; or after
            it failed in part.
        isolating: what was not done was requested again while it was contained, by a responder or the sweeper, such
            as the isolation of what was attached since, and has neither ended nor failed yet.
        overridden_tags: the tags that protected the instance when it was requested, and that it overrides.
        override_reason: why, as whoever requested it wrote; none where nothing is overridden.
        two_step: whether an all-open security group is assigned first, which ends flows that EC2 tracks.
        packets_until: until when it waits at most for packets to be seen; none where it does not.
        packets_wait: what came of that; none while it waits.
        released_by: who requested the release; of what is rejected, the one for all incidents that withdrew it.
        released_at: when.
        changed: the changes, a line each.
        not_done: what it does not cover, and what AWS refused, a line each.
        not_restored: what a release could not restore, a line each.
        differences: what blocks a release.
        failure: why it failed; of what is contained, why what was requested again is not done.
    """

    mode: Mode
    state: ContainmentState
    asked_by: str
    asked_at: str
    requester: str | None = None
    decided_by: str | None = None
    decided_at: str | None = None
    decision: Decision | None = None
    decision_reason: str | None = None
    deadline: str | None = None
    default: ApprovalDefault | None = None
    as_of: str | None = None
    asked_again_at: str | None = None
    isolating: bool = False
    overridden_tags: tuple[str, ...] = ()
    override_reason: str | None = None
    two_step: bool = False
    packets_until: str | None = None
    packets_wait: str | None = None
    released_by: str | None = None
    released_at: str | None = None
    changed: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    not_restored: tuple[str, ...] = ()
    differences: tuple[dict[str, Any], ...] = ()
    failure: str | None = None

    @property
    def waits_for_packets(self) -> bool:
        """Whether it waits for packets to be seen: nothing is changed yet."""
        return self.state == "containing" and self.packets_until is not None and self.packets_wait is None

    @property
    def released_before_change(self) -> bool:
        """Whether it was released while it waited for packets, before anything was changed."""
        return self.state == "released" and self.packets_until is not None and self.packets_wait is None

    @property
    def rejected(self) -> bool:
        """Whether a person rejected it. A release that ended it is no answer to the question."""
        return self.state == "rejected" and self.decision == "rejected" and self.decided_by != BY_RELEASE

    @property
    def refused(self) -> bool:
        """Whether a rule of the settings refused it. What refuses it may pass: a tag, a limit of an hour."""
        return self.state == "failed" and is_refusal(str(self.failure))

    @property
    def failed_in_part(self) -> bool:
        """Whether it failed after changes were started, and what was decided holds: no release was requested since.

        To go on with it needs no new decision.
        """
        decided = self.mode == "now" or self.decision is not None
        return self.state == "failed" and decided and self.released_at is None and bool(self.changed)

    @property
    def may_be_changed(self) -> bool:
        """Whether anything may be changed for it that only a release restores.

        Also where a new request is pending or rejected after a release that failed: that restored nothing, or a part.
        """
        if self.state in ("containing", "contained", "releasing", "blocked"):
            return True
        return self.state != "released" and bool(self.changed)

    @property
    def decided_by_person_at(self) -> str | None:
        """When a person decided that the instance is contained; none where the policy, or the default, did."""
        if self.as_of is not None:
            return self.asked_again_at
        decided = self.decided_at if self.decision in ("approved", "overridden") else None
        return max(moment for moment in (decided or self.asked_at, self.asked_again_at) if moment is not None)

    @property
    def decided_as_of(self) -> str | None:
        """When a person decided it, or what the policy decided about was seen: no release that began before ends it."""
        return self.decided_by_person_at or self.as_of

    @property
    def decided_by_policy(self) -> bool:
        """Whether the policy decided that the instance is contained, and no caller of the API did."""
        # Without an answer it is as whoever requested it wanted.
        decider = self.asked_by if self.decision in (None, "default") else self.decided_by
        return is_policy(decider)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON and items have it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as the table has it.

    Attributes:
        id: also the name of its execution, and a value of tags.
        where: account and Region of its instance, or of its interfaces, of their sessions and of its appliance.
        state: such as `capturing`.
        reason: why it was opened.
        minutes: how long it captures, counted from when mirroring starts. An extension before that, or an alert that
            joins, may raise it; afterwards they change `expires_at`.
        source: `api`, or the source of the alert that opened it, such as `guardduty`.
        opened_by: who opened it.
        opened_at: when.
        expires_at: when the capture ends by itself; before mirroring starts, the earliest time.
        severity: `low` to `critical`.
        listing: `open` or `closed`.
        techniques: of MITRE ATT&CK; those of the alert that opened it.
        tactics: likewise, by their names in one word.
        alert_id: of the tool that raised the alert.
        instance_id: whose interfaces are captured; none where interfaces are named.
        network_interface_ids: as requested.
        instance_state: of its instance, as the sweeper saw it last: `running since` a time, `stopped` or `terminated`.
        instance_notice: the change of that state of which operators are not notified yet: what was `said`, and the mark
            with which it is sent `once`; none where they are.
        instance_gone: its instance did not exist, or was terminated, when the capture was prepared.
        interfaces: the state of each.
        attached: of these, what was attached later, and of which operators are not notified yet.
        unnotified: what the sweeper repaired, and of which operators are not notified yet, as `capture.repair` has it.
        isolation_requested: what was attached to the contained instance, and is to be isolated: of these, what
            operators are not notified of yet.
        interfaces_written: how often these were written, so that no function overwrites what it has not read.
        places: `vpc_id` and `addresses` of its interfaces, when they were found, by id.
        displacements: its interfaces that gave their place at the mirror target to more severe incidents, a line each.
        displaced: the incidents whose places it took.
        appliance: which receives the packets; none before it is known.
        packets: what is known of them; none before mirroring begins.
        stored_packets: where its packets are since the launched appliance was retired; none before.
        containment: of its instance; none where it was not requested.
        in_place: the resources of a failed incident that remain.
        undo: the command that deletes what remains.
        close_requested: whether closing was requested.
        close_requested_at: when, first; none where an earlier version recorded it.
        failed_at: when it failed last; likewise.
        closed_at: when it was closed.
        closed_because: why.
        token: of the task that waits for the end of the capture.
        waits: how often the workflow began to wait for it.
        approval_token: of the task that waits for approval.
        execution_arn: of its latest execution.
        execution_arns: of all of them.
        failed_executions: the number of executions when the latest failure was recorded.
        contain_runs: how many executions that contain were requested.
        contain_runs_before: how many of them before the present containment was requested.
        release_runs: how many executions that release were requested.
        source_interface: the interface that the stack of a launched appliance mirrors itself.
        source_number: the session number of that.
        waits_for_launch: which launch of the appliance it waits for, or waited for: to be complete, or started again.
        notified: which notifications an earlier version published and recorded here, the attribute `told` of the item;
            `store.notified` has the others.
        unemitted: what happened and is not emitted as telemetry yet, as `domain.incident_events` has it; the attribute
            `owed` of the item.
        ttl: when the item is deleted, in seconds of the epoch; none while it is kept.
        kept_until: until when its timeline, and the marks of its notifications, are kept at least, likewise; none where
            an earlier version opened it.
    """

    id: str
    where: AccountRegion
    state: State
    reason: str
    minutes: int
    source: Source
    opened_by: str
    opened_at: str
    expires_at: str
    severity: Severity
    listing: str = OPEN
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    alert_id: str | None = None
    instance_id: str | None = None
    instance_state: str | None = None
    instance_notice: Mapping[str, str] | None = None
    instance_gone: bool = False
    network_interface_ids: tuple[str, ...] = ()
    interfaces: tuple[IncidentInterface, ...] = ()
    attached: tuple[str, ...] = ()
    unnotified: tuple[str, ...] = ()
    isolation_requested: tuple[str, ...] = ()
    interfaces_written: int = 0
    places: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    displacements: tuple[str, ...] = ()
    displaced: tuple[str, ...] = ()
    appliance: IncidentAppliance | None = None
    packets: IncidentPackets | None = None
    stored_packets: StoredPackets | None = None
    containment: IncidentContainment | None = None
    in_place: tuple[str, ...] = ()
    undo: str | None = None
    close_requested: bool = False
    close_requested_at: str | None = None
    failed_at: str | None = None
    closed_at: str | None = None
    closed_because: Because | None = None
    token: str | None = None
    waits: int = 0
    approval_token: str | None = None
    execution_arn: str | None = None
    execution_arns: tuple[str, ...] = ()
    failed_executions: int = 0
    contain_runs: int = 0
    contain_runs_before: int = 0
    release_runs: int = 0
    source_interface: str | None = None
    source_number: int | None = None
    waits_for_launch: int = 0
    notified: tuple[str, ...] = ()
    unemitted: tuple[str, ...] = ()
    ttl: int | None = None
    kept_until: int | None = None

    @property
    def technique(self) -> str | None:
        """The first of its techniques, which is all that requests to the API name; None where it has none."""
        return next(iter(self.techniques), None)

    @property
    def mirror_source(self) -> tuple[str, int] | None:
        """The interface that the stack of a launched appliance mirrors itself, and the session number."""
        if self.source_interface is None or self.source_number is None:
            return None
        return self.source_interface, self.source_number

    @property
    def containment_state(self) -> ContainmentState | None:
        """How far its containment is; None where none was requested."""
        return self.containment.state if self.containment is not None else None

    @property
    def waits_for_packets(self) -> bool:
        """Whether its containment waits for packets to be seen; False where none was requested."""
        return self.containment is not None and self.containment.waits_for_packets

    @property
    def failed_in_part(self) -> bool:
        """Whether its containment failed in part, and goes on without a new decision; False where there is none."""
        return self.containment is not None and self.containment.failed_in_part

    @property
    def named_instance_id(self) -> str:
        """Its instance, for callers that know that it names one.

        Raises:
            ValueError: it names network interfaces.
        """
        if self.instance_id is None:
            raise ValueError(f"incident {self.id} names no instance")
        return self.instance_id

    @property
    def requested_containment(self) -> IncidentContainment:
        """Its containment, for callers that know that one was requested.

        Raises:
            ValueError: none was.
        """
        if self.containment is None:
            raise ValueError(f"no containment was requested for incident {self.id}")
        return self.containment

    def interface_ids(self, *states: InterfaceState) -> list[str]:
        """Return the interfaces that are in one of these states; all interfaces without a state."""
        return [one.network_interface_id for one in self.interfaces if not states or one.state in states]

    def in_state(self, state: InterfaceState) -> list[IncidentInterface]:
        """Return the interfaces that are in a state."""
        return [one for one in self.interfaces if one.state == state]

    def entry_of(self, network_interface_id: str) -> IncidentInterface | None:
        """Return what the incident says of an interface; None where it does not list it."""
        return next((one for one in self.interfaces if one.network_interface_id == network_interface_id), None)

    def runs(self, task: Task) -> int:
        """Return how often a task was requested."""
        return self.contain_runs if task == "contain" else self.release_runs


def incident_of(item: dict[str, Any]) -> Incident:
    """Return the incident of an item of the table."""
    known = {**_known(Incident, item), "where": where_of(item), "notified": tuple(item.get("told", ()))}
    known["unemitted"] = tuple(item.get("owed", ()))
    if known.get("appliance") is not None:
        known["appliance"] = IncidentAppliance(**_known(IncidentAppliance, known["appliance"]))
    if known.get("packets") is not None:
        known["packets"] = IncidentPackets(**_known(IncidentPackets, known["packets"]))
    if known.get("containment") is not None:
        known["containment"] = IncidentContainment(**_known(IncidentContainment, known["containment"]))
    if known.get("stored_packets") is not None:
        place = known["stored_packets"]
        snapshots = tuple(Snapshot(**_known(Snapshot, one)) for one in place["snapshots"])
        known["stored_packets"] = StoredPackets(place["state"], snapshots, place["until"])
    if "techniques" not in known and item.get("technique"):
        # An earlier version recorded one.
        known["techniques"] = (item["technique"],)
    known["interfaces"] = tuple(
        IncidentInterface(**_known(IncidentInterface, one)) for one in item.get("interfaces", ())
    )
    return Incident(**known)


def public(incident: Incident) -> dict[str, Any]:
    """Return what operators and subscribers see of an incident's item."""
    return {name: _plain(getattr(incident, name)) for name in PUBLIC}


def new_item(incident: Incident) -> dict[str, Any]:
    """Return the item of a new incident. Attributes without a value are absent, because conditions test for that."""
    runs = {"contain_runs": incident.contain_runs} if incident.contain_runs else {}
    unemitted = {"owed": frozenset(incident.unemitted)} if incident.unemitted else {}
    kept = {"kept_until": incident.kept_until} if incident.kept_until is not None else {}
    return {**public(incident), **incident.where.as_dict(), "listing": incident.listing, **runs, **unemitted, **kept}


def _known(kind: type[Any], item: dict[str, Any]) -> dict[str, Any]:
    names = [one.name for one in fields(kind)]
    return {name: tuple(item[name]) if isinstance(item[name], list) else item[name] for name in names if name in item}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.as_dict() if hasattr(value, "as_dict") else value
