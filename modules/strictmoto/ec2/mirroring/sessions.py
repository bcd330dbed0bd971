"""Traffic mirror sessions: one source, one filter, one target, and a number in the order of evaluation."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from moto.ec2.utils import random_id
from moto.moto_api._internal import mock_random

from strictmoto.ec2.mirroring import accounts, errors, limits, network, tags
from strictmoto.ec2.mirroring.describing import describe
from strictmoto.ec2.mirroring.operations import Answer, Core, Parameters, check_remove_fields, operation, without_none
from strictmoto.ec2.mirroring.state import Filter, Session, Target
from strictmoto.ec2.mirroring.targets import TargetActions

_FILTERS: Final = {
    "description": "Description",
    "network-interface-id": "NetworkInterfaceId",
    "owner-id": "OwnerId",
    "packet-length": "PacketLength",
    "session-number": "SessionNumber",
    "traffic-mirror-filter-id": "TrafficMirrorFilterId",
    "traffic-mirror-session-id": "TrafficMirrorSessionId",
    "traffic-mirror-target-id": "TrafficMirrorTargetId",
    "virtual-network-id": "VirtualNetworkId",
}
_REMOVABLE: Final = {
    "packet-length": "PacketLength",
    "description": "Description",
    "virtual-network-id": "VirtualNetworkId",
}


class SessionActions(TargetActions):
    """Create, describe, modify and delete sessions. Needs the targets, which limit their sources."""

    @operation
    def create_traffic_mirror_session(self, parameters: Parameters) -> Answer:
        """Begin to mirror a network interface."""
        given_tags = tags.read_specifications(parameters, Session)
        self.state.check_quota(Session)
        source: str = parameters["NetworkInterfaceId"]
        network.check_source(self.backend, source)
        self._check_is_no_target(source)
        if len(self.state.sessions_from(source)) >= limits.SESSIONS_PER_INTERFACE:
            raise errors.refuse(
                "TrafficMirrorSessionsPerInterfaceLimitExceeded",
                f"{source} is in {limits.SESSIONS_PER_INTERFACE} traffic mirror sessions, which is the maximum",
            )
        created = Session(
            id=random_id(Session.prefix),
            description=parameters.get("Description"),
            network_interface_id=source,
            target_id=parameters["TrafficMirrorTargetId"],
            filter_id=parameters["TrafficMirrorFilterId"],
            number=parameters["SessionNumber"],
            virtual_network_id=self._virtual_network_id(parameters.get("VirtualNetworkId")),
            packet_length=parameters.get("PacketLength"),
        )
        self._check_session(created)
        tags.attach(self, created.id, given_tags)
        self.state.add(created)
        return {"TrafficMirrorSession": self._show_session(created)}

    @operation
    def describe_traffic_mirror_sessions(self, parameters: Parameters) -> Answer:
        """Describe sessions: one's own, and those of others to one's targets."""
        foreign = accounts.sessions_of_others_to(self, list(self.state.targets))
        owners = {session.id: owner for owner, session in foreign}
        return describe(
            self,
            Session,
            parameters,
            view=lambda session: self._show_session(session, owners.get(session.id)),
            filters=_FILTERS,
            table={**self.state.sessions, **{session.id: session for _, session in foreign}},
        )

    @operation
    def modify_traffic_mirror_session(self, parameters: Parameters) -> Answer:
        """Change the given fields and take RemoveFields back to their defaults; the source stays."""
        found: Session = self.find(Session, parameters["TrafficMirrorSessionId"])
        removed = check_remove_fields(parameters, _REMOVABLE)
        virtual_network_id = found.virtual_network_id
        if "VirtualNetworkId" in removed:
            virtual_network_id = self._virtual_network_id(None)
        elif parameters.get("VirtualNetworkId") not in (None, virtual_network_id):
            virtual_network_id = self._virtual_network_id(parameters["VirtualNetworkId"])
        changed = replace(
            found,
            description=None if "Description" in removed else parameters.get("Description", found.description),
            target_id=parameters.get("TrafficMirrorTargetId", found.target_id),
            filter_id=parameters.get("TrafficMirrorFilterId", found.filter_id),
            number=parameters.get("SessionNumber", found.number),
            virtual_network_id=virtual_network_id,
            packet_length=None if "PacketLength" in removed else parameters.get("PacketLength", found.packet_length),
        )
        self._check_session(changed)
        self.state.replace(found, changed)
        return {"TrafficMirrorSession": self._show_session(changed)}

    @operation
    def delete_traffic_mirror_session(self, parameters: Parameters) -> Answer:
        """Stop to mirror."""
        found: Session = self.find(Session, parameters["TrafficMirrorSessionId"])
        self._forget_session(found)
        return {"TrafficMirrorSessionId": found.id}

    def drop_sessions_of(self, interface_id: str) -> None:
        """Delete the sessions of an interface that exists no more, as AWS does."""
        with self._lock:
            for session in self.state.sessions_from(interface_id):
                self._forget_session(session)

    def _forget_session(self, session: Session) -> None:
        self.state.remove(session)
        tags.forget(self, session.id)

    def _check_session(self, session: Session) -> None:
        """Check what creation and modification have in common."""
        self.find(Filter, session.filter_id)
        owner, target = self._target_of(session)
        limits.check("SessionNumber", session.number, limits.SESSION_NUMBER)
        for other in self.state.sessions_from(session.network_interface_id):
            if other.id != session.id and other.number == session.number:
                raise errors.invalid(
                    f"Session number {session.number} is in use on {session.network_interface_id} by {other.id}"
                )
        if session.packet_length is not None:
            allowed = limits.PACKET_LENGTH_TO_LOAD_BALANCER if _is_load_balancer(target) else limits.PACKET_LENGTH
            limits.check("PacketLength", session.packet_length, allowed)
        if session.target_id not in {s.target_id for s in self.state.sessions_from(session.network_interface_id)}:
            self._check_has_room(owner, target, session.network_interface_id)

    def _target_of(self, session: Session) -> tuple[Core, Target]:
        """Return the target and its owner. A session keeps a target that is no longer shared."""
        before = self.state.sessions.get(session.id)
        if before is not None and before.target_id == session.target_id and session.target_id not in self.state.targets:
            for owner in accounts.others(self):
                if session.target_id in owner.state.targets:
                    return owner, owner.state.targets[session.target_id]
        return accounts.target_for(self, session.target_id)

    def _check_is_no_target(self, interface_id: str) -> None:
        if targets := self.state.targets_on(interface_id):
            raise errors.invalid(f"{interface_id} is in use by target {targets[0].id}")

    def _virtual_network_id(self, asked: int | None) -> int:
        """Return the VXLAN network identifier asked for, which sessions may share, or a random one that none has."""
        used = self.state.virtual_network_ids
        if asked is None:
            while (chosen := mock_random.choice(limits.VIRTUAL_NETWORK_ID)) in used:
                pass
            return chosen
        limits.check("VirtualNetworkId", asked, limits.VIRTUAL_NETWORK_ID)
        return asked

    def _show_session(self, shown: Session, owner: Core | None = None) -> Answer:
        packet_length = shown.packet_length
        target = accounts.any_target(self, shown.target_id)
        if packet_length is None and target is not None and _is_load_balancer(target):
            packet_length = limits.PACKET_LENGTH_TO_LOAD_BALANCER[-1]
        return without_none(
            {
                "TrafficMirrorSessionId": shown.id,
                "TrafficMirrorTargetId": shown.target_id,
                "TrafficMirrorFilterId": shown.filter_id,
                "NetworkInterfaceId": shown.network_interface_id,
                "OwnerId": (owner or self).backend.account_id,
                "PacketLength": packet_length,
                "SessionNumber": shown.number,
                "VirtualNetworkId": shown.virtual_network_id,
                "Description": shown.description,
                "Tags": tags.of_resource(self, shown.id),
            }
        )


def _is_load_balancer(target: Target) -> bool:
    return target.type == "network-load-balancer"
