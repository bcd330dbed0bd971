"""A CloudFormation account over HTTP: one server a session, nothing left from one test to the next."""

import functools
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from strictmoto import cloudformation
from strictmoto.ec2 import mirroring, network_interfaces
from strictmoto.identity import role_clients
from tests.in_process import answered_in_process as answered_in_process

REGION = "eu-central-1"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    for part in (network_interfaces, mirroring, cloudformation):
        part.install()
        # A second time: it must change nothing.
        part.install()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


# To make a client takes longer than most tests.
@functools.cache
def client(endpoint: str, service: str) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@dataclass
class Account:
    """Clients of the account, and the network that stacks are put into."""

    endpoint: str
    vpc: str
    subnet: str

    def client(self, service: str) -> Any:
        return client(self.endpoint, service)

    def __post_init__(self) -> None:
        self.stacks = self.client("cloudformation")
        self.ec2 = self.client("ec2")

    def stack(self, name: str = "tap") -> dict[str, Any]:
        found: dict[str, Any] = self.stacks.describe_stacks(StackName=name)["Stacks"][0]
        return found

    def events(self, name: str) -> list[tuple[str, str, str]]:
        """Oldest first: the resource, its status and the reason."""
        events = self.stacks.describe_stack_events(StackName=name)["StackEvents"]
        return [
            (event["LogicalResourceId"], event["ResourceStatus"], event.get("ResourceStatusReason", ""))
            for event in reversed(events)
        ]

    def interface(self) -> str:
        """A network interface on an instance of a type that can be a source."""
        instance = self.ec2.run_instances(
            ImageId="ami-12345678", MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=self.subnet
        )["Instances"][0]
        return str(instance["NetworkInterfaces"][0]["NetworkInterfaceId"])

    def left_behind(self) -> dict[str, list[str]]:
        """What a deleted stack must not leave."""
        ec2 = self.ec2
        found = {
            "interfaces": [i["NetworkInterfaceId"] for i in ec2.describe_network_interfaces()["NetworkInterfaces"]],
            "addresses": [a["PublicIp"] for a in ec2.describe_addresses()["Addresses"]],
            "groups": [
                g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default"
            ],
            "targets": [
                t["TrafficMirrorTargetId"] for t in ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"]
            ],
            "filters": [
                f["TrafficMirrorFilterId"] for f in ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
            ],
            "sessions": [
                s["TrafficMirrorSessionId"] for s in ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
            ],
            "running": [
                i["InstanceId"]
                for r in ec2.describe_instances()["Reservations"]
                for i in r["Instances"]
                if i["State"]["Name"] == "running"
            ],
        }
        return {kind: ids for kind, ids in found.items() if ids}


@pytest.fixture
def account(endpoint: str) -> Account:
    request = urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request):
        pass
    # Their sessions ended with the roles.
    role_clients.forget()
    made = Account(endpoint, "", "")
    made.vpc = made.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made.subnet = made.ec2.create_subnet(VpcId=made.vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    return made
