"""What others do in the account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.responder.aws.errors import code_of
from tests.responder.containment.sequences.interruptions import Interruption, Pick
from tests.responder.containment.sequences.model import Thing
from tests.responder.containment.sequences.world import World, groups_of

_INTERFACES_OF_AN_INSTANCE: Final = 3


class OtherPrincipals:
    """Everybody else.

    Args:
        world: where they are.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    def change_groups(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others give an interface other groups, once in a while the quarantine group."""
        if not self.world.attached:
            return
        interface = pick.of(sorted(self.world.attached))
        groups = pick.some(self.world.groups, 2) if pick.of(range(8)) else [self.world.quarantine]
        self._modify("change_groups", interface, groups)

    def _modify(self, what: str, interface: str, groups: Sequence[str]) -> None:
        self.world.done[what] += 1
        with self.world.as_others():
            self.world.touched |= {interface, self.world.attached[interface] or interface}
            self.world.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=list(groups))

    def delete_group(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others delete a group that no interface has; one is always left."""
        used = {self.world.site.group, *(group for item in self.world.described() for group in groups_of(item))}
        unused = [group for group in self.world.groups if group not in used]
        if not unused:
            return
        group = pick.of(unused)
        with self.world.as_others():
            self.world.ec2.delete_security_group(GroupId=group)
        self.world.done["delete_group"] += 1
        self.world.groups.remove(group)
        self.world.ledger.gone_groups.add(group)
        # Whose prior states had it cannot get it back.
        losing = {
            thing.key for (_, thing), owed in self.world.ledger.owed.items() if thing.kind == "groups" and group in owed
        }
        self.world.touched |= {group, *losing, *(self.world.attached.get(interface) or "" for interface in losing)} - {
            ""
        }

    def attach(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others attach an interface, a new one or one that is free."""
        if not self.world.alive:
            return
        instance = pick.of(self.world.alive)
        used = [interface for interface, its in self.world.attached.items() if its == instance]
        if len(used) >= _INTERFACES_OF_AN_INSTANCE:
            return
        self.world.done["attach"] += 1
        free = [interface for interface, its in self.world.attached.items() if its is None]
        with self.world.as_others():
            interface = pick.of((None, *free)) or self.new_interface(pick.some(self.world.groups, 2))
            indexes = {
                item["Attachment"]["DeviceIndex"]
                for item in self.world.described()
                if item.get("Attachment", {}).get("InstanceId") == instance
            }
            index = min(set(range(_INTERFACES_OF_AN_INSTANCE)) - indexes)
            self.world.ec2.attach_network_interface(
                NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=index
            )
        self.world.attached[interface] = instance
        self.world.touched |= {interface, instance}

    def new_interface(self, groups: Sequence[str]) -> str:
        made = self.world.ec2.create_network_interface(SubnetId=self.world.site.subnet, Groups=list(groups))
        interface = str(made["NetworkInterface"]["NetworkInterfaceId"])
        self.world.attached[interface] = None
        self.world.ledger.begin(Thing("groups", interface), tuple(sorted(groups)))
        self.world.touched.add(interface)
        return interface

    def detach(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others detach an interface that is not the primary one, and may delete it."""
        with self.world.as_others():
            second = [item for item in self.world.described() if item.get("Attachment", {}).get("DeviceIndex", 0) > 0]
            if not second:
                return
            self.world.done["detach"] += 1
            item = pick.of(sorted(second, key=lambda one: str(one["NetworkInterfaceId"])))
            interface = str(item["NetworkInterfaceId"])
            self.world.touched |= {interface, item["Attachment"]["InstanceId"]}
            self.world.ec2.detach_network_interface(AttachmentId=item["Attachment"]["AttachmentId"])
            self.world.attached[interface] = None
            if pick.of((False, True)):
                self.world.ec2.delete_network_interface(NetworkInterfaceId=interface)
                self._forget_interface(interface)

    def _forget_interface(self, interface: str) -> None:
        del self.world.attached[interface]
        self.world.ledger.reset(Thing("groups", interface))
        self.world.sessions = {session: its for session, its in self.world.sessions.items() if its != interface}

    def stop(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others stop an instance, or start it."""
        if self.world.alive:
            self.world.done["stop"] += 1
            instance = pick.of(self.world.alive)
            self.world.touched.add(instance)
            with self.world.as_others():
                if pick.of((True, False)):
                    self.world.ec2.stop_instances(InstanceIds=[instance])
                else:
                    self.world.ec2.start_instances(InstanceIds=[instance])

    def terminate(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others terminate an instance, whatever protects it; one is always left."""
        if len(self.world.alive) < 2:
            return
        self.world.done["terminate"] += 1
        instance = pick.of(self.world.alive)
        self.world.touched |= {instance, self.world.volumes[instance]}
        with self.world.as_others():
            self.world.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
            self.world.ec2.terminate_instances(InstanceIds=[instance])
            there = {str(item["NetworkInterfaceId"]) for item in self.world.described()}
        self.world.alive.remove(instance)
        for interface in [interface for interface, its in self.world.attached.items() if its == instance]:
            self.world.touched.add(interface)
            self.world.attached[interface] = None
            if interface not in there:
                self._forget_interface(interface)
        for thing in [thing for thing in self.world.ledger.now if instance in thing.key]:
            self.world.ledger.reset(thing)

    def protect(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others change what becomes of an instance."""
        if not self.world.alive:
            return
        self.world.done["protect"] += 1
        instance = pick.of(self.world.alive)
        self.world.touched.add(instance)
        change: dict[str, Any] = pick.of(
            (
                {"DisableApiTermination": {"Value": False}},
                {"DisableApiTermination": {"Value": True}},
                {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}},
                {"InstanceInitiatedShutdownBehavior": {"Value": "stop"}},
            )
        )
        with self.world.as_others():
            self.world.ec2.modify_instance_attribute(InstanceId=instance, **change)

    def register(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others put an instance behind a load balancer, or take it out."""
        if not self.world.alive:
            return
        self.world.done["register"] += 1
        instance, arn, port = pick.of(self.world.alive), pick.of(self.world.target_groups), pick.of((80, 81))
        balancing = self.world.site.client("elbv2")
        thing = Thing("target-group", f"{arn} {instance}:{port}")
        if thing not in self.world.ledger.now:
            self.world.ledger.begin(thing, "deregistered")
        targets = [{"Id": instance, "Port": port}]
        with self.world.as_others():
            if pick.of((True, False)):
                try:
                    balancing.register_targets(TargetGroupArn=arn, Targets=targets)
                except ClientError as error:
                    # It is stopped.
                    _check_code(error, "InvalidTarget")
            else:
                balancing.deregister_targets(TargetGroupArn=arn, Targets=targets)

    def add_session(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others mirror an interface."""
        if not self.world.attached:
            return
        interface = pick.of(sorted(self.world.attached))
        with self.world.as_others():
            try:
                session = self.world.site.session_of_others(interface, number=pick.of((1, 2, 3, 7)))
            except ClientError as error:
                _check_code(error, "TrafficMirrorSessionsPerInterfaceLimitExceeded", "InvalidParameterValue")
                return
            self.world.done["add_session"] += 1
            self.world.own(session, interface)

    def delete_session(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others end a session of theirs."""
        if self.world.sessions:
            self.world.done["delete_session"] += 1
            session = pick.of(sorted(self.world.sessions))
            with self.world.as_others():
                self.world.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
            del self.world.sessions[session]

    def replace_target(self, pick: Pick, by: Interruption | None = None) -> None:
        """The site gets another appliance."""
        self.world.done["replace_target"] += 1
        with self.world.as_others():
            interface = self.world.site.interface()
            target = self.world.site.target(interface)
        self.world.touched |= {interface, target}
        self.world.site.settings["appliance"]["existing"]["target_id"] = target
        self.world.configure()


def _check_code(error: ClientError, *codes: str) -> None:
    assert code_of(error) in codes, error
