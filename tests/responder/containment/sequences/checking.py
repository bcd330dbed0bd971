"""What must hold, after each step, at rest and in the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from strictmoto.testing.snapshot import Snapshot, differences
from tapstack.domain.incidents import TAG_EXPIRES, TAG_INCIDENT
from tapstack.domain.limits import SESSIONS_PER_INTERFACE
from tapstack.responder.containment.audit import findings as audit_findings
from tapstack.responder.store import captures, containments, incidents
from tests.responder.conftest import tags
from tests.responder.containment.sequences.attackers import SHORT
from tests.responder.containment.sequences.interruptions import Pick
from tests.responder.containment.sequences.model import Thing
from tests.responder.containment.sequences.operators import Operators
from tests.responder.containment.sequences.workflow import Workflow
from tests.responder.containment.sequences.world import World, groups_of

ROUNDS: Final = 12
"""How often operators and the sweeper may have to repeat their calls until nothing changes any more."""
_COMPARED: Final = {
    "describe_instances": ("Reservations", "Instances", "InstanceId"),
    "describe_network_interfaces": ("NetworkInterfaces", "NetworkInterfaceId"),
    "describe_security_groups": ("SecurityGroups", "GroupId"),
    "describe_volumes": ("Volumes", "VolumeId"),
    "describe_traffic_mirror_targets": ("TrafficMirrorTargets", "TrafficMirrorTargetId"),
    "describe_traffic_mirror_filters": ("TrafficMirrorFilters", "TrafficMirrorFilterId"),
}
"""What is as it was in the end where no others have touched it. A snapshot of all that an account holds takes longer
than everything else."""
_NOT_OF_OTHERS: Final = frozenset({"released", "rejected"})


class Checks:
    """Holds the account against the model.

    Args:
        world: which.
        operators: bring it to an end.
        workflow: so does this.
    """

    def __init__(self, world: World, operators: Operators, workflow: Workflow) -> None:
        self.world, self.operators, self.workflow = world, operators, workflow

    def settle(self, pick: Pick) -> None:
        """Let all executions go on until they wait, or have ended."""
        self.workflow.settle(pick)
        if self.world.step is None:
            self.check_at_rest()

    def check(self) -> None:
        """Hold the account against the model, after whatever was done."""
        ledger = self.world.ledger
        assert not ledger.wrong, ledger.wrong
        assert not ledger.unrecorded(), f"nothing says what was there before: {ledger.unrecorded()}"
        there = {item["NetworkInterfaceId"]: groups_of(item) for item in self.world.described()}
        expected = {thing.key: value for thing, value in ledger.now.items() if thing.kind == "groups"}
        assert {interface: groups for interface, groups in there.items() if interface in expected} == expected
        self._check_sessions()
        self._check_decided()
        found = {one.instance_id: one for one in containments.listed() if one.in_place}
        assert set(found) <= self.world.wanted, f"not requested: the containment of {set(found) - self.world.wanted}"
        for instance, one in found.items():
            turn, began, interfaces = self.world.contained.get(instance, (0, 0, []))
            if one.state != "contained" or one.turn != turn:
                continue
            for interface in interfaces:
                if self.world.attached.get(interface) == instance:
                    cut = there[interface] == (self.world.quarantine,)
                    cut = cut or ledger.connected_since(began, instance, Thing("groups", interface))
                    assert cut, f"{instance} is contained, and {interface} has {there[interface]}"

    def _check_decided(self) -> None:
        """After a release, nothing that the policy or a deadline decided before contains the instance again."""
        for instance, name, released, protected in self.world.ledger.begun:
            containment = incidents.get(name).containment
            overridden = containment is not None and containment.overridden_tags
            assert not protected or overridden, f"{name} contains {instance}, which a tag protects"
            if containment is None or containment.as_of is None:
                continue  # a person decided
            assert released is None or released < containment.as_of, f"{name} contains {instance} after {released}"
            if containment.asked_by == "guardduty":
                assert containment.as_of in self.world.seen.get(name, {containment.as_of})
        self.world.ledger.begun.clear()

    def _check_sessions(self) -> None:
        sessions = self.world.site.sessions()
        there = {str(session["TrafficMirrorSessionId"]): session for session in sessions}
        others = {session: there.get(session) for session in self.world.sessions}
        assert others == {session: self.world.theirs[session] for session in self.world.sessions}
        untagged = self.world.ledger.untagged
        strange = [one for one, its in there.items() if TAG_INCIDENT not in tags(its) and one not in untagged]
        assert sorted(strange) == sorted(one for one in strange if one in self.world.sessions)
        counts = Counter(session["NetworkInterfaceId"] for session in sessions)
        assert not counts or max(counts.values()) <= 3, counts

    def check_at_rest(self) -> None:
        """Hold what incidents say against what holds their instance; nothing is under way."""
        late = [thing for thing in self.world.ledger.late if self.world.ledger.by.get(thing) == "ours"]
        assert not late, f"changed after a release, and not restored: {late}"
        held = {one.instance_id: one for one in containments.listed() if one.in_place}
        for incident in self._all_incidents():
            state = (incident["containment"] or {}).get("state")
            one = held.get(incident["instance_id"])
            wants = one is not None and incident["id"] in one.holders
            if state == "contained":
                # Or a release for all was overtaken, and has not published that yet.
                known = wants or (one is not None and incident["id"] in one.releasing_for)
                assert known, f"{incident['id']} says contained, and does not hold {incident['instance_id']}: {one}"
            if state == "released":
                asked = {incident["id"], incident["instance_id"]} & self.world.releasing
                assert asked, f"not requested: the release of {incident['id']}"
            if state in (None, "pending", "rejected", "released"):
                assert not wants, f"{incident['id']} is {state}, and holds {incident['instance_id']}"

    def _all_incidents(self) -> list[dict[str, Any]]:
        return [incidents.shown(incidents.get(one.id)) for name in ("open", "closed") for one in incidents.listed(name)]

    def settle_containments(self, pick: Pick) -> None:
        """Let all that contains and releases come to rest; captures need not begin."""
        self.workflow.settle(pick, ("contain", "release"))
        self.check_at_rest()

    def release_all(self) -> None:
        """Release everything, and check that all is as it was; captures go on."""
        for turn in range(ROUNDS):
            if turn > 1:
                # The sweeper restarts what no execution does any more; what waits for approval has its deadline.
                self.workflow.wait(20 * 60)
                self.workflow.sweep(Pick(0))
            self.settle_containments(Pick(turn))
            in_place = [one for one in self._all_incidents() if not self._is_released(one)]
            if not in_place:
                break
            for incident in in_place:
                self._release(incident, () if turn % 2 == 0 else ("overwrite",))
        else:
            raise AssertionError(f"these are not released: {in_place}")
        self.check()
        self.check_at_rest()
        self._nothing_is_contained()

    def end(self, keep: bool) -> None:
        """Close and release everything, let it come to rest, and check that nothing of the deployment is left."""
        self.watch(Pick(0))
        for turn in range(ROUNDS):
            self.settle(Pick(turn))
            self.check()
            open_still = [one for one in self._all_incidents() if not self._is_over(one)]
            if not open_still and not any(one.running for one in self.world.executions.values()):
                break
            # One alone at first: what the others want must stay.
            for incident in open_still[:1] if turn == 0 else open_still:
                # Nobody knows before whether others changed something.
                flags = () if turn < 2 else ("keep",) if keep != (turn >= ROUNDS // 2) else ("overwrite",)
                self._end_incident(incident, flags)
            self.settle(Pick(turn))
            self.workflow.wait(6 * 60 if turn % 2 else 25 * 3600)
            self.workflow.sweep(Pick(0))
        else:
            raise AssertionError(f"these do not end: {open_still}")
        self.workflow.wait(3600)
        self.workflow.sweep(Pick(0))
        self.settle(Pick(0))
        self.check()
        self.check_at_rest()
        self._nothing_is_left()

    @staticmethod
    def _is_released(incident: dict[str, Any]) -> bool:
        return (incident["containment"] or {"state": "released"})["state"] in _NOT_OF_OTHERS

    def _is_over(self, incident: dict[str, Any]) -> bool:
        return incident["state"] == "closed" and self._is_released(incident)

    def _end_incident(self, incident: dict[str, Any], flags: tuple[str, ...]) -> None:
        if incident["state"] != "closed":
            assert self.operators.about(incident["id"], "close") == 202
        self._release(incident, flags)

    def _release(self, incident: dict[str, Any], flags: tuple[str, ...]) -> None:
        state = (incident["containment"] or {}).get("state")
        # What waits for an answer has its deadline.
        if state not in (None, "pending", *_NOT_OF_OTHERS):
            given: dict[str, Any] = dict.fromkeys(flags, True)
            assert self.operators.about(incident["id"], "release", None, **given) in (202, 409)

    def _nothing_is_contained(self) -> None:
        assert [one for one in containments.listed() if one.in_place] == []
        left = list(containments.listed_prior_states())
        assert left == [], left
        # Others may have isolated something by themselves: the sweeper reports that, and nothing else.
        cut = {item["NetworkInterfaceId"] for item in self.world.described() if self._is_cut(groups_of(item))}
        assert {line.split()[0] for line in audit_findings()} == cut
        ours = [thing for thing in self.world.ledger.now if self.world.ledger.by.get(thing) == "ours"]
        assert ours == []
        there = self._as_the_ledger_says()
        assert there == self.world.ledger.now, {
            thing: value for thing, value in there.items() if value != self.world.ledger.now[thing]
        }

    def _is_cut(self, groups: Iterable[str]) -> bool:
        return set(groups) <= {self.world.quarantine, self.world.untrack}

    def _nothing_is_left(self) -> None:
        self._nothing_is_contained()
        ours = [one["TrafficMirrorSessionId"] for one in self.world.site.ours()]
        left = [one for one in ours if one not in self.world.sessions and one not in self.world.ledger.untagged]
        assert left == []
        self._what_stays_is_named()
        held = captures.listed()
        assert not held, held
        now = photograph(self.world.ec2)
        unexpected = [
            line for line in differences(self.world.before, now) if not any(name in line for name in self.world.touched)
        ]
        assert unexpected == [], unexpected

    def _what_stays_is_named(self) -> None:
        """No function may delete a session without our tags: responders are told to."""
        said = "".join(entry["detail"] for one in self._all_incidents() for entry in incidents.timeline(one["id"]))
        there = {one["TrafficMirrorSessionId"] for one in self.world.site.sessions()}
        silent = [one for one in self.world.ledger.untagged if one in there and one not in said]
        assert not silent, f"these stay, and nothing says so: {silent}"

    def watch(self, pick: Pick) -> None:
        """Let the sweeper see what became of the captures, and check that they are whole."""
        if self.world.step is not None:
            return
        self.world.done["watch"] += 1
        for _ in range(2):
            self.workflow.settle(pick)
            # EC2 may show a session late: what is not there for a minute is lost.
            self.workflow.wait(61)
            self.workflow.sweep(Pick(0))
        self._captures_are_whole()

    def _captures_are_whole(self) -> None:
        there = {one["TrafficMirrorSessionId"]: one for one in self.world.site.sessions()}
        described = self.world.site.ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"]
        targets = {one.get("NetworkInterfaceId") for one in described}
        for incident in self._all_incidents():
            if incident["state"] != "capturing" or incidents.get(incident["id"]).close_requested:
                continue
            entries = {one["network_interface_id"]: one for one in incident["interfaces"]}
            for interface, instance in self.world.attached.items():
                if instance == incident["instance_id"]:
                    known = entries.get(interface, {"state": "unknown"})
                    # What is a target, or has as many sessions of others as AWS allows, waits; what cannot be mirrored
                    # is refused.
                    sessions = [one for one in there.values() if one["NetworkInterfaceId"] == interface]
                    full = len(sessions) == SESSIONS_PER_INTERFACE or interface in targets
                    waits = ["waiting"] if full else []
                    assert known["state"] in ("mirrored", "refused", *waits), (
                        f"{incident['id']} lacks {interface}: {known}"
                    )
            for interface, entry in entries.items():
                if interface in self.world.attached and entry["state"] == "mirrored":
                    wrong = self._wrong_with(there.get(entry["session_id"]))
                    assert not wrong, (
                        f"{incident['id']} says that {interface} is mirrored: {wrong}. {entry}, "
                        f"{captures.get_all([interface])}, {incidents.timeline(incident['id'])}"
                    )

    def _wrong_with(self, session: Mapping[str, Any] | None) -> str:
        to = self.world.site.settings["appliance"]["existing"]
        if session is None:
            return "its session does not exist"
        if session["TrafficMirrorSessionId"] in {*self.world.sessions, *self.world.ledger.untagged}:
            return "its session is of others, or has lost our tags"
        if (session["TrafficMirrorTargetId"], session["TrafficMirrorFilterId"]) != (to["target_id"], to["filter_id"]):
            return f"its session goes elsewhere: {session}"
        if session.get("PacketLength") == SHORT:
            return "its session is cut short"
        named = tags(dict(session))
        if TAG_EXPIRES not in named or named[TAG_INCIDENT] not in [one["id"] for one in self._all_incidents()]:
            return f"its session has tags of another: {named}"
        return ""

    def _as_the_ledger_says(self) -> dict[Thing, Any]:
        """The same things, as the account has them."""
        found: dict[Thing, Any] = {}
        groups = {item["NetworkInterfaceId"]: groups_of(item) for item in self.world.described()}
        for thing in self.world.ledger.now:
            instance, _, device = thing.key.partition(" ")
            match thing.kind:
                case "groups":
                    found[thing] = groups[thing.key]
                case "termination":
                    answered = self.world.ec2.describe_instance_attribute(
                        InstanceId=instance, Attribute="disableApiTermination"
                    )
                    found[thing] = answered["DisableApiTermination"]["Value"]
                case "shutdown":
                    answered = self.world.ec2.describe_instance_attribute(
                        InstanceId=instance, Attribute="instanceInitiatedShutdownBehavior"
                    )
                    found[thing] = answered["InstanceInitiatedShutdownBehavior"]["Value"]
                case "volume":
                    [reservation] = self.world.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
                    [mapping] = reservation["Instances"][0]["BlockDeviceMappings"]
                    assert mapping["DeviceName"] == device
                    found[thing] = mapping["Ebs"]["DeleteOnTermination"]
                case "target-group":
                    health = self.world.site.client("elbv2").describe_target_health(TargetGroupArn=instance)
                    there = {
                        f"{one['Target']['Id']}:{one['Target']['Port']}" for one in health["TargetHealthDescriptions"]
                    }
                    found[thing] = "registered" if device in there else "deregistered"
        return found


def photograph(ec2: Any) -> Snapshot:
    """All of the account that containments and captures could change."""
    found: Snapshot = {}
    for operation, (*path, key) in _COMPARED.items():
        items: list[Any] = [getattr(ec2, operation)()]
        for name in path:
            items = [inner for item in items for inner in item[name]]
        found |= {str(item[key]): json.dumps(item, sort_keys=True, default=str) for item in items}
    return found
