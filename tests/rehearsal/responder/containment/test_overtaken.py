"""What comes in each other's way: each incident says in the end what is so, and ends. Found by random sequences."""

from __future__ import annotations

import pytest

from tapstack.domain.containment import Change
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


def test_when_a_release_was_overtaken_and_another_has_begun_then_the_first_can_write_nothing(shop: Shop) -> None:
    incident = contained(shop.database)
    one = containments.originals(shop.database)[0]
    first = containments.begin_release(there(shop))
    ask_again(incident, "containing")
    containing.contain(incident)
    # The generation, the holders and the state are those of before: only the turn is not.
    second = containments.begin_release(there(shop))
    assert (second.generation, second.state) == (first.generation, first.state)
    for write in (
        lambda: containments.mark_restored(first, one),
        lambda: containments.begin_release(first),
        lambda: containments.finish_release(first),
    ):
        with pytest.raises(TryAgain):
            write()
    assert there(shop) == second
    assert not any(original.restored for original in containments.originals(shop.database))


def test_when_a_containment_was_overtaken_and_another_has_begun_then_the_first_can_write_nothing(shop: Shop) -> None:
    incident = contained(shop.database)
    first = there(shop)
    containments.begin_release(first)
    second = containments.hold(shop.database, incident, vpc_id="vpc-1", quarantine_group_id=shop.quarantine)
    assert (second.generation, second.holders) == (first.generation, first.holders)
    remembered = containments.originals(shop.database)
    for write in (
        lambda: containments.record(first, [Change("groups", "eni-0new", ["sg-1"], ["sg-2"])], remembered),
        lambda: containments.mark_untracked(first),
        lambda: containments.finish_containing(first),
        lambda: containments.begin_release(first),
    ):
        with pytest.raises(TryAgain):
            write()
    assert there(shop) == second
    assert containments.originals(shop.database) == remembered


def there(shop: Shop) -> containments.Containment:
    found = containments.get(shop.database)
    assert found is not None
    return found


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
