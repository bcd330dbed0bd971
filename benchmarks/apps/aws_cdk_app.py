"""What the deployment file describes, in AWS CDK for Python, as level 1 constructs.

It reads and checks the file as main.py does, and makes a counterpart of every resource
that CloudFormation has one for. It does not deploy a working capture: it exists to be timed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import aws_cdk as cdk  # type: ignore[import-not-found]
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_ram as ram

from tapstack.domain.filter_rules import MirrorRule, PortRange, number_rules
from tapstack.domain.limits import VXLAN_PORT
from tapstack.settings.load import load_deployment
from tapstack.settings.model import Deployment, Filter, LoadBalancer, PacketBasics, Sessions, Site, Target


class CaptureStack(cdk.Stack):  # type: ignore[misc]
    """One site, as `stacks.capture.CaptureStack` has it."""

    def __init__(self, app: cdk.App, name: str, deployment: Deployment, site: Site) -> None:
        """Build the stack."""
        super().__init__(app, name, env=cdk.Environment(region=site.region, account=site.allowed_account_ids[0]))
        for key, value in {**deployment.tags, **site.tags}.items():
            cdk.Tags.of(self).add(key, value)
        self._site = site
        self._targets: dict[str, str] = {}
        self._group("quarantine", "Quarantine")
        if site.packet_basics is not None:
            self._targets["packet_basics"] = self._add_packet_basics(site.packet_basics)
        for key, target in site.targets.items():
            self._targets[key] = self._add_target(key, target)
        self._filters = {key: self._add_filter(key, settings) for key, settings in site.filters.items()}
        for key, sessions in site.sessions.items():
            self._add_sessions(key, sessions)

    def _add_packet_basics(self, settings: PacketBasics) -> str:
        stack = cdk.CfnStack(
            self,
            "packet-basics",
            template_url=settings.template_url,
            parameters={
                "VPCID": self._site.vpc_id,
                "MgmtTrafficMirrorSubnetID": settings.subnet_id,
                "RemoteAccessCIDR": settings.remote_access_cidr,
                "PublicEIP": "false",
            },
        )
        group = self._group("capture", "Mirrored packets and the appliance portal")
        for block in self._site.capture_security_group.mirrored_from or []:
            self._allow_in(f"mirrored-{block}", group, block, "udp", VXLAN_PORT)
        self._allow_in("portal", group, settings.remote_access_cidr, "tcp", 443)
        cdk.CfnOutput(self, "PortalUrl", value=stack.get_att("Outputs.PacketBasicsUserAccess").to_string())
        cdk.CfnOutput(self, "PortalPassword", value=stack.get_att("Outputs.PacketBasicsCredentials").to_string())
        target: str = stack.get_att("Outputs.TargetId").to_string()
        return target

    def _add_target(self, key: str, settings: Target) -> str:
        assert settings.load_balancer is not None, "the example has no other target"
        target = ec2.CfnTrafficMirrorTarget(
            self,
            f"target-{key}",
            network_load_balancer_arn=self._add_load_balancer(key, settings.load_balancer),
            description=f"Tapstack {key}",
            tags=[cdk.CfnTag(key="Name", value=key)],
        )
        if settings.share_with:
            ram.CfnResourceShare(
                self,
                f"share-{key}",
                name=key,
                principals=settings.share_with,
                resource_arns=[
                    self.format_arn(service="ec2", resource="traffic-mirror-target", resource_name=target.ref)
                ],
            )
        ref: str = target.ref
        return ref

    def _add_load_balancer(self, key: str, settings: LoadBalancer) -> str:
        group = self._group(f"load-balancer-{key}", "Mirrored packets to the load balancer")
        for block in settings.mirrored_from:
            self._allow_in(f"mirrored-{block}", group, block, "udp", VXLAN_PORT)
        for protocol, port in (("udp", VXLAN_PORT), ("tcp", settings.health_check_port)):
            ec2.CfnSecurityGroupEgress(
                self,
                f"out-{protocol}-{key}",
                group_id=group,
                ip_protocol=protocol,
                from_port=port,
                to_port=port,
                cidr_ip="10.0.0.0/8",
            )
        balancer = elbv2.CfnLoadBalancer(
            self, key, type="network", scheme="internal", subnets=settings.subnet_ids, security_groups=[group]
        )
        targets = elbv2.CfnTargetGroup(
            self,
            f"appliances-{key}",
            vpc_id=self._site.vpc_id,
            protocol="UDP",
            port=VXLAN_PORT,
            target_type="instance",
            health_check_protocol="TCP",
            health_check_port=str(settings.health_check_port),
            targets=[
                elbv2.CfnTargetGroup.TargetDescriptionProperty(id=instance, port=VXLAN_PORT)
                for instance in settings.instance_ids
            ],
        )
        elbv2.CfnListener(
            self,
            f"listener-{key}",
            load_balancer_arn=balancer.ref,
            protocol="UDP",
            port=VXLAN_PORT,
            default_actions=[elbv2.CfnListener.ActionProperty(type="forward", target_group_arn=targets.ref)],
        )
        arn: str = balancer.ref
        return arn

    def _add_filter(self, key: str, settings: Filter) -> str:
        preset = settings.to_domain()
        mirror_filter = ec2.CfnTrafficMirrorFilter(
            self,
            f"filter-{key}",
            description=f"Tapstack {key}",
            network_services=["amazon-dns"] if preset.amazon_dns else None,
            tags=[cdk.CfnTag(key="Name", value=key)],
        )
        for rule in number_rules(preset.rules):
            self._add_rule(key, mirror_filter.ref, rule)
        ref: str = mirror_filter.ref
        return ref

    def _add_rule(self, key: str, mirror_filter: str, rule: MirrorRule) -> None:
        ec2.CfnTrafficMirrorFilterRule(
            self,
            f"filter-{key}-{rule.direction}-{rule.number}",
            traffic_mirror_filter_id=mirror_filter,
            traffic_direction=rule.direction,
            rule_number=rule.number or 0,
            rule_action=rule.action,
            protocol=rule.traffic.protocol,
            source_cidr_block=rule.source_cidr,
            destination_cidr_block=rule.destination_cidr,
            source_port_range=_ports(rule.traffic.source_ports),
            destination_port_range=_ports(rule.traffic.destination_ports),
            description=rule.description or None,
        )

    def _add_sessions(self, key: str, settings: Sessions) -> None:
        """CloudFormation has no for_each: a session is a resource, a lookup stands for one interface."""
        for position, source in enumerate(settings.sources):
            ec2.CfnTrafficMirrorSession(
                self,
                f"session-{key}-{position}",
                network_interface_id=source.network_interface_id or "eni-0123456789abcdef0",
                session_number=source.session_number or 1,
                traffic_mirror_target_id=self._targets[settings.target],
                traffic_mirror_filter_id=self._filters[settings.filter],
                packet_length=settings.packet_length,
                description=f"Tapstack {key}",
                tags=[cdk.CfnTag(key="Name", value=key)],
            )

    def _group(self, name: str, description: str) -> str:
        group = ec2.CfnSecurityGroup(
            self, f"{name}-group", vpc_id=self._site.vpc_id, group_description=f"Tapstack: {description}"
        )
        group_id: str = group.attr_group_id
        return group_id

    def _allow_in(self, name: str, group: str, block: str, protocol: str, port: int) -> None:
        ec2.CfnSecurityGroupIngress(
            self, name, group_id=group, ip_protocol=protocol, from_port=port, to_port=port, cidr_ip=block
        )


def _ports(ports: PortRange | None) -> Any:
    if ports is None:
        return None
    return ec2.CfnTrafficMirrorFilterRule.TrafficMirrorPortRangeProperty(from_port=ports.first, to_port=ports.last)


def main() -> None:
    """Synthesize the file in $TAPSTACK_DEPLOYMENT into $CDKTF_OUTDIR."""
    deployment = load_deployment(Path(os.environ["TAPSTACK_DEPLOYMENT"]))
    app = cdk.App(outdir=os.environ["CDKTF_OUTDIR"], analytics_reporting=False)
    for name, site in deployment.sites.items():
        CaptureStack(app, name, deployment, site)
    app.synth()


if __name__ == "__main__":
    main()
