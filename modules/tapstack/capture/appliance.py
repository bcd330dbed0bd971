"""The resources of an appliance's CloudFormation stack: target, filter, interface, portal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

from tapstack.bindings import AwsConstruct, add_condition, address, aws, cdk, terraform_data
from tapstack.capture.mirror_filter import IMirrorFilter, MirrorFilter
from tapstack.capture.mirror_target import IMirrorTarget, ImportedTarget, target_key
from tapstack.capture.scaffold import book_of
from tapstack.domain import packet_basics as template
from tapstack.domain.destinations import Destination
from tapstack.domain.instance_states import PRESENT_STATES
from tapstack.domain.own_names import STACK_ID_TAG


class IPacketBasics(Protocol):
    """An ExtraHop Packet Basics appliance, created here or existing."""

    @property
    def stack_name(self) -> str:
        """The name of its CloudFormation stack."""

    @property
    def user_access_url(self) -> str:
        """The address of its portal."""

    @property
    def target(self) -> IMirrorTarget:
        """The mirror target of its stack."""

    @property
    def filter(self) -> IMirrorFilter:
        """The mirror filter of its stack."""

    @property
    def network_interface_id(self) -> str:
        """Its interface, which receives the mirrored packets."""

    @property
    def instance_id(self) -> str:
        """Its instance."""


class Appliance(AwsConstruct):
    """Looks up the resources of a stack. Each lookup is added when its attribute is first read."""

    def _stack_is(
        self,
        stack: Any,
        stack_name: str,
        *,
        target_id: str | None = None,
        filter_id: str | None = None,
        network_interface_id: str | None = None,
        instance_id: str | None = None,
        mirror_source: str | None = None,
    ) -> None:
        """Set which stack it is, what needs no lookup, and what it mirrors itself."""
        self._mirror_source = mirror_source
        self._needs: tuple[Any, ...] = ()
        self._stack = stack
        book_of(self).appliances.append(stack_name)
        self._stack_name = stack_name
        self._ids = {
            "target": target_id,
            "filter": filter_id,
            "interface": network_interface_id,
            "instance": instance_id,
        }

    def set_needs(self, needs: Sequence[Any]) -> None:
        """Set the resources without which no packet reaches it, before its `target` is first read.

        Sessions are made after them, and moved away or removed before them.
        """
        self._needs = tuple(needs)

    @property
    def stack_name(self) -> str:
        """The name of the CloudFormation stack."""
        return self._stack_name

    @property
    def user_access_url(self) -> str:
        """The address of the appliance's portal, as a token."""
        return self._output(template.USER_ACCESS_OUTPUT)

    @property
    def credentials(self) -> str:
        """The first password of the user `setup`, as a token: mark every output of it sensitive.

        It is derived from the instance id, so every principal that may describe instances knows it:
        change it after the first sign-in.
        """
        return self._output(template.CREDENTIALS_OUTPUT)

    @cached_property
    def instance_id(self) -> str:
        """The appliance's instance: the one given, or the one CloudFormation tagged."""
        return self._ids["instance"] or str(self._instance.id)

    @cached_property
    def network_interface_id(self) -> str:
        """The appliance's interface: the one given, or the primary one of its instance."""
        return self._ids["interface"] or str(self._instance.network_interface_id)

    @cached_property
    def target(self) -> IMirrorTarget:
        """The mirror target of the stack: the one given, or the one named `<stack>.target`."""
        found = self._ids["target"] or self._by_name_tag("target", "ec2:traffic-mirror-target")
        interface = self._ids["interface"]
        destination = (
            # Reading the interface here would add an unneeded lookup of the instance.
            Destination.network_interface(interface) if interface else Destination.some_network_interface()
        )
        target = ImportedTarget(found, destination, self._needs)
        if self._mirror_source is not None:
            book_of(self).add_source(target_key(target), self._mirror_source, destination.max_sources)
        return target

    @cached_property
    def filter(self) -> IMirrorFilter:
        """The mirror filter of the stack: the one given, or the one named `<stack>.filter`."""
        return MirrorFilter.from_id(self._ids["filter"] or self._by_name_tag("filter", "ec2:traffic-mirror-filter"))

    @cached_property
    def _stack_id(self) -> str:
        """The stack's id, as an expression that is unknown only before the stack is created.

        Through a local: Terraform puts off what refers to a resource itself at every change of that
        resource, and would then take off and put on whatever hangs on what was found.
        """
        return address(cdk.TerraformLocal(self, "StackId", f"${{{address(self._stack)}.id}}"))

    @cached_property
    def _instance(self) -> Any:
        return aws.DataAwsInstance(
            self,
            "Instance",
            filter=[
                # The id is known once the stack exists, so this is read only then.
                aws.DataAwsInstanceFilter(name=f"tag:{STACK_ID_TAG}", values=[f"${{{self._stack_id}}}"]),
                aws.DataAwsInstanceFilter(name="instance-state-name", values=list(PRESENT_STATES)),
            ],
        )

    def _output(self, name: str) -> str:
        return cdk.Token.as_string(f'${{{address(self._stack)}.outputs["{name}"]}}')

    def _by_name_tag(self, what: str, resource_type: str) -> str:
        """Look up a resource of the stack by its Name tag, through the Resource Groups Tagging API."""
        name = f"{self._stack_name}.{what}"
        # Taken from the stack's id, so that Terraform looks it up only once the stack exists.
        awaited = f'${{element(split("/", {self._stack_id}), 1)}}.{what}'
        found = aws.DataAwsResourcegroupstaggingapiResources(
            self,
            what.capitalize(),
            resource_type_filters=[resource_type],
            tag_filter=[aws.DataAwsResourcegroupstaggingapiResourcesTagFilter(key="Name", values=[awaited])],
        )
        mappings = f"{address(found)}.resource_tag_mapping_list"
        # Not a condition of the lookup: Terraform puts off a lookup with conditions at every change of the stack.
        found_id = f'${{element(split("/", {mappings}[0].resource_arn), 1)}}'
        kept = terraform_data(self, f"{what.capitalize()}Id", input=found_id)
        add_condition(
            kept,
            "precondition",
            f"${{length({mappings}) == 1}}",
            f"Found no single traffic mirror {what} with the tag Name = {name}. The Resource Groups "
            "Tagging API lags behind the creation by minutes: run the same command again. If the template names it "
            f"otherwise, give its id as {what}_id.",
        )
        return cdk.Token.as_string(f"${{{address(kept)}.output}}")
