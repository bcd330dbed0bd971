"""Topics and the event bus that do not answer: what is left of the time of each function, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from strictmoto.account import ACCOUNT_ID, REGION
from tapstack.domain.incidents import as_text, utc_now
from tapstack.responder.aws import clients
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain
from tapstack.responder.handlers import incident as incident_handler
from tapstack.responder.handlers import sweeper
from tapstack.responder.outbound import notifications
from tapstack.responder.store import incidents, undelivered
from tapstack.responder.sweeper import START_WITHIN
from tapstack.response.function_table import API_SECONDS, STEP_SECONDS, SWEEP_SECONDS
from tests.responder.conftest import Site, captures_since, opened, prepared
from tests.responder.test_api import OPEN, ask

TOPICS = 11
"""Those that `notify.topic_arns` may name, and that of the response."""
REST = 5
"""Seconds that a function needs for what else it does, while all other services answer."""


@dataclass
class Hanging:
    """Services that answer nothing, or slowly, and how long that took."""

    services: set[str] = field(default_factory=lambda: {"sns", "events"})
    slow: float = 0.0
    """How long all others of these take to answer."""
    seconds: float = 0.0
    asked: int = 0

    def wait(self, client: Any) -> None:
        if self.slow and client.meta.service_model.endpoint_prefix in ("sns", "events"):
            self.seconds += self.slow
        elif client.meta.service_model.endpoint_prefix in self.services:
            config = client.meta.config
            self.asked += 1
            self.seconds += config.connect_timeout + config.read_timeout
            raise ReadTimeoutError(endpoint_url=client.meta.endpoint_url)

    def delay(self, attempts: int) -> float:
        """Wait for as long as botocore does at most before the next attempt."""
        self.seconds += min(2 ** (attempts - 1), 20)
        return 0.0


@pytest.fixture
def hanging(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """SNS and EventBridge do not answer."""
    arns = [f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:topic-{number}" for number in range(TOPICS)]
    for arn in arns:
        site.client("sns").create_topic(Name=arn.rpartition(":")[2])
    monkeypatch.setenv("TAPSTACK_TOPIC_ARN", ",".join(arns))
    environment.cache_clear()
    hangs, make = Hanging(), clients._made

    def made(name: str, service: str, options: dict[str, Any]) -> Any:
        client = make(name, service, options)
        client.meta.events.register("before-send", lambda **_: hangs.wait(client), unique_id="hanging")
        return client

    monkeypatch.setattr(clients, "_made", made)
    monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount",
        lambda _, context: hangs.delay(context.attempt_number),
    )
    clients.reset()
    yield hangs
    clients.reset()


def kept() -> list[str]:
    return [one.destination for one in undelivered.listed()]


def due(site: Site) -> str:
    """An incident whose capture operators were not notified of: the next sweep does."""
    incident = prepared(site.instance()[0])
    capture_steps.start(incident)
    captures_since(incident, as_text(utc_now() - START_WITHIN), as_text(utc_now() + START_WITHIN * 12))
    return incident


def test_when_an_alert_joins_then_the_api_keeps_the_notification_before_its_time_is_over(
    site: Site, hanging: Hanging
) -> None:
    alert = {**OPEN, "instance_id": site.instance()[0]}
    hanging.services.clear()
    _, opening = ask("POST", "/incidents", {**alert, "alert_id": "siem-1"})
    hanging.services |= {"sns", "events"}
    clients.use_short_timeouts()
    status, body = ask("POST", "/incidents", {**alert, "alert_id": "siem-2"})
    assert (status, body["incident"]["id"]) == (202, opening["incident"]["id"])
    assert len(kept()) == TOPICS + 1
    assert hanging.seconds <= API_SECONDS - REST
    hanging.services.clear()
    assert sweeper.handler({}, None)["delivered"] == TOPICS + 1
    assert kept() == []


@pytest.mark.parametrize("seconds", [2.9, 8.0])
def test_when_the_topics_answer_slowly_then_the_api_keeps_what_it_has_no_time_for(
    site: Site, hanging: Hanging, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    alert = {**OPEN, "instance_id": site.instance()[0]}
    hanging.services.clear()
    _, opening = ask("POST", "/incidents", {**alert, "alert_id": "siem-1"})
    site.account.recorder.clear()
    monkeypatch.setattr(clients, "time", SimpleNamespace(monotonic=lambda: hanging.seconds))
    # Both attempts of 8 seconds: the first one is not answered, the second one slowly.
    hanging.slow = seconds
    clients.use_short_timeouts()
    status, body = ask("POST", "/incidents", {**alert, "alert_id": "siem-2"})
    assert (status, body["incident"]["id"]) == (202, opening["incident"]["id"])
    assert hanging.seconds <= API_SECONDS - REST
    delivered = len(site.account.recorder.records(service="sns", action="Publish"))
    assert 0 < delivered < TOPICS
    assert len(kept()) == TOPICS + 1 - delivered
    hanging.slow = 0.0
    sweeper.handler({}, None)
    assert len(site.account.recorder.records(service="sns", action="Publish")) == TOPICS
    assert kept() == []


def test_when_the_topics_answer_slowly_then_a_sweep_ends_in_time(
    site: Site, hanging: Hanging, running: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_before = [due(site) for _ in range(6)]
    hanging.services.clear()
    clock = SimpleNamespace(monotonic=lambda: hanging.seconds)
    monkeypatch.setattr(clients, "time", clock)
    monkeypatch.setattr(notifications, "time", clock)
    hanging.slow = 2.9
    assert sweeper.handler({}, None)["delivered"] >= len(opened_before)
    assert hanging.seconds <= SWEEP_SECONDS - REST
    assert len(kept()) > 0


@pytest.mark.parametrize("services", [{"sns"}, {"events"}, {"sns", "events"}])
def test_when_a_step_notifies_then_it_goes_on_with_time_left(site: Site, hanging: Hanging, services: set[str]) -> None:
    incident = prepared(site.instance()[0])
    capture_steps.start(incident)
    hanging.services = services
    event = {"action": "notify", "incident_id": incident}
    for _ in range(notifications.TRIED_AGAIN):
        with pytest.raises(TryAgain):
            incident_handler.handler(event, None)
    before = hanging.seconds
    incident_handler.handler(event, None)
    assert len(kept()) == (TOPICS if "sns" in services else 0) + ("events" in services)
    assert 0 < hanging.seconds - before <= STEP_SECONDS - REST


def test_when_a_sweep_notifies_of_many_then_time_is_left_and_the_next_sweep_tries_again(
    site: Site, hanging: Hanging, running: None
) -> None:
    opened_before = [due(site) for _ in range(3)]
    for _ in range(2):
        hanging.seconds = hanging.asked = 0
        assert sweeper.handler({}, None)["delivered"] in (0, len(opened_before))
        # Two attempts at each of the two services, once in a sweep.
        assert hanging.asked == 4
        assert hanging.seconds + notifications.DELIVER_SECONDS <= SWEEP_SECONDS - REST
    assert len(kept()) == len(opened_before) * (TOPICS + 1)
    hanging.services.clear()
    assert sweeper.handler({}, None)["delivered"] == len(opened_before) * (TOPICS + 1)


def test_when_a_service_does_not_answer_then_another_still_gets_its_part(site: Site, hanging: Hanging) -> None:
    hanging.services = {"sns"}
    incident = opened(site.instance()[0])
    notifications.notify_once(incidents.get(incident), "attached", "subject", "text")
    assert [event["what"] for event in site.events("Tapstack Incident")] == ["attached"]
    assert len(kept()) == TOPICS


def test_when_more_waits_than_a_sweep_has_time_for_then_the_rest_is_the_next_ones(
    site: Site, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifications.publish("subject", "text")
    hanging.services.clear()
    now = [0.0]

    def passing() -> float:
        now[0] += notifications.DELIVER_SECONDS / 4
        return now[0]

    clients.call_unanswered_again()
    with monkeypatch.context() as patched:
        patched.setattr(notifications, "time", SimpleNamespace(monotonic=passing))
        assert len(notifications.deliver()[0]) == 3
    assert len(notifications.deliver()[0]) == TOPICS - 3
