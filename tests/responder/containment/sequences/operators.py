"""Requests of operators to the API."""

from __future__ import annotations

import json
from typing import Any, Final

from tapstack.responder.api.router import answer
from tests.responder.conftest import item
from tests.responder.containment.sequences.interruptions import Interruption, Pick
from tests.responder.containment.sequences.model import Step
from tests.responder.containment.sequences.world import World
from tests.responder.test_api import event

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

    def extend(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "extend", by, minutes=pick.of((30, 1, 1440)))

    def close(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "close", by)

    def contain(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "contain", by, mode=pick.of(("now", "now", "approval")))

    def approve(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "approve", by)

    def reject(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "reject", by)

    def release(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about_one(pick, "release", by, **dict.fromkeys(pick.of(_RELEASES), True))

    def _about_one(self, pick: Pick, what: str, by: Interruption | None, **body: Any) -> None:
        if self.world.incidents:
            # Mostly the latest.
            self.about(pick.of((self.world.incidents[-1], *self.world.incidents)), what, by, **body)

    def about(self, incident: str, what: str, by: Interruption | None = None, **body: Any) -> int | None:
        """Ask for something about an incident; return the answer's status, None without an answer."""
        if what == "release":
            self.release_asked(incident, all_incidents=bool(body.get("all")))
        answer = self.ask(f"/incidents/{incident}/{what}", body, by)
        assert answer is None or answer[0] in (202, 409, 503), answer
        wants = what == "approve" or (what == "contain" and self._wants(body["mode"]))
        if wants and (answer is None or answer[0] != 409):
            self.world.wanted.add(item(incident)["instance_id"])
        return answer[0] if answer is not None else None

    def release_asked(self, incident: str, *, all_incidents: bool) -> None:
        self.world.releasing.add(incident)
        if all_incidents:
            self.world.releasing.add(str(item(incident)["instance_id"]))

    def ask(
        self, path: str, body: dict[str, Any], by: Interruption | None = None, *, key: str | None = None
    ) -> tuple[int, Any] | None:
        """Send a request; None without an answer."""
        headers = {} if key is None else {"Idempotency_Key": key}
        name = path.rpartition("/")[2]
        self.world.done["open" if name == "incidents" else name] += 1
        with self.world.running(Step("api"), by):
            answered = answer(event("POST", path, body, **headers))
            return answered["statusCode"], json.loads(answered["body"])
        return None
