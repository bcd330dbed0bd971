"""Faults that lag and drag, and throttling as each service says it."""

from __future__ import annotations

import contextlib
import threading
import time
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.faults import Fault, Faults
from strictmoto.front import front
from tests.strictmoto.signing import own_api

REGION = "eu-central-1"


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code", "status"),
    [
        ("ec2", "describe_vpcs", {}, "RequestLimitExceeded", 503),
        ("dynamodb", "get_item", {"TableName": "t", "Key": {}}, "ProvisionedThroughputExceededException", 400),
        ("dynamodb", "list_tables", {}, "ThrottlingException", 400),
        ("lambda", "list_functions", {}, "TooManyRequestsException", 429),
        ("stepfunctions", "list_state_machines", {}, "ThrottlingException", 400),
        ("sqs", "list_queues", {}, "RequestThrottled", 403),
        ("sns", "list_topics", {}, "Throttled", 429),
        ("cloudformation", "list_stacks", {}, "Throttling", 400),
        ("s3", "list_buckets", {}, "SlowDown", 503),
        ("events", "list_rules", {}, "ThrottlingException", 400),
        ("iam", "list_roles", {}, "Throttling", 400),
        ("kms", "list_keys", {}, "ThrottlingException", 400),
        ("sts", "get_caller_identity", {}, "Throttling", 400),
        ("scheduler", "list_schedules", {}, "ThrottlingException", 429),
        ("resourcegroupstaggingapi", "get_resources", {}, "ThrottledException", 400),
        ("logs", "describe_log_groups", {}, "ThrottlingException", 400),
        ("apigatewayv2", "get_apis", {}, "TooManyRequestsException", 429),
        ("elbv2", "describe_load_balancers", {}, "Throttling", 400),
    ],
)
def test_when_throttled_then_clients_with_standard_retries_recover(
    aws_account: Account,
    aws_faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    operation: str,
    arguments: Any,
    code: str,
    status: int,
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    config = Config(retries={"mode": "standard", "total_max_attempts": 3})
    keys = aws_account.credentials.as_arguments()
    client = boto3.client(service, endpoint_url=aws_account.endpoint, region_name=REGION, config=config, **keys)
    aws_faults.add(Fault("*", "throttled"))
    # What is asked for may not be there, which is an answer, too.
    with contextlib.suppress(ClientError):
        getattr(client, operation)(**arguments)
    first, second = aws_account.recorder.records()
    assert (first.status, first.error, first.fault) == (status, code, "throttled")
    assert (second.call.action, second.fault) == (first.call.action, "")


class TestSlow:
    def test_when_the_answer_is_slow_then_the_effect_is_there_and_the_client_gives_up(
        self, aws_account: Account
    ) -> None:
        fault = {"action": "CreateVpc", "kind": "slow", "seconds": 3}
        assert own_api(aws_account, "POST", "/faults", fault) == (200, {})
        impatient = boto3.client(
            "ec2",
            endpoint_url=aws_account.endpoint,
            region_name=REGION,
            **aws_account.credentials.as_arguments(),
            config=Config(read_timeout=0.5, retries={"total_max_attempts": 1}),
        )
        with pytest.raises(ReadTimeoutError):
            impatient.create_vpc(CidrBlock="10.99.0.0/16")
        assert len(aws_account.client("ec2").describe_vpcs()["Vpcs"]) == 2
        assert aws_account.recorder.records(action="CreateVpc")[0].fault == "slow"

    def test_when_the_client_waits_then_it_gets_its_answer(
        self, aws_account: Account, aws_faults: Faults, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[tuple[float, int]] = []

        def sleep(seconds: float) -> None:
            slept.append((seconds, len(aws_account.recorder.records(action="DescribeVpcs"))))

        monkeypatch.setattr(front, "time", SimpleNamespace(sleep=sleep, time=time.time, perf_counter=time.perf_counter))
        aws_faults.add(Fault("DescribeVpcs", "slow", seconds=0.3))
        assert aws_account.client("ec2").describe_vpcs()["Vpcs"]
        # Once, for as long as was asked, after the call was done.
        assert slept == [(0.3, 1)]


class Mirror:
    """A source, a target and a filter, without a session."""

    def __init__(self, account: Account) -> None:
        self.ec2 = account.client("ec2")
        subnet = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.source, self.sink = (
            self.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
            for _ in range(2)
        )
        target = self.ec2.create_traffic_mirror_target(NetworkInterfaceId=self.sink)
        self.target = target["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
        self.filter = self.ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]

    def session(self, number: int) -> str:
        made = self.ec2.create_traffic_mirror_session(
            NetworkInterfaceId=self.source,
            TrafficMirrorTargetId=self.target,
            TrafficMirrorFilterId=self.filter,
            SessionNumber=number,
            TagSpecifications=[
                {"ResourceType": "traffic-mirror-session", "Tags": [{"Key": "incident", "Value": str(number)}]}
            ],
        )
        return str(made["TrafficMirrorSession"]["TrafficMirrorSessionId"])

    def sessions(self, **options: Any) -> list[str]:
        found = self.ec2.describe_traffic_mirror_sessions(**options)["TrafficMirrorSessions"]
        return [session["TrafficMirrorSessionId"] for session in found]


class TestLate:
    @pytest.fixture
    def mirror(self, aws_account: Account) -> Mirror:
        return Mirror(aws_account)

    def test_when_a_describe_is_late_then_only_the_last_creation_is_missing(
        self, mirror: Mirror, aws_faults: Faults, aws_account: Account
    ) -> None:
        first = mirror.session(1)
        aws_faults.add(Fault("DescribeTrafficMirrorSessions", "late"))
        assert mirror.sessions() == [first], "nothing was created since: this call does not count"
        second = mirror.session(2)
        assert mirror.sessions() == [first]
        assert mirror.sessions() == [first, second]
        records = aws_account.recorder.records(action="DescribeTrafficMirrorSessions")
        assert [record.fault for record in records] == ["", "late", ""]

    def test_when_several_describes_are_late_then_ids_and_filters_are_answered_as_before(
        self, mirror: Mirror, aws_faults: Faults
    ) -> None:
        for call in (1, 2):
            aws_faults.add(Fault("DescribeTrafficMirrorSessions", "late", call=call))
        session = mirror.session(1)
        with pytest.raises(ClientError, match="InvalidTrafficMirrorSessionId.NotFound"):
            mirror.sessions(TrafficMirrorSessionIds=[session])
        chosen = [{"Name": "tag:incident", "Values": ["1"]}]
        assert mirror.sessions(Filters=chosen) == []
        assert mirror.sessions(Filters=chosen) == [session]

    def test_when_tags_are_late_then_neither_way_to_ask_for_them_sees_the_session(
        self, mirror: Mirror, aws_faults: Faults, aws_account: Account
    ) -> None:
        tagging = aws_account.client("resourcegroupstaggingapi")
        aws_faults.add(Fault("DescribeTags", "late"))
        aws_faults.add(Fault("GetResources", "late"))
        session = mirror.session(1)
        asked = [{"Name": "key", "Values": ["incident"]}]
        assert mirror.ec2.describe_tags(Filters=asked)["Tags"] == []
        assert tagging.get_resources(TagFilters=[{"Key": "incident"}])["ResourceTagMappingList"] == []
        assert [tag["ResourceId"] for tag in mirror.ec2.describe_tags(Filters=asked)["Tags"]] == [session]
        assert len(tagging.get_resources(TagFilters=[{"Key": "incident"}])["ResourceTagMappingList"]) == 1

    @pytest.mark.parametrize(
        ("describe", "create", "arguments"),
        [
            ("DescribeTrafficMirrorFilters", "create_traffic_mirror_filter", {}),
            ("DescribeTrafficMirrorTargets", "create_traffic_mirror_target", {"NetworkInterfaceId": "sink"}),
            ("DescribeNetworkInterfaces", "create_network_interface", {"SubnetId": "subnet"}),
            ("DescribeSecurityGroups", "create_security_group", {"GroupName": "g", "Description": "d"}),
            ("DescribeInstances", "run_instances", {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}),
        ],
    )
    def test_when_any_describe_of_ec2_is_late_then_the_new_one_is_not_there_yet(
        self, mirror: Mirror, aws_faults: Faults, describe: str, create: str, arguments: dict[str, Any]
    ) -> None:
        known = {"sink": mirror.sink, "subnet": mirror.ec2.describe_subnets()["Subnets"][0]["SubnetId"]}

        def count() -> int:
            answer = getattr(mirror.ec2, xform_name(describe))()
            return sum(len(value) for value in answer.values() if isinstance(value, list))

        before = count()
        aws_faults.add(Fault(describe, "late"))
        getattr(mirror.ec2, create)(**{k: known.get(str(v), v) for k, v in arguments.items()})
        assert count() == before
        assert count() > before

    def test_when_a_stack_is_young_then_late_reads_miss_it_and_what_it_holds(
        self, aws_account: Account, aws_faults: Faults
    ) -> None:
        cloudformation, ec2 = aws_account.client("cloudformation"), aws_account.client("ec2")
        aws_faults.add(Fault("DescribeStacks", "late"))
        aws_faults.add(Fault("DescribeTrafficMirrorFilters", "late"))
        body = '{"Resources": {"Filter": {"Type": "AWS::EC2::TrafficMirrorFilter"}}}'
        cloudformation.create_stack(StackName="epb", TemplateBody=body)
        with pytest.raises(ClientError, match="does not exist"):
            cloudformation.describe_stacks(StackName="epb")
        assert ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"] == []
        assert cloudformation.describe_stacks(StackName="epb")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        assert len(ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]) == 1

    def test_when_a_service_runs_something_that_has_no_copy_then_the_log_says_that_reads_are_not_late(
        self,
        aws_account: Account,
        aws_faults: Faults,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        ec2 = aws_account.client("ec2")
        backend = ec2_backends[ACCOUNT_ID]["eu-central-1"]
        monkeypatch.setattr(backend, "running", threading.Lock(), raising=False)
        aws_faults.add(Fault("DescribeVpcs", "late"))
        made = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        assert made in [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]
        [message] = [one.getMessage() for one in caplog.records if one.name == "strictmoto.lateness"]
        assert message.startswith(
            "ec2 cannot be copied before CreateVpc (cannot pickle '_thread.lock' object): the late"
        )

    def test_when_a_read_of_a_table_is_late_then_it_sees_the_item_as_it_was(
        self, aws_account: Account, aws_faults: Faults
    ) -> None:
        table = aws_account.client("dynamodb")
        table.create_table(
            TableName="incidents",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        key = {"id": {"S": "1"}}
        table.put_item(TableName="incidents", Item={**key, "state": {"S": "open"}})
        for action in ("GetItem", "Scan"):
            aws_faults.add(Fault(action, "late"))
        table.update_item(
            TableName="incidents",
            Key=key,
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":s": {"S": "closed"}},
        )
        assert table.get_item(TableName="incidents", Key=key)["Item"]["state"] == {"S": "open"}
        assert table.scan(TableName="incidents")["Items"][0]["state"] == {"S": "open"}
        assert table.get_item(TableName="incidents", Key=key)["Item"]["state"] == {"S": "closed"}

    def test_when_a_read_is_consistent_then_it_is_never_late(self, aws_account: Account, aws_faults: Faults) -> None:
        table = aws_account.client("dynamodb")
        table.create_table(
            TableName="incidents",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        aws_faults.add(Fault("GetItem", "late"))
        table.put_item(TableName="incidents", Item={"id": {"S": "1"}})
        key = {"TableName": "incidents", "Key": {"id": {"S": "1"}}}
        assert "Item" in table.get_item(**key, ConsistentRead=True)
        assert "Item" not in table.get_item(**key)

    def test_when_the_change_is_named_then_the_read_misses_that_one(self, mirror: Mirror, aws_faults: Faults) -> None:
        session = mirror.session(1)
        aws_faults.add(Fault("DescribeTrafficMirrorSessions", "late", call=0, after="DeleteTrafficMirrorSession"))
        mirror.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
        assert mirror.sessions() == mirror.sessions() == [session]
        aws_faults.clear()
        assert mirror.sessions() == []

    def test_when_the_creation_is_refused_then_nothing_is_late(self, mirror: Mirror, aws_faults: Faults) -> None:
        session = mirror.session(1)
        aws_faults.add(Fault("DescribeTrafficMirrorSessions", "late"))
        with pytest.raises(ClientError, match="Session number 1 is in use"):
            mirror.session(1)
        assert mirror.sessions() == [session]


class TestWhoseAndHowOften:
    def test_when_a_fault_lasts_for_some_calls_then_the_others_are_answered(
        self, aws_account: Account, aws_faults: Faults
    ) -> None:
        ec2 = aws_account.client("ec2")
        aws_faults.add(Fault("DescribeVpcs", "throttled", call=2, times=2))
        for _ in range(4):
            with contextlib.suppress(ClientError):
                ec2.describe_vpcs()
        assert [record.fault for record in aws_account.recorder.records()] == ["", "throttled", "throttled", ""]

    def test_when_a_fault_is_for_a_role_then_no_other_meets_it_and_only_its_calls_count(
        self, aws_account: Account, aws_faults: Faults
    ) -> None:
        role = "arn:aws:iam::123456789012:role/worker"
        aws_faults.add(Fault("DescribeVpcs", "throttled", call=2, principal="*:role/work*"))
        for client in (*[aws_account.client("ec2")] * 3, *[aws_account.client("ec2", role_arn=role)] * 2):
            with contextlib.suppress(ClientError):
                client.describe_vpcs()
        records = aws_account.recorder.records(action="DescribeVpcs")
        assert [record.fault for record in records] == ["", "", "", "", "throttled"]
        assert records[-1].principal == role

    def test_fails_when_a_fault_is_played_no_times(self) -> None:
        with pytest.raises(ValueError, match="times must be 1 or more, got 0"):
            Fault("DescribeVpcs", "throttled", times=0)
