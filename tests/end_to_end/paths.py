"""The courses that incidents take, from an alert to where their workflow has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.cloudwatch.metrics import Measurement
from tapstack.domain.incidents import TAG_EXPIRES
from tapstack.responder.store.items import unpack_item
from tests.end_to_end import containment_paths as containment
from tests.end_to_end.deployed import LANDING, DeployedResponse, Incident, wait_for
from tests.end_to_end.payments import PAYMENTS
from tests.end_to_end.scenarios import find, heard_by
from tests.end_to_end.walking import Walk
from tests.end_to_end.webhooks import send_webhook, webhook_secret


@dataclass(frozen=True, slots=True)
class Path:
    """A course of incidents.

    Attributes:
        name: as shown.
        walk: does all of it, and returns its incident.
        beside: instances; for each an incident is open all the time, which holds the appliance and its interfaces.
        contains: whether it cuts an instance off, and connects it again.
        tidy: takes back what others did to the instance, where a release leaves that.
        roles: whose calls are tried; all by default. What the others do, another path has, with the same calls.
    """

    name: str
    walk: Callable[[Walk], Incident]
    beside: tuple[str, ...] = ()
    contains: bool = False
    tidy: Callable[[DeployedResponse], None] = lambda _: None
    roles: frozenset[str] = frozenset()


def _launch(walk: Walk) -> Incident:
    response = walk.response
    incident = response.open("database", headers=walk.headers)
    response.until(incident, "capturing")
    response.until_waiting(incident)
    assert _mirrored(response, incident) == 2
    return response.end(incident)


def _join(walk: Walk) -> Incident:
    response = walk.response
    # Of seconds, so that its end comes soon: it is read then that it was extended.
    incident = response.open("database", headers=walk.headers, minutes=20)
    response.until(incident, "capturing")
    response.until_waiting(incident)
    before = response.read(incident)["token"]
    response.extend(incident, 120)
    wait_for(lambda: response.read(incident).get("token", before) != before, lambda: "it did not go on waiting")
    assert _mirrored(response, incident) == 2
    return response.end(incident)


def _joined(walk: Walk) -> Incident:
    response = walk.response
    incident = response.open("web-1", headers=walk.headers, alert_id=f"first {walk.key}")
    response.until(incident, "capturing")
    response.until_waiting(incident)
    again = {"Idempotency-Key": f"{walk.key}-again"}
    alert = response.open("web-1", headers=again, alert_id=f"second {walk.key}", minutes=120, severity="high")
    assert alert["id"] == incident["id"]
    response.until_waiting(incident)
    with heard_by(response):
        find(response, response.company.instances["web-1"], walk.key)
        wait_for(
            lambda: [entry["what"] for entry in response.show(incident)["timeline"]].count("joined") == 2,
            lambda: f"the finding did not join: {response.show(incident)['timeline']}",
        )
    return response.end(incident)


def _by_webhook(walk: Walk) -> Incident:
    """Another tool sends an alert about an address that no instance has, and one about an instance."""
    response = walk.response
    ec2, s3 = response.account.client("ec2"), response.account.client("s3")
    instance, vpc = response.company.instances["web-1"], response.company.shop.id
    [described] = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    address = described["Instances"][0]["PrivateIpAddress"]
    secret = webhook_secret(response)
    send_webhook(response, secret, f"{walk.key}-none", {"private_ip": "10.255.255.254", "vpc_id": vpc})
    # One after the other: together they may be one batch of the queue, or two.
    unmatched = _outcome(response, f"{walk.key}-none")
    kept = [one["Key"] for one in s3.list_objects_v2(Bucket=LANDING).get("Contents", [])]
    for key in kept:
        s3.delete_object(Bucket=LANDING, Key=key)
    assert [f"s3://{LANDING}/{key}" for key in kept] == [unmatched["kept_as"]]
    send_webhook(response, secret, walk.key, {"private_ip": address, "vpc_id": vpc})
    outcome = _outcome(response, walk.key)
    opened = [decision["incident_id"] for alert in outcome["alerts"] for decision in alert["decisions"]]
    assert len(opened) == 1, outcome
    incident = {"id": opened[0]}
    response.until(incident, "capturing")
    response.until_waiting(incident)
    assert response.read(incident)["alert_id"] == f"soc:{walk.key}"
    return response.end(incident)


def _outcome(response: DeployedResponse, webhook_id: str) -> dict[str, Any]:
    """Return what came of a webhook, once its function has done all that it does about it."""
    found: list[dict[str, Any]] = []

    def recorded() -> bool:
        items = map(unpack_item, response.items())
        # Behind the id is the hash of the body.
        found[:] = [one for one in items if str(one.get("delivery")).startswith(f"webhooks/{webhook_id}/")]
        return bool(found)

    wait_for(recorded, lambda: f"nothing came of {webhook_id}: {response.records('findings')[-5:]}")
    response.until_handled()
    outcome: dict[str, Any] = found[0]["outcome"]
    return outcome


def _repaired(walk: Walk) -> Incident:
    """Others delete a session, then cut one short and take a tag off it; packets are seen. All of it the sweeper's."""
    response = walk.response
    ec2 = response.account.client("ec2")
    [eni] = response.company.interfaces["web-1"]
    # Of minutes, not of seconds: where all is slow, its time was over during the first sweep, and nothing to repair.
    incident = response.open("web-1", headers=walk.headers, minutes=1440)
    response.until(incident, "capturing")
    response.until_waiting(incident)
    for name in ("web-1", "database"):
        # In the five minutes in which mirroring began. Nothing else is said of the incident beside meanwhile.
        response.account.metrics.add(Measurement(response.company.instances[name], "NetworkMirrorOut", 1500))
    ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=_session_on(response, eni)["TrafficMirrorSessionId"])
    # What was made within the last minute may only be late.
    response.change({"pk": {"S": f"CAPTURE#{eni}"}, "sk": {"S": "CAPTURE"}}, session_since={"N": "1"})

    def mirrored_again() -> bool:
        shown, session = response.show(incident), _session_on(response, eni).get("TrafficMirrorSessionId")
        entries = {entry["session_id"] for entry in shown["interfaces"] if entry["state"] == "mirrored"}
        return entries == {session} and shown["packets"]["state"] == "packets seen"

    _sweep_until(response, mirrored_again)
    session = _session_on(response, eni)["TrafficMirrorSessionId"]
    ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, PacketLength=64)
    ec2.delete_tags(Resources=[session], Tags=[{"Key": TAG_EXPIRES}])
    _sweep_until(response, lambda: _is_whole(_session_on(response, eni)))
    return response.end(incident)


def _session_on(response: DeployedResponse, interface: str) -> dict[str, Any]:
    """Return the session of an interface; empty without one."""
    return next((one for one in response.sessions() if one["NetworkInterfaceId"] == interface), {})


def _is_whole(session: dict[str, Any]) -> bool:
    tags = {tag["Key"] for tag in session.get("Tags", ())}
    return TAG_EXPIRES in tags and "PacketLength" not in session


def _sweep_until(response: DeployedResponse, done: Callable[[], bool]) -> None:
    """Sweep until something is so: a sweep that fails is followed by another, every 15 minutes."""

    def swept() -> bool:
        response.sweep()
        return done()

    wait_for(swept, lambda: f"not done by sweeps: {response.records('sweeper')[-5:]}")


def _expire(walk: Walk) -> Incident:
    response = walk.response
    incident = response.open("web-1", headers=walk.headers, minutes=1)
    response.until(incident, "closed")
    response.until_idle(incident)
    return response.show(incident)


def _nothing(walk: Walk) -> Incident:
    response = walk.response
    incident = response.open("legacy", headers=walk.headers)
    response.until(incident, "failed")
    return response.end(incident)


def _mirrored(response: DeployedResponse, incident: Incident) -> int:
    return sum(entry["state"] == "mirrored" for entry in response.show(incident)["interfaces"])


_CONTAINED: Final = ("database",)
WORKFLOW: Final = "incidents-workflow"
_SWEEPING: Final = frozenset({"sweeper"})
_ASKING: Final = frozenset({"api", "incident", WORKFLOW})
_RELEASING: Final = frozenset({"api", "incident", "release", WORKFLOW})
PATHS: Final = {
    path.name: path
    for path in (
        Path("launch, capture, close, retire", _launch),
        Path("join another incident's capture, extend, close", _join, beside=("database",)),
        Path(
            "be joined by an alert and a finding, close",
            _joined,
            beside=("database",),
            roles=frozenset({"api", "findings"}),
        ),
        Path(
            "keep an unmatched webhook, be opened by another, close",
            _by_webhook,
            beside=("database",),
            roles=frozenset({"alerts", "findings"}),
        ),
        Path("be repaired and watched by the sweeper, close", _repaired, beside=("database",), roles=_SWEEPING),
        Path("capture until the time is up", _expire, beside=("database",)),
        Path("fail, and be closed", _nothing, beside=("database",)),
        Path("contain now, release", containment.now, (PAYMENTS,), contains=True),
        Path(
            "contain on approval, release",
            containment.approved,
            _CONTAINED,
            contains=True,
            roles=_ASKING,
        ),
        Path(
            "contain on approval, override, release",
            containment.overridden,
            _CONTAINED,
            contains=True,
            roles=frozenset({"api"}),
        ),
        Path(
            "contain what a tag protects, release",
            containment.protected,
            _CONTAINED,
            contains=True,
            tidy=containment.unprotect,
            roles=frozenset({"api"}),
        ),
        Path("ask whether to contain, be refused", containment.rejected, _CONTAINED, contains=True),
        Path(
            "contain without an answer, release",
            containment.by_default,
            _CONTAINED,
            contains=True,
            roles=_ASKING,
        ),
        Path(
            "contain with the alert, close, release",
            containment.with_the_alert,
            _CONTAINED,
            contains=True,
            roles=_ASKING,
        ),
        Path(
            "contain, release what others changed and overwrite it",
            containment.overwritten,
            _CONTAINED,
            contains=True,
            roles=_RELEASING,
        ),
        Path(
            "contain, release what others changed and keep it",
            containment.kept,
            _CONTAINED,
            contains=True,
            tidy=containment.give_back,
            roles=frozenset({"release"}),
        ),
        Path(
            "contain twice, release for one, then for all",
            containment.shared,
            ("database", "database"),
            contains=True,
            roles=frozenset({"containment", "incident", "release"}),
        ),
        Path(
            "contain, be overtaken by a release for all, restore again",
            containment.overtaken,
            ("database", "database"),
            contains=True,
            roles=frozenset({"release"}),
        ),
        Path(
            "contain, be denied the second of two steps, release",
            containment.denied,
            _CONTAINED,
            contains=True,
            tidy=containment.allow_again,
        ),
    )
}
