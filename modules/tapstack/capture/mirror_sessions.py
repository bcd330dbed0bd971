"""Traffic mirror sessions: which sources are mirrored to which target through which filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, add_condition, address, aws, cdk, rendered, renders_hcl
from tapstack.capture.mirror_filter import IMirrorFilter
from tapstack.capture.mirror_target import IMirrorTarget, target_key
from tapstack.capture.scaffold import (
    book_of,
    checks_arguments,
    label_of,
    located,
    name_main_child,
    name_tag,
    needs_of,
    warn,
    warn_at_plan,
)
from tapstack.domain import instance_types, limits
from tapstack.domain.ec2_filters import FILTER_VALUES
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.incidents import TAG_INCIDENT
from tapstack.domain.instance_states import PRESENT_STATES
from tapstack.domain.limits import FIRST_SESSION_NUMBER
from tapstack.domain.own_names import STACK_NAME_TAG
from tapstack.domain.packet_basics import DELETION_PROTECTION_TAG
from tapstack.domain.sessions import SessionBook
from tapstack.domain.sources import AnySource, KnownSource, SourceLookup, split_sources
from tapstack.domain.tags import EC2, check_construct_tags
from tapstack.domain.text import check_template
from tapstack.domain.tokens import is_token

_EACH: Final = "${each.value}"
_KEY: Final = "${each.key}"


class MirrorSessions(AwsConstruct):
    """Mirrors any number of sources to one target through one filter.

    All sessions are instances of one resource, keyed by the source's name, which is its
    network interface id where that is literal: `aws_ec2_traffic_mirror_session.<id>["eni-..."]`.
    Adding, removing or reordering sources never renames another.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`; direct children of a stack are addressed by it.
        sources: network interfaces (`Source.network_interface`) and lookups (`Source.instance`,
            `.tagged`, `.tagged_instances`, `.subnet`, `.vpc`). Interfaces that are found twice are mirrored once.
        target: where to: a `MirrorTarget`, `PacketBasics.target` or `MirrorTarget.from_id(...)`.
        filter: what: a `MirrorFilter`, `PacketBasics.filter` or `MirrorFilter.from_id(...)`.
        session_number: of every session here, 1 to 32766, 1 evaluated first. By default the first
            number that nothing uses that the stack has so far, whatever the sources are; so what is made
            earlier is evaluated first, and what is added last changes no number.
        first_session_number: where that search begins; leaves room for sessions of others.
        packet_length: bytes kept of each packet, after the VXLAN header. Whole packets by default;
            8500 where the target is a Network Load Balancer, which is AWS's default and most. A session that
            had a length keeps it when this is omitted later: give 65535 for whole packets.
        virtual_network_id: VXLAN network identifier, 1 to 16777215; random and unique by default. A
            session that had one keeps it when this is omitted later.
        exclude: network interface ids that lookups must leave out. Interfaces of targets
            that the stack has so far, and of appliances, are left out always: those that it has, those that a
            `CaptureLoadBalancer` of the stack feeds, and all that Tapstack made or that an incident launched.
        description: what it is for; names the construct by default.
        logical_id: name in the Terraform address, unique in the stack for its type; `id_` where the
            construct is a direct child of its stack.
        tags: added to the Name tag.
        provider: the AWS provider of what it makes and looks up, for a stack that has several; the one of
            `scope`, in the end the stack's provider without an alias, by default.

    Raises:
        RuleViolation: a number out of range or taken, a fourth session on an interface, a
            source that is a target, or more sources than the target takes.

    See "Traffic mirror sessions" and "Traffic Mirroring quotas" in the VPC Traffic
    Mirroring guide.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        sources: Sequence[AnySource],
        target: IMirrorTarget,
        filter: IMirrorFilter,
        session_number: int | None = None,
        first_session_number: int = FIRST_SESSION_NUMBER,
        packet_length: int | None = None,
        virtual_network_id: int | None = None,
        exclude: Sequence[str] = (),
        description: str | None = None,
        logical_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the sessions, and the lookups of their sources."""
        label = label_of(scope, id_)
        with located(scope, id_):
            known, lookups = split_sources(sources)
            _check_session(session_number, first_session_number, packet_length, virtual_network_id, target)
            for interface in exclude:
                check_identifier("network interface", interface)
            check_construct_tags(tags, EC2)
            numbers, lookup_number, shared, warnings = _take_numbers(
                book_of(scope, provider), label, known, lookups, target, session_number, first_session_number
            )
        super().__init__(scope, id_, provider=provider)
        self._assertions: list[tuple[str, str]] = []
        if packet_length is None and _is_load_balancer(target):
            # What AWS sets when it is omitted. Terraform would see its own omission as a change at every plan.
            packet_length = limits.PACKET_LENGTH_LOAD_BALANCER[1]
        if packet_length is not None and not is_token(packet_length):
            warnings += limits.packet_length_warnings(packet_length)
        for message in warnings:
            warn(self, message)
        self.resource: Any = aws.Ec2TrafficMirrorSession(
            self,
            "Resource",
            network_interface_id=self._interface(known),
            session_number=cdk.Token.as_number(_EACH),
            traffic_mirror_target_id=target.mirror_target_id,
            traffic_mirror_filter_id=filter.mirror_filter_id,
            packet_length=packet_length,
            virtual_network_id=virtual_network_id,
            description=description or f"Tapstack {id_}",
            # Created after the rules that let packets through, and modified before those are destroyed.
            depends_on=needs_of(self, filter, target),
            tags=name_tag(f"{id_} ${{each.key}}", tags),
        )
        name_main_child(self, self.resource, logical_id)
        written = rendered(numbers)
        if not lookups:
            # Typed, so that cdktf's HCL takes no source's name (value, dynamic) for a word of its own.
            typed = {"value": written, "type": "map", "storageClassType": "anyMap"}
            self.resource.add_override("for_each", typed if renders_hcl() else written)
            return
        found = self._found(lookups, exclude, target)
        # A token inside an expression would bring its own ${}.
        number: object = lookup_number
        if is_token(number):
            number = address(cdk.TerraformLocal(self, "Number", number))
        # In parentheses, without which python-hcl2 cannot read a number there.
        everything = f"{{for id in {found} : id => ({number})}}"
        if written:
            everything = f"merge({everything}, {address(cdk.TerraformLocal(self, 'Written', written))})"
        merged = address(cdk.TerraformLocal(self, "Sources", f"${{{everything}}}"))
        self.resource.add_override("for_each", f"${{{merged}}}")
        warn_at_plan(self, f"{address(self.resource).partition('.')[2]}_sources", self._assertions)
        self._refuse_a_fourth_session(label, merged, shared)
        capacity = target.destination.max_sources if target.destination else None
        if capacity is not None:
            add_condition(
                self.resource,
                "precondition",
                f"${{length({merged}) <= {capacity}}}",
                f"The lookups of {id_} find more sources than the {capacity} that this target takes. "
                "Narrow the lookups, or mirror to a Network Load Balancer, which has no such limit.",
            )

    @property
    def session_ids(self) -> str:
        """The session ids by source name, as a token of a map."""
        return cdk.Token.as_string(f"${{{{for name, session in {address(self.resource)} : name => session.id}}}}")

    def _interface(self, known: Mapping[str, KnownSource]) -> str:
        """Return the expression of a session's interface: its key, but where the source has a name of its own."""
        named = {name: own.network_interface_id for name, own in known.items() if name != own.network_interface_id}
        if not named:
            return _KEY
        return f"${{lookup({address(cdk.TerraformLocal(self, 'Named', rendered(named)))}, each.key, each.key)}}"

    def _found(self, lookups: Sequence[SourceLookup], exclude: Sequence[str], target: IMirrorTarget) -> str:
        """Return the expression of all interface ids that the lookups find, without the excluded ones."""
        ids: dict[bool, list[str]] = {True: [], False: []}
        for i, lookup in enumerate(lookups):
            expression = self._ids_of(f"Lookup{i}", lookup)
            described = check_template(str(lookup), hcl=False)
            ids[lookup.accept_instance_type].append(expression)
            self._assertions.append(
                (
                    f"${{length({expression}) > 0}}",
                    f"The lookup ({described}) of {self.node.id} finds no network interface: nothing is mirrored for "
                    "it. Tags are those of the interface itself; instance tags are those of the instance.",
                )
            )
        parts = [f"setunion({', '.join(ids[True])})"] if ids[True] else []
        if ids[False]:
            parts.append(self._mirrorable(f"setunion({', '.join(ids[False])})"))
        found = f"setunion({', '.join(parts)})"
        book = book_of(self)
        left_out = [*exclude, *book.target_interfaces]
        if target.destination and target.destination.kind == "network interface" and target.destination.value:
            left_out.append(target.destination.value)
        # A local, because a token inside an expression would bring its own ${}.
        unique = rendered(list(dict.fromkeys(left_out)), typed=False)
        subtract = [address(cdk.TerraformLocal(self, "Excluded", unique))] if unique else []
        subtract.append(self._interfaces_of_appliances(book.appliances))
        subtract.extend(self._behind_load_balancers(book))
        return f"setsubtract({found}, setunion({', '.join(subtract)}))"

    def _ids_of(self, id_: str, lookup: SourceLookup) -> str:
        """Look the interfaces up and return the expression of their ids."""
        if not lookup.instance_tags:
            return f"{self._lookup(id_, lookup.filters())}.ids"
        filters = dict(lookup.instance_filters())
        instances = aws.DataAwsInstances(
            self,
            f"{id_}Instances",
            filter=[aws.DataAwsInstancesFilter(name=name, values=list(values)) for name, values in filters.items()],
            instance_state_names=list(PRESENT_STATES),
        )
        return self._in_chunks(id_, f"{address(instances)}.ids", lookup.filters(), "attachment.instance-id")

    def _in_chunks(self, id_: str, values: str, filters: Sequence[tuple[str, Sequence[str]]], name: str) -> str:
        """Look interfaces up by any number of values, where AWS takes 200 for one filter; without a value by none."""
        data = aws.DataAwsNetworkInterfaces(
            self,
            id_,
            filter=[
                *(aws.DataAwsNetworkInterfacesFilter(name=key, values=list(given)) for key, given in filters),
                aws.DataAwsNetworkInterfacesFilter(name=name, values=cdk.Token.as_list(_EACH)),
            ],
        )
        data.add_override("for_each", _chunks(values))
        return f"toset(flatten([for found in values({address(data)}) : found.ids]))"

    def _mirrorable(self, found: str) -> str:
        """Leave out the interfaces of instances whose type AWS does not mirror, and warn of them.

        Instances are asked for twice, all of them and those on the allow-list: AWS's filters know no "not". What
        is attached to no instance of the account, such as an interface of RDS, stays.
        """
        local = address(cdk.TerraformLocal(self, "Found", f"${{{found}}}"))
        by_interface = ("network-interface.network-interface-id", cdk.Token.as_list(_EACH))
        every = self._instances("Instances", local, [by_interface])
        listed = self._instances(
            "Mirrorable", local, [by_interface, ("instance-type", instance_types.source_patterns())]
        )
        off = address(cdk.TerraformLocal(self, "NotMirrored", f"${{setsubtract({every}, {listed})}}"))
        left_out = self._in_chunks("NotMirroredInterfaces", off, [], "attachment.instance-id")
        self._assertions.append(
            (
                f"${{length({off}) == 0}}",
                f'{self.node.id} leaves out ${{join(", ", sort(tolist({off})))}}: AWS does not mirror instances of '
                f"their types (allow-list of {instance_types.AS_OF}). accept_instance_type takes them all the same.",
            )
        )
        return f"setsubtract({local}, {left_out})"

    def _instances(self, id_: str, interfaces: str, filters: Sequence[tuple[str, Any]]) -> str:
        """Return the expression of the ids of the instances that have one of the interfaces."""
        data = aws.DataAwsInstances(
            self,
            id_,
            filter=[aws.DataAwsInstancesFilter(name=name, values=list(values)) for name, values in filters],
            instance_state_names=list(PRESENT_STATES),
        )
        data.add_override("for_each", _chunks(interfaces))
        return f"toset(flatten([for found in values({address(data)}) : found.ids]))"

    def _refuse_a_fourth_session(self, label: str, merged: str, shared: Sequence[str]) -> None:
        """Refuse a plan in which an interface would be in more sessions than AWS allows, where lookups overlap."""
        book = book_of(self)
        others = [book.found[group] for group in shared if group in book.found]
        book.found[f"sessions {label}"] = merged
        if len(others) < limits.SESSIONS_PER_INTERFACE:
            return
        groups = ", ".join(others)
        taken = f"[for id in keys({merged}) : id if length([for group in [{groups}] : true if can(group[id])])"
        full = f"{taken} >= {limits.SESSIONS_PER_INTERFACE}]"
        add_condition(
            self.resource,
            "precondition",
            f"${{length({full}) == 0}}",
            f"Network interfaces that {label} finds are in {limits.SESSIONS_PER_INTERFACE} sessions already, and AWS "
            "takes no more. Narrow the lookups.",
        )

    def _lookup(self, id_: str, filters: Sequence[tuple[str, Sequence[str]]]) -> str:
        data = aws.DataAwsNetworkInterfaces(
            self,
            id_,
            filter=[aws.DataAwsNetworkInterfacesFilter(name=name, values=list(values)) for name, values in filters],
        )
        return address(data)

    def _interfaces_of_appliances(self, stack_names: Sequence[str]) -> str:
        """Return the expression of the interface ids of appliances, which receive mirrored traffic.

        Those of the stacks that are named, and all that carry a tag of appliances: of other sites, and those
        that incidents launch, as long as they exist. An instance that only has the same tags is no appliance: it
        lacks CloudFormation's own tag, which only CloudFormation can set.

        The lookups depend on nothing, so that Terraform reads them when it plans: for_each keys
        must be known then. Before the first apply they find nothing, and nothing is right.
        """
        tagged = {f"tag:{STACK_NAME_TAG}": ["*"], "tag-key": [DELETION_PROTECTION_TAG, TAG_INCIDENT]}
        found = [self._appliances("Tagged", tagged)]
        if stack_names:
            found.insert(0, self._appliances("Appliances", {f"tag:{STACK_NAME_TAG}": stack_names}))
        ids = address(cdk.TerraformLocal(self, "ApplianceIds", f"${{distinct(concat({', '.join(found)}))}}"))
        return self._in_chunks("ApplianceInterfaces", ids, [], "attachment.instance-id")

    def _behind_load_balancers(self, book: SessionBook) -> Iterator[str]:
        """Yield the expressions of the interface ids of appliances that load balancers of the stack feed."""
        if book.target_instances:
            ids = self._local("Balanced", book.target_instances)
            yield self._in_chunks("BalancedInterfaces", ids, [], "attachment.instance-id")
        for vpc_id, found in book.target_addresses.items():
            if found:
                addresses = self._local(f"Balanced-{vpc_id}", found)
                # The same address may be another one's in another VPC.
                within = [("vpc-id", (vpc_id,))]
                yield self._in_chunks(
                    f"Balanced-{vpc_id}-Interfaces", addresses, within, "addresses.private-ip-address"
                )

    def _local(self, id_: str, values: Sequence[str]) -> str:
        return address(cdk.TerraformLocal(self, id_, rendered(list(dict.fromkeys(values)), typed=False)))

    def _appliances(self, id_: str, filters: Mapping[str, Sequence[str]]) -> str:
        data = aws.DataAwsInstances(
            self,
            id_,
            filter=[aws.DataAwsInstancesFilter(name=name, values=list(values)) for name, values in filters.items()],
            instance_state_names=list(PRESENT_STATES),
        )
        return f"{address(data)}.ids"


def _chunks(values: str) -> str:
    """Return the for_each of lookups by values: as many of them as one filter takes, under their position."""
    return f"${{{{for i, part in chunklist(sort(tolist({values})), {FILTER_VALUES}) : i => part}}}}"


def _check_session(
    session_number: int | None,
    first_session_number: int,
    packet_length: int | None,
    virtual_network_id: int | None,
    target: IMirrorTarget,
) -> None:
    if is_token(first_session_number):
        raise RuleViolation("first_session_number must be a literal: numbers are counted from it")
    limits.check_session_number(first_session_number)
    if session_number is not None:
        limits.check_session_number(session_number)
    if packet_length is not None:
        limits.check_packet_length(packet_length, load_balancer=_is_load_balancer(target))
    if virtual_network_id is not None:
        limits.check_virtual_network_id(virtual_network_id)


def _is_load_balancer(target: IMirrorTarget) -> bool:
    return target.destination is not None and target.destination.kind == "network load balancer"


def _take_numbers(
    book: SessionBook,
    label: str,
    known: Mapping[str, KnownSource],
    lookups: Sequence[SourceLookup],
    target: IMirrorTarget,
    session_number: int | None,
    first: int,
) -> tuple[dict[str, int], int, list[str], list[str]]:
    """Write the sessions into the book; return numbers by source, that of lookups, overlapping groups, and warnings."""
    seen = len(book.warnings)
    group = f"sessions {label}"
    warnings: list[str] = []
    destination = target.destination
    capacity = destination.max_sources if destination else None
    # The interface of a stack's own target is not given, and so is no instance type.
    typed = destination is not None and destination.value is not None
    key = target_key(target)
    book.add_group(group, session_number, start=first)
    numbers: dict[str, int] = {}
    for name, source in known.items():
        interface = source.network_interface_id
        wanted = source.session_number if source.session_number is not None else session_number
        if is_token(interface):
            numbers[name] = book.add_unknown(group, wanted, start=first)
        else:
            if destination and destination.value == interface:
                raise RuleViolation(f"network interface {interface} cannot be mirrored to itself")
            numbers[name] = book.add_known(group, interface, wanted, start=first)
        counted = f"{label}/{name}" if is_token(interface) else interface
        book.add_source(key, counted, capacity, target_name=label, typed=typed)
    lookup_number = book.add_unknown(group, session_number, start=first) if lookups else 0
    shared = book.add_lookups(group, lookups) if lookups else []
    warnings += dict.fromkeys(message for lookup in lookups for message in lookup.warnings())
    return numbers, lookup_number, shared, warnings + book.warnings[seen:]
