"""A Network Load Balancer in front of appliances, for more sources than one interface takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, add_condition, address, aws, cdk, set_lifecycle
from tapstack.capture.appliance import IPacketBasics
from tapstack.capture.scaffold import (
    CREATE_FIRST,
    as_text,
    book_of,
    checks_arguments,
    delete_last,
    former_address,
    keep_moved,
    label_of,
    located,
    name_main_child,
    name_tag,
    suppress_checkov,
    warn,
)
from tapstack.capture.security_groups import MIRRORED, CaptureSecurityGroup, allow_all, looked_up_vpc
from tapstack.domain import limits
from tapstack.domain.destinations import Destination
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.load_balancers import (
    HEALTH_CHECK_PORT,
    appliance_address_warnings,
    check_appliances,
    check_load_balancer,
)
from tapstack.domain.peers import Peer
from tapstack.domain.tags import EC2, ELASTIC_LOAD_BALANCING, check_construct_tags
from tapstack.domain.tokens import is_token


class CaptureLoadBalancer(AwsConstruct):
    """Distributes mirrored packets to appliances: an internal Network Load Balancer, UDP 4789.

    It takes any number of sources, where one network interface takes 10 or 100. Packets of
    one source stay with one appliance as long as that one is healthy, but may arrive out of
    order, and are cut to 8500 bytes. Removing the listener stops the mirroring silently.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`; direct children of a stack are addressed by it.
        vpc_id: the VPC of the appliances, or a token.
        subnet_ids: two or more, in different Availability Zones.
        mirrored_from: the sources' security groups, CIDR blocks, prefix lists or VPCs.
        instance_ids: the appliances; their primary interfaces receive the packets.
        ip_addresses: the appliances by private address, in place of `instance_ids`; also outside of the VPC, in
            a peered one or on premises, where the load balancer's nodes in all zones send to them.
        packet_basics: an appliance that may be one of `instance_ids`: its place behind the load balancer is then the
            same however it is named. Where its `instance_id` is looked up, the plan refuses it under a literal id.
        health_check_port: TCP port that answers on a healthy appliance; 443 by default.
        deletion_protection: refuse to be deleted. Off by default, so that the site can be
            destroyed.
        accept_open_mirrored_from: accept 0.0.0.0/0 and ::/0 in `mirrored_from`.
        logical_id: name in the Terraform address, unique in the stack for its type; `id_` where the
            construct is a direct child of its stack.
        tags: added to the Name tag.
        provider: the AWS provider of what it makes and looks up, for a stack that has several; the one of
            `scope`, in the end the stack's provider without an alias, by default.

    Lookups of sources leave out the interfaces of the appliances that are literal, of addresses those in the VPC;
    otherwise an appliance would be mirrored to itself.

    Raises:
        RuleViolation: fewer than two subnets, no appliance, both kinds of appliance, a wrong
            id, address or port, an instance that is a source, or an open CIDR block that was not accepted.

    See "Traffic mirror targets" in the VPC Traffic Mirroring guide and "Network Load
    Balancers" in the Elastic Load Balancing guide.
    """

    @checks_arguments(whole=("subnet_ids",))
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        vpc_id: str,
        subnet_ids: Sequence[str],
        mirrored_from: Sequence[Peer],
        instance_ids: Sequence[str] = (),
        ip_addresses: Sequence[str] = (),
        packet_basics: IPacketBasics | None = None,
        health_check_port: int = HEALTH_CHECK_PORT,
        deletion_protection: bool = False,
        accept_open_mirrored_from: bool = False,
        logical_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the load balancer, its security group, listener and target group."""
        with located(scope, id_):
            check_identifier("vpc", vpc_id)
            check_load_balancer(subnet_ids=subnet_ids, health_check_port=health_check_port)
            check_appliances(instance_ids=instance_ids, ip_addresses=ip_addresses)
            check_construct_tags(tags, EC2, ELASTIC_LOAD_BALANCING)
            book = book_of(scope, provider)
            for instance in instance_ids:
                if not is_token(instance):
                    book.add_target_instance(instance, label_of(scope, id_))
            if not is_token(vpc_id):
                literal = [each for each in ip_addresses if not is_token(each)]
                book.target_addresses.setdefault(vpc_id, []).extend(literal)
        super().__init__(scope, id_, provider=provider)
        for message in (found for each in ip_addresses for found in appliance_address_warnings(each)):
            warn(self, message)
        self.security_group = CaptureSecurityGroup(
            self,
            "SecurityGroup",
            vpc_id=vpc_id,
            mirrored_from=mirrored_from,
            accept_open_mirrored_from=accept_open_mirrored_from,
            description="Tapstack: mirrored packets to the load balancer",
            tags=tags,
        )
        self._vpc: str | None = None
        out = self._allow_out(vpc_id, ip_addresses, health_check_port)
        rules = [*self.security_group.needs, *out]
        self.resource: Any = aws.Lb(
            self,
            "Resource",
            load_balancer_type="network",
            internal=True,
            subnets=list(subnet_ids),
            security_groups=[self.security_group.security_group_id],
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=deletion_protection,
            lifecycle=CREATE_FIRST,
            tags=name_tag(id_, tags),
        )
        name_main_child(self, self.resource, logical_id)
        reasons = {"CKV_AWS_91": "Access logs of a Network Load Balancer cover TLS listeners only; this one is UDP."}
        if not deletion_protection:
            reasons["CKV_AWS_150"] = "Off by default so that the site can be destroyed; protection is a setting."
        suppress_checkov(self.resource, reasons)
        group = aws.LbTargetGroup(
            self,
            "TargetGroup",
            vpc_id=vpc_id,
            protocol="UDP",
            port=limits.VXLAN_PORT,
            target_type="instance" if instance_ids else "ip",
            # UDP itself cannot be checked; the health check uses the appliance's portal.
            health_check=aws.LbTargetGroupHealthCheck(enabled=True, protocol="TCP", port=as_text(health_check_port)),
            tags=name_tag(id_, tags),
        )
        # A target group can belong to one load balancer only, so a new load balancer needs a new one.
        set_lifecycle(group, create_before_destroy=True, replace_triggered_by=[f"{address(self.resource)}.id"])
        attachments = (
            self._attach_instances(group, instance_ids, packet_basics)
            if instance_ids
            else self._attach_addresses(group, ip_addresses, vpc_id)
        )
        delete_last(self, "Appliances", [*out, *attachments])
        listener = aws.LbListener(
            self,
            "Listener",
            load_balancer_arn=self.resource.arn,
            protocol="UDP",
            port=limits.VXLAN_PORT,
            default_action=[aws.LbListenerDefaultAction(type="forward", target_group_arn=group.arn)],
            depends_on=[*rules, *attachments],
            lifecycle=CREATE_FIRST,
            tags=name_tag(id_, tags),
        )
        self._needs = (*rules, *attachments, listener)

    @property
    def arn(self) -> str:
        """The load balancer's ARN, as a token."""
        return str(self.resource.arn)

    @property
    def destination(self) -> Destination:
        """The destination for a `MirrorTarget`."""
        return replace(Destination.network_load_balancer(self.arn), needs=self._needs)

    def _attach_instances(
        self, group: Any, instance_ids: Sequence[str], packet_basics: IPacketBasics | None
    ) -> list[Any]:
        """Register instances with the load balancer.

        Two attachments of one instance would be one target of AWS, which goes with either of them.
        """
        own = None if packet_basics is None else packet_basics.instance_id
        literal = [each for each in instance_ids if not is_token(each) and each != own]
        looked_up = address(cdk.TerraformLocal(self, "PacketBasics", own)) if literal and is_token(own) else None
        attachments = []
        for position, instance in enumerate(sorted(instance_ids, key=lambda each: each != own)):
            if is_token(instance):
                attachments.append(self._attach(group, str(position), instance))
            elif instance == own:
                attachments.append(self._attach(group, str(position), instance))
                named = address(attachments[-1])
                keep_moved(self, former_address(self, f"Appliance-{instance}", named.partition(".")[0]), named)
            else:
                attachments.append(self._attach(group, instance, instance))
                if packet_basics is not None and looked_up is not None:
                    add_condition(
                        attachments[-1],
                        "precondition",
                        f'${{{looked_up} != "{instance}"}}',
                        f"{instance} is the instance of {packet_basics.stack_name}, which is packet_basics here: set "
                        "instance_id of packet_basics to it as well, so that it stays behind the load balancer.",
                    )
        return attachments

    def _attach_addresses(self, group: Any, ip_addresses: Sequence[str], vpc_id: str) -> list[Any]:
        """Register private addresses with the load balancer."""
        keyed = [(str(position) if is_token(each) else each, each) for position, each in enumerate(ip_addresses)]
        return [self._attach(group, key, each, zone=self._zone_of(key, each, vpc_id)) for key, each in keyed]

    def _attach(self, group: Any, key: str, appliance: str, *, zone: str | None = None) -> Any:
        attachment = aws.LbTargetGroupAttachment(
            self,
            f"Appliance-{key}",
            target_group_arn=group.arn,
            target_id=appliance,
            port=limits.VXLAN_PORT,
            availability_zone=zone,
        )
        set_lifecycle(attachment, create_before_destroy=True)
        return attachment

    def _zone_of(self, key: str, ip_address: str, vpc_id: str) -> str:
        """Return the expression of an address's zone: `all` outside of the VPC, where AWS asks for one.

        Inside, AWS finds the zone itself. What is outside is known when Terraform plans: a VPC has up to five
        CIDR blocks, and can get more.
        """
        if self._vpc is None:
            self._vpc = looked_up_vpc(self, "Vpc", vpc_id)
        # A token would bring its own ${} into the expression.
        text = address(cdk.TerraformLocal(self, f"Address-{key}", ip_address)) if is_token(ip_address) else None
        given = text or f'"{ip_address}"'
        inside = f'cidrsubnet(format("%s/%s", {given}, split("/", a.cidr_block)[1]), 0, 0) == a.cidr_block'
        return f'${{anytrue([for a in {self._vpc}.cidr_block_associations : {inside}]) ? null : "all"}}'

    def _allow_out(self, vpc_id: str, ip_addresses: Sequence[str], health_check_port: int) -> list[Any]:
        """Let packets and health checks leave for the appliances, whose own security groups apply too."""
        appliances = [Peer.cidr(f"{address}/32") for address in ip_addresses] or [Peer.vpc(vpc_id)]
        group = self.security_group
        return [
            *allow_all(self, "out-mirrored", group, "egress", appliances, "udp", limits.VXLAN_PORT, MIRRORED),
            *allow_all(self, "out-health", group, "egress", appliances, "tcp", health_check_port, "Health checks"),
        ]
