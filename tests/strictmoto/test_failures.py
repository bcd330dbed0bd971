"""Calls that moto fails at, because what they name is not there or was left out: AWS refuses each."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused

TABLE = "tgw-rtb-0123456789abcdef0"
ATTACHMENT = "tgw-attach-0123456789abcdef0"
GATEWAY = "tgw-0123456789abcdef0"
NOTHING: dict[str, Any] = {}
INSTANCE = "i-0123456789abcdef0"
GROUP = {"AutoScalingGroupName": "nothing"}
STATES = "arn:aws:states:eu-central-1:123456789012"
CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("ec2", "delete_nat_gateway", {"NatGatewayId": "nat-0123456789abcdef0"}, "NatGatewayNotFound"),
    ("ec2", "delete_transit_gateway", {"TransitGatewayId": GATEWAY}, "InvalidTransitGatewayID.NotFound"),
    (
        "ec2",
        "delete_transit_gateway_vpc_attachment",
        {"TransitGatewayAttachmentId": ATTACHMENT},
        "InvalidTransitGatewayAttachmentID.NotFound",
    ),
    (
        "ec2",
        "create_transit_gateway_route",
        {"TransitGatewayRouteTableId": TABLE, "DestinationCidrBlock": "10.0.0.0/8"},
        "InvalidRouteTableID.NotFound",
    ),
    ("ec2", "disassociate_address", {"AssociationId": ""}, "MissingParameter"),
    ("ec2", "delete_managed_prefix_list", {"PrefixListId": ""}, "MissingParameter"),
    ("ec2", "release_hosts", {"HostIds": ["h-0123456789abcdef0"]}, "InvalidHostID.NotFound"),
    (
        "ec2",
        "cancel_spot_instance_requests",
        {"SpotInstanceRequestIds": ["sir-01234567"]},
        "InvalidSpotInstanceRequestID.NotFound",
    ),
    (
        "ec2",
        "copy_image",
        {"Name": "copy", "SourceImageId": "ami-0123456789abcdef0", "SourceRegion": "eu-central-1"},
        "InvalidAMIID.NotFound",
    ),
    ("ec2", "create_launch_template_version", {"LaunchTemplateData": {}}, "MissingParameter"),
    (
        "ec2",
        "request_spot_fleet",
        {"SpotFleetRequestConfig": {"IamFleetRole": "r", "TargetCapacity": 1}},
        "MissingParameter",
    ),
    ("ec2", "delete_fleets", {"FleetIds": ["fleet-0"], "TerminateInstances": True}, "InvalidParameterValue"),
    ("sns", "publish", {"Message": "a"}, "InvalidParameter"),
    (
        "sns",
        "delete_platform_application",
        {"PlatformApplicationArn": "arn:aws:sns:eu-central-1:123456789012:app/x/y"},
        "InvalidParameter",
    ),
    ("events", "put_partner_events", {"Entries": [NOTHING]}, "ValidationException"),
    ("autoscaling", "set_instance_health", {"InstanceId": INSTANCE, "HealthStatus": "Unhealthy"}, "ValidationError"),
    (
        "autoscaling",
        "terminate_instance_in_auto_scaling_group",
        {"InstanceId": INSTANCE, "ShouldDecrementDesiredCapacity": True},
        "ValidationError",
    ),
    ("autoscaling", "enable_metrics_collection", {**GROUP, "Granularity": "1Minute"}, "ValidationError"),
    ("autoscaling", "describe_warm_pool", GROUP, "ValidationError"),
    ("autoscaling", "put_scaling_policy", {**GROUP, "PolicyName": "p"}, "ValidationError"),
    ("autoscaling", "describe_auto_scaling_groups", {"NextToken": "xyz"}, "InvalidNextToken"),
    ("ec2", "allocate_hosts", {"AvailabilityZone": "eu-central-1a"}, "MissingParameter"),
    (
        "ec2",
        "create_fleet",
        {"LaunchTemplateConfigs": [NOTHING], "TargetCapacitySpecification": {"TotalTargetCapacity": 1}},
        "MissingParameter",
    ),
    ("ec2", "modify_spot_fleet_request", {"SpotFleetRequestId": "sfr-0"}, "InvalidSpotFleetRequestId.NotFound"),
    (
        "ec2",
        "describe_launch_template_versions",
        {"LaunchTemplateId": "lt-0123456789abcdef0", "MinVersion": "xyz"},
        "InvalidParameterValue",
    ),
    ("ec2", "describe_iam_instance_profile_associations", {"NextToken": "xyz"}, "InvalidNextToken"),
    ("s3", "copy_object", {"Bucket": "evidence", "Key": "a", "CopySource": "made-up"}, "InvalidArgument"),
    ("s3", "put_object", {"Bucket": "evidence", "Key": "a", "GrantRead": "xyz"}, "InvalidArgument"),
    ("stepfunctions", "list_executions", NOTHING, "ValidationException"),
    ("stepfunctions", "describe_state_machine_alias", {"stateMachineAliasArn": "x"}, "InvalidArn"),
    ("stepfunctions", "update_state_machine_alias", {"stateMachineAliasArn": "x", "description": "d"}, "InvalidArn"),
    ("stepfunctions", "delete_state_machine_alias", {"stateMachineAliasArn": f"{STATES}:stateMachine:m"}, "InvalidArn"),
    ("stepfunctions", "describe_map_run", {"mapRunArn": f"{STATES}:mapRun:m/e:1"}, "ResourceNotFound"),
    ("iam", "list_roles", {"Marker": "xyz"}, "ValidationError"),
    ("elbv2", "describe_load_balancers", {"Marker": "xyz"}, "ValidationError"),
    ("sns", "list_topics", {"NextToken": "xyz"}, "InvalidParameter"),
    ("ssm", "list_documents", {"NextToken": "xyz"}, "InvalidNextToken"),
    ("secretsmanager", "list_secrets", {"NextToken": "xyz"}, "InvalidNextTokenException"),
    ("cloudformation", "describe_stacks", {"NextToken": "xyz"}, "ValidationError"),
    ("ssm", "create_document", {"Content": "a", "Name": "n", "DocumentFormat": "YAML"}, "InvalidDocumentContent"),
    *(
        (
            "ec2",
            "request_spot_fleet",
            {
                "SpotFleetRequestConfig": {
                    "IamFleetRole": "r",
                    "TargetCapacity": 1,
                    "AllocationStrategy": "lowestPrice",
                    **launched,
                }
            },
            "MissingParameter",
        )
        for launched in (
            {"LaunchSpecifications": [NOTHING]},
            {"LaunchSpecifications": [{"InstanceType": "m5.large"}]},
            {"LaunchTemplateConfigs": [{"LaunchTemplateSpecification": {"Version": "1"}}]},
        )
    ),
    *(
        (
            "ec2",
            f"{verb}_transit_gateway_route_table_propagation",
            {"TransitGatewayRouteTableId": "x", "TransitGatewayRouteTableAnnouncementId": "x"},
            "InvalidTransitGatewayRouteTableAnnouncementId.NotFound",
        )
        for verb in ("enable", "disable")
    ),
    ("kms", "retire_grant", NOTHING, "ValidationException"),
    ("kms", "retire_grant", {"GrantId": "abcdefghij0123456789"}, "ValidationException"),
    (
        "ec2",
        "enable_transit_gateway_route_table_propagation",
        {"TransitGatewayRouteTableId": TABLE},
        "MissingParameter",
    ),
    (
        "ec2",
        "disable_transit_gateway_route_table_propagation",
        {"TransitGatewayRouteTableId": TABLE},
        "MissingParameter",
    ),
    ("logs", "delete_metric_filter", {"logGroupName": "l", "filterName": "f"}, "ResourceNotFoundException"),
    ("dynamodb", "transact_write_items", {"TransactItems": [NOTHING]}, "ValidationException"),
]


@pytest.mark.parametrize(
    ("service", "action", "given", "code"), CALLS, ids=[f"{call[0]}:{call[1]}:{call[3]}" for call in CALLS]
)
def test_fails_when_a_call_names_nothing_that_is_there(
    aws_account: Account, service: str, action: str, given: dict[str, Any], code: str
) -> None:
    with refused(code):
        getattr(aws_account.client(service), action)(**given)


@pytest.mark.parametrize(
    ("service", "action", "given", "code"),
    [
        ("dynamodb", "list_tables", {"Limit": -1}, "ValidationException"),
        ("autoscaling", "describe_auto_scaling_groups", {"MaxRecords": -1}, "ValidationError"),
        ("autoscaling", "describe_launch_configurations", {"MaxRecords": -1}, "ValidationError"),
    ],
)
def test_fails_when_a_page_has_less_than_nothing(
    aws_account: Account, service: str, action: str, given: dict[str, Any], code: str
) -> None:
    signed = aws_account.client(service)._request_signer._credentials
    # The client would refuse it.
    client = boto3.client(
        service,
        region_name="eu-central-1",
        endpoint_url=aws_account.endpoint,
        aws_access_key_id=signed.access_key,
        aws_secret_access_key=signed.secret_key,
        config=Config(parameter_validation=False),
    )
    with refused(code):
        getattr(client, action)(**given)


def test_fails_when_a_role_that_is_no_arn_is_assumed_where_iam_is_off(aws_account: Account) -> None:
    """Nothing says that there is no such role; it must not end in HTTP 500."""
    given = aws_account.client("sts").assume_role(RoleArn="a" * 20, RoleSessionName="session")
    assert given["Credentials"]["SessionToken"]


@pytest.mark.parametrize("action", ["put_bucket_acl", "put_bucket_lifecycle_configuration"])
def test_fails_when_a_body_is_left_out(aws_account: Account, action: str) -> None:
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with refused("MissingRequestBodyError"):
        getattr(s3, action)(Bucket="evidence")


@pytest.mark.parametrize(
    "configuration",
    [{"Events": ["s3:ObjectCreated:*"], "QueueArn": ""}, {"Events": [], "QueueArn": "arn:aws:sqs:eu-central-1:1:q"}],
)
def test_fails_when_a_notification_is_incomplete(aws_account: Account, configuration: dict[str, Any]) -> None:
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with refused("MalformedXML"):
        s3.put_bucket_notification_configuration(
            Bucket="evidence", NotificationConfiguration={"QueueConfigurations": [configuration]}
        )
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket="evidence")


def test_when_a_bucket_sends_its_events_to_event_bridge_then_its_configuration_says_so(aws_account: Account) -> None:
    """Terraform finds the element there, which is empty."""
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    configurations: tuple[dict[str, Any], ...] = ({"EventBridgeConfiguration": {}}, {})
    for given in configurations:
        s3.put_bucket_notification_configuration(Bucket="evidence", NotificationConfiguration=given)
        shown = s3.get_bucket_notification_configuration(Bucket="evidence")
        assert {name: value for name, value in shown.items() if name != "ResponseMetadata"} == given


@pytest.mark.parametrize(
    "given", [{"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}, {"SimplePrefix": {}}, None]
)
def test_when_a_bucket_is_logged_then_the_keys_of_its_logs_are_shown(aws_account: Account, given: Any) -> None:
    s3 = aws_account.client("s3")
    for name in ("evidence", "logs"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    enabled = {"TargetBucket": "logs", "TargetPrefix": "a/", **({"TargetObjectKeyFormat": given} if given else {})}
    s3.put_bucket_logging(Bucket="evidence", BucketLoggingStatus={"LoggingEnabled": enabled})
    assert s3.get_bucket_logging(Bucket="evidence")["LoggingEnabled"] == enabled
    both = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}, "SimplePrefix": {}}
    with refused("MalformedXML"):
        s3.put_bucket_logging(
            Bucket="evidence", BucketLoggingStatus={"LoggingEnabled": {**enabled, "TargetObjectKeyFormat": both}}
        )


def test_when_the_target_of_logs_has_a_policy_for_everyone_then_it_is_taken(aws_account: Account) -> None:
    """Such as one that refuses plain HTTP, whose principal is no service."""
    s3 = aws_account.client("s3")
    for name in ("evidence", "logs"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::logs/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    enabled = {"TargetBucket": "logs", "TargetPrefix": ""}
    s3.put_bucket_logging(Bucket="evidence", BucketLoggingStatus={"LoggingEnabled": enabled})
    assert s3.get_bucket_logging(Bucket="evidence")["LoggingEnabled"] == enabled


def test_fails_when_tags_are_taken_off_an_object_that_is_not_there(aws_account: Account) -> None:
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with refused("NoSuchKey"):
        s3.delete_object_tagging(Bucket="evidence", Key="nothing")


def test_when_a_source_or_a_grant_has_its_form_then_it_is_taken(aws_account: Account) -> None:
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(
        Bucket="evidence", Key="a b/c", Body=b"x", GrantRead='id="abc", uri=http://acs.amazonaws.com/groups/a'
    )
    s3.copy_object(Bucket="evidence", Key="d", CopySource={"Bucket": "evidence", "Key": "a b/c"})
    s3.copy_object(Bucket="evidence", Key="e", CopySource="/evidence/d")
    assert s3.get_object(Bucket="evidence", Key="e")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "MissingParameter"),
        ({"CidrBlock": "xyz"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
    ],
)
def test_fails_when_a_block_of_a_vpc_is_none_and_the_vpc_stays_as_it_was(
    aws_account: Account, given: dict[str, str], code: str
) -> None:
    ec2 = aws_account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    with refused(code):
        ec2.associate_vpc_cidr_block(VpcId=vpc, **given)
    [found] = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert [one["CidrBlock"] for one in found["CidrBlockAssociationSet"]] == ["10.1.0.0/16"]


def test_fails_when_a_subnet_has_no_addresses_of_version_6(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    with refused("InvalidParameterValue"):
        ec2.assign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6AddressCount=1)


def test_when_a_parameter_that_is_not_there_was_asked_for_then_others_can_be_listed(aws_account: Account) -> None:
    ssm = aws_account.client("ssm")
    with refused("ParameterNotFound"):
        ssm.label_parameter_version(Name="/nothing", Labels=["a"])
    ssm.put_parameter(Name="/there", Type="String", Value="one")
    ssm.put_parameter(Name="/there", Type="String", Value="two", Overwrite=True)
    assert ssm.get_parameter(Name="/there")["Parameter"]["Version"] == 2
    assert aws_account.client("resourcegroupstaggingapi").get_resources()["ResourceTagMappingList"] == []


def test_when_an_instance_is_asked_for_its_devices_then_they_are_those_it_has(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    image = "ami-12c6146b"
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large")["Instances"][0][
        "InstanceId"
    ]
    found = ec2.describe_instance_attribute(InstanceId=made, Attribute="blockDeviceMapping")["BlockDeviceMappings"]
    described = ec2.describe_instances(InstanceIds=[made])["Reservations"][0]["Instances"][0]["BlockDeviceMappings"]
    assert [(one["DeviceName"], one["Ebs"]["VolumeId"]) for one in found] == [
        (one["DeviceName"], one["Ebs"]["VolumeId"]) for one in described
    ]
    assert found


def test_when_tags_are_described_then_kinds_have_their_names_of_aws(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    prefixes = ec2.create_managed_prefix_list(PrefixListName="p", MaxEntries=1, AddressFamily="IPv4")
    named = {address: "elastic-ip", gateway: "natgateway", prefixes["PrefixList"]["PrefixListId"]: "prefix-list"}
    ec2.create_tags(Resources=list(named), Tags=[{"Key": "a", "Value": "b"}])
    assert {one["ResourceId"]: one["ResourceType"] for one in ec2.describe_tags()["Tags"]} == named
    only = ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["natgateway"]}])["Tags"]
    assert [one["ResourceId"] for one in only] == [gateway]


def test_fails_when_a_snapshot_is_not_there_and_the_message_names_it(aws_account: Account) -> None:
    with refused("InvalidSnapshot.NotFound", "snap-0123456789abcdef0"):
        aws_account.client("ec2").delete_snapshot(SnapshotId="snap-0123456789abcdef0")
