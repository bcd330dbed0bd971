"""The rules of the ExtraHop Packet Basics CloudFormation template.

Source: ExtraHop's deployment guide for Packet Basics on AWS, and the CloudFormation API
Reference (CreateStack).
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from tapstack.domain import template_urls
from tapstack.domain.errors import RuleViolation
from tapstack.domain.iam_statements import check_statements
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tags import CLOUDFORMATION, EC2, IAM, check_tag_key, check_tag_value, tag_problems
from tapstack.domain.tokens import is_token

Capability = Literal["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
OnFailure = Literal["ROLLBACK", "DELETE", "DO_NOTHING"]

VPC_ID: Final = "VPCID"
SUBNET_ID: Final = "MgmtTrafficMirrorSubnetID"
REMOTE_ACCESS_CIDR: Final = "RemoteAccessCIDR"
PUBLIC_EIP: Final = "PublicEIP"
MIRROR_SOURCE: Final = "ENITrafficMirrorSource"
SESSION_NUMBER: Final = "ENITrafficMirrorSessionNumber"
OWN_PARAMETERS: Final = frozenset({VPC_ID, SUBNET_ID, REMOTE_ACCESS_CIDR, PUBLIC_EIP, MIRROR_SOURCE, SESSION_NUMBER})
USER_ACCESS_OUTPUT: Final = "PacketBasicsUserAccess"
CREDENTIALS_OUTPUT: Final = "PacketBasicsCredentials"
PORTAL_USER: Final = "setup"

DELETION_PROTECTION_TAG: Final = "tapstack:deletion-protection"
"""On the stack, and by it on all that it makes: `on` or `off`."""
TEMPLATE_TAG: Final = "tapstack:template"
"""On the stack: the fingerprint of the URL of its template."""
_KEPT_TYPES: Final = (
    "AWS::EC2::Instance",
    "AWS::EC2::NetworkInterface",
    "AWS::EC2::NetworkInterfaceAttachment",
    "AWS::EC2::TrafficMirrorFilter",
    "AWS::EC2::TrafficMirrorTarget",
    "AWS::EC2::Volume",
    "AWS::EC2::VolumeAttachment",
)
"""Types of the resources that store the packets, and that running sessions use."""

NOTIFICATION_ARNS: Final = 5
ON_FAILURE: Final[OnFailure] = "ROLLBACK"
DELETION_PROTECTION: Final = True
"""Defaults of the appliance of a site."""
_PARAMETER_NAME: Final = re.compile(r"[A-Za-z0-9]{1,255}")
_PARAMETER_VALUE: Final = 4096
"""Bytes. CloudFormation User Guide, "Parameters" and "Understand CloudFormation quotas"."""
STACK_NAME_WITH_ROLES: Final = 40
"""Leaves 24 of a role's 64 characters to its name in the template, and to CloudFormation's random ones."""
_CREDENTIALS: Final = frozenset(
    {"x-amz-signature", "x-amz-credential", "x-amz-security-token", "awsaccesskeyid", "signature"}
)
"""Parameters of presigned addresses: Amazon S3 API Reference, signature versions 4 and 2; servers may ignore case."""
TEMPLATE_URL_LENGTH: Final = 5120
TEMPLATE_URL_EXAMPLE: Final = "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/<uuid>.<uuid>.template"
_PLACEHOLDER: Final = re.compile(r"<[^<>]*>|[<>]")


def check_template_url(value: str) -> str:
    """Return `value` when CloudFormation can fetch a template from it: https, in Amazon S3.

    Raises:
        RuleViolation: a part in angle brackets is not filled in, not https, not an Amazon S3 address, or longer
            than 5120 characters.
    """
    if is_token(value):
        return value
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")  # such as https://[: no address at all
    if placeholders := _PLACEHOLDER.findall(value):
        raise RuleViolation(
            f"template url {value!r} cannot be used: put the ids of your subscription in place of "
            f"{' and '.join(dict.fromkeys(placeholders))}"
        )
    problem = ""
    if parts.scheme != "https":
        problem = "CloudFormation takes https only"
    elif not (parts.username or parts.password) and template_urls.parse(value) is None:
        problem = "CloudFormation takes templates from Amazon S3 only"
    elif len(value) > TEMPLATE_URL_LENGTH:
        problem = f"it is longer than {TEMPLATE_URL_LENGTH} characters"
    elif parts.username or parts.password or _CREDENTIALS & {name.lower() for name in parse_qs(parts.query)}:
        problem = "it holds credentials, which would end up in the state"
    if problem:
        raise RuleViolation(f"template url {value!r} cannot be used: {problem}; expected {TEMPLATE_URL_EXAMPLE}")
    return value


def fingerprint(template_url: str) -> str:
    """Return a fingerprint of a template URL, short enough for a tag."""
    return hashlib.sha256(template_url.encode()).hexdigest()[:16]


def stack_policy(*, deletion_protection: bool) -> dict[str, Any]:
    """Return the policy of the appliance's stack: what an update may do to what the stack made.

    By type, because the template is not public. An update that would replace or delete what holds the
    packets is rolled back; without protection every update is allowed. It says nothing about the
    deletion of the whole stack.

    Source: CloudFormation User Guide, "Prevent updates to stack resources".
    """
    everything: dict[str, Any] = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    kept: dict[str, Any] = {
        "Effect": "Deny",
        "Action": ["Update:Replace", "Update:Delete"],
        "Principal": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"ResourceType": list(_KEPT_TYPES)}},
    }
    return {"Statement": [everything, kept] if deletion_protection else [everything]}


def check_public_ip(public_ip: object, *, accept: bool) -> None:
    """Refuse an appliance with a public address unless that was accepted."""
    if public_ip and not accept:
        raise RuleViolation(
            "an Elastic IP puts the appliance's portal on the internet: leave public_ip off and reach it over "
            "VPN or Session Manager, or accept it with accept_public_ip"
        )


def makes_iam(capabilities: Sequence[str]) -> bool:
    """Return whether a template with these capabilities may create IAM roles."""
    return any("IAM" in capability for capability in capabilities)


def check_stack_name_for_roles(stack_name: str, capabilities: Sequence[str]) -> None:
    """Refuse a name so long that CloudFormation would shorten it in the names of the stack's roles."""
    if makes_iam(capabilities) and not is_token(stack_name) and len(stack_name) > STACK_NAME_WITH_ROLES:
        raise RuleViolation(
            f"the stack {stack_name} may make IAM roles, whose names of 64 characters begin with the stack's: expected "
            f"a name of at most {STACK_NAME_WITH_ROLES} characters, got {len(stack_name)}; shorten the names of "
            "project and site, or give no capability for IAM"
        )


_BOUNDS_NOTHING: Final = frozenset({"AdministratorAccess", "PowerUserAccess", "IAMFullAccess"})
"""Policies of AWS under which a role can do, or give itself, whatever the account can: AWS Managed Policy Reference."""


def check_permissions_boundary(policy_arn: str | None, capabilities: Sequence[str]) -> None:
    """Refuse a permissions boundary that is not a policy, that limits nothing, or that no role would have."""
    if policy_arn is None:
        return
    check_identifier("iam policy", policy_arn)
    if not makes_iam(capabilities):
        raise RuleViolation(
            "permissions_boundary goes with capabilities CAPABILITY_IAM or CAPABILITY_NAMED_IAM: without them the "
            "template makes no role"
        )
    name = policy_arn.rpartition("/")[2]
    if ":iam::aws:" in policy_arn and name in _BOUNDS_NOTHING:
        raise RuleViolation(
            f"permissions_boundary {name} bounds next to nothing: leave it out, and a boundary is made, or give a "
            "policy that allows only what the appliance's roles need"
        )


def check_own_tags(own_tags: Mapping[str, str] | None, capabilities: Sequence[str]) -> None:
    """Refuse tags that AWS would not take, or that do not tell what a stack with a role makes from what others make."""
    for key, value in (own_tags or {}).items():
        try:
            if not is_token(key):
                check_tag_key(key)
            if not is_token(value):
                check_tag_value(value)
        except RuleViolation as violation:
            raise RuleViolation(f"own_tags[{key!r}]: {violation}") from None
    if not makes_iam(capabilities):
        return
    if not own_tags:
        raise RuleViolation(
            "capabilities for IAM need own_tags: the stack's role may change only what has them, and without them "
            "that would be whatever there is"
        )
    if "Name" in own_tags:
        raise RuleViolation("own_tags['Name']: the template gives each resource a Name of its own")
    for about, _, problem in tag_problems(own_tags, (EC2, CLOUDFORMATION, IAM)):
        raise RuleViolation(f"own_tags: {problem}" if about is None else f"own_tags[{about!r}]: {problem}")


def check_extra_statements(statements: Sequence[Mapping[str, Any]], capabilities: Sequence[str]) -> None:
    """Refuse statements that IAM would not take, or that go into no role."""
    check_statements("extra_statements", statements)
    if statements and not makes_iam(capabilities):
        raise RuleViolation(
            "extra_statements go with capabilities CAPABILITY_IAM or CAPABILITY_NAMED_IAM: without them the stack has "
            "no role of its own"
        )


def check_parameter(name: str, value: str) -> None:
    """Refuse an extra template parameter that has a setting of its own, or that CloudFormation does not take."""
    if name in OWN_PARAMETERS:
        raise RuleViolation(f"{name} cannot be given as an extra parameter: it has a setting of its own")
    if not _PARAMETER_NAME.fullmatch(name):
        raise RuleViolation(f"{name!r} is not the name of a template's parameter: expected 1 to 255 letters and digits")
    if not is_token(value) and (size := len(value.encode())) > _PARAMETER_VALUE:
        raise RuleViolation(
            f"the value of parameter {name} is too long: expected at most {_PARAMETER_VALUE} bytes, got {size}"
        )


def check_parameters(parameters: Mapping[str, str]) -> None:
    """Refuse the extra template parameters that `check_parameter` refuses."""
    for name, value in parameters.items():
        check_parameter(name, value)


def check_notification_arns(arns: Sequence[str]) -> None:
    """Refuse more than the 5 SNS topics that CloudFormation notifies of a stack's events."""
    if len(arns) > NOTIFICATION_ARNS:
        raise RuleViolation(f"a stack notifies at most {NOTIFICATION_ARNS} SNS topics, got {len(arns)}")
    for arn in arns:
        check_identifier("sns topic", arn)


def password_command(stack_name: str, region: str) -> str:
    """Return the command that shows the first password of the portal's user, an output of the appliance's stack.

    Args:
        stack_name: of the appliance.
        region: of the stack; empty for the caller's own.
    """
    where = f" --region {shlex.quote(region)}" if region else ""
    query = f"Stacks[0].Outputs[?OutputKey=='{CREDENTIALS_OUTPUT}'].OutputValue"
    return (
        f"aws cloudformation describe-stacks --stack-name {shlex.quote(stack_name)}{where} --output text "
        f'--query "{query}"'
    )
