"""Flow logs: what they are made of, and which buckets take them."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused


@pytest.fixture
def ec2(aws_account: Account) -> Any:
    bucket = aws_account.client("s3")
    bucket.create_bucket(Bucket="logs-x", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return aws_account.client("ec2")


def create(ec2: Any, destination: str, **given: Any) -> Any:
    [vpc] = ec2.describe_vpcs()["Vpcs"]
    asked = {"ResourceType": "VPC", "ResourceIds": [vpc["VpcId"]], "TrafficType": "ALL", **given}
    asked = {name: value for name, value in asked.items() if value is not None}
    return ec2.create_flow_logs(**{"LogDestinationType": "s3", "LogDestination": destination, **asked})


def test_when_a_folder_of_a_bucket_is_named_then_flow_logs_go_there(ec2: Any) -> None:
    for destination in ("arn:aws:s3:::logs-x", "arn:aws:s3:::logs-x/b/"):
        [made] = create(ec2, destination)["FlowLogIds"]
        [found] = ec2.describe_flow_logs(FlowLogIds=[made])["FlowLogs"]
        assert (found["LogDestination"], found["LogDestinationType"]) == (destination, "s3")
    with refused("FlowLogAlreadyExists"):
        create(ec2, "arn:aws:s3:::logs-x/b/")


def test_fails_when_the_bucket_of_a_folder_is_not_there(ec2: Any) -> None:
    [failed] = create(ec2, "arn:aws:s3:::logs-y/b/")["Unsuccessful"]
    assert failed["Error"]["Message"] == "LogDestination: logs-y does not exist."
    assert not ec2.describe_flow_logs()["FlowLogs"]


def test_fails_when_the_folder_is_that_of_aws(ec2: Any) -> None:
    with refused("InvalidParameterValue", "AWSLogs"):
        create(ec2, "arn:aws:s3:::logs-x/AWSLogs/")


def test_fails_when_a_folder_and_a_log_group_are_named(ec2: Any) -> None:
    with refused("InvalidParameter", "LogGroupName"):
        create(ec2, "arn:aws:s3:::logs-x/b/", LogGroupName="group")


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"LogDestinationType": "s4"}, "InvalidParameterValue", "LogDestinationType"),
        ({"TrafficType": "SOME"}, "InvalidParameterValue", "TrafficType"),
        ({"DestinationOptions": {"FileFormat": "csv"}}, "InvalidParameterValue", "FileFormat"),
        ({"MaxAggregationInterval": 300}, "InvalidParameter", "Aggregation Interval"),
        ({"LogFormat": "${version} ${srcaddr} "}, "InvalidParameter", "at 'logFormat' has an invalid format"),
        ({"LogFormat": "${version} ${source}"}, "InvalidParameter", "at 'logFormat' has an invalid format"),
        ({"LogFormat": "version srcaddr"}, "InvalidParameter", "at 'logFormat' has an invalid format"),
        (
            {"DeliverLogsPermissionArn": "arn:aws:iam::123456789012:role/x"},
            "InvalidParameter",
            "DeliverLogsPermissionArn is not applicable for s3 delivery",
        ),
        ({"LogDestination": "logs-x"}, "InvalidParameterValue", "not the ARN of a bucket"),
        ({"LogDestination": "arn:aws:sqs:eu-central-1:123456789012:q"}, "InvalidParameterValue", "ARN of a bucket"),
    ],
)
def test_fails_when_a_value_cannot_be(ec2: Any, given: dict[str, Any], code: str, message: str) -> None:
    with refused(code, message):
        create(ec2, given.get("LogDestination", "arn:aws:s3:::logs-x"), **given)
    assert not ec2.describe_flow_logs()["FlowLogs"]


def test_when_flow_logs_have_options_and_fields_of_their_own_then_they_are_shown(ec2: Any) -> None:
    options = {"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": True}
    text = "${version} ${vpc-id} ${tcp-flags} ${pkt-srcaddr} ${flow-direction} ${traffic-path} ${reject-reason}"
    asked = {"DestinationOptions": options, "LogFormat": text, "MaxAggregationInterval": 60}
    [made] = create(ec2, "arn:aws:s3:::logs-x/flow", **asked)["FlowLogIds"]
    [found] = ec2.describe_flow_logs(FlowLogIds=[made])["FlowLogs"]
    assert {name: found[name] for name in asked} == asked


def test_when_flow_logs_have_some_options_then_the_others_are_as_by_default(ec2: Any) -> None:
    create(ec2, "arn:aws:s3:::logs-x", DestinationOptions={"PerHourPartition": True})
    [found] = ec2.describe_flow_logs()["FlowLogs"]
    default = {"FileFormat": "plain-text", "HiveCompatiblePartitions": False}
    assert found["DestinationOptions"] == {**default, "PerHourPartition": True}


def test_when_flow_logs_have_no_options_then_none_are_shown(ec2: Any) -> None:
    create(ec2, "arn:aws:s3:::logs-x/one", DestinationOptions={"PerHourPartition": True})
    [made] = create(ec2, "arn:aws:s3:::logs-x/two")["FlowLogIds"]
    [found] = ec2.describe_flow_logs(FlowLogIds=[made])["FlowLogs"]
    assert "DestinationOptions" not in found


def test_fails_when_flow_logs_of_a_vpc_have_no_traffic_type(ec2: Any) -> None:
    with refused("MissingParameter", "TrafficType"):
        create(ec2, "arn:aws:s3:::logs-x", TrafficType=None)
    assert not ec2.describe_flow_logs()["FlowLogs"]
