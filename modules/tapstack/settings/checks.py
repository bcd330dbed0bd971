"""Rules that look at more than one field: what a file says fits together.

Each check asks the domain and reports where in the file the answer was no. The same
questions are asked again by the constructs, which others use without a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tapstack.domain import limits
from tapstack.domain.destinations import Destination
from tapstack.domain.filter_rules import number_rules
from tapstack.domain.load_balancers import check_appliances, check_load_balancer
from tapstack.domain.packet_basics import check_stack_name_for_roles
from tapstack.domain.peers import Peer, check_not_everybody, sender_warnings
from tapstack.domain.sessions import SessionBook
from tapstack.domain.sources import AnySource, KnownSource, SourceLookup
from tapstack.settings.checking import (
    Checker,
    check_filter_reference,
    check_target_reference,
    check_template,
)
from tapstack.settings.model import (
    PACKET_BASICS,
    CaptureSecurityGroup,
    Deployment,
    Filter,
    LoadBalancer,
    PacketBasics,
    Sessions,
    Site,
    SourceSettings,
    Target,
)
from tapstack.settings.place_checks import check_backend, check_places
from tapstack.settings.problems import Path, Problem
from tapstack.settings.response_checks import check_response
from tapstack.settings.tag_checks import check_tags


def check_deployment(deployment: Deployment, checker: Checker) -> list[Problem]:
    """Return all that does not fit together, without lines."""
    homes: dict[str, str] = {}
    vpcs: dict[tuple[str, str], str] = {}
    stacks: dict[tuple[str, str], str] = {}
    with checker.part():
        check_backend(checker, ("backend",), deployment.backend)
    with checker.part():
        check_tags(checker, deployment)
    for name, site in deployment.sites.items():
        path: Path = ("sites", name)
        with checker.part():
            check_places(checker, path, site, deployment.backend)
        with checker.part():
            _check_site(checker, path, site)
        with checker.part():
            _check_vpc(checker, path, deployment, vpcs)
        with checker.part():
            _check_homes(checker, path, site, homes)
        with checker.part():
            _check_stacks(checker, path, deployment, stacks)
        with checker.part():
            if site.response is not None and deployment.response_stack_name(name) in deployment.sites:
                stack_name = deployment.response_stack_name(name)
                checker.say((*path, "response"), f"site {stack_name} has a stack of this name: rename that site")
    return checker.problems


def _check_vpc(checker: Checker, path: Path, deployment: Deployment, vpcs: dict[tuple[str, str], str]) -> None:
    """Refuse a second quarantine group of one VPC, and warn of a second site in it; `vpcs` names their sites so far."""
    name = str(path[-1])
    site = deployment.sites[name]
    first = vpcs.setdefault((site.region, site.vpc_id), name)
    if first == name:
        return
    if site.quarantine_security_group and deployment.sites[first].quarantine_security_group:
        checker.say(
            (*path, "vpc_id"),
            f"site {first} already makes the quarantine group of this VPC: set quarantine_security_group: false here, "
            "or put both into one site",
            site.vpc_id,
        )
    else:
        checker.warn(
            (*path, "vpc_id"),
            f"site {first} has this VPC as well: session numbers are not shared between sites, and a lookup of one "
            "finds the sources of the other",
        )


def _check_homes(checker: Checker, path: Path, site: Site, homes: dict[str, str]) -> None:
    """Refuse a source, or a load balancer of a target, that another site has; `homes` names the site of each so far."""
    name = str(path[-1])
    with checker.part():
        _check_balancers(checker, path, site, homes)
    for source_path, source in _known_sources(checker, path, site):
        home = homes.setdefault(source.network_interface_id, name)
        if home != name:
            checker.say(
                source_path,
                f"{source.network_interface_id} is a source of site {home} as well: keep the sessions of one "
                "network interface in one site, so that their numbers differ",
            )


def _check_balancers(checker: Checker, path: Path, site: Site, homes: dict[str, str]) -> None:
    name = str(path[-1])
    for key, target in site.targets.items():
        with checker.part():
            arn = target.network_load_balancer_arn
            if arn is not None and (home := homes.setdefault(arn, name)) != name:
                checker.say(
                    (*path, "targets", key, "network_load_balancer_arn"),
                    f"is behind a target of site {home} as well: AWS takes one mirror target for a Network Load "
                    "Balancer; name that target by its id",
                    arn,
                )


def _check_stacks(checker: Checker, path: Path, deployment: Deployment, stacks: dict[tuple[str, str], str]) -> None:
    """Refuse a CloudFormation stack of a name that another one of the Region has; `stacks` names their sites so far."""
    name = str(path[-1])
    site = deployment.sites[name]
    for stack_path, stack_name in _cloudformation_stacks(path, deployment, name):
        stack = (site.region, stack_name)
        first = stacks.get(stack)
        if first is None:
            stacks[stack] = name
        elif first == name or not _accounts_differ(deployment.sites[first], site):
            checker.say(
                stack_path, f"site {first} has a CloudFormation stack of this name in the same Region", stack_name
            )
        launch = site.response.appliance.launch if site.response is not None else None
        if launch is not None and stack_path[-1] == "launch":
            checker.ask(
                (*stack_path, "capabilities"),
                partial(check_stack_name_for_roles, stack_name, launch.capabilities),
            )
        for other in deployment.sites:
            if _continues(stack_name, deployment.launched_stack_name(other)) and not _accounts_differ(
                deployment.sites[other], site
            ):
                checker.say(
                    stack_path,
                    f"begins as the roles do that incidents of site {other} launch with "
                    f"{deployment.launched_stack_name(other)}: expected another name",
                    stack_name,
                )


def _continues(stack_name: str, launched: str) -> bool:
    """Tell whether roles of one stack could have the names of another's: see `ApplianceRole`."""
    rest = stack_name.removeprefix(f"{launched}-")
    return rest != stack_name and rest[:1].isupper()


def _cloudformation_stacks(path: Path, deployment: Deployment, name: str) -> Iterator[tuple[Path, str]]:
    """Yield the names of the site's CloudFormation stacks, with the places they come from."""
    site = deployment.sites[name]
    if site.packet_basics is not None:
        yield (*path, PACKET_BASICS, "stack_name"), deployment.stack_name(name)
    if site.response is not None and site.response.appliance.launch is not None:
        yield (*path, "response", "appliance", "launch"), deployment.launched_stack_name(name)


def _accounts_differ(one: Site, other: Site) -> bool:
    mine, theirs = set(one.allowed_account_ids), set(other.allowed_account_ids)
    return bool(mine and theirs) and not mine & theirs


def _known_sources(checker: Checker, path: Path, site: Site) -> Iterator[tuple[Path, KnownSource]]:
    for name, sessions in site.sessions.items():
        for here, source in _sources(checker, (*path, "sessions", name), sessions):
            if isinstance(source, KnownSource):
                yield here, source


def _sources(checker: Checker, path: Path, sessions: Sessions) -> Iterator[tuple[Path, AnySource]]:
    """Yield the sources of a group, except those that are wrong."""
    with checker.part():
        for position, settings in enumerate(sessions.sources):
            here = (*path, "sources", position)
            source = checker.ask(here, partial(_to_domain, settings))
            if isinstance(source, AnySource):
                yield here, source


def _to_domain(settings: SourceSettings) -> AnySource:
    return settings.to_domain()


def _check_site(checker: Checker, path: Path, site: Site) -> None:
    with checker.part():
        parts = (site.packet_basics, site.response, site.sessions, site.targets, site.remove_packet_basics)
        if not any(parts):
            checker.say(path, "the site captures nothing: expected packet_basics, targets, sessions or response")
    with checker.part():
        if site.packet_basics is not None and site.remove_packet_basics:
            checker.say(
                (*path, "remove_packet_basics"),
                "does not go with packet_basics: keep packet_basics for the appliance to stay, or take it out for the "
                "appliance and its packets to be deleted",
                True,
            )
    if site.packet_basics is not None:
        with checker.part():
            _check_packet_basics(checker, (*path, PACKET_BASICS), site.packet_basics, site.region)
        with checker.part():
            _check_group(checker, (*path, "capture_security_group"), site.capture_security_group)
    with checker.part():
        for name, settings in site.filters.items():
            _refuse_reserved(checker, (*path, "filters", name), name)
            checker.ask((*path, "filters", name), partial(_check_filter, settings))
    book = SessionBook()
    destinations: dict[str, Destination | None] = {PACKET_BASICS: None}
    with checker.part():
        for name, target in site.targets.items():
            _refuse_reserved(checker, (*path, "targets", name), name)
            destinations[name] = None
            with checker.part():
                destinations[name] = _check_target(checker, (*path, "targets", name), target, site, book)
    basics = site.packet_basics
    if basics is not None:
        with checker.part():
            destinations[PACKET_BASICS] = _appliance(checker, path, basics, book)
    with checker.part():
        for name, sessions in site.sessions.items():
            with checker.part():
                _check_sessions(checker, (*path, "sessions", name), name, sessions, site, destinations, book)
    check_response(checker, (*path, "response"), site, destinations)


def _check_filter(settings: Filter) -> None:
    number_rules(settings.to_domain().rules)


def _refuse_reserved(checker: Checker, path: Path, name: str) -> None:
    if name.startswith(("tmt-", "tmf-")):
        checker.say(path, "a name must not look like an id", name)


def _appliance(checker: Checker, path: Path, basics: PacketBasics, book: SessionBook) -> Destination:
    """Write what the appliance's own stack takes into the book; return where it receives packets."""
    interface = basics.network_interface_id
    here = (*path, PACKET_BASICS)
    if interface is not None:
        checker.ask((*here, "network_interface_id"), lambda: book.add_target_interface(interface, PACKET_BASICS))
    source = basics.mirror_source
    if source is not None:
        checker.ask(
            (*here, "mirror_source"),
            lambda: book.add_known(PACKET_BASICS, source, basics.mirror_session_number),
        )
        book.add_source(PACKET_BASICS, source, None)
    if interface is not None:
        return Destination.network_interface(interface)
    return Destination.some_network_interface()


def _check_packet_basics(checker: Checker, path: Path, basics: PacketBasics, region: str) -> None:
    check_template(checker, path, basics, region)
    if basics.mirror_source is None and basics.mirror_session_number is not None:
        checker.say(
            (*path, "mirror_session_number"),
            "goes with mirror_source: without it the stack has no session",
            basics.mirror_session_number,
        )


def _check_group(checker: Checker, path: Path, group: CaptureSecurityGroup) -> None:
    _check_senders(checker, path, group.mirrored_from or [], accept_open=group.accept_open_mirrored_from)


def _check_senders(checker: Checker, path: Path, texts: list[str], *, accept_open: bool) -> None:
    here = (*path, "mirrored_from")
    found = len(checker.problems)
    for position, text in enumerate(texts):
        checker.ask((*here, position), partial(_check_peers, [text], accept_open=accept_open))
    if len(checker.problems) > found:
        return
    checker.ask(here, partial(_check_peers, texts, accept_open=accept_open))
    for position, text in enumerate(texts):
        with checker.part():
            checker.warn((*here, position), *sender_warnings(Peer.parse(text)), by_constructs=True)


def _check_peers(texts: list[str], *, accept_open: bool) -> None:
    check_not_everybody([Peer.parse(text) for text in texts], accept_open=accept_open)


def _check_target(checker: Checker, path: Path, target: Target, site: Site, book: SessionBook) -> Destination | None:
    with checker.part():
        if target.allow_external_principals and not target.share_with:
            checker.say((*path, "allow_external_principals"), "goes with share_with: nobody is shared with", True)
    if target.network_interface_id is not None:
        interface = target.network_interface_id
        checker.ask(
            (*path, "network_interface_id"),
            lambda: book.add_target_interface(interface, f"target {path[-1]}"),
        )
        destination: Destination | None = checker.ask(
            (*path, "instance_type"),
            lambda: Destination.network_interface(
                interface, instance_type=target.instance_type, accept_instance_type=target.accept_instance_type
            ),
        )
        return destination
    if target.load_balancer is not None:
        _check_load_balancer(checker, (*path, "load_balancer"), target.load_balancer, site)
        return Destination("network load balancer", None, None)
    if target.network_load_balancer_arn is not None:
        arn = target.network_load_balancer_arn
        checker.ask(
            (*path, "network_load_balancer_arn"),
            lambda: book.add_target_load_balancer(arn, f"target {path[-1]}"),
        )
        return Destination.network_load_balancer(target.network_load_balancer_arn)
    return Destination.gateway_load_balancer_endpoint(str(target.gateway_load_balancer_endpoint_id))


def _check_load_balancer(checker: Checker, path: Path, balancer: LoadBalancer, site: Site) -> None:
    checker.ask(
        path,
        partial(
            check_load_balancer,
            subnet_ids=balancer.subnet_ids,
            health_check_port=balancer.health_check_port,
        ),
    )
    with checker.part():
        instances, addresses = balancer.instance_ids, balancer.ip_addresses
        if instances or addresses:
            checker.ask(path, partial(check_appliances, instance_ids=instances, ip_addresses=addresses))
        elif site.packet_basics is None:
            checker.say(
                path,
                "expected instance_ids, ip_addresses, or packet_basics in the site: no appliance is behind it",
            )
    with checker.part():
        _check_senders(checker, path, balancer.mirrored_from, accept_open=balancer.accept_open_mirrored_from)


def _check_sessions(
    checker: Checker,
    path: Path,
    name: str,
    sessions: Sessions,
    site: Site,
    destinations: dict[str, Destination | None],
    book: SessionBook,
) -> None:
    with checker.part():
        check_filter_reference(checker, path, sessions, site)
    destination = None
    with checker.part():
        known = check_target_reference(checker, path, sessions, site)
        destination = destinations.get(sessions.target) if known else None
    with checker.part():
        if sessions.packet_length is not None and destination is not None:
            length, behind = sessions.packet_length, destination.kind == "network load balancer"
            checker.ask((*path, "packet_length"), lambda: limits.check_packet_length(length, load_balancer=behind))
    with checker.part():
        if sessions.packet_length is not None:
            messages = limits.packet_length_warnings(sessions.packet_length)
            checker.warn((*path, "packet_length"), *messages, by_constructs=True)
    seen = len(book.warnings)
    group = f"sessions {name}"
    capacity = destination.max_sources if destination else None
    given: dict[str, Path] = {}
    lookups: list[SourceLookup] = []
    for here, source in _sources(checker, path, sessions):
        if not isinstance(source, KnownSource):
            lookups.append(source)
            checker.warn(here, *source.warnings(), by_constructs=True)
            continue
        interface = source.network_interface_id
        if interface in given:
            checker.say(here, f"given twice, first as sources[{given[interface][-1]}]: keep one", interface)
            continue
        given[interface] = here
        wanted = source.session_number if source.session_number is not None else sessions.session_number

        checker.ask(here, partial(book.add_known, group, interface, wanted, start=sessions.first_session_number))
        before = len(checker.problems)
        add_source = partial(
            book.add_source,
            sessions.target,
            interface,
            capacity,
            target_name=sessions.target,
            typed=sessions.target != PACKET_BASICS,
        )
        checker.ask((*path, "sources"), add_source)
        if len(checker.problems) > before:
            capacity = None  # say it once, not for every further source
    if lookups:
        checker.ask(
            (*path, "sources"),
            lambda: book.add_unknown(group, sessions.session_number, start=sessions.first_session_number),
        )
        book.add_lookups(group, lookups)
    checker.warn((*path, "sources"), *book.warnings[seen:], by_constructs=True)
