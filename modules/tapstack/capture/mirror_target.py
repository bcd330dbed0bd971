"""A traffic mirror target, optionally shared with other accounts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tapstack.bindings import AwsConstruct, Construct, aws, cdk, set_lifecycle
from tapstack.capture.scaffold import (
    CREATE_FIRST,
    checks_arguments,
    distinct_id,
    located,
    name_main_child,
    name_tag,
    needs_of,
    record_target,
    warn,
)
from tapstack.domain.destinations import Destination
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tags import EC2, RAM, check_construct_tags
from tapstack.domain.tokens import is_token


class IMirrorTarget(Protocol):
    """A traffic mirror target, created here or existing."""

    @property
    def mirror_target_id(self) -> str:
        """Its id, tmt-..., or a token."""

    @property
    def destination(self) -> Destination | None:
        """What receives the packets, where it is known; its limits are then checked."""


def target_key(target: IMirrorTarget) -> Hashable:
    """Return the key of a target under which its sources are counted."""
    return id(target) if is_token(target.mirror_target_id) else target.mirror_target_id


@dataclass(frozen=True)
class ImportedTarget:
    """A target that exists already; see `MirrorTarget.from_id`."""

    mirror_target_id: str
    destination: Destination | None = None
    needs: tuple[Any, ...] = field(default=(), compare=False, repr=False)
    """What must exist before a session uses the target, and until no session does."""


class MirrorTarget(AwsConstruct):
    """Receives mirrored packets.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`; direct children of a stack are addressed by it.
        destination: what receives the packets: `Destination.network_interface(...)`,
            `.network_load_balancer(...)` or `.gateway_load_balancer_endpoint(...)`.
        share_with: account ids, or ARNs of an organization or organizational unit, that may
            mirror to it. Shared through AWS RAM. No account by default.
        allow_external_principals: let accounts outside the organization be shared with; they
            have to accept the invitation. Off by default.
        description: what it is for; names the construct by default. A later change replaces the target, and is left
            out where a Network Load Balancer receives the packets, because AWS takes one target for each.
        logical_id: name in the Terraform address, unique in the stack for its type; `id_` where the
            construct is a direct child of its stack.
        tags: added to the Name tag.
        provider: the AWS provider of what it makes and looks up, for a stack that has several; the one of
            `scope`, in the end the stack's provider without an alias, by default.

    Raises:
        RuleViolation: a principal of the wrong form, an interface that is a source already, or a Network Load
            Balancer that is behind another target of the app.

    See "Traffic mirror targets" and "Cross-account traffic mirroring targets" in the VPC
    Traffic Mirroring guide.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        destination: Destination,
        share_with: Sequence[str] = (),
        allow_external_principals: bool = False,
        description: str | None = None,
        logical_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the target and, where asked, its resource share."""
        with located(scope, id_):
            for principal in share_with:
                check_identifier("ram principal", principal)
            if allow_external_principals and not share_with:
                raise RuleViolation("allow_external_principals needs share_with")
            if destination.value is None:
                raise RuleViolation("a target needs the id of the interface that receives the packets")
            check_construct_tags(tags, EC2, *((RAM,) if share_with else ()))
            warnings = record_target(scope, id_, destination.kind, destination.value, provider)
        super().__init__(scope, id_, provider=provider)
        for message in warnings:
            warn(self, message)
        self._destination = destination
        value = destination.value
        self.resource: Any = aws.Ec2TrafficMirrorTarget(
            self,
            "Resource",
            network_interface_id=value if destination.kind == "network interface" else None,
            network_load_balancer_arn=value if destination.kind == "network load balancer" else None,
            gateway_load_balancer_endpoint_id=(value if destination.kind == "gateway load balancer endpoint" else None),
            description=description or f"Tapstack {id_}",
            depends_on=needs_of(self, destination),
            tags=name_tag(id_, tags),
        )
        set_lifecycle(
            self.resource,
            create_before_destroy=True,
            # AWS accepts one target for each load balancer: the old one must be deleted before a new one is created.
            ignore_changes=["description"] if destination.kind == "network load balancer" else (),
        )
        name_main_child(self, self.resource, logical_id)
        if share_with:
            self._share(id_, share_with, allow_external_principals, tags)

    @property
    def mirror_target_id(self) -> str:
        """Its id, as a token."""
        return str(self.resource.id)

    @property
    def destination(self) -> Destination | None:
        """What receives the packets."""
        return self._destination

    @staticmethod
    def from_id(mirror_target_id: str, *, destination: Destination | None = None) -> IMirrorTarget:
        """Use an existing target, by its id (tmt-...) or a token.

        Args:
            mirror_target_id: of this account, or shared by another one through AWS RAM.
            destination: what receives the packets. With it the limits of the target are
                checked; without it they cannot be.
        """
        return ImportedTarget(check_identifier("traffic mirror target", mirror_target_id), destination)

    def _share(self, id_: str, principals: Sequence[str], external: bool, tags: Mapping[str, str] | None) -> None:
        share = aws.RamResourceShare(
            self,
            "Share",
            name=id_,
            allow_external_principals=external,
            lifecycle=CREATE_FIRST,
            tags=name_tag(id_, tags),
        )
        common = {"resource_share_arn": share.arn, "lifecycle": CREATE_FIRST}
        aws.RamResourceAssociation(self, "ShareTarget", resource_arn=self.resource.arn, **common)
        literal = dict.fromkeys(p for p in principals if not is_token(p))
        tokens = [p for p in principals if is_token(p)]
        taken: set[str] = set()
        named = [(distinct_id(p, _slug(p), taken), p) for p in literal]
        for key, principal in named + [(f"token-{i}", p) for i, p in enumerate(tokens)]:
            aws.RamPrincipalAssociation(self, f"ShareWith-{key}", principal=principal, **common)


def _slug(principal: str) -> str:
    """The identifying part of a principal: an account id, an organization or unit id."""
    return principal.rsplit("/", 1)[-1]
