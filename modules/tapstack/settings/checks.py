"""Rules about more than one field of the file.

Each check asks the domain and reports where in the file the answer was no. The same
questions are asked again by the constructs, which others use without a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from tapstack.domain import limits
from tapstack.domain.destinations import Destination
from tapstack.domain.filter_rules import likely_mistakes, number_rules
from tapstack.domain.load_balancers import (
    appliance_address_warnings,
    check_appliance_address,
    check_appliances,
    check_load_balancer,
)
from tapstack.domain.names import boundary_name_of, launched_boundary_name, response_stack_name, xdr_stack_name
from tapstack.domain.packet_basics import check_stack_name_for_roles, makes_iam
from tapstack.domain.peers import Peer, check_not_whole_internet, sender_warnings
from tapstack.domain.sessions import SessionBook
from tapstack.domain.sources import AnySource, KnownSource, SourceLookup
from tapstack.domain.suggestions import is_in_curly_quotes
from tapstack.settings.appliance import ApplianceTemplate
from tapstack.settings.checking import (
    Checker,
    check_filter_reference,
    check_target_reference,
    check_template,
    refuse_twice,
)
from tapstack.settings.fields import Settings
from tapstack.settings.model import (
    PACKET_BASICS,
    Deployment,
    Filter,
    LoadBalancer,
    PacketBasics,
    Sessions,
    Site,
    SourceSettings,
    Target,
)
from tapstack.settings.problems import Path, Problem
from tapstack.settings.region_checks import check_backend, check_region_of_site, check_regions_of_ids, regions_of_ids
from tapstack.settings.response_checks import check_response
from tapstack.settings.tag_checks import check_sought_keys, check_tags
from tapstack.settings.xdr_checks import check_shared, check_xdr

_Sources = dict[str, list[tuple[Path, AnySource]]]
"""The sources of a site by group of sessions, each with its place in the file."""


def check_deployment(deployment: Deployment, checker: Checker) -> list[Problem]:
    """Return all that does not fit together, without lines."""
    homes: dict[str, str] = {}
    targets = _target_interfaces(checker, deployment)
    regions = regions_of_ids(checker, deployment)
    vpcs: dict[tuple[str, str], str] = {}
    stacks: dict[tuple[str, str], str] = {}
    with checker.part():
        check_backend(checker, ("backend",), deployment.backend)
    with checker.part():
        _refuse_twice(checker, (), deployment)
    with checker.part():
        check_tags(checker, deployment)
    with checker.part():
        check_shared(checker, deployment, _accounts_differ)
    for name, site in deployment.sites.items():
        path: Path = ("sites", name)
        if name == "constructor":
            # constructs keeps what belongs to an app in a plain object of JavaScript, which has such a member.
            checker.say(path, "cdktf can give no stack this name: rename the site", name)
        sources = _sources(checker, path, site)
        with checker.part():
            check_region_of_site(checker, path, site, deployment.backend)
        with checker.part():
            _check_site(checker, path, deployment.project, site, sources)
        with checker.part():
            _check_vpc(checker, path, deployment, vpcs)
        elsewhere = check_regions_of_ids(checker, path, site, regions)
        with checker.part():
            _check_homes(checker, path, site, sources, homes, targets, elsewhere)
        with checker.part():
            _check_stacks(checker, path, deployment, stacks)
        with checker.part():
            for part, stack_name in (
                ("response", response_stack_name(name)),
                ("xdr", xdr_stack_name(name)),
            ):
                if getattr(site, part) is not None and stack_name in deployment.sites:
                    checker.say((*path, part), f"site {stack_name} has a stack of this name: rename that site")
    return checker.problems


def warn_of_curly_quotes(checker: Checker, path: Path, part: Any) -> None:
    """Warn of each key and text in curly quotes, anywhere in the file: they are compared with AWS's as they are.

    Args:
        checker: collects the warnings.
        path: where the part stands in the file.
        part: what the file says there, as plain data.
    """
    if isinstance(part, dict):
        for name, value in part.items():
            if is_in_curly_quotes(name):
                checker.warn((*path, name), f"the key {name!r} is written with a quote")
            warn_of_curly_quotes(checker, (*path, name), value)
    elif isinstance(part, list):
        for position, item in enumerate(part):
            warn_of_curly_quotes(checker, (*path, position), item)
    elif isinstance(part, str) and is_in_curly_quotes(part):
        checker.warn(path, f"the value {part!r} is written with a quote")


def _refuse_twice(checker: Checker, path: Path, part: Any) -> None:
    """Refuse what a list of texts has twice, anywhere in the file."""
    if isinstance(part, Settings):
        for name in part.model_fields_set:
            value = getattr(part, name)
            if isinstance(value, list | dict | Settings):
                _refuse_twice(checker, (*path, name), value)
    elif isinstance(part, dict):
        for name, value in part.items():
            _refuse_twice(checker, (*path, name), value)
    elif isinstance(part, list):
        texts = [item for item in part if isinstance(item, str)]
        if len(texts) < len(part):
            for position, item in enumerate(part):
                _refuse_twice(checker, (*path, position), item)
        else:
            refuse_twice(checker, path, texts)


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


def _check_homes(
    checker: Checker,
    path: Path,
    site: Site,
    sources: _Sources,
    homes: dict[str, str],
    targets: dict[str, str],
    elsewhere: set[str],
) -> None:
    """Refuse a source, or a load balancer of a target, that another site has; `homes` names the site of each so far.

    A source that is a target of the site itself is the session book's to refuse, and what is in another Region
    (`elsewhere`) is refused already.
    """
    name = str(path[-1])
    with checker.part():
        _check_balancers(checker, path, site, homes)
    with checker.part():
        _warn_of_shared_targets(checker, path, site, targets, elsewhere)
    for source_path, source in _known_sources(checker, path, site, sources):
        interface = source.network_interface_id
        home = homes.setdefault(interface, name)
        owner = targets.get(interface, name)
        if interface in elsewhere:
            continue
        if home != name:
            checker.say(
                source_path,
                f"{interface} is a source of site {home} as well: keep the sessions of one "
                "network interface in one site, so that their numbers differ",
            )
        if owner != name:
            checker.say(
                source_path,
                f"{interface} receives mirrored traffic as a target of site {owner}, and no interface can be "
                "both source and target",
            )


def _target_interfaces(checker: Checker, deployment: Deployment) -> dict[str, str]:
    """Return the site that has a network interface as a target first, by the interface's id."""
    found: dict[str, str] = {}
    for name, site in deployment.sites.items():
        for _, interface in _interfaces_of_targets(checker, ("sites", name), site):
            with checker.part():
                found.setdefault(interface, name)
    return found


def _interfaces_of_targets(checker: Checker, path: Path, site: Site) -> Iterator[tuple[Path, str]]:
    """Yield the network interfaces that receive mirrored traffic, with their places."""
    with checker.part():
        if site.packet_basics is not None and site.packet_basics.network_interface_id is not None:
            yield (*path, PACKET_BASICS, "network_interface_id"), site.packet_basics.network_interface_id
    with checker.part():
        for name, target in site.targets.items():
            with checker.part():
                if target.network_interface_id is not None:
                    yield (*path, "targets", name, "network_interface_id"), target.network_interface_id


def _warn_of_shared_targets(
    checker: Checker, path: Path, site: Site, targets: dict[str, str], elsewhere: set[str]
) -> None:
    """Warn of an interface that has two targets."""
    seen: set[str] = set()
    for here, interface in _interfaces_of_targets(checker, path, site):
        with checker.part():
            first = targets[interface]
            if interface not in elsewhere and (interface in seen or first != path[-1]):
                whose = f"site {first}" if first != path[-1] else "another target"
                checker.warn(
                    here,
                    f"{interface} is the interface of {whose} as well: the sources of both count towards the number "
                    "that it takes",
                    by_constructs=True,
                )
            seen.add(interface)


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
    for here, stack_name, settings in _cloudformation_stacks(path, deployment, name):
        stack_path = (*here, "stack_name") if isinstance(settings, PacketBasics) else here
        stack = (site.region, stack_name)
        first = stacks.get(stack)
        if first is None:
            stacks[stack] = name
        elif first == name or not _accounts_differ(deployment.sites[first], site):
            checker.say(
                stack_path, f"site {first} has a CloudFormation stack of this name in the same Region", stack_name
            )
        checker.ask((*here, "capabilities"), partial(check_stack_name_for_roles, stack_name, settings.capabilities))
        if isinstance(settings, PacketBasics) and _makes_boundary(settings):
            # IAM ignores the case of names.
            boundary = boundary_name_of(stack_name.lower())
            for other, other_site in deployment.sites.items():
                if (
                    launched_boundary_name(deployment.project, other) == boundary
                    and _makes_boundary(_launch(other_site))
                    and not _accounts_differ(other_site, site)
                ):
                    checker.say(
                        stack_path,
                        f"the response of site {other} makes an IAM policy {boundary}, as this stack would: expected "
                        "another name",
                        stack_name,
                    )
        for other, other_site in deployment.sites.items():
            for with_roles in _stacks_with_roles(deployment, other):
                if _accounts_differ(other_site, site):
                    continue
                if _continues(stack_name, with_roles):
                    checker.say(
                        stack_path,
                        f"begins as the roles do that the stack {with_roles} of site {other} may make: expected "
                        "another name",
                        stack_name,
                    )
                elif stack_name == with_roles and site.region != other_site.region and makes_iam(settings.capabilities):
                    checker.say(
                        stack_path,
                        f"site {other} has a stack of this name in another Region, and both may make IAM roles, which "
                        "are the account's: expected another name",
                        stack_name,
                    )
                elif (
                    stack_name != with_roles
                    and stack_name.lower() == with_roles.lower()
                    and makes_iam(settings.capabilities)
                ):
                    checker.say(
                        stack_path,
                        f"differs from the stack {with_roles} of site {other} in case only, and both may make IAM "
                        "roles: IAM ignores the case of names: expected another name",
                        stack_name,
                    )


def _stacks_with_roles(deployment: Deployment, name: str) -> Iterator[str]:
    """Yield the names of a site's stacks that may make roles, now or once incidents launch one."""
    yield deployment.launched_stack_name(name)
    basics = deployment.sites[name].packet_basics
    if basics is not None and makes_iam(basics.capabilities):
        yield deployment.stack_name(name)


def _continues(stack_name: str, with_roles: str) -> bool:
    """Return whether roles of one stack could have the names of another's: see `ApplianceRole`.

    IAM ignores the case of names.
    """
    begin = f"{with_roles}-"
    return stack_name.lower().startswith(begin.lower()) and stack_name[len(begin) :][:1].isupper()


def _cloudformation_stacks(
    path: Path, deployment: Deployment, name: str
) -> Iterator[tuple[Path, str, ApplianceTemplate]]:
    """Yield the names of the site's CloudFormation stacks, with the settings and the places they come from."""
    site = deployment.sites[name]
    if site.packet_basics is not None:
        yield (*path, PACKET_BASICS), deployment.stack_name(name), site.packet_basics
    launch = _launch(site)
    if launch is not None:
        yield (*path, "response", "appliance", "launch"), deployment.launched_stack_name(name), launch


def _launch(site: Site) -> ApplianceTemplate | None:
    return site.response.appliance.launch if site.response is not None else None


def _makes_boundary(template: ApplianceTemplate | None) -> bool:
    """Return whether a permissions boundary is made for the roles of a template."""
    return template is not None and makes_iam(template.capabilities) and template.permissions_boundary is None


def _accounts_differ(one: Site, other: Site) -> bool:
    mine, theirs = set(one.allowed_account_ids), set(other.allowed_account_ids)
    return bool(mine and theirs) and not mine & theirs


def _known_sources(checker: Checker, path: Path, site: Site, sources: _Sources) -> Iterator[tuple[Path, KnownSource]]:
    """Yield the network interfaces that the site names as sources, with their places."""
    with checker.part():
        basics = site.packet_basics
        if basics is not None and basics.mirror_source is not None:
            yield (*path, PACKET_BASICS, "mirror_source"), KnownSource(basics.mirror_source, basics.mirror_source)
    for here, source in chain.from_iterable(sources.values()):
        if isinstance(source, KnownSource):
            yield here, source


def _sources(checker: Checker, path: Path, site: Site) -> _Sources:
    """Return the sources of each group of sessions with their places, except those that are wrong."""
    found: _Sources = {}
    with checker.part():
        for name, sessions in site.sessions.items():
            found[name] = []
            with checker.part():
                for position, settings in enumerate(sessions.sources):
                    here = (*path, "sessions", name, "sources", position)
                    source = checker.ask(here, partial(_to_domain, settings))
                    if isinstance(source, AnySource):
                        found[name].append((here, source))
    return found


def _to_domain(settings: SourceSettings) -> AnySource:
    return settings.to_domain()


def _check_site(checker: Checker, path: Path, project: str, site: Site, sources: _Sources) -> None:
    with checker.part():
        parts = (site.packet_basics, site.response, site.xdr, site.sessions, site.targets, site.remove_packet_basics)
        if not any(parts):
            checker.say(path, "the site captures nothing: expected packet_basics, targets, sessions, response or xdr")
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
        _check_group(checker, (*path, "capture_security_group"), site)
    with checker.part():
        for name, settings in site.filters.items():
            _refuse_reserved(checker, (*path, "filters", name), name)
            with checker.part():
                _check_filter(checker, (*path, "filters", name), settings)
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
                group_path = (*path, "sessions", name)
                _check_sessions(checker, group_path, name, sessions, sources[name], site, destinations, book)
    with checker.part():
        _warn_of_named_and_found(checker, site, sources)
    check_response(checker, (*path, "response"), project, site, destinations)
    check_xdr(checker, (*path, "xdr"), project, site)


def _check_filter(checker: Checker, path: Path, settings: Filter) -> None:
    """Check what the rules of a filter say together; what a preset brings is right, and not in the file."""
    if settings.preset is not None:
        return
    preset = settings.to_domain()
    rules, found = preset.rules, len(checker.problems)
    for position, rule in enumerate(rules):
        earlier = rules[:position]
        if rule in earlier:
            checker.say((*path, "rules", position), f"given twice, first as rules[{rules.index(rule)}]: keep one")
            continue
        numbered = ((other.direction, other.number) for other in earlier)
        if rule.number is not None and (rule.direction, rule.number) in numbered:
            first = next(i for i, o in enumerate(rules) if (o.direction, o.number) == (rule.direction, rule.number))
            checker.say(
                (*path, "rules", position, "number"),
                f"rules[{first}] has this number in direction {rule.direction} already: give one of the two another",
                rule.number,
            )
    if len(checker.problems) > found:
        return
    numbered_rules = checker.ask(path, partial(number_rules, rules))
    if numbered_rules is not None:
        for mistake in likely_mistakes(numbered_rules, amazon_dns=preset.amazon_dns):
            place = () if mistake.position is None else ("rules", mistake.position)
            checker.warn((*path, *place), mistake.message, by_constructs=True)


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
            lambda: book.add_mirror_source(PACKET_BASICS, source, basics.mirror_session_number),
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


def _check_group(checker: Checker, path: Path, site: Site) -> None:
    group = site.capture_security_group
    if site.packet_basics is None:
        # remove_packet_basics, which stands in its place, takes the group away as well.
        if path[-1] in site.model_fields_set and not site.remove_packet_basics:
            checker.say(
                path,
                "goes with packet_basics, whose appliance would have it: take it out; a target's load_balancer has a "
                "mirrored_from of its own, and the security groups of other appliances are not changed",
            )
        return
    _check_senders(checker, path, group.mirrored_from or [], accept_open=group.accept_open_mirrored_from)
    if not group.enabled:
        checker.warn(
            (*path, "enabled"),
            "only the appliance's other security groups let mirrored packets in: a capture group that is deployed is "
            "taken off the appliance and deleted",
        )


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
    check_not_whole_internet([Peer.parse(text) for text in texts], accept_open=accept_open)


def _check_target(checker: Checker, path: Path, target: Target, site: Site, book: SessionBook) -> Destination | None:
    with checker.part():
        if target.allow_external_principals and not target.share_with:
            checker.say((*path, "allow_external_principals"), "needs share_with", True)
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
        for instance in target.load_balancer.instance_ids:
            book.add_target_instance(instance, f"target {path[-1]}")
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
    # What a list has twice is refused where it stands.
    subnets, instances, addresses = (
        list(dict.fromkeys(values)) for values in (balancer.subnet_ids, balancer.instance_ids, balancer.ip_addresses)
    )
    with checker.part():
        if len(subnets) == len(balancer.subnet_ids):
            asked = partial(check_load_balancer, subnet_ids=subnets, health_check_port=balancer.health_check_port)
            checker.ask((*path, "subnet_ids"), asked)
    with checker.part():
        found = len(checker.problems)
        for position, address in enumerate(balancer.ip_addresses):
            here, before = (*path, "ip_addresses", position), len(checker.problems)
            checker.ask(here, partial(check_appliance_address, address))
            if len(checker.problems) == before:
                checker.warn(here, *appliance_address_warnings(address), by_constructs=True)
        right = len(checker.problems) == found
        if right and (instances or addresses):
            checker.ask(path, partial(check_appliances, instance_ids=instances, ip_addresses=addresses))
        elif right and site.packet_basics is None:
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
    sources: Sequence[tuple[Path, AnySource]],
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
    start = sessions.first_session_number
    number_path = (*path, "first_session_number")
    if checker.ask(number_path, lambda: book.add_group(group, sessions.session_number, start=start)) is None:
        return
    for here, source in sources:
        if not isinstance(source, KnownSource):
            found = len(checker.problems)
            checker.ask((*here, "instance_id"), partial(book.check_lookup, source))
            if len(checker.problems) == found:
                lookups.append(source)
            checker.warn(here, *source.warnings(), by_constructs=True)
            for tags in ("tags", "instance_tags"):
                check_sought_keys(checker, (*here, tags), getattr(source, tags))
            continue
        interface = source.network_interface_id
        if interface in given:
            checker.say(here, f"given twice, first as sources[{given[interface][-1]}]: keep one", interface)
            continue
        given[interface] = here
        wanted = source.session_number if source.session_number is not None else sessions.session_number
        if source.session_number is not None and source.session_number < sessions.first_session_number:
            checker.warn(
                (*here, "session_number"),
                f"session number {source.session_number} is below the group's first_session_number, "
                f"{sessions.first_session_number}, which keeps lower numbers free for other sessions",
            )
        checker.ask(here, partial(book.add_known, group, interface, wanted, start=start))
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
    with checker.part():
        _check_exclude(checker, (*path, "exclude"), sessions.exclude, given, lookups)
    with checker.part():
        if sessions.session_number is not None and "first_session_number" in sessions.model_fields_set:
            checker.say(
                (*path, "first_session_number"),
                "does not go with session_number, which is the number of every session of the group",
                sessions.first_session_number,
            )
    if lookups:
        checker.ask(
            (*path, "sources"),
            lambda: book.add_unknown(group, sessions.session_number, start=start),
        )
        book.add_lookups(group, lookups)
    checker.warn((*path, "sources"), *book.warnings[seen:], by_constructs=True)


def _check_exclude(
    checker: Checker, path: Path, excluded: Sequence[str], given: Mapping[str, Path], lookups: Sequence[SourceLookup]
) -> None:
    """Refuse to leave out what no lookup finds, or what the group names."""
    for position, interface in enumerate(excluded):
        if interface in given:
            checker.say(
                (*path, position), f"is sources[{given[interface][-1]}] as well: take it out of one of them", interface
            )
    if excluded and not lookups and not given.keys() & set(excluded):
        checker.say(path, "goes with a lookup, and no source of the group is one")


def _warn_of_named_and_found(checker: Checker, site: Site, sources: _Sources) -> None:
    """Warn of network interfaces that one group names and a lookup of another finds, where that is certain.

    It is where the lookup has no condition but the site's VPC.
    """
    named: dict[str, dict[str, None]] = {}
    whole: list[tuple[str, Path]] = []
    everything = (SourceLookup(vpc_id=site.vpc_id), SourceLookup(vpc_id=site.vpc_id, accept_instance_type=True))
    for name, of_group in sources.items():
        for here, source in of_group:
            if isinstance(source, KnownSource):
                named.setdefault(name, {})[source.network_interface_id] = None
            elif source in everything:
                whole.append((name, here))
    for name, here in whole:
        excluded = site.sessions[name].exclude
        for other, interfaces in named.items():
            found = [interface for interface in interfaces if interface not in excluded]
            if other != name and found:
                more = f" and {len(found) - 3} more" if len(found) > 3 else ""
                checker.warn(
                    here,
                    f"finds {', '.join(found[:3])}{more} of sessions {other} as well: a packet is mirrored once, "
                    "by the session with the lowest number whose filter accepts it; put them into exclude",
                )
