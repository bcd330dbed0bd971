"""Refuses a plan that would delete an appliance because its block was taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, add_condition, aws, cdk, set_lifecycle, terraform_data
from tapstack.capture.scaffold import checks_arguments, located, name_main_child
from tapstack.domain.ec2_filters import from_text
from tapstack.domain.errors import RuleViolation
from tapstack.domain.instance_states import PRESENT_STATES
from tapstack.domain.packet_basics import DELETION_PROTECTION_TAG


class ApplianceGate(AwsConstruct):
    """Takes the place of a removed `PacketBasics`, and refuses every plan that would delete its resources.

    Terraform's `prevent_destroy` goes with the block that it stands in: removing the block deletes the
    resource. So the gate declares none of the same addresses, with `prevent_destroy`: Terraform refuses to
    delete those in the state, `terraform destroy` included, whatever is in the account. Its message
    says little; a lookup of appliances says more, where the plan is no destroy.
    Without the gate, and without the `PacketBasics`, the appliance is deleted.

    Args:
        scope: the construct that the `PacketBasics` belonged to.
        id_: the id that the `PacketBasics` had.
        tags: that identify the appliance, besides the tag that all appliances have: the tags given to its
            `PacketBasics`, or the provider's default tags.
        hint: what to do, for the message.
        provider: the AWS provider of the appliance, for a stack that has several; the one of `scope`, in the end
            the stack's provider without an alias, by default.

    Raises:
        RuleViolation: no tags, with which every appliance of the account would be found.
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
        """Declare no stack, and add the lookup."""
        with located(scope, id_):
            if not tags:
                raise RuleViolation("a gate needs tags: without them it finds the appliances of others")
        super().__init__(scope, id_, provider=provider)
        # The id that the stack has within PacketBasics, so that both have the same address.
        self.resource: Any = aws.CloudformationStack(self, "Resource", name="none")
        name_main_child(self, self.resource)
        # And the record of its Region and account: the provider of another Region would not find the stack.
        for declared in (self.resource, terraform_data(self, "Place")):
            declared.add_override("count", 0)
            set_lifecycle(declared, prevent_destroy=True)
        filters = {
            **{f"tag:{key}": from_text(value) for key, value in tags.items()},
            "tag-key": DELETION_PROTECTION_TAG,
        }
        existing = aws.DataAwsInstances(
            self,
            "Standing",
            filter=[aws.DataAwsInstancesFilter(name=name, values=[value]) for name, value in filters.items()],
            instance_state_names=list(PRESENT_STATES),
        )
        add_condition(
            existing,
            "postcondition",
            "${length(self.ids) == 0}",
            "A Packet Basics appliance still exists, and this plan would delete it with every packet that it keeps. "
            + (hint or "Restore its PacketBasics; or take out its ApplianceGate too, if it is to be deleted."),
        )
