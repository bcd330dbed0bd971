"""What a containment changed after it was overtaken: EC2 knows no condition, so its calls may land after a release.

Somebody releases an instance for all while another incident contains it once more: what that one has in hand it still
changes, and what it changes was noted as back. It can write nothing down any more, so it ends as `overtaken`, and this
comes next, in the same execution: the originals are still there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from tapstack.domain.containment import Original, is_ours, said
from tapstack.domain.containment_release import Step, steps_of_release
from tapstack.responder.aws.errors import message_of, passes
from tapstack.responder.containment.changes import OF_KIND
from tapstack.responder.containment.changes.gone import Gone, NotOurs
from tapstack.responder.containment.releasing import look_at
from tapstack.responder.errors import ContainmentFailed
from tapstack.responder.store import containments, incidents


def put_back(incident_id: str) -> dict[str, Any]:
    """Put back what is as containment left it although a release has put it back.

    Nothing is done where somebody wants the instance cut off again, and nothing about what others changed since.

    Returns:
        `status`: `wanted`, or `put back`.

    Raises:
        ContainmentFailed: AWS refuses to put something back; everything else is.
    """
    instance_id = incidents.get(incident_id)["instance_id"]
    held = containments.get(instance_id)
    if held is None or held.wanted:
        return {"status": "wanted"}
    returned = [
        replace(one, restored=False)
        for one in containments.originals(instance_id)
        if one.restored and not one.note and one.generation == _last_generation(held)
    ]
    now = look_at(instance_id, returned)
    late = [one for one in returned if _is_as_we_left_it(one, now)]
    refused = [left for step in steps_of_release(late, now) if (left := _restore(incident_id, instance_id, step))]
    if refused:
        raise ContainmentFailed(
            f"{instance_id} was changed once more after its release, by what was under way, and NOT put back: "
            + "; ".join(refused)
        )
    return {"status": "put back"}


def _restore(incident_id: str, instance_id: str, step: Step) -> str:
    """Put one thing back; return why it is not, empty where it is."""
    one = step.original
    what = f"{one.kind} of {one.key}: {said(step.to)}"
    try:
        OF_KIND[one.kind].restore(instance_id, one, step.to)
    except (Gone, NotOurs):
        return ""
    except ClientError as error:
        if passes(error):
            raise
        return f"{what}: AWS refuses: {message_of(error)}"
    incidents.say(incident_id, "containment", "put back once more", what)
    return ""


def _last_generation(held: containments.Containment) -> int:
    """The generation that was released last: the next one is counted when a release ends."""
    return held.generation if held.in_place else held.generation - 1


def _is_as_we_left_it(one: Original, now: dict[Any, Any]) -> bool:
    there = now.get((one.kind, one.key))
    return there is not None and there != one.original and is_ours(there, one.ours, one.passing)
