"""Account and Region belong to what names an instance, an interface, a session and an appliance."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tapstack.domain.regions import AccountRegion
from tapstack.responder.capture import sessions
from tapstack.responder.store import keys
from tapstack.responder.store.captures import Capture

HOME = AccountRegion("111122223333", "eu-central-1")
ELSEWHERE = (AccountRegion("444455556666", "eu-central-1"), AccountRegion("111122223333", "us-east-1"))
ENI = "eni-0123456789abcdef0"


@pytest.fixture(autouse=True)
def _site(monkeypatch: pytest.MonkeyPatch) -> None:
    known = SimpleNamespace(home=HOME, deployment="acme", site="a")
    for module in (keys, sessions):
        monkeypatch.setattr(module, "environment", lambda: known)


def partitions(where: AccountRegion | None) -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = [
        keys.capture_key(ENI, where),
        keys.containment_key("i-1", where),
        keys.prior_state_key("i-1", "groups", ENI, where),
        keys.appliance_key(where),
    ]
    return [(key["pk"]["S"], key["sk"]["S"]) for key in found]


@pytest.mark.parametrize("where", [None, HOME])
def test_when_something_is_at_home_then_it_is_named_as_earlier_versions_named_it(where: AccountRegion | None) -> None:
    assert partitions(where) == [
        (f"CAPTURE#{ENI}", "CAPTURE"),
        ("CONTAINMENT#i-1", "CONTAINMENT"),
        ("CONTAINMENT#i-1", f"ORIGINAL#groups#{ENI}"),
        ("APPLIANCE", "APPLIANCE"),
    ]


def test_when_something_is_elsewhere_then_its_key_has_account_and_region() -> None:
    assert partitions(AccountRegion("444455556666", "us-east-1")) == [
        (f"CAPTURE#444455556666#us-east-1#{ENI}", "CAPTURE"),
        ("CONTAINMENT#444455556666#us-east-1#i-1", "CONTAINMENT"),
        ("CONTAINMENT#444455556666#us-east-1#i-1", f"ORIGINAL#groups#{ENI}"),
        ("APPLIANCE", "444455556666#us-east-1#APPLIANCE"),
    ]


def test_when_account_or_region_is_another_then_no_key_and_no_client_token_is_the_same() -> None:
    everywhere = (HOME, *ELSEWHERE)
    for each in zip(*map(partitions, everywhere), strict=True):
        assert len(set(each)) == 3
    assert len({sessions.client_token(Capture(ENI, where, 1)) for where in everywhere}) == 3


def test_when_a_session_is_at_home_then_its_client_token_is_that_of_earlier_versions() -> None:
    assert sessions.client_token(Capture(ENI, HOME, 1)) == "2614b03d-c658-585f-a820-e57de5276126"


def test_when_an_item_says_nothing_then_it_is_at_home() -> None:
    assert keys.where_of({"network_interface_id": ENI}) == HOME
    assert keys.where_of(ELSEWHERE[0].as_dict()) == ELSEWHERE[0]
