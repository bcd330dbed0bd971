"""The condition keys that the account gives values to, those that no request of it has, and those it does not know.

A key that it does not know never lets a request through: a statement that denies holds, one that allows does not.

Sources: IAM User Guide, "AWS global condition context keys" and "IAM and AWS STS condition context keys"; Service
Authorization Reference, the condition keys of each service.
"""

from __future__ import annotations

import functools
from typing import Final

from strictmoto.iam.authorizations.ec2 import sets_attributes
from strictmoto.iam.facts import reads_tags_of

GIVEN: Final = (
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
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
    "aws:ResourceOrgPaths",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceOwner",
    "aws:TagKeys",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:ViaAWSService",
    "aws:userid",
    "aws:username",
    "cloudformation:ChangeSetName",
    "cloudformation:ResourceTypes",
    "cloudformation:RoleArn",
    "cloudformation:StackPolicyUrl",
    "cloudformation:TemplateUrl",
    "dynamodb:FullTableScan",
    "dynamodb:LeadingKeys",
    "ec2:AssociatePublicIpAddress",
    "ec2:Attribute",
    "ec2:AvailabilityZone",
    "ec2:CreateAction",
    "ec2:EbsOptimized",
    "ec2:Encrypted",
    "ec2:ImageID",
    "ec2:InstanceID",
    "ec2:InstanceMarketType",
    "ec2:InstanceProfile",
    "ec2:InstanceType",
    "ec2:IsLaunchTemplateResource",
    "ec2:LaunchTemplate",
    "ec2:MetadataHttpEndpoint",
    "ec2:MetadataHttpPutResponseHopLimit",
    "ec2:MetadataHttpTokens",
    "ec2:NetworkAclID",
    "ec2:NetworkInterfaceID",
    "ec2:Owner",
    "ec2:ParentVolume",
    "ec2:Public",
    "ec2:Region",
    "ec2:RootDeviceType",
    "ec2:RouteTableID",
    "ec2:SecurityGroupID",
    "ec2:SnapshotID",
    "ec2:SnapshotTime",
    "ec2:Subnet",
    "ec2:SubnetID",
    "ec2:Tenancy",
    "ec2:VolumeID",
    "ec2:VolumeIops",
    "ec2:VolumeSize",
    "ec2:VolumeThroughput",
    "ec2:VolumeType",
    "ec2:Vpc",
    "ec2:VpcID",
    "elasticloadbalancing:CreateAction",
    "events:TargetArn",
    "events:detail-type",
    "events:detail.eventTypeCode",
    "events:detail.service",
    "events:detail.userIdentity.principalId",
    "events:source",
    "iam:AWSServiceName",
    "iam:PassedToService",
    "iam:PermissionsBoundary",
    "iam:PolicyARN",
    "kms:CallerAccount",
    "kms:EncryptionContextKeys",
    "lambda:FunctionArn",
    "lambda:Principal",
    "lambda:SourceFunctionArn",
    "s3:RequestObjectTagKeys",
    "s3:TlsVersion",
    "s3:VersionId",
    "s3:delimiter",
    "s3:max-keys",
    "s3:object-lock-legal-hold",
    "s3:object-lock-mode",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-retain-until-date",
    "s3:prefix",
    "s3:signatureversion",
    "s3:x-amz-acl",
    "s3:x-amz-copy-source",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-storage-class",
    "sns:Endpoint",
    "sns:Protocol",
    "ssm:Overwrite",
    "ssm:Recursive",
    "sts:ExternalId",
    "sts:RoleSessionName",
    "sts:SourceIdentity",
    "sts:TransitiveTagKeys",
)
"""Keys that have a value where AWS gives one; where the account gives none, a request has none."""
GIVEN_BEGINNINGS: Final = (
    "aws:PrincipalTag/",
    "aws:RequestTag/",
    "aws:ResourceTag/",
    "autoscaling:ResourceTag/",
    "ec2:Attribute/",
    "ec2:ResourceTag/",
    "elasticloadbalancing:ResourceTag/",
    "iam:ResourceTag/",
    "kms:EncryptionContext:",
    "kms:ResourceTag/",
    "s3:ExistingObjectTag/",
    "s3:RequestObjectTag/",
    "secretsmanager:ResourceTag/",
    "ssm:ResourceTag/",
)
_GIVEN: Final = frozenset(name.lower() for name in GIVEN)
_BEGINNINGS: Final = tuple(name.lower() for name in GIVEN_BEGINNINGS)
_OF_WEB_IDENTITIES: Final = (":aud", ":sub", ":amr")

# What AWS does not give either to calls that come through no endpoint of a VPC, from no instance, and from no chat.
_NEVER: Final = (
    "aws:assumedroot",
    "aws:chatbotsourcearn",
    "aws:ec2instancesource",
    "aws:sourcevpc",
    "aws:vpce",
    "aws:vpcsourceip",
    "ec2:roledelivery",
    "ec2:sourceinstancearn",
    "kms:viaservice",
    "ssm:sourceinstancearn",
)
_ACTIONS_UNREAD: Final = (
    "ec2:createfleet",
    "ec2:createlaunchtemplate",
    "ec2:modifyinstancemetadataoptions",
    "ec2:requestspot",
)
"""Actions whose parameters hold the settings of an instance that the account does not read."""
_OF_LAUNCHES: Final = frozenset(
    f"ec2:{name}"
    for name in (
        "associatepublicipaddress",
        "ebsoptimized",
        "encrypted",
        "instancemarkettype",
        "instanceprofile",
        "instancetype",
        "metadatahttpendpoint",
        "metadatahttpputresponsehoplimit",
        "metadatahttptokens",
        "tenancy",
        "volumeiops",
        "volumesize",
        "volumethroughput",
        "volumetype",
    )
)
_RESOURCE_TAG: Final = ":resourcetag/"


@functools.lru_cache(4096)
def is_told(key: str, action: str, arn: str) -> bool:
    """Return whether the account knows that a request without a value of this key has none on AWS either.

    Args:
        key: of a condition.
        action: that is asked for.
        arn: of the resource.
    """
    name, (service, _, _) = key.lower(), action.lower().partition(":")
    if name.startswith(_NEVER) or name.endswith(_OF_WEB_IDENTITIES):
        return True
    owner = name.partition(":")[0]
    if owner not in ("aws", service):
        # The keys of a service are in its own requests; those of identity providers where a token is shown.
        return not (service == "sts" and "." in owner)
    if name in _OF_LAUNCHES and action.lower().startswith(_ACTIONS_UNREAD):
        return False
    if _RESOURCE_TAG in name and ":" in arn and not arn.endswith("/*") and not reads_tags_of(arn):
        return False
    if name == "ec2:attribute" and not action.endswith("Attribute") and sets_attributes(action.partition(":")[2]):
        # No parameter of such a request is called so, and AWS does not say what the key is of it.
        return False
    if service == "ec2" and owner == "ec2" and arn == "*":
        # Their keys are those of resources.
        return True
    return name in _GIVEN or name.startswith(_BEGINNINGS)
