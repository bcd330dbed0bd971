"""Events of incidents on their way to the bucket, as the stack makes it: rule, queue, function with its own role."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import ACCOUNT_ID, REGION, Account
from strictmoto.testing.least_privilege import policies_of, prove
from strictmoto.testing.resource_conditions import attributes_now
from tapstack import IncidentTelemetry, IncidentTelemetrySettings, TelemetryLanding
from tapstack.bindings import cdk
from tapstack.domain.incident_events import DETAIL_TYPE
from tapstack.response.package import build_package
from tests.responder.test_telemetry_writer import EVENT, INCIDENT
from tests.strictmoto.trusting import TRUST
from tests.synth.template import new_stack

BUCKET: Final = f"ir-a-xdr-{ACCOUNT_ID}"
# What AWS does in the role's name without a call that the account sees.
UNSEEN: Final = ("logs:", "xray:", "kms:", "sqs:")
_TOKEN: Final = re.compile(r"\$\{(?:data\.)?(\w+)\.(\w+)\.(\w+)\}")
_DATA: Final[Mapping[str, str]] = {"partition": "aws", "account_id": ACCOUNT_ID, "region": REGION, "id": REGION}


class Made:
    """What the stack makes, by a few calls where Terraform would take a minute."""

    def __init__(self, account: Account) -> None:
        self.account = account
        stack = new_stack()
        landing = TelemetryLanding(stack, "landing", deployment="ir", site="a")
        settings = IncidentTelemetrySettings(ocsf=True)
        IncidentTelemetry(stack, "incidents", landing=landing, settings=settings)
        self._resources = json.loads(cdk.Testing.synth(stack))["resource"]
        self._known: dict[tuple[str, str], Mapping[str, str]] = {}
        account.client("s3").create_bucket(
            Bucket=BUCKET,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectOwnership="BucketOwnerEnforced",
        )
        account.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        policy = self.body("aws_kms_key", "Key", of="landing")["policy"]
        key = account.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
        self._know("aws_kms_key", "landing_Key", {"arn": key})
        self._know("aws_s3_bucket", "landing_Bucket", {"bucket": BUCKET})
        for name, policy in (("DeadLetters", "DeadLetters_Policy"), ("Queue", "QueuePolicy")):
            self._queue(name, policy)
        self.role = self._role()
        self._function()
        self._rule()

    def _know(self, type_: str, name: str, attributes: Mapping[str, str]) -> None:
        self._known[type_, next(found for found in self._resources[type_] if found.startswith(f"{name}_"))] = attributes

    def body(self, type_: str, name: str, *, of: str = "incidents") -> dict[str, Any]:
        """The arguments of a resource, with what Terraform would put in place of tokens."""
        (found,) = [
            b
            for n, b in self._resources[type_].items()
            if re.fullmatch("_".join(filter(None, (of, name, "[0-9A-F]+"))), n)
        ]

        def value(token: re.Match[str]) -> str:
            type_, name, attribute = token.groups()
            known = self._known.get((type_, name))
            return _DATA[attribute] if known is None else known[attribute]

        return dict(json.loads(_TOKEN.sub(value, json.dumps(found))))

    def _queue(self, name: str, policy: str) -> None:
        queue, sqs = self.body("aws_sqs_queue", name), self.account.client("sqs")
        attributes = {
            "VisibilityTimeout": str(queue.get("visibility_timeout_seconds", 30)),
            "KmsMasterKeyId": queue["kms_master_key_id"],
            **({"RedrivePolicy": queue["redrive_policy"]} if "redrive_policy" in queue else {}),
        }
        url = sqs.create_queue(QueueName=queue["name"], Attributes=attributes)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{queue['name']}"
        self._know("aws_sqs_queue", f"incidents_{name}", {"arn": arn, "url": url, "name": queue["name"]})
        sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": self.body("aws_sqs_queue_policy", policy)["policy"]}
        )

    def _role(self) -> str:
        role, iam = self.body("aws_iam_role", "Function_Role"), self.account.client("iam")
        arn = str(iam.create_role(RoleName=role["name"], AssumeRolePolicyDocument=TRUST)["Role"]["Arn"])
        self._know("aws_iam_role", "incidents_Function_Role", {"arn": arn, "name": role["name"], "id": role["name"]})
        self._know(
            "aws_cloudwatch_log_group",
            "incidents_Function_Logs",
            {"arn": f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/aws/lambda/ir-a-xdr-telemetry", "name": "x"},
        )
        self.policy = self.body("aws_iam_role_policy", "Function_Policy")["policy"]
        self.allow(self.policy)
        return arn

    def allow(self, policy: str) -> None:
        """Give the function's role a policy."""
        self.account.client("iam").put_role_policy(
            RoleName="ir-a-xdr-telemetry", PolicyName="responder", PolicyDocument=policy
        )

    def _function(self) -> None:
        body = {k: v for k, v in self._resources["aws_lambda_function"].items() if k.startswith("incidents_Function")}
        ((name, function),) = body.items()
        variables = {**function["environment"]["variables"], "TAPSTACK_TELEMETRY_BUCKET": BUCKET}
        arn = self.account.client("lambda").create_function(
            FunctionName=function["function_name"],
            Runtime=function["runtime"],
            Handler=function["handler"],
            Role=self.role,
            Code={"ZipFile": build_package().content},
            Timeout=function["timeout"],
            Environment={"Variables": variables},
        )["FunctionArn"]
        self._known["aws_lambda_function", name] = {"function_name": function["function_name"], "arn": arn}
        self.map()

    def map(self) -> str:
        """Have Lambda take events from the queue; return the mapping's id."""
        mapping = self.body("aws_lambda_event_source_mapping", "Events")
        made = self.account.client("lambda").create_event_source_mapping(
            EventSourceArn=mapping["event_source_arn"],
            FunctionName=mapping["function_name"],
            FunctionResponseTypes=mapping["function_response_types"],
            ScalingConfig={"MaximumConcurrency": mapping["scaling_config"]["maximum_concurrency"]},
        )
        return str(made["UUID"])

    def _rule(self) -> None:
        events, rule = self.account.client("events"), self.body("aws_cloudwatch_event_rule", "")
        events.put_rule(Name=rule["name"], EventPattern=rule["event_pattern"])
        self._known["aws_cloudwatch_event_rule", next(iter(self._resources["aws_cloudwatch_event_rule"]))] = rule
        target = self.body("aws_cloudwatch_event_target", "Target")
        events.put_targets(
            Rule=rule["name"],
            Targets=[
                {
                    "Id": target["target_id"],
                    "Arn": target["arn"],
                    "DeadLetterConfig": {"Arn": target["dead_letter_config"]["arn"]},
                }
            ],
        )

    def emit(self, *events: Mapping[str, Any], detail_type: str = DETAIL_TYPE) -> None:
        """Put events on the bus, as the responder does."""
        entries = [{"Source": "tapstack", "DetailType": detail_type, "Detail": json.dumps(event)} for event in events]
        assert self.account.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0

    def objects(self) -> dict[str, Any]:
        """All versions of all objects that there are, by key, each read."""
        s3 = self.account.client("s3")
        listed = s3.list_object_versions(Bucket=BUCKET).get("Versions", [])
        assert len({one["Key"] for one in listed}) == len(listed)
        return {
            one["Key"]: json.loads(gzip.decompress(s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()))
            for one in listed
        }


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    return True


@pytest.fixture(scope="module")
def made(aws_account_server: Account, iam: None) -> Made:
    aws_account_server.reset()
    return Made(aws_account_server)


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.1)


def event(number: int, what: str = "opened", **more: Any) -> dict[str, Any]:
    return {**EVENT, "id": f"{INCIDENT}-{number:08x}", "what": what, **more}


def test_when_events_are_emitted_then_those_of_this_site_land_once_each_with_the_role_that_the_stack_makes(
    made: Made,
) -> None:
    made.account.recorder.clear()
    made.emit(event(1), event(2, "closed"))
    made.emit(event(1), event(3, site="b"), event(4, deployment="other"))
    made.emit(event(5), detail_type="Tapstack Incident")
    made.emit(event(6, "failed"))
    until(lambda: len(made.objects()) >= 6)
    found = made.objects()
    incidents = {key: one for key, one in found.items() if key.startswith("incidents/v1/2026/01/02/")}
    assert sorted(incidents.values(), key=lambda one: str(one["id"])) == [
        event(1),
        event(2, "closed"),
        event(6, "failed"),
    ]
    assert {key.replace("incidents/v1/", "incidents-ocsf/") for key in incidents} == set(found) - set(incidents)
    records = made.account.recorder.records()
    policies = policies_of(made.account, [made.role])
    proof = prove(records, policies, {}, attributes=attributes_now(made.account, region=REGION), state_machine="")
    assert [str(one) for one in proof.refusals] == []
    assert [str(one) for one in proof.surplus if not one.action.startswith(UNSEEN)] == []
    assert [str(one) for one in proof.redundant if not all(a.startswith(UNSEEN) for a in one.statement.actions)] == []
    assert proof.judged > 0


def test_when_a_right_to_the_queue_is_taken_away_then_lambda_does_not_take_events_from_it(made: Made) -> None:
    document = json.loads(made.policy)
    (receiving,) = [one for one in document["Statement"] if one["Sid"] == "ReceiveEvents"]
    for action in list(receiving["Action"]):
        fewer = {**receiving, "Action": [one for one in receiving["Action"] if one != action]}
        others = [one for one in document["Statement"] if one["Sid"] != "ReceiveEvents"]
        made.allow(json.dumps({**document, "Statement": [*others, fewer]}))
        with pytest.raises(ClientError, match=f"does not have permissions to call {action.partition(':')[2]} on SQS"):
            made.map()
    made.allow(made.policy)
