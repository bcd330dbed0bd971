"""`tapstack incident contain|approve|reject|release`: what is asked for, and how a plan and a containment read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tapstack.cli import main
from tapstack.cli.incident_plan_view import plan
from tapstack.cli.incident_view import card
from tapstack.domain.containment import PriorState
from tapstack.domain.containment_release import refusal
from tests.unit.cli.api_server import ApiServer
from tests.unit.cli.incidents import ID, incident
from tests.unit.cli.test_incident import Printed, api, opened, pauses

__all__ = ["api", "pauses"]
NOW = datetime(2026, 1, 2, 3, 34, 5, tzinfo=UTC)
ANA = "arn:aws:sts::111122223333:assumed-role/responders/ana"
PLAN: dict[str, Any] = {
    "instance_id": "i-0a000000000000001",
    "changes": [
        {
            "what": "groups",
            "key": "eni-0a000000000000001",
            "from": ["sg-0a1", "sg-0a2"],
            "to": ["sg-0b1"],
            "names": {"sg-0a1": "web", "sg-0a2": "b\n", "sg-0b1": "quarantine"},
        },
        {"what": "termination", "key": "i-0a000000000000001", "from": False, "to": True},
    ],
    "refused": None,
    "differences": [],
    "warnings": ["it is at its minimum\x1b[31m"],
}


def containment(**changes: Any) -> dict[str, Any]:
    return {
        "mode": "approval",
        "state": "contained",
        "asked_by": "guardduty",
        "asked_at": "2026-01-02T03:05:05Z",
        "decided_by": ANA,
        "decided_at": "2026-01-02T03:06:05Z",
        "decision": "approved",
        "deadline": "2026-01-02T03:20:05Z",
        "default": "leave",
        "changed": ["security groups of eni-0a000000000000001: sg-0a1 -> sg-0b1"],
        "not_restored": [],
        "differences": [],
        "failure": None,
        **changes,
    }


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (["contain", ID], "contain", {}),
        (["contain", ID, "--mode", "now"], "contain-now", {}),
        (["contain", ID, "--mode", "now", "--skip-wait"], "contain-now", {"skip_wait": True}),
        (["contain", ID, "--override-protection", "--reason", "forged"], "contain-protected", {"reason": "forged"}),
        (["approve", ID], "approve", {}),
        (["override", ID, "--reason", "alone"], "override", {"reason": "alone"}),
        (["reject", ID, "--reason", "false alarm"], "reject", {"reason": "false alarm"}),
        (["release", ID], "release", {}),
        (["release", ID, "--overwrite", "--all"], "release", {"overwrite": True, "all": True}),
        (["release", ID, "--keep"], "release", {"keep": True}),
    ],
)
def test_when_something_is_asked_for_then_it_is_sent_and_the_card_is_shown(
    api: ApiServer, arguments: list[str], path: str, body: dict[str, Any], capsys: Printed
) -> None:
    api.answer((202, incident(containment=containment())))
    assert main(["incident", *arguments]) == 0
    [asked] = api.asked
    assert (asked.method, asked.path, asked.body) == ("POST", f"/incidents/{ID}/{path}", body)
    assert "state      contained" in capsys.readouterr().out


def test_fails_when_another_person_must_approve_and_says_only_what_the_api_says(
    api: ApiServer, capsys: Printed
) -> None:
    detail = f"{ANA} requested the containment. Any other person with the right to approve may"
    problem = {"type": "urn:tapstack:problem:other-person-needed", "title": "Another person must approve"}
    api.answer((403, {**problem, "status": 403, "detail": detail, "instance": "/"}))
    assert main(["incident", "approve", ID]) == 2
    assert capsys.readouterr().err == f"Another person must approve: {detail} (HTTP 403)\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--override-protection"], "--override-protection needs --reason: it is shown to whoever approves"),
        (
            ["--override-protection", "--reason", "x", "--mode", "now"],
            "--override-protection needs an approval by another person: leave --mode now out",
        ),
        (["--skip-wait"], "--skip-wait goes with --mode now"),
        (["--reason", "x"], "contain takes --reason only with --override-protection"),
    ],
)
def test_fails_when_options_of_contain_do_not_go_together(
    api: ApiServer, options: list[str], said: str, capsys: Printed
) -> None:
    assert main(["incident", "contain", ID, *options]) == 2
    assert capsys.readouterr().err == f"{said}\n"
    assert not api.asked


def test_when_a_protection_is_overridden_then_card_and_plan_say_so(api: ApiServer, capsys: Printed) -> None:
    tags = ["tapstack-protected=yes", "'two words'=x"]
    found = containment(state="pending", overridden_tags=tags, override_reason="forged\nby it")
    api.answer((200, incident(containment=found)))
    assert main(["incident", "show", ID]) == 0
    assert (
        "overrides         PROTECTION by its tags tapstack-protected=yes, 'two words'=x: 'forged\\nby it'"
        in capsys.readouterr().out
    )
    api.answer((200, {**PLAN, "overridden": tags[:1]}))
    assert main(["incident", "contain", ID, "--override-protection", "--reason", "x", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("dry run of contain-protected: ")
    assert "  PROTECTION IS OVERRIDDEN: its tag tapstack-protected=yes would protect it" in out.splitlines()


def test_when_it_is_dry_then_the_plan_is_shown(api: ApiServer, capsys: Printed) -> None:
    api.answer((200, PLAN))
    assert main(["incident", "contain", ID, "--mode", "now", "--dry-run"]) == 0
    assert api.asked[0].path == f"/incidents/{ID}/contain-now"
    assert api.asked[0].body == {"dry_run": True}
    assert capsys.readouterr().out.splitlines() == [
        "dry run of contain-now: i-0a000000000000001, nothing was changed",
        "",
        "  WHAT                                            OF                     NOW                           THEN",
        "  security groups                                 eni-0a000000000000001  sg-0a1 (web), sg-0a2 ('b\\n')  "
        "sg-0b1 (quarantine)",
        "  termination protection (DisableApiTermination)  i-0a000000000000001    no                            yes",
        "",
        "  note: it is at its minimum",
    ]


def test_when_values_of_a_plan_are_long_then_what_differs_is_shown() -> None:
    group = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/k8s-storefront-production-v2-web/"
    keys = [f"{group}0123456789abcde{number} fd00:1111:2222:3333:4444:5555:6666:7777:443" for number in (1, 2)]
    groups = [f"sg-{number:017}" for number in range(6)]
    changes = [
        *({"what": "target-group", "key": key, "from": "registered", "to": "deregistered"} for key in keys),
        {"what": "groups", "key": "eni-0a000000000000001", "from": groups, "to": ["sg-0b1"]},
    ]
    lines = plan({**PLAN, "changes": changes}, what="contain").splitlines()
    words = [part for key in keys for part in key.partition(":targetgroup/")[2].split()] + groups
    assert all(any(word in line for line in lines) for word in words)
    assert max(map(len, lines)) < 200


def test_when_others_changed_something_then_all_three_are_shown() -> None:
    difference = {
        "what": "groups",
        "key": "eni-0a000000000000001",
        "original": ["sg-0a1"],
        "ours": ["sg-0b1"],
        "now": ["sg-0c1"],
        "why": "changed outside Tapstack",
        "blocks": True,
    }
    found = plan({**PLAN, "changes": [], "differences": [difference], "warnings": []}, what="release")
    assert found.splitlines()[2:] == [
        "  nothing would be restored",
        "",
        "  changed outside Tapstack",
        "  WHAT             OF                     WAS     CONTAINED  NOW     WHY",
        "  security groups  eni-0a000000000000001  sg-0a1  sg-0b1     sg-0c1  changed outside Tapstack",
        "",
        "  the release would be blocked: --overwrite restores the prior state, --keep keeps what was changed",
    ]


def test_when_others_changed_something_then_the_card_says_what_it_is_now() -> None:
    difference = {"what": "groups", "key": "eni-1", "now": ["sg-c"], "why": "changed outside Tapstack", "advice": ""}
    lines = card(_blocked(difference), now=NOW).splitlines()
    assert "    state             release blocked: changed outside Tapstack" in lines
    assert "    release requested 2026-01-02T03:05:05Z by bob" in lines
    assert "    changed outside   security groups of eni-1: changed outside Tapstack; it is sg-c now" in lines
    assert _verbs(lines) == ["--dry-run", "--overwrite", "--keep"]


def test_when_aws_refuses_to_restore_something_then_the_card_proposes_the_release_again() -> None:
    difference = refusal(
        PriorState("standby", "web", "InService", "Standby"), "Standby", "ValidationError: at its maximum"
    )
    lines = card(_blocked(difference.as_dict()), now=NOW).splitlines()
    assert "    state             release not completed: AWS refuses a part of it" in lines
    [refused] = [line for line in lines if line.startswith("    refused ")]
    assert "ValidationError: at its maximum" in refused
    assert _verbs(lines) == ["--dry-run", "", "--keep"]


def _blocked(difference: dict[str, Any]) -> dict[str, Any]:
    asked = {"released_at": "2026-01-02T03:05:05Z", "released_by": "bob"}
    return incident(timeline=[], containment=containment(state="blocked", differences=[difference], **asked))


def _verbs(lines: list[str]) -> list[str]:
    commands = [line.partition("  #")[0] for line in lines if "tapstack incident release" in line]
    return [command.partition(ID)[2].strip() for command in commands]


def test_when_overwriting_restores_nothing_then_the_plan_and_the_card_say_what_does() -> None:
    difference = {
        "what": "groups",
        "key": "eni-1",
        "original": ["sg-a"],
        "ours": ["sg-q"],
        "now": ["sg-q"],
        "why": "sg-a: the security group does not exist any more",
        "blocks": True,
        "advice": "give it a group by hand",
    }
    found = plan({**PLAN, "changes": [], "differences": [difference], "warnings": []}, what="release")
    assert found.splitlines()[-1] == "  the release would be blocked. give it a group by hand"
    blocked = incident(timeline=[], containment=containment(state="blocked", differences=[difference]))
    lines = card(blocked, now=NOW).splitlines()
    assert any(
        line.endswith(f"security groups of eni-1: {difference['why']}. give it a group by hand") for line in lines
    )
    assert [line.strip() for line in lines[-2:]] == [
        f"tapstack incident release {ID} --dry-run  # shows what would be restored",
        f"tapstack incident release {ID} --keep  # keeps what was changed outside Tapstack and restores the rest",
    ]


def test_when_it_would_be_refused_then_the_plan_says_why() -> None:
    found = plan({**PLAN, "refused": "instance i-1 is protected"}, what="contain")
    assert found.splitlines()[-1] == "  refused: instance i-1 is protected"


def test_when_other_incidents_want_it_contained_then_the_release_and_its_dry_run_say_so(
    api: ApiServer, capsys: Printed
) -> None:
    note = "it is contained for inc-2 too, until that is released, or all are (--all)"
    found = plan({**PLAN, "refused": "it stays contained for inc-2", "warnings": [note]}, what="release")
    assert found.splitlines()[-3:] == ["  refused: it stays contained for inc-2", "", f"  note: {note}"]
    wanted = [{"incident_id": "inc-2", "state": "contained", "holds": True, "note": note}]
    api.answer((202, {**incident(containment=containment()), "wanted_by": wanted}))
    assert main(["incident", "release", ID]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("  other incidents that contain it, or have requested it") + 1] == f"    {note}"


def test_when_opened_with_containment_then_it_is_asked_for(api: ApiServer) -> None:
    api.answer((202, opened()))
    assert main(["incident", "open", "--instance", "i-0a000000000000001", "--reason", "x", "--containment", "now"]) == 0
    assert api.asked[0].body["containment"] == "now"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["contain", "inc-1"], "is not the id of an incident"),
        (
            ["open", "--interface", "eni-0123abcd", "--reason", "x", "--containment", "now"],
            "containment needs instance_id",
        ),
    ],
)
def test_fails_when_the_request_is_wrong_and_sends_nothing(
    api: ApiServer, arguments: list[str], message: str, capsys: Printed
) -> None:
    assert main(["incident", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert api.asked == []


@pytest.mark.parametrize(
    "arguments",
    [["override"], ["reject"], ["close"], ["contain", "--override-protection"]],
)
@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        ("", "must have 1 to 1000 characters"),
        ("x" * 1001, "must have 1 to 1000 characters"),
        (" ", "must be readable"),
        ("\u200b", "must be readable"),
    ],
)
def test_fails_when_a_reason_is_none_and_sends_nothing(
    api: ApiServer, arguments: list[str], reason: str, problem: str, capsys: Printed
) -> None:
    assert main(["incident", arguments[0], ID, *arguments[1:], f"--reason={reason}"]) == 2
    assert f"reason {problem}" in capsys.readouterr().err
    assert api.asked == []


def test_fails_when_overwrite_and_keep_are_both_given() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["incident", "release", ID, "--overwrite", "--keep"])
    assert stopped.value.code == 2


def test_fails_when_a_guard_rail_refuses_and_says_why(api: ApiServer, capsys: Printed) -> None:
    api.answer(
        (
            409,
            {
                "type": "urn:tapstack:problem:conflict",
                "title": "Conflict with the incident's state",
                "detail": "containment is refused: protected",
            },
        )
    )
    assert main(["incident", "contain", ID]) == 2
    assert "containment is refused: protected (HTTP 409)" in capsys.readouterr().err


def test_when_it_is_contained_then_the_card_says_who_and_how_to_release() -> None:
    lines = card(incident(containment=containment()), now=NOW).splitlines()
    start = lines.index("  containment")
    assert lines[start + 1 : start + 5] == [
        "    state      contained",
        "    requested  2026-01-02T03:05:05Z by guardduty",
        f"    decided    2026-01-02T03:06:05Z approved by {ANA}",
        "    changed    security groups of eni-0a000000000000001: sg-0a1 -> sg-0b1",
    ]
    assert lines[-2:] == [
        f"    tapstack incident release {ID} --dry-run  # shows what would be restored",
        f"    tapstack incident release {ID}  # RECONNECTS it as before, unless another incident contains it",
    ]


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        ("pending", ["approve", "approve", "reject", "override"]),
        ("containing", []),
        ("contained", ["release", "release"]),
        ("blocked", ["release", "release", "release"]),
        ("failed", ["release"]),
        ("released", []),
    ],
)
def test_when_an_incident_is_closed_then_what_can_be_done_about_its_containment_is_proposed(
    state: str, verbs: list[str]
) -> None:
    changed: dict[str, Any] = {"changed": []} if state == "pending" else {}
    closed = incident(state="closed", timeline=[], containment=containment(state=state, **changed))
    lines = card(closed, now=NOW).splitlines()
    assert [line.split()[2] for line in lines if line.startswith("    tapstack incident")] == verbs


def test_when_a_failed_containment_changed_nothing_then_no_release_is_proposed() -> None:
    closed = incident(state="closed", timeline=[], containment=containment(state="failed", changed=[]))
    assert "tapstack incident release" not in card(closed, now=NOW)


def test_when_it_waits_then_the_card_says_until_when_and_what_then() -> None:
    waits = containment(state="pending", decided_by=None, decided_at=None, decision=None, changed=[])
    lines = card(incident(containment=waits), now=NOW).splitlines()
    assert "    state             pending approval, NOT contained" in lines
    assert "    approval deadline 2026-01-02T03:20:05Z, then it is not contained" in lines


@pytest.mark.parametrize(
    ("not_done", "state"),
    [
        ([], "contained"),
        (["a Spot Instance cannot be protected from termination"], "contained"),
        (["eni-1 STAYS CONNECTED: it is managed by an AWS service"], "contained, BUT STILL CONNECTED: see not done"),
        (["the quarantine group sg-1 HAS RULES: outbound"], "contained, BUT STILL CONNECTED: see not done"),
        (["whether sg-1 has rules is not known: x"], "contained, BUT PERHAPS CONNECTED: see not done"),
    ],
)
def test_when_a_contained_instance_is_still_connected_then_its_state_says_so(not_done: list[str], state: str) -> None:
    assert f"    state      {state}" in card(incident(containment=containment(not_done=not_done)), now=NOW).splitlines()


def test_when_a_containment_failed_then_its_changes_are_only_started_and_it_can_be_contained_again() -> None:
    failed = containment(state="failed", failure="ContainmentFailed: x")
    given = {"containment": failed, "containment_modes": ["approval", "now"]}
    lines = card(incident(**given, containment_failed_in_part=True), now=NOW).splitlines()
    assert "    started    security groups of eni-0a000000000000001: sg-0a1 -> sg-0b1" in lines
    assert lines[-3:] == [
        f"    tapstack incident contain {ID} --dry-run  # shows what would change",
        f"    tapstack incident contain {ID} --mode approval  # isolates the instance and needs no new approval",
        f"    tapstack incident release {ID}  # RECONNECTS it as before, unless another incident contains it",
    ]
    # What was never decided needs a decision, though changes of an earlier containment are left.
    assert not [line for line in card(incident(**given), now=NOW).splitlines() if "needs no new approval" in line]


def test_when_a_release_failed_then_what_is_not_restored_is_named_so() -> None:
    failed = containment(state="failed", released_at="2026-01-02T03:30:05Z", released_by="bob")
    lines = card(incident(containment=failed), now=NOW).splitlines()
    assert "    not restored yet  security groups of eni-0a000000000000001: sg-0a1 -> sg-0b1" in lines


@pytest.mark.parametrize(("modes", "skips"), [(["now"], True), ([], False)])
def test_when_it_waits_for_packets_then_close_says_that_it_contains_and_the_wait_is_skipped_where_that_is_allowed(
    modes: list[str], skips: bool
) -> None:
    waits = containment(state="containing", changed=[], packets_until="2026-01-02T03:40:00Z", packets_wait=None)
    text = card(incident(containment=waits, containment_modes=modes), now=NOW)
    assert "state      waiting for packets, NOT contained: the attacker is still connected" in text
    assert "waited for until 2026-01-02T03:40:00Z; then it is contained in any case" in text
    assert f"close {ID}  # ends the capture and isolates the instance at once\n" in text
    assert ("--skip-wait" in text) is skips


def test_when_a_containment_would_wait_for_packets_then_the_card_says_for_how_long_and_how_to_skip_that() -> None:
    text = card(incident(containment_modes=["approval", "now"], containment_wait_seconds=900), now=NOW)
    after = "after at most 900 seconds of waiting for packets"
    assert f"--mode approval  # isolates the instance once that is approved, {after}\n" in text
    assert f"--mode now  # isolates the instance without an approval, {after}\n" in text
    assert text.endswith(f"contain {ID} --mode now --skip-wait  # isolates the instance within 15 seconds")
    pending = containment(state="pending", changed=[])
    text = card(incident(containment=pending, containment_wait_seconds=900), now=NOW)
    assert f"approve {ID}  # isolates the instance, {after}\n" in text


@pytest.mark.parametrize(("in_place", "does"), [(["tms-1"], "deletes what remains"), ([], "closes the incident")])
def test_when_a_failed_incident_has_a_pending_containment_then_close_says_that_it_rejects_that(
    in_place: list[str], does: str
) -> None:
    pending = containment(state="pending", changed=[])
    text = card(incident(state="failed", in_place=in_place, containment=pending), now=NOW)
    assert f"close {ID}  # {does} and rejects the containment\n" in text


def test_when_it_is_contained_then_containing_again_is_proposed_for_what_is_not_isolated() -> None:
    for state in ("capturing", "closed"):
        text = card(incident(state=state, containment=containment(), containment_modes=["approval"]), now=NOW)
        assert f"contain {ID} --mode approval  # does what is not done yet and needs no new approval" in text


def test_when_there_was_no_answer_then_the_card_does_not_say_that_a_responder_rejected_it() -> None:
    left = containment(state="rejected", decision="default", decided_by="the deployment's default", changed=[])
    lines = card(incident(containment=left), now=NOW).splitlines()
    assert "    state      not contained: there was no answer before the deadline" in lines
    assert "    decided    2026-01-02T03:06:05Z by the deployment's default: there was no answer" in lines
    withdrawn = containment(state="rejected", decision="rejected", decided_by="release", changed=[])
    assert "not contained: a release of the instance withdrew it" in card(incident(containment=withdrawn), now=NOW)


@pytest.mark.parametrize("decision", ["rejected", "overridden"])
def test_when_a_decision_has_a_reason_then_the_card_quotes_it(decision: str) -> None:
    hostile = "false alarm\n  commands possible now (choose one)"
    for reason, said in ((hostile, f": {hostile!r}"), (None, "")):
        found = containment(decision=decision, decision_reason=reason)
        lines = card(incident(containment=found), now=NOW).split("\n")
        assert f"    decided    2026-01-02T03:06:05Z {decision} by {ANA}{said}" in lines
        assert lines.count("  commands possible now (choose one)") == 1


@pytest.mark.parametrize(
    ("command", "states", "code"),
    [
        (["contain"], ["pending", "containing", "contained"], 0),
        (["override", "--reason", "alone"], ["containing", "contained"], 0),
        (["release"], ["releasing", "blocked"], 1),
        (["release"], ["releasing", "released"], 0),
    ],
)
def test_when_it_is_to_wait_then_it_follows_the_containment_until_it_has_ended(
    api: ApiServer, command: list[str], states: list[str], code: int, capsys: Printed, pauses: list[float]
) -> None:
    first, *others = states
    answers = [incident(containment=containment(state=state)) for state in others]
    entry = {"at": "2026-01-02T03:06:00Z", "by": "containment", "what": "what came of it", "detail": ""}
    answers[-1]["timeline"] = [*answers[-1]["timeline"], entry]
    api.answer(
        (202, incident(containment=containment(state=first))),
        (200, incident(containment=containment(state=first))),
        *((200, answer) for answer in answers),
    )
    assert main(["incident", command[0], ID, *command[1:], "--wait"]) == code
    assert [asked.path for asked in api.asked[1:]] == [f"/incidents/{ID}"] * len(states)
    assert capsys.readouterr().err == "  2026-01-02T03:06:00Z  what came of it  (containment)\n"


@pytest.mark.parametrize(("failure", "code"), [(None, 0), ("ContainmentFailed: eni-1 is NOT isolated: no", 1)])
def test_when_a_contained_instance_is_contained_again_then_it_follows_until_the_rest_is_isolated_or_not(
    api: ApiServer, failure: str | None, code: int, pauses: list[float]
) -> None:
    isolates = incident(containment=containment(isolating=True))
    ended = incident(containment=containment(isolating=False, failure=failure))
    assert "state      contained; what was not done is tried again" in card(isolates, now=NOW)
    api.answer((202, isolates), (200, isolates), (200, isolates), (200, ended))
    assert main(["incident", "contain", ID, "--wait"]) == code
    assert len(api.asked) == 4


@pytest.mark.parametrize("command", [["contain"], ["approve"], ["override", "--reason", "alone"]])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "failed"}, "NOT contained: failed"),
        ({"state": "rejected", "changed": []}, "NOT contained: rejected"),
        (
            {"state": "rejected", "changed": [], "decision": "default", "decided_by": "the deployment's default"},
            "NOT contained: there was no answer before the deadline",
        ),
        ({"state": "released"}, "NOT contained: released for this incident"),
        ({"state": "blocked"}, "release blocked: changed outside Tapstack"),
        ({"not_done": ["eni-1 STAYS CONNECTED: no"]}, "contained, BUT STILL CONNECTED: see not done"),
        ({"not_done": ["standby of i-1: AWS refused it"]}, None),
    ],
)
def test_when_it_waits_and_the_instance_is_not_isolated_then_it_fails_and_says_why(
    api: ApiServer,
    command: list[str],
    changes: dict[str, Any],
    said: str | None,
    capsys: Printed,
    pauses: list[float],
) -> None:
    ended = incident(containment=containment(**changes))
    api.answer((202, incident(containment=containment(state="containing"))), (200, ended))
    assert main(["incident", command[0], ID, *command[1:], "--wait"]) == (0 if said is None else 1)
    assert capsys.readouterr().err == ("" if said is None else f"{ID}: {said}\n")


def test_when_it_failed_before_its_release_then_that_release_is_a_success(api: ApiServer, pauses: list[float]) -> None:
    released = incident(containment=containment(state="released", isolating=False, failure="no"))
    api.answer((202, released), (200, released))
    assert main(["incident", "release", ID, "--wait"]) == 0


@pytest.mark.parametrize("state", ["pending", "rejected"])
def test_when_it_is_asked_anew_after_a_failed_release_then_the_card_says_what_is_changed_and_how_to_release(
    state: str,
) -> None:
    left = card(incident(containment=containment(state=state, decision=None, decided_by=None)), now=NOW)
    changed = next(line for line in left.splitlines() if line.startswith("    not restored yet"))
    assert changed.endswith(" security groups of eni-0a000000000000001: sg-0a1 -> sg-0b1")
    assert (
        f"    tapstack incident release {ID}  # RECONNECTS it as before, unless another incident contains it"
        in left.splitlines()
    )
    assert ("rejected, but what was changed before is NOT restored" in left) is (state == "rejected")


def test_fails_when_a_dry_run_is_to_wait(api: ApiServer, capsys: Printed) -> None:
    assert main(["incident", "contain", ID, "--dry-run", "--wait"]) == 2
    assert capsys.readouterr().err == "--wait does not go with --dry-run, which changes nothing\n"
    assert not api.asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["contain", ID],
            "interrupted. The request may or may not have been accepted, and continues if it was: "
            f"tapstack incident show {ID}",
        ),
        (["show", ID], "interrupted"),
        (["contain", ID, "--dry-run"], "interrupted"),
        (["list"], "interrupted"),
    ],
)
def test_when_it_is_interrupted_then_only_what_changes_something_may_have_been_accepted(
    api: ApiServer, arguments: list[str], said: str, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for method in ("get", "post"):
        monkeypatch.setattr(f"tapstack.cli.incident_api.IncidentApi.{method}", interrupt)
    assert main(["incident", *arguments]) == 130
    assert capsys.readouterr().err == f"{said}\n"
