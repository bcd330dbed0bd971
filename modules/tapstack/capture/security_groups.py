"""The security groups of a capture: one that lets mirrored packets in, one that lets nothing through."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tapstack.bindings import AwsConstruct, Construct, address, aws, cdk, set_instances, set_lifecycle
from tapstack.capture.scaffold import (
    CREATE_FIRST,
    checks_arguments,
    delete_last,
    distinct_id,
    former_address,
    keep_moved,
    located,
    name_main_child,
    name_tag,
    quarantined_vpcs_of,
    suppress_checkov,
    warn,
)
from tapstack.domain import cidrs, limits
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_rules import Direction
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.peers import Peer, check_not_whole_internet, sender_warnings, without_duplicates
from tapstack.domain.quarantine import DEFAULT_NAME
from tapstack.domain.tags import EC2, check_construct_tags
from tapstack.domain.tokens import is_token

PORTAL_PORT: Final = 443
MIRRORED: Final = "Mirrored packets (VXLAN)"


class ISecurityGroup(Protocol):
    """A security group, created here or existing."""

    @property
    def security_group_id(self) -> str:
        """Its id, sg-..., or a token."""


@dataclass(frozen=True)
class _ImportedGroup:
    security_group_id: str


class _OwnedGroup(AwsConstruct):
    """The base of the groups that are created here."""

    resource: Any

    @property
    def security_group_id(self) -> str:
        """Its id, as a token."""
        return str(self.resource.id)

    @staticmethod
    def from_id(security_group_id: str) -> ISecurityGroup:
        """Use an existing security group, by its id (sg-...) or a token."""
        return _ImportedGroup(check_identifier("security group", security_group_id))


class CaptureSecurityGroup(_OwnedGroup):
    """Lets mirrored packets reach an appliance, and responders its portal.

    Mirrored packets arrive as VXLAN, UDP port 4789, from the primary private address of
    each source. Rules are resources of their own. The group has no egress rule: the
    appliance keeps those of its other groups.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`; direct children of a stack are addressed by it.
        vpc_id: the VPC of the appliance, or a token.
        mirrored_from: the sources' security groups, CIDR blocks, prefix lists or VPCs.
        remote_access_cidrs: who reaches the portal on TCP 443. No address by default.
        network_interface_id: the appliance's interface, which gets the group besides those it
            has. Attached to none by default.
        accept_open_remote_access: accept 0.0.0.0/0 and ::/0 in `remote_access_cidrs`.
        accept_open_mirrored_from: accept 0.0.0.0/0 and ::/0 in `mirrored_from`.
        description: of the group; it cannot be changed later without replacing the group.
        tags: added to the Name tag.
        provider: the AWS provider of what it makes and looks up, for a stack that has several; the one of
            `scope`, in the end the stack's provider without an alias, by default.

    Raises:
        RuleViolation: no sender, an open CIDR block that was not accepted, or a wrong id.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        vpc_id: str,
        mirrored_from: Sequence[Peer],
        remote_access_cidrs: Sequence[str] = (),
        network_interface_id: str | None = None,
        accept_open_remote_access: bool = False,
        accept_open_mirrored_from: bool = False,
        description: str = "Tapstack: mirrored packets and the appliance portal",
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the group, its rules and, where asked, its attachment."""
        with located(scope, id_):
            check_identifier("vpc", vpc_id)
            if not mirrored_from:
                raise RuleViolation("mirrored_from is empty: no mirrored packet could reach the appliance")
            check_not_whole_internet(mirrored_from, accept_open=accept_open_mirrored_from)
            for block in remote_access_cidrs:
                cidrs.check_remote_access(block, accept_open=accept_open_remote_access)
            cidrs.check_remote_access_together(remote_access_cidrs, accept_open=accept_open_remote_access)
            if network_interface_id is not None:
                check_identifier("network interface", network_interface_id)
            check_construct_tags(tags, EC2)
        super().__init__(scope, id_, provider=provider)
        for message in (
            *(message for peer in without_duplicates(mirrored_from) for message in sender_warnings(peer)),
            *(message for block in remote_access_cidrs for message in cidrs.remote_access_warnings(block)),
        ):
            warn(self, message)
        self.resource: Any = aws.SecurityGroup(
            self,
            "Resource",
            vpc_id=vpc_id,
            name_prefix="tapstack-capture-",
            description=description,
            # Interfaces keep a group while it is replaced, so the new one has to come first.
            lifecycle=CREATE_FIRST,
            tags=name_tag(id_, tags),
        )
        name_main_child(self, self.resource)
        self.needs = allow_all(
            self, "mirrored", self, "ingress", mirrored_from, "udp", limits.VXLAN_PORT, MIRRORED, vpc_id=vpc_id
        )
        """The resources that let mirrored packets in: the rules, and the attachment."""
        portal = [Peer.cidr(block) for block in remote_access_cidrs]
        opened = allow_all(self, "portal", self, "ingress", portal, "tcp", PORTAL_PORT, "Appliance portal (HTTPS)")
        delete_last(self, "Rules", [*self.needs, *opened])
        if network_interface_id is not None:
            attachment = aws.NetworkInterfaceSgAttachment(
                self,
                "Attachment",
                security_group_id=self.resource.id,
                network_interface_id=network_interface_id,
                depends_on=self.needs,
                lifecycle=CREATE_FIRST,
            )
            self.needs = [*self.needs, attachment]
            suppress_checkov(
                self.resource,
                {"CKV2_AWS_5": "Attached with aws_network_interface_sg_attachment, which checkov does not follow."},
            )


def looked_up_vpc(scope: Construct, id_: str, vpc_id: str) -> str:
    """Look a VPC up and return the address of what is found; the id may be a token.

    A token goes through a local: Terraform puts off what refers to a VPC itself at every change of that VPC.
    """
    if is_token(vpc_id):
        vpc_id = f"${{{address(cdk.TerraformLocal(scope, f'{id_}-id', vpc_id))}}}"
    return address(aws.DataAwsVpc(scope, id_, id=vpc_id))


def allow_all(
    scope: Construct,
    id_: str,
    group: ISecurityGroup,
    direction: Direction,
    peers: Sequence[Peer],
    protocol: str,
    port: int,
    description: str,
    *,
    vpc_id: str | None = None,
) -> list[Any]:
    """Let peers reach one port; return the rules.

    AWS refuses a second rule for one block. So with `vpc_id`, the VPC of the group, its blocks and those that are
    written are instances of one resource, by block: whatever names a block, its rule stays the same one. Other VPCs
    have the blocks that these do not have.
    """
    make: Any = aws.VpcSecurityGroupIngressRule if direction == "ingress" else aws.VpcSecurityGroupEgressRule
    common: dict[str, Any] = {
        "security_group_id": group.security_group_id,
        "ip_protocol": protocol,
        "from_port": port,
        "to_port": port,
        "description": description,
        "lifecycle": CREATE_FIRST,
    }
    rules = []
    written: dict[str, str] = {}
    vpcs: dict[str, str] = {}
    # The name that the rules of the VPC had when they were alone in their resource.
    own = None if vpc_id is None else f"{id_}-ipv4" if is_token(vpc_id) else f"{id_}-{vpc_id}"
    for key, peer in keyed(without_duplicates(peers)):
        name = f"{id_}-{key}"
        if peer.kind == "vpc":
            vpcs[name] = f"{looked_up_vpc(scope, f'{name}-vpc', peer.value)}.cidr_block_associations"
        elif own is not None and peer.kind == "cidr" and cidrs.family(peer.value) == 4:
            written[name] = peer.value
        else:
            argument = {"security group": "referenced_security_group_id", "prefix list": "prefix_list_id"}.get(
                peer.kind, "cidr_ipv6" if peer.kind == "cidr" and cidrs.family(peer.value) == 6 else "cidr_ipv4"
            )
            rules.append(make(scope, name, **{argument: peer.value}, **common))
    taken = [json.dumps(list(written.values()))] if written else []
    if own is not None and (written or own in vpcs):
        if own in vpcs:
            taken.append(f"[for a in {vpcs.pop(own)} : a.cidr_block]")
        shared = make(scope, own, cidr_ipv4="${each.value}", **common)
        set_instances(shared, f"${{toset(concat({', '.join(taken)}))}}")
        rules.append(shared)
    others = []
    for name, found in vpcs.items():
        new = f" if !contains(concat({', '.join(taken)}), a.cidr_block)" if taken else ""
        rule = make(scope, name, cidr_ipv4="${each.value}", **common)
        set_instances(rule, f"${{toset([for a in {found} : a.cidr_block{new}])}}")
        taken.append(f"[for a in {found} : a.cidr_block]")
        others.append(rule)
    for name, block in written.items():
        before = former_address(scope, name, address(shared).partition(".")[0])
        instances = [f"{address(rule)}[{json.dumps(block)}]" for rule in (*others, shared)]
        keep_moved(scope, *instances[:-1], f"{before}[0]", before, instances[-1])
    return [*rules, *others]


class QuarantineSecurityGroup(_OwnedGroup):
    """Isolates an instance: a security group without any rule, in or out.

    One a VPC. Terraform removes the egress rule that AWS gives every new group, and any
    rule that is added later. Connections that are being tracked go on until they
    are idle; see "Security group connection tracking" in the Amazon EC2 User Guide.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`; direct children of a stack are addressed by it.
        vpc_id: the VPC whose instances it can isolate, or a token.
        name: the group's name when it is made, unique in the VPC, up to 255 characters. A later change is
            left out: it would replace a group that instances may have.
        tags: added to the Name tag.
        provider: the AWS provider of what it makes and looks up, for a stack that has several; the one of
            `scope`, in the end the stack's provider without an alias, by default.

    Raises:
        RuleViolation: a wrong id or name, or a second quarantine group of one VPC.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        vpc_id: str,
        name: str = DEFAULT_NAME,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the group."""
        with located(scope, id_):
            check_identifier("vpc", vpc_id)
            _check_group_name(name)
            check_construct_tags(tags, EC2)
            quarantined = quarantined_vpcs_of(scope)
            if vpc_id in quarantined:
                raise RuleViolation(f"{vpc_id} has a quarantine group already: one a VPC")
            if not is_token(vpc_id):
                quarantined.add(vpc_id)
        super().__init__(scope, id_, provider=provider)
        self.resource: Any = aws.SecurityGroup(
            self,
            "Resource",
            vpc_id=vpc_id,
            name=name,
            description="Tapstack: quarantine, no traffic in or out",
            tags=name_tag(name, tags),
        )
        # Empty lists, not absent ones: Terraform then owns the rules and removes what appears.
        # They go in as overrides because cdktf leaves empty blocks out of HCL.
        self.resource.add_override("ingress", [])
        self.resource.add_override("egress", [])
        set_lifecycle(self.resource, ignore_changes=["name"])
        name_main_child(self, self.resource)
        suppress_checkov(
            self.resource,
            {"CKV2_AWS_5": "Attached to an instance at the moment it is quarantined, and to none before."},
        )


_GROUP_NAME = re.compile(r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}", re.ASCII)


def _check_group_name(name: str) -> None:
    """Refuse what EC2 refuses as the name of a security group (API Reference, CreateSecurityGroup)."""
    if is_token(name):
        return
    if name.startswith("sg-") or not _GROUP_NAME.fullmatch(name):
        raise RuleViolation(
            f"{name!r} is not a security group name: expected 1 to 255 letters, digits, spaces or "
            "._-:/()#,@[]+=&;{}!$*, not beginning with sg-"
        )


def keyed(peers: Sequence[Peer]) -> list[tuple[str, Peer]]:
    """Give each peer an id that depends on itself, and not on its place; tokens are counted among themselves.

    Where two peers would have one id, as 2001:db8::5/128 and 2001:db8:5::/128 would, the second one's is longer.
    """
    keyed = []
    taken: set[str] = set()
    tokens = 0
    for peer in peers:
        if is_token(peer.value):
            keyed.append((f"token-{tokens}", peer))
            tokens += 1
        else:
            # Colons and slashes separate construct paths and Terraform names.
            key = re.sub(r"[^a-z0-9.]+", "-", peer.value.lower())
            keyed.append((distinct_id(peer.value, key, taken), peer))
    return keyed
