"""Files of flow logs that the account writes on demand: where, what is in them, and what their buckets let."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from strictmoto.ec2.flow_records import Flow
from tests.strictmoto.iam.conftest import HERE, ROOT, Enforcing, policy
from tests.strictmoto.iam.test_flow_log_deliveries import ARN, BUCKET, FOR_HERE, REGION, SERVICE, delivering
from tests.strictmoto.signing import own_api

ENDED: Final = datetime(2026, 11, 26, 16, 23, 30, tzinfo=UTC).timestamp()
DEFAULT: Final = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)


class Network:
    """A bucket that takes flow logs, and a VPC with an instance."""

    def __init__(self, enforcing: Enforcing) -> None:
        self.account = enforcing.account
        self.ec2, self.s3, self.kms = (enforcing.client(name) for name in ("ec2", "s3", "kms"))
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        hive = delivering(f"flow/AWSLogs/aws-account-id={HERE}/*")
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(*delivering(), hive[0]))
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        made = self.ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=self.subnet
        )["Instances"][0]
        self.instance, self.address = made["InstanceId"], made["PrivateIpAddress"]
        self.interface = made["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def logs(self, kind: str = "VPC", **given: Any) -> str:
        """Make flow logs of the network; return their id."""
        of = {"VPC": self.vpc, "Subnet": self.subnet, "NetworkInterface": self.interface}[kind]
        asked = {"TrafficType": "ALL", "LogDestinationType": "s3", "LogDestination": f"{ARN}/flow", **given}
        [made] = self.ec2.create_flow_logs(ResourceType=kind, ResourceIds=[of], **asked)["FlowLogIds"]
        return str(made)

    def read(self, name: str) -> list[str]:
        """Return the lines of a file."""
        bucket, _, key = name.partition("/")
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return gzip.decompress(body).decode().splitlines()

    def status(self) -> tuple[str, str | None]:
        [log] = self.ec2.describe_flow_logs()["FlowLogs"]
        return log["DeliverLogsStatus"], log.get("DeliverLogsErrorMessage")


@pytest.fixture
def network(enforcing: Enforcing) -> Network:
    return Network(enforcing)


def test_when_flows_are_written_then_a_file_has_them_where_and_as_aws_writes_them(network: Network) -> None:
    made = network.logs()
    flow = Flow(network.interface, "198.51.100.9", network.address, 50_000, 443, packets=4, bytes=900)
    [name] = network.account.flow_records.write(flow, at=ENDED)
    folder = f"{BUCKET}/flow/AWSLogs/{HERE}/vpcflowlogs/{REGION}/2026/11/26/"
    assert re.fullmatch(rf"{folder}{HERE}_vpcflowlogs_{REGION}_{made}_20261126T1620Z_[0-9a-f]{{8}}\.log\.gz", name)
    times = f"{int(ENDED) - 600} {int(ENDED)}"
    assert network.read(name) == [
        DEFAULT,
        f"2 {HERE} {network.interface} 198.51.100.9 {network.address} 50000 443 6 4 900 {times} ACCEPT OK",
    ]


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ({"PerHourPartition": True}, f"AWSLogs/{HERE}/vpcflowlogs/{REGION}/2026/11/26/16/"),
        (
            {"HiveCompatiblePartitions": True},
            f"AWSLogs/aws-account-id={HERE}/aws-service=vpcflowlogs/aws-region={REGION}/year=2026/month=11/day=26/",
        ),
        (
            {"HiveCompatiblePartitions": True, "PerHourPartition": True},
            f"AWSLogs/aws-account-id={HERE}/aws-service=vpcflowlogs/aws-region={REGION}/"
            "year=2026/month=11/day=26/hour=16/",
        ),
    ],
)
def test_when_flow_logs_have_options_then_their_files_are_in_folders_of_these(
    network: Network, options: dict[str, bool], folder: str
) -> None:
    network.logs(DestinationOptions=options)
    [name] = network.account.flow_records.write(at=ENDED)
    assert name.rpartition("/")[0] == f"{BUCKET}/flow/{folder}".rstrip("/")


def test_when_a_format_is_given_then_records_have_its_fields_and_the_version_of_the_newest(network: Network) -> None:
    names = (
        "instance-id vpc-id subnet-id version srcaddr pkt-dstaddr tcp-flags type flow-direction traffic-path "
        "az-id region ecs-task-id"
    )
    network.logs(LogFormat=" ".join(f"${{{name}}}" for name in names.split()), MaxAggregationInterval=60)
    flows = (
        Flow(network.interface, "198.51.100.9", network.address, 50_000, 443),
        Flow(network.interface, network.address, "10.0.9.9", 50_001, 5432),
        Flow(network.interface, network.address, "192.0.2.1", 50_002, 53, protocol=17, action="REJECT"),
    )
    [name] = network.account.flow_records.write(*flows, at=ENDED)
    first, *records = network.read(name)
    own = f"{network.instance} {network.vpc} {network.subnet} 7"
    [zone] = {one["AvailabilityZoneId"] for one in network.ec2.describe_subnets(SubnetIds=[network.subnet])["Subnets"]}
    where = f"{zone} {REGION} -"
    assert first == names
    assert records == [
        f"{own} 198.51.100.9 {network.address} 3 IPv4 ingress - {where}",
        f"{own} {network.address} 10.0.9.9 3 IPv4 egress 1 {where}",
        f"{own} {network.address} 192.0.2.1 0 IPv4 egress 8 {where}",
    ]


def test_when_no_flows_are_given_then_each_interface_of_an_instance_has_one_accepted_and_one_rejected(
    network: Network,
) -> None:
    network.logs("NetworkInterface")
    network.logs("Subnet", TrafficType="REJECT")
    network.logs(TrafficType="ACCEPT")
    other = network.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    asked = {"TrafficType": "ALL", "LogDestinationType": "s3", "LogDestination": f"{ARN}/flow"}
    network.ec2.create_flow_logs(ResourceType="VPC", ResourceIds=[other], **asked)
    written = network.account.flow_records.write()
    actions = [[line.split()[-2] for line in network.read(name)[1:]] for name in written]
    assert sorted(actions) == [["ACCEPT"], ["ACCEPT", "REJECT"], ["REJECT"]]
    assert all(network.interface in network.read(name)[1] for name in written)


def test_fails_when_the_bucket_does_not_let_logs_in_any_more(network: Network) -> None:
    network.logs()
    given = network.s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    network.s3.delete_bucket_policy(Bucket=BUCKET)
    assert network.account.flow_records.write() == ()
    assert network.status() == ("FAILED", "Access error")
    network.s3.put_bucket_policy(Bucket=BUCKET, Policy=given)
    assert len(network.account.flow_records.write()) == 1
    assert network.status() == ("SUCCESS", None)


def test_fails_when_the_key_of_the_bucket_does_not_let_logs_in(network: Network) -> None:
    owner = {"Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    use = {"Principal": SERVICE, "Action": "kms:GenerateDataKey*", "Resource": "*", "Condition": FOR_HERE}
    key = network.kms.create_key(Policy=policy(owner, use))["KeyMetadata"]
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["Arn"]}
    network.s3.put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    network.logs()
    [name] = network.account.flow_records.write()
    head = network.s3.head_object(Bucket=BUCKET, Key=name.partition("/")[2])
    assert head["SSEKMSKeyId"] == key["Arn"]
    network.kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy(owner))
    assert network.account.flow_records.write() == ()
    assert network.status() == ("FAILED", "Access error")


def test_fails_when_files_are_in_parquet_or_an_interface_is_not_there(network: Network) -> None:
    network.logs(DestinationOptions={"FileFormat": "parquet"})
    with pytest.raises(ValueError, match="strictmoto writes no files in Parquet"):
        network.account.flow_records.write()
    with pytest.raises(ValueError, match="no network interface eni-1"):
        network.account.flow_records.write(Flow("eni-1", "192.0.2.1", "192.0.2.2"))


@pytest.mark.parametrize(
    "wrong",
    [{"source": "web-1"}, {"source_port": 70_000}, {"packets": 0}, {"protocol": 256}, {"action": "DROP"}],
)
def test_fails_when_a_flow_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be|does not appear"):
        Flow(**{"interface": "eni-1", "source": "192.0.2.1", "destination": "192.0.2.2", **wrong})


def test_when_another_process_asks_then_files_are_written_too(network: Network) -> None:
    network.logs()
    flow = {"interface": network.interface, "source": "198.51.100.9", "destination": network.address}
    status, answer = own_api(network.account, "POST", "/flow-records", {"flows": [flow], "at": ENDED})
    assert status == 200
    assert isinstance(answer, dict)
    assert len(network.read(answer["objects"][0])) == 2
    wrongs: tuple[Any, ...] = ({"flows": [{"interface": network.interface}]}, {"when": 1}, [])
    for wrong in wrongs:
        assert own_api(network.account, "POST", "/flow-records", wrong)[0] == 400
