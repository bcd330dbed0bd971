"""The permissions of each preset, statement by statement beside the source that they were compared with.

What a source allows and a preset does not, or allows more narrowly, is written down with its reason. Actions of sources
are facts of public templates, read on 2026-11-28; the templates themselves are their authors'.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tapstack import OidcTrust, OwnTrust, ReaderSettings, VendorTrust
from tapstack.domain.globs import matches
from tapstack.domain.xdr_presets import PRESETS
from tests.synth.template import Template, assert_equal
from tests.synth.xdr.building import EXTERNAL_ID, Statements
from tests.synth.xdr.test_reader import allowed, read, role, trust

VENDOR = VendorTrust("444455556666", EXTERNAL_ID)
OWN = OwnTrust(("arn:aws:iam::111122223333:role/agent",), EXTERNAL_ID)
SESSION = f"MicrosoftSentinel_{EXTERNAL_ID}"
BUCKET = "arn:<partition>:s3:::<s3_bucket.bucket>"
CONSUME = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}


@dataclass(frozen=True)
class Source:
    """What a source allows an XDR.

    Attributes:
        where: repository and file, or page.
        objects: actions on objects.
        bucket: actions on the bucket.
        queue: actions on the queue.
        topics: actions on the vendor's own topics.
        everywhere: actions on all resources.
        left_out: actions that the preset does not allow, and why.
    """

    where: str
    objects: set[str]
    bucket: set[str] = field(default_factory=set)
    queue: set[str] = field(default_factory=set)
    topics: set[str] = field(default_factory=set)
    everywhere: set[str] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)


SOURCES = {
    "hunters": Source(
        "github.com/jbeltran-eb/localstack_tests, hunters_module/templates/hunters_policy.json",
        objects={"s3:GetObject"},
        bucket={"s3:ListBucket", "s3:GetBucketLocation", "s3:GetBucketNotification", "s3:PutBucketNotification"},
        topics={
            *("sns:ListSubscriptionsByTopic", "sns:GetTopicAttributes", "sns:SetTopicAttributes", "sns:CreateTopic"),
            *("sns:TagResource", "sns:Publish", "sns:Subscribe", "sns:Unsubscribe", "sns:DeleteTopic"),
        },
        everywhere={"s3:ListAllMyBuckets", "sns:ListTopics"},
    ),
    "cortex": Source(
        "github.com/PaloAltoNetworks/terraform-umbrella-s3-to-xsiam-ingestion-module, main.tf; GetQueueAttributes: "
        "github.com/Valley-CortexCloud/vpc-cortexcloud",
        objects={"s3:GetObject"},
        queue={*CONSUME, "sqs:GetQueueAttributes"},
        left_out={"the managed policy SecurityAudit": "reads the configuration of the whole account"},
    ),
    "sentinel": Source(
        "github.com/Azure/Azure-Sentinel, DataConnectors/AWS-S3/CloudFormation, Flow Logs and GuardDuty",
        objects={"s3:GetObject"},
        bucket={"s3:ListBucket"},
        queue={*CONSUME, "sqs:GetQueueUrl", "sqs:GetQueueAttributes"},
        left_out={"the managed policy AmazonGuardDutyReadOnlyAccess": "findings are read from the bucket"},
    ),
    "elastic": Source(
        "github.com/elastic/beats, x-pack/filebeat/docs/inputs/input-aws-s3.asciidoc, with SQS; GetQueueAttributes: "
        "Metrics",
        objects={"s3:GetObject"},
        queue={*CONSUME, "sqs:GetQueueAttributes"},
    ),
    "splunk": Source(
        "docs.splunk.com, Splunk Add-on for AWS, SQS-basedS3, as github.com/cisagov/cool-sharedservices-cdm has it",
        objects={"s3:GetObject", "s3:GetObjectVersion"},
        queue={*CONSUME, "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"},
        everywhere={"sqs:ListQueues"},
    ),
    "crowdstrike": Source(
        "github.com/RenovoSolutions/cdk-library-crowdstrike-ingestion, src/bucket.ts: grantRead, grantConsumeMessages",
        objects={"s3:GetObject*"},
        bucket={"s3:GetBucket*", "s3:List*"},
        queue={*CONSUME, "sqs:GetQueueUrl", "sqs:GetQueueAttributes"},
        left_out={
            "s3:GetObject*": "of it, s3:GetObject gets an object; the rest are ACLs, tags and locks",
            "s3:GetBucket*": "of it, s3:GetBucketLocation; the rest is the bucket's configuration",
            "s3:List*": "of it, s3:ListBucket lists objects",
        },
    ),
}


def reader(preset: str, **more: Any) -> ReaderSettings:
    trusts: dict[str, Any] = {"vendor": VENDOR, "oidc": OidcTrust(session_name=SESSION), "own": OWN}
    shape = str(PRESETS[preset].trust)
    given: dict[str, Any] = {"prefixes": ("incidents",), "preset": preset, shape: trusts[shape], **more}
    return ReaderSettings(**given)


@pytest.fixture(scope="module")
def presets() -> Template:
    return read({name: reader(name) for name in PRESETS if name != "hunters"})


@pytest.fixture(scope="module")
def managing() -> Template:
    return read({"hunters": reader("hunters")})


def found(request: pytest.FixtureRequest, name: str) -> Template:
    template: Template = request.getfixturevalue("managing" if name == "hunters" else "presets")
    return template


def actions(policy: Statements, resource: str) -> set[str]:
    """The actions of the statements that name a resource."""
    return {action for each in policy.values() for action in each["Action"] if resource in resources_of(each)}


def resources_of(statement: dict[str, Any]) -> list[str]:
    found = statement["Resource"]
    return [found] if isinstance(found, str) else list(found)


def test_when_a_preset_is_known_then_its_source_is() -> None:
    assert set(SOURCES) == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_when_a_preset_reads_then_it_may_what_its_source_allows_below_its_prefixes(
    request: pytest.FixtureRequest, name: str
) -> None:
    policy, source = allowed(found(request, name), name), SOURCES[name]
    topics = "arn:<partition>:sns:<region>:<account>:hunters?ingestion*"
    parts = {
        f"{BUCKET}/incidents/v1/*": source.objects,
        BUCKET: source.bucket,
        "<sqs_queue.arn>": source.queue,
        topics: source.topics,
        "*": source.everywhere,
    }
    for resource, expected in parts.items():
        have = actions(policy, resource)
        missing = {action for action in expected if action not in have} - set(source.left_out)
        more = {action for action in have if not any(matches(pattern, action) for pattern in expected)}
        assert (missing, more) == (set(), set()), resource
    assert {resource for each in policy.values() for resource in resources_of(each)} <= {*parts, "<kms_key.arn>"}


@pytest.mark.parametrize("name", PRESETS)
def test_when_a_preset_lists_then_below_its_prefixes_only(request: pytest.FixtureRequest, name: str) -> None:
    for statement in allowed(found(request, name), name).values():
        if "s3:ListBucket" in statement["Action"]:
            assert statement["Action"] == ["s3:ListBucket"]
            assert statement["Condition"] == {"StringLike": {"s3:prefix": ["incidents/v1/*"]}}


@pytest.mark.parametrize("name", PRESETS)
def test_when_a_preset_decrypts_then_by_way_of_s3_with_the_landing_s_key_only(
    request: pytest.FixtureRequest, name: str
) -> None:
    assert_equal(
        allowed(found(request, name), name)["DecryptObjects"],
        {
            "Sid": "DecryptObjects",
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": "<kms_key.arn>",
            "Condition": {"StringEquals": {"kms:ViaService": "s3.<region>.<partition.dns_suffix>"}},
        },
    )


@pytest.mark.parametrize("name", ["hunters", "cortex", "crowdstrike"])
def test_when_a_vendor_is_trusted_then_as_its_source_does(request: pytest.FixtureRequest, name: str) -> None:
    """hunters_role.json, main.tf and bucket.ts; Cortex writes ForAnyValue:StringEquals, which one value makes equal."""
    statement = trust(found(request, name), name)
    assert statement["Principal"] == {"AWS": "arn:<partition>:iam::444455556666:root"}
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


def test_when_crowdstrike_has_a_role_then_it_is_the_principal() -> None:
    arn = "arn:aws:iam::444455556666:role/ingest"
    template = read({"crowdstrike": reader("crowdstrike", vendor=VendorTrust(arn, EXTERNAL_ID))})
    assert trust(template, "crowdstrike")["Principal"] == {"AWS": arn}


def test_when_sentinel_is_trusted_then_as_its_source_does(presets: Template) -> None:
    """OpenID/Template 1 and the role of the Flow Logs template."""
    issuer = "sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d/"
    audience = "api://1462b192-27f7-4cb9-8523-0f4ecb54b47e"
    provider = presets.resource("aws_iam_openid_connect_provider")
    assert (provider["url"], provider["client_id_list"]) == (f"https://{issuer}", [audience])
    assert_equal(
        trust(presets, "sentinel"),
        {
            "Sid": "AllowReader",
            "Effect": "Allow",
            "Principal": {"Federated": "<iam_openid_connect_provider.arn>"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{issuer}:aud": audience, "sts:RoleSessionName": SESSION}},
        },
    )
    assert role(presets, "sentinel")["name"] == "OIDC_ir-a-xdr-reader-sentinel"


@pytest.mark.parametrize("name", ["elastic", "splunk"])
def test_when_own_agents_read_then_they_assume_the_role(presets: Template, name: str) -> None:
    statement = trust(presets, name)
    assert statement["Principal"] == {"AWS": ["arn:aws:iam::111122223333:role/agent"]}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


@pytest.mark.thorough
def test_when_elastic_has_no_queue_then_it_lists() -> None:
    """The same page, without SQS: s3:GetObject, s3:ListBucket, s3:GetBucketLocation."""
    template = read({"elastic": reader("elastic", queue=False)})
    policy = allowed(template, "elastic")
    assert actions(policy, BUCKET) == {"s3:ListBucket", "s3:GetBucketLocation"}
    assert actions(policy, f"{BUCKET}/incidents/v1/*") == {"s3:GetObject"}
    assert set(policy) == {"GetObjects", "ListObjects", "DescribeBucket", "DecryptObjects"}


def test_when_hunters_may_not_notify_then_it_writes_nothing_at_all() -> None:
    template = read({"hunters": reader("hunters", notifications="none")})
    policy = allowed(template, "hunters")
    assert set(policy) == {"GetObjects", "ListObjects", "DescribeBucket", "DecryptObjects", "ListNames"}
    assert policy["ListNames"]["Action"] == ["s3:ListAllMyBuckets"]
    every = {action for statement in policy.values() for action in statement["Action"]}
    assert not {action for action in every if not action.partition(":")[2].startswith(("Get", "List", "Decrypt"))}
