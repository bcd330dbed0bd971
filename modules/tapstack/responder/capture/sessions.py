"""Traffic mirror sessions in EC2, and which of them this deployment created.

Tags say which sessions the functions may change, and prove nothing: whoever may tag sessions can give any session ours.
Only the table says which sessions the incidents created. A session that it does not know is neither used nor deleted.

Sources: Amazon EC2 API Reference, DescribeTrafficMirrorSessions, CreateTrafficMirrorSession,
DeleteTrafficMirrorSession and ModifyTrafficMirrorSession.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain import limits
from tapstack.domain.capture_plan import Session
from tapstack.domain.ec2_filters import FILTER_VALUES
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_EXPIRES, TAG_INCIDENT, TAG_SITE
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.aws.parallel import each
from tapstack.responder.aws.tags import has_our_tags, tags_of
from tapstack.responder.environment import environment
from tapstack.responder.store import captures
from tapstack.responder.store.captures import Capture

Described = dict[str, Any]
"""A session as EC2 describes it."""

LATE_SECONDS: Final = 60
"""Seconds after which EC2 shows a new session; one that it does not show then was deleted."""
WHOLE: Final = (None, limits.PACKET_LENGTH_LOAD_BALANCER[1])
"""The packet lengths of a session that was created without one; the second behind a Network Load Balancer."""
_NOT_FOUND: Final = "InvalidTrafficMirrorSessionId.NotFound"
_UNAUTHORIZED: Final = "UnauthorizedOperation"
_PAGE: Final = 1000
_TAGGED_AT_ONCE: Final = 500
_NAMESPACE: Final = uuid.UUID("6d0f6c0a-52c5-4f0c-9d43-9f3a0d2c8f11")


def on_interfaces(interface_ids: Sequence[str]) -> list[Described]:
    """Return all sessions on these interfaces, those of others included."""
    return _with("network-interface-id", interface_ids)


def of_this_deployment() -> list[Described]:
    """Return the sessions that incidents of this deployment and site created."""
    named = environment()
    return _described(
        [
            {"Name": "tag-key", "Values": [TAG_INCIDENT]},
            {"Name": f"tag:{TAG_DEPLOYMENT}", "Values": [named.deployment]},
            {"Name": f"tag:{TAG_SITE}", "Values": [named.site]},
        ]
    )


def to_targets(target_ids: Sequence[str]) -> list[Described]:
    """Return the sessions of this account that mirror to one of these targets, whoever created them."""
    return _with("traffic-mirror-target-id", target_ids)


def _with(name: str, values: Sequence[str]) -> list[Described]:
    found: list[Described] = []
    for start in range(0, len(values), FILTER_VALUES):
        found += _described([{"Name": name, "Values": list(values[start : start + FILTER_VALUES])}])
    return found


def _described(filters: list[dict[str, Any]]) -> list[Described]:
    pages = client("ec2").get_paginator("describe_traffic_mirror_sessions")
    paged = pages.paginate(Filters=filters, PaginationConfig={"PageSize": _PAGE})
    return [session for page in paged for session in page["TrafficMirrorSessions"]]


def is_known(session: Described, capture: Capture | None) -> bool:
    """Return whether the table says that an incident created a session.

    Where the function was killed before it recorded the session's id, what it was about to create tells. Any caller can
    create a session like that: once the id is recorded, that alone counts.

    Args:
        session: as EC2 describes it.
        capture: of its interface; None where there is none.
    """
    if capture is None:
        return False
    if session["TrafficMirrorSessionId"] in {capture.session_id, *capture.ended_sessions, *capture.begun}:
        return True
    return capture.session_id is None and _creation_of(session) in capture.begun


def _creation_of(session: Described) -> str:
    return _creation(
        tags_of(session).get(TAG_INCIDENT, ""),
        session["SessionNumber"],
        session["TrafficMirrorTargetId"],
        session["TrafficMirrorFilterId"],
    )


def _creation(incident_id: str, number: int, target_id: str, filter_id: str) -> str:
    return f"{incident_id} {number} {target_id} {filter_id}"


def facts(described: Iterable[Described], held: Mapping[str, Capture] | None = None) -> list[Session]:
    """Return what a plan needs to know of sessions.

    Args:
        described: the sessions.
        held: the captures of their interfaces; none where it does not matter which sessions are ours.
    """
    captured = held or {}
    return [
        Session(
            s["TrafficMirrorSessionId"],
            s["NetworkInterfaceId"],
            s["SessionNumber"],
            has_our_tags(s) and is_known(s, captured.get(s["NetworkInterfaceId"])),
            s["TrafficMirrorTargetId"],
            None if s.get("PacketLength") in WHOLE else s["PacketLength"],
        )
        for s in described
    ]


def create(
    capture: Capture, *, incident_id: str, expires_at: str, target_id: str, filter_id: str, number: int
) -> Described:
    """Mirror an interface and return the session.

    The client token is that of this generation of the capture, so that one of several incidents creates the session.

    Raises:
        ClientError: IdempotentParameterMismatch when another incident created the session first.
    """
    named = environment()
    eni = capture.network_interface_id
    optional = {
        "PacketLength": named.capture.packet_length,
        "VirtualNetworkId": named.capture.virtual_network_id,
    }
    tags = {
        "Name": name_of(incident_id, eni),
        TAG_INCIDENT: incident_id,
        TAG_EXPIRES: expires_at,
        TAG_DEPLOYMENT: named.deployment,
        TAG_SITE: named.site,
    }
    captures.begin(eni, _creation(incident_id, number, target_id, filter_id), capture.where)
    answer = client("ec2").create_traffic_mirror_session(
        NetworkInterfaceId=eni,
        TrafficMirrorTargetId=target_id,
        TrafficMirrorFilterId=filter_id,
        SessionNumber=number,
        Description=f"Tapstack {incident_id}",
        TagSpecifications=[
            {
                "ResourceType": "traffic-mirror-session",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        ],
        ClientToken=client_token(capture),
        **{name: value for name, value in optional.items() if value is not None},
    )
    return dict(answer["TrafficMirrorSession"])


def name_of(incident_id: str, network_interface_id: str) -> str:
    """Return the tag Name of a session that an incident creates."""
    return f"{incident_id} {network_interface_id}"


def client_token(capture: Capture) -> str:
    """Return the client token of one generation of the capture of an interface: one for each account and Region."""
    named = environment()
    parts = (named.deployment, named.site, captures.name_of(capture), str(capture.generation))
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def delete(session_id: str) -> bool:
    """Delete a session; return whether it was there."""
    try:
        client("ec2").delete_traffic_mirror_session(TrafficMirrorSessionId=session_id)
    except ClientError as error:
        if is_gone(error, session_id):
            return False
        raise
    return True


def is_gone(error: ClientError, session_id: str) -> bool:
    """Return whether EC2 refused a call because the session is gone.

    A deleted session has no tags, and the functions may change only sessions with the deployment's tags. EC2 does not
    document whether it checks that a session exists before it checks the permission.
    """
    if code_of(error) == _UNAUTHORIZED:
        return not _described([{"Name": "traffic-mirror-session-id", "Values": [session_id]}])
    return code_of(error) == _NOT_FOUND


def retag(session_ids: Sequence[str], tags: dict[str, str]) -> None:
    """Set tags on sessions; those that are gone meanwhile, or have lost our tags, are left out.

    No function may change a session without our tags: the sweeper makes another one.
    """
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    for start in range(0, len(session_ids), _TAGGED_AT_ONCE):
        some = list(session_ids[start : start + _TAGGED_AT_ONCE])
        try:
            client("ec2").create_tags(Resources=some, Tags=listed)
        except ClientError as error:
            if len(some) == 1 and not _is_lost(error, some[0]):
                raise
            if code_of(error) not in (_NOT_FOUND, _UNAUTHORIZED):
                raise
            # One such session fails the call for all.
            for session_id in some if len(some) > 1 else ():
                retag([session_id], tags)


def _is_lost(error: ClientError, session_id: str) -> bool:
    """Return whether EC2 refused a call because the session is gone, or no longer has our tags."""
    if code_of(error) != _UNAUTHORIZED:
        return code_of(error) == _NOT_FOUND
    found = _described([{"Name": "traffic-mirror-session-id", "Values": [session_id]}])
    return not any(map(has_our_tags, found))


def modify(session_id: str, *, target_id: str, filter_id: str) -> None:
    """Send a session's packets to another target, through another filter."""
    client("ec2").modify_traffic_mirror_session(
        TrafficMirrorSessionId=session_id, TrafficMirrorTargetId=target_id, TrafficMirrorFilterId=filter_id
    )


def change(session_id: str, fields: Mapping[str, Any]) -> None:
    """Change fields of a session, as ModifyTrafficMirrorSession names them."""
    client("ec2").modify_traffic_mirror_session(TrafficMirrorSessionId=session_id, **fields)


def finish(ending: Iterable[Capture], recorded: Mapping[str, str] | None = None) -> list[str]:
    """Finish captures that are ending; return the sessions that stay.

    Sessions in the table are deleted whether EC2 shows them or not: it is eventually consistent. A function may have
    been killed before it recorded the session that it created: the table says which one was begun. A session that
    lacks our tags by now cannot be deleted by any function, and stays.

    Args:
        ending: the captures; those that are not ending are left out.
        recorded: the sessions that an incident has of these interfaces, by interface. A function that was killed may
            have finished the capture, which names the session no longer, before the incident says that it stays.
    """
    listed = [capture for capture in ending if capture.ending]
    if not listed:
        return []
    left: list[str] = []
    named = recorded or {}
    ours: dict[str, set[str]] = {
        c.network_interface_id: {one for one in (c.session_id, named.get(c.network_interface_id)) if one is not None}
        for c in listed
    }
    of = {capture.network_interface_id: capture for capture in listed}
    for session in on_interfaces(list(ours)):
        eni, session_id = session["NetworkInterfaceId"], session["TrafficMirrorSessionId"]
        if not has_our_tags(session):
            if session_id in ours[eni]:
                ours[eni].remove(session_id)
                left.append(session_id)
        elif is_known(session, of[eni]):
            ours[eni].add(session_id)

    def end(capture: Capture) -> None:
        found = sorted(ours[capture.network_interface_id])
        for session_id in found:
            delete(session_id)
        captures.finish(capture, found)

    each(end, listed)
    return left
