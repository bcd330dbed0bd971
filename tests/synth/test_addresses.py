"""Addresses are a contract: what is not touched keeps its address, its number and its settings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapstack import Destination, MirrorFilter, MirrorSessions, MirrorTarget, Source
from tapstack.bindings import cdk
from tests.synth.ids import FILTER, NLB, TARGET, eni
from tests.synth.template import new_stack

INTERFACES = st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True)


def sessions(*groups: list[int]) -> dict[str, Any]:
    """The instances of every session resource by address, as Terraform would expand them."""
    stack = new_stack()
    target = MirrorTarget.from_id(TARGET, destination=Destination.network_load_balancer(NLB))
    for position, group in enumerate(groups):
        MirrorSessions(
            stack,
            f"group{position}",
            sources=[Source.network_interface(eni(number)) for number in group],
            target=target,
            filter=MirrorFilter.from_id(FILTER),
        )
    terraform = json.loads(cdk.Testing.synth(stack))
    return {
        f"{name}[{key}]": {**body, "for_each": None, "number": number}
        for name, body in terraform["resource"]["aws_ec2_traffic_mirror_session"].items()
        for key, number in body["for_each"].items()
    }


@pytest.mark.thorough
@settings(max_examples=40)  # each is two syntheses
@given(INTERFACES, st.randoms())
def test_when_sources_are_reordered_then_nothing_changes(numbers: list[int], random: Any) -> None:
    shuffled = list(numbers)
    random.shuffle(shuffled)
    assert sessions(numbers, numbers[:2]) == sessions(shuffled, numbers[:2])


@pytest.mark.thorough
@settings(max_examples=40)  # each is two syntheses
@given(INTERFACES, st.integers(41, 60), st.integers(0, 8))
def test_when_a_source_is_added_then_only_it_is_new(numbers: list[int], added: int, position: int) -> None:
    before = sessions(numbers, numbers[:1])
    after = sessions([*numbers[:position], added, *numbers[position:]], numbers[:1])
    assert set(after) - set(before) == {f"group0[{eni(added)}]"}
    assert {address: after[address] for address in before} == before


@pytest.mark.thorough
@settings(max_examples=40)  # each is two syntheses
@given(INTERFACES.filter(lambda numbers: len(numbers) > 1), st.integers(0, 7))
def test_when_a_source_is_removed_then_only_it_is_gone(numbers: list[int], position: int) -> None:
    removed = numbers[position % len(numbers)]
    kept = [number for number in numbers if number != removed]
    before, after = sessions(numbers, kept[:1]), sessions(kept, kept[:1])
    assert set(before) - set(after) == {f"group0[{eni(removed)}]"}
    assert {address: before[address] for address in after} == after
