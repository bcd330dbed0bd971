"""Measures alerts of other tools beside GuardDuty's findings, and many at once; writes docs/benchmarks-alerts.md.

One response in one rehearsal account: its HTTP API, its functions in processes of their own, its queues, its workflow
and the bucket of its telemetry. `make bench-alerts` runs it.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import http.client
import json
import os
import platform
import secrets
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import moto

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from strictmoto.account import ACCOUNT_ID, REGION, Account
from strictmoto.recorder import Record
from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.policy_rules import Rule
from tapstack.domain.table_names import ALERTS
from tapstack.domain.telemetry import INCIDENTS, UNMATCHED
from tapstack.domain.webhook_secrets import webhook_secret_name
from tapstack.domain.webhook_signatures import new_secret, read_secret, signed_headers
from tapstack.responder.store.items import of_listing, unpack_item
from tests.response_by_hand import DEPLOYMENT, IMAGE, NAME, SITE, Deployed, deploy

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks-alerts.md"
SOURCE: Final = "soc"
BUCKET: Final = f"{DEPLOYMENT}-{SITE}-landing"
GUARDDUTY, WEBHOOK = "GuardDuty", "webhook"
ROADS: Final = (GUARDDUTY, WEBHOOK)
INSTANCES: Final = 5
"""What the alerts of a burst are about."""
UNMATCHED_EVERY: Final = 10
TWICE_EVERY: Final = 50
"""Of the alerts of a burst, one in so many names no instance, and one in so many is sent twice."""
NO_INSTANCE: Final = "i-0123456789abcdef0"
SENDERS: Final = 8
_PATIENCE: Final = 600.0
_QUIET: Final = 0.3
_BUSY: Final = 0.7
"""The load average from which other work is said to have run."""


class NotReachedError(Exception):
    """Something did not come about in time."""


@dataclass(frozen=True)
class Figures:
    """What one alert cost until its incident was open.

    Attributes:
        functions: that worked for it, in this order.
        calls: of AWS that they made.
        seconds: wall clock.
    """

    functions: tuple[str, ...]
    calls: int
    seconds: float


@dataclass
class Burst:
    """What came of many webhooks.

    Attributes:
        count: of alerts; some of them were sent twice.
        planned: seconds in which they were to be sent.
        answers: the status of each answer, and after how many seconds it came.
        sent: seconds until the last answer.
        decided: seconds until the outcome of the last one was recorded.
        landed: seconds until the last event had landed.
        calls: of AWS that functions made meanwhile, by the function's name.
        wrong: what is not as it should be, a line each.
    """

    count: int
    planned: float
    answers: list[tuple[int, float]] = field(default_factory=list)
    sent: float = 0.0
    decided: float = 0.0
    landed: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def took(self) -> list[float]:
        """Seconds of each answer, the shortest first."""
        return sorted(seconds for _, seconds in self.answers)


class Bench:
    """A response in an account that takes alerts by webhook, and findings of GuardDuty."""

    def __init__(self, account: Account, *, real_workflow: bool = True) -> None:
        """Deploy it."""
        self.account, self.secret = account, new_secret()
        self.deployed: Deployed = deploy(
            account,
            real_workflow=real_workflow,
            alerts={SOURCE: AlertSource("generic", webhook=True)},
            policy=[Rule("all", "capture")],
            landing=BUCKET,
        )
        account.client("secretsmanager").put_secret_value(
            SecretId=webhook_secret_name(DEPLOYMENT, SITE, SOURCE), SecretString=self.secret
        )
        self._hear_guardduty()

    def _hear_guardduty(self) -> None:
        events, name = self.account.client("events"), f"{NAME}-findings"
        function = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}"
        pattern = {"source": ["aws.guardduty"], "detail-type": ["GuardDuty Finding"]}
        rule = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
        self.account.client("lambda").add_permission(
            FunctionName=function,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=rule,
        )
        events.put_targets(Rule=name, Targets=[{"Id": "findings", "Arn": function}])

    def instances(self, count: int) -> list[str]:
        """Make instances, and return their ids."""
        made = self.deployed.ec2.run_instances(
            ImageId=IMAGE, MinCount=count, MaxCount=count, InstanceType="m5.large", SubnetId=self.deployed.subnet
        )
        return [str(one["InstanceId"]) for one in made["Instances"]]

    def measure(self, road: str, name: str) -> Figures:
        """Let an alert about a new instance open an incident; return what that cost."""
        [instance] = self.instances(1)
        opens = threading.Event()
        made: list[Record] = []

        self._until_quiet()

        def heard(record: Record) -> None:
            # The execution is started once the incident is in the table.
            if _function_of(record) in ("alerts", "findings") and not opens.is_set():
                made.append(record)
                if (record.call.action, record.status) == ("StartExecution", 200):
                    opens.set()

        listeners = self.account.recorder.listeners
        listeners.append(heard)
        try:
            began = time.time()
            if road == GUARDDUTY:
                self._find(instance, name)
            else:
                self.send(instance, name)
            if not opens.wait(_PATIENCE):
                raise NotReachedError(f"{road} opened no incident about {instance}")
        finally:
            listeners.remove(heard)
        functions = dict.fromkeys(map(_function_of, made))
        return Figures(tuple(functions), len(made), made[-1].began + made[-1].seconds - began)

    def _until_quiet(self) -> None:
        """Wait until no function has called for a while: what one does at its end belongs to the alert before."""
        while any(_function_of(one) and one.began > time.time() - _QUIET for one in self.account.recorder.records()):
            time.sleep(0.1)

    def _find(self, instance: str, name: str) -> None:
        detail = {
            "id": name,
            "type": "Backdoor:EC2/C&CActivity.B!DNS",
            "severity": 8.0,
            "accountId": ACCOUNT_ID,
            "region": REGION,
            "title": "EC2 instance talks to a command and control server",
            "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": instance}},
            "service": {"archived": False, "count": 1},
        }
        event = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": detail}
        self.account.service_events.publish(event)

    def send(self, instance: str, name: str) -> int:
        """Send an alert about an instance as a signed webhook; return the status of the answer."""
        document = {
            "version": "1",
            "alert_id": name,
            "severity": "high",
            "title": "Beacon to a known C2",
            "type": "beacon",
            "technique": ["T1071.004", "T1041"],
            "target": {"instance_id": instance},
        }
        body = json.dumps(document).encode()
        headers = signed_headers(read_secret(self.secret), name, int(time.time()), body)
        address = urlsplit(self.deployed.endpoint)
        connection = http.client.HTTPConnection(str(address.hostname), int(address.port or 80), timeout=60)
        try:
            path = f"{address.path}/webhooks/{SOURCE}"
            connection.request("POST", path, body, {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def burst(
        self, count: int, seconds: float, show: Callable[[str], None] = lambda _: None, *, senders: int = SENDERS
    ) -> Burst:
        """Send alerts evenly over some seconds, wait until all is done, and check what came of each.

        Args:
            count: of alerts.
            seconds: in which they are sent.
            show: gets a line whenever a part is done.
            senders: how many wait for an answer at the same time.
        """
        # One for each place; what is sent twice is the same alert.
        instances = self.instances(min(INSTANCES, count))
        about, prefix = [self._about(number, instances) for number in range(count)], secrets.token_hex(4)
        plan = [(f"{prefix}-{number}", instance) for number, instance in enumerate(about)]
        plan += [plan[number] for number in range(0, count, TWICE_EVERY)]
        done, before = _Done(self.account, {name for name, _ in plan}), set(self._keys(INCIDENTS))
        found, began = Burst(count, seconds), time.monotonic()

        def sent(at: int) -> tuple[int, float]:
            name, instance = plan[at]
            time.sleep(max(0.0, began + seconds * at / len(plan) - time.monotonic()))
            asked = time.monotonic()
            return self.send(instance, name), time.monotonic() - asked

        with done.listening(), ThreadPoolExecutor(senders) as pool:
            found.answers = list(pool.map(sent, range(len(plan))))
            found.sent = time.monotonic() - began
            show(f"all answered after {found.sent:.1f} s; {done.count} decided")
            found.decided = done.wait() - began
            show(f"all decided after {found.decided:.1f} s")
            joined = sum(one != NO_INSTANCE for one in about) - len(instances)
            found.landed = self._landed(before, len(instances), joined) - began
        found.calls = done.calls
        found.wrong = self._wrong(found, plan, instances, joined)
        return found

    @staticmethod
    def _about(number: int, instances: Sequence[str]) -> str:
        return NO_INSTANCE if number % UNMATCHED_EVERY == 1 else instances[number % len(instances)]

    def _landed(self, before: set[str], opened: int, joined: int) -> float:
        """Wait for the events of what was opened and joined; return when the last was there."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            # The key ends with what happened.
            new = [key for key in self._keys(INCIDENTS) if key not in before]
            whats = Counter(key.rpartition("-")[2].partition(".")[0] for key in new)
            if whats["joined"] >= joined and whats["opened"] >= opened:
                break
            time.sleep(0.25)
        return time.monotonic()

    def _keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix, one of which that was written twice twice."""
        pages = self.account.client("s3").get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Versions", ())]

    def _outcomes(self, names: set[str]) -> dict[str, dict[str, Any]]:
        """Return the recorded outcomes of some alerts, once all are there."""
        pages = self.account.client("dynamodb").get_paginator("query")
        deadline = time.monotonic() + _PATIENCE
        while True:
            found = {}
            for page in pages.paginate(TableName=f"{NAME}-incidents", **of_listing(ALERTS)):
                for item in map(unpack_item, page["Items"]):
                    if (name := _id_of(item["delivery"])) in names:
                        found[name] = item["outcome"]
            if len(found) == len(names) or time.monotonic() > deadline:
                return found
            time.sleep(0.25)

    def _wrong(self, found: Burst, plan: Sequence[tuple[str, str]], instances: Sequence[str], joined: int) -> list[str]:
        """Return what is not as it should be."""
        alerts = dict(plan)
        about = Counter(alerts.values())
        answered = Counter(status for status, _ in found.answers)
        wrong = [f"{status}: {times} answers" for status, times in answered.items() if status != 202]
        outcomes = self._outcomes(set(alerts))
        wrong += [f"{name}: no outcome is recorded" for name in alerts if name not in outcomes]
        actions: Counter[tuple[str, str]] = Counter()
        for name, one in outcomes.items():
            decisions = [each for alert in one["alerts"] for each in alert["decisions"]]
            expected = [] if alerts[name] == NO_INSTANCE else [alerts[name]]
            if [each["instance_id"] for each in decisions] != expected or bool(one["unmatched"]) == bool(expected):
                wrong.append(f"{name}: {one['alerts']} and {one['unmatched']}, about {alerts[name]}")
            actions.update((each["instance_id"], each["action"]) for each in decisions)
        for instance in instances:
            should = {(instance, "capture"): 1, (instance, "joined"): about[instance] - 1}
            its = {key: number for key, number in actions.items() if key[0] == instance}
            wrong += [] if its == {key: number for key, number in should.items() if number} else [f"recorded: {its}"]
        return wrong + self._wrong_in_landing(instances, joined, about[NO_INSTANCE])

    def _wrong_in_landing(self, instances: Sequence[str], joined: int, unmatched: int) -> list[str]:
        keys, s3 = self._keys(INCIDENTS), self.account.client("s3")
        wrong = [f"{key} was written {times} times" for key, times in Counter(keys).items() if times > 1]
        events = [
            json.loads(gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))
            for key in keys
            if key.endswith(("-opened.json.gz", "-joined.json.gz"))
        ]
        its = [one for one in events if one["entities"]["instance"]["id"] in instances]
        whats = Counter((one["entities"]["instance"]["id"], one["what"]) for one in its)
        if any(whats[instance, "opened"] != 1 for instance in instances):
            wrong.append(f"opened: {whats}")
        named = Counter(one["alert"]["id"] for one in its)
        wrong += [f"{name}: {times} events landed" for name, times in named.items() if times > 1]
        if sum(number for (_, what), number in whats.items() if what == "joined") != joined:
            wrong.append(f"{joined} events of joining should have landed: {whats}")
        if len(found := self._keys(f"{UNMATCHED}{SOURCE}/")) != unmatched:
            wrong.append(f"{unmatched} unmatched alerts should be kept: {len(found)}")
        return wrong


def _id_of(delivery: str) -> str:
    """Return the id of a webhook, which a delivery names before the hash of its body."""
    return delivery.split("/")[1]


class _Done:
    """Counts the outcomes that functions record, as they do."""

    def __init__(self, account: Account, names: set[str]) -> None:
        self._account, self._left = account, set(names)
        self._count, self._all = len(names), threading.Event()
        self._last = 0.0
        self.calls: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many are decided."""
        return self._count - len(self._left)

    def _hear(self, record: Record) -> None:
        if function := _function_of(record):
            self.calls[function] += 1
        if record.call.action != "PutEvents" or record.status != 200:
            return
        for entry in record.call.parameters["Entries"]:
            if entry["DetailType"] == "Tapstack Alert":
                self._left.discard(_id_of(json.loads(entry["Detail"])["delivery"]))
        if not self._left:
            self._last = self._last or time.monotonic()
            self._all.set()

    def listening(self) -> _Listening:
        """Return what hears as long as it is entered."""
        return _Listening(self._account, self._hear)

    def wait(self) -> float:
        """Return when the last one was decided."""
        if not self._all.wait(_PATIENCE):
            raise NotReachedError(f"{len(self._left)} alerts are not decided about")
        return self._last


@dataclass(frozen=True)
class _Listening:
    account: Account
    hear: Callable[[Record], None]

    def __enter__(self) -> None:
        self.account.recorder.listeners.append(self.hear)

    def __exit__(self, *_: object) -> None:
        self.account.recorder.listeners.remove(self.hear)


def _function_of(record: Record) -> str:
    """Return the function that made a call, by its role; empty where none did, or one of the workflow."""
    _, found, function = record.principal.rpartition(f"/{NAME}-")
    return function if found else ""


def roads(bench: Bench, count: int, show: Callable[[str], None]) -> dict[str, list[Figures]]:
    """Return the figures of `count` rounds, in each of which both roads take their turn."""
    found: dict[str, list[Figures]] = {road: [] for road in ROADS}
    for number in range(count + 1):
        show(f"round {number} of {count}" if number else "a round that does not count")
        for road in ROADS:
            figures = bench.measure(road, f"{road.lower()}-{number}")
            found[road] += [figures] if number else []
    return found


def road_table(measured: dict[str, list[Figures]]) -> str:
    """Return functions, calls, times and ratios to GuardDuty's road, as Markdown."""
    lines = ["| road | functions | calls of AWS | seconds | to GuardDuty |", "| --- | --- | ---: | ---: | ---: |"]
    base = statistics.median(one.seconds for one in measured[GUARDDUTY])
    for road in ROADS:
        took = statistics.median(one.seconds for one in measured[road])
        last = measured[road][-1]
        lines.append(f"| {road} | {', '.join(last.functions)} | {last.calls} | {took:.2f} | {took / base:.2f} |")
    return "\n".join(lines)


def burst_table(found: Burst) -> str:
    """Return what came of a burst, as Markdown."""
    took = found.took
    rows = {
        "alerts, and webhooks with those that were sent twice": f"{found.count:,}, {len(took):,}",
        f"answered 202, planned in {found.planned:g} s": f"{len(took):,} in {found.sent:.1f} s",
        "an answer took, median, 99 of 100, longest": (
            f"{statistics.median(took) * 1000:.0f} ms, {took[int(len(took) * 0.99)] * 1000:.0f} ms, "
            f"{took[-1] * 1000:.0f} ms"
        ),
        "the last one was decided about after": f"{found.decided:.1f} s, {found.count / found.decided:.1f} a second",
        "the last event had landed after": f"{found.landed:.1f} s",
        "calls of AWS for an alert: to keep it, to decide about it": (
            f"{found.calls['alerts'] / len(took):.1f}, {found.calls['findings'] / found.count:.1f}"
        ),
        "lost, twice, or about another instance": str(len(found.wrong)),
    }
    return "\n".join(["| what | |", "| --- | ---: |", *(f"| {name} | {value} |" for name, value in rows.items())])


def too_many_functions(measured: dict[str, list[Figures]]) -> list[str]:
    """Say where a webhook took more than one function more than GuardDuty's road."""
    most = max(len(one.functions) for one in measured[GUARDDUTY]) + 1
    return [
        f"a webhook took {len(one.functions)} functions, {', '.join(one.functions)}: expected at most {most}"
        for one in measured[WEBHOOK]
        if len(one.functions) > most
    ]


def document(measured: dict[str, list[Figures]], found: Burst, count: int, load: float) -> str:
    """Return the page."""
    quiet = "nothing else ran" if load < _BUSY else "other work ran beside, which makes times longer"
    return f"""<!-- Written by `make bench-alerts`; changes belong into benchmarks/webhooks.py. -->
# Benchmarks of alerts

Measured on {datetime.date.today()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python
{platform.python_version()}, moto {moto.__version__}, in one run on one rehearsal account: HTTP API, functions, queues
and workflow of a response, and the bucket in which its telemetry lands. Load average before: {load:.1f}; {quiet}.

## From an alert to the opened incident

Both roads take their turn in each round; medians of {count} rounds. The time ends when the incident is in the table
and its workflow is started. Between the two functions of a webhook is the queue that keeps the alert.

{road_table(measured)}

The aim: at most one function more than GuardDuty's road.

## Many at once

Signed webhooks about {INSTANCES} instances, sent evenly by {SENDERS} senders. One in {UNMATCHED_EVERY} names no
instance that exists; one in {TWICE_EVERY} is sent twice, with the same id. Checked of each: it is answered 202; its
outcome is recorded once, about the instance that it names, or it is unmatched; each instance has one incident, which
all further alerts join; of each that opened or joined one event landed, once; each unmatched one is kept, once.

{burst_table(found)}

Seconds are from the first webhook. Account, functions and senders share the processors of this machine, and the
account is one process, which answers some 250 calls a second
([its own benchmarks](../modules/strictmoto/docs/benchmarks.md)): that decides how long decisions take here. Five
functions decide at a time, here as on AWS.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 where a webhook takes too many functions, or an alert of the burst is lost, twice or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (7)")
    parser.add_argument("--alerts", type=int, default=1000, help="alerts at once (1000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="in which they are sent (60)")
    parser.add_argument("--output", type=Path, default=DOCUMENT, help="page to write (docs/benchmarks-alerts.md)")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1 or chosen.alerts < 1 or chosen.seconds < 0:
        parser.error("--rounds and --alerts must be 1 or more, and --seconds 0 or more")
    load = os.getloadavg()[0]
    # Its functions have roles that may do anything.
    with Account(enforce_iam=False) as account:
        bench = Bench(account)
        measured = roads(bench, chosen.rounds, _tell)
        found = bench.burst(chosen.alerts, chosen.seconds, _tell)
    print(f"\n{road_table(measured)}\n\n{burst_table(found)}")
    excess = [*too_many_functions(measured), *found.wrong]
    print("\n".join(excess[:50]) or "one function more at most; nothing lost, twice or wrong", file=sys.stderr)
    if not excess:
        chosen.output.write_text(document(measured, found, chosen.rounds, load), encoding="utf-8")
    return 1 if excess else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
