"""Sessions that are gone: EC2 refuses by what it finds, or by the tags that it no longer finds."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tapstack.responder.capture import sessions
from tests.responder.conftest import Site, our_tags


class Refusing:
    """EC2, to a caller whose policy asks for tags, where there are none."""

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ec2, name)

    def delete_traffic_mirror_session(self, **_: Any) -> None:
        raise self._refusal("DeleteTrafficMirrorSession")

    def create_tags(self, **_: Any) -> None:
        raise self._refusal("CreateTags")

    def _refusal(self, operation: str) -> ClientError:
        error = {"Code": "UnauthorizedOperation", "Message": "You are not authorized to perform this operation."}
        return ClientError({"Error": error}, operation)


@pytest.fixture
def refusing(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(sessions, "client", lambda _: Refusing(site.ec2))
    return site


def existing_session(site: Site, **more: Any) -> str:
    made = site.ec2.create_traffic_mirror_session(
        NetworkInterfaceId=site.interface(),
        TrafficMirrorTargetId=site.target(),
        TrafficMirrorFilterId=site.ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"],
        SessionNumber=1,
        **more,
    )
    return str(made["TrafficMirrorSession"]["TrafficMirrorSessionId"])


def test_when_a_session_is_gone_and_its_tags_with_it_then_that_is_no_failure(refusing: Site) -> None:
    gone = ["tms-0123456789abcdef0", "tms-0123456789abcdef1"]
    assert sessions.delete(gone[0]) is False
    sessions.retag(gone, {"a": "b"})


def test_when_a_session_has_lost_our_tags_then_it_is_not_tagged_and_the_others_are(refusing: Site) -> None:
    """Otherwise whoever takes tags off a session would keep its incident from being extended, and from closing."""
    sessions.retag([existing_session(refusing), "tms-0123456789abcdef0"], {"a": "b"})


def test_fails_when_a_session_exists_and_may_not_be_deleted(refusing: Site) -> None:
    session = existing_session(refusing, TagSpecifications=our_tags("inc-1"))
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        sessions.delete(session)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        sessions.retag([session, "tms-0123456789abcdef0"], {"a": "b"})
