"""What the XDRs that are known here ask for: how they assume a role, and what it may do.

Each preset names the source that its permissions were compared with; tests hold the two together. No preset has an
account id or a secret of a vendor: these come from the vendor's own pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

PresetName = Literal["hunters", "cortex", "sentinel", "elastic", "splunk", "crowdstrike"]
TrustName = Literal["vendor", "oidc", "own"]

_CONSUME: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")


@dataclass(frozen=True, slots=True)
class Preset:
    """How an XDR reads.

    Attributes:
        called: what messages call it.
        trust: the shape of its trust; any for a reader without a preset.
        queue: whether it reads from a queue.
        objects: what it does with objects, below its prefixes only.
        bucket: what it does with the bucket besides listing.
        lists: whether it lists the bucket, below its prefixes only; without a queue every reader does.
        consumes: what it does with its queue.
        everywhere: what it does that knows no resource.
        own_topics: pattern of the names of topics that it makes itself, with the notifications of the bucket; empty
            where it makes none.
        external_id: form of its external id, where it has one of its own, and what messages call it.
        session_name: form of the name of its sessions, likewise.
        issuer: of its tokens, where it sends such.
        audience: of its tokens.
        role_prefix: what the name of its role must begin with.
        parquet: whether it reads Parquet.
        default_fields_only: whether it expects flow logs in the default format.
    """

    called: str
    trust: TrustName | None = None
    queue: Literal["always", "optional", "never"] = "always"
    objects: tuple[str, ...] = ("s3:GetObject",)
    bucket: tuple[str, ...] = ()
    lists: bool = False
    consumes: tuple[str, ...] = _CONSUME
    everywhere: tuple[str, ...] = ()
    own_topics: str = ""
    external_id: tuple[str, str] | None = None
    session_name: tuple[str, str] | None = None
    issuer: str | None = None
    audience: str | None = None
    role_prefix: str = ""
    parquet: bool = True
    default_fields_only: bool = False


_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID4: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

PRESETS: Final[Mapping[str, Preset]] = {
    # Hunters' CloudFormation as a public Terraform module repeats it: github.com/jbeltran-eb/localstack_tests,
    # hunters_module/templates/hunters_policy.json and hunters_role.json. Formats: docs.hunters.ai, "File format".
    "hunters": Preset(
        called="Hunters",
        trust="vendor",
        queue="never",
        bucket=("s3:GetBucketLocation", "s3:GetBucketNotification"),
        lists=True,
        everywhere=("s3:ListAllMyBuckets",),
        own_topics="hunters?ingestion*",
        parquet=False,
        default_fields_only=True,
    ),
    # github.com/PaloAltoNetworks/terraform-umbrella-s3-to-xsiam-ingestion-module, main.tf, without SecurityAudit;
    # the newer template of Cortex Cloud reads the attributes of the queue as well.
    "cortex": Preset(
        called="Cortex XDR and XSIAM",
        trust="vendor",
        consumes=(*_CONSUME, "sqs:GetQueueAttributes"),
        external_id=(_UUID4, "a UUID of version 4"),
    ),
    # github.com/Azure/Azure-Sentinel, DataConnectors/AWS-S3/CloudFormation: OpenID, Flow Logs, GuardDuty. There the
    # policies of the bucket and the queue allow it; here that of the role does, which in one account is the same.
    "sentinel": Preset(
        called="Microsoft Sentinel",
        trust="oidc",
        lists=True,
        consumes=(*_CONSUME, "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
        session_name=(rf"MicrosoftSentinel_{_UUID}", "MicrosoftSentinel_ and the workspace's id, a UUID"),
        issuer="https://sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d/",
        audience="api://1462b192-27f7-4cb9-8523-0f4ecb54b47e",
        role_prefix="OIDC_",
        parquet=False,
        default_fields_only=True,
    ),
    # github.com/elastic/beats, x-pack/filebeat/docs/inputs/input-aws-s3.asciidoc: "AWS permissions", and "Metrics" for
    # the attributes of the queue; it lists where it has no queue.
    "elastic": Preset(
        called="Elastic",
        trust="own",
        queue="optional",
        consumes=(*_CONSUME, "sqs:GetQueueAttributes"),
    ),
    # docs.splunk.com, Splunk Add-on for AWS, "SQS-based S3", as github.com/cisagov/cool-sharedservices-cdm has it
    # (cloudwatch_for_cdm.tf).
    "splunk": Preset(
        called="Splunk",
        trust="own",
        objects=("s3:GetObject", "s3:GetObjectVersion"),
        consumes=(*_CONSUME, "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"),
        everywhere=("sqs:ListQueues",),
    ),
    # github.com/RenovoSolutions/cdk-library-crowdstrike-ingestion, src/bucket.ts: what grantConsumeMessages of the AWS
    # CDK allows, and of what grantRead allows (s3:GetObject*, s3:GetBucket*, s3:List*) that which reads objects;
    # library.humio.com, IngestFeedS3SqsSource: preprocessing by lines.
    "crowdstrike": Preset(
        called="CrowdStrike",
        trust="vendor",
        bucket=("s3:GetBucketLocation",),
        lists=True,
        consumes=(*_CONSUME, "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
        parquet=False,
    ),
}
"""The known ones, by the name in the deployment file."""

ANY: Final = Preset(
    called="a reader",
    queue="optional",
    bucket=("s3:GetBucketLocation",),
    lists=True,
    consumes=(*_CONSUME, "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
)
"""A reader without a preset."""
