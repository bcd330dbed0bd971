"""What a change of the settings of containment takes from the role of the release function."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

import pytest

from tapstack.capture.place import Place
from tapstack.domain.containment_release import SETTING_OF_KIND
from tapstack.domain.containment_settings import (
    Approval,
    AutoScaling,
    ContainmentSettings,
    LoadBalancers,
    Protect,
    TwoStep,
    WaitForPackets,
)
from tapstack.response.containment_policies import Containable, incident, release
from tapstack.response.policies import Permissions

PERMISSIONS: Final = Permissions(
    Place("aws", "eu-central-1", "123456789012", "amazonaws.com"),
    "tap",
    "ward",
    "table",
    "index",
    ("topic",),
    "default",
    "incidents",
)
EVERYTHING: Final = ContainmentSettings(
    modes=("approval", "now"),
    vpc_ids=("vpc-0123456789abcdef0",),
    wait_for_packets=WaitForPackets(),
    two_step=TwoStep(enabled=True),
    tcp_established_seconds=60,
    auto_scaling=AutoScaling(decrement_desired_capacity=True),
    snapshots=True,
    instance_profile="restrict",
)
LESS: Final[dict[str, Any]] = {
    "modes": ("approval",),
    "approval": Approval(minutes=1),
    "protect": Protect(tags={}, instance_ids=("i-0123456789abcdef0",)),
    "vpc_ids": (),
    "per_hour": 1,
    "wait_for_packets": None,
    "two_step": TwoStep(),
    "tcp_established_seconds": None,
    "auto_scaling": AutoScaling(standby=False),
    "load_balancers": LoadBalancers(deregister=False),
    "termination_protection": False,
    "stop_on_shutdown": False,
    "keep_volumes": False,
    "snapshots": False,
    "instance_profile": None,
}


def test_when_a_containment_waits_for_packets_then_the_function_that_waits_reads_metrics_and_otherwise_not() -> None:
    read = [
        [one["Sid"] for one in incident(PERMISSIONS, Containable(settings, ("vpc-1",), ("sg-1",), "own-*"))]
        for settings in (ContainmentSettings(), ContainmentSettings(wait_for_packets=WaitForPackets()))
    ]
    assert read == [["ReadContainments", "QueryIncidents"], ["ReadContainments", "QueryIncidents", "ReadMetrics"]]


def statements(settings: ContainmentSettings) -> list[dict[str, Any]]:
    return list(release(PERMISSIONS, Containable(settings, ("vpc-1", *settings.vpc_ids), ("sg-1",), "own-*")))


def test_when_there_is_a_setting_then_these_tests_change_it() -> None:
    assert list(LESS) == [field.name for field in fields(ContainmentSettings)]


@pytest.mark.parametrize("name", LESS)
def test_when_a_setting_is_switched_off_then_a_release_lacks_something_only_where_the_table_of_settings_says_so(
    name: str,
) -> None:
    depends = {setting.partition(".")[0] for setting in SETTING_OF_KIND.values()} | {"vpc_ids"}
    changed = statements(replace(EVERYTHING, **{name: LESS[name]})) != statements(EVERYTHING)
    assert changed == (name in depends)
