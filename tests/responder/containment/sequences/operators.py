"""Requests of operators to the API."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

from tapstack.domain.alerts import severity_level
from tapstack.domain.incidents import as_text, as_time, highest, utc_now
from tapstack.domain.operations import operation_that_contains
from tapstack.domain.policy import Rule
from tapstack.responder.api.router import answer
from tapstack.responder.handlers import findings
from tapstack.responder.incident.joining import Report, can_be_joined
from tapstack.responder.store import incidents
from tests.responder.conftest import item
from tests.responder.containment.sequences.interruptions import Interruption, Pick
from tests.responder.containment.sequences.model import Step
from tests.responder.containment.sequences.world import World
from tests.responder.test_api import event
from tests.responder.test_findings import finding

RULES: Final = (
    Rule("worst", "contain_now", at_least=9.0),
    Rule("bad", "contain_on_approval", at_least=7.0, minutes=600),
    Rule("odd", "capture"),
)
_CONTAINS_NOW: Final = 9.0
_RELEASES: Final[tuple[tuple[str, ...], ...]] = ((), (), ("overwrite",), ("keep",), ("all",), ("all", "overwrite"))


class Operators:
    """Operators, who call the API.

    Args:
        world: where they are.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, pick: Pick, by: Interruption | None = None) -> None:
        containment = pick.of(("none", "approval", "now", "now"))
        # Mostly the same one, because what incidents share is what they get in each other's way with.
        instance = pick.of((self.world.instances[0], self.world.instances[0], *self.world.instances))
        self.open_one(instance, containment, by, minutes=pick.of((60, 1, 600)))

    def open_one(
        self, instance: str, containment: str, by: Interruption | None = None, *, minutes: int = 60
    ) -> str | None:
        """Open an incident; return its id, None without an answer."""
        body = {
            "instance_id": instance,
            "reason": f"beaconing, the {len(self.world.requests) + 1}.",
            "minutes": minutes,
            "containment": containment,
        }
        key = f"key-{len(self.world.requests)}"
        self.world.requests[key] = (body, None)
        if self._wants(containment):
            self.world.wanted.add(instance)
        self._opened(key, by)
        return self.world.requests[key][1]

    def _wants(self, mode: str) -> bool:
        """Return whether the deployment contains when the deadline passes."""
        return mode == "now" or (mode == "approval" and self.world.default == "contain")

    def open_again(self, pick: Pick, by: Interruption | None = None) -> None:
        """The same request once more, as whoever got no answer sends it."""
        if self.world.requests:
            self._opened(pick.of(sorted(self.world.requests)), by)

    def _opened(self, key: str, by: Interruption | None) -> None:
        body, known = self.world.requests[key]
        answer = self.ask("/incidents", body, by, key=key)
        if answer is None:
            return
        status, answered = answer
        assert status in (202, 503), answered
        if status == 202:
            found = str(answered["incident"]["id"])
            assert known in (None, found), f"{key} opened {known}, and {found}"
            self.world.requests[key] = (body, found)
            if found not in self.world.incidents:
                self.world.incidents.append(found)

    def find(self, pick: Pick, by: Interruption | None = None) -> None:
        """GuardDuty finds something, or sees it again; it may say so late."""
        instance = pick.of((self.world.instances[0], self.world.instances[0], *self.world.instances))
        severity, number = pick.of((5.0, 8.0, 9.5)), pick.of((1, 2, 3))
        seen = as_text(utc_now() - timedelta(seconds=pick.of((0, 0, 1, 3600))))
        self.find_one(instance, number, severity, seen, by)

    def find_old(self, pick: Pick, by: Interruption | None = None) -> None:
        """GuardDuty says late what it saw before an instance was released, or its incident closed."""
        ended = [(instance, moment) for instance, moment in self.world.ledger.released.items()]
        ended += [
            (str(one.instance_id), one.closed_at)
            for one in map(incidents.read, self.world.incidents)
            if one is not None and one.closed_at is not None
        ]
        if ended:
            instance, moment = pick.of(sorted(ended))
            seen = as_text(as_time(moment) - timedelta(seconds=pick.of((0, 1))))
            self.find_one(instance, pick.of((1, 2, 3, 4)), pick.of((9.5, 9.5, 8.0)), seen, by)

    def find_one(self, instance: str, number: int, severity: float, seen: str, by: Interruption | None = None) -> None:
        """Send a finding, and hold what became of it against what was there before."""
        self.world.done["find"] += 1
        if self._wants({5.0: "none", 8.0: "approval", 9.5: "now"}[severity]):
            self.world.wanted.add(instance)
        event = finding(instance, severity, eventLastSeen=seen)
        event["detail"]["id"] = f"{number:032x}"
        there = self._to_be_joined(instance, Report("", last_seen=seen, of_policy=True))
        before, said = {name: item(name) for name in there}, self.world.ledger.joined
        earlier = self.world.of_finding.pop((instance, number), None)
        had = incidents.read(earlier) if earlier is not None else None
        for incident in self.world.incidents:
            self.world.seen.setdefault(incident, set()).add(seen)
        with self.world.running(Step("find"), by):
            [decision] = findings.handler(event, None)["decisions"]
            if decision["incident_id"] is None:
                # What is terminated opens no incident, and there was none to join.
                assert (decision["action"], instance in self.world.alive) == ("notify", False)
                assert by is not None or not there
                return
            self._check_found(decision, instance, there if by is None else None)
            if by is None:
                if had is not None and had.closed_at is not None:
                    self.world.done["find late"] += 1
                    ended = str(incidents.ended_at(had))
                    assert (decision["action"] == "silent") != (seen > ended), f"{decision}: seen {seen}, ended {ended}"
                self.world.of_finding[instance, number] = decision["incident_id"]
                self._check_old(decision["incident_id"], instance, seen, before)
            if by is None and decision["action"] in ("joined", "updated"):
                self._check_joined(decision["incident_id"], severity, before, said)
            if by is None:
                self._check_said_once(decision["incident_id"], f"finding {number}", said)
            self.world.seen.setdefault(decision["incident_id"], set()).add(seen)
            if decision["incident_id"] not in self.world.incidents:
                self.world.incidents.append(decision["incident_id"])
        if by is not None:
            self.world.of_finding.pop((instance, number), None)

    def _to_be_joined(self, instance: str, report: Report) -> list[str]:
        """The incidents about an instance that an alert would join."""
        listed = [incidents.get(one.id) for one in incidents.listed("open")]
        return [one.id for one in listed if one.instance_id == instance and can_be_joined(one, report)]

    @staticmethod
    def _check_found(decision: dict[str, Any], instance: str, there: list[str] | None) -> None:
        """No finding opens an incident beside one that it could have joined; and each is in the timeline of one."""
        found = item(decision["incident_id"])
        assert found["instance_id"] == instance
        opens = decision["action"] not in ("joined", "updated", "silent")
        assert not (opens and there), f"{found['id']} was opened beside {there}"
        told = {entry["what"] for entry in incidents.timeline(found["id"])}
        assert ("opened" if opens else "joined") in told or decision["action"] in ("updated", "silent")

    def _check_joined(self, name: str, severity: float, before: dict[str, Any], said: int) -> None:
        """The severity is the highest of both, one notification says what joined, and what is answered stays so."""
        now, was = item(name), before.get(name)
        assert now["severity"] == highest(now["severity"], severity_level(severity)), f"{name}: {now['severity']}"
        assert self.world.ledger.joined - said <= 1, f"{self.world.ledger.joined - said} notifications for {name}"
        answered = (was or {}).get("containment")
        if answered is None:
            return
        rejected = answered["decision"] == "rejected" and severity < _CONTAINS_NOW
        asks_nothing = answered["state"] == "pending" and severity < _CONTAINS_NOW
        if rejected or asks_nothing or answered["state"] in ("containing", "contained", "releasing"):
            assert now["containment"] == answered, f"{name}: {answered} became {now['containment']}"

    def _check_old(self, name: str, instance: str, seen: str, before: dict[str, Any]) -> None:
        """What was seen before the instance was released requests no containment: nothing is even asked."""
        released = self.world.ledger.released.get(instance)
        if released is None or seen > released or (name not in before and name in self.world.incidents):
            return
        was, now = ((one or {}).get("containment") or {} for one in (before.get(name), item(name)))
        requested = ("pending", "containing", "contained")
        assert was.get("state") in requested or now.get("state") not in requested, (
            f"{name}: {seen} is before {released}"
        )

    def _check_said_once(self, name: str, alert: str, said: int) -> None:
        """That an alert joined an incident is notified of once, however often the alert is sent."""
        again = (name, alert) in self.world.answered
        assert not again or self.world.ledger.joined == said, f"{name}: it is said again that {alert} joined"
        self.world.answered.add((name, alert))

    def alert(self, pick: Pick, by: Interruption | None = None) -> None:
        """Another tool raises an alert, or sends it again."""
        instance = pick.of((self.world.instances[0], self.world.instances[0], *self.world.instances))
        containment, number = pick.of(("none", "approval", "now")), pick.of((1, 2, 3))
        body = {
            "instance_id": instance,
            "reason": "edr",
            "containment": containment,
            "alert_id": f"{instance} {number}",
        }
        if self._wants(containment):
            self.world.wanted.add(instance)
        there, said = self._to_be_joined(instance, Report("")), self.world.ledger.joined
        asked = self.ask("/incidents", body, by)
        if asked is None or asked[0] != 202:
            # Its incident is closed, or was opened without containment.
            assert asked is None or asked[0] in (409, 503), asked
            return
        name = str(asked[1]["incident"]["id"])
        if by is None:
            self._check_said_once(name, f"alert {number}", said)
        is_new = name not in self.world.incidents
        # Whoever opened one of these may have got no answer, so that it is not known here.
        assert not (is_new and there and name not in there and by is None), f"{name} was opened beside {there}"
        if is_new:
            self.world.incidents.append(name)

    def extend(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "extend", by, minutes=pick.of((30, 1, 1440)))

    def close(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "close", by)

    def contain(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "contain", by, mode=pick.of(("now", "now", "approval")))

    def approve(self, pick: Pick, by: Interruption | None = None) -> None:
        """Ben approves, and sometimes whoever requested it."""
        self._about_one(pick, "approve", by, who=pick.of(("ben", "ben", "ann")))

    def override(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "override", by, reason="nobody else is awake")

    def reject(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "reject", by)

    def release(self, pick: Pick, by: Interruption | None = None) -> None:
        flags: dict[str, Any] = dict.fromkeys(pick.of(_RELEASES), True)
        self._about_one(pick, "release", by, **flags)

    def _about_one(self, pick: Pick, what: str, by: Interruption | None, *, who: str = "ann", **body: Any) -> None:
        if self.world.incidents:
            # Mostly the latest.
            self.about(pick.of((self.world.incidents[-1], *self.world.incidents)), what, by, who=who, **body)

    def about(
        self, incident: str, what: str, by: Interruption | None = None, *, who: str | None = None, **body: Any
    ) -> int | None:
        """Ask for something about an incident; return the answer's status, None without an answer."""
        if what == "release":
            self.release_asked(incident, all_incidents=bool(body.get("all")))
        # Only ann requests containments; ben approves where no other caller is named.
        who = who or ("ben" if what == "approve" else "ann")
        own = what == "approve" and who == "ann" and by is None and self._is_requested_by_ann(incident)
        answer = self.ask(f"/incidents/{incident}/{what}", body, by, who=who)
        assert not own or (answer is not None and answer[0] != 202), "ann approved what she requested"
        refusals = (403, 409) if what == "approve" and who == "ann" else (409,)
        assert answer is None or answer[0] in (202, *refusals, 503), answer
        wants = what in ("approve", "override") or (what == "contain" and self._wants(body["mode"]))
        if wants and (answer is None or answer[0] not in (403, 409)):
            self.world.wanted.add(item(incident)["instance_id"])
        return answer[0] if answer is not None else None

    @staticmethod
    def _is_requested_by_ann(incident: str) -> bool:
        asked = item(incident).get("containment") or {}
        return asked.get("state") == "pending" and asked["requester"] == "user AIDAANN"

    def release_asked(self, incident: str, *, all_incidents: bool) -> None:
        self.world.releasing.add(incident)
        if all_incidents:
            self.world.releasing.add(str(item(incident)["instance_id"]))

    def ask(
        self,
        path: str,
        body: dict[str, Any],
        by: Interruption | None = None,
        *,
        key: str | None = None,
        who: str = "ann",
    ) -> tuple[int, Any] | None:
        """Send a request; None without an answer."""
        headers = {} if key is None else {"Idempotency_Key": key}
        name = path.rpartition("/")[2]
        step = "open" if name == "incidents" else name
        # Containing has paths of its own, by the mode.
        mode = body.get("mode", body.get("containment")) if path.endswith(("/contain", "/incidents")) else None
        if path == "/incidents" and mode in ("approval", "now"):
            path = operation_that_contains(mode, opens=True).path
        elif mode == "now":
            path = f"{path}-now"
        self.world.done[step] += 1
        with self.world.running(Step("api"), by):
            answered = answer(event("POST", path, body, who=who, **headers))
            return answered["statusCode"], json.loads(answered["body"])
        return None
