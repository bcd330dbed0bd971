"""The security groups of containment: one pair for each VPC, created with the response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws
from tapstack.domain.names import Prefix, name_within
from tapstack.domain.own_names import TAG_PURPOSE, Purpose
from tapstack.domain.tokens import is_token


class ContainmentGroups(AwsConstruct):
    """A quarantine group in each VPC, without any rule; for two-step containment an all-open one besides.

    They are the response's own, apart from the quarantine group of a capture, so that a role can be limited to them.
    Terraform removes the egress rule that AWS gives every new group, and any rule that is added later. A group
    that an instance has on cannot be deleted: release before the response is destroyed.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: begins the groups' names.
        vpc_ids: the VPCs.
        two_step: make the all-open ones.
        tags: on the groups.

    See "Security group connection tracking" in the Amazon EC2 User Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: Prefix,
        vpc_ids: Sequence[str],
        two_step: bool,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the groups."""
        super().__init__(scope, id_)
        self._name, self._tags = name, tags
        self.by_vpc: dict[str, dict[str, str]] = {}
        """Ids of the groups, as tokens: `quarantine` and, for two steps, `untrack`, by VPC."""
        for position, vpc_id in enumerate(dict.fromkeys(vpc_ids)):
            # Ids must not depend on the order; for a token only its position is known.
            key = f"token-{position}" if is_token(vpc_id) else vpc_id
            pair = {"quarantine": self._quarantine(f"quarantine-{key}", vpc_id)}
            if two_step:
                pair["untrack"] = self._untrack(f"untrack-{key}", vpc_id)
            self.by_vpc[vpc_id] = pair

    @property
    def ids(self) -> list[str]:
        """The ids of all groups, as tokens."""
        return [group_id for pair in self.by_vpc.values() for group_id in pair.values()]

    def _quarantine(self, id_: str, vpc_id: str) -> str:
        group = self._group(id_, vpc_id, "quarantine", "no traffic in or out")
        # Empty lists, not absent ones: Terraform then owns the rules. Overrides, because cdktf leaves empty blocks out.
        group.add_override("ingress", [])
        group.add_override("egress", [])
        return str(group.id)

    def _untrack(self, id_: str, vpc_id: str) -> str:
        everything = {
            "from_port": 0,
            "to_port": 0,
            "protocol": "-1",
            "cidr_blocks": ["0.0.0.0/0"],
            "ipv6_cidr_blocks": ["::/0"],
            "description": "All traffic, for two-step containment",
        }
        group = self._group(
            id_,
            vpc_id,
            "untrack",
            "all open, for the seconds before quarantine",
            # On purpose: EC2 does not track flows that an all-open group allows, so the quarantine group ends them.
            ingress=[aws.SecurityGroupIngress(**everything)],
            egress=[aws.SecurityGroupEgress(**everything)],
        )
        return str(group.id)

    def _group(self, id_: str, vpc_id: str, purpose: Purpose, description: str, **rules: Any) -> Any:
        name = name_within(self._name, purpose, 255)
        return aws.SecurityGroup(
            self,
            id_,
            vpc_id=vpc_id,
            name=name,
            description=f"Tapstack: {description}",
            tags={"Name": name, **(self._tags or {}), TAG_PURPOSE: purpose},
            **rules,
        )
