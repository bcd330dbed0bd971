"""The account itself: start, stop, isolation, recorder, faults."""

from __future__ import annotations

import subprocess
import sys
import threading

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from strictmoto import account as account_module
from strictmoto.account import Account, UntestedMotoWarning
from strictmoto.faults import Fault
from strictmoto.identity.principals import found_role
from tests.strictmoto.signing import own_api


def test_when_a_test_left_something_then_the_next_one_does_not_see_it(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    ec2.create_vpc(CidrBlock="10.99.0.0/16")
    aws_account.faults.add(Fault("*", "throttled", call=0))
    aws_account.reset()
    assert [vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"]] == ["172.31.0.0/16"]
    assert aws_account.recorder.actions() == ["ec2:DescribeVpcs"]


def test_when_the_environment_is_set_then_boto3_needs_nothing_else(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws_account.environment.items():
        monkeypatch.setenv(name, value)
    assert boto3.Session().client("sts").get_caller_identity()["Account"] == "123456789012"


def test_when_credentials_were_issued_then_a_client_with_them_is_their_session(aws_account: Account) -> None:
    trust = '{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}]}'
    role = aws_account.client("iam").create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    credentials = aws_account.assume(role, session_name="one")

    found = aws_account.client_with(credentials, "sts", region="us-east-1").get_caller_identity()

    assert found["Arn"] == "arn:aws:sts::123456789012:assumed-role/reader/one"


@pytest.mark.parametrize(("partition", "region"), [("aws", "eu-central-1"), ("aws-cn", "cn-north-1")])
def test_when_a_role_of_another_account_is_assumed_then_by_an_administrator_of_its_partition(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch, partition: str, region: str
) -> None:
    role = f"arn:{partition}:iam::777788889999:role/ingestion"
    found_role(role)
    monkeypatch.setattr(aws_account, "enforces_iam", True)

    found = aws_account.client("sts", region=region, role_arn=role).get_caller_identity()

    assert found["Arn"] == f"arn:{partition}:sts::777788889999:assumed-role/ingestion/strictmoto"


def test_fails_when_a_second_account_is_started(aws_account: Account) -> None:
    with pytest.raises(RuntimeError, match="another account runs in this process"):
        Account().start()


def test_fails_when_an_account_is_asked_before_it_runs() -> None:
    with pytest.raises(RuntimeError, match="not running: use it in a with statement"):
        _ = Account().endpoint


def test_when_a_service_was_loaded_then_sessions_of_boto3_are_each_their_own_again() -> None:
    program = (
        "import boto3; session = boto3.Session\n"
        "from strictmoto.account import Account\n"
        "with Account() as account:\n"
        "    account.client('ec2').describe_vpcs()\n"
        "from moto.ec2.models import availability_zones_and_regions as zones\n"
        "assert boto3.Session is session and zones.Session is session\n"
        "assert len(zones.RegionsAndZonesBackend.regions) > 20\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_when_moto_is_another_one_then_a_warning_says_so(aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_module, "TESTED_MOTO", "0.0.1")
    with (
        pytest.warns(UntestedMotoWarning, match="was tested with moto 0.0.1, and this is"),
        pytest.raises(RuntimeError),
    ):
        Account().start()


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("cloudformation", "continue_update_rollback", {"StackName": "s"}),
        ("ec2", "reset_network_interface_attribute", {"NetworkInterfaceId": "eni-0123456789abcdef0"}),
        ("ssm", "list_nodes", {}),
    ],
)
def test_fails_when_an_action_is_not_there_and_is_not_tried_again(
    aws_account: Account, service: str, operation: str, arguments: dict[str, str]
) -> None:
    client = aws_account.client(service, retries=3)
    with pytest.raises(ClientError, match=r"\(InvalidAction\).*strictmoto has no"):
        getattr(client, operation)(**arguments)
    (record,) = aws_account.recorder.records()
    assert (record.status, record.error) == (400, "InvalidAction")


class TestRecorder:
    def test_when_calls_are_made_then_service_action_and_parameters_are_kept(self, aws_account: Account) -> None:
        aws_account.client("ec2", region="us-east-1").describe_instances(MaxResults=5)
        aws_account.client("dynamodb").list_tables(Limit=3)
        aws_account.client("elbv2").describe_load_balancers()
        aws_account.client("s3").create_bucket(
            Bucket="one", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        aws_account.client("s3").get_bucket_location(Bucket="one")
        aws_account.client("s3").put_object(Bucket="one", Key="a/b.txt", Body=b"x")
        aws_account.client("s3").copy_object(Bucket="one", Key="c", CopySource="one/a/b.txt")
        aws_account.client("lambda").list_functions()
        assert aws_account.recorder.actions() == [
            "ec2:DescribeInstances",
            "dynamodb:ListTables",
            "elasticloadbalancing:DescribeLoadBalancers",
            "s3:CreateBucket",
            "s3:GetBucketLocation",
            "s3:PutObject",
            "s3:CopyObject",
            "lambda:ListFunctions",
        ]
        first, second, *_ = aws_account.recorder.records()
        assert (first.call.region, first.call.parameters, first.status) == ("us-east-1", {"MaxResults": "5"}, 200)
        assert (second.call.parameters, second.call.access_key) == (
            {"Limit": 3},
            aws_account.credentials.access_key_id,
        )

    def test_when_a_call_is_refused_then_that_is_kept_too(self, aws_account: Account) -> None:
        with pytest.raises(ClientError):
            aws_account.client("ec2").describe_subnets(SubnetIds=["subnet-00000001"])
        (record,) = aws_account.recorder.records(action="DescribeSubnets")
        assert record.status == 400

    def test_when_another_process_asks_then_it_gets_the_calls(self, aws_account: Account) -> None:
        aws_account.client("sts").get_caller_identity()
        status, calls = own_api(aws_account, "GET", "/calls")
        assert status == 200
        assert isinstance(calls, list)
        assert [(call["service"], call["action"], call["status"]) for call in calls] == [
            ("sts", "GetCallerIdentity", 200)
        ]
        assert own_api(aws_account, "DELETE", "/calls") == (200, {})
        assert aws_account.recorder.records() == []

    def test_when_many_threads_call_then_no_call_is_lost(self, aws_account: Account) -> None:
        def ask() -> None:
            ec2 = aws_account.client("ec2")
            for _ in range(5):
                ec2.describe_vpcs()

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(aws_account.recorder.records(service="ec2")) == 30


class TestFaults:
    @pytest.mark.parametrize(
        ("service", "operation", "action", "code"),
        [
            ("ec2", "describe_vpcs", "DescribeVpcs", "RequestLimitExceeded"),
            ("cloudformation", "list_stacks", "ListStacks", "Throttling"),
            ("dynamodb", "list_tables", "ListTables", "ThrottlingException"),
            ("lambda", "list_functions", "ListFunctions", "TooManyRequestsException"),
            ("s3", "list_buckets", "ListBuckets", "SlowDown"),
        ],
    )
    def test_when_throttled_then_the_error_is_the_services_own_and_only_that_call_fails(
        self, aws_account: Account, service: str, operation: str, action: str, code: str
    ) -> None:
        client = aws_account.client(service)
        aws_account.faults.add(Fault(action, "throttled", call=2))
        getattr(client, operation)()
        with pytest.raises(ClientError) as refused:
            getattr(client, operation)()
        assert refused.value.response["Error"]["Code"] == code
        getattr(client, operation)()
        faults = [record.fault for record in aws_account.recorder.records(action=action)]
        assert faults == ["", "throttled", ""]

    def test_when_the_server_fails_then_nothing_happened(self, aws_account: Account) -> None:
        ec2 = aws_account.client("ec2")
        aws_account.faults.add(Fault("CreateVpc", "server error", service="ec2"))
        with pytest.raises(ClientError, match="InternalError"):
            ec2.create_vpc(CidrBlock="10.99.0.0/16")
        assert len(ec2.describe_vpcs()["Vpcs"]) == 1

    @pytest.mark.parametrize(("kind", "vpcs"), [("lost before", 1), ("lost after", 2)])
    def test_when_the_connection_is_cut_then_the_effect_is_there_only_after_it(
        self, aws_account: Account, kind: str, vpcs: int
    ) -> None:
        ec2 = aws_account.client("ec2")
        assert own_api(aws_account, "POST", "/faults", {"action": "CreateVpc", "kind": kind}) == (200, {})
        with pytest.raises(ConnectionClosedError):
            ec2.create_vpc(CidrBlock="10.99.0.0/16")
        assert len(ec2.describe_vpcs()["Vpcs"]) == vpcs

    def test_when_boto3_may_try_again_then_it_does(self, aws_account: Account) -> None:
        aws_account.faults.add(Fault("DescribeVpcs", "throttled"))
        assert aws_account.client("ec2", retries=1).describe_vpcs()["Vpcs"]

    def test_when_a_fault_is_set_for_every_call_then_all_fail_until_it_is_taken_back(
        self, aws_account: Account
    ) -> None:
        ec2 = aws_account.client("ec2")
        aws_account.faults.add(Fault("*", "throttled", call=0))
        for _ in range(3):
            with pytest.raises(ClientError, match="RequestLimitExceeded"):
                ec2.describe_vpcs()
        assert own_api(aws_account, "DELETE", "/faults") == (200, {})
        assert ec2.describe_vpcs()["Vpcs"]

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            (
                {"action": "X", "kind": "gone"},
                "kind must be one of throttled, server error, lost before, lost after, slow, late, got 'gone'",
            ),
            ({"action": "X", "kind": "slow"}, "seconds must be above 0 and at most 900 for slow, got 0"),
            ({"action": "X", "kind": "throttled", "seconds": 2}, "seconds is for slow, got 2 for throttled"),
            (
                {"action": "CreateVpc", "kind": "late"},
                "action must be one that reads, such as DescribeStacks, for late, got 'CreateVpc'",
            ),
            ({"action": "X", "kind": "throttled", "after": "CreateVpc"}, "after is for late, got 'CreateVpc'"),
            ({"action": "X", "kind": "throttled", "call": -1}, "call must be 0 (every one) or more, got -1"),
            ({"kind": "throttled"}, "missing 1 required positional argument: 'action'"),
        ],
    )
    def test_fails_when_the_fault_makes_no_sense(
        self, aws_account: Account, fault: dict[str, object], message: str
    ) -> None:
        status, answer = own_api(aws_account, "POST", "/faults", fault)
        assert status == 400
        assert message in str(answer)

    def test_fails_when_the_path_is_not_of_the_account(self, aws_account: Account) -> None:
        known = "calls, faults, waits, metrics, issuers, flow-records, findings or events"
        assert own_api(aws_account, "GET", "/fault") == (404, {"message": f"no GET /fault: expected {known}"})
