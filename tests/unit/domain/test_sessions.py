import contextlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tapstack.domain.errors import RuleViolation
from tapstack.domain.sessions import SessionBook
from tests.unit.refusals import refusal

ENI = "eni-0a000000000000001"
OTHER = "eni-0a000000000000002"


@pytest.fixture
def book() -> SessionBook:
    return SessionBook()


class TestKnownInterfaces:
    def test_when_no_number_is_given_then_it_is_the_first_free_one_of_the_interface(self, book: SessionBook) -> None:
        assert [book.add_known(group, ENI) for group in ("a", "b", "c")] == [1, 2, 3]
        assert book.add_known("a", OTHER) == 1

    def test_when_groups_share_no_interface_then_each_has_a_number_of_its_own_all_the_same(
        self, book: SessionBook
    ) -> None:
        assert [book.add_group(group) for group in ("a", "b", "empty", "a")] == [1, 2, 3, 1]
        assert [book.add_known("b", ENI), book.add_known("b", OTHER), book.add_unknown("d")] == [2, 2, 4]

    def test_when_numbers_are_given_then_later_groups_pass_over_them(self, book: SessionBook) -> None:
        assert book.add_group("a", 2) == 2
        assert book.add_known("b", ENI, 1) == 1
        assert [book.add_group(group) for group in ("c", "d")] == [3, 4]
        assert book.add_group("e", start=2) == 5

    @pytest.mark.parametrize("stack_first", [True, False])
    def test_fails_when_the_stack_of_an_appliance_would_take_the_number_of_a_session(
        self, book: SessionBook, stack_first: bool
    ) -> None:
        adds: list[Callable[[], int]] = [
            lambda: book.add_mirror_source("epb", ENI),
            lambda: book.add_known("sessions web", ENI),
        ]
        first, second = adds if stack_first else adds[::-1]
        assert first() == 1
        assert refusal(second) == (
            f"network interface {ENI} is the mirror_source of epb as well: give mirror_session_number, which no other "
            "session of the interface has (1 where both exist already)"
        )

    def test_when_the_number_of_a_stacks_own_session_is_given_then_others_may_mirror_the_interface(
        self, book: SessionBook
    ) -> None:
        assert book.add_mirror_source("epb", ENI, 9) == 9
        assert book.add_known("sessions web", ENI) == 1

    def test_when_a_start_is_given_then_the_search_begins_there(self, book: SessionBook) -> None:
        assert [book.add_known(group, ENI, start=100) for group in ("a", "b")] == [100, 101]

    def test_when_a_number_is_taken_then_it_is_passed_over(self, book: SessionBook) -> None:
        assert book.add_known("a", ENI, 1) == 1
        assert book.add_known("b", ENI) == 2

    @pytest.mark.parametrize("number", [1, 32766])
    def test_when_a_number_is_at_the_edge_then_it_is_kept(self, book: SessionBook, number: int) -> None:
        assert book.add_known("a", ENI, number) == number

    @pytest.mark.parametrize("number", [0, 32767])
    def test_fails_when_a_number_is_out_of_range(self, book: SessionBook, number: int) -> None:
        assert refusal(lambda: book.add_known("a", ENI, number)) == (
            f"session number must be a whole number from 1 to 32766, got {number}"
        )

    def test_fails_when_no_number_is_left(self, book: SessionBook) -> None:
        book.add_known("a", ENI, start=32766)
        assert refusal(lambda: book.add_known("b", ENI, start=32766)) == (
            "session number must be a whole number from 1 to 32766, got 32767"
        )

    def test_fails_when_a_number_is_taken(self, book: SessionBook) -> None:
        book.add_known("sessions web", ENI, 7)
        assert refusal(lambda: book.add_known("sessions dns", ENI, 7)) == (
            f"session number 7 on network interface {ENI} is taken by sessions web: give one of the two another number"
        )

    def test_fails_when_it_is_the_fourth_session_of_an_interface(self, book: SessionBook) -> None:
        for group in ("web", "dns", "all"):
            book.add_known(f"sessions {group}", ENI)
        assert refusal(lambda: book.add_known("sessions more", ENI)) == (
            f"network interface {ENI} would be in more than 3 sessions: it is in sessions all, sessions dns, "
            "sessions web already"
        )

    def test_when_a_session_was_refused_then_it_takes_no_number(self, book: SessionBook) -> None:
        book.add_known("a", ENI, 1)
        refusal(lambda: book.add_known("b", ENI, 1))
        assert [book.add_known(group, ENI) for group in ("c", "d")] == [2, 3]


class TestUnknownInterfaces:
    def test_when_interfaces_are_unknown_then_no_other_group_uses_their_number(self, book: SessionBook) -> None:
        assert book.add_known("web", ENI) == 1
        assert book.add_unknown("lookup") == 2
        assert book.add_unknown("another lookup") == 3
        assert book.add_known("dns", OTHER) == 4
        assert book.add_known("all", OTHER) == 5
        assert book.warnings == []

    def test_when_a_group_holds_several_lookups_then_they_share_its_number(self, book: SessionBook) -> None:
        assert [book.add_unknown("lookup"), book.add_unknown("lookup"), book.add_known("lookup", ENI)] == [1, 1, 1]

    def test_when_a_start_is_given_then_the_search_begins_there(self, book: SessionBook) -> None:
        assert book.add_unknown("lookup", start=50) == 50
        assert book.add_unknown("other", start=50) == 51

    def test_when_a_known_number_collides_with_a_lookup_then_there_is_a_warning(self, book: SessionBook) -> None:
        book.add_unknown("lookup", 5)
        assert book.add_known("web", ENI, 5) == 5
        assert book.warnings == [
            f"session number 5 on network interface {ENI} collides with lookup if its lookup finds that interface too"
        ]

    def test_when_a_lookups_number_collides_with_others_then_there_is_a_warning(self, book: SessionBook) -> None:
        book.add_known("web", ENI, 5)
        book.add_unknown("dns", 5)
        assert book.add_unknown("lookup", 5) == 5
        assert book.warnings == [
            "session number 5 of dns collides with web where both mirror the same network interface",
            "session number 5 of lookup collides with dns, web where both mirror the same network interface",
        ]

    @pytest.mark.parametrize("number", [0, 32767])
    def test_fails_when_a_number_is_out_of_range(self, book: SessionBook, number: int) -> None:
        assert refusal(lambda: book.add_unknown("lookup", number)) == (
            f"session number must be a whole number from 1 to 32766, got {number}"
        )

    def test_fails_when_no_number_is_left(self, book: SessionBook) -> None:
        book.add_unknown("a", start=32766)
        assert refusal(lambda: book.add_unknown("b", start=32766)) == (
            "session number must be a whole number from 1 to 32766, got 32767"
        )


class TestTargets:
    MESSAGE = (
        f"network interface {ENI} cannot be a source: it receives mirrored traffic as target sensor, "
        "and no interface can be both source and target"
    )

    def test_fails_when_a_target_becomes_a_source(self, book: SessionBook) -> None:
        book.add_target_interface(ENI, "target sensor")
        assert refusal(lambda: book.add_known("web", ENI)) == self.MESSAGE

    def test_fails_when_a_source_becomes_a_target(self, book: SessionBook) -> None:
        book.add_known("web", ENI)
        assert refusal(lambda: book.add_target_interface(ENI, "target sensor")) == self.MESSAGE

    def test_when_an_interface_is_the_target_twice_then_it_passes(self, book: SessionBook) -> None:
        book.add_target_interface(ENI, "target sensor")
        book.add_target_interface(ENI, "target same")

    @pytest.mark.parametrize("capacity", [10, 100])
    def test_when_sources_fill_a_target_then_they_pass_and_count_once(self, book: SessionBook, capacity: int) -> None:
        for n in [*range(capacity), *range(capacity)]:
            book.add_source("tmt-1", f"eni-{n}", capacity)
        book.add_source("tmt-2", "eni-another", capacity)

    @pytest.mark.parametrize("capacity", [10, 100])
    @pytest.mark.parametrize(("name", "shown"), [("sensor", "sensor"), ("", "tmt-1")])
    def test_fails_when_it_is_one_source_too_many(
        self, book: SessionBook, capacity: int, name: str, shown: str
    ) -> None:
        for n in range(capacity):
            book.add_source("tmt-1", f"eni-{n}", capacity)
        said = refusal(lambda: book.add_source("tmt-1", "eni-more", capacity, target_name=name))
        assert said.startswith(
            f"target {shown} takes at most {capacity} distinct sources, got {capacity + 1}: use a Network Load "
            "Balancer, which has no such limit"
        )
        assert ("name the appliance's instance_type where it takes 100" in said) is (capacity == 10)

    def test_fails_when_it_is_one_too_many_of_a_target_without_a_type_and_names_no_field_that_is_not_there(
        self, book: SessionBook
    ) -> None:
        book.add_source("tmt-1", "eni-0", 1, typed=False)
        said = refusal(lambda: book.add_source("tmt-1", "eni-1", 1, typed=False))
        assert said.endswith("got 2: use a Network Load Balancer, which has no such limit")

    def test_when_a_target_has_no_limit_then_any_number_of_sources_passes(self, book: SessionBook) -> None:
        for n in range(1000):
            book.add_source("tmt-1", f"eni-{n}", None)


@dataclass(frozen=True)
class Entry:
    """A call of `add_known`, or of `add_unknown` where `interface` is None."""

    group: str
    interface: str | None
    number: int | None
    start: int

    def add_to(self, book: SessionBook) -> int:
        if self.interface is None:
            return book.add_unknown(self.group, self.number, start=self.start)
        return book.add_known(self.group, self.interface, self.number, start=self.start)


def entries(
    interfaces: st.SearchStrategy[str | None], numbers: st.SearchStrategy[int | None]
) -> st.SearchStrategy[Entry]:
    return st.builds(Entry, st.sampled_from("abcde"), interfaces, numbers, st.sampled_from([1, 1, 2, 32765]))


INTERFACES = st.sampled_from(["eni-1", "eni-2", "eni-3"])
NUMBERS = st.none() | st.integers(0, 5) | st.sampled_from([32766, 32767])


@given(st.lists(entries(st.none() | INTERFACES, NUMBERS), max_size=25))
@example([Entry("b", "eni-1", None, 1), Entry("a", "eni-2", 1, 1), Entry("b", None, None, 1)])
def test_when_sessions_are_added_in_any_way_then_no_two_ever_collide(sequence: list[Entry]) -> None:
    book = SessionBook()
    of_interface: dict[str, list[int]] = defaultdict(list)
    accepted: list[tuple[Entry, int]] = []
    for entry in sequence:
        try:
            number = entry.add_to(book)
        except RuleViolation:
            continue
        accepted.append((entry, number))
        if entry.interface is not None:
            of_interface[entry.interface].append(number)

    assert all(1 <= number <= 32766 for _, number in accepted)
    assert all(entry.number in (None, number) for entry, number in accepted)
    for numbers in of_interface.values():
        assert len(set(numbers)) == len(numbers) <= 3
    for position, (entry, number) in enumerate(accepted):
        for earlier, taken in accepted[:position]:
            if None in (entry.interface, earlier.interface) and number == taken and entry.group != earlier.group:
                asked = (entry.number, earlier.number) != (None, None)
                assert asked, "a number that was not asked for is shared with a lookup"
                assert book.warnings


@given(
    st.lists(entries(st.just("eni-mine"), st.none()), max_size=5),
    st.data(),
)
def test_when_other_sources_come_go_or_move_then_the_numbers_of_an_interface_stay(
    mine: list[Entry], data: st.DataObject
) -> None:
    def numbers_among(others: list[Entry]) -> list[int | str]:
        places = data.draw(st.lists(st.integers(0, len(mine)), min_size=len(others), max_size=len(others)))
        book, found = SessionBook(), list[int | str]()
        for group in "abcde":
            for start in (1, 2, 32765):
                with contextlib.suppress(RuleViolation):
                    book.add_group(group, start=start)
        for position in range(len(mine) + 1):
            for place, other in zip(places, others, strict=True):
                if place == position:
                    _attempt(other, book)
            if position < len(mine):
                found.append(_attempt(mine[position], book))
        return found

    others = data.draw(st.lists(entries(INTERFACES, st.none()), max_size=10))
    assert numbers_among(others) == numbers_among([]) == numbers_among(data.draw(st.permutations(others)))


def _attempt(entry: Entry, book: SessionBook) -> int | str:
    try:
        return entry.add_to(book)
    except RuleViolation as violation:
        return str(violation)


def test_fails_when_a_load_balancer_is_behind_two_targets() -> None:
    book = SessionBook()
    book.add_target_load_balancer("arn:1", "one")
    book.add_target_load_balancer("arn:1", "one")
    book.add_target_load_balancer("arn:2", "two")
    assert refusal(lambda: book.add_target_load_balancer("arn:2", "three")) == (
        "the load balancer of three is behind two already: AWS takes one mirror target for a Network Load Balancer; "
        "use two for both, or share it"
    )
