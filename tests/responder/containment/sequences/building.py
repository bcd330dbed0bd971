"""The world is made anew."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from moto.moto_api._internal import mock_random

from strictmoto.account import Account
from tapstack.domain import policy
from tests.responder.conftest import configure, make_site, standing_at
from tests.responder.containment.sequences.attackers import Attackers
from tests.responder.containment.sequences.checking import Checks, photograph
from tests.responder.containment.sequences.interruptions import Calls, Interruption, Pick
from tests.responder.containment.sequences.model import Thing
from tests.responder.containment.sequences.one_thread import Clock
from tests.responder.containment.sequences.operators import RULES, Operators
from tests.responder.containment.sequences.other_principals import OtherPrincipals
from tests.responder.containment.sequences.workflow import Workflow
from tests.responder.containment.sequences.world import World


@dataclass
class Play:
    """The world, and all who do something in it."""

    world: World
    operators: Operators
    workflow: Workflow
    others: OtherPrincipals
    attackers: Attackers
    checks: Checks

    def do(self, what: str, pick: Pick, by: Interruption | None = None) -> None:
        """Let a random actor do a random thing."""
        [who] = [one for one in (self.operators, self.workflow, self.others, self.attackers) if hasattr(one, what)]
        getattr(who, what)(pick, by)


def found(
    account: Account, monkeypatch: pytest.MonkeyPatch, calls: Calls, *, seed: int, two_step: bool, default: str
) -> Play:
    """Make the world anew: three servers, two of them behind a load balancer, and a site that may contain them.

    Args:
        account: which is emptied.
        monkeypatch: for the time of the test.
        calls: of this process.
        seed: of all ids that are made.
        two_step: connections are untracked first.
        default: what is done when the deadline of a request passes: contain, or leave.
    """
    account.reset()
    mock_random.seed(seed)
    chance = random.Random(seed)
    monkeypatch.setattr("tapstack.domain.incidents.secrets", SimpleNamespace(choice=chance.choice))
    clock = Clock()
    clock.install(monkeypatch)
    calls.report = lambda *_, **__: None
    for name, value in (
        ("POWERTOOLS_METRICS_DISABLED", "true"),
        ("POWERTOOLS_LOG_LEVEL", "CRITICAL"),
        ("TAPSTACK_POLICY", policy.dump(RULES)),
    ):
        monkeypatch.setenv(name, value)
    site = standing_at(make_site(account), monkeypatch)

    def group(name: str) -> str:
        return str(site.ec2.create_security_group(GroupName=name, Description=name, VpcId=site.vpc)["GroupId"])

    groups = [site.group, *(group(name) for name in ("database", "backup", "administration"))]
    configure(monkeypatch, site, {"existing": {"target_id": site.balanced_target(), "filter_id": site.mirror_filter()}})
    world = World(site, monkeypatch, clock, calls, group("quarantine"), group("untrack"), default, groups=groups)
    site.settings["containment"] = {
        "modes": ["approval", "now"],
        "approval": {"minutes": 15, "default": default},
        "two_step": {"enabled": two_step, "seconds": 60},
        "groups": {site.vpc: {"quarantine": world.quarantine, "untrack": world.untrack}},
    }
    world.configure()
    others = OtherPrincipals(world)
    for name, own in (("one", groups[:1]), ("two", groups[1:3]), ("three", groups[2:4])):
        _launch(world, own, name)
    second = others.new_interface([groups[1], groups[3]])
    site.ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=world.instances[0], DeviceIndex=1)
    world.attached[second] = world.instances[0]
    _balance(world)
    assert site.others_target
    assert site.others_filter
    world.touched.clear()
    world.before = photograph(world.ec2)
    account.recorder.clear()
    calls.report = lambda operation, parameters, refused=False: world.ledger.heard(
        operation, parameters, world.step, refused=refused
    )
    operators, workflow = Operators(world), Workflow(world)
    play = Play(world, operators, workflow, others, Attackers(world), Checks(world, operators, workflow))
    calls.strike = lambda chosen: play.do(chosen.what, Pick(chosen.pick))
    return play


def _launch(world: World, groups: Sequence[str], name: str) -> None:
    instance, interface = world.site.instance(
        SecurityGroupIds=list(groups), InstanceInitiatedShutdownBehavior="terminate"
    )
    world.instances.append(instance)
    world.alive.append(instance)
    world.attached[interface] = instance
    [reservation] = world.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    [mapping] = reservation["Instances"][0]["BlockDeviceMappings"]
    world.volumes[instance] = mapping["Ebs"]["VolumeId"]
    for thing, value in (
        (Thing("groups", interface), tuple(sorted(groups))),
        (Thing("termination", instance), False),
        (Thing("shutdown", instance), "terminate"),
        (Thing("volume", f"{instance} {mapping['DeviceName']}"), mapping["Ebs"]["DeleteOnTermination"]),
    ):
        world.ledger.begin(thing, value)


def _balance(world: World) -> None:
    """Two servers take requests."""
    balancing = world.site.client("elbv2")
    made = balancing.create_target_group(
        Name="web", Protocol="HTTP", Port=80, VpcId=world.site.vpc, TargetType="instance"
    )
    arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    world.target_groups.append(arn)
    for instance in world.instances[:2]:
        balancing.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance, "Port": 80}])
        world.ledger.begin(Thing("target-group", f"{arn} {instance}:80"), "registered")
