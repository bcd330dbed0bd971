"""Pods with security groups of their own are not cut off with their node, and that is said."""

from __future__ import annotations

from tapstack.responder.containment import isolation
from tests.responder.conftest import interfaces_of, item, prepared
from tests.responder.containment.conftest import Shop, asked


def trunk_of(shop: Shop, *, pods: int) -> tuple[str, list[str]]:
    """Make the database a node of Kubernetes: its trunk, and the branch interfaces of its pods."""
    group = shop.groups_of(shop.company.interfaces["web-1"][0])
    subnet = shop.company.shop.private[0]

    def create(kind: str, **more: object) -> str:
        made = shop.ec2.create_network_interface(SubnetId=subnet, Groups=group, InterfaceType=kind, **more)
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    trunk = create("trunk")
    shop.ec2.attach_network_interface(NetworkInterfaceId=trunk, InstanceId=shop.database, DeviceIndex=2)
    branches = []
    for number in range(pods):
        tags = [{"Key": "vpcresources.k8s.aws/trunk-eni-id", "Value": trunk}]
        branch = create("branch", TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}])
        shop.ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=branch, VlanId=number + 1)
        branches.append(branch)
    return trunk, sorted(branches)


def test_when_an_instance_has_a_trunk_then_plan_and_notice_name_the_pods_that_stay_connected(shop: Shop) -> None:
    trunk, branches = trunk_of(shop, pods=2)
    said = (
        f"{trunk} is a trunk: pods with security groups of their own STAY CONNECTED through its branch interfaces "
        f"({', '.join(branches)}), and AWS mirrors neither"
    )
    assert said in isolation.plan(shop.database).warnings
    incident = asked(shop.database)
    isolation.contain(incident)
    assert said in item(incident)["containment"]["not_done"]
    # The trunk itself is isolated, its branches are not.
    assert shop.groups_of(trunk) == [shop.quarantine]
    assert all(shop.groups_of(branch) != [shop.quarantine] for branch in branches)


def test_when_a_trunk_has_no_pods_now_then_it_is_named_all_the_same(shop: Shop) -> None:
    trunk, _ = trunk_of(shop, pods=0)
    [said] = [line for line in isolation.plan(shop.database).warnings if "is a trunk" in line]
    assert said.startswith(f"{trunk} is a trunk: pods")
    assert "(none now)" in said


def test_when_it_is_captured_then_the_trunk_is_refused_and_the_primary_interface_comes_first(shop: Shop) -> None:
    trunk, _ = trunk_of(shop, pods=1)
    listed = interfaces_of(prepared(shop.database))
    assert next(iter(listed)) == shop.company.interfaces["database"][0]
    assert listed[trunk]["state"] == "refused"
    assert "it is of type trunk: only interfaces of type interface can be mirrored" in listed[trunk]["note"]
