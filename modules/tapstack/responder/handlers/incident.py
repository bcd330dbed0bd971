"""Waits for the end of an incident, or for approval, and records how it ended."""

from __future__ import annotations

from tapstack.responder.containment import packets_wait
from tapstack.responder.containment import steps as containment_steps
from tapstack.responder.handlers.serving import serve
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import telemetry
from tapstack.responder.store import incidents

handler = serve(
    "incident",
    {
        "remaining": lambda event: incident_steps.remaining(event["incident_id"], event.get("waited_until")),
        "wait": lambda event: incident_steps.wait(event["incident_id"], event["token"]),
        "notify": lambda event: incident_steps.notify(event["incident_id"]),
        "decide": lambda event: containment_steps.decide(event["incident_id"], event.get("waited_until")),
        "approval": lambda event: containment_steps.approval(event["incident_id"], event["token"]),
        "packets": lambda event: packets_wait.wait(event["incident_id"], event["waited"]),
        "notify_containment": lambda event: containment_steps.notify(event["incident_id"], event.get("outcome")),
        "fail_containment": lambda event: containment_steps.fail(
            event["incident_id"], event.get("error", "failed"), event.get("cause", "")
        ),
        "close": lambda event: incident_steps.close(event["incident_id"], event.get("because")),
        "fail": lambda event: incident_steps.fail(
            event["incident_id"], event.get("error", "failed"), event.get("cause", "")
        ),
    },
    # Of the functions of the workflow it is this one that may emit events: those of the others, too.
    then=lambda incident_id: telemetry.settle(incidents.get(incident_id), of_others=True),
)
