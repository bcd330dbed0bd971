"""A company whose servers may be contained, and what tests ask about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from strictmoto.account import REGION, Account
from strictmoto.company import Company, found_company
from strictmoto.testing.checkpoint import made_once
from strictmoto.testing.snapshot import Snapshot, differences, take_snapshot
from tapstack.domain.incidents import as_text, utc_now
from tapstack.responder.aws import clients
from tapstack.responder.containment import isolation, restoration
from tapstack.responder.environment import environment
from tapstack.responder.observability import logger
from tapstack.responder.store import containments
from tapstack.responder.store.items import pack
from tests.responder.conftest import TABLE, Site, change, configure, item, make_site, opened
from tests.responder.containment.sequences.interruptions import Calls
from tests.responder.containment.sequences.one_thread import Inline, answer_here

# What others did, and what only our own table and logs have.
_NOT_COMPARED = ("dynamodb ", "stepfunctions ", "sns ", "logs ", "events ")


@dataclass
class Shop:
    """The company, and a site that may contain its servers."""

    site: Site
    company: Company
    quarantine: str
    untrack: str
    monkeypatch: pytest.MonkeyPatch

    @property
    def ec2(self) -> Any:
        return self.site.ec2

    @property
    def database(self) -> str:
        return self.company.instances["database"]

    def client(self, service: str) -> Any:
        return self.site.client(service)

    def set(self, **containment: Any) -> None:
        """Change settings of containment."""
        self.site.settings["containment"].update(containment)
        self.monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(self.site.settings))
        environment.cache_clear()

    def groups(self, instance: str) -> dict[str, list[str]]:
        """The groups of each interface of an instance."""
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])
        return {
            item["NetworkInterfaceId"]: [group["GroupId"] for group in item["Groups"]]
            for item in found["NetworkInterfaces"]
        }

    def groups_of(self, interface: str) -> list[str]:
        [found] = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        return [group["GroupId"] for group in found["Groups"]]

    def give(self, interface: str, *groups: str) -> None:
        """Others change the groups of an interface."""
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=list(groups))

    def is_isolated(self, instance: str) -> bool:
        return set(map(tuple, self.groups(instance).values())) == {(self.quarantine,)}

    def protected(self, instance: str) -> tuple[bool, str, list[bool]]:
        """Termination protection, shutdown behavior, and whether volumes end with the instance."""
        ask = self.ec2.describe_instance_attribute
        termination = ask(InstanceId=instance, Attribute="disableApiTermination")["DisableApiTermination"]["Value"]
        behavior = ask(InstanceId=instance, Attribute="instanceInitiatedShutdownBehavior")
        [reservation] = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
        volumes = reservation["Instances"][0]["BlockDeviceMappings"]
        return (
            termination,
            behavior["InstanceInitiatedShutdownBehavior"]["Value"],
            [volume["Ebs"]["DeleteOnTermination"] for volume in volumes],
        )

    def lifecycle(self, instance: str) -> str:
        [found] = self.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[instance])[
            "AutoScalingInstances"
        ]
        return str(found["LifecycleState"])

    def targets(self) -> list[tuple[str, str, int]]:
        """All that is registered with target groups and classic load balancers."""
        elbv2, elb = self.client("elbv2"), self.client("elb")
        found = [
            (group["TargetGroupArn"], item["Target"]["Id"], item["Target"]["Port"])
            for group in elbv2.describe_target_groups()["TargetGroups"]
            for item in elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
        ]
        found += [
            (balancer["LoadBalancerName"], item["InstanceId"], 0)
            for balancer in elb.describe_load_balancers()["LoadBalancerDescriptions"]
            for item in balancer["Instances"]
        ]
        return sorted(found)

    def all(self) -> tuple[Snapshot, Any]:
        """All that the account holds, with what a snapshot does not have."""
        found = take_snapshot(self.site.account, region=REGION)
        kept = {name: text for name, text in found.items() if not name.startswith(_NOT_COMPARED)}
        instances = sorted(self.company.instances.values())
        return kept, (self.targets(), [self.protected(instance) for instance in instances])

    def changed_since(self, before: tuple[Snapshot, Any]) -> list[str]:
        now = self.all()
        said = differences(before[0], now[0])
        return said if now[1] == before[1] else [*said, f"{before[1]} -> {now[1]}"]

    def fit_group(self) -> None:
        """Let the web servers' group be one smaller, and not launch another when one goes into standby."""
        self.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName="web", MinSize=1)
        self.set(auto_scaling={"decrement_desired_capacity": True})

    def behind_everything(self, instance: str) -> None:
        """Register an instance with two ports, by its address and with a classic load balancer."""
        elbv2, elb = self.client("elbv2"), self.client("elb")
        [described] = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
        subnet, address = described["SubnetId"], described["PrivateIpAddress"]
        for name, kind, targets in (
            ("by-instance", "instance", [{"Id": instance, "Port": 8080}, {"Id": instance, "Port": 8081}]),
            ("by-address", "ip", [{"Id": address, "Port": 5432}]),
        ):
            made = elbv2.create_target_group(
                Name=name, Protocol="TCP", Port=80, VpcId=self.company.shop.id, TargetType=kind
            )
            elbv2.register_targets(TargetGroupArn=made["TargetGroups"][0]["TargetGroupArn"], Targets=targets)
        listener = {"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 80}
        elb.create_load_balancer(LoadBalancerName="old", Listeners=[listener], Subnets=[subnet])
        elb.register_instances_with_load_balancer(LoadBalancerName="old", Instances=[{"InstanceId": instance}])

    def prior_states(self, instance: str) -> dict[tuple[str, str], Any]:
        """What is written down and not back yet."""
        return {(one.kind, one.key): one.before for one in containments.prior_states(instance) if not one.restored}

    def state(self, incident: str) -> str:
        return str(item(incident)["containment"]["state"])


def asked(instance: str, **more: Any) -> str:
    """Open an incident whose instance is to be contained now."""
    return opened(instance, containment="now", **more)


def ask_again(incident: str, state: str = "releasing") -> None:
    """Say what the API would: the containment comes into another state, by a decision of now."""
    now = {"now": as_text(utc_now())} if state == "containing" else {}
    decided = ", containment.asked_again_at = :now" if now else ""
    change(incident, f"SET containment.#state = :state{decided}", state=state, **now)


def behind_the_target(
    shop: Shop,
    vpc: str,
    target: str,
    protocol: str = "UDP",
    *,
    zone: str = "",
    listener: int = 4789,
    port: int = 4789,
) -> None:
    """Have the load balancer of the mirror target forward to an instance, or to an address."""
    elbv2 = shop.client("elbv2")
    [balancer] = [one for one in elbv2.describe_load_balancers()["LoadBalancers"] if one["Type"] == "network"]
    kind = "instance" if target.startswith("i-") else "ip"
    group = elbv2.create_target_group(
        Name=f"sensors-{listener}", Protocol=protocol, Port=port, VpcId=vpc, TargetType=kind
    )
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol=protocol,
        Port=listener,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
    )
    zones = {"AvailabilityZone": zone} if zone else {}
    elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target, **zones}])


def contained(instance: str) -> str:
    incident = asked(instance)
    assert isolation.contain(incident) == {"status": "contained"}
    return incident


def release(incident: str, **flags: bool) -> str:
    ask_again(incident)
    return str(restoration.release(incident, **flags)["status"])


def item_of(instance: str, sort: str, client: Any) -> dict[str, Any]:
    key = {"pk": pack(f"CONTAINMENT#{instance}"), "sk": pack(sort)}
    return dict(client.get_item(TableName=TABLE, Key=key)["Item"])


def _make_shop(account: Account) -> tuple[Company, dict[str, str], str, str]:
    """Return a company, a target with a filter, and the groups that isolate and untrack."""
    made = made_once(account, make_site)
    company = found_company(account)
    site = replace(made, vpc=company.shop.id, subnet=company.shop.private[0])

    def group(name: str) -> str:
        group = site.ec2.create_security_group(GroupName=name, Description=name, VpcId=company.shop.id)
        return str(group["GroupId"])

    existing = {"target_id": site.balanced_target(), "filter_id": site.mirror_filter()}
    quarantine, untrack = group("quarantine"), group("untrack")
    [found] = site.ec2.describe_security_groups(GroupIds=[quarantine])["SecurityGroups"]
    site.ec2.revoke_security_group_egress(GroupId=quarantine, IpPermissions=found["IpPermissionsEgress"])
    return company, existing, quarantine, untrack


@pytest.fixture
def shop(bare: Site, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A company, and a site that contains its servers; a clean record of calls."""
    company, existing, quarantine, untrack = made_once(bare.account, _make_shop)
    bare.vpc, bare.subnet = company.shop.id, company.shop.private[0]
    configure(monkeypatch, bare, {"existing": existing})
    found = Shop(bare, company, quarantine, untrack, monkeypatch)
    bare.settings["containment"] = {
        "modes": ["approval", "now"],
        "groups": {company.shop.id: {"quarantine": quarantine, "untrack": untrack}},
    }
    found.set()
    bare.account.recorder.clear()
    return found


@pytest.fixture
def one_thread(aws_account_server: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """All calls of AWS, one after the other in one thread; the functions log nothing."""
    clients.reset()
    for module in ("containment.isolation", "aws.parallel"):
        monkeypatch.setattr(f"tapstack.responder.{module}.ThreadPoolExecutor", Inline)
    calls = Calls(monkeypatch)
    answer_here(aws_account_server, monkeypatch, calls)
    level = logger.log_level
    logger.setLevel("CRITICAL")
    yield calls
    logger.setLevel(level)
