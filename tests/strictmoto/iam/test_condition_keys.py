"""Condition keys: each that the account counts as known has a value where AWS gives one; others let nothing through."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from strictmoto.iam.keys import GIVEN, GIVEN_BEGINNINGS
from strictmoto.identity.principals import assume
from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal, session_of

pytestmark = pytest.mark.long

REGION: Final = "eu-central-1"
# Keys that only a service, a token, an organization or CloudFormation brings; the tests named hold them.
ELSEWHERE: Final = {
    "aws:CalledVia": "test_templates_of_stacks.py",
    "aws:CalledViaFirst": "test_templates_of_stacks.py",
    "aws:CalledViaLast": "test_templates_of_stacks.py",
    "aws:FederatedProvider": "test_trust.py",
    "aws:PrincipalOrgID": "test_resource_policies.py",
    "aws:PrincipalOrgPaths": "test_resource_policies.py",
    "aws:PrincipalServiceName": "test_resource_policies.py",
    "aws:ResourceOrgID": "test_resource_policies.py",
    "aws:ResourceOrgPaths": "test_resource_policies.py",
    "aws:SourceAccount": "test_resource_policies.py",
    "aws:SourceArn": "test_resource_policies.py",
    "aws:SourceOrgID": "test_resource_policies.py",
    "aws:SourceOrgPaths": "test_resource_policies.py",
    "cloudformation:ChangeSetName": "test_what_calls_mean.py",
    "cloudformation:ResourceTypes": "test_templates_of_stacks.py",
    "cloudformation:RoleArn": "test_templates_of_stacks.py",
    "cloudformation:StackPolicyUrl": "test_what_calls_mean.py",
    "events:detail.eventTypeCode": "test_what_services_find.py",
    "events:detail.service": "test_what_services_find.py",
    "events:detail.userIdentity.principalId": "test_what_services_find.py",
    "events:TargetArn": "test_what_services_find.py",
    "cloudformation:TemplateUrl": "test_templates_of_stacks.py",
    "dynamodb:FullTableScan": "test_what_services_find.py",
    "lambda:SourceFunctionArn": "test_condition_keys.py",
    "s3:object-lock-legal-hold": "test_what_services_find.py",
    "s3:object-lock-mode": "test_what_services_find.py",
    "s3:object-lock-remaining-retention-days": "test_what_services_find.py",
    "s3:object-lock-retain-until-date": "test_what_services_find.py",
    "ssm:Overwrite": "test_what_services_find.py",
    "ssm:Recursive": "test_what_services_find.py",
    "sts:ExternalId": "test_trust.py",
    "sts:RoleSessionName": "test_trust.py",
    "sts:SourceIdentity": "test_trust.py",
    "sts:TransitiveTagKeys": "test_trust.py",
    "aws:SourceIdentity": "test_trust.py",
    "aws:MultiFactorAuthAge": "test_sessions.py",
}


def _launch(enforcing: Enforcing) -> dict[str, Any]:
    ec2 = enforcing.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    template = ec2.create_launch_template(
        LaunchTemplateName="lt", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    profile = enforcing.client("iam").create_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Arn"]
    return {
        "LaunchTemplate": {"LaunchTemplateId": template},
        "IamInstanceProfile": {"Arn": profile},
        "MinCount": 1,
        "MaxCount": 1,
        "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": False}],
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 9, "Iops": 3000, "Throughput": 125}}],
    }


_ALL: Final = (
    "aws:CurrentTime aws:EpochTime aws:MultiFactorAuthPresent aws:PrincipalAccount aws:PrincipalArn "
    "aws:PrincipalIsAWSService aws:PrincipalType aws:RequestedRegion aws:SecureTransport aws:SourceIp "
    "aws:TokenIssueTime aws:UserAgent aws:ViaAWSService aws:userid ec2:Region"
)
_OF_INSTANCE: Final = (
    "ec2:AvailabilityZone ec2:EbsOptimized ec2:InstanceMarketType ec2:InstanceProfile ec2:InstanceType "
    "ec2:IsLaunchTemplateResource ec2:LaunchTemplate ec2:MetadataHttpEndpoint ec2:MetadataHttpPutResponseHopLimit "
    "ec2:MetadataHttpTokens ec2:RootDeviceType ec2:Tenancy"
)
_OF_VOLUME: Final = "ec2:Encrypted ec2:VolumeIops ec2:VolumeSize ec2:VolumeThroughput ec2:VolumeType"


def _of_ec2() -> Iterator[tuple[str, str, str, Callable[[Enforcing, Any], Any]]]:
    """Yield the kind of resource, the keys that it has, the action, and the call."""

    def run(enforcing: Enforcing, client: Any) -> None:
        client.run_instances(**_launch(enforcing))

    yield "instance", _OF_INSTANCE, "ec2:RunInstances", run
    yield "network-interface", "ec2:AssociatePublicIpAddress ec2:Subnet ec2:Vpc", "ec2:RunInstances", run
    yield "volume", _OF_VOLUME, "ec2:RunInstances", run
    yield "image", "ec2:ImageID ec2:Owner ec2:Public", "ec2:RunInstances", run

    def tag(kind: str) -> Callable[[Enforcing, Any], Any]:
        def call(enforcing: Enforcing, client: Any) -> None:
            ec2 = enforcing.client("ec2")
            image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
            made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
            interface, volume = made["NetworkInterfaces"][0], made["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
            snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
            found = {
                "instance": made["InstanceId"],
                "network-acl": ec2.describe_network_acls()["NetworkAcls"][0]["NetworkAclId"],
                "network-interface": interface["NetworkInterfaceId"],
                "route-table": ec2.describe_route_tables()["RouteTables"][0]["RouteTableId"],
                "security-group": interface["Groups"][0]["GroupId"],
                "snapshot": snapshot,
                "subnet": interface["SubnetId"],
                "volume": volume,
                "vpc": interface["VpcId"],
            }
            client.create_tags(Resources=[found[kind]], Tags=[{"Key": "a", "Value": "b"}])

        return call

    for kind, keys in (
        ("instance", "ec2:InstanceID ec2:InstanceType ec2:MetadataHttpTokens ec2:Tenancy"),
        ("network-acl", "ec2:NetworkAclID ec2:Vpc"),
        ("network-interface", "ec2:NetworkInterfaceID ec2:Subnet ec2:Vpc"),
        ("route-table", "ec2:RouteTableID ec2:Vpc"),
        ("security-group", "ec2:SecurityGroupID ec2:Vpc"),
        (
            "snapshot",
            "ec2:SnapshotID ec2:Encrypted ec2:Owner ec2:ParentVolume ec2:SnapshotTime ec2:VolumeSize",
        ),
        ("subnet", "ec2:SubnetID ec2:AvailabilityZone"),
        ("volume", "ec2:VolumeID ec2:VolumeIops ec2:VolumeSize ec2:VolumeType"),
        ("vpc", "ec2:VpcID"),
    ):
        yield kind, f"{keys} aws:TagKeys aws:RequestTag/a aws:ResourceAccount", "ec2:CreateTags", tag(kind)


OF_EC2: Final = list(_of_ec2())


def _s3(enforcing: Enforcing, **more: Any) -> Any:
    s3 = enforcing.client("s3")
    s3.create_bucket(Bucket="vic", CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3.put_object(Bucket="vic", Key="k", Body=b"x", Tagging="lock=1", **more)


def _made_object(enforcing: Enforcing, client: Any) -> None:
    _s3(enforcing)
    client.get_object(Bucket="vic", Key="k")


def _listing(enforcing: Enforcing, client: Any) -> None:
    _s3(enforcing)
    client.list_objects_v2(Bucket="vic", Prefix="k", Delimiter="/", MaxKeys=5)


def _putting(enforcing: Enforcing, client: Any) -> None:
    _s3(enforcing)
    client.put_object(
        Bucket="vic",
        Key="k",
        Body=b"x",
        ACL="private",
        StorageClass="STANDARD",
        Tagging="a=b",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="k",
    )


def _copying(enforcing: Enforcing, client: Any) -> None:
    _s3(enforcing)
    client.copy_object(Bucket="vic", Key="l", CopySource="vic/k", MetadataDirective="REPLACE")


def _own_key(enforcing: Enforcing, client: Any) -> None:
    _s3(enforcing)
    client.put_object(Bucket="vic", Key="m", Body=b"x", SSECustomerKey="0" * 32, SSECustomerAlgorithm="AES256")


def _version(enforcing: Enforcing, client: Any) -> None:
    _s3(enforcing)
    enforcing.client("s3").put_bucket_versioning(Bucket="vic", VersioningConfiguration={"Status": "Enabled"})
    version = enforcing.client("s3").put_object(Bucket="vic", Key="k", Body=b"y")["VersionId"]
    client.get_object(Bucket="vic", Key="k", VersionId=version)


def _item(enforcing: Enforcing, client: Any) -> None:
    enforcing.client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "i", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "i", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="t", Item={"i": {"S": "1"}})


def _encrypting(enforcing: Enforcing, client: Any) -> None:
    key = enforcing.client("kms").create_key()["KeyMetadata"]["KeyId"]
    client.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})


def _subscribing(enforcing: Enforcing, client: Any) -> None:
    topic = enforcing.client("sns").create_topic(Name="t")["TopicArn"]
    client.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")


def _balancing(enforcing: Enforcing, client: Any) -> None:
    subnets = [one["SubnetId"] for one in enforcing.client("ec2").describe_subnets()["Subnets"]][:2]
    client.create_load_balancer(Name="b", Type="network", Subnets=subnets, Tags=[{"Key": "a", "Value": "b"}])


def _attribute(enforcing: Enforcing, client: Any) -> None:
    vpc = enforcing.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    client.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})


def _describing(enforcing: Enforcing, client: Any) -> None:
    interface = enforcing.client("ec2").create_network_interface(
        SubnetId=enforcing.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    )["NetworkInterface"]["NetworkInterfaceId"]
    client.describe_network_interface_attribute(NetworkInterfaceId=interface, Attribute="description")


def _tagged(enforcing: Enforcing, client: Any) -> None:
    vpc = enforcing.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    client.create_subnet(
        VpcId=vpc,
        CidrBlock="172.31.240.0/24",
        TagSpecifications=[{"ResourceType": "subnet", "Tags": [{"Key": "a", "Value": "b"}]}],
    )


def _mapping(enforcing: Enforcing, client: Any) -> None:
    with pytest.raises(ClientError, match="ResourceNotFound|Function not found"):
        client.create_event_source_mapping(
            FunctionName=f"arn:aws:lambda:{REGION}:{HERE}:function:f",
            EventSourceArn=f"arn:aws:sqs:{REGION}:{HERE}:q",
        )


def _permission(enforcing: Enforcing, client: Any) -> None:
    with pytest.raises(ClientError, match="ResourceNotFound|Function not found"):
        client.add_permission(
            FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
        )


CALLS: Final[list[tuple[str, str, str, Callable[[Enforcing, Any], Any]]]] = [
    ("ec2", _ALL, "ec2:DescribeVpcs", lambda _, client: client.describe_vpcs()),
    ("ec2", "ec2:Attribute/EnableDnsHostnames", "ec2:ModifyVpcAttribute", _attribute),
    ("ec2", "ec2:Attribute", "ec2:DescribeNetworkInterfaceAttribute", _describing),
    ("ec2", "ec2:CreateAction", "ec2:CreateTags", _tagged),
    (
        "s3",
        "s3:ExistingObjectTag/lock s3:signatureversion s3:TlsVersion aws:ResourceAccount",
        "s3:GetObject",
        _made_object,
    ),
    ("s3", "s3:VersionId", "s3:GetObjectVersion", _version),
    ("s3", "s3:prefix s3:delimiter s3:max-keys", "s3:ListBucket", _listing),
    (
        "s3",
        "s3:x-amz-acl s3:x-amz-storage-class s3:x-amz-server-side-encryption s3:RequestObjectTagKeys "
        "s3:x-amz-server-side-encryption-aws-kms-key-id s3:RequestObjectTag/a",
        "s3:PutObject",
        _putting,
    ),
    ("s3", "s3:x-amz-copy-source s3:x-amz-metadata-directive", "s3:PutObject", _copying),
    ("s3", "s3:x-amz-server-side-encryption-customer-algorithm", "s3:PutObject", _own_key),
    ("dynamodb", "dynamodb:LeadingKeys", "dynamodb:PutItem", _item),
    ("kms", "kms:CallerAccount kms:EncryptionContextKeys kms:EncryptionContext:a", "kms:Encrypt", _encrypting),
    ("sns", "aws:SourceOwner sns:Endpoint sns:Protocol", "sns:Subscribe", _subscribing),
    ("elbv2", "elasticloadbalancing:CreateAction", "elasticloadbalancing:AddTags", _balancing),
    (
        "events",
        "events:source events:detail-type",
        "events:PutEvents",
        lambda _, client: client.put_events(Entries=[{"Source": "a", "DetailType": "b", "Detail": "{}"}]),
    ),
    ("lambda", "lambda:FunctionArn", "lambda:CreateEventSourceMapping", _mapping),
    ("lambda", "lambda:Principal", "lambda:AddPermission", _permission),
    (
        "iam",
        "iam:AWSServiceName",
        "iam:CreateServiceLinkedRole",
        lambda _, client: client.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com"),
    ),
    (
        "iam",
        "iam:PermissionsBoundary",
        "iam:CreateRole",
        lambda _, client: client.create_role(
            RoleName="b",
            AssumeRolePolicyDocument=policy({"Principal": {"AWS": HERE}, "Action": "sts:AssumeRole"}),
            PermissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess",
        ),
    ),
    (
        "iam",
        "iam:PolicyARN",
        "iam:AttachRolePolicy",
        lambda _, client: client.attach_role_policy(
            RoleName="worker-0", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"
        ),
    ),
]


def _with_keys(keys: str, action: str, resource: str = "*") -> list[dict[str, Any]]:
    """Return statements that allow everything else, and the action only where the request has all the keys."""
    there = {"Null": dict.fromkeys(keys.split(), "false")}
    found: list[dict[str, Any]] = [{"NotAction": action}, {"Action": action, "Resource": resource, "Condition": there}]
    return found + ([{"Action": action, "NotResource": resource, "Resource": None}] if resource != "*" else [])


def _statements(keys: str, action: str, kind: str) -> list[dict[str, Any]]:
    found = _with_keys(keys, action, f"arn:aws:ec2:*:*:{kind}/*")
    found[-1].pop("Resource")
    return found


@pytest.mark.parametrize(("service", "keys", "action", "call"), CALLS, ids=[f"{row[2]}" for row in CALLS])
def test_when_aws_gives_a_key_then_the_account_gives_it(
    enforcing: Enforcing, service: str, keys: str, action: str, call: Callable[[Enforcing, Any], Any]
) -> None:
    call(enforcing, enforcing.worker(service, *_with_keys(keys, action)))


@pytest.mark.parametrize(("kind", "keys", "action", "call"), OF_EC2, ids=[f"{row[2]} of {row[0]}" for row in OF_EC2])
def test_when_aws_gives_a_key_of_a_resource_then_the_account_gives_it(
    enforcing: Enforcing, kind: str, keys: str, action: str, call: Callable[[Enforcing, Any], Any]
) -> None:
    statements = _statements(keys, action, kind)
    iam = enforcing.client("iam")
    arn = enforcing.role("keys", {"Action": "none:None"})
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
    for one in document["Statement"]:
        if "NotResource" not in one:
            one.setdefault("Resource", "*")  # type: ignore[attr-defined]
    iam.put_role_policy(RoleName="keys", PolicyName="work", PolicyDocument=json.dumps(document))
    call(enforcing, enforcing.client("ec2", role_arn=arn))


def test_when_a_key_is_listed_as_given_then_a_test_gives_it() -> None:
    tried = {key for rows in (CALLS, OF_EC2) for _, keys, _, _ in rows for key in keys.split()}
    by_hand = {"aws:username", "iam:PassedToService", *ELSEWHERE}
    assert set(GIVEN) - tried - by_hand == set()
    beginnings = {"aws:PrincipalTag/", "aws:ResourceTag/", "ec2:ResourceTag/", "iam:ResourceTag/", "kms:ResourceTag/"}
    beginnings |= {"secretsmanager:ResourceTag/", "ssm:ResourceTag/"}
    beginnings |= {"autoscaling:ResourceTag/", "elasticloadbalancing:ResourceTag/"}
    assert {one for one in GIVEN_BEGINNINGS if not any(key.startswith(one) for key in tried)} == beginnings


@pytest.mark.parametrize("method", ["list_tables", "describe_limits", "list_backups"])
def test_when_a_call_is_about_no_table_then_the_conditions_of_a_statement_are_compared(
    enforcing: Enforcing, method: str
) -> None:
    guard = {"Effect": "Deny", "Action": "*", "Condition": {"StringNotEquals": {"aws:RequestedRegion": REGION}}}
    assert getattr(enforcing.worker("dynamodb", {"Action": "dynamodb:*"}, guard), method)()


class TestAttributes:
    """Source: Service Authorization Reference, the actions of Amazon EC2 that have ec2:Attribute/${AttributeName}."""

    def _denied(self, enforcing: Enforcing, action: str, condition: Any) -> Any:
        deny = {"Effect": "Deny", "Action": f"ec2:{action}", "Condition": condition}
        return enforcing.worker("ec2", {"Action": "ec2:*"}, deny)

    def _instance(self, enforcing: Enforcing) -> Any:
        ec2 = enforcing.client("ec2")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        return ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"][0]

    @pytest.mark.parametrize(
        ("condition", "refused", "taken"),
        [
            ({"StringEquals": {"ec2:Attribute/HttpTokens": "optional"}}, "optional", "required"),
            ({"StringNotEquals": {"ec2:Attribute/HttpTokens": "required"}}, "optional", "required"),
        ],
    )
    def test_when_options_of_an_instance_are_modified_then_they_are_keys(
        self, enforcing: Enforcing, condition: Any, refused: str, taken: str
    ) -> None:
        instance = self._instance(enforcing)["InstanceId"]
        modify = self._denied(enforcing, "ModifyInstanceMetadataOptions", condition).modify_instance_metadata_options
        code, message = refusal(modify, InstanceId=instance, HttpTokens=refused)
        assert (code, "with an explicit deny" in message) == ("UnauthorizedOperation", True)
        assert modify(InstanceId=instance, HttpTokens=taken)["InstanceMetadataOptions"]["HttpTokens"] == taken

    def test_when_a_mirror_session_is_modified_then_what_it_gets_are_keys(self, enforcing: Enforcing) -> None:
        ec2, instance = enforcing.client("ec2"), self._instance(enforcing)
        made = [
            ec2.create_traffic_mirror_target(
                NetworkInterfaceId=ec2.create_network_interface(SubnetId=instance["SubnetId"])["NetworkInterface"][
                    "NetworkInterfaceId"
                ]
            )["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
            for _ in range(2)
        ]
        session = ec2.create_traffic_mirror_session(
            NetworkInterfaceId=instance["NetworkInterfaces"][0]["NetworkInterfaceId"],
            TrafficMirrorTargetId=made[0],
            TrafficMirrorFilterId=ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"],
            SessionNumber=1,
        )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
        for condition, refused, taken in (
            ({"NumericLessThan": {"ec2:Attribute/PacketLength": "128"}}, {"PacketLength": 64}, {"PacketLength": 128}),
            (
                {"StringEquals": {"ec2:Attribute/TrafficMirrorTargetId": made[1]}},
                {"TrafficMirrorTargetId": made[1]},
                {"TrafficMirrorTargetId": made[0]},
            ),
            # Its own id is no attribute that it gets.
            ({"Null": {"ec2:Attribute/TrafficMirrorSessionId": "true"}}, {"SessionNumber": 2}, None),
        ):
            modify = self._denied(enforcing, "ModifyTrafficMirrorSession", condition).modify_traffic_mirror_session
            assert refusal(modify, TrafficMirrorSessionId=session, **refused)[0] == "UnauthorizedOperation"
            if taken:
                assert modify(TrafficMirrorSessionId=session, **taken)

    def test_when_an_address_is_modified_then_its_attributes_are_keys(self, enforcing: Enforcing) -> None:
        address = enforcing.client("ec2").allocate_address(Domain="vpc")["AllocationId"]
        named = {"StringEquals": {"ec2:Attribute/DomainName": "a.example"}}
        worker = self._denied(enforcing, "ModifyAddressAttribute", named)
        code, _ = refusal(worker.modify_address_attribute, AllocationId=address, DomainName="a.example")
        assert code == "UnauthorizedOperation"

    def test_when_it_is_open_which_attribute_is_meant_then_a_deny_holds(self, enforcing: Enforcing) -> None:
        volume = enforcing.client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
        worker = self._denied(enforcing, "ModifyVolume", {"StringEquals": {"ec2:Attribute": "Size"}})
        code, message = refusal(worker.modify_volume, VolumeId=volume, Size=9)
        assert (code, "ec2:Attribute" in message) == ("UnauthorizedOperation", True)

    def test_when_an_attribute_is_set_by_itself_then_none_is_named(self, enforcing: Enforcing) -> None:
        instance = self._instance(enforcing)["InstanceId"]
        worker = self._denied(
            enforcing, "ModifyInstanceAttribute", {"StringEquals": {"ec2:Attribute": "disableApiTermination"}}
        )
        assert worker.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})

    def test_when_a_call_modifies_what_there_is_one_of_then_its_attributes_are_keys(self, enforcing: Enforcing) -> None:
        condition = {"StringEquals": {"ec2:Attribute/HttpTokens": "optional"}}
        worker = self._denied(enforcing, "ModifyInstanceMetadataDefaults", condition)
        assert refusal(worker.modify_instance_metadata_defaults, HttpTokens="optional")[0] == "UnauthorizedOperation"
        assert refusal(worker.modify_instance_metadata_defaults, HttpTokens="required")[0] != "UnauthorizedOperation"


class TestSessions:
    def test_fails_when_a_session_is_older_than_a_policy_allows(self, enforcing: Enforcing) -> None:
        arn = enforcing.role("contained", {"Action": "ec2:*"})
        session = enforcing.client("ec2", role_arn=arn)
        assert session.describe_vpcs()["Vpcs"]
        until = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        revoked = {
            "Effect": "Deny",
            "Action": "*",
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": until}},
        }
        iam = enforcing.client("iam")
        iam.put_role_policy(RoleName="contained", PolicyName="AWSRevokeOlderSessions", PolicyDocument=policy(revoked))
        assert "with an explicit deny" in refusal(session.describe_vpcs)[1]
        time.sleep(1.1)
        assert enforcing.client("ec2", role_arn=arn).describe_vpcs()["Vpcs"]

    def test_when_a_user_calls_then_only_its_session_has_a_time_of_issue(self, enforcing: Enforcing) -> None:
        issued = {"Action": "ec2:*", "Condition": {"Null": {"aws:TokenIssueTime": "false", "aws:username": "false"}}}
        keys = enforcing.user("u", issued)
        assert refusal(enforcing.signed("ec2", keys).describe_vpcs)[0] == "UnauthorizedOperation"
        session = session_of(enforcing.signed("sts", keys).get_session_token())
        assert enforcing.signed("ec2", session).describe_vpcs()["Vpcs"]

    def test_when_a_function_calls_then_its_arn_is_a_key(self, enforcing: Enforcing) -> None:
        arn = f"arn:aws:lambda:{REGION}:{HERE}:function:f"
        named = {"Action": "ec2:*", "Condition": {"ArnEquals": {"lambda:SourceFunctionArn": arn}}}
        role = enforcing.role("function", named, trust={"Service": "lambda.amazonaws.com"})
        of_function = assume(role, "f", REGION, service="lambda.amazonaws.com", source_arn=arn)
        assert enforcing.signed("ec2", of_function).describe_vpcs()["Vpcs"]
        other = assume(role, "g", REGION)
        assert refusal(enforcing.signed("ec2", other).describe_vpcs)[0] == "UnauthorizedOperation"


@pytest.mark.parametrize("kind", ["User", "Role"])
class TestBoundaries:
    """Source: IAM User Guide, "Delegating responsibility to others using permissions boundaries"."""

    OTHER: Final = "arn:aws:iam::aws:policy/AdministratorAccess"
    BOUNDARY: Final = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    COMPARED: Final = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}

    def _make(self, enforcing: Enforcing, kind: str) -> None:
        if kind == "User":
            enforcing.client("iam").create_user(UserName="x", PermissionsBoundary=self.BOUNDARY)
            enforcing.client("iam").create_user(UserName="y")
        else:
            enforcing.role("x", PermissionsBoundary=self.BOUNDARY)
            enforcing.role("y")

    def test_when_an_administrator_may_only_give_policies_within_a_boundary_then_it_is_compared(
        self, enforcing: Enforcing, kind: str
    ) -> None:
        self._make(enforcing, kind)
        worker = enforcing.worker("iam", {"Action": "iam:*", "Condition": self.COMPARED})
        call = getattr(worker, f"put_{kind.lower()}_policy")
        given = {"PolicyName": "p", "PolicyDocument": policy({"Action": "s3:*"})}
        call(**{f"{kind}Name": "x"}, **given)
        assert refusal(call, **{f"{kind}Name": "y"}, **given)[0] == "AccessDenied"

    def test_fails_when_a_boundary_may_not_be_deleted(self, enforcing: Enforcing, kind: str) -> None:
        self._make(enforcing, kind)
        deny = {"Effect": "Deny", "Action": f"iam:Delete{kind}PermissionsBoundary", "Condition": self.COMPARED}
        call = getattr(
            enforcing.worker("iam", {"Action": "iam:*"}, deny), f"delete_{kind.lower()}_permissions_boundary"
        )
        assert "with an explicit deny" in refusal(call, **{f"{kind}Name": "x"})[1]

    def test_fails_when_a_boundary_is_replaced_by_one_that_is_not_allowed(
        self, enforcing: Enforcing, kind: str
    ) -> None:
        self._make(enforcing, kind)
        worker = enforcing.worker("iam", {"Action": "iam:*", "Condition": self.COMPARED})
        call = getattr(worker, f"put_{kind.lower()}_permissions_boundary")
        assert refusal(call, **{f"{kind}Name": "x"}, PermissionsBoundary=self.OTHER)[0] == "AccessDenied"
        call(**{f"{kind}Name": "y"}, PermissionsBoundary=self.BOUNDARY)


class TestKeysThatTheAccountCannotTell:
    def test_fails_when_a_deny_compares_one(self, enforcing: Enforcing) -> None:
        deny = {"Effect": "Deny", "Action": "lambda:*", "Condition": {"StringEquals": {"lambda:Layer": "l"}}}
        worker = enforcing.worker("lambda", {"Action": "*"}, deny)
        message = refusal(worker.get_function, FunctionName="f")[1]
        assert message.endswith(
            "with an explicit deny in an identity-based policy (strictmoto gives no value to lambda:Layer, "
            "which a policy compares)"
        )

    @pytest.mark.parametrize("operator", ["StringEqualsIfExists", "StringNotEquals", "ForAllValues:StringEquals"])
    def test_fails_when_an_allow_would_hold_without_it(self, enforcing: Enforcing, operator: str) -> None:
        worker = enforcing.worker("lambda", {"Action": "*", "Condition": {operator: {"lambda:Layer": "l"}}})
        assert "no identity-based policy allows" in refusal(worker.get_function, FunctionName="f")[1]

    def test_when_the_rest_of_a_deny_does_not_hold_then_it_counts_for_nothing(self, enforcing: Enforcing) -> None:
        condition = {"StringEquals": {"lambda:Layer": "l", "aws:RequestedRegion": "us-west-2"}}
        deny = {"Effect": "Deny", "Action": "lambda:*", "Condition": condition}
        assert enforcing.worker("lambda", {"Action": "*"}, deny).list_functions()["Functions"] == []

    @pytest.mark.parametrize("key", ["aws:SourceVpce", "rds:DatabaseClass", "ec2:SourceInstanceARN"])
    def test_when_no_such_call_has_a_key_on_aws_then_a_deny_does_not_hold(self, enforcing: Enforcing, key: str) -> None:
        deny = {"Effect": "Deny", "Action": "*", "Condition": {"StringEquals": {key: "x"}}}
        assert enforcing.worker("ec2", {"Action": "*"}, deny).describe_vpcs()["Vpcs"]

    def test_fails_when_tags_of_a_resource_are_not_read(self, enforcing: Enforcing) -> None:
        deny = {"Effect": "Deny", "Action": "*", "Condition": {"StringEquals": {"aws:ResourceTag/lock": "1"}}}
        worker = enforcing.worker("ecr", {"Action": "*"}, deny)
        arn = f"arn:aws:ecr:{REGION}:{HERE}:repository/r"
        assert "aws:ResourceTag/lock" in refusal(worker.list_tags_for_resource, resourceArn=arn)[1]
