"""What refuses a plan that would delete an appliance because its block was taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, add_condition, aws, cdk
from tapstack.capture.scaffold import checks_arguments, located
from tapstack.domain.errors import RuleViolation
from tapstack.domain.packet_basics import DELETION_PROTECTION_TAG


class ApplianceGate(AwsConstruct):
    """Refuses every plan while a protected appliance stands that the stack no longer has.

    Terraform's `prevent_destroy` goes with the block that it stands in: who takes the block out deletes the
    resource. So a stack without an appliance looks for one, by its tags, when Terraform plans. An appliance
    that was applied with `deletion_protection=False` passes.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        tags: what the appliance is known by besides the tag of its protection: the tags given to its
            `PacketBasics`, or the provider's default tags.
        hint: what to do, for the message.
        provider: the AWS provider of the appliance, for a stack that has several; the one of `scope`, in the end
            the stack's provider without an alias, by default.

    Raises:
        RuleViolation: no tag, which would find every appliance of the account.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        tags: Mapping[str, str],
        hint: str | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Add the lookup."""
        with located(scope, id_):
            if not tags:
                raise RuleViolation("a gate needs tags: without them it finds the appliances of others")
        super().__init__(scope, id_, provider=provider)
        wanted = {**tags, DELETION_PROTECTION_TAG: "on"}
        self.resource: Any = aws.DataAwsInstances(
            self,
            "Protected",
            filter=[aws.DataAwsInstancesFilter(name=f"tag:{key}", values=[value]) for key, value in wanted.items()],
            instance_state_names=["pending", "running", "stopping", "stopped"],
        )
        add_condition(
            self.resource,
            "postcondition",
            "${length(self.ids) == 0}",
            "A Packet Basics appliance with deletion protection still exists, and this plan would delete it "
            "with every packet that it keeps. "
            + (
                hint or "Put its PacketBasics back, and apply it with deletion_protection=False before you take it out."
            ),
        )
