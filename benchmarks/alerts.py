"""From an alert to the last mirror session: the responder beside what public samples do, in one rehearsal account."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.account import REGION, Account
from strictmoto.faults import Fault
from strictmoto.recorder import Record
from tapstack.cli.incident_api import IncidentApi, sign_with
from tests.response_by_hand import IMAGE, NAME, WAITS, Deployed, deploy
from tests.strictmoto.signing import keys_of

SIZES: Final = (1, 10, 100)
PER_INSTANCE: Final = 10
"""Interfaces of an instance, at most; AWS's largest have 15."""
LATENCY: Final = {"ec2": 0.060, "dynamodb": 0.005, "states": 0.030}
"""Seconds that an answer is held back in the modelled table: what calls take in one Region, about."""
SAMPLES, STEPS, DEPLOYED = "samples", "responder", "deployed"
SUBJECTS: Final = (SAMPLES, STEPS, DEPLOYED)
_PATIENCE: Final = 120.0


class NotReachedError(Exception):
    """Something did not come about in time, or not all of it."""


@dataclass(frozen=True)
class Figures:
    """What one alert cost until all its interfaces were mirrored.

    Attributes:
        ec2: calls of EC2.
        others: calls of all other services.
        seconds: wall clock.
    """

    ec2: int
    others: int
    seconds: float


@dataclass(frozen=True)
class Source:
    """An instance and its network interfaces."""

    instance: str
    interfaces: tuple[str, ...]


class Bench:
    """A response in an account, and the three ways from an alert to sessions."""

    def __init__(self, account: Account) -> None:
        """Deploy the response, and a state machine that only waits for the steps that are called here."""
        self.account = account
        self.deployed: Deployed = deploy(account, real_workflow=True)
        settings = json.loads(self.deployed.variables["TAPSTACK_SETTINGS"])
        self._existing: dict[str, str] = settings["appliance"]["existing"]
        self._states = account.client("stepfunctions")
        self._waiting = self._states.create_state_machine(
            name="waits", definition=json.dumps(WAITS), roleArn=f"arn:aws:iam::123456789012:role/{NAME}"
        )["stateMachineArn"]
        # The wait for an operator, and the polls, are not what is measured.
        account.waits.scale = 0.01
        self._api = IncidentApi(self.deployed.endpoint, sign_with(keys_of(account), REGION))
        self._ways: dict[str, Callable[[list[Source]], Any]] = {SAMPLES: self._samples, STEPS: self._steps}

    def sources(self, count: int) -> list[Source]:
        """Make instances with `count` interfaces in all."""
        ec2, made = self.deployed.ec2, []
        for first in range(0, count, PER_INSTANCE):
            instance = ec2.run_instances(
                ImageId=IMAGE, MinCount=1, MaxCount=1, InstanceType="m5.24xlarge", SubnetId=self.deployed.subnet
            )["Instances"][0]
            interfaces = [instance["NetworkInterfaces"][0]["NetworkInterfaceId"]]
            for index in range(1, min(PER_INSTANCE, count - first)):
                one = ec2.create_network_interface(SubnetId=self.deployed.subnet)["NetworkInterface"]
                interfaces.append(one["NetworkInterfaceId"])
                ec2.attach_network_interface(
                    NetworkInterfaceId=interfaces[-1], InstanceId=instance["InstanceId"], DeviceIndex=index
                )
            made.append(Source(instance["InstanceId"], tuple(interfaces)))
        return made

    def measure(self, subject: str, sources: list[Source], latency: dict[str, float]) -> Figures:
        """Let one way mirror all interfaces, and take it back; return what the way there cost."""
        count = sum(len(source.interfaces) for source in sources)
        with self._latency(latency):
            self.account.recorder.clear()
            began = time.time()
            if subject == DEPLOYED:
                undo = self._post(sources)
                ended = self._last_session(count) + latency.get("ec2", 0.0)
            else:
                undo = self._ways[subject](sources)
                ended = time.time()
            records = [record for record in self.account.recorder.records() if record.began <= ended]
        undo()
        if left := self.deployed.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]:
            raise NotReachedError(f"{subject} left {len(left)} sessions")
        ec2 = sum(record.call.service == "ec2" for record in records)
        return Figures(ec2, len(records) - ec2, ended - began)

    @contextmanager
    def _latency(self, latency: dict[str, float]) -> Iterator[None]:
        for service, seconds in latency.items():
            self.account.faults.add(Fault("*", "slow", call=0, service=service, seconds=seconds))
        yield
        self.account.faults.clear()

    def _samples(self, sources: list[Source]) -> Callable[[], None]:
        """Describe the instances, then one interface after the other: describe it, mirror it as number 1."""
        ec2, sessions = self.deployed.ec2, []
        found = ec2.describe_instances(InstanceIds=[source.instance for source in sources])["Reservations"]
        instances = [instance for reservation in found for instance in reservation["Instances"]]
        for attached in [one for instance in instances for one in instance["NetworkInterfaces"]]:
            interface = ec2.describe_network_interfaces(NetworkInterfaceIds=[attached["NetworkInterfaceId"]])
            session = ec2.create_traffic_mirror_session(
                NetworkInterfaceId=interface["NetworkInterfaces"][0]["NetworkInterfaceId"],
                TrafficMirrorTargetId=self._existing["target_id"],
                TrafficMirrorFilterId=self._existing["filter_id"],
                SessionNumber=1,
            )
            sessions.append(session["TrafficMirrorSession"]["TrafficMirrorSessionId"])

        def undo() -> None:
            for session_id in sessions:
                ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session_id)

        return undo

    def _steps(self, sources: list[Source]) -> Callable[[], None]:
        """Call the functions' handlers as API and workflow do, in this process."""
        with _as_function({**self.account.environment, **self.deployed.variables}, self._waiting):
            from tapstack.responder.handlers import api, appliance, capture, prepare

            answer = api.handler(_event(_alert(sources)), None)
            incident = json.loads(answer["body"])["incident"]["id"]
            step = {"incident_id": incident}
            prepare.handler({**step, "action": "prepare"}, None)
            appliance.handler({**step, "action": "ensure"}, None)
            mirrored = capture.handler({**step, "action": "start"}, None)["mirrored"]
        if mirrored != sum(len(source.interfaces) for source in sources):
            raise NotReachedError(f"{mirrored} interfaces are mirrored")

        def undo() -> None:
            with _as_function({**self.account.environment, **self.deployed.variables}, self._waiting):
                capture.handler({**step, "action": "stop"}, None)

        return undo

    def _post(self, sources: list[Source]) -> Callable[[], None]:
        """Post the alert; functions and workflow do the rest."""
        incident = self._api.post("/incidents", _alert(sources), repeatable=False)["incident"]["id"]

        def undo() -> None:
            _until(lambda: self._api.get(f"/incidents/{incident}")["state"] == "capturing")
            self._api.post(f"/incidents/{incident}/close", {}, repeatable=True)
            _until(lambda: self._api.get(f"/incidents/{incident}")["state"] == "closed")
            # What the workflow does after that would count as calls of another request.
            _until(lambda: not self._running())

        return undo

    def _running(self) -> bool:
        machine = self.deployed.state_machine_arn
        return bool(self._states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])

    def _last_session(self, count: int) -> float:
        """Wait for `count` sessions; return when the last was made."""

        def made() -> list[Record]:
            found = self.account.recorder.records(action="CreateTrafficMirrorSession")
            return [record for record in found if record.status == 200]

        _until(lambda: len(made()) >= count)
        return max(record.began + record.seconds for record in made())


def rounds(
    bench: Bench, count: int, sizes: Sequence[int], latency: dict[str, float], show: Callable[[str], None]
) -> dict[tuple[str, int], list[Figures]]:
    """Return the figures of `count` rounds, in each of which all subjects take their turn at every size."""
    sources = {size: bench.sources(size) for size in sizes}
    for subject in SUBJECTS:
        # Clients, processes and caches of all of them are warm then.
        bench.measure(subject, sources[min(sizes)], {})
    found: dict[tuple[str, int], list[Figures]] = {}
    for number in range(1, count + 1):
        show(f"round {number} of {count}, {'as modelled' if latency else 'on loopback'}")
        for size in sizes:
            for subject in SUBJECTS:
                found.setdefault((subject, size), []).append(bench.measure(subject, sources[size], latency))
    return found


def _alert(sources: list[Source]) -> dict[str, Any]:
    return {
        "network_interface_ids": [interface for source in sources for interface in source.interfaces],
        "reason": "beacons every minute",
        "severity": "high",
    }


def _event(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "routeKey": "POST /incidents",
        "rawPath": "/incidents",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "http": {"method": "POST", "path": "/incidents"},
            "authorizer": {"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/soar/1", "userId": "AROASOAR:1"}},
        },
        "body": json.dumps(body),
    }


@contextmanager
def _as_function(variables: dict[str, str], state_machine_arn: str) -> Iterator[None]:
    """Give this process the environment of a function, and keep what it logs from the terminal."""
    before = dict(os.environ)
    quiet = {"POWERTOOLS_LOG_LEVEL": "CRITICAL", "TAPSTACK_STATE_MACHINE_ARN": state_machine_arn}
    os.environ.update({**variables, **quiet})
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise NotReachedError(f"not within {_PATIENCE:.0f} seconds")
        time.sleep(0.02)
