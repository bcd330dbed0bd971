"""The role that CloudFormation launches an appliance with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE
from tapstack.domain.packet_basics import Capability
from tapstack.response import policies
from tapstack.response.names import Place

_MADE = (
    "RunInstances",
    "CreateNetworkInterface",
    "CreateSecurityGroup",
    "AllocateAddress",
    "CreateTrafficMirrorTarget",
    "CreateTrafficMirrorFilter",
    "CreateTrafficMirrorFilterRule",
    "CreateTrafficMirrorSession",
)
_CHANGED = (
    "AssociateAddress",
    "AttachNetworkInterface",
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "DeleteNetworkInterface",
    "DeleteSecurityGroup",
    "DeleteTrafficMirrorFilter",
    "DeleteTrafficMirrorFilterRule",
    "DeleteTrafficMirrorSession",
    "DeleteTrafficMirrorTarget",
    "DetachNetworkInterface",
    "DisassociateAddress",
    "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
    "ModifyTrafficMirrorFilterNetworkServices",
    "ModifyTrafficMirrorFilterRule",
    "ModifyTrafficMirrorSession",
    "ReleaseAddress",
    "RevokeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "StopInstances",
    "TerminateInstances",
)
_DESCRIBED = (
    "DescribeAddresses",
    "DescribeAvailabilityZones",
    "DescribeImages",
    "DescribeInstanceStatus",
    "DescribeInstances",
    "DescribeKeyPairs",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeTrafficMirrorFilterRules",
    "DescribeTrafficMirrorFilters",
    "DescribeTrafficMirrorSessions",
    "DescribeTrafficMirrorTargets",
    "DescribeVolumes",
    "DescribeVpcs",
)


class ApplianceRole(AwsConstruct):
    """What CloudFormation may do to make the appliance's stack, and to take it away.

    The product's template is not public. This grants what its documentation says it makes: an
    instance with one network interface, a security group, an Elastic IP where asked, a mirror
    target, a filter with rules, a session; and, where a capability says that the template makes
    IAM resources, roles and instance profiles whose names begin with the stack's. What was made may be
    changed and deleted only where it carries the tags of the deployment and the site, which
    CloudFormation puts on whatever a stack makes. A template that needs more takes
    `extra_statements`; CloudFormation names the missing action in its event.

    Only CloudFormation may assume it, only for this account, and the function that hands it over
    may use it for the one stack, made from the one template.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the role, up to 64 characters.
        place: where it is deployed to.
        stack_name: of the stack.
        deployment: name of the deployment.
        site: name of the site.
        capabilities: IAM capabilities the template needs.
        extra_statements: further IAM statements.
        tags: on the role.

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
        deployment: str,
        site: str,
        capabilities: Sequence[Capability],
        extra_statements: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the role and its policy."""
        super().__init__(scope, id_)
        role: Any = aws.IamRole(
            self,
            "Resource",
            name=name,
            description="Tapstack: CloudFormation launches the appliance with it",
            assume_role_policy=json_text(policies.trusting("cloudformation.amazonaws.com", place)),
            tags=dict(tags) if tags else None,
        )
        ours = {
            "StringEquals": {
                f"aws:ResourceTag/{TAG_DEPLOYMENT}": deployment,
                f"aws:ResourceTag/{TAG_SITE}": site,
            }
        }
        statements = [
            *_statements(place, ours),
            *(_iam(place, stack_name) if any("IAM" in capability for capability in capabilities) else ()),
            *extra_statements,
        ]
        policy: Any = aws.IamRolePolicy(
            self, "Policy", name="appliance", role=role.name, policy=json_text(policies.document(statements))
        )
        # By way of the policy: a stack is launched once the role may make it.
        self.arn = place.role_arn(policy.role)


def _statements(place: Place, ours: Mapping[str, Any]) -> list[policies.Statement]:
    return [
        {
            "Sid": "MakeIt",
            "Effect": "Allow",
            "Action": [f"ec2:{action}" for action in _MADE],
            "Resource": f"arn:{place.partition}:ec2:{place.region}:*:*/*",
        },
        {
            "Sid": "TagWhatIsMade",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": place.arn("ec2", "*/*"),
            "Condition": {"StringEquals": {"ec2:CreateAction": list(_MADE)}},
        },
        {
            "Sid": "TagOursAgain",
            "Effect": "Allow",
            "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
            "Resource": place.arn("ec2", "*/*"),
            "Condition": ours,
        },
        {
            "Sid": "ChangeAndDeleteOurs",
            "Effect": "Allow",
            "Action": [f"ec2:{action}" for action in _CHANGED],
            "Resource": place.arn("ec2", "*/*"),
            "Condition": ours,
        },
        {
            "Sid": "LookAround",
            "Effect": "Allow",
            "Action": [f"ec2:{action}" for action in _DESCRIBED],
            "Resource": "*",
            "Condition": {"StringEquals": {"ec2:Region": place.region}},
        },
        {
            "Sid": "FindTheImage",
            "Effect": "Allow",
            "Action": "ssm:GetParameters",
            "Resource": f"arn:{place.partition}:ssm:{place.region}::parameter/aws/service/*",
        },
    ]


def _iam(place: Place, stack_name: str) -> list[policies.Statement]:
    """Roles and instance profiles of the stack: CloudFormation begins their names with the stack's."""
    roles = place.role_arn(f"{stack_name}-*")
    profiles = f"arn:{place.partition}:iam::{place.account}:instance-profile/{stack_name}-*"
    return [
        {
            "Sid": "MakeItsRoleAndProfile",
            "Effect": "Allow",
            "Action": [
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:CreateRole",
                "iam:DeleteInstanceProfile",
                "iam:DeleteRole",
                "iam:DeleteRolePolicy",
                "iam:GetInstanceProfile",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:PutRolePolicy",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
                "iam:TagRole",
            ],
            "Resource": [roles, profiles],
        },
        {
            "Sid": "GiveItsRoleToTheInstance",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": roles,
            "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        },
    ]
