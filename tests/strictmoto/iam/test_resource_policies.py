"""Policies of buckets, queues, topics, buses, keys and functions decide besides those of who calls."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.strictmoto.iam.conftest import HERE, ROOT, THERE, Enforcing, policy, refusal
from tests.strictmoto.lambda_.functions import until, zipped

REGION: Final = "eu-central-1"
WORKER: Final = f"arn:aws:iam::{HERE}:role/worker-0"
OTHER: Final = f"arn:aws:iam::{HERE}:role/other"
STRANGER: Final = f"arn:aws:iam::{THERE}:role/stranger"


class Guarded:
    """A resource with a policy, and a call of it."""

    service = ""
    action = ""
    denied = "AccessDenied"

    def __init__(self, enforcing: Enforcing) -> None:
        self.enforcing = enforcing
        self.owner = enforcing.client(self.service)
        self.make()

    def make(self) -> None: ...

    def guard(self, document: str) -> None: ...

    def use(self, client: Any) -> Any: ...


class Bucket(Guarded):
    service, action = "s3", "s3:GetObject"

    def make(self) -> None:
        where = {"LocationConstraint": REGION}
        self.owner.create_bucket(Bucket="guarded", CreateBucketConfiguration=where)
        self.owner.put_object(Bucket="guarded", Key="k", Body=b"x")

    def guard(self, document: str) -> None:
        self.owner.put_bucket_policy(Bucket="guarded", Policy=document)

    def use(self, client: Any) -> Any:
        return client.get_object(Bucket="guarded", Key="k")


class Queue(Guarded):
    service, action = "sqs", "sqs:SendMessage"

    def make(self) -> None:
        self.url = self.owner.create_queue(QueueName="guarded")["QueueUrl"]

    def guard(self, document: str) -> None:
        self.owner.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": document})

    def use(self, client: Any) -> Any:
        return client.send_message(QueueUrl=self.url, MessageBody="x")


class Topic(Guarded):
    service, action, denied = "sns", "sns:Publish", "AuthorizationError"

    def make(self) -> None:
        self.arn = self.owner.create_topic(Name="guarded")["TopicArn"]

    def guard(self, document: str) -> None:
        self.owner.set_topic_attributes(TopicArn=self.arn, AttributeName="Policy", AttributeValue=document)

    def use(self, client: Any) -> Any:
        return client.publish(TopicArn=self.arn, Message="x")


class Key(Guarded):
    service, action, denied = "kms", "kms:Encrypt", "AccessDeniedException"

    def make(self) -> None:
        self.id = self.owner.create_key()["KeyMetadata"]["Arn"]

    def guard(self, document: str) -> None:
        self.owner.put_key_policy(KeyId=self.id, PolicyName="default", Policy=document)

    def use(self, client: Any) -> Any:
        return client.encrypt(KeyId=self.id, Plaintext=b"x")


class Secret(Guarded):
    service, action, denied = "secretsmanager", "secretsmanager:GetSecretValue", "AccessDeniedException"

    def make(self) -> None:
        self.id = self.owner.create_secret(Name="guarded", SecretString="x")["ARN"]

    def guard(self, document: str) -> None:
        self.owner.put_resource_policy(SecretId=self.id, ResourcePolicy=document)

    def use(self, client: Any) -> Any:
        return client.get_secret_value(SecretId=self.id)


ALL: Final = (Bucket, Queue, Topic, Key, Secret)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("principal", "own", "allowed"),
    [(WORKER, False, True), (ROOT, False, False), (ROOT, True, True), (OTHER, False, False)],
)
def test_when_the_caller_is_of_the_same_account_then_being_named_is_enough(
    enforcing: Enforcing, kind: type[Guarded], principal: str, own: bool, allowed: bool
) -> None:
    guarded = kind(enforcing)
    guarded.enforcing.role("worker-0", *([{"Action": kind.action}] if own else []))
    guarded.enforcing.role("other")
    named = principal if principal != OTHER else OTHER
    statements = [{"Principal": {"AWS": named}, "Action": kind.action, "Resource": _of(guarded)}]
    if principal != ROOT and kind is Key:
        # Whoever sets a key's policy must keep the account in it.
        statements.append({"Principal": {"AWS": ROOT}, "Action": "kms:PutKeyPolicy", "Resource": "*"})
    guarded.guard(policy(*statements))
    worker = enforcing.client(kind.service, role_arn=WORKER)
    if allowed:
        assert guarded.use(worker)
    else:
        assert refusal(guarded.use, client=worker)[0] == kind.denied


@pytest.mark.parametrize("kind", ALL)
def test_when_a_policy_denies_then_what_else_allows_does_not_count(enforcing: Enforcing, kind: type[Guarded]) -> None:
    guarded = kind(enforcing)
    worker = enforcing.worker(kind.service, {"Action": "*"})
    assert guarded.use(worker)
    denying = {"Effect": "Deny", "Principal": {"AWS": WORKER}, "Action": kind.action, "Resource": _of(guarded)}
    guarded.guard(policy(denying, {"Principal": {"AWS": ROOT}, "Action": "*", "Resource": _of(guarded)}))
    code, message = refusal(guarded.use, client=worker)
    assert code == kind.denied
    assert message.endswith("with an explicit deny in a resource-based policy")


@pytest.mark.parametrize("kind", ALL)
def test_when_a_policy_requires_tls_then_no_caller_is_locked_out(enforcing: Enforcing, kind: type[Guarded]) -> None:
    guarded = kind(enforcing)
    tls = {"Effect": "Deny", "Principal": "*", "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    guarded.guard(
        policy({**tls, "Resource": _of(guarded)}, {"Principal": {"AWS": ROOT}, "Action": "*", "Resource": "*"})
    )
    assert guarded.use(enforcing.worker(kind.service, {"Action": kind.action}))
    assert guarded.use(guarded.owner)


def test_when_a_bucket_requires_a_version_of_tls_then_no_caller_is_locked_out(enforcing: Enforcing) -> None:
    bucket = Bucket(enforcing)
    old = {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    bucket.guard(policy({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": _of(bucket), "Condition": old}))
    assert bucket.use(enforcing.worker("s3", {"Action": Bucket.action}))
    assert bucket.use(bucket.owner)


def test_when_a_key_does_not_name_the_account_then_no_policy_of_a_role_is_enough(enforcing: Enforcing) -> None:
    key = Key(enforcing)
    worker = enforcing.worker("kms", {"Action": "kms:*"})
    assert key.use(worker)
    key.guard(policy({"Principal": {"AWS": OTHER}, "Action": "kms:*", "Resource": "*"}))
    code, message = refusal(key.use, client=worker)
    assert code == "AccessDeniedException"
    assert message.endswith("because no resource-based policy allows the kms:Encrypt action")


def test_when_a_bucket_denies_all_then_the_root_user_can_still_delete_its_policy(enforcing: Enforcing) -> None:
    bucket = Bucket(enforcing)
    bucket.guard(policy({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}))
    assert refusal(bucket.use, client=bucket.owner)[0] == "AccessDenied"
    bucket.owner.delete_bucket_policy(Bucket="guarded")
    assert bucket.use(bucket.owner)


@pytest.mark.parametrize("named", [True, False])
def test_when_the_caller_is_of_another_account_then_both_policies_must_allow(enforcing: Enforcing, named: bool) -> None:
    queue = Queue(enforcing)
    stranger = _stranger(enforcing, {"Action": "sqs:*"})
    if named:
        queue.guard(policy({"Principal": {"AWS": STRANGER}, "Action": "sqs:SendMessage", "Resource": "*"}))
        sqs = enforcing.client("sqs", role_arn=stranger)
        assert _passes(sqs.send_message, QueueUrl=queue.url, MessageBody="x")
    else:
        code, message = refusal(
            enforcing.client("sqs", role_arn=stranger).send_message, QueueUrl=queue.url, MessageBody="x"
        )
        assert (code, message.endswith("because no resource-based policy allows the sqs:SendMessage action")) == (
            "AccessDenied",
            True,
        )


class TestServices:
    """Services that act by themselves are held against the same policies, whether or not IAM is enforced."""

    def deliver(self, enforcing: Enforcing, condition: Any) -> list[Any]:
        """Send an event to a queue whose policy has a condition; return what arrives."""
        queue = Queue(enforcing)
        arn = f"arn:aws:sqs:{REGION}:{HERE}:guarded"
        service = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
        queue.guard(policy({**service, "Condition": condition}))
        events = enforcing.client("events")
        events.put_rule(Name="r", EventPattern='{"source": ["x"]}')
        events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn}])
        events.put_events(Entries=[{"Source": "x", "DetailType": "d", "Detail": "{}"}])
        found = queue.owner.receive_message(QueueUrl=queue.url, WaitTimeSeconds=1).get("Messages", [])
        return list(found)

    @pytest.mark.parametrize(
        ("condition", "arrives"),
        [
            ({"ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{HERE}:rule/r"}}, True),
            ({"ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{HERE}:rule/s"}}, False),
            ({"StringEquals": {"aws:SourceAccount": HERE}}, True),
            ({"StringEquals": {"aws:SourceAccount": THERE}}, False),
            ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, True),
            ({"Bool": {"aws:SecureTransport": "true"}}, True),
            ({"StringEquals": {"aws:SourceOrgID": "o-0123456789"}}, False),
        ],
    )
    def test_when_a_rule_reaches_a_queue_then_the_conditions_of_its_policy_hold(
        self, enforcing: Enforcing, condition: Any, arrives: bool
    ) -> None:
        assert bool(self.deliver(enforcing, condition)) is arrives

    def test_when_a_queue_allows_the_organization_then_its_accounts_may_send(self, enforcing: Enforcing) -> None:
        own = enforcing.client("organizations").create_organization(FeatureSet="ALL")["Organization"]["Id"]
        assert self.deliver(enforcing, {"StringEquals": {"aws:SourceOrgID": own}})


@pytest.mark.parametrize("may", [True, False])
def test_when_a_function_fails_then_its_role_puts_away_the_event_with_no_more_than_sending(
    enforcing: Enforcing, may: bool
) -> None:
    queue = Queue(enforcing)
    sending = {"Action": "sqs:SendMessage", "Resource": f"arn:aws:sqs:{REGION}:{HERE}:guarded"}
    role = enforcing.role("worker-0", sending, trust={"Service": "lambda.amazonaws.com"})
    functions = enforcing.client("lambda")
    functions.create_function(
        FunctionName="work",
        Role=role,
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": zipped("def handler(event, context): raise ValueError")},
        DeadLetterConfig={"TargetArn": sending["Resource"]},
    )
    if not may:
        # Lambda asks when it takes the queue, and no more.
        enforcing.client("iam").delete_role_policy(RoleName="worker-0", PolicyName="work")
    functions.put_function_event_invoke_config(FunctionName="work", MaximumRetryAttempts=0)
    functions.invoke(FunctionName="work", InvocationType="Event", Payload=b"{}")
    recorder = enforcing.account.recorder
    until(lambda: recorder.records(principal=role))
    found = queue.owner.receive_message(QueueUrl=queue.url, WaitTimeSeconds=1).get("Messages", [])
    assert bool(found) is may
    assert {record.call.action for record in recorder.records(principal=role)} == {"SendMessage"}


@pytest.mark.parametrize("source", ["topic", "bucket"])
@pytest.mark.parametrize("named", [True, False])
def test_when_a_topic_or_a_bucket_notifies_a_queue_then_its_policy_must_let_the_service(
    enforcing: Enforcing, source: str, named: bool
) -> None:
    queue = Queue(enforcing)
    arn = f"arn:aws:sqs:{REGION}:{HERE}:guarded"
    service = {"topic": "sns", "bucket": "s3"}[source] if named else "events"
    letting = {"Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    queue.guard(policy(letting))
    if source == "topic":
        topic = Topic(enforcing)
        topic.owner.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=arn)
        topic.use(topic.owner)
    else:
        bucket = Bucket(enforcing)
        sent = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        # Else S3 refuses the configuration.
        bucket.owner.put_bucket_notification_configuration(
            Bucket="guarded", NotificationConfiguration=sent, SkipDestinationValidation=True
        )
        bucket.owner.put_object(Bucket="guarded", Key="new", Body=b"x")
    found = queue.owner.receive_message(QueueUrl=queue.url, WaitTimeSeconds=1).get("Messages", [])
    assert bool(found) is named


@pytest.mark.parametrize("enforces", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_when_a_bus_is_open_to_an_organization_then_its_accounts_put_events_on_it(
    enforcing: Enforcing, inside: bool, enforces: bool
) -> None:
    organizations, events = enforcing.client("organizations"), enforcing.client("events")
    own = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    member = organizations.create_account(Email="a@example.com", AccountName="a")["CreateAccountStatus"]["AccountId"]
    bus = f"arn:aws:events:{REGION}:{HERE}:event-bus/default"
    opened = {"Sid": "org", "Principal": "*", "Action": "events:PutEvents", "Resource": bus}
    condition = {"StringEquals": {"aws:PrincipalOrgID": own if inside else "o-0123456789"}}
    events.put_permission(EventBusName="default", Policy=policy({**opened, "Condition": condition}))
    queue = Queue(enforcing)
    service = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
    queue.guard(policy(service))
    events.put_rule(Name="r", EventPattern='{"source": ["x"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{HERE}:guarded"}])
    sender = enforcing.client("events", role_arn=f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole")
    enforcing.account.enforces_iam = enforces
    entry = {"EventBusName": bus, "Source": "x", "DetailType": "d", "Detail": "{}"}
    if inside:
        assert sender.put_events(Entries=[entry])["FailedEntryCount"] == 0
        assert queue.owner.receive_message(QueueUrl=queue.url, WaitTimeSeconds=5)["Messages"]
    elif enforces:
        assert refusal(sender.put_events, Entries=[entry])[0] == "AccessDeniedException"
    else:
        assert sender.put_events(Entries=[entry])["Entries"][0]["ErrorCode"] == "AccessDeniedException"


def _of(guarded: Guarded) -> Any:
    """Return what the policy of such a resource names."""
    if isinstance(guarded, Bucket):
        return ["arn:aws:s3:::guarded", "arn:aws:s3:::guarded/*"]
    return "*"


def _stranger(enforcing: Enforcing, *statements: dict[str, Any]) -> str:
    """Make a role in another account."""
    enforcing.account.enforces_iam = False
    iam = enforcing.client("iam", role_arn=f"arn:aws:iam::{THERE}:role/founder")
    arn = enforcing.role("stranger", *statements, owner=iam)
    enforcing.account.enforces_iam = True
    return arn


def _passes(call: Any, **arguments: Any) -> bool:
    """Return whether IAM lets a call through: moto does not find queues in other accounts."""
    try:
        call(**arguments)
    except Exception as error:
        return "NonExistentQueue" in str(error)
    return True
