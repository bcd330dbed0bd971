"""The XDR as the reader of a landing: its role is assumed for real, and reads what landed with nothing else."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_plus

from strictmoto.account import Account
from strictmoto.ec2.flow_records import Flow
from strictmoto.identity.principals import Credentials, found_role
from tapstack.domain.regions import AccountRegion, partition_of
from tapstack.domain.telemetry import FLOW, INCIDENTS, UNMATCHED, prefix_of
from tapstack.domain.xdr_settings import ReaderSettings
from tapstack.rehearsal.errors import RehearsalFailedError
from tapstack.settings.xdr import Xdr

SECONDS: Final = 60.0
"""After so long, what has not landed is missing."""
_POLL_SECONDS: Final = 0.3
_BEACON: Final = ("203.0.113.7", 443)
_SCANNER: Final = "198.51.100.66"
_ROLE: Final = "ingestion"
"""Of the account of a vendor that is trusted as a whole."""
_QUEUE: Final = "ingestion"
_HAPPENS: Final[Mapping[str, str]] = {
    "opened": "opened",
    "joined": "joined",
    "capturing": "mirroring",
    "packets seen": "packets_seen",
    "containment approved": "decided",
    "containment overridden": "decided",
    "containment rejected": "decided",
    "containment by default": "decided",
    "contained": "contained",
    "released": "released",
    "failed": "failed",
    "closed": "closed",
}
"""The event of an entry of the timeline; others have none."""


def expected_events(incident: Mapping[str, Any]) -> Counter[str]:
    """Return what must have landed of an incident, by its timeline: how many events of each kind.

    Args:
        incident: as the API shows it at the end.
    """
    entries = [entry["what"] for entry in incident["timeline"]]
    found = Counter(_HAPPENS[what] for what in entries if what in _HAPPENS)
    if (incident.get("containment") or {}).get("mode") == "approval":
        found["approval_asked"] += entries.count("containment requested")
    return found


class Reader:
    """A reader of a site's landing, in an account that IAM guards.

    Args:
        account: where the site is deployed.
        name: of the reader.
        settings: of the reader.
        xdr: of the site.
        place: account and Region of the site.
        say: receives a line for what it does.
    """

    def __init__(
        self,
        account: Account,
        name: str,
        settings: ReaderSettings,
        xdr: Xdr,
        place: AccountRegion,
        say: Callable[[str], None],
    ) -> None:
        """Prepare; no call is made."""
        self.name = name
        self._account, self._settings, self._xdr, self._say = account, settings, xdr, say
        self._number, self._region = place.account_id, place.region
        self._principal = _principal(settings, self._region)
        self._role = self.bucket = self._queue_url = ""
        self._topic: str | None = None
        self._credentials = account.credentials
        self._announced: set[str] = set()
        self._written: list[str] = []

    @property
    def account_id(self) -> str:
        """The account whose principal assumes the role."""
        return self._principal.split(":")[4]

    @property
    def role(self) -> str:
        """The name of the role."""
        return self._role.rpartition("/")[2]

    def found(self) -> None:
        """Have the principal that the role trusts, as its owner has it, and whoever assumes that one."""
        found_role(self._principal)
        self._account.assume(self._principal, region=self._region)

    def connect(self, outputs: Mapping[str, Any]) -> None:
        """Assume the role, and make the notifications that this XDR makes itself.

        Args:
            outputs: of the stack of the telemetry.

        Raises:
            RehearsalFailedError: another external id is taken, too.
        """
        self.bucket, self._role = outputs["landing_bucket"], outputs["reader_role_arns"][self.name]
        self._queue_url = outputs.get("reader_queue_urls", {}).get(self.name, "")
        external_id = self._settings.external_id
        self._credentials = self._assume(external_id)
        self._say(f"account {self.account_id} assumes {self.role}{' with the external id' if external_id else ''}")
        if external_id is not None:
            self._check_refused({"another external id": lambda: self._assume(external_id[::-1])})
        if self._settings.manages_notifications:
            self._notify()

    def log_flows(self, interfaces: Sequence[tuple[str, str]]) -> None:
        """Have flow logs deliver files about interfaces: the account does not log the packets that flow.

        Args:
            interfaces: id and address of each.

        Raises:
            RehearsalFailedError: the flow logs of the VPC delivered nothing into the landing.
        """
        logs = self._xdr.flow_logs
        if logs is None or not self._reads(FLOW):
            return
        address, port = _BEACON
        flows = [
            flow
            for eni, own in interfaces
            for flow in (
                Flow(eni, own, address, 49_152, port, packets=1, bytes=96),
                Flow(eni, _SCANNER, own, 40_000, 22, packets=1, bytes=40, action="REJECT"),
            )
        ]
        try:
            written = self._account.flow_records.write(*flows, region=self._region, account=self._number)
        except ValueError as error:
            self._say(f"No flow log is delivered: {error}")
            return
        begin = f"{self.bucket}/"
        self._written = [name.removeprefix(begin) for name in written if name.startswith(begin)]
        named = [*logs.vpc_ids, *logs.subnet_ids, *logs.network_interface_ids]
        if not self._written and not named:
            raise RehearsalFailedError(f"the flow logs of the VPC delivered nothing into {self.bucket}")
        self._say(
            f"Flow logs do not follow packets here: the account is made to log {len(flows)} flows of the interfaces."
        )

    def read(self, incident: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Read the events of an incident from the landing, each as soon as it is there; return them in order of keys.

        Args:
            incident: as the API shows it at the end.

        Raises:
            RehearsalFailedError: one of them is missing, is there twice, or was not to be; or their keys are not in
                the order of time.
        """
        expected, read = expected_events(incident), dict[str, dict[str, Any]]()
        deadline = time.monotonic() + SECONDS
        while True:
            for key in self._keys(INCIDENTS):
                if key not in read:
                    read[key] = self._event(key)
            events = [event for _, event in sorted(read.items()) if event["incident"]["id"] == incident["id"]]
            there = Counter(str(event["what"]) for event in events)
            if not expected - there or time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        self._check(expected, there, events)
        listed = ", ".join(event["what"] for event in events)
        self._say(f"{INCIDENTS}: {len(events)} events, those of its timeline and each once: {listed}")
        return events

    def read_flows(self, interfaces: Sequence[str]) -> list[dict[str, str]]:
        """Read the records of flow logs about interfaces; return each by the names of its fields.

        Raises:
            RehearsalFailedError: a file that was delivered is not listed, or has no record of them.
        """
        if not self._written:
            return []
        keys = list(self._keys(FLOW))
        if missing := sorted(set(self._written) - set(keys)):
            raise RehearsalFailedError(f"{self.name} does not see {', '.join(missing)} in {self.bucket}")
        records = [record for key in keys for record in _records(self._get(key))]
        records = [record for record in records if record.get("interface-id") in interfaces]
        if not records:
            raise RehearsalFailedError(f"{FLOW} of {self.bucket} has no record of {' and '.join(interfaces)}")
        self._say(f"{FLOW}: {len(records)} records of {' and '.join(interfaces)}")
        return records

    def check_notified(self) -> None:
        """See that the reader was notified of every object that it reads, where it is notified.

        Raises:
            RehearsalFailedError: it was not notified of one.
        """
        if not self._queue_url:
            return
        keys = {key for prefix in (INCIDENTS, FLOW) if self._reads(prefix) for key in self._keys(prefix)}
        deadline = time.monotonic() + SECONDS
        self._hear()
        while keys - self._announced and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            self._hear()
        if missing := sorted(keys - self._announced):
            raise RehearsalFailedError(f"{self.name} was not notified of {', '.join(missing)}")
        by = f"the topic {self._topic.rpartition(':')[2]}" if self._topic else "its queue"
        self._say(f"{by} announced each of the {len(keys)} objects")

    def check_refused(self, key: str | None) -> list[str]:
        """See that the role reads nothing else, and writes nothing; return what it was refused.

        Args:
            key: of an object below `unmatched/`, where there is one.

        Raises:
            RehearsalFailedError: it was not refused.
        """
        s3 = self._client("s3")
        asked: dict[str, Callable[[], Any]] = {
            f"listing {UNMATCHED}": lambda: s3.list_objects_v2(Bucket=self.bucket, Prefix=UNMATCHED),
            "listing all of the bucket": lambda: s3.list_objects_v2(Bucket=self.bucket),
            f"putting into {INCIDENTS}": lambda: s3.put_object(Bucket=self.bucket, Key=f"{INCIDENTS}x", Body=b"x"),
        }
        if key is not None:
            asked = {f"reading {key}": lambda: s3.get_object(Bucket=self.bucket, Key=key), **asked}
        return self._check_refused(asked)

    def disconnect(self) -> None:
        """Remove what the XDR made itself, which a destroy would leave."""
        if self._topic is None:
            return
        self._client("s3").put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration={})
        self._client("sns").delete_topic(TopicArn=self._topic)
        self._sqs().delete_queue(QueueUrl=self._queue_url)
        self._say(f"The topic {self._topic.rpartition(':')[2]} and the notifications are the XDR's: it removes them.")
        self._topic = None

    def _assume(self, external_id: str | None) -> Credentials:
        sts = self._account.client("sts", region=self._region, role_arn=self._principal)
        known = {} if external_id is None else {"ExternalId": external_id}
        found = sts.assume_role(RoleArn=self._role, RoleSessionName="reader", **known)["Credentials"]
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def _client(self, service: str) -> Any:
        return self._account.client_with(self._credentials, service, region=self._region)

    def _sqs(self) -> Any:
        """Return SQS for the queue: its own in its account, or that of the landing with its role."""
        if self._settings.manages_notifications:
            return self._account.client("sqs", region=self._region, role_arn=self._principal)
        return self._client("sqs")

    def _check_refused(self, asked: Mapping[str, Callable[[], Any]]) -> list[str]:
        if not self._account.enforces_iam:
            self._say(f"not tried, because IAM is not enforced: {', '.join(asked)}")
            return []
        allowed = [what for what, ask in asked.items() if not self._is_refused(ask)]
        if allowed:
            raise RehearsalFailedError(f"{self._role} was not refused {' and '.join(allowed)}")
        self._say(f"refused: {', '.join(asked)}")
        return list(asked)

    def _is_refused(self, ask: Callable[[], Any]) -> bool:
        try:
            ask()
        except self._client("sts").exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "AccessDenied":
                return True
            raise
        return False

    def _reads(self, prefix: str) -> bool:
        return prefix in map(prefix_of, self._settings.prefixes)

    def _notify(self) -> None:
        """Make a topic, a queue in one's own account that it notifies, and the notifications of the bucket."""
        name = self._settings.means.own_topics.replace("?", "-").replace("*", "-rehearsal")
        sns, sqs = self._client("sns"), self._sqs()
        self._topic = str(sns.create_topic(Name=name)["TopicArn"])
        service = {"Service": "s3.amazonaws.com"}
        policy = _policy(service, "sns:Publish", self._topic, {"StringEquals": {"aws:SourceAccount": self._number}})
        sns.set_topic_attributes(TopicArn=self._topic, AttributeName="Policy", AttributeValue=policy)
        self._queue_url = sqs.create_queue(QueueName=_QUEUE)["QueueUrl"]
        asked = sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])
        queue = asked["Attributes"]["QueueArn"]
        by = {"ArnEquals": {"aws:SourceArn": self._topic}}
        policy = _policy({"Service": "sns.amazonaws.com"}, "sqs:SendMessage", queue, by)
        sqs.set_queue_attributes(QueueUrl=self._queue_url, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=self._topic, Protocol="sqs", Endpoint=queue)
        notified = {"TopicConfigurations": [{"TopicArn": self._topic, "Events": ["s3:ObjectCreated:*"]}]}
        self._client("s3").put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration=notified)
        self._say(f"It makes the topic {name} and the notifications of {self.bucket} itself.")

    def _hear(self) -> None:
        """Take the messages that are there, and note the keys that they announce."""
        sqs = self._sqs()
        while found := sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                body = json.loads(message["Body"])
                # A topic passes it on in a message of its own.
                said = json.loads(body["Message"]) if "Message" in body else body
                self._announced |= {unquote_plus(record["s3"]["object"]["key"]) for record in said.get("Records", ())}
                sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a prefix: those that are listed, or announced to a reader that may not list."""
        if self._settings.has_queue and not self._settings.means.lists:
            self._hear()
            yield from sorted(key for key in self._announced if key.startswith(prefix))
            return
        for page in self._client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                yield found["Key"]

    def _get(self, key: str) -> str:
        content: bytes = self._client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return gzip.decompress(content).decode()

    def _event(self, key: str) -> dict[str, Any]:
        line, *others = self._get(key).splitlines()
        if others:
            raise RehearsalFailedError(f"{key} has {len(others) + 1} lines: expected one event")
        return dict(json.loads(line))

    def _check(self, expected: Counter[str], there: Counter[str], events: Sequence[Mapping[str, Any]]) -> None:
        wrong = [f"{what} is missing" for what in (expected - there).elements()]
        wrong += [f"{what} was not to be there, or not so often" for what in (there - expected).elements()]
        if len({event["id"] for event in events}) < len(events):
            wrong.append("events have the same id")
        if [event["time"] for event in events] != sorted(event["time"] for event in events):
            wrong.append("the keys are not in the order of time")
        if wrong:
            raise RehearsalFailedError(f"{INCIDENTS} of {self.bucket}: {'; '.join(wrong)}")


def find_reader(account: Account, xdr: Xdr, place: AccountRegion, say: Callable[[str], None]) -> Reader | None:
    """Return the first reader of incidents whose trust can be played; None where there is none.

    That of an OpenID Connect provider needs tokens of the provider, and that of a user the user's key: neither is here.
    """
    for name, reader in xdr.readers.items():
        settings = reader.to_domain()
        if "incidents" in settings.prefixes and _principal(settings, place.region):
            return Reader(account, name, settings, xdr, place, say)
    return None


def _principal(settings: ReaderSettings, region: str) -> str:
    """Return the role that assumes the one of the reader; empty where no role does."""
    if settings.vendor is not None:
        trusted = settings.vendor.principal
    else:
        trusted = settings.own.principals[0] if settings.own is not None else ""
    if trusted.isdecimal():
        partition = partition_of(region)
        return f"arn:{partition.name if partition else 'aws'}:iam::{trusted}:role/{_ROLE}"
    return trusted if ":role/" in trusted else ""


def _policy(principal: Mapping[str, str], action: str, resource: str, condition: Mapping[str, Any]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]})


def _records(text: str) -> Iterator[dict[str, str]]:
    header, *lines = text.splitlines()
    for line in lines:
        yield dict(zip(header.split(), line.split(), strict=True))
