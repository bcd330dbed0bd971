"""A function is killed before, or after, any of its calls, and the step is done again: nothing is lost.

Every twenty-sixth call in CI, every one with TAPSTACK_EVERY_POINT=1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient

from strictmoto.faults import Fault, Kind
from tapstack.responder.containment import isolation, restoration
from tapstack.responder.errors import TryAgain
from tests.responder.containment.conftest import Shop, ask_again, asked
from tests.responder.containment.test_concurrency import EVERY_POINT


class Killed(BaseException):
    """The function is no more."""


class Killer:
    """Ends whoever has made the chosen call, and all their threads, before they hear the answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.calls, self.dead, self.armed = 0, 0, False, False
        self._lock = threading.Lock()
        real = BaseClient._make_api_call

        def call(client: Any, operation: str, parameters: Any) -> Any:
            if not self.armed:
                return real(client, operation, parameters)
            with self._lock:
                if self.dead:
                    raise Killed
                self.calls += 1
                self.dead = chosen = self.calls == self.at
            answer = real(client, operation, parameters)
            if chosen:
                raise Killed
            return answer

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    @contextmanager
    def after_call(self, number: int) -> Iterator[None]:
        """Kill after a call, which is before the next one; do nothing where there are fewer."""
        self.at, self.calls, self.dead, self.armed = number, 0, False, True
        try:
            yield
        except Killed:
            pass
        finally:
            self.armed = False


def again(step: Callable[[str], Any], incident: str) -> Any:
    """Do a step until it is done, as the workflow does."""
    for _ in range(5):
        try:
            return step(incident)
        except TryAgain:
            continue
    raise AssertionError("the step is tried again and again")


def test_when_a_step_is_killed_after_any_call_and_retried_then_all_is_isolated_and_restored(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = _with_everything(shop)
    killer = Killer(monkeypatch)
    everything = shop.all()
    groups, targets, protected = shop.groups(instance), shop.targets(), shop.protected(instance)
    points, every = 0, 1 if EVERY_POINT else 26
    for number in range(1, 200, every):
        incident = asked(instance)
        with killer.after_call(number):
            isolation.contain(incident)
        reached = killer.dead
        _nothing_is_lost(shop, instance, groups)
        assert again(isolation.contain, incident) == {"status": "contained"}
        assert shop.is_isolated(instance)
        assert _waiting(shop, instance) == groups
        assert instance not in [target for _, target, _ in shop.targets()]
        ask_again(incident)
        with killer.after_call(number):
            restoration.release(incident)
        points += reached + killer.dead
        reached = reached or killer.dead
        _nothing_is_lost(shop, instance, groups)
        assert again(restoration.release, incident) == {"status": "released"}
        assert (shop.groups(instance), shop.targets(), shop.protected(instance)) == (groups, targets, protected)
        if not reached:
            break
    assert points * every > 60
    assert shop.changed_since(everything) == []


LOST: tuple[Kind, ...] = ("lost before", "lost after")
CHANGES = (
    "EnterStandby",
    "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
    "DeregisterTargets",
    "DeregisterInstancesFromLoadBalancer",
    "ExitStandby",
    "RegisterTargets",
    "RegisterInstancesWithLoadBalancer",
    "UpdateItem",
    "TransactWriteItems",
)


def test_when_the_answer_to_a_change_is_lost_then_the_step_ends_right(shop: Shop) -> None:
    instance = _with_everything(shop)
    everything = shop.all()
    faults = shop.site.account.faults
    for number, action in enumerate(CHANGES if EVERY_POINT else CHANGES[::2]):
        for kind in LOST if EVERY_POINT else (LOST[number % 2],):
            incident = asked(instance)
            faults.add(Fault(action, kind, call=1))
            assert again(isolation.contain, incident) == {"status": "contained"}
            faults.clear()
            assert shop.is_isolated(instance)
            ask_again(incident)
            faults.add(Fault(action, kind, call=1))
            assert again(restoration.release, incident) == {"status": "released"}
            faults.clear()
    assert shop.changed_since(everything) == []


@pytest.mark.parametrize("kind", LOST)
def test_when_the_answer_to_the_snapshots_is_lost_then_none_is_taken_twice(shop: Shop, kind: Kind) -> None:
    shop.set(snapshots=True)
    incident = asked(shop.database)
    shop.site.account.faults.add(Fault("CreateSnapshots", kind))
    assert again(isolation.contain, incident) == {"status": "contained"}
    [described] = shop.ec2.describe_instances(InstanceIds=[shop.database])["Reservations"][0]["Instances"]
    volumes = [mapping["Ebs"]["VolumeId"] for mapping in described["BlockDeviceMappings"]]
    taken = shop.ec2.describe_snapshots(Filters=[{"Name": "tag-key", "Values": ["tapstack:containment"]}])["Snapshots"]
    assert [snapshot["VolumeId"] for snapshot in taken] == volumes


def _with_everything(shop: Shop) -> str:
    """A member of an Auto Scaling group with two interfaces, behind every kind of load balancer."""
    shop.fit_group()
    instance = shop.company.instances["web-1"]
    groups = [shop.company.security_groups["backup"], shop.company.security_groups["administration"]]
    second = shop.ec2.create_network_interface(SubnetId=shop.company.shop.private[0], Groups=groups)
    shop.ec2.attach_network_interface(
        NetworkInterfaceId=second["NetworkInterface"]["NetworkInterfaceId"], InstanceId=instance, DeviceIndex=1
    )
    shop.behind_everything(instance)
    return instance


def _waiting(shop: Shop, instance: str) -> dict[str, list[str]]:
    return {key: value for (kind, key), value in shop.prior_states(instance).items() if kind == "groups"}


def _nothing_is_lost(shop: Shop, instance: str, prior_states: dict[str, list[str]]) -> None:
    """What an interface does not have any more is written down."""
    written = _waiting(shop, instance)
    for interface, groups in shop.groups(instance).items():
        assert groups == prior_states[interface] or written[interface] == prior_states[interface]
