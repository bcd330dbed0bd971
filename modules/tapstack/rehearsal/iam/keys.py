"""The condition keys that the account gives values to, where a request has one; every other key counts as absent.

Sources: IAM User Guide, "AWS global condition context keys" and "IAM and AWS STS condition context keys"; Service
Authorization Reference, the condition keys of each service.
"""

from __future__ import annotations

from typing import Final

_KEYS: Final = frozenset(
    name.lower()
    for name in (
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:FederatedProvider",
        "aws:MultiFactorAuthAge",
        "aws:MultiFactorAuthPresent",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalIsAWSService",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalServiceName",
        "aws:PrincipalType",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:ResourceOrgID",
        "aws:SecureTransport",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceIp",
        "aws:SourceOrgID",
        "aws:SourceOwner",
        "aws:SourceVpc",
        "aws:SourceVpce",
        "aws:TagKeys",
        "aws:TokenIssueTime",
        "aws:UserAgent",
        "aws:ViaAWSService",
        "aws:CalledVia",
        "aws:CalledViaFirst",
        "aws:CalledViaLast",
        "aws:userid",
        "aws:username",
        "cloudformation:ResourceTypes",
        "cloudformation:RoleArn",
        "cloudformation:TemplateUrl",
        "dynamodb:LeadingKeys",
        "ec2:Attribute",
        "ec2:AvailabilityZone",
        "ec2:CreateAction",
        "ec2:InstanceType",
        "ec2:Region",
        "ec2:Subnet",
        "ec2:Vpc",
        "elasticloadbalancing:CreateAction",
        "events:detail-type",
        "events:source",
        "iam:PassedToService",
        "iam:PermissionsBoundary",
        "iam:PolicyARN",
        "kms:CallerAccount",
        "lambda:FunctionArn",
        "lambda:Principal",
        "s3:VersionId",
        "s3:delimiter",
        "s3:max-keys",
        "s3:prefix",
        "s3:x-amz-acl",
        "s3:x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "sns:Endpoint",
        "sns:Protocol",
        "sts:ExternalId",
        "sts:RoleSessionName",
        "sts:SourceIdentity",
    )
)
_BEGINNINGS: Final = tuple(
    name.lower()
    for name in (
        "aws:PrincipalTag/",
        "aws:RequestTag/",
        "aws:ResourceTag/",
        "ec2:Attribute/",
        "ec2:ResourceTag/",
        "iam:ResourceTag/",
        "kms:EncryptionContext:",
        "kms:ResourceTag/",
    )
)


def is_known(key: str) -> bool:
    """Return whether the account gives the key a value where a request has one; web identity keys end in :aud, :sub."""
    name = key.lower()
    return name in _KEYS or name.startswith(_BEGINNINGS) or name.endswith((":aud", ":sub", ":amr"))
