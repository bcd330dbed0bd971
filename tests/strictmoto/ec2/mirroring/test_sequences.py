"""Whatever is asked, in whatever order: the account never leaves what AWS allows.

Runs on the backend in this process, because HTTP would make it slow. A small model beside it
says of every creation and deletion whether AWS refuses it; invariants check the state.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import event, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

from strictmoto.ec2 import mirroring
from strictmoto.ec2.mirroring import limits
from tests.strictmoto.ec2.mirroring.network import REGION

ACCOUNT = "300000000001"
SOURCES_PER_TARGET = 3
STEPS = 80
EXAMPLES = 30

# Mostly numbers that are right, and often taken.

numbers = st.sampled_from([1, 2, 3, 4, 5, 32766, 32767])
vnis = st.sampled_from([None, None, None, 7, 8, 16777215, 16777216])
lengths = st.sampled_from([None, None, None, 0, 1, 8501])


class Sequences(RuleBasedStateMachine):
    interfaces: Bundle[str] = Bundle("interfaces")
    filters: Bundle[str] = Bundle("filters")
    rules_: Bundle[str] = Bundle("rules_")
    targets: Bundle[str] = Bundle("targets")
    sessions: Bundle[str] = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        mirroring.install()
        self.backend = ec2_backends[ACCOUNT][REGION]
        self.subnet = next(iter(self.backend.get_default_subnets().values()))
        # Anew, without the cost of another backend of moto.
        vars(self.backend).pop("_strictmoto_mirroring", None)
        self.backend.enis.clear()
        self.mirror = mirroring.of(self.backend)
        self.gone: set[str] = set()
        # Ten sources on one target are rare in random sequences; three are not.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(limits, "SOURCES_PER_INTERFACE", SOURCES_PER_TARGET)

    def teardown(self) -> None:
        self.patch.undo()

    @initialize(target=interfaces)
    def begin_with_interfaces(self) -> Any:
        return multiple(*(self.new_interface() for _ in range(5)))

    @initialize(target=filters)
    def begin_with_filters(self) -> Any:
        return multiple(self.add_one_filter(), self.add_one_filter())

    @initialize(target=targets)
    def begin_with_targets(self) -> Any:
        made = (self.mirror.create_traffic_mirror_target(NetworkInterfaceId=self.new_interface()) for _ in range(2))
        return multiple(*(one["TrafficMirrorTarget"]["TrafficMirrorTargetId"] for one in made))

    def new_interface(self) -> str:
        return str(self.backend.create_network_interface(self.subnet, []).id)

    def attempt(self, action: str, **parameters: Any) -> Any:
        """The answer, or the error's code; state is as before when it is refused."""
        before = self.snapshot()
        try:
            answer = getattr(self.mirror, action)(**parameters)
        except EC2ClientError as error:
            assert self.snapshot() == before
            event(f"{action} {error.code}")
            return error.code
        event(f"{action} done")
        return answer

    def snapshot(self) -> list[dict[str, Any]]:
        described = ("filters", "filter_rules", "targets", "sessions")
        return [getattr(self.mirror, f"describe_traffic_mirror_{what}")() for what in described]

    @property
    def live_sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.mirror.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
        return found

    @rule(target=interfaces)
    def add_interface(self) -> str:
        return self.new_interface()

    @rule(interface=consumes(interfaces))
    def delete_interface(self, interface: str) -> None:
        others = [s for s in self.live_sessions if s["NetworkInterfaceId"] != interface]
        self.backend.delete_network_interface(interface)
        self.gone.add(interface)
        assert self.live_sessions == others

    @rule(target=filters)
    def add_filter(self) -> str:
        return self.add_one_filter()

    def add_one_filter(self) -> str:
        return str(self.attempt("create_traffic_mirror_filter")["TrafficMirrorFilter"]["TrafficMirrorFilterId"])

    @rule(filter_id=filters)
    def delete_filter(self, filter_id: str) -> None:
        used = any(s["TrafficMirrorFilterId"] == filter_id for s in self.live_sessions)
        answer = self.attempt("delete_traffic_mirror_filter", TrafficMirrorFilterId=filter_id)
        known = filter_id not in self.gone
        expected = "TrafficMirrorFilterInUse" if used else "InvalidTrafficMirrorFilterId.NotFound"
        assert answer == ({"TrafficMirrorFilterId": filter_id} if known and not used else expected)
        if not used:
            self.gone.add(filter_id)

    @rule(
        target=rules_,
        filter_id=filters,
        direction=st.sampled_from(["ingress", "egress"]),
        number=st.integers(1, 7) | numbers,
        source=st.sampled_from(["10.0.0.0/8", "::/0"]),
    )
    def add_rule(self, filter_id: str, direction: str, number: int, source: str) -> Any:
        answer = self.attempt(
            "create_traffic_mirror_filter_rule",
            TrafficMirrorFilterId=filter_id,
            TrafficDirection=direction,
            RuleNumber=number,
            RuleAction="accept",
            SourceCidrBlock=source,
            DestinationCidrBlock="0.0.0.0/0",
        )
        if isinstance(answer, str):
            return multiple()
        assert source == "10.0.0.0/8"
        return answer["TrafficMirrorFilterRule"]["TrafficMirrorFilterRuleId"]

    @rule(rule_id=rules_, number=numbers, direction=st.sampled_from(["ingress", "egress"]))
    def modify_rule(self, rule_id: str, number: int, direction: str) -> None:
        self.attempt(
            "modify_traffic_mirror_filter_rule",
            TrafficMirrorFilterRuleId=rule_id,
            RuleNumber=number,
            TrafficDirection=direction,
        )

    @rule(rule_id=consumes(rules_))
    def delete_rule(self, rule_id: str) -> None:
        self.attempt("delete_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=rule_id)
        again = self.attempt("delete_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=rule_id)
        assert again == "InvalidTrafficMirrorFilterRuleId.NotFound"

    @rule(target=targets, interface=interfaces)
    def add_target(self, interface: str) -> Any:
        is_source = any(s["NetworkInterfaceId"] == interface for s in self.live_sessions)
        answer = self.attempt("create_traffic_mirror_target", NetworkInterfaceId=interface)
        assert isinstance(answer, str) == is_source
        return multiple() if is_source else answer["TrafficMirrorTarget"]["TrafficMirrorTargetId"]

    @rule(target_id=targets)
    def delete_target(self, target_id: str) -> None:
        used = any(s["TrafficMirrorTargetId"] == target_id for s in self.live_sessions)
        answer = self.attempt("delete_traffic_mirror_target", TrafficMirrorTargetId=target_id)
        if used:
            assert answer == "TrafficMirrorTargetInUseException"
        elif target_id in self.gone:
            assert answer == "InvalidTrafficMirrorTargetId.NotFound"
        else:
            assert answer == {"TrafficMirrorTargetId": target_id}
            self.gone.add(target_id)

    @rule(
        target=sessions,
        source=interfaces,
        target_id=targets,
        filter_id=filters,
        number=numbers,
        vni=vnis,
        length=lengths,
    )
    def add_session(
        self, source: str, target_id: str, filter_id: str, number: int, vni: int | None, length: int | None
    ) -> Any:
        before = self.live_sessions
        answer = self.attempt(
            "create_traffic_mirror_session",
            NetworkInterfaceId=source,
            TrafficMirrorTargetId=target_id,
            TrafficMirrorFilterId=filter_id,
            SessionNumber=number,
            VirtualNetworkId=vni,
            PacketLength=length,
        )
        own = [s for s in before if s["NetworkInterfaceId"] == source]
        refusals = [
            target_id in self.gone,
            filter_id in self.gone,
            not 1 <= number <= 32766,
            number in [s["SessionNumber"] for s in own],
            len(own) == 3,
            vni is not None and not 1 <= vni <= 16777215,
            length == 0,
            source in self.target_interfaces.values(),
            len(self.sources_of(target_id) | {source}) > SOURCES_PER_TARGET,
        ]
        assert isinstance(answer, str) == any(refusals)
        return multiple() if any(refusals) else answer["TrafficMirrorSession"]["TrafficMirrorSessionId"]

    @rule(
        session=sessions,
        target_id=st.none() | targets,
        filter_id=st.none() | filters,
        number=st.none() | numbers,
        vni=vnis,
        length=lengths,
        removed=st.sampled_from([[], [], ["packet-length"], ["virtual-network-id", "description"]]),
    )
    def modify_session(
        self,
        session: str,
        target_id: str | None,
        filter_id: str | None,
        number: int | None,
        vni: int | None,
        length: int | None,
        removed: list[str],
    ) -> None:
        self.attempt(
            "modify_traffic_mirror_session",
            TrafficMirrorSessionId=session,
            TrafficMirrorTargetId=target_id,
            TrafficMirrorFilterId=filter_id,
            SessionNumber=number,
            VirtualNetworkId=vni,
            PacketLength=length,
            RemoveFields=removed,
        )

    @rule(session=consumes(sessions))
    def delete_session(self, session: str) -> None:
        alive = session in {s["TrafficMirrorSessionId"] for s in self.live_sessions}
        answer = self.attempt("delete_traffic_mirror_session", TrafficMirrorSessionId=session)
        assert answer == ({"TrafficMirrorSessionId": session} if alive else "InvalidTrafficMirrorSessionId.NotFound")

    @property
    def target_interfaces(self) -> dict[str, str]:
        found = self.mirror.describe_traffic_mirror_targets()["TrafficMirrorTargets"]
        return {one["TrafficMirrorTargetId"]: one["NetworkInterfaceId"] for one in found}

    def sources_of(self, target_id: str) -> set[str]:
        """The distinct sources of the interface behind a target, whichever target they use."""
        behind = self.target_interfaces
        return {
            s["NetworkInterfaceId"]
            for s in self.live_sessions
            if target_id in behind and behind[s["TrafficMirrorTargetId"]] == behind[target_id]
        }

    @invariant()
    def numbers_differ_and_are_at_most_three_on_an_interface(self) -> None:
        pairs = [(s["NetworkInterfaceId"], s["SessionNumber"]) for s in self.live_sessions]
        assert len(set(pairs)) == len(pairs)
        assert all(1 <= number <= 32766 for _, number in pairs)
        assert all(count <= 3 for count in Counter(interface for interface, _ in pairs).values())

    @invariant()
    def virtual_network_ids_in_use_are_known(self) -> None:
        """So that one chosen at random is never one that is used."""
        assert self.mirror.state.virtual_network_ids == Counter(s["VirtualNetworkId"] for s in self.live_sessions)

    @invariant()
    def every_session_has_source_filter_and_target(self) -> None:
        targets = self.target_interfaces
        filters = {
            one["TrafficMirrorFilterId"]
            for one in self.mirror.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
        }
        for session in self.live_sessions:
            assert session["TrafficMirrorTargetId"] in targets
            assert session["TrafficMirrorFilterId"] in filters
            assert session["NetworkInterfaceId"] in self.backend.enis
            assert session["NetworkInterfaceId"] not in targets.values()

    @invariant()
    def sources_are_within_the_limit_of_their_target(self) -> None:
        assert all(len(self.sources_of(target)) <= SOURCES_PER_TARGET for target in self.target_interfaces)

    @invariant()
    def rule_numbers_differ_and_are_at_most_ten_in_a_filter(self) -> None:
        rules = self.mirror.describe_traffic_mirror_filter_rules()["TrafficMirrorFilterRules"]
        keys = [(r["TrafficMirrorFilterId"], r["TrafficDirection"], r["RuleNumber"]) for r in rules]
        assert len(set(keys)) == len(keys)
        assert all(count <= 10 for count in Counter(key[0] for key in keys).values())
        assert self.mirror.state.rules.keys() == {r["TrafficMirrorFilterRuleId"] for r in rules}


TestSequences = Sequences.TestCase
TestSequences.settings = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None)
