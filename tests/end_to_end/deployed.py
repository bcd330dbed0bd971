"""Responses that real Terraform deployed into a rehearsal account, for any number of incidents one after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.credentials import Credentials

from strictmoto.account import ACCOUNT_ID, REGION, Account
from strictmoto.company import Company, found_company
from strictmoto.lambda_.background import in_hand
from strictmoto.recorder import Record
from strictmoto.testing.snapshot import Snapshot, differences, take_snapshot
from tapstack.cli.incident_api import IncidentApi, sign_with
from tapstack.domain.operations import operation_that_contains
from tapstack.rehearsal.deployment import SiteDeployment, synthesize
from tapstack.rehearsal.packet_basics import publish_template
from tapstack.responder.store.items import unpack
from tests.end_to_end.comparing import delete_evidence
from tests.end_to_end.payments import found_payments
from tests.strictmoto.signing import keys_of

PROJECT: Final = Path(__file__).parents[2]
SITE: Final = "ward"
"""Its appliance is launched for the first incident."""
STANDING_SITE: Final = "annex"
"""Its appliance stands."""
SCALE: Final = 0.005
"""An hour of waiting takes 18 seconds."""
ENDED: Final = frozenset({"closed", "failed"})
LEFT_ALONE: Final = frozenset({None, "rejected", "released"})
"""States of a containment in which nothing of the instance is changed."""
_APPROVE: Final = Path(__file__).resolve().parents[2] / "docs/iam/responders/approve.json"
LANDING: Final = "security-lake"
"""The bucket that alerts are kept in which lead to no instance."""
_MESSAGES: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
_PATIENCE: Final = 120.0
_LOOK_EVERY: Final = 0.15
"""Seconds: each look costs as much of the processor as a call of a function does."""
_LONGEST_PAUSE: Final = 0.2

Incident = dict[str, Any]


class NotThereError(Exception):
    """Something did not come about within two minutes; the message says what, and what there was instead."""


@dataclass
class DeployedResponse:
    """A site's response, deployed and ready for incidents.

    Attributes:
        account: that it is deployed into, with short waits.
        company: whose instances are captured.
        site: its name in the deployment file.
        endpoint: address of its API.
        api: calls its API, signed; tries again soon where that is safe.
        approver: calls it as another person, who may approve and nothing else.
        state_machine_arn: of its workflow.
        table: of its incidents.
        topic_arn: of the notifications.
        before: the account with the response and without an incident.
        planned_again: what a second plan would change, by address.
    """

    account: Account
    company: Company
    site: str
    endpoint: str
    api: IncidentApi
    approver: IncidentApi
    state_machine_arn: str
    table: str
    topic_arn: str
    before: Snapshot
    planned_again: dict[str, list[str]]

    @property
    def prefix(self) -> str:
        """What the names of its resources begin with."""
        return f"tapstack-{self.site}-response"

    def role(self, name: str) -> str:
        """Return the ARN of a role by the end of its name: a function's, `incidents-workflow`, `sweeper-schedule`."""
        return f"arn:aws:iam::123456789012:role/{self.prefix}-{name}"

    def function(self, name: str) -> str:
        """Return the full name of a function."""
        return f"{self.prefix}-{name}"

    @property
    def roles(self) -> list[str]:
        """The ARNs of all roles that were deployed for it."""
        iam = self.account.client("iam")
        pages = iam.get_paginator("list_roles").paginate()
        return [r["Arn"] for page in pages for r in page["Roles"] if r["RoleName"].startswith(f"{self.prefix}-")]

    def records(self, *names: str) -> list[Record]:
        """Return the recorded calls of its roles, or of some of them."""
        wanted = [self.role(name) for name in names] or self.roles
        return [record for record in self.account.recorder.records() if record.principal in wanted]

    def open(self, *suspects: str, minutes: int = 60, headers: dict[str, str] | None = None, **more: Any) -> Incident:
        """Open an incident about an instance of the company, by its name, or about network interfaces."""
        named = self.company.instances.get(suspects[0])
        about: dict[str, Any] = {"instance_id": named} if named else {"network_interface_ids": list(suspects)}
        body = {**about, "reason": "beaconing", "minutes": minutes, **more}
        wanted = more.get("containment", "none")
        path = "/incidents" if wanted == "none" else operation_that_contains(wanted, opens=True).path
        answer: Incident = self.api.post(path, body, headers=headers, repeatable=True)["incident"]
        return answer

    def show(self, incident: Incident) -> Incident:
        """Return an incident as it is now."""
        shown: Incident = self.api.get(f"/incidents/{incident['id']}")
        return shown

    def extend(self, incident: Incident, minutes: int) -> Incident:
        """Capture for longer."""
        done: Incident = self.api.post(f"/incidents/{incident['id']}/extend", {"minutes": minutes}, repeatable=True)
        return done

    def close(self, incident: Incident) -> Incident:
        """Ask that an incident ends."""
        done: Incident = self.api.post(f"/incidents/{incident['id']}/close", {"reason": "enough"}, repeatable=True)
        return done

    def contain(self, incident: Incident, mode: str = "now") -> Incident:
        """Ask to contain an incident's instance."""
        return self._ask(incident, "contain-now" if mode == "now" else "contain", {})

    def approve(self, incident: Incident) -> Incident:
        """Agree to a containment that waits for it, as another person than requested it."""
        done: Incident = self.approver.post(f"/incidents/{incident['id']}/approve", {}, repeatable=True)
        return done

    def reject(self, incident: Incident) -> Incident:
        """Refuse a containment that waits for approval."""
        return self._ask(incident, "reject", {"reason": "it is the backup"})

    def release(self, incident: Incident, **flags: bool) -> Incident:
        """Ask to release an incident's instance; `overwrite`, `keep` and `all` say how."""
        return self._ask(incident, "release", flags)

    def _ask(self, incident: Incident, what: str, body: dict[str, Any]) -> Incident:
        done: Incident = self.api.post(f"/incidents/{incident['id']}/{what}", body, repeatable=True)
        return done

    def containment(self, incident: Incident) -> dict[str, Any]:
        """Return what an incident's item says about its containment; nothing where none was requested."""
        found = self.read(incident).get("containment")
        return unpack({"M": found}) if isinstance(found, dict) else {}

    def until_asked(self, incident: Incident) -> None:
        """Wait until an incident's containment waits for approval."""
        wait_for(
            lambda: "approval_token" in self.read(incident),
            lambda: f"{incident['id']} does not wait for approval: {self.containment(incident)}",
        )

    def until_settled(self, incident: Incident, state: str) -> None:
        """Wait until what was asked about an incident's containment is done, whatever came of it.

        The time between the two steps of a containment is over at once: the function asks the clock, which no test
        makes go faster.

        Raises:
            NotThereError: it does not come to its end, or to another state.
        """

        instance_id = self.read(incident)["instance_id"]

        def settled() -> bool:
            if not self.runs_of(incident):
                return True
            self._hurry(instance_id)
            return False

        wait_for(settled, lambda: f"still running: {self.runs_of(incident)}")
        if (found := self.containment(incident)).get("state") != state:
            raise NotThereError(f"the containment of {incident['id']} is not {state}: {found}")

    def runs_of(self, incident: Incident) -> list[str]:
        """Return the executions of an incident that run, besides that of its capture."""
        return [name for name in self.running() if name.startswith(f"{incident['id']}-")]

    def _hurry(self, instance_id: str) -> None:
        """Let the first of two steps be long ago."""
        for item in self.items_of(instance_id):
            if item["sk"]["S"] == "CONTAINMENT" and int(item.get("untracked_at", {"N": "0"})["N"]) > 1:
                self.change({name: item[name] for name in ("pk", "sk")}, untracked_at={"N": "1"})

    def items_of(self, instance_id: str) -> list[dict[str, Any]]:
        """Return what the table has of an instance's containments, as DynamoDB writes it."""
        return self.account.client("dynamodb").query(  # type: ignore[no-any-return]
            TableName=self.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"CONTAINMENT#{instance_id}"}},
            ConsistentRead=True,
        )["Items"]

    def not_back(self) -> list[str]:
        """Return what the table says of containments that are in place, and of prior states that are not back."""
        found = []
        for item in self.items():
            if item["sk"]["S"] == "CONTAINMENT" and item["state"]["S"] != "absent":
                found.append(f"{item['pk']['S']} is {item['state']['S']}")
            if item["sk"]["S"].startswith("ORIGINAL#") and not item["restored"]["BOOL"]:
                found.append(f"{item['pk']['S']} {item['sk']['S']} is not back")
        return found

    def groups_of(self, name: str) -> dict[str, list[str]]:
        """Return the security groups of each network interface of an instance of the company."""
        found = self.account.client("ec2").describe_network_interfaces(
            NetworkInterfaceIds=list(self.company.interfaces[name])
        )["NetworkInterfaces"]
        return {item["NetworkInterfaceId"]: [group["GroupId"] for group in item["Groups"]] for item in found}

    def give(self, interface: str, *groups: str) -> None:
        """Others give a network interface these security groups."""
        self.account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=list(groups))

    def until(self, incident: Incident, *states: str) -> Incident:
        """Wait until an incident is in one of these states, and return it.

        Raises:
            NotThereError: it came to another end, or to none.
        """
        found: list[Incident] = []

        def there() -> bool:
            found[:] = [self.read(incident)]
            return found[0]["state"] in (*states, *ENDED)

        wait_for(there, lambda: f"{incident['id']} is {found[0]['state']}, not {' or '.join(states)}")
        shown = self.show(incident)
        if shown["state"] not in states:
            raise NotThereError(f"{incident['id']} is {shown['state']}: {shown['timeline']}")
        return shown

    def until_waiting(self, incident: Incident) -> None:
        """Wait until an incident's workflow waits for its end."""
        wait_for(
            lambda: "token" in self.read(incident),
            lambda: f"{incident['id']} does not wait for its end: {self.read(incident)}",
        )

    def until_idle(self, incident: Incident | None = None) -> None:
        """Wait until no execution of the workflow runs, or none of an incident."""
        prefix = incident["id"] if incident else ""

        def running() -> list[str]:
            return [name for name in self.running() if name.startswith(prefix)]

        wait_for(lambda: not running(), lambda: f"still running: {running()}")

    def captured(self, *suspects: str, minutes: int = 600, **more: Any) -> Incident:
        """Open an incident and wait until its sessions exist and its workflow waits for operators.

        An hour would be 18 seconds here, which end in the middle of a scenario where the machine has other work.
        """
        incident = self.open(*suspects, minutes=minutes, **more)
        self.until(incident, "capturing")
        self.until_waiting(incident)
        return self.show(incident)

    def end(self, incident: Incident) -> Incident:
        """Close an incident, a failed one too, and wait until its workflow has ended."""
        self.close(incident)
        wait_for(
            lambda: self.read(incident)["state"] == "closed",
            lambda: f"{incident['id']} does not close: {self.show(incident)}",
        )
        self.until_idle(incident)
        return self.show(incident)

    def running(self) -> list[str]:
        """Return the names of the executions that run."""
        states = self.account.client("stepfunctions")
        found = states.list_executions(stateMachineArn=self.state_machine_arn, statusFilter="RUNNING")["executions"]
        return [execution["name"] for execution in found]

    def sweep(self) -> dict[str, int]:
        """Have the sweeper do its round now, and return what it answers."""
        done = self.account.client("lambda").invoke(FunctionName=self.function("sweeper"), Payload=b"{}")
        answer: dict[str, int] = json.loads(done["Payload"].read())
        return answer

    def set_sweeper(self, state: str) -> None:
        """Let the schedule start the sweeper (`ENABLED`), every few seconds with short waits, or not (`DISABLED`)."""
        scheduler = self.account.client("scheduler")
        schedule = scheduler.get_schedule(Name=f"{self.prefix}-sweeper")
        kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "KmsKeyArn", "Description")
        scheduler.update_schedule(**{name: schedule[name] for name in kept if name in schedule}, State=state)

    def sessions(self) -> list[dict[str, Any]]:
        """Return all traffic mirror sessions of the account."""
        found: list[dict[str, Any]] = self.account.client("ec2").describe_traffic_mirror_sessions()[
            "TrafficMirrorSessions"
        ]
        return found

    def items(self) -> list[dict[str, Any]]:
        """Return all items of the table, as DynamoDB writes them."""
        pages = self.account.client("dynamodb").get_paginator("scan").paginate(TableName=self.table)
        return [item for page in pages for item in page["Items"]]

    def held(self) -> list[str]:
        """Return what the table says is still held, or on its way, by incidents that may be closed long since."""
        return [
            item["pk"]["S"]
            for item in self.items()
            if "holders" in item
            or "ending" in item
            or item.get("state", {}).get("S") in ("launching", "retiring", "resuming")
        ]

    def held_by_others_than(self, *incident_ids: str) -> list[str]:
        """Return what the table says is ending, on its way, or held by other incidents than just these."""
        return [
            item["pk"]["S"]
            for item in self.items()
            if ("holders" in item and sorted(item["holders"]["SS"]) != sorted(incident_ids))
            or "ending" in item
            or item.get("state", {}).get("S") in ("launching", "retiring", "resuming")
        ]

    def differences(self) -> list[str]:
        """Return what is not as it was before the first incident."""
        left = differences(self.before, take_snapshot(self.account, region=REGION))
        # A schedule that was switched on or off is the tests' doing.
        return [line for line in left if " scheduler " not in line] + [f"still held: {name}" for name in self.held()]

    @property
    def launches(self) -> bool:
        """Whether its appliance is launched, and does not stand."""
        return self.site == SITE

    def put(self, item: dict[str, Any]) -> None:
        """Write an item into the table, as a function would have that was killed then."""
        self.account.client("dynamodb").put_item(TableName=self.table, Item=item)

    def change(self, key: dict[str, Any], **values: dict[str, Any]) -> None:
        """Set attributes of an item, given as DynamoDB writes them."""
        self.account.client("dynamodb").update_item(
            TableName=self.table,
            Key=key,
            AttributeUpdates={name: {"Value": value, "Action": "PUT"} for name, value in values.items()},
        )

    def asked_long_ago(self, incident: Incident) -> None:
        """Let its containment have been asked for so long ago that its execution must have been started."""
        self._record_of_containment(incident, asked_at="2026-01-01T00:00:00Z")

    def approved_and_killed(self, incident: Incident) -> None:
        """Let its containment be approved by a function that was killed before the execution that waits went on."""
        self._record_of_containment(incident, state="containing", decision="approved", decided_by="bob")

    def _record_of_containment(self, incident: Incident, **values: str) -> None:
        sets = ", ".join(f"containment.#{name} = :{name}" for name in values)
        self.account.client("dynamodb").update_item(
            TableName=self.table,
            Key={"pk": {"S": f"INCIDENT#{incident['id']}"}, "sk": {"S": "INCIDENT"}},
            UpdateExpression=f"SET {sets}",
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
        )

    def stop_executions(self) -> None:
        """Have all executions of the workflow die."""
        for name in self.running():
            self.stop_execution(name)
        self.until_idle()

    def stop_execution(self, name: str) -> None:
        """Have an execution of the workflow die."""
        machine = self.state_machine_arn.replace(":stateMachine:", ":execution:")
        self.account.client("stepfunctions").stop_execution(executionArn=f"{machine}:{name}")

    def clean(self) -> None:
        """Bring the account back to where it was, by the response itself.

        Raises:
            NotThereError: the response cannot do it. What is left is then taken away all the same.
        """
        self.account.faults.clear()
        try:
            self.bring_back()
            # Snapshots are evidence, and stay.
            left = [*delete_evidence(self.account), *self.differences(), *self.not_back()]
        except NotThereError as error:
            left = [str(error)]
        self.wipe()
        if left:
            raise NotThereError("; ".join(left))

    def bring_back(self) -> None:
        """Release what is contained, close what is open, and wait until all is done.

        Raises:
            NotThereError: it is not released, or does not close.
        """
        for item in self.items():
            if item["sk"]["S"] == "INCIDENT":
                self.release_fully({"id": item["id"]["S"]})
        for item in self.items():
            if item["sk"]["S"] == "INCIDENT" and item["state"]["S"] != "closed":
                self.close({"id": item["id"]["S"]})
        wait_for(
            lambda: all(i["state"]["S"] == "closed" for i in self.items() if i["sk"]["S"] == "INCIDENT"),
            lambda: "not closed: " + ", ".join(i["id"]["S"] for i in self.items() if i["sk"]["S"] == "INCIDENT"),
        )
        self.until_idle()

    def release_fully(self, incident: Incident) -> None:
        """Have nothing of an incident's instance contained any more, whatever there is, and whoever else wants it.

        Raises:
            NotThereError: it is not released.
        """
        wait_for(
            lambda: not self.runs_of(incident) or "approval_token" in self.read(incident),
            lambda: f"still running: {self.runs_of(incident)}",
        )
        state = self.containment(incident).get("state")
        if state == "pending":
            self.reject(incident)
            self.until_settled(incident, "rejected")
        elif state not in LEFT_ALONE:
            self.release(incident, overwrite=True, all=True)
            self.until_settled(incident, "released")

    def wipe(self) -> None:
        """Take away what is left, whatever it is."""
        self.account.metrics.forget()
        self.stop_executions()
        ec2, cloudformation = self.account.client("ec2"), self.account.client("cloudformation")
        for session in self.sessions():
            ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session["TrafficMirrorSessionId"])
        for stack in cloudformation.describe_stacks()["Stacks"]:
            cloudformation.delete_stack(StackName=stack["StackId"])
        self.forget()

    def until_handled(self) -> None:
        """Wait until no function has an event in hand, and no alert waits: a retry finds nothing in an empty table."""
        sqs = self.account.client("sqs")
        queue = sqs.get_queue_url(QueueName=f"{self.prefix}-alerts")["QueueUrl"]

        def busy() -> list[str]:
            counted = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=_MESSAGES)["Attributes"]
            alerts = [f"{self.prefix}-alerts"] if any(int(counted[name]) for name in _MESSAGES) else []
            return alerts + sorted(name for name in in_hand() if name.startswith(f"{self.prefix}-"))

        wait_for(lambda: not busy(), lambda: f"still with events in hand: {busy()}")

    def forget(self, but: Container[tuple[str, str]] = ()) -> None:
        """Empty the table, but for some keys, and forget the calls."""
        self.until_handled()
        table = self.account.client("dynamodb")
        for item in self.items():
            if key_of(item) not in but:
                table.delete_item(TableName=self.table, Key={"pk": item["pk"], "sk": item["sk"]})
        self.account.recorder.clear()

    def read(self, incident: Incident) -> Incident:
        """Return an incident's item, flat: asking the API for it would be a call of the response."""
        key = {"pk": {"S": f"INCIDENT#{incident['id']}"}, "sk": {"S": "INCIDENT"}}
        item = self.account.client("dynamodb").get_item(TableName=self.table, Key=key, ConsistentRead=True)["Item"]
        return {name: next(iter(value.values())) for name, value in item.items()}


def key_of(item: dict[str, Any]) -> tuple[str, str]:
    """Return the key of an item that is as DynamoDB writes it."""
    return item["pk"]["S"], item["sk"]["S"]


def wait_for(there: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Wait until something holds.

    Raises:
        NotThereError: it does not; the message is `otherwise()`.
    """
    deadline = time.monotonic() + _PATIENCE
    while not there():
        if time.monotonic() > deadline:
            raise NotThereError(otherwise())
        time.sleep(_LOOK_EVERY)


def _settings(company: Company, template_url: str, target: str, filter_: str, topic_arn: str) -> str:
    policy = [
        {"name": "tests", "tags": {"stage": "test"}, "action": "notify"},
        {"name": "worst", "severity": {"at_least": 9.0}, "action": "contain_now"},
        {"name": "severe", "severity": {"at_least": 7.0}, "action": "capture", "minutes": 30},
    ]
    launch = {
        "template_url": template_url,
        "subnet_id": company.shop.private[0],
        "remote_access_cidr": "10.64.0.0/16",
        "public_ip": False,
        # Given to templates that ask for it; the published one does not.
        "capabilities": ["CAPABILITY_IAM"],
        "retire_after_minutes": 1,
    }
    usual = {"modes": ["approval", "now"], "per_hour": 1000}
    # All that is off by default: between them, both sites do everything that a containment can do.
    thorough = {
        **usual,
        "approval": {"minutes": 60, "default": "contain"},
        "wait_for_packets": {"at_most_seconds": 60},
        "two_step": {"enabled": True, "seconds": 60},
        "tcp_established_seconds": 60,
        "auto_scaling": {"decrement_desired_capacity": True},
        "snapshots": True,
        "instance_profile": "restrict",
    }
    sources = {"soc": {"preset": "generic", "webhook": True}, "soar": {"preset": "generic"}}
    alerts = {"security_hub": True, "sources": sources}
    common = {
        "deletion_protection": False,
        "policy": policy,
        "alerts": alerts,
        "notify": {"topic_arns": [topic_arn]},
    }
    place = {
        "region": REGION,
        "vpc_id": company.shop.id,
        "quarantine_security_group": False,
        # One that exists: its stack is not deployed here.
        "xdr": {"landing": {"bucket": LANDING}},
    }
    return json.dumps(
        {
            "sites": {
                SITE: {**place, "response": {"appliance": {"launch": launch}, "containment": thorough, **common}},
                STANDING_SITE: {
                    **place,
                    "response": {
                        "appliance": {"target": target, "filter": filter_},
                        "containment": usual,
                        **common,
                    },
                },
            }
        }
    )


def _pause(seconds: float) -> None:
    time.sleep(min(seconds, _LONGEST_PAUSE))


def _approver(account: Account) -> Credentials:
    """Return the keys of a user with the policy of the docs for those who approve."""
    iam = account.client("iam")
    iam.create_user(UserName="approver")
    policy = _APPROVE.read_text(encoding="utf-8").replace("111122223333", ACCOUNT_ID).replace("API_ID", "*")
    iam.put_user_policy(UserName="approver", PolicyName="approve", PolicyDocument=policy)
    key = iam.create_access_key(UserName="approver")["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


@contextmanager
def deployed_responses(
    account: Account, scratch: Path, sites: tuple[str, ...] = (SITE,)
) -> Iterator[dict[str, DeployedResponse]]:
    """Deploy responses into an account, and yield them by site; the account forgets them afterwards.

    Args:
        account: which runs, and loses whatever it holds.
        scratch: an empty directory for Terraform.
        sites: which of the two are deployed.
    """
    account.reset()
    company = found_payments(account, found_company(account))
    ec2 = account.client("ec2")
    target = ec2.create_traffic_mirror_target(NetworkInterfaceId=company.interfaces["legacy"][0])
    target_id = target["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    filter_id = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    topic_arn = account.client("sns").create_topic(Name="security")["TopicArn"]
    account.client("s3").create_bucket(Bucket=LANDING, CreateBucketConfiguration={"LocationConstraint": REGION})
    file = scratch / "deployment.yaml"
    file.write_text(_settings(company, publish_template(account.client("s3")), target_id, filter_id, topic_arn))
    stacks = {site: f"{site}-response" for site in sites}
    directories = synthesize(PROJECT, file, scratch / "out", list(stacks.values()))

    def apply(name: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
        site = SiteDeployment(directories[name], account, lambda _: None)
        return site.apply(), site.changes()

    with ThreadPoolExecutor() as pool:
        outputs = dict(zip(sites, pool.map(apply, stacks.values()), strict=True))
    account.waits.scale = SCALE
    sign, approves = sign_with(keys_of(account), REGION), sign_with(_approver(account), REGION)
    before = take_snapshot(account, region=REGION)
    responses = {
        site: DeployedResponse(
            account=account,
            company=company,
            site=site,
            endpoint=made["api_endpoint"],
            api=IncidentApi(made["api_endpoint"], sign, pause=_pause),
            approver=IncidentApi(made["api_endpoint"], approves, pause=_pause),
            state_machine_arn=made["state_machine_arn"],
            table=made["table_name"],
            topic_arn=made["topic_arn"],
            before=before,
            planned_again=again,
        )
        for site, (made, again) in outputs.items()
    }
    for response in responses.values():
        # Every 15 minutes is every few seconds here: what the sweeper does would be no one's wish.
        response.set_sweeper("DISABLED")
    account.recorder.clear()
    try:
        yield responses
    finally:
        account.reset()
