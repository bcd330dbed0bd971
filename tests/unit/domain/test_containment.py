"""What containment changes and what a release restores, without AWS."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from tapstack.domain.containment import (
    ALLOWED,
    DENIED,
    OTHER_POLICY,
    Facts,
    Interface,
    Membership,
    OtherTarget,
    PriorState,
    Registration,
    Volume,
    plan_containment,
)
from tapstack.domain.containment_release import RELEASE_ORDER, plan_release, steps_of_release
from tapstack.domain.containment_settings import (
    AutoScaling,
    ContainmentSettings,
    DeployedContainment,
    Protect,
    QuarantineGroups,
    TwoStep,
)
from tapstack.domain.renamed import OLD_ARGUMENTS

SETTINGS = DeployedContainment(modes=("now",), groups={"vpc-1": QuarantineGroups("sg-q", "sg-u")})
INSTANCE = "i-0123456789abcdef0"
FACTS = Facts(
    instance_id=INSTANCE,
    state="running",
    vpc_id="vpc-1",
    interfaces=(Interface("eni-2", "vpc-1", ("sg-a", "sg-b")), Interface("eni-1", "vpc-1", ("sg-c",))),
    volumes=(Volume("/dev/xvda", "vol-1", True), Volume("/dev/xvdb", "vol-2", False)),
    shutdown_behavior="terminate",
)


def planned(facts: Facts = FACTS, recorded: tuple[PriorState, ...] = (), **settings: Any) -> list[tuple[Any, ...]]:
    plan = plan_containment(facts, replace(SETTINGS, **settings), recorded)
    assert plan.refused is None
    return [(change.what, change.key, change.before, change.after) for change in plan.changes]


@pytest.mark.parametrize(("old", "now"), OLD_ARGUMENTS["ContainmentSettings"].items())
def test_fails_when_an_argument_is_an_old_one_and_says_how_it_is_written_now(old: str, now: str) -> None:
    given: dict[str, Any] = {old: True}
    said = f"ContainmentSettings has no argument {old} any more: write {now}"
    with pytest.raises(TypeError, match=f"^{re.escape(said)}$"):
        ContainmentSettings(**given)
    assert now.partition("=")[0] in {field.name for field in fields(ContainmentSettings)}


def test_when_nothing_is_as_it_shall_be_then_all_is_changed_in_a_stated_order() -> None:
    facts = replace(
        FACTS,
        membership=Membership("web", "InService", 2, 1),
        registrations=(Registration("arn", INSTANCE, 80),),
        classic_balancers=("old",),
    )
    assert planned(facts, tcp_established_seconds=60) == [
        ("shutdown", INSTANCE, "terminate", "stop"),
        ("volume", "/dev/xvda", True, False),
        ("termination", INSTANCE, False, True),
        ("standby", "web", "InService", "Standby"),
        ("groups", "eni-2", ["sg-a", "sg-b"], ["sg-q"]),
        ("groups", "eni-1", ["sg-c"], ["sg-q"]),
        ("tracking", "eni-2", None, 60),
        ("tracking", "eni-1", None, 60),
        ("target-group", f"arn {INSTANCE}:80", "registered", "deregistered"),
        ("classic-balancer", "old", "registered", "deregistered"),
    ]


@pytest.mark.parametrize(
    ("state", "arn", "standby", "shown"),
    [
        ("InService", "arn", True, False),
        ("InService", "arn", False, True),
        ("InService", "another", True, True),
        ("Standby", "arn", True, True),
    ],
)
def test_when_standby_takes_it_out_of_a_target_group_then_the_plan_shows_that_once(
    state: str, arn: str, standby: bool, shown: bool
) -> None:
    facts = replace(
        FACTS,
        membership=Membership("web", state, 2, 1, ("arn",)),
        registrations=(Registration(arn, INSTANCE, 80), Registration("arn", "10.0.0.1", 80)),
    )
    plan = plan_containment(facts, replace(SETTINGS, auto_scaling=AutoScaling(standby=standby)))
    keys = {change["key"] for change in plan.as_dict()["changes"] if change["what"] == "target-group"}
    assert keys == {"arn 10.0.0.1:80", *([f"{arn} {INSTANCE}:80"] if shown else [])}
    # It is made all the same: standby may fail.
    assert f"{arn} {INSTANCE}:80" in [change.key for change in plan.changes]


def test_when_the_role_has_another_policy_of_that_name_then_it_is_left_alone_and_said() -> None:
    facts = replace(FACTS, role="app", role_access=OTHER_POLICY)
    plan = plan_containment(facts, replace(SETTINGS, instance_profile="restrict"))
    assert not any(change.what == "profile" for change in plan.changes)
    [warning] = plan.warnings
    assert warning.startswith("the role app is not restricted")
    [restricted] = [
        change
        for change in plan_containment(
            replace(facts, role_access=ALLOWED), replace(SETTINGS, instance_profile="restrict")
        ).changes
        if change.what == "profile"
    ]
    assert (restricted.before, restricted.after) == (ALLOWED, DENIED)


@pytest.mark.parametrize(("minimum", "decrement"), [(1, True), (2, False)])
def test_when_the_group_is_at_its_minimum_then_it_is_not_made_smaller(minimum: int, decrement: bool) -> None:
    facts = replace(FACTS, membership=Membership("web", "InService", 2, minimum))
    settings = replace(SETTINGS, auto_scaling=AutoScaling(decrement_desired_capacity=True))
    plan = plan_containment(facts, settings)
    assert [change.detail["decrement"] for change in plan.changes if change.what == "standby"] == [decrement]
    assert any("at its minimum" in warning for warning in plan.warnings) != decrement


@pytest.mark.parametrize("state", ["InService", "Standby"])
def test_when_the_desired_capacity_stays_then_the_plan_says_that_a_replacement_comes(state: str) -> None:
    plan = plan_containment(replace(FACTS, membership=Membership("web", state, 2, 1)), SETTINGS)
    said = (
        "the Auto Scaling group web launches a replacement, which stays after the release: "
        "decrement_desired_capacity is false"
    )
    # One that is in standby already has been replaced, or not, by whoever put it there.
    assert plan.warnings == ((said,) if state == "InService" else ())


def test_when_it_is_on_its_way_out_of_its_group_then_the_plan_warns() -> None:
    facts = replace(FACTS, membership=Membership("web", "Terminating:Wait", 2, 1))
    plan = plan_containment(facts, SETTINGS)
    assert "standby" not in {change.what for change in plan.changes}
    assert plan.warnings == (
        "it is Terminating:Wait in the Auto Scaling group web, and cannot go into standby: the group may terminate it",
    )


@pytest.mark.parametrize(
    ("facts", "settings", "match"),
    [
        (replace(FACTS, state="shutting-down"), SETTINGS, "is shutting-down"),
        (replace(FACTS, is_appliance=True), SETTINGS, "is a mirror target of this response: isolating it would end"),
        (
            replace(FACTS, other_targets=(OtherTarget("tmt-1", "eni-2"), OtherTarget("tmt-2", "eni-1", ("tms-1",)))),
            SETTINGS,
            "is a mirror target: isolating it would end captures (tms-1 mirror to tmt-2 on eni-1)",
        ),
        (FACTS, replace(SETTINGS, protect=Protect(instance_ids=(INSTANCE,))), "by the deployment's settings"),
        (
            replace(FACTS, tags={"tier": "prod-1"}),
            replace(SETTINGS, protect=Protect({"tier": "prod-*"})),
            "tier=prod-1",
        ),
        (
            replace(FACTS, tags={"Tier": "other", "TIER": "prod-1"}),
            replace(SETTINGS, protect=Protect({"tier": "prod-*"})),
            "TIER=prod-1",
        ),
        (replace(FACTS, vpc_id="vpc-2"), SETTINGS, "vpc-2, which is not in the scope"),
        (
            replace(FACTS, interfaces=(Interface("eni-1", "vpc-2", ()),)),
            SETTINGS,
            "no network interface in the scope of this deployment",
        ),
        (
            replace(FACTS, interfaces=(Interface("e", "vpc-1", (), None, True),)),
            SETTINGS,
            "no network interface in the scope of this deployment whose",
        ),
    ],
)
def test_fails_when_a_guard_rail_forbids_it(facts: Facts, settings: DeployedContainment, match: str) -> None:
    plan = plan_containment(facts, settings)
    assert plan.refused is not None
    assert match in plan.refused
    assert plan.changes == ()


def test_when_a_load_balancer_alone_makes_it_a_mirror_target_then_the_refusal_says_how_that_ends() -> None:
    arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/sensors/0123456789abcdef"
    one = Registration(arn, "10.0.0.9", 4789, "all")
    plan = plan_containment(replace(FACTS, region="eu-central-1", is_appliance=True, mirrored_through=(one,)), SETTINGS)
    assert plan.refused == (
        f"instance {INSTANCE} is a mirror target of this response: isolating it would end captures. It is one because "
        f"it is registered with {arn}: if it is no appliance of yours, deregister it, and contain it again: "
        f"aws elbv2 deregister-targets --region eu-central-1 --target-group-arn {arn} --targets "
        "Id=10.0.0.9,Port=4789,AvailabilityZone=all"
    )


def test_when_it_is_a_spot_instance_then_it_is_not_protected_from_termination() -> None:
    assert "termination" in [change[0] for change in planned()]
    assert "termination" not in [change[0] for change in planned(replace(FACTS, spot=True))]
    said = "a Spot Instance cannot be protected from termination"
    assert plan_containment(replace(FACTS, spot=True), SETTINGS).warnings == (said,)
    unprotected = replace(SETTINGS, termination_protection=False)
    assert plan_containment(replace(FACTS, spot=True), unprotected).warnings == ()


def test_when_it_is_contained_already_then_nothing_is_left_to_change() -> None:
    facts = replace(FACTS, interfaces=(Interface("eni-1", "vpc-1", ("sg-q",)),), volumes=(), shutdown_behavior="stop")
    recorded = (PriorState("groups", "eni-1", ["sg-c"], ["sg-q"]),)
    assert planned(replace(facts, termination_protection=True), recorded) == []


@pytest.mark.parametrize(
    ("made", "restored", "left"), [(True, False, []), (False, False, ["snapshots"]), (True, True, ["snapshots"])]
)
def test_when_snapshots_were_taken_then_they_are_not_taken_again_in_the_same_containment(
    made: bool, restored: bool, left: list[str]
) -> None:
    recorded = (PriorState("snapshots", INSTANCE, None, "taken", restored=restored, made=made),)
    found = planned(FACTS, recorded, snapshots=True)
    assert [what for what, *_ in found if what == "snapshots"] == left


@pytest.mark.parametrize(("lately", "before"), [(True, ["sg-c"]), (False, None)])
def test_when_it_was_released_a_moment_ago_then_what_aws_still_shows_is_not_believed(
    lately: bool, before: list[str] | None
) -> None:
    facts = replace(FACTS, interfaces=(*FACTS.interfaces[:1], Interface("eni-1", "vpc-1", ("sg-q",))))
    recorded = (PriorState("groups", "eni-1", ["sg-c"], ["sg-q"], restored=True, lately=lately),)
    found = {key: value for what, key, value, _ in planned(facts, recorded) if what == "groups"}
    assert found.get("eni-1") == before


def test_when_there_are_two_steps_then_the_first_one_is_known() -> None:
    plan = plan_containment(FACTS, replace(SETTINGS, two_step=TwoStep(enabled=True)))
    assert {tuple(change.interim) for change in plan.changes if change.what == "groups"} == {("sg-u",)}


GROUPS = PriorState("groups", "eni-1", ["sg-a", "sg-b"], ["sg-q"], ["sg-u"])
PLACE: Any = ("groups", "eni-1")


@pytest.mark.parametrize(
    ("now", "flags", "do", "to", "why"),
    [
        ({PLACE: ["sg-q"]}, {}, "restore", ["sg-a", "sg-b"], None),
        ({PLACE: ["sg-u"]}, {}, "restore", ["sg-a", "sg-b"], None),
        ({PLACE: ["sg-a", "sg-b"]}, {}, "restore", ["sg-a", "sg-b"], None),
        ({PLACE: ["sg-b", "sg-a"]}, {}, "restore", ["sg-a", "sg-b"], None),
        ({PLACE: ["sg-x"]}, {}, "block", None, "changed outside Tapstack"),
        ({PLACE: ["sg-x"]}, {"overwrite": True}, "restore", ["sg-a", "sg-b"], None),
        ({PLACE: ["sg-x"]}, {"keep": True}, "give up", None, "changed outside Tapstack"),
        ({}, {}, "give up", None, "it is gone"),
        ({PLACE: ["sg-q"]}, {"missing_groups": {"sg-b"}}, "block", ["sg-a"], "sg-b: the security group does not"),
        (
            {PLACE: ["sg-q"]},
            {"missing_groups": {"sg-b"}, "keep": True},
            "restore",
            ["sg-a"],
            "sg-b: the security group",
        ),
        ({PLACE: ["sg-q"]}, {"missing_groups": {"sg-a", "sg-b"}, "overwrite": True}, "block", None, "groups do not"),
        ({PLACE: ["sg-q"]}, {"missing_groups": {"sg-a", "sg-b"}, "keep": True}, "give up", None, "groups do not"),
    ],
)
def test_when_it_is_released_then_what_is_there_decides(
    now: Any, flags: Any, do: str, to: list[str] | None, why: str | None
) -> None:
    [step] = steps_of_release([GROUPS], now, **flags)
    assert (step.do, step.to) == (do, to)
    assert (step.difference is None) == (why is None)
    assert why is None or (step.difference is not None and why in step.difference.why)


@pytest.mark.parametrize("flags", [{}, {"overwrite": True}])
@pytest.mark.parametrize("now", [["sg-q"], ["sg-x"]], ids=["as contained", "changed by others"])
def test_when_no_group_is_left_then_overwriting_is_not_what_it_advises(now: list[str], flags: Any) -> None:
    [step] = steps_of_release([GROUPS], {PLACE: now}, missing_groups={"sg-a", "sg-b"}, **flags)
    assert step.do == "block"
    assert step.difference is not None
    assert step.difference.advice == (
        "All prior security groups are deleted: --overwrite cannot help. Give the interface a group by hand, then "
        "release with --keep. --keep alone leaves it in quarantine"
    )
    assert str(step.difference).endswith(f". {step.difference.advice}")


def test_when_a_group_is_left_then_there_is_no_such_advice() -> None:
    [step] = steps_of_release([GROUPS], {PLACE: ["sg-q"]}, missing_groups={"sg-a"})
    assert step.difference is not None
    assert step.difference.advice == ""


def test_when_others_removed_a_setting_then_the_release_is_blocked() -> None:
    tracking = PriorState("tracking", "eni-1", 350, 60)
    [step] = steps_of_release([tracking], {("tracking", "eni-1"): None})
    assert step.do == "block"


def test_when_all_is_released_then_the_network_comes_first_and_the_evidence_last() -> None:
    prior_states = [PriorState(kind, "k", ["before"], ["ours"]) for kind in reversed(RELEASE_ORDER)]
    now = {(one.kind, one.key): ["ours"] for one in prior_states}
    steps = steps_of_release([*prior_states, PriorState("snapshots", "k", None, "taken")], now)
    assert [step.prior.kind for step in steps] == list(RELEASE_ORDER)
    assert steps_of_release([replace(one, restored=True) for one in prior_states], now) == ()


def test_when_an_interface_was_attached_since_then_the_plan_says_so_and_does_not_block() -> None:
    plan = plan_release(INSTANCE, (), {}, attached=[Interface("eni-9", "vpc-1", ("sg-a",))], known=["eni-1"])
    assert [difference.as_dict() for difference in plan.differences] == [
        {
            "what": "groups",
            "key": "eni-9",
            "original": None,
            "ours": None,
            "now": ["sg-a"],
            "why": "it was attached since: left as it is",
            "blocks": False,
            "advice": "",
        }
    ]
    assert not plan.blocked
