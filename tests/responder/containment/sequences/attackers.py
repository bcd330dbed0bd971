"""What an attacker does who has rights of EC2, against captures and containments.

On AWS the roles' conditions keep the functions from what has lost our tags. Here nothing does: it is the model that
holds each of their calls to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from botocore.exceptions import ClientError

from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_EXPIRES, TAG_INCIDENT, TAG_SITE
from tapstack.responder.aws.errors import code_of
from tests.responder.conftest import our_tags
from tests.responder.containment.sequences.interruptions import Interruption, Pick
from tests.responder.containment.sequences.world import World

PROTECTS: Final = "tapstack-protected"
SHORT: Final = 64
"""Bytes of each packet, of a session that was truncated."""


class Attackers:
    """Principals that may change sessions, tags and targets.

    Args:
        world: where they are.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    def delete_ours(self, pick: Pick, by: Interruption | None = None) -> None:
        """Delete a session of an incident."""
        if session := self._ours("delete_ours", pick):
            with self.world.as_others():
                self.world.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)

    def turn_ours(self, pick: Pick, by: Interruption | None = None) -> None:
        """Send the packets of a session to another target, or through another filter."""
        if session := self._ours("turn_ours", pick):
            site = self.world.site
            to: Mapping[str, str] = pick.of(
                ({"TrafficMirrorTargetId": site.others_target}, {"TrafficMirrorFilterId": site.others_filter})
            )
            with self.world.as_others():
                self.world.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, **to)

    def truncate_ours(self, pick: Pick, by: Interruption | None = None) -> None:
        """Let a session mirror the beginning of each packet only."""
        if session := self._ours("truncate_ours", pick):
            with self.world.as_others():
                self.world.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, PacketLength=SHORT)

    def untag_ours(self, pick: Pick, by: Interruption | None = None) -> None:
        """Take the tags off a session without which no function may change it."""
        if session := self._ours("untag_ours", pick):
            names = pick.of(((TAG_DEPLOYMENT,), (TAG_SITE,), (TAG_INCIDENT, TAG_DEPLOYMENT, TAG_SITE)))
            with self.world.as_others():
                self.world.ec2.delete_tags(Resources=[session], Tags=[{"Key": name} for name in names])
            self.world.ledger.untagged[session] = self.world.ledger.calls

    def retag_ours(self, pick: Pick, by: Interruption | None = None) -> None:
        """Give a session the tag of another incident, or take its time off."""
        if session := self._ours("retag_ours", pick):
            with self.world.as_others():
                if pick.of((True, False)):
                    other = [{"Key": TAG_INCIDENT, "Value": "inc-20200101t000000-00000000"}]
                    self.world.ec2.create_tags(Resources=[session], Tags=other)
                else:
                    self.world.ec2.delete_tags(Resources=[session], Tags=[{"Key": TAG_EXPIRES}])

    def forge(self, pick: Pick, by: Interruption | None = None) -> None:
        """Create a session with our tags."""
        if not self.world.attached or not self.world.incidents:
            return
        interface, incident = pick.of(sorted(self.world.attached)), pick.of(self.world.incidents)
        with self.world.as_others():
            try:
                session = self.world.site.session_of_others(
                    interface, number=pick.of((1, 2, 3, 7)), TagSpecifications=our_tags(incident)
                )
            except ClientError as error:
                _check_code(error, "TrafficMirrorSessionsPerInterfaceLimitExceeded", "InvalidParameterValue")
                return
            self.world.done["forge"] += 1
            self.world.own(session, interface)

    def protect_by_tag(self, pick: Pick, by: Interruption | None = None) -> None:
        """Give an instance the tag that protects it from containment, or take it off."""
        if not self.world.alive:
            return
        self.world.done["protect_by_tag"] += 1
        instance = pick.of(self.world.alive)
        self.world.touched.add(instance)
        protected = self.world.ledger.protected
        with self.world.as_others():
            if instance not in protected:
                self.world.ec2.create_tags(Resources=[instance], Tags=[{"Key": PROTECTS, "Value": "by an attacker"}])
                protected[instance] = self.world.ledger.calls
            else:
                self.world.ec2.delete_tags(Resources=[instance], Tags=[{"Key": PROTECTS}])
                del protected[instance]

    def aim(self, pick: Pick, by: Interruption | None = None) -> None:
        """Make an interface of an instance a mirror target, or delete such a target."""
        if not self.world.attached:
            return
        interface = pick.of(sorted(self.world.attached))
        with self.world.as_others():
            try:
                if target := self.world.aimed.get(interface):
                    self.world.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=target)
                    del self.world.aimed[interface]
                else:
                    target = self.world.aimed[interface] = self.world.site.target(interface)
                    self.world.touched.add(target)
            except ClientError as error:
                # It is a source, or a target already.
                _check_code(error, "InvalidParameterValue", "TrafficMirrorTargetInUse")
                return
        self.world.done["aim"] += 1

    def _ours(self, what: str, pick: Pick) -> str | None:
        """Choose a session that an incident created, and that is as it was created."""
        left = {*self.world.sessions, *self.world.ledger.untagged}
        found = [one["TrafficMirrorSessionId"] for one in self.world.site.sessions()]
        ours = sorted(str(session) for session in found if session not in left)
        if not ours:
            return None
        self.world.done[what] += 1
        return pick.of(ours)


def _check_code(error: ClientError, *codes: str) -> None:
    assert code_of(error) in codes, error
