"""A site in the rehearsal account: a table, a topic, a workflow that only waits, and an appliance or none."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aws_lambda_powertools.metrics import Metrics
from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION, Account
from strictmoto.testing.checkpoint import made_once
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_INCIDENT, TAG_SITE, read_request, utc_now
from tapstack.rehearsal.packet_basics import publish_template
from tapstack.responder.aws import clients
from tapstack.responder.capture.interfaces import prepare
from tapstack.responder.environment import environment
from tapstack.responder.incident import opening
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.store import incidents, notified, table
from tapstack.responder.store.keys import incident_key
from tapstack.responder.store.records import IncidentPackets
from tapstack.responder.sweeper import sweep
from tests.iam_off import enforces_iam as enforces_iam
from tests.iam_off import iam as iam
from tests.in_process import answered_in_process as answered_in_process
from tests.responder.callers import CALLER
from tests.response_by_hand import create_table

TABLE = "tap-incidents"
IMAGE = "ami-12c6146b"
WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 99999, "End": True}}}


# To make a client takes longer than most tests.
@functools.cache
def client(account: Account, service: str) -> Any:
    return account.client(service)


@dataclass
class Site:
    """Where the functions work, and what tests ask about it."""

    account: Account
    vpc: str
    subnet: str
    group: str
    state_machine_arn: str
    settings: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return client(self.account, service)

    @property
    def ec2(self) -> Any:
        return self.client("ec2")

    def target(self, interface: str | None = None) -> str:
        target = self.ec2.create_traffic_mirror_target(NetworkInterfaceId=interface or self.interface())
        return str(target["TrafficMirrorTarget"]["TrafficMirrorTargetId"])

    def balanced_target(self) -> str:
        """A target that takes any number of sources."""
        balancing = self.client("elbv2")
        made = balancing.create_load_balancer(Name="capture", Subnets=[self.subnet], Type="network")
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        target = self.ec2.create_traffic_mirror_target(NetworkLoadBalancerArn=arn)
        return str(target["TrafficMirrorTarget"]["TrafficMirrorTargetId"])

    def mirror_filter(self) -> str:
        return str(self.ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"])

    def interface(self) -> str:
        """A network interface that is attached to nothing."""
        made = self.ec2.create_network_interface(SubnetId=self.subnet, Groups=[self.group])
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def instance(self, kind: str = "m5.large", subnet: str | None = None, **more: Any) -> tuple[str, str]:
        """An instance that has run for an hour, and its primary interface."""
        made = self.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, InstanceType=kind, SubnetId=subnet or self.subnet, **more
        )["Instances"][0]
        # Tests begin captures up to twenty minutes ago: none was before the instance.
        launched = ec2_backends[ACCOUNT_ID][REGION].get_instance(made["InstanceId"])
        launched.launch_time = utc_now() - timedelta(hours=1)
        return made["InstanceId"], made["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def attach(self, instance: str, index: int = 1) -> str:
        """One more interface of an instance."""
        interface = self.interface()
        self.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=index)
        return interface

    def sessions(self, interface: str | None = None) -> list[dict[str, Any]]:
        found = self.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
        return [session for session in found if interface in (None, session["NetworkInterfaceId"])]

    def ours(self, interface: str | None = None) -> list[dict[str, Any]]:
        return [session for session in self.sessions(interface) if TAG_INCIDENT in tags(session)]

    def session_of_others(self, interface: str, number: int = 1, **more: Any) -> str:
        made = self.ec2.create_traffic_mirror_session(
            NetworkInterfaceId=interface,
            TrafficMirrorTargetId=self.others_target,
            TrafficMirrorFilterId=self.others_filter,
            SessionNumber=number,
            **more,
        )
        return str(made["TrafficMirrorSession"]["TrafficMirrorSessionId"])

    @functools.cached_property
    def others_target(self) -> str:
        return self.target()

    @functools.cached_property
    def others_filter(self) -> str:
        return self.mirror_filter()

    def calls(self, service: str) -> list[str]:
        return [record.call.action for record in self.account.recorder.records(service=service)]

    def messages(self) -> list[dict[str, str]]:
        """Published notifications: subject and text."""
        return [
            {"Subject": record.call.parameters["Subject"], "Message": record.call.parameters["Message"]}
            for record in self.account.recorder.records(service="sns", action="Publish")
        ]

    def events(self, detail_type: str) -> list[dict[str, Any]]:
        """Published events."""
        entries = [
            entry
            for record in self.account.recorder.records(service="events", action="PutEvents")
            for entry in record.call.parameters["Entries"]
        ]
        return [json.loads(entry["Detail"]) for entry in entries if entry["DetailType"] == detail_type]


def tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def our_tags(incident: str) -> list[dict[str, Any]]:
    values = {TAG_INCIDENT: incident, TAG_DEPLOYMENT: "tap", TAG_SITE: "frankfurt"}
    listed = [{"Key": key, "Value": value} for key, value in values.items()]
    return [{"ResourceType": "traffic-mirror-session", "Tags": listed}]


def opened(instance: str | None = None, *interfaces: str, minutes: int = 60, **more: Any) -> str:
    """Open an incident and return its id."""
    body: dict[str, Any] = {"reason": "beaconing", **more}
    body |= {"instance_id": instance} if instance else {"network_interface_ids": list(interfaces)}
    request = read_request(body, minutes=minutes, max_minutes=1440)
    made = opening.open_incident(request, source="api", by=CALLER).incident
    assert made is not None
    return made.id


def prepared(instance: str | None = None, *interfaces: str, **more: Any) -> str:
    """Open an incident and find its interfaces."""
    incident = opened(instance, *interfaces, **more)
    prepare(incident)
    return incident


def item(incident: str) -> dict[str, Any]:
    """An incident's item, as the table has it."""
    found = table.read(incident_key(incident))
    assert found is not None
    return found


def change(incident: str, update: str, **values: Any) -> None:
    """Let an incident be what a test needs."""
    assert incidents.changed(incident, update, **values) is not None


def captures_since(incident: str, then: str, until: str) -> None:
    """Let an incident capture since a time, until another one."""
    packets = IncidentPackets("mirroring", then).as_dict()
    sets = "SET #state = :capturing, packets = :packets, expires_at = :until"
    change(incident, sets, capturing="capturing", packets=packets, until=until)


def interfaces_of(incident: str) -> dict[str, dict[str, Any]]:
    return {entry["network_interface_id"]: entry for entry in item(incident)["interfaces"]}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries wait for hundredths of seconds."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)


@pytest.fixture(autouse=True)
def _answering() -> None:
    """Services that did not answer another test are called again: each test is an invocation of its own."""
    clients.call_unanswered_again()


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    """The execution of each incident runs: the sweeper starts no other."""
    monkeypatch.setattr(executions, "is_running", lambda _: True)


@pytest.fixture(autouse=True)
def _measured_alone() -> None:
    """Tests that let functions run into each other leave measures, which are kept by the process."""
    Metrics(namespace="Tapstack", service="tapstack").clear_metrics()


@pytest.fixture(scope="session", autouse=True)
def _forget_clients() -> Iterator[None]:
    # Collecting imports the functions behind the API, whose clients try less often.
    clients.reset()
    yield
    clients.reset()
    environment.cache_clear()


@pytest.fixture
def bare(aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site without an appliance."""
    return standing_at(made_once(aws_account, make_site), monkeypatch)


def make_site(account: Account) -> Site:
    """Make what a site consists of."""
    ec2 = client(account, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    create_table(client(account, "dynamodb"), TABLE)
    client(account, "sns").create_topic(Name="tap-notices")
    role = "arn:aws:iam::123456789012:role/workflow"
    machine = client(account, "stepfunctions").create_state_machine(
        name="tap-incidents", definition=json.dumps(WAITS), roleArn=role
    )["stateMachineArn"]
    return Site(account, vpc, subnet, group, machine)


def standing_at(made: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Give the functions the names and ids of a site, and return it without settings."""
    variables = {
        **made.account.environment,
        "TAPSTACK_DEPLOYMENT": "tap",
        "TAPSTACK_SITE": "frankfurt",
        "TAPSTACK_TABLE": TABLE,
        "TAPSTACK_STATE_MACHINE_ARN": made.state_machine_arn,
        "TAPSTACK_TOPIC_ARN": TOPIC,
        "TAPSTACK_EVENT_BUS": "default",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Site(made.account, made.vpc, made.subnet, made.group, made.state_machine_arn)


def configure(monkeypatch: pytest.MonkeyPatch, site: Site, appliance: dict[str, Any], **capture: Any) -> None:
    """Give the functions their settings."""
    site.settings = {
        "account_id": ACCOUNT_ID,
        "region": REGION,
        "vpc_id": site.vpc,
        "capture": {"minutes": 60, "max_minutes": 1440, **capture},
        "appliance": appliance,
        "retention_days": 365,
    }
    monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(site.settings))
    environment.cache_clear()


def _make_site_with_target(account: Account) -> dict[str, str]:
    site = made_once(account, make_site)
    return {"target_id": site.balanced_target(), "filter_id": site.mirror_filter()}


@pytest.fixture
def site(bare: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with an existing appliance behind a load balancer, and an empty record of calls."""
    existing = {
        **made_once(bare.account, _make_site_with_target),
        "portal_url": "https://10.0.0.9",
        "target_interface_id": None,
        "max_sources": None,
    }
    configure(monkeypatch, bare, {"existing": existing})
    bare.account.recorder.clear()
    return bare


@pytest.fixture
def launching(bare: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site that launches its appliance."""
    launch = {
        "stack_name": "tap-frankfurt-epb",
        "template_url": publish_template(bare.client("s3")),
        "role_arn": "arn:aws:iam::123456789012:role/cloudformation",
        "parameters": {
            "VPCID": bare.vpc,
            "MgmtTrafficMirrorSubnetID": bare.subnet,
            "RemoteAccessCIDR": "192.0.2.0/24",
            "PublicEIP": False,
        },
        "capabilities": [],
        "timeout_minutes": 30,
        "retire_after_minutes": 30,
    }
    configure(monkeypatch, bare, {"launch": launch})
    bare.account.recorder.clear()
    return bare


TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:tap-notices"
NOT_DELIVERED = f"{TOPIC}: NotFound: 'Topic does not exist'"
"""What a sweep says of notifications that are `unpublished`."""


class Killed(BaseException):
    """The function is killed."""


def unpublished(monkeypatch: pytest.MonkeyPatch, incident: str) -> None:
    """Let no notification of an incident be published."""
    real = notifications._send

    def send(topic_arn: str, subject: str, text: str) -> None:
        if incident in subject:
            raise ClientError({"Error": {"Code": "NotFound", "Message": "Topic does not exist"}}, "Publish")
        real(topic_arn, subject, text)

    monkeypatch.setattr(notifications, "_send", send)


def swept_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweep, killed once after each way to record or publish something, and then to the end."""
    for owner, name in ((notifications, "_deliver"), (notified, "mark_notified"), (table, "write_together")):
        real = getattr(owner, name)
        left = 1

        def killed(*args: Any, real: Any = real, **more: Any) -> Any:
            nonlocal left
            if left:
                left -= 1
                raise Killed
            return real(*args, **more)

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, killed)
            with suppress(Killed):
                sweep()
    sweep()
