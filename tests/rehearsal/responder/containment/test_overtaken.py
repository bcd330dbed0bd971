"""What comes in each other's way: each incident says in the end what is so, and ends. Found by random sequences."""

from __future__ import annotations

import pytest

from tapstack.responder import containing, incident_steps, people, releasing, waking
from tapstack.responder.errors import TryAgain
from tapstack.responder.store import containments, incidents
from tapstack.responder.sweeping import sweep
from tests.rehearsal.responder.conftest import opened
from tests.rehearsal.responder.containment.conftest import Shop, ask_again, asked, contained


def test_when_a_release_for_all_is_overtaken_then_the_next_one_tells_whom_it_did_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.all()
    first, second = contained(shop.database), contained(shop.database)
    third = asked(shop.database)
    looked = releasing._look
    ask_again(second)

    def overtaken(held: containments.Containment) -> releasing._View:
        # The release has begun when somebody wants the instance cut off anew.
        containments.begin_release(held)
        containing.contain(third)
        return looked(held)

    monkeypatch.setattr(releasing, "_look", overtaken)
    with pytest.raises(TryAgain):
        releasing.release(second, everybody=True)
    monkeypatch.setattr(releasing, "_look", looked)
    assert shop.is_cut_off(shop.database)
    ask_again(third)
    assert releasing.release(third) == {"status": "released"}
    assert {shop.state(incident) for incident in (first, second, third)} == {"released"}
    assert shop.changed_since(before) == []


def test_when_executions_that_close_are_ended_from_outside_then_the_sweeper_starts_another(shop: Shop) -> None:
    incident = opened(shop.database)
    workflow = shop.client("stepfunctions")
    incident_steps.fail(incident, "ApplianceFailed", "no capacity")
    workflow.stop_execution(executionArn=incidents.get(incident)["execution_arn"])
    people.close(incident, by="ann")
    for _ in range(2):
        ended = incidents.get(incident)["execution_arn"]
        workflow.stop_execution(executionArn=ended)
        assert sweep().started == [f"{incident}: its execution had ended"]
        started = incidents.get(incident)["execution_arn"]
        assert started != ended
        assert waking.is_running(started)
