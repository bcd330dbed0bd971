"""What is done about each interface of an incident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain import limits
from tapstack.domain.capture_plan import Interface, Session, Step, number_for, other_sessions, plan, refusal, warnings

ONE, TWO = "eni-00000000000000001", "eni-00000000000000002"


def session(number: int, *, ours: bool = False, on: str = ONE) -> Session:
    return Session(f"tms-{number:017x}", on, number, ours)


def test_when_nothing_is_there_then_number_one_is_made() -> None:
    assert plan([ONE], []) == (Step(ONE, "create", 1),)


def test_when_others_have_numbers_then_the_first_free_one_is_taken() -> None:
    assert plan([ONE], [session(1), session(3), session(2, on=TWO)]) == (Step(ONE, "create", 2),)


def test_when_the_incidents_session_exists_then_it_is_kept_even_beside_two_others() -> None:
    there = [session(1), session(2), session(3, ours=True)]
    assert plan([ONE], there) == (Step(ONE, "keep", 3, session(3).id),)


def test_when_two_sessions_are_the_incidents_then_the_recorded_one_is_kept() -> None:
    there = [session(1, ours=True), session(2, ours=True)]
    assert plan([ONE], there, known={ONE: session(2).id})[0].session_id == session(2).id


def test_when_the_incidents_session_is_recorded_but_not_shown_yet_then_it_is_kept() -> None:
    assert plan([ONE], [], known={ONE: "tms-1"}) == (Step(ONE, "keep", None, "tms-1"),)


def test_when_three_others_are_there_then_it_is_refused() -> None:
    [step] = plan([ONE], [session(n) for n in (1, 2, 3)])
    assert (step.do, step.note) == (
        "refuse",
        "it is in 3 other mirror sessions already, which is the most AWS allows",
    )


def test_when_the_target_is_full_then_new_sources_are_refused_and_old_ones_are_not() -> None:
    made = plan([ONE, TWO], [], sources_of_target=[TWO, "eni-3"], max_sources=2)
    assert [step.do for step in made] == ["wait", "create"]


def test_when_others_give_their_places_then_the_first_ones_get_them_in_their_order() -> None:
    asked = [f"eni-{number}" for number in range(4)]
    made = plan(asked, [], sources_of_target=["eni-8", "eni-9"], max_sources=3, displaceable=["eni-9", "eni-8"])
    assert [(step.do, step.instead_of) for step in made] == [
        ("create", None),
        ("create", "eni-9"),
        ("create", "eni-8"),
        ("wait", None),
    ]


def test_when_one_takes_free_places_only_then_none_is_given_to_it() -> None:
    made = plan([ONE, TWO], [], sources_of_target=["eni-9"], max_sources=1, displaceable=["eni-9"], free_only=[ONE])
    assert [(step.do, step.instead_of) for step in made] == [("wait", None), ("create", "eni-9")]


@given(
    st.integers(1, 4),
    st.integers(0, 6),
    st.sets(st.sampled_from([f"eni-{number}" for number in range(4)])),
    st.sets(st.sampled_from(["eni-6", "eni-7", "eni-8"])),
    st.integers(0, 3),
)
def test_when_it_is_planned_then_the_target_never_has_more_sources_than_it_takes(
    most: int, reserved: int, there: set[str], displaceable: set[str], left_out: int
) -> None:
    on_target = sorted(there | displaceable)[:most]
    asked = [f"eni-{number}" for number in range(4)]
    may_give = [one for one in sorted(displaceable) if one in on_target][left_out:]
    steps = plan(asked, [], sources_of_target=on_target, max_sources=most, reserved=reserved, displaceable=may_give)
    gone = [step.instead_of for step in steps if step.instead_of is not None]
    assert gone == may_give[: len(gone)]
    after = (set(on_target) - set(gone)) | {step.network_interface_id for step in steps if step.do == "create"}
    assert len(after) <= most
    # A place is taken from others only where there is none to take freely.
    assert not gone or len(after) >= max(1, most - reserved)


@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=3, unique_by=lambda pair: pair[0]),
    st.lists(st.sampled_from([ONE, TWO]), unique=True),
)
def test_when_it_is_planned_then_no_number_is_used_twice_and_none_has_four(
    there: list[tuple[int, bool]], wanted: list[str]
) -> None:
    existing = [session(number, ours=ours) for number, ours in there]
    steps = plan(wanted, existing)
    assert [step.network_interface_id for step in steps] == wanted
    for step in steps:
        on = [s for s in existing if s.network_interface_id == step.network_interface_id]
        if step.do == "create":
            assert step.session_number not in {s.number for s in on}
            assert len(on) < limits.SESSIONS_PER_INTERFACE
            assert not any(s.ours for s in on)
        if step.do == "keep":
            assert step.session_id in {s.id for s in on if s.ours}


def test_when_an_interface_is_full_then_there_is_no_number() -> None:
    assert number_for(ONE, [session(n) for n in (1, 2, 3)]) is None
    assert number_for(ONE, [session(1)]) == 2


@pytest.mark.parametrize(
    ("interface", "said"),
    [
        (Interface(ONE, appliance=True), "it belongs to the appliance"),
        (Interface(ONE, type="nat_gateway"), "it is of type nat_gateway"),
        (Interface(ONE, instance_type="t2.micro"), "instance type t2.micro cannot be a mirror source"),
    ],
)
def test_when_an_interface_cannot_be_mirrored_then_the_reason_is_reported(interface: Interface, said: str) -> None:
    assert said in (refusal(interface) or "")


def test_when_the_list_of_types_does_not_count_then_any_type_is_taken() -> None:
    assert refusal(Interface(ONE, instance_type="t2.micro"), accept_unsupported_instance_types=True) is None
    assert refusal(Interface(ONE, instance_type="m5.large")) is None


def test_when_something_is_odd_then_it_is_a_warning() -> None:
    odd = Interface(ONE, vpc_id="vpc-2", requester_managed=True, instance_type="z9.large")
    assert refusal(odd, accept_unsupported_instance_types=True) is None
    assert "accept it with accept_unsupported_instance_types in the response's capture if" in (refusal(odd) or "")
    said = warnings(odd, vpc_id="vpc-1")
    assert [words in warning for words, warning in zip(("lies in vpc-2", "managed by", "z9.large"), said, strict=True)]
    assert warnings(Interface(ONE, vpc_id="vpc-1", instance_type="m5.large"), vpc_id="vpc-1") == ()


@pytest.mark.parametrize(
    ("number", "earlier", "later"),
    [
        (1, "", "tms-a (number 2), tms-c (number 4)"),
        (3, "tms-a (number 2)", "tms-c (number 4)"),
        (5, "tms-a (number 2), tms-c (number 4)", ""),
    ],
)
def test_when_other_sessions_send_elsewhere_then_it_is_remarked_which_get_the_packets(
    number: int, earlier: str, later: str
) -> None:
    sessions = [
        Session("tms-a", "eni-1", 2, target_id="tmt-web"),
        Session("tms-b", "eni-1", 3, target_id="tmt-ours"),
        Session("tms-c", "eni-1", 4, target_id="tmt-web"),
        Session("tms-d", "eni-2", 1, target_id="tmt-web"),
    ]
    first = f"packets that the filter of {earlier} accepts go to its target only, and are not captured here"
    then = "while this is captured, packets that its filter accepts go to its target only, and not to that of "
    expected = [*([first] if earlier else []), *([then + later] if later else [])]
    assert other_sessions("eni-1", number, sessions, target_id="tmt-ours") == "; ".join(expected)


@pytest.mark.parametrize(("ours", "theirs", "cut"), [(None, 64, True), (100, 64, True), (64, 100, False)])
def test_when_a_session_with_a_lower_number_cuts_packets_on_their_way_to_the_same_target_then_that_is_remarked(
    ours: int | None, theirs: int, cut: bool
) -> None:
    sessions = [Session("tms-a", "eni-1", 1, target_id="tmt-ours", packet_length=theirs)]
    said = "packets that the filter of tms-a (number 1) accepts are captured as it cuts them"
    remark = other_sessions("eni-1", 2, sessions, target_id="tmt-ours", packet_length=ours)
    assert remark == (said if cut else "")


def test_when_a_session_sends_to_the_same_target_then_nothing_is_remarked() -> None:
    sessions = [Session(f"tms-{number}", "eni-1", number, target_id="tmt-ours") for number in (1, 2, 3)]
    assert other_sessions("eni-1", 2, sessions, target_id="tmt-ours") == ""
