"""CloudWatch's metrics of mirroring, set by a control of the account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from strictmoto.account import Account
from strictmoto.cloudwatch.metrics import UNITS, Measurement
from strictmoto.company import IMAGE
from tests.strictmoto.ec2.mirroring.network import refused
from tests.strictmoto.signing import own_api

NOW = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def launch(account: Account, **where: Any) -> str:
    made = account.client("ec2", **where).run_instances(ImageId=IMAGE, InstanceType="m5.large", MinCount=1, MaxCount=1)
    return str(made["Instances"][0]["InstanceId"])


def sums(account: Account, instance: str, metric: str, **where: Any) -> list[float]:
    """What GetMetricData answers, oldest first."""
    stat = {
        "Metric": {
            "Namespace": "AWS/EC2",
            "MetricName": metric,
            "Dimensions": [{"Name": "InstanceId", "Value": instance}],
        },
        "Period": 300,
        "Stat": "Sum",
    }
    answer = account.client("cloudwatch", **where).get_metric_data(
        MetricDataQueries=[{"Id": "mirrored", "MetricStat": stat}],
        StartTime=NOW - timedelta(hours=1),
        EndTime=NOW + timedelta(hours=1),
        ScanBy="TimestampAscending",
    )
    found: list[float] = answer["MetricDataResults"][0]["Values"]
    return found


def test_when_a_metric_is_set_then_cloudwatch_answers_with_it(aws_account: Account) -> None:
    """NetworkMirrorOut and the others, per instance."""
    instance, other = launch(aws_account), launch(aws_account)
    for minutes, value in ((0, 1500), (5, 3000)):
        at = (NOW + timedelta(minutes=minutes)).timestamp()
        aws_account.metrics.add(Measurement(instance, "NetworkMirrorOut", value, at=at))
    assert sums(aws_account, instance, "NetworkMirrorOut") == [1500, 3000]
    assert sums(aws_account, instance, "NetworkMirrorIn") == []
    assert sums(aws_account, other, "NetworkMirrorOut") == []
    cloudwatch = aws_account.client("cloudwatch")
    [listed] = cloudwatch.list_metrics(Namespace="AWS/EC2")["Metrics"]
    assert (listed["MetricName"], listed["Dimensions"]) == (
        "NetworkMirrorOut",
        [{"Name": "InstanceId", "Value": instance}],
    )
    points = cloudwatch.get_metric_statistics(
        Namespace="AWS/EC2",
        MetricName="NetworkMirrorOut",
        Dimensions=listed["Dimensions"],
        StartTime=NOW - timedelta(hours=1),
        EndTime=NOW + timedelta(hours=1),
        Period=3600,
        Statistics=["Maximum"],
    )["Datapoints"]
    assert [(point["Maximum"], point["Unit"]) for point in points] == [(3000, "Bytes")]


def test_when_the_metrics_are_forgotten_then_nothing_has_been_mirrored(aws_account: Account) -> None:
    instance = launch(aws_account)
    aws_account.metrics.add(Measurement(instance, "NetworkMirrorIn", 1500, at=NOW.timestamp()))
    own = [{"MetricName": "Requests", "Value": 1}]
    aws_account.client("cloudwatch").put_metric_data(Namespace="Shop", MetricData=own)
    aws_account.metrics.forget()
    assert sums(aws_account, instance, "NetworkMirrorIn") == []
    [listed] = aws_account.client("cloudwatch").list_metrics()["Metrics"]
    assert listed["Namespace"] == "Shop"


def test_when_another_process_sets_a_metric_then_it_is_the_same(aws_account: Account) -> None:
    instance = launch(aws_account, region="us-west-2")
    asked = {
        "instance": instance,
        "metric": "NetworkPacketsSkipMirrorIn",
        "value": 7,
        "at": NOW.timestamp(),
        "region": "us-west-2",
    }
    assert own_api(aws_account, "POST", "/metrics", asked) == (200, {})
    assert sums(aws_account, instance, "NetworkPacketsSkipMirrorIn", region="us-west-2") == [7]
    wrong = own_api(aws_account, "POST", "/metrics", {**asked, "value": -1})
    assert wrong == (400, {"message": "value must be 0 or more, got -1"})


def test_fails_when_there_is_no_such_metric_or_instance(aws_account: Account) -> None:
    assert sorted(UNITS) == [
        "NetworkMirrorIn",
        "NetworkMirrorOut",
        "NetworkPacketsMirrorIn",
        "NetworkPacketsMirrorOut",
        "NetworkPacketsSkipMirrorIn",
        "NetworkPacketsSkipMirrorOut",
        "NetworkSkipMirrorIn",
        "NetworkSkipMirrorOut",
    ]
    with pytest.raises(ValueError, match="metric must be one of NetworkMirrorIn, .*, got 'CPUUtilization'"):
        Measurement("i-0123456789abcdef0", "CPUUtilization", 1)
    with pytest.raises(ValueError, match="no instance i-0123456789abcdef0"):
        aws_account.metrics.add(Measurement("i-0123456789abcdef0", "NetworkMirrorIn", 1))


def test_fails_when_a_metric_is_put_into_a_namespace_of_aws(aws_account: Account) -> None:
    """PutMetricData: namespaces that begin with AWS/ are AWS's own."""
    cloudwatch = aws_account.client("cloudwatch")
    with refused("InvalidParameterValue", "AWS/EC2"):
        cloudwatch.put_metric_data(Namespace="AWS/EC2", MetricData=[{"MetricName": "NetworkMirrorOut", "Value": 1.0}])
    cloudwatch.put_metric_data(Namespace="Sensors", MetricData=[{"MetricName": "Packets", "Value": 1.0}])
