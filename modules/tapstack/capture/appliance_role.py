"""The role with which CloudFormation creates an appliance: one of a site, or one that an incident launches."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.capture.iam_documents import trusting
from tapstack.capture.place import Place
from tapstack.capture.scaffold import located
from tapstack.domain.appliance_calls import CHANGED, DESCRIBED, USED
from tapstack.domain.iam_documents import Statement, document
from tapstack.domain.packet_basics import Capability, check_stack_name_for_roles, makes_iam

_BOUNDED = (
    "cloudwatch:PutMetricData",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeTrafficMirrorFilters",
    "ec2:DescribeTrafficMirrorSessions",
    "ec2:DescribeTrafficMirrorTargets",
    "ec2:DescribeVpcs",
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)


class ApplianceRole(AwsConstruct):
    """The permissions with which CloudFormation creates, changes and deletes the appliance's stack.

    The product's template is not public. This grants what its documentation says it makes: in the one
    subnet an instance with one network interface, in its VPC a security group, an Elastic IP where asked,
    a mirror target, a filter with rules, a session. What was made may be changed and deleted only where it
    carries the tags that the stack has and others have not (those of the deployment and the site), which
    CloudFormation puts on whatever a stack makes, and nothing may be tagged as another's. A template that needs
    more takes `extra_statements`; CloudFormation names the missing action in its event.

    IAM roles and instance profiles only where a capability says that the template makes them: each role
    with the permissions boundary, and each under the stack's name with a capital letter behind it, as
    CloudFormation names what a template calls `ApplianceRole`. Names of deployments and sites have no
    capitals, so none of another site or of a response begins so.

    Only CloudFormation may assume it, only for this account and this stack.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the role, up to 64 characters.
        place: where it is deployed to.
        stack_name: of the stack.
        own_tags: tags of the stack, by which its resources are recognized.
        vpc_id: that the appliance's security groups belong to.
        subnet_id: of its interface.
        boundary_name: of the permissions boundary that is made here, up to 128 characters.
        capabilities: what the template may do besides making resources of its own.
        permissions_boundary: ARN of the policy that roles of the template have as their boundary. One that is
            made here by default, where there may be such roles.
        extra_statements: further IAM statements.
        tags: on the role.

    Raises:
        RuleViolation: the template may make roles, and the stack's name is too long for their names.

    See "AWS CloudFormation service role" in the AWS CloudFormation User Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        place: Place,
        stack_name: str,
        own_tags: Mapping[str, str],
        vpc_id: str,
        subnet_id: str,
        boundary_name: str,
        capabilities: Sequence[Capability],
        permissions_boundary: str | None = None,
        extra_statements: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the role and its policy."""
        with located(scope, id_):
            check_stack_name_for_roles(stack_name, capabilities)
        super().__init__(scope, id_)
        self.place, self.own_tags = place, own_tags
        role: Any = aws.IamRole(
            self,
            "Resource",
            name=name,
            description="Tapstack: CloudFormation launches the appliance with it",
            assume_role_policy=json_text(
                trusting(
                    "cloudformation.amazonaws.com", place, for_arn=place.arn("cloudformation", f"stack/{stack_name}/*")
                )
            ),
            tags=dict(tags) if tags else None,
        )
        statements = [*_statements(place, stack_name, own_tags, vpc_id, subnet_id)]
        if makes_iam(capabilities):
            boundary = permissions_boundary or self._boundary(boundary_name, place, tags)
            statements += _iam(stack_name, boundary)
        statements += [dict(statement) for statement in extra_statements]
        policy: Any = aws.IamRolePolicy(
            self, "Policy", name="appliance", role=role.name, policy=json_text(document(statements))
        )
        # By way of the policy: a stack is created after the role has its permissions.
        self.arn = place.role_arn(policy.role)

    def _boundary(self, name: str, place: Place, tags: Mapping[str, str] | None) -> str:
        """Create the permissions boundary of every role of the template, and return its ARN."""
        made: Any = aws.IamPolicy(
            self,
            "Boundary",
            name=name,
            description="Tapstack: the most that roles of the appliance's template may do",
            policy=json_text(document(_bounded(place))),
            tags=dict(tags) if tags else None,
        )
        return str(made.arn)


def _statements(
    place: Place, stack_name: str, own_tags: Mapping[str, str], vpc_id: str, subnet_id: str
) -> list[Statement]:
    requested = {f"aws:RequestTag/{key}": value for key, value in own_tags.items()}
    tagged = {f"aws:ResourceTag/{key}": value for key, value in own_tags.items()}
    ours = {"StringEquals": tagged}
    # Resources with such a tag can be changed by the functions of the site that it names.
    under_our_tags = {"StringEqualsIfExists": requested}
    anywhere = f"arn:{place.partition}:ec2:{place.region}"
    # A shared VPC, and its subnets, belong to another account.
    vpc, subnet = f"{anywhere}:*:vpc/{vpc_id}", f"{anywhere}:*:subnet/{subnet_id}"
    # The interface that is created with an instance has no tags, and may be used; one of another site may not.
    of_no_other = {"ArnLikeIfExists": {"ec2:Subnet": subnet}, "StringEqualsIfExists": tagged}
    nested = f"arn:{place.partition}:cloudformation:{place.region}:*:stack/{stack_name}-*"

    def new(*kinds: str) -> list[str]:
        # New resources belong to the account.
        return [f"{anywhere}:*:{kind}/*" for kind in kinds]

    def create(action: str, *resources: str, condition: Mapping[str, Any] | None = None) -> Statement:
        named = {"Sid": action, "Effect": "Allow", "Action": f"ec2:{action}", "Resource": list(resources)}
        return {**named, "Condition": dict(condition)} if condition else named

    return [
        create("AllocateAddress", *new("elastic-ip")),
        create("CreateNetworkInterface", *new("network-interface"), subnet),
        create("CreateSecurityGroup", *new("security-group"), vpc),
        create("CreateTrafficMirrorFilter", *new("traffic-mirror-filter")),
        create("CreateTrafficMirrorFilterRule", *new("traffic-mirror-filter-rule")),
        # Any interface of the account may be a source.
        create("CreateTrafficMirrorSession", *new("network-interface", "traffic-mirror-session")),
        create("CreateTrafficMirrorTarget", *new("network-interface", "traffic-mirror-target"), condition=of_no_other),
        create(
            "RunInstances",
            *new("instance", "key-pair", "network-interface", "volume"),
            f"{anywhere}::image/*",
            f"{anywhere}::snapshot/*",
            subnet,
            condition=of_no_other,
        ),
        {
            "Sid": "TagNew",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": place.arn("ec2", "*/*"),
            # All that it may create.
            "Condition": {"Null": {"ec2:CreateAction": "false"}, **under_our_tags},
        },
        {
            # And filters, targets and security groups, with which it creates rules, sessions and interfaces.
            "Sid": "ModifyStackResources",
            "Effect": "Allow",
            "Action": [f"ec2:{action}" for action in ("CreateTags", "DeleteTags", *CHANGED, *USED)],
            "Resource": place.arn("ec2", "*/*"),
            "Condition": {**ours, **under_our_tags},
        },
        {
            "Sid": "DescribeNetwork",
            "Effect": "Allow",
            "Action": [f"ec2:{action}" for action in DESCRIBED],
            "Resource": "*",
            "Condition": {"StringEquals": {"ec2:Region": place.region}},
        },
        {
            "Sid": "ReadImage",
            "Effect": "Allow",
            "Action": "ssm:GetParameters",
            "Resource": f"arn:{place.partition}:ssm:{place.region}::parameter/aws/service/*",
        },
        {
            # Nested stacks, which have its tags.
            "Sid": "NestStacks",
            "Effect": "Allow",
            "Action": "cloudformation:CreateStack",
            "Resource": nested,
            "Condition": {"StringEquals": requested},
        },
        {
            "Sid": "ModifyNested",
            "Effect": "Allow",
            "Action": ["cloudformation:DeleteStack", "cloudformation:UpdateStack"],
            "Resource": nested,
            "Condition": ours,
        },
    ]


def _iam(stack_name: str, boundary: str) -> list[Statement]:
    """Roles and instance profiles of the stack, by the names that CloudFormation gives them.

    What narrows them stands in statements of its own, so that the long list of names is there once: IAM takes 10,240
    characters of policies in a role. Nor does the list say the account: a role reaches IAM of its own account alone.
    """
    any_role = f"arn:*:iam::*:role/{stack_name}-*"

    def named(kind: str) -> list[str]:
        return [f"arn:*:iam::*:{kind}/{stack_name}-{letter}*" for letter in string.ascii_uppercase]

    return [
        {
            "Sid": "CreateRoles",
            "Effect": "Allow",
            "Action": [
                "iam:CreateRole",
                "iam:DeleteRole",
                "iam:DeleteRolePolicy",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
                "iam:PassRole",
                "iam:PutRolePolicy",
                "iam:TagRole",
                "iam:UntagRole",
            ],
            # These actions accept no pattern of roles and profiles.
            "Resource": named("role"),
        },
        {
            "Sid": "CreateProfiles",
            "Effect": "Allow",
            "Action": [
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:GetInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
            ],
            "Resource": named("instance-profile"),
        },
        {
            # After a path that begins with the stack's name, the name itself could be that of another role.
            "Sid": "RefusePaths",
            "Effect": "Deny",
            "Action": "iam:*",
            "Resource": [f"arn:*:iam::*:{kind}/{stack_name}-*/*" for kind in ("role", "instance-profile")],
        },
        {
            # True as well where a role has no boundary.
            "Sid": "RequirePermissionsBoundary",
            "Effect": "Deny",
            "Action": ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy"],
            "Resource": any_role,
            "Condition": {"StringNotEquals": {"iam:PermissionsBoundary": boundary}},
        },
        {
            "Sid": "PassRolesToEC2Only",
            "Effect": "Deny",
            "Action": "iam:PassRole",
            "Resource": any_role,
            "Condition": {"StringNotEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}},
        },
    ]


def _bounded(place: Place) -> list[Statement]:
    """The permissions boundary of the template's roles, for instances of the account and Region only.

    Describing itself, metrics and logs, Session Manager, and metering for the Marketplace. Any other principal that
    assumes such a role can do nothing with it.
    """
    by_an_instance = {"ArnLike": {"ec2:SourceInstanceARN": place.arn("ec2", "instance/*")}}
    here = {"StringEquals": {"aws:RequestedRegion": place.region}}
    return [
        {
            "Sid": "AllowApplianceCalls",
            "Effect": "Allow",
            "Action": list(_BOUNDED),
            "Resource": "*",
            "Condition": {**by_an_instance, **here},
        },
        {
            # Some products call it in us-east-1.
            "Sid": "Metering",
            "Effect": "Allow",
            "Action": ["aws-marketplace:MeterUsage", "aws-marketplace:RegisterUsage"],
            "Resource": "*",
            "Condition": by_an_instance,
        },
    ]
