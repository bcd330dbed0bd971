"""ExtraHop Packet Basics: the Marketplace's CloudFormation stack, and its resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tapstack.bindings import Construct, address, aws, cdk, json_text, rendered, set_lifecycle, terraform_data
from tapstack.capture.appliance import Appliance
from tapstack.capture.appliance_role import ApplianceRole
from tapstack.capture.expressions import Expressions
from tapstack.capture.place import Place
from tapstack.capture.scaffold import (
    as_text,
    book_of,
    checks_arguments,
    label_of,
    located,
    name_main_child,
    record_target,
    suppress_checkov,
    warn,
)
from tapstack.domain import cidrs
from tapstack.domain import packet_basics as template
from tapstack.domain.appliance_settings import ApplianceTemplate
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_cloudformation_stack_name, check_identifier
from tapstack.domain.names import boundary_name_of
from tapstack.domain.packet_basics import Capability, OnFailure
from tapstack.domain.sessions import SessionBook
from tapstack.domain.tags import CLOUDFORMATION, EC2, IAM, check_construct_tags
from tapstack.domain.tokens import is_token


class PacketBasics(Appliance):
    """An ExtraHop Packet Basics appliance: stores mirrored packets and finds them again.

    The Marketplace delivers it as a CloudFormation template; a person must accept its terms
    first, once an account, or EC2 answers OptInRequired and the stack rolls back. The stack
    makes a mirror target and a mirror filter of its own, named `<stack>.target` and
    `<stack>.filter`; `target` and `filter` find them. First boot takes up to 10 minutes.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`; direct children of a stack are addressed by it.
        template_url: https URL of the template, copied from the Marketplace subscription.
        accept_template_url: accept one that is not of AWS Marketplace's bucket, or a token.
        vpc_id: where the appliance stands, or a token.
        subnet_id: of its one interface, which is both management interface and mirror target.
        remote_access_cidr: who may reach its portal; an IPv4 block.
        stack_name: of the CloudFormation stack; by default the construct's path with hyphens.
        public_ip: give it an Elastic IP. Off by default.
        mirror_source: network interface that the stack mirrors from the start. None by default.
        mirror_session_number: of that session, 1 to 32766; 1 by default.
        parameters: further parameters of the template.
        capabilities: what the template may do besides making resources of its own, where it asks for it: IAM
            roles (CAPABILITY_IAM), IAM resources of its own names, macros. None by default. With one for IAM
            CloudFormation makes the stack with a role of its own, `<stack>-role`, see `ApplianceRole`, and the
            stack keeps that role as long as it stands.
        permissions_boundary: ARN of the policy that every role of the template must have as its permissions
            boundary. By default one is made, `<stack>-boundary`, where `capabilities` has one for IAM. It cannot
            change while the stack stands.
        own_tags: tags by which the stack's resources are recognized, and that never change: the role may
            change only what has them. Needed where `capabilities` has one for IAM; the stack gets them.
        extra_statements: further IAM statements of that role, for templates that need more.
        on_failure: what CloudFormation does when the creation fails; of no effect afterwards.
        timeout_minutes: how long CloudFormation waits for the creation, and Terraform for that and every change;
            5 to 240.
        deletion_protection: refuse to be deleted, and every update that would replace the instance, its
            interface or its volumes, or the stack's target or filter. On by default. Applied as False, alone,
            before such a change: Terraform and CloudFormation go by what was applied last.
        notification_arns: SNS topics that get the stack's events, up to 5.
        accept_open_remote_access: accept 0.0.0.0/0 as `remote_access_cidr`.
        accept_public_ip: accept `public_ip`.
        target_id: the stack's mirror target, if it is not to be found by its Name tag.
        filter_id: the stack's mirror filter, likewise.
        network_interface_id: the appliance's interface, likewise.
        instance_id: the appliance's instance, likewise.
        tags: on the stack; CloudFormation passes them on to what it makes.
        provider: the AWS provider of what it makes and looks up, for a stack that has several; the one of
            `scope`, in the end the stack's provider without an alias, by default.

    Raises:
        RuleViolation: any of these is of the wrong form, or opens a door that was not accepted.

    See the deployment guide of ExtraHop Packet Basics on AWS.
    """

    @checks_arguments(whole=("notification_arns", "tags"))
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        template_url: str,
        vpc_id: str,
        subnet_id: str,
        remote_access_cidr: str,
        stack_name: str | None = None,
        public_ip: bool = ApplianceTemplate.public_ip,
        mirror_source: str | None = None,
        mirror_session_number: int | None = None,
        parameters: Mapping[str, str] | None = None,
        capabilities: Sequence[Capability] = ApplianceTemplate.capabilities,
        permissions_boundary: str | None = ApplianceTemplate.permissions_boundary,
        own_tags: Mapping[str, str] | None = None,
        extra_statements: Sequence[Mapping[str, Any]] = ApplianceTemplate.extra_statements,
        on_failure: OnFailure = template.ON_FAILURE,
        timeout_minutes: int = ApplianceTemplate.timeout_minutes,
        notification_arns: Sequence[str] = (),
        deletion_protection: bool = template.DELETION_PROTECTION,
        accept_template_url: bool = ApplianceTemplate.accept_template_url,
        accept_open_remote_access: bool = ApplianceTemplate.accept_open_remote_access,
        accept_public_ip: bool = ApplianceTemplate.accept_public_ip,
        target_id: str | None = None,
        filter_id: str | None = None,
        network_interface_id: str | None = None,
        instance_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the CloudFormation stack."""
        name = stack_name or "-".join(part for part in (scope.node.path.replace("/", "-"), id_) if part)
        with located(scope, id_):
            check_cloudformation_stack_name(name)
            check_identifier("vpc", vpc_id)
            given = ApplianceTemplate(
                template_url,
                subnet_id,
                remote_access_cidr,
                public_ip=public_ip,
                parameters=parameters or {},
                accept_template_url=accept_template_url,
                capabilities=capabilities,
                permissions_boundary=permissions_boundary,
                timeout_minutes=timeout_minutes,
                accept_open_remote_access=accept_open_remote_access,
                accept_public_ip=accept_public_ip,
                extra_statements=extra_statements,
            )
            template.check_notification_arns(notification_arns)
            template.check_own_tags(own_tags, capabilities)
            template.check_extra_statements(extra_statements, capabilities)
            # CloudFormation gives them to the resources of the stack.
            check_construct_tags(tags, EC2, CLOUDFORMATION, *((IAM,) if template.makes_iam(capabilities) else ()))
            for kind, found_by_id in (
                ("traffic mirror target", target_id),
                ("traffic mirror filter", filter_id),
                ("network interface", network_interface_id),
                ("instance", instance_id),
            ):
                if found_by_id is not None:
                    check_identifier(kind, found_by_id)
            if mirror_source is None and mirror_session_number is not None:
                raise RuleViolation("mirror_session_number needs mirror_source: without it the stack has no session")
            number = 0
            if mirror_source is not None:
                check_identifier("network interface", mirror_source)
                number = _reserve(book_of(scope, provider), label_of(scope, id_), mirror_source, mirror_session_number)
            warnings = []
            if network_interface_id is not None:
                warnings += record_target(scope, id_, "network interface", network_interface_id, provider)
        super().__init__(scope, id_, provider=provider)
        for message in warnings + cidrs.remote_access_warnings(given.remote_access_cidr):
            warn(self, message)
        own = given.own_parameters(vpc_id)
        if mirror_source is not None:
            own[template.MIRROR_SOURCE] = mirror_source
            own[template.SESSION_NUMBER] = as_text(number)
        role = None
        if template.makes_iam(capabilities):
            safe = Expressions(self).safe
            role = ApplianceRole(
                self,
                "Role",
                name=f"{name}-role",
                place=Place.of(self),
                stack_name=safe(name, "stack_name"),
                own_tags=safe(dict(own_tags or {})),
                vpc_id=safe(vpc_id, "vpc_id"),
                subnet_id=safe(subnet_id, "subnet_id"),
                boundary_name=boundary_name_of(name),
                capabilities=capabilities,
                permissions_boundary=safe(permissions_boundary, "permissions_boundary"),
                extra_statements=extra_statements,
                tags=own_tags,
            )
        self.resource: Any = aws.CloudformationStack(
            self,
            "Resource",
            name=name,
            template_url=template_url,
            parameters={**(parameters or {}), **own},
            capabilities=list(capabilities) or None,
            iam_role_arn=role.arn if role else None,
            on_failure=on_failure,
            timeout_in_minutes=timeout_minutes,
            policy_body=json_text(template.stack_policy(deletion_protection=deletion_protection)),
            notification_arns=list(notification_arns) or None,
            # CloudFormation times out first, so that the user reads its reason.
            timeouts=aws.CloudformationStackTimeouts(
                create=f"{timeout_minutes + 5}m",
                update=f"{timeout_minutes + 5}m",
                delete=f"{timeout_minutes + 5}m",
            ),
            tags=self._tags(tags, template_url, role.own_tags if role else {}, deletion_protection=deletion_protection),
        )
        name_main_child(self, self.resource)
        set_lifecycle(
            self.resource,
            prevent_destroy=deletion_protection,
            create_before_destroy=True,
            # They apply when the stack is created, and any change of them would replace it.
            ignore_changes=["on_failure", "timeout_in_minutes"],
            replace_triggered_by=[
                self._place(vpc_id, subnet_id, role, permissions_boundary, deletion_protection=deletion_protection)
            ],
        )
        self._stack_is(
            self.resource,
            name,
            target_id=target_id,
            filter_id=filter_id,
            network_interface_id=network_interface_id,
            instance_id=instance_id,
            mirror_source=mirror_source,
        )
        if not notification_arns:
            suppress_checkov(
                self.resource,
                {"CKV_AWS_124": "Terraform waits for the stack and reports its events; topics are a setting."},
            )

    def _tags(
        self,
        tags: Mapping[str, str] | None,
        template_url: str,
        own_tags: Mapping[str, str],
        *,
        deletion_protection: bool,
    ) -> Mapping[str, str]:
        """Return the stack's tags with those of Tapstack.

        CloudFormation refuses an update that changes only the policy, so a tag changes with it. And Terraform
        takes a template for the one in use even where its update was rolled back; its tag says the truth.
        """
        own = {
            **own_tags,
            template.DELETION_PROTECTION_TAG: "on" if deletion_protection else "off",
            template.TEMPLATE_TAG: self._fingerprint(template_url),
        }
        if not is_token(list(tags or ())):
            return {**(tags or {}), **own}
        given, ours = (
            address(cdk.TerraformLocal(self, name, value)) for name, value in (("Tags", tags), ("OwnTags", own))
        )
        merged: Mapping[str, str] = cdk.Token.as_string_map(f"${{merge({given}, {ours})}}")
        return merged

    def _fingerprint(self, template_url: str) -> str:
        if is_token(template_url):
            url = cdk.TerraformLocal(self, "TemplateUrl", rendered(template_url, typed=False))
            return f"${{substr(sha256({address(url)}), 0, 16)}}"
        return template.fingerprint(template_url)

    def _place(
        self,
        vpc_id: str,
        subnet_id: str,
        role: ApplianceRole | None,
        permissions_boundary: str | None,
        *,
        deletion_protection: bool,
    ) -> str:
        """Record where the appliance is, which cannot change while it exists; return the address of the record.

        CloudFormation would replace its instance for another subnet, and Terraform would lose sight of the
        stack in another account or Region. So a plan says it instead, before anything is done.

        Nor can a stack that has a role lose it, or its template's roles their boundary. So with a role the place is
        kept under another name, and the first one is left as it is nowhere without: a plan without the role would
        have to replace that one, and is refused.
        """
        if role is None:
            account, region = (
                aws.DataAwsCallerIdentity(self, "Account").account_id,
                aws.DataAwsRegion(self, "Region").id,
            )
        else:
            account, region = role.place.account, role.place.region
        here = {"account": account, "region": region, "vpc_id": vpc_id, "subnet_id": subnet_id}
        if role is None:
            return self._kept("Place", here, deletion_protection=deletion_protection)
        self._kept("Place", {**here, "role": "made"}, deletion_protection=False)
        kept = {**here, "permissions_boundary": permissions_boundary or "made"}
        return self._kept("PlaceWithRole", kept, deletion_protection=deletion_protection)

    def _kept(self, name: str, values: Mapping[str, Any], *, deletion_protection: bool) -> str:
        place = terraform_data(self, name, triggers_replace=rendered(values, typed=False))
        set_lifecycle(place, prevent_destroy=deletion_protection, create_before_destroy=True)
        return address(place)

    @staticmethod
    def from_stack_name(
        scope: Construct, id_: str, stack_name: str, *, provider: cdk.TerraformProvider | None = None
    ) -> Appliance:
        """Use an appliance whose CloudFormation stack exists, by the stack's name.

        Its target, filter, instance and outputs are looked up when Terraform plans.

        Raises:
            RuleViolation: not a stack name.
        """
        return _ExistingPacketBasics(scope, id_, stack_name=stack_name, provider=provider)


class _ExistingPacketBasics(Appliance):
    @checks_arguments()
    def __init__(
        self, scope: Construct, id_: str, *, stack_name: str, provider: cdk.TerraformProvider | None = None
    ) -> None:
        with located(scope, id_):
            check_cloudformation_stack_name(stack_name)
        super().__init__(scope, id_, provider=provider)
        self._stack_is(aws.DataAwsCloudformationStack(self, "Stack", name=stack_name), stack_name)


def _reserve(book: SessionBook, group: str, interface: str, number: int | None) -> int:
    """Write the session that the stack makes itself into the book."""
    if is_token(interface):
        return book.add_unknown(group, number)
    return book.add_mirror_source(group, interface, number)
