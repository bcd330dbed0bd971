"""A small believable company, for the account to hold: instances, groups and policies as real accounts have them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from strictmoto.account import Account

IMAGE: Final = "ami-12c6146b"  # one of those that moto knows
TAGS: Final = {"company": "northwind"}


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC with a public and a private subnet in each of two Availability Zones."""

    id: str
    cidr: str
    public: tuple[str, str]
    private: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Company:
    """What was made, by id.

    Attributes:
        shop: the VPC of the shop, with the web servers and the database.
        office: another VPC, for what has nothing to do with the shop.
        web_group: Auto Scaling group of the web servers, behind `load_balancer`.
        load_balancer: ARN of the Application Load Balancer.
        instances: by name: `web-1`, `web-2` (of the group), `database` (two network interfaces,
            several security groups), `legacy` (a t2, off the mirroring allow-list), `desktop` (in the office).
        interfaces: network interface ids by instance name, the primary one first.
        security_groups: ids by name.
    """

    shop: Vpc
    office: Vpc
    web_group: str
    load_balancer: str
    instances: Mapping[str, str] = field(default_factory=dict)
    interfaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    security_groups: Mapping[str, str] = field(default_factory=dict)


def found_company(
    account: Account, *, region: str | None = None, role_arn: str | None = None, number: int = 1
) -> Company:
    """Make the company and return what it consists of.

    Args:
        account: where it is made.
        region: the account's default Region by default.
        role_arn: role to assume; its account gets the company. The caller's by default.
        number: of the company in its account and Region; further ones have it in the names that are taken but once.
    """
    return _Founder(account, region, role_arn, "" if number == 1 else f"-{number}").found()


class _Founder:
    def __init__(self, account: Account, region: str | None, role_arn: str | None, suffix: str) -> None:
        self._ec2, self._balancing, self._scaling = (
            account.client(service, region=region, role_arn=role_arn) for service in ("ec2", "elbv2", "autoscaling")
        )
        self._web, self._shop = f"web{suffix}", f"shop{suffix}"
        self._zones = [zone["ZoneName"] for zone in self._ec2.describe_availability_zones()["AvailabilityZones"][:2]]

    def found(self) -> Company:
        shop, office = self._vpc("shop", "10.0.0.0/16"), self._vpc("office", "10.64.0.0/16")
        self._nat_gateway(shop)
        groups = {
            "web": self._group(shop, "web", [("tcp", 443, "0.0.0.0/0")]),
            "database": self._group(shop, "database", [("tcp", 5432, shop.cidr)]),
            "backup": self._group(shop, "backup", [("tcp", 873, shop.cidr)]),
            "administration": self._group(shop, "administration", [("tcp", 22, "10.64.0.0/16")]),
            "office": self._group(office, "office", [("tcp", 3389, office.cidr)]),
        }
        balancer, targets = self._load_balancer(shop, groups["web"])
        web = self._web_servers(shop, groups["web"], targets)
        instances = {
            **web,
            "database": self._database(shop, groups),
            "legacy": self._instance("legacy", "t2.micro", shop.private[1], [groups["administration"]]),
            "desktop": self._instance("desktop", "m5.large", office.private[0], [groups["office"]]),
        }
        interfaces = {name: self._interfaces(instance) for name, instance in instances.items()}
        # The database is what the checkout runs on; lookups go by the tags of interfaces.
        checkout = [{"Key": "application", "Value": "checkout"}]
        self._ec2.create_tags(Resources=list(interfaces["database"]), Tags=checkout)
        return Company(shop, office, self._web, balancer, instances, interfaces, groups)

    def _vpc(self, name: str, cidr: str) -> Vpc:
        vpc = self._ec2.create_vpc(CidrBlock=cidr, TagSpecifications=_tagged("vpc", name))["Vpc"]["VpcId"]
        gateway = self._ec2.create_internet_gateway(TagSpecifications=_tagged("internet-gateway", name))
        gateway_id = gateway["InternetGateway"]["InternetGatewayId"]
        self._ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc)
        routes = self._ec2.create_route_table(VpcId=vpc, TagSpecifications=_tagged("route-table", f"{name}-public"))
        table = routes["RouteTable"]["RouteTableId"]
        self._ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway_id)
        prefix = cidr.rsplit(".", 2)[0]
        public = tuple(self._subnet(vpc, f"{name}-public", prefix, zone, 0) for zone in range(2))
        private = tuple(self._subnet(vpc, f"{name}-private", prefix, zone, 10) for zone in range(2))
        for subnet in public:
            self._ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        return Vpc(vpc, cidr, (public[0], public[1]), (private[0], private[1]))

    def _subnet(self, vpc: str, name: str, prefix: str, zone: int, offset: int) -> str:
        subnet = self._ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"{prefix}.{offset + zone}.0/24",
            AvailabilityZone=self._zones[zone],
            TagSpecifications=_tagged("subnet", f"{name}-{zone + 1}"),
        )
        return str(subnet["Subnet"]["SubnetId"])

    def _nat_gateway(self, vpc: Vpc) -> None:
        address = self._ec2.allocate_address(Domain="vpc")["AllocationId"]
        gateway = self._ec2.create_nat_gateway(SubnetId=vpc.public[0], AllocationId=address)["NatGateway"][
            "NatGatewayId"
        ]
        tables = self._ec2.create_route_table(VpcId=vpc.id, TagSpecifications=_tagged("route-table", "shop-private"))
        table = tables["RouteTable"]["RouteTableId"]
        self._ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
        for subnet in vpc.private:
            self._ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)

    def _group(self, vpc: Vpc, name: str, rules: list[tuple[str, int, str]]) -> str:
        group = self._ec2.create_security_group(
            GroupName=name,
            Description=f"northwind {name}",
            VpcId=vpc.id,
            TagSpecifications=_tagged("security-group", name),
        )["GroupId"]
        self._ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[
                {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}
                for protocol, port, cidr in rules
            ],
        )
        return str(group)

    def _load_balancer(self, vpc: Vpc, group: str) -> tuple[str, str]:
        balancer = self._balancing.create_load_balancer(
            Name=self._shop,
            Subnets=list(vpc.public),
            SecurityGroups=[group],
            Scheme="internet-facing",
            Type="application",
        )["LoadBalancers"][0]["LoadBalancerArn"]
        targets = self._balancing.create_target_group(
            Name=f"{self._shop}-web", Protocol="HTTPS", Port=443, VpcId=vpc.id, TargetType="instance"
        )["TargetGroups"][0]["TargetGroupArn"]
        self._balancing.create_listener(
            LoadBalancerArn=balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}],
        )
        return str(balancer), str(targets)

    def _web_servers(self, vpc: Vpc, group: str, targets: str) -> dict[str, str]:
        self._ec2.create_launch_template(
            LaunchTemplateName=self._web,
            LaunchTemplateData={
                "ImageId": IMAGE,
                "InstanceType": "m5.large",
                "SecurityGroupIds": [group],
                "UserData": base64.b64encode(b"#!/bin/sh\n").decode(),
            },
        )
        self._scaling.create_auto_scaling_group(
            AutoScalingGroupName=self._web,
            LaunchTemplate={"LaunchTemplateName": self._web, "Version": "$Latest"},
            MinSize=2,
            MaxSize=4,
            DesiredCapacity=2,
            VPCZoneIdentifier=",".join(vpc.private),
            TargetGroupARNs=[targets],
            Tags=[
                {"Key": key, "Value": value, "PropagateAtLaunch": True}
                for key, value in {**TAGS, "Name": "web", "application": "shop"}.items()
            ],
        )
        members = self._scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self._web])["AutoScalingGroups"][0]
        ids = sorted(member["InstanceId"] for member in members["Instances"])
        return {f"web-{number}": instance for number, instance in enumerate(ids, 1)}

    def _database(self, vpc: Vpc, groups: Mapping[str, str]) -> str:
        instance = self._instance("database", "r5.large", vpc.private[0], [groups["database"], groups["backup"]])
        second = self._ec2.create_network_interface(
            SubnetId=vpc.private[0],
            Groups=[groups["administration"], groups["backup"]],
            Description="backup network",
            TagSpecifications=_tagged("network-interface", "database-backup"),
        )["NetworkInterface"]["NetworkInterfaceId"]
        self._ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=instance, DeviceIndex=1)
        return instance

    def _instance(self, name: str, kind: str, subnet: str, groups: list[str]) -> str:
        made = self._ec2.run_instances(
            ImageId=IMAGE,
            InstanceType=kind,
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            SecurityGroupIds=groups,
            TagSpecifications=_tagged("instance", name),
        )
        return str(made["Instances"][0]["InstanceId"])

    def _interfaces(self, instance: str) -> tuple[str, ...]:
        found = self._ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        ordered = sorted(found["NetworkInterfaces"], key=lambda interface: interface["Attachment"]["DeviceIndex"])
        return tuple(interface["NetworkInterfaceId"] for interface in ordered)


def _tagged(kind: str, name: str) -> list[dict[str, Any]]:
    tags = [{"Key": key, "Value": value} for key, value in {"Name": name, **TAGS}.items()]
    return [{"ResourceType": kind, "Tags": tags}]
