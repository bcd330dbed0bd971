"""The end of captures that nobody needs any more: their sessions are deleted, then the table says so."""

from __future__ import annotations

from collections.abc import Iterable

from tapstack.responder.aws.parallel import each
from tapstack.responder.capture import sessions
from tapstack.responder.store import captures
from tapstack.responder.store.captures import Capture


def finish(ending: Iterable[Capture]) -> int:
    """Finish captures that are ending; return how many sessions were deleted.

    What the table knows and what EC2 shows both count: an answer of EC2 may be late, and
    a function may have been killed before it wrote down what it made.
    """
    listed = [capture for capture in ending if capture.ending]
    if not listed:
        return 0
    ours: dict[str, set[str]] = {c.network_interface_id: {c.session_id} if c.session_id else set() for c in listed}
    for session in sessions.on_interfaces(list(ours)):
        if sessions.is_ours(session):
            ours[session["NetworkInterfaceId"]].add(session["TrafficMirrorSessionId"])

    def end(capture: Capture) -> int:
        found = sorted(ours[capture.network_interface_id])
        deleted = sum(sessions.delete(session_id) for session_id in found)
        captures.finish(capture, found)
        return deleted

    return sum(each(end, listed))
