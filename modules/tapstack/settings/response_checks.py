"""Rules of a site's response about more than one field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from tapstack.domain import limits, policy_rules
from tapstack.domain.alert_mappings import GUARDDUTY_PRESET
from tapstack.domain.alert_settings import check_rule_source, ways
from tapstack.domain.alerts import GUARDDUTY
from tapstack.domain.appliance_settings import DeployedLaunch, ExistingAppliance, LaunchedAppliance
from tapstack.domain.containment_settings import (
    MODE_OF_ACTION,
    DeployedContainment,
    QuarantineGroups,
    check_action,
    why_no_source_identities,
)
from tapstack.domain.destinations import Destination
from tapstack.domain.errors import RuleViolation
from tapstack.domain.function_environment import FunctionEnvironment, example_of_api_url
from tapstack.domain.identifiers import example_of
from tapstack.domain.names import (
    incidents_table_name,
    launched_role_name,
    launched_stack_name,
    notices_topic_name,
    workflow_name,
)
from tapstack.domain.operations import RIGHTS
from tapstack.domain.outside_text import word
from tapstack.domain.packet_watch import FIRST_START_SECONDS, SEEN_AFTER_SECONDS
from tapstack.domain.policy import policy_problems, weakened_by_tags
from tapstack.domain.regions import AccountRegion, check_arn, partition_of
from tapstack.domain.telemetry import BUCKET_LENGTH
from tapstack.domain.webhook_secrets import example_of_queue_url
from tapstack.settings.checking import (
    Checker,
    check_filter_reference,
    check_target_reference,
    check_template,
    refuse_twice,
)
from tapstack.settings.model import Site
from tapstack.settings.problems import Path
from tapstack.settings.response import Containment, Notify, PolicyRule, Response, ResponseAppliance, ResponseCapture
from tapstack.settings.tag_checks import check_sought_keys

Destinations = Mapping[str, Destination | None]
_EXISTING: Final = ExistingAppliance(
    example_of("traffic mirror target"),
    example_of("traffic mirror filter"),
    portal_url="x" * 64,
    target_interface_id=example_of("network interface"),
    max_sources=100,
)
"""As large as one is whose ids AWS names later."""


def check_response(checker: Checker, path: Path, project: str, site: Site, destinations: Destinations) -> None:
    """Check a site's response, where it has one.

    Args:
        checker: gathers what is wrong.
        path: where the response stands in the file.
        project: of the deployment.
        site: that has the response.
        destinations: what the site's targets lead to, by name.
    """
    response = site.response
    if response is None:
        return
    found = len(checker.problems)
    with checker.part():
        _warn_of_any_token(checker, (*path, "authorization", "jwt"), response)
    destination = None
    with checker.part():
        destination = _check_appliance(checker, (*path, "appliance"), response.appliance, site, destinations)
    with checker.part():
        _check_capture(checker, (*path, "capture"), response.capture, destination)
    with checker.part():
        _refuse_without_effect(checker, path, response)
    with checker.part():
        _check_policy(checker, (*path, "policy"), response)
    with checker.part():
        if response.containment is not None:
            tokens = response.authorization.jwt is not None
            _check_containment(checker, (*path, "containment"), response.containment, site, tokens=tokens)
            _warn_of_ended_captures(checker, (*path, "containment"), response, site)
            _warn_of_short_wait(checker, (*path, "containment", "wait_for_packets", "at_most_seconds"), response)
    with checker.part():
        if response.alerts.any and site.xdr is None:
            checker.say(
                (*path, "alerts"),
                "alerts that lead to no instance are kept in the landing of the site's telemetry, and the site has no "
                "xdr: add xdr: {} to the site",
            )
    with checker.part():
        _check_notify(checker, (*path, "notify"), response.notify, site.region)
    if len(checker.problems) == found:
        with checker.part():
            _check_environment(checker, path, project, site, response)


def _check_environment(checker: Checker, path: Path, project: str, site: Site, response: Response) -> None:
    """Refuse what does not fit into the environment of the functions."""
    try:
        problem = _environment_of(project, str(path[-2]), site, response).problem()
    except RuleViolation:
        # A part is wrong by itself, and reported there.
        return
    if problem:
        largest, message = problem
        checker.say((*path, *largest.split(".")), message)


def _environment_of(project: str, name: str, site: Site, response: Response) -> FunctionEnvironment:
    """Return what the functions of a site get, with examples of what only AWS knows."""
    partition, account = partition_of(site.region), example_of("account")[1:13]
    arn = f"arn:{partition.name if partition else 'aws'}:{{}}:{site.region}:{account}:{{}}"
    target = site.targets.get(response.appliance.target)
    behind: list[str] = []
    if target is not None and target.load_balancer is not None:
        behind = target.load_balancer.appliances or [example_of("instance")]
    appliance = replace(_EXISTING, target_appliances=behind).settings()
    if response.appliance.launch is not None:
        launched: LaunchedAppliance = response.appliance.launch.to_domain()
        role = arn.format("iam", f"role/{launched_role_name(project, name)}")
        appliance = DeployedLaunch.of(
            launched,
            stack_name=launched_stack_name(project, name),
            role_arn=role,
            vpc_id=site.vpc_id,
            snapshots=response.evidence.to_domain().appliance_snapshots,
        ).settings()
    containment = None
    if response.containment is not None:
        group = example_of("security group")
        pair = QuarantineGroups(group, group if response.containment.two_step.enabled else None)
        groups = dict.fromkeys([site.vpc_id, *response.containment.vpc_ids], pair)
        containment = DeployedContainment.of(response.containment.to_domain(), groups)
    return FunctionEnvironment(
        deployment=project,
        site=name,
        table=incidents_table_name(project, name),
        state_machine_arn=arn.format("states", f"stateMachine:{workflow_name(project, name)}"),
        topic_arns=[arn.format("sns", notices_topic_name(project, name)), *response.notify.topic_arns],
        api_url=example_of_api_url(site.region),
        home=AccountRegion(account, site.region),
        vpc_id=site.vpc_id,
        capture=response.capture.to_domain(),
        appliance=appliance,
        retention_days=response.retention_days,
        containment=containment,
        rules=response.rules(),
        open_scopes=_open_scopes(response),
        landing_bucket="x" * BUCKET_LENGTH if response.alerts.any else None,
        alert_queue_url=example_of_queue_url(site.region) if response.alerts.sources else None,
    )


def _open_scopes(response: Response) -> list[str]:
    jwt = response.authorization.jwt
    return jwt.scopes_of.get("open", jwt.scopes) if jwt is not None else []


def _warn_of_any_token(checker: Checker, path: Path, response: Response) -> None:
    jwt = response.authorization.jwt
    if jwt is None or response.containment is None or jwt.scopes:
        return
    if without := [
        right for right in RIGHTS if right not in jwt.scopes_of and (right != "alert" or response.alerts.sources)
    ]:
        every = "every token of this audience may contain, approve and release; give the scopes that may"
        some = f"every token of this audience has the rights {', '.join(without)}; give scopes, or scopes_of them"
        checker.warn(path, f"has no scopes: {some if jwt.scopes_of else every}")


def _check_appliance(
    checker: Checker, path: Path, appliance: ResponseAppliance, site: Site, destinations: Destinations
) -> Destination | None:
    if appliance.launch is not None:
        check_template(checker, (*path, "launch"), appliance.launch, site.region)
        return None
    if site.packet_basics is None and not appliance.model_fields_set:
        checker.say(path, "the site has no packet_basics to mirror to: expected launch, or target and filter")
        return None
    with checker.part():
        check_filter_reference(checker, path, appliance, site)
    known = check_target_reference(checker, path, appliance, site)
    return destinations.get(appliance.target) if known else None


def _check_capture(checker: Checker, path: Path, capture: ResponseCapture, destination: Destination | None) -> None:
    with checker.part():
        if capture.minutes > capture.max_minutes:
            checker.say((*path, "minutes"), f"expected at most max_minutes, {capture.max_minutes}", capture.minutes)
    length = capture.packet_length
    if length is not None and destination is not None:
        behind = destination.kind == "network load balancer"
        checker.ask((*path, "packet_length"), lambda: limits.check_packet_length(length, load_balancer=behind))
    if length is not None:
        checker.warn((*path, "packet_length"), *limits.packet_length_warnings(length), by_constructs=True)


def _refuse_without_effect(checker: Checker, path: Path, response: Response) -> None:
    """Refuse settings of what the response does not do: whoever wrote them expects it to."""
    with checker.part():
        kept = response.evidence.model_fields_set and response.evidence.appliance_snapshots is not None
        launch = response.appliance.launch
        if kept and (launch is None or launch.retire_after_minutes is None):
            why = "without appliance.launch" if launch is None else "where retire_after_minutes is null"
            checker.say((*path, "evidence", "appliance_snapshots"), f"has no effect {why}: leave it out")
    with checker.part():
        alerts = response.alerts
        if "overlap_hours" in alerts.model_fields_set and not any(one.webhook for one in alerts.sources.values()):
            checker.say((*path, "alerts", "overlap_hours"), "has no effect: no source has webhook: true; leave it out")
    with checker.part():
        captures = any(rule.action != "notify" for rule in response.policy)
        for name in sorted({"reserved_sources", "incidents_per_finding"} & response.capture.model_fields_set):
            if not captures:
                checker.say((*path, "capture", name), "has no effect: no rule of policy captures; leave it out")


def _check_policy(checker: Checker, path: Path, response: Response) -> None:
    found = len(checker.problems)
    for position, rule in enumerate(response.policy):
        with checker.part():
            _check_types(checker, (*path, position, "types"), rule)
        with checker.part():
            known = ways(response.alerts.sources, security_hub=response.alerts.security_hub)
            for at, name in enumerate(rule.sources):
                checker.ask((*path, position, "sources", at), partial(check_rule_source, name, known))
    if len(checker.problems) != found:
        return
    weakened: dict[int, policy_rules.Rule] = {}
    with checker.part():
        weakened = dict(weakened_by_tags([rule.to_domain() for rule in response.policy]))
    for position, rule in enumerate(response.policy):
        with checker.part():
            modes = tuple(response.containment.modes) if response.containment is not None else None
            # That no mode is given is said where it is.
            if modes != ():
                checker.ask((*path, position, "action"), partial(check_action, rule.action, modes))
        with checker.part():
            if rule.action in MODE_OF_ACTION and rule.to_domain().unconditional:
                what = "contains" if rule.action == "contain_now" else "asks to contain"
                checker.warn(
                    (*path, position),
                    f"{what} every instance that an alert names, whatever its severity: it has no condition; give it "
                    "one, such as severity: {at_least: 7.0}",
                )
        with checker.part():
            _warn_of_sources_to_come(checker, (*path, position), rule, response)
        with checker.part():
            if (stronger := weakened.get(position)) is not None:
                keys = ", ".join(word(key) for key in rule.tags)
                checker.warn(
                    (*path, position, "tags"),
                    f"any caller with ec2:CreateTags, also an attacker on the instance, can write these tags ({keys}), "
                    f"so that this rule ({rule.action}) decides, and not {stronger.name} ({stronger.action}): put a "
                    f"rule with action {stronger.action} and no condition but severity: {{at_least: 9.0}}, or lower, "
                    "before it",
                )
        with checker.part():
            if unmatched := rule.to_domain().unmatched_types:
                whole = len(unmatched) == len(rule.types)
                never = "the rule never matches" if whole else "it never matches these types"
                checker.warn(
                    (*path, position, "resource_role"),
                    f"{never}, {', '.join(unmatched)}: findings of Runtime Monitoring have no resource role; give them "
                    "a rule without resource_role",
                )
        with checker.part():
            if excluded := rule.to_domain().types_without_tactics:
                whole = len(excluded) == len(rule.types)
                never = "the rule never matches" if whole else "it never matches these types"
                checker.warn(
                    (*path, position, "tactics"),
                    f"{never}, {', '.join(excluded)}: they stand for none of these tactics",
                )
        with checker.part():
            _warn_of_what_sources_lack(checker, (*path, position), rule, response)
        with checker.part():
            check_sought_keys(checker, (*path, position, "tags"), rule.tags)
        with checker.part():
            if rule.minutes is not None and rule.minutes > response.capture.max_minutes:
                checker.say(
                    (*path, position, "minutes"),
                    f"expected at most capture.max_minutes, {response.capture.max_minutes}",
                    rule.minutes,
                )
    for at, message in policy_problems(response.rules()):
        checker.say((*path, at), message)


def _warn_of_sources_to_come(checker: Checker, path: Path, rule: PolicyRule, response: Response) -> None:
    """Warn of a rule that contains by whichever channel an alert comes, where others than GuardDuty's own are open."""
    if rule.action not in MODE_OF_ACTION or rule.sources:
        return
    alerts, findings = response.alerts, _sources_of_findings(response)
    known = ways(alerts.sources, security_hub=alerts.security_hub)
    # Only findings of GuardDuty have a role of the instance.
    others = [name for name in known if name != GUARDDUTY and (rule.resource_role is None or name in findings)]
    if not others:
        return
    what = "contains" if rule.action == "contain_now" else "asks to contain"
    checker.warn(
        path,
        f"the rule {rule.name} {what} for alerts of {' and '.join(others)}, too, and of every source that is added "
        f"later: it has no sources; write sources: [{GUARDDUTY}], and add those that may set it off",
    )


def _sources_of_findings(response: Response) -> set[str]:
    """Return the channels by which findings of GuardDuty come as GuardDuty writes them."""
    passed_on = (name for name, source in response.alerts.sources.items() if source.preset == GUARDDUTY_PRESET)
    return {GUARDDUTY, *passed_on}


def _warn_of_what_sources_lack(checker: Checker, path: Path, rule: PolicyRule, response: Response) -> None:
    """Warn of conditions on what no alert of the rule's sources has."""
    of_guardduty = _sources_of_findings(response)
    if not rule.sources:
        return
    if rule.resource_role is not None and of_guardduty.isdisjoint(rule.sources):
        named = " and ".join(rule.sources)
        checker.warn(
            (*path, "resource_role"), f"the rule never matches: alerts of {named} have no resource role; leave it out"
        )
    if rule.techniques and of_guardduty.issuperset(rule.sources):
        checker.warn((*path, "techniques"), "the rule never matches: GuardDuty names no technique; ask for tactics")


def _check_types(checker: Checker, path: Path, rule: PolicyRule) -> None:
    of_guardduty = policy_rules.are_of_guardduty(rule.sources)
    for position, pattern in enumerate(rule.types):
        check = partial(policy_rules.check_type_pattern, pattern, of_guardduty=of_guardduty)
        checker.ask((*path, position), check)


def _check_containment(checker: Checker, path: Path, containment: Containment, site: Site, *, tokens: bool) -> None:
    with checker.part():
        for position, vpc_id in enumerate(containment.vpc_ids):
            if vpc_id == site.vpc_id:
                checker.say(
                    (*path, "vpc_ids", position), "is the site's own, which is in scope anyway: leave it out", vpc_id
                )
    with checker.part():
        if containment.modes and "approval" in containment.model_fields_set and "approval" not in containment.modes:
            checker.say((*path, "approval"), "has no effect: modes has no approval")
    with checker.part():
        check_sought_keys(checker, (*path, "protect", "tags"), containment.protect.tags)
    with checker.part():
        if why := why_no_source_identities(containment.approval.source_identity_roles, tokens=tokens):
            checker.say((*path, "approval", "source_identity_roles"), why)
    with checker.part():
        approval = containment.approval
        if "approval" in containment.modes and approval.default == "contain" and approval.other_person:
            checker.warn(
                (*path, "approval", "default"),
                "contains what one person requested, without an answer in time, although other_person is true; leave "
                "contains nothing without an answer",
            )
    scaling = containment.auto_scaling
    if scaling.decrement_desired_capacity and not scaling.standby:
        checker.say((*path, "auto_scaling", "standby"), "decrement_desired_capacity needs true", False)


def _warn_of_short_wait(checker: Checker, path: Path, response: Response) -> None:
    """Warn of a wait that is over before packets can be seen: it only delays the containment."""
    wait = response.containment.wait_for_packets if response.containment is not None else None
    launches = response.appliance.launch is not None
    modes = response.containment.modes if response.containment is not None else ()
    if wait is not None and "now" not in modes:
        checker.warn(
            path[:-1],
            "no responder can end the wait: only contain --mode now --skip-wait can, and modes has no now",
        )
    least = SEEN_AFTER_SECONDS + (FIRST_START_SECONDS if launches else 0)
    if wait is not None and wait.at_most_seconds < least:
        start = "the first start of a launched appliance takes up to ten minutes, and " if launches else ""
        checker.warn(
            path,
            f"{start}CloudWatch counts packets up to five minutes late: with {wait.at_most_seconds} the containment "
            f"may be delayed without effect; expected {least} or more, or no wait_for_packets",
        )


def _warn_of_ended_captures(checker: Checker, path: Path, response: Response, site: Site) -> None:
    """Warn where the appliance admits its sources by security groups, which containment takes off them."""
    name = response.appliance.target
    if response.appliance.launch is not None or name.startswith("tmt-"):
        return
    target = site.targets.get(name)
    senders = site.capture_security_group.mirrored_from or []
    if target is not None:
        senders = target.load_balancer.mirrored_from if target.load_balancer is not None else []
    if named := [sender for sender in senders if sender.startswith("sg-")]:
        checker.warn(
            path,
            f"mirrored_from admits sources by {', '.join(named)}, which containment takes off them: the capture of a "
            "contained instance ends, unless its address is admitted too; admit CIDR blocks or the VPC",
        )


def _check_notify(checker: Checker, path: Path, notify: Notify, region: str) -> None:
    with checker.part():
        if len(set(notify.emails)) == len(notify.emails):
            refuse_twice(checker, (*path, "emails"), notify.emails, alike=str.lower)
    for position, arn in enumerate(notify.topic_arns):
        if arn.endswith(".fifo"):
            checker.say(
                (*path, "topic_arns", position),
                "is a FIFO topic, which takes messages of a group only: expected a standard topic",
                arn,
            )
        checker.ask((*path, "topic_arns", position), partial(check_arn, arn, region, same_region=True), arn)
