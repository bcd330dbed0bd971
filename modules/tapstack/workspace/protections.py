"""Find what would make a destroy or a deploy fail half way, or leave resources behind, before it starts.

Deployed resources are found by their tags and names, because the file may have been changed since. Only calls that read
are made, most of which Terraform makes as well. A call that IAM denies becomes a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, get_args

from tapstack.domain import limits
from tapstack.domain.containment_release import RELEASE_ORDER, SETTING_OF_KIND
from tapstack.domain.containment_settings import undo_containment_command
from tapstack.domain.counts import counted
from tapstack.domain.filter_changes import first_loss, rules_in_between
from tapstack.domain.filter_rules import MirrorRule, PortRange, Traffic, number_rules
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_INCIDENT, TAG_SITE
from tapstack.domain.instance_states import PRESENT_STATES
from tapstack.domain.names import incidents_table_name, launched_boundary_name, response_stack_name, xdr_stack_name
from tapstack.domain.outside_text import LONG, quoted
from tapstack.domain.own_names import STACK_NAME_TAG, TAG_PURPOSE, Purpose
from tapstack.domain.packet_basics import DELETION_PROTECTION_TAG
from tapstack.domain.quarantine import DEFAULT_NAME
from tapstack.domain.sessions import SessionBook
from tapstack.domain.sources import split_sources
from tapstack.domain.telemetry import landing_bucket_name
from tapstack.responder.store.deployed import DeployedTable
from tapstack.settings.model import PACKET_BASICS, Deployment, LoadBalancer, Site
from tapstack.workspace.credentials import Access
from tapstack.workspace.stacks import site_of, used_of_capture

_NO_TAGGED_BUCKET: Final = ("NoSuchBucket", "NoSuchTagSet")
_VALUES_OF_A_FILTER: Final = 200
_ARNS_OF_A_CALL: Final = 20
_RULES_OF_A_FILTER: Final = ("IngressFilterRules", "EgressFilterRules")
_MIRRORING: Final = {
    "target": ("describe_traffic_mirror_targets", "TrafficMirrorTargets"),
    "filter": ("describe_traffic_mirror_filters", "TrafficMirrorFilters"),
}
"""The operations of EC2 that describe what a response may use, and their results."""
_NO_ROLE: Final = "NoSuchEntity"
_POLICY_OF_APPLIANCE: Final = "appliance"
"""The name that `ApplianceRole` gives the policy of the role."""
_ANOTHER_GROUP: Final = "give it another group"
_NEVER_CREATED: Final = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
"""Statuses of a stack whose creation failed: nothing but its deletion leads on (CloudFormation User Guide)."""
_ENDING: Final = ("ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS")
RECORDS_OF_PLACE: Final = ("terraform_data.packet-basics_Place_F57E90B9",)
RECORDS_OF_PLACE_WITH_ROLE: Final = (*RECORDS_OF_PLACE, "terraform_data.packet-basics_PlaceWithRole_4723AFC7")
"""The addresses at which `PacketBasics` records where an appliance is, which a plan refuses to change."""


@dataclass(frozen=True)
class Found:
    """What refuses a destroy or a deploy.

    Attributes:
        protections: what refuses it and what to do; each text begins with the name of the stack.
        warnings: what a deploy leaves to be done, and checks that could not be made.
    """

    protections: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """A site of the file, the access to the account that it is deployed in, and the stacks that the command is for."""

    deployment: Deployment
    name: str
    access: Access
    file: str
    outdir: str
    stacks: Sequence[str]

    @property
    def site(self) -> Site:
        return self.deployment.sites[self.name]

    @property
    def ours(self) -> list[dict[str, Any]]:
        """EC2 filters that match the resources with the tags of this site."""
        return [
            {"Name": f"tag:{TAG_DEPLOYMENT}", "Values": [self.deployment.project]},
            {"Name": f"tag:{TAG_SITE}", "Values": [self.name]},
        ]

    @cached_property
    def table(self) -> DeployedTable:
        """The table of incidents of the site, which may not exist."""
        return DeployedTable(self.access.client, _table(self))

    @cached_property
    def holders(self) -> Mapping[str, Sequence[str]]:
        """The incidents that hold instances contained, by instance; none where the table cannot be read."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self.table.contained()
        except (ClientError, BotoCoreError):
            return {}

    def owns(self, described: Mapping[str, Any]) -> bool:
        """Return whether a resource has the tags of this site."""
        ours = {TAG_DEPLOYMENT: self.deployment.project, TAG_SITE: self.name}
        return ours.items() <= _tags(described).items()

    def pages(self, operation: str, result: str, filters: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the resources that an operation of EC2 describes."""
        for page in self.access.client("ec2").get_paginator(operation).paginate(Filters=filters):
            yield from page[result]

    @cached_property
    def load_balancers(self) -> list[tuple[str, dict[str, Any]]]:
        """The load balancers of the site, each with the name of the target that it is made for."""
        client = self.access.client("elbv2")
        pages = client.get_paginator("describe_load_balancers").paginate()
        found = {
            balancer["LoadBalancerArn"]: balancer
            for page in pages
            for balancer in page["LoadBalancers"]
            if (balancer["Type"], balancer.get("Scheme")) == ("network", "internal")
        }
        arns = list(found)
        return [
            (_tags(described).get("Name", "NAME"), found[described["ResourceArn"]])
            for start in range(0, len(arns), _ARNS_OF_A_CALL)
            for described in client.describe_tags(ResourceArns=arns[start : start + _ARNS_OF_A_CALL])["TagDescriptions"]
            if self.owns(described)
        ]


def find_protections(deployment: Deployment, stacks: Sequence[str], access: Mapping[str, Access], file: str) -> Found:
    """Return what protects stacks from being destroyed.

    Args:
        deployment: the deployment.
        stacks: the names of those to destroy.
        access: by site; sites without access are not checked.
        file: the deployment file's name in messages.
    """
    return _find(deployment, stacks, access, file, _OF_CAPTURE, _OF_RESPONSE, of_xdr=_OF_XDR)


def find_dependents(
    deployment: Deployment,
    stacks: Sequence[str],
    access: Mapping[str, Access],
    file: str,
    outdir: str = "cdktf.out",
) -> Found:
    """Return what stands in the account and needs what a deploy of stacks would take from it, or stops the deploy.

    The arguments are those of `find_protections`, and `outdir`, the directory of what is synthesized.
    """
    return _find(
        deployment,
        stacks,
        access,
        file,
        _OF_DEPLOYED_CAPTURE,
        _OF_DEPLOYED_RESPONSE,
        outdir,
        left_by_capture=_LEFT_BY_DEPLOYED_CAPTURE,
    )


def _find(
    deployment: Deployment,
    stacks: Sequence[str],
    access: Mapping[str, Access],
    file: str,
    of_capture: Mapping[str, _Check],
    of_response: Mapping[str, _Check],
    outdir: str = "",
    *,
    left_by_capture: Mapping[str, _Check] | None = None,
    of_xdr: Mapping[str, _Check] | None = None,
) -> Found:
    from botocore.exceptions import BotoCoreError, ClientError

    found = Found()
    for stack in stacks:
        name = site_of(deployment, stack)
        if name not in access:
            continue
        place = _Place(deployment, name, access[name], file, outdir, stacks)
        refusing, leaving = (of_capture, left_by_capture or {}) if stack == name else (of_response, {})
        if stack == xdr_stack_name(name):
            refusing = of_xdr or {}
        for checks, lines in ((refusing, found.protections), (leaving, found.warnings)):
            for what, check in checks.items():
                try:
                    lines.extend(f"{stack}: {line}" for line in check(place))
                except (ClientError, BotoCoreError) as error:
                    found.warnings.append(f"{stack}: not checked: {what}: {quoted(str(error), LONG)}")
    return found


def _capture_not_deployed(place: _Place) -> Iterator[str]:
    """Find what a response that is deployed alone uses of the capture, and the capture has not made."""
    if place.name not in place.stacks and (missing := list(_missing_of_capture(place))):
        yield (
            f"it uses {' and '.join(missing)} of {place.name}, not found in account {place.access.account}: deploy the "
            f'capture first (make deploy ARGS="{place.name}")'
        )


def _response_not_deployed(place: _Place) -> Iterator[str]:
    """Find what a deployed response is to use once it is deployed as well: until then it uses what was there before."""
    response = response_stack_name(place.name)
    if response in place.stacks or not (made := list(_missing_of_capture(place, or_replaced=True))):
        return
    if place.table.is_there:
        yield (
            f"{response} uses {' and '.join(made)}, which this deploy makes, once it is deployed as well, and until "
            f'then what it used before, which this deploy may delete: run make deploy ARGS="{response}" right '
            "afterwards"
        )


def _missing_of_capture(place: _Place, *, or_replaced: bool = False) -> Iterator[str]:
    """Yield what the response of the site uses of its capture and does not exist, or a deploy would replace."""
    for used in used_of_capture(place.site):
        what, _, name = used.partition(" ")
        if what == PACKET_BASICS:
            stack = place.deployment.stack_name(place.name)
            if _cloudformation_stack(place, stack) is None:
                yield f"packet_basics (the CloudFormation stack {stack})"
            continue
        operation, result = _MIRRORING[what]
        there = list(place.pages(operation, result, [*place.ours, {"Name": "tag:Name", "Values": [name]}]))
        if not there or (or_replaced and any(_back(place, what, described) is not None for described in there)):
            yield used


def _protected_table(place: _Place) -> Iterator[str]:
    if place.table.is_protected:
        what = f"the table {place.table.name}"
        yield _switched_on(place, what, "response.deletion_protection", response_stack_name(place.name))


def _protected_buckets(place: _Place) -> Iterator[str]:
    """Find the buckets that the telemetry's stack made, and that Terraform may not delete while they hold objects."""
    from botocore.exceptions import ClientError

    s3 = place.access.client("s3")
    for access_logs in (False, True):
        name = landing_bucket_name(place.deployment.project, place.name, place.access.account, access_logs=access_logs)
        try:
            tags = _tags({"Tags": s3.get_bucket_tagging(Bucket=name)["TagSet"]})
        except ClientError as error:
            if error.response["Error"]["Code"] in _NO_TAGGED_BUCKET:
                continue
            raise
        if tags.get(DELETION_PROTECTION_TAG) != "on":
            continue
        found = s3.list_object_versions(Bucket=name, MaxKeys=1)
        if found.get("Versions") or found.get("DeleteMarkers"):
            what = f"the bucket {name}, which holds objects,"
            yield _switched_on(place, what, "xdr.landing.deletion_protection", xdr_stack_name(place.name))


def _response_left_out(place: _Place) -> Iterator[str]:
    """Find a response that the file no longer has: it must be destroyed before the capture, which it may use."""
    if place.site.response is None and place.table.is_there:
        yield (
            f"the response of this site, with the table {place.table.name}, still exists, and may use this capture: "
            f"put sites.{place.name}.response back into {place.file}, and destroy both, the response first (make "
            f'destroy ARGS="{response_stack_name(place.name)} {place.name}")'
        )


def _table(place: _Place) -> str:
    return incidents_table_name(place.deployment.project, place.name)


def _switched_on(place: _Place, what: str, setting: str, stack: str) -> str:
    return (
        f"{what} has deletion protection: set sites.{place.name}.{setting} to false in {place.file}, and run "
        f'make deploy ARGS="{stack}"'
    )


def _open_incidents(place: _Place) -> Iterator[str]:
    filters = [*place.ours, {"Name": "tag-key", "Values": [TAG_INCIDENT]}]
    sessions: dict[str, list[str]] = {}
    for session in place.pages("describe_traffic_mirror_sessions", "TrafficMirrorSessions", filters):
        sessions.setdefault(_tags(session)[TAG_INCIDENT], []).append(session["NetworkInterfaceId"])
    for incident, interfaces in sessions.items():
        yield f"{incident} captures {_some(interfaces)}: close it (tapstack incident close {incident})"


def _contained(place: _Place) -> Iterator[str]:
    groups = [group["GroupId"] for group in _groups_of_containment(place)]
    for attached, instance in _attached_groups(place, groups):
        yield f"{attached}: release the instance ({_release_command(place, instance)})"


def _contained_by_what_goes(place: _Place) -> Iterator[str]:
    """Find the instances in a group of containment that a deploy would delete, because the file no longer has it."""
    response, setting = place.site.response, f"sites.{place.name}.response.containment"
    containment = response.containment if response is not None else None
    going: dict[str, list[str]] = {}
    for group in _groups_of_containment(place):
        if containment is None:
            back = setting
        elif group["VpcId"] not in (place.site.vpc_id, *containment.vpc_ids):
            back = f"{group['VpcId']} in {setting}.vpc_ids"
        elif _tags(group)[TAG_PURPOSE] == "untrack" and not containment.two_step.enabled:
            back = f"{setting}.two_step.enabled"
        else:
            continue
        going.setdefault(back, []).append(group["GroupId"])
    for back, groups in going.items():
        for attached, instance in _attached_groups(place, groups):
            yield (
                f"{attached}: this deploy would delete it: put {back} back into {place.file}; or release the instance "
                f"first ({_release_command(place, instance)})"
            )


def _restored_no_longer(place: _Place) -> Iterator[str]:
    """Find what containment changed and a release could not restore after the deploy, for lack of a permission."""
    response, setting = place.site.response, f"sites.{place.name}.response.containment"
    containment = response.containment if response is not None else None
    lost: dict[tuple[str, str], list[str]] = {}
    for instance_id, kind in place.table.not_restored():
        if containment is None:
            back = f"put {setting} back into"
        elif (switch := SETTING_OF_KIND.get(kind)) is not None and not attrgetter(switch)(containment):
            back = f"set {setting}.{switch} to {'restrict' if kind == 'profile' else 'true'} in"
        else:
            continue
        lost.setdefault((instance_id, back), []).append(kind)
    for (instance_id, back), kinds in lost.items():
        what = ", ".join(kind for kind in RELEASE_ORDER if kind in kinds)
        yield (
            f"{instance_id} is contained, and a release could not restore this of it after this deploy: {what}: "
            f"{back} {place.file}; or release the instance first ({_release_command(place, instance_id)})"
        )


def _release_command(place: _Place, instance_id: str | None) -> str:
    """Return the command that releases an instance, whichever incidents hold it contained."""
    holders = place.holders.get(instance_id or "", ())
    command = undo_containment_command(holders[0] if holders else "ID")
    return f"{command} --all" if len(holders) > 1 else command


def _groups_of_containment(place: _Place) -> Iterator[dict[str, Any]]:
    filters = [*place.ours, {"Name": f"tag:{TAG_PURPOSE}", "Values": list(get_args(Purpose))}]
    return place.pages("describe_security_groups", "SecurityGroups", filters)


def _launched_appliance(place: _Place) -> Iterator[str]:
    stack = _launched_stack(place)
    if stack is None:
        return
    launch = place.site.response.appliance.launch if place.site.response is not None else None
    if launch is None:
        retired = "close the incidents and wait until it is deleted, or delete it now"
    elif (minutes := launch.retire_after_minutes) is None:
        retired = "nothing deletes it (retire_after_minutes: null): delete it"
    else:
        retired = f"wait until it is deleted, {counted(minutes, 'minute')} after the last incident, or delete it now"
    yield (
        f"the CloudFormation stack {stack['StackName']} ({stack['StackStatus']}), launched by an incident, would be "
        f"left behind: {retired}, with its packets ({_deletion(place, stack)})"
    )


def _launched_with_another_role(place: _Place) -> Iterator[str]:
    """Find a launched appliance whose role a deploy would change or delete: its deletion needs that role."""
    response, stack = place.site.response, _launched_stack(place)
    if response is None or stack is None:
        return
    launch = response.appliance.launch
    setting = f"sites.{place.name}.response.appliance.launch"
    if launch is None:
        change, back = "this deploy would delete its role", f"put {setting} back into"
    elif missing := [given for given in stack.get("Capabilities", ()) if given not in launch.capabilities]:
        change = f"this deploy would take {', '.join(missing)} from its role"
        back = f"put {setting}.capabilities back into"
    elif (had := _boundary(place, stack.get("RoleARN"))) and had != (launch.permissions_boundary or _made(place, had)):
        change = f"this deploy would take the permissions boundary {had} from its role"
        what = f"{setting}.permissions_boundary"
        back = f"take {what} out of" if had == _made(place, had) else f"put {what} back into"
    else:
        return
    yield (
        f"the CloudFormation stack {stack['StackName']} ({stack['StackStatus']}), launched by an incident, still exists"
        f", and {change}, without which CloudFormation cannot delete it: {back} {place.file}; or close the incidents "
        f"and wait until it is deleted, or delete it now, with its packets ({_deletion(place, stack)})"
    )


def _boundary(place: _Place, role_arn: str | None) -> str | None:
    """Return the permissions boundary that a stack's role requires of the roles that it creates; None without one."""
    from botocore.exceptions import ClientError

    if role_arn is None:
        return None
    try:
        policy = place.access.client("iam").get_role_policy(
            RoleName=role_arn.rpartition("/")[2], PolicyName=_POLICY_OF_APPLIANCE
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == _NO_ROLE:
            return None
        raise
    for statement in policy["PolicyDocument"]["Statement"]:
        required = statement.get("Condition", {}).get("StringNotEquals", {}).get("iam:PermissionsBoundary")
        if required is not None:
            return str(required)
    return None


def _made(place: _Place, boundary: str) -> str:
    """Return the ARN of the boundary that the response creates, in the partition of `boundary`."""
    name = launched_boundary_name(place.deployment.project, place.name)
    return f"{boundary.partition(':iam:')[0]}:iam::{place.access.account}:policy/{name}"


def _launched_stack(place: _Place) -> dict[str, Any] | None:
    """Return the stack of a launched appliance; one without the tags of the response is not the response's."""
    stack = _cloudformation_stack(place, place.deployment.launched_stack_name(place.name))
    return stack if stack is not None and place.owns(stack) and TAG_INCIDENT in _tags(stack) else None


def _deletion(place: _Place, stack: Mapping[str, Any]) -> str:
    return f"aws cloudformation delete-stack --stack-name {stack['StackName']} --region {place.access.region}"


def _protected_appliance(place: _Place) -> Iterator[str]:
    name = place.deployment.stack_name(place.name)
    stack = _cloudformation_stack(place, name)
    if stack is None:
        if not place.site.remove_packet_basics:
            yield from _protected_by_another_name(place)
    elif stack["StackStatus"] in _NEVER_CREATED and place.site.packet_basics is not None:
        if place.site.packet_basics.deletion_protection:
            yield (
                f"the appliance was never created (CloudFormation stack {name}, {stack['StackStatus']}), and Terraform "
                f"keeps what it recorded of it: set sites.{place.name}.packet_basics.deletion_protection to false in "
                f"{place.file}"
            )
    elif _keeps_packets(place, stack):
        what = f"the appliance, in the CloudFormation stack {name}, keeps packets, and"
        yield _switched_on(place, what, "packet_basics.deletion_protection", place.name)


def _failed_appliance(place: _Place) -> Iterator[str]:
    """Find the stack of an appliance whose creation failed: Terraform would replace it, and refuses that.

    It records the place before it makes the stack. So the record has to go too where the file has another place now;
    where it has not, the next deploy makes it again.
    """
    stack = None
    if place.site.packet_basics is not None:
        stack = _cloudformation_stack(place, place.deployment.stack_name(place.name))
    if stack is None or not place.owns(stack):
        return
    name, status = stack["StackName"], stack["StackStatus"]
    options = f"--stack-name {name} --region {place.access.region}"
    if status in _ENDING:
        yield (
            f"the CloudFormation stack {name} is in {status}: wait until that has ended (aws cloudformation "
            f"describe-stacks {options}), and run the same command again"
        )
    elif status in _NEVER_CREATED:
        reason = f": {stack['StackStatusReason']}" if stack.get("StackStatusReason") else ""
        records = RECORDS_OF_PLACE_WITH_ROLE if stack.get("RoleARN") else RECORDS_OF_PLACE
        forget = f"terraform -chdir={place.outdir}/stacks/{place.name} state rm {' '.join(records)}"
        yield (
            f"the appliance was never created, and its CloudFormation stack {name} can only be deleted ({status}"
            f"{reason}): remove the cause, delete the stack, and the record of the place (aws cloudformation "
            f"delete-stack {options} && aws cloudformation wait stack-delete-complete {options} && {forget}); then run "
            "the same command again"
        )


def _keeps_packets(place: _Place, described: Mapping[str, Any]) -> bool:
    """Return whether an appliance is protected, by its tag or by the file, which Terraform uses."""
    given = place.site.packet_basics
    return _tags(described).get(DELETION_PROTECTION_TAG) == "on" or (given is not None and given.deletion_protection)


def _protected_by_another_name(place: _Place) -> Iterator[str]:
    """Find an appliance whose stack has another name than in the file, or that the file does not have."""
    given, setting = place.site.packet_basics, f"sites.{place.name}.packet_basics"
    filters = [
        *place.ours,
        {"Name": "tag-key", "Values": [DELETION_PROTECTION_TAG]},
        {"Name": "instance-state-name", "Values": list(PRESENT_STATES)},
    ]
    for reservation in place.pages("describe_instances", "Reservations", filters):
        for instance in reservation["Instances"]:
            keeps = f"the appliance {instance['InstanceId']} keeps packets"
            if given is None:
                yield (
                    f"{keeps}: put {setting} back into {place.file}; or, if it is to be deleted with them, set "
                    f"sites.{place.name}.remove_packet_basics to true there"
                )
            elif _keeps_packets(place, instance):
                stack = _tags(instance).get(STACK_NAME_TAG, "NAME")
                yield (
                    f"{keeps}, and has deletion protection: set {setting}.stack_name to {stack}, as it was, and "
                    f'{setting}.deletion_protection to false in {place.file}, and run make deploy ARGS="{place.name}"'
                )


def _cloudformation_stack(place: _Place, name: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        found = place.access.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return dict(found[0])


def _protected_load_balancers(place: _Place) -> Iterator[str]:
    for name, _ in _load_balancers_with_protection(place):
        setting = f"targets.{name}.load_balancer"
        if _load_balancer(place.site, name) is not None:
            yield _switched_on(place, f"the load balancer {name}", f"{setting}.deletion_protection", place.name)
        else:
            yield (
                f"the load balancer {name} has deletion protection: put sites.{place.name}.{setting} back into "
                f'{place.file}, with deletion_protection: false, and run make deploy ARGS="{place.name}"'
            )


def _protected_load_balancers_that_go(place: _Place) -> Iterator[str]:
    """Find load balancers that a deploy would delete: AWS refuses that only after their listeners are deleted."""
    for name, balancer in _load_balancers_with_protection(place):
        setting = f"sites.{place.name}.targets.{name}.load_balancer"
        given = _load_balancer(place.site, name)
        if given is None:
            change, back = "delete it", setting
        elif gone := _subnets_that_go(balancer, given):
            change, back = "replace it", f"{', '.join(gone)} in {setting}.subnet_ids"
        else:
            continue
        yield (
            f"the load balancer {name} has deletion protection, and this deploy would {change}: put {back} back into "
            f"{place.file}; if it is to be deleted, first set {setting}.deletion_protection to false there, and run "
            f'make deploy ARGS="{place.name}", in a deploy of its own'
        )


def _load_balancers_with_protection(place: _Place) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the protected load balancers of the site, each with the name of its mirror target."""
    client = place.access.client("elbv2")
    for name, balancer in place.load_balancers:
        attributes = client.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
        if {"Key": "deletion_protection.enabled", "Value": "true"} in attributes:
            yield name, balancer


def _load_balancer(site: Site, name: str) -> LoadBalancer | None:
    target = site.targets.get(name)
    return target.load_balancer if target is not None else None


def _subnets_that_go(balancer: Mapping[str, Any], given: LoadBalancer) -> list[str]:
    """Return the subnets that the file no longer has: Terraform replaces the load balancer, and adds subnets in place.

    Nothing else that forces a replacement (aws_lb) is a setting.
    """
    return [zone["SubnetId"] for zone in balancer["AvailabilityZones"] if zone["SubnetId"] not in given.subnet_ids]


def _sessions_of_others(place: _Place) -> Iterator[str]:
    for used, remedy, _ in _sessions_on(place, lambda *_: "goes"):
        yield f"{used}: {remedy}"


def _sessions_on_what_goes(place: _Place) -> Iterator[str]:
    """Find sessions on targets and filters that a deploy would delete.

    AWS refuses the deletion, or, where the session is of another account, ends its mirroring.
    """
    for used, remedy, back in _sessions_on(place, _back):
        yield f"{used}, and this deploy would delete it: {back} {place.file}; or first {remedy}"


_Back = Callable[[_Place, str, Mapping[str, Any]], str | None]
"""Returns the change of the file that would keep a mirror target or filter; None where it is kept anyway."""


def _sessions_on(place: _Place, back: _Back) -> Iterator[tuple[str, str, str]]:
    """Yield the sessions of others on targets and filters that would be deleted: use, remedy, and how to keep it."""
    seen = set()
    for what, operation, result, key in (
        ("target", "describe_traffic_mirror_targets", "TrafficMirrorTargets", "TrafficMirrorTargetId"),
        ("filter", "describe_traffic_mirror_filters", "TrafficMirrorFilters", "TrafficMirrorFilterId"),
    ):
        found = {item[key]: back(place, what, item) for item in place.pages(operation, result, place.ours)}
        going = {name: kept for name, kept in found.items() if kept is not None}
        ids = list(going)
        for start in range(0, len(ids), _VALUES_OF_A_FILTER):
            filters = [{"Name": f"traffic-mirror-{what}-id", "Values": ids[start : start + _VALUES_OF_A_FILTER]}]
            for session in place.pages("describe_traffic_mirror_sessions", "TrafficMirrorSessions", filters):
                name, own = session["TrafficMirrorSessionId"], place.owns(session)
                incident = _tags(session).get(TAG_INCIDENT)
                # The stack's own sessions are deleted or modified before.
                if name in seen or (own and incident is None):
                    continue
                seen.add(name)
                used = f"the {what} {session[key]} is used by the session {name}"
                kept = going[session[key]]
                if own:
                    yield f"{used} of {incident}", f"close it (tapstack incident close {incident})", kept
                else:
                    command = f"delete-traffic-mirror-session --traffic-mirror-session-id {name}"
                    remedy = f"delete it (aws ec2 {command} --region {place.access.region})"
                    if (owner := session.get("OwnerId", place.access.account)) != place.access.account:
                        remedy = f"ask its owner, the account {owner}, to delete it"
                    yield f"{used}, which is not of this site", remedy, kept


def _back(place: _Place, what: str, described: Mapping[str, Any]) -> str | None:
    """Return the change of the file that would keep a target or filter which a deploy would delete or replace."""
    tags = _tags(described)
    name = tags.get("Name", "NAME")
    setting = f"sites.{place.name}.{what}s.{name}"
    if (stack := tags.get(STACK_NAME_TAG)) is not None:
        return None if TAG_INCIDENT in tags else _appliance_back(place, stack)
    if name not in (place.site.targets if what == "target" else place.site.filters):
        return f"put {setting} back into"
    return _replacing(place, name, setting, described) if what == "target" else None


def _appliance_back(place: _Place, stack: str) -> str | None:
    """Return what keeps the appliance of a CloudFormation stack, whose target and filter go with it."""
    setting, wanted = f"sites.{place.name}.packet_basics", place.deployment.stack_name(place.name)
    if place.site.packet_basics is None:
        return f"put {setting} back into"
    if stack.startswith(f"{wanted}-"):
        # It may be nested in the one that stays: its name then begins with that one's.
        root = (_cloudformation_stack(place, stack) or {}).get("RootId")
        stack = root.split("/")[1] if root else stack
    return None if stack == wanted else f"set {setting}.stack_name to {stack}, as it was, in"


def _replacing(place: _Place, name: str, setting: str, described: Mapping[str, Any]) -> str | None:
    """Return the settings that a target needs to be kept: AWS cannot change them, so Terraform replaces the target."""
    given = place.site.targets[name]
    balancer = described.get("NetworkLoadBalancerArn")
    if balancer and given.load_balancer is not None:
        made = {each["LoadBalancerArn"]: each for of, each in place.load_balancers if of == name}
        if balancer not in made:
            return f"put the load balancer {balancer} back behind {setting} in"
        gone = _subnets_that_go(made[balancer], given.load_balancer)
        return f"put {', '.join(gone)} in {setting}.load_balancer.subnet_ids back into" if gone else None
    if balancer and given.network_load_balancer_arn != balancer:
        return f"put the load balancer {balancer} back behind {setting} in"
    for key, now in (
        ("network_interface_id", described.get("NetworkInterfaceId")),
        ("gateway_load_balancer_endpoint_id", described.get("GatewayLoadBalancerEndpointId")),
    ):
        if now and now != getattr(given, key):
            return f"set {setting}.{key} to {now} in"
    usual = place.deployment.description(place.name, name)
    before = described.get("Description", "")
    if balancer or before == (given.description or usual):
        return None
    return f"take {setting}.description out of" if before == usual else f"set {setting}.description to {before!r} in"


def _rules_on_the_way(place: _Place) -> Iterator[str]:
    """Find filters whose rules cannot be changed in place: AWS would refuse rules, or packets would be lost."""
    for described in place.pages("describe_traffic_mirror_filters", "TrafficMirrorFilters", place.ours):
        tags, filter_id = _tags(described), described["TrafficMirrorFilterId"]
        name = tags.get("Name", "")
        if STACK_NAME_TAG in tags or name not in place.site.filters:
            continue  # the appliance's own, or one that is deleted
        old = [_rule(rule) for key in _RULES_OF_A_FILTER for rule in described.get(key, ())]
        new = number_rules(place.site.filters[name].to_domain().rules)
        another = (
            f"give sites.{place.name}.filters.{name} another name wherever {place.file} names it, so that it is made "
            "anew before sessions leave this one"
        )
        if (most := rules_in_between(old, new)) > limits.RULES_PER_FILTER:
            yield (
                f"the filter {name} ({filter_id}) would need {most} rules while this deploy changes them, because new "
                f"ones are made before old ones are deleted, and AWS takes {limits.RULES_PER_FILTER}: {another}"
            )
        elif (loss := first_loss(old, new)) is not None and _mirrors(place, filter_id):
            yield (
                f"the filter {name} ({filter_id}) would not mirror {loss.before.direction} packets while this deploy "
                f"changes its rules, which rule {loss.before.number} mirrors now and rule {loss.after.number} "
                f"afterwards: {another}; or, where rules are only taken out, write at each of the others the number "
                "that it has now"
            )


def _rule(described: Mapping[str, Any]) -> MirrorRule:
    """Return the rule of a filter that AWS describes."""
    source, destination = (
        PortRange(ports["FromPort"], ports["ToPort"]) if (ports := described.get(key)) else None
        for key in ("SourcePortRange", "DestinationPortRange")
    )
    return MirrorRule(
        described["TrafficDirection"],
        described["RuleAction"],
        Traffic(described.get("Protocol"), source, destination),
        described["SourceCidrBlock"],
        described["DestinationCidrBlock"],
        described["RuleNumber"],
    )


def _mirrors(place: _Place, filter_id: str) -> bool:
    """Return whether a session uses a filter."""
    uses = [{"Name": "traffic-mirror-filter-id", "Values": [filter_id]}]
    sessions = place.pages("describe_traffic_mirror_sessions", "TrafficMirrorSessions", uses)
    return next(sessions, None) is not None


def _exchanged_numbers(place: _Place) -> Iterator[str]:
    """Find groups that would exchange session numbers on an interface: AWS refuses each number while it is in use."""
    wanted = _wanted_numbers(place.site)
    described: dict[str, dict[int, str]] = {}
    used = wanted.all()
    for session in place.pages("describe_traffic_mirror_sessions", "TrafficMirrorSessions", place.ours):
        group = session.get("Description", "").rpartition("/")[2]
        used.add(session["SessionNumber"])
        if TAG_INCIDENT not in _tags(session):
            described.setdefault(session["NetworkInterfaceId"], {})[session["SessionNumber"]] = group
    exchanged: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for interface, groups in described.items():
        for group in groups.values():
            chain = [group]
            while (waits_for := groups.get(wanted.on(chain[-1], interface))) is not None and waits_for not in chain:
                chain.append(waits_for)
            if waits_for == group == min(chain) and len(chain) > 1:
                way_out = _way_out(place, chain, interface, wanted)
                exchanged.setdefault((tuple(sorted(chain)), way_out), []).append(interface)
    free = set(range(1, min(max(used, default=0) + 1, limits.SESSION_NUMBER[1]) + 1)) - used
    for (chained, way_out), interfaces in exchanged.items():
        yield (
            f"the groups of sessions {' and '.join(chained)} would exchange their numbers on {_some(interfaces)}, "
            f"which AWS refuses (Session number N is in use): {way_out} session_number: {max(free)}, "
            "and apply again where AWS says in use"
        )


@dataclass(frozen=True)
class _WantedNumbers:
    """The numbers that sessions will have.

    Attributes:
        lookups: the numbers of sessions on interfaces that a group looks up, by group.
        known: the numbers of sessions on interfaces that the file names, by group and interface.
    """

    lookups: dict[str, int] = field(default_factory=dict)
    known: dict[tuple[str, str], int] = field(default_factory=dict)

    def on(self, group: str, interface: str) -> int:
        """Return the number of a group's session on an interface; 0 where it has none."""
        return self.known.get((group, interface), self.lookups.get(group, 0))

    def all(self) -> set[int]:
        return {*self.lookups.values(), *self.known.values()}


def _wanted_numbers(site: Site) -> _WantedNumbers:
    """Return the numbers of sessions, chosen as the constructs choose them."""
    book, wanted = SessionBook(), _WantedNumbers()
    basics = site.packet_basics
    if basics is not None and basics.mirror_source is not None:
        book.add_mirror_source(PACKET_BASICS, basics.mirror_source, basics.mirror_session_number)
    for name, sessions in site.sessions.items():
        given, start = sessions.session_number, sessions.first_session_number
        book.add_group(name, given, start=start)
        known, lookups = split_sources([settings.to_domain() for settings in sessions.sources])
        for interface, source in known.items():
            number = source.session_number if source.session_number is not None else given
            wanted.known[name, interface] = book.add_known(name, interface, number, start=start)
        if lookups:
            wanted.lookups[name] = book.add_unknown(name, given, start=start)
    return wanted


def _way_out(place: _Place, chain: Sequence[str], interface: str, wanted: _WantedNumbers) -> str:
    """Return the remedy for an exchange of numbers, up to the number to set."""
    numbered = {
        group
        for group in chain
        for source in place.site.sessions[group].sources
        if source.network_interface_id == interface and source.session_number is not None
    }
    written = numbered or any(place.site.sessions[group].session_number is not None for group in chain)
    restored = "restore their numbers" if written else "restore their order"
    last = max(chain, key=lambda group: wanted.on(group, interface))
    setting = f"sites.{place.name}.sessions.{last}"
    who = f"the source {interface} of {setting}" if last in numbered else setting
    return f"{restored} in {place.file}; or give {who}"


def _quarantined(place: _Place) -> Iterator[str]:
    for attached, _ in _attached_groups(place, [group["GroupId"] for group in _quarantine_groups(place)]):
        yield f"{attached}: {_ANOTHER_GROUP}"


def _quarantined_by_what_goes(place: _Place) -> Iterator[str]:
    """Find the interfaces in a quarantine group that a deploy would delete."""
    going: dict[str, list[str]] = {}
    for group in _quarantine_groups(place):
        if not place.site.quarantine_security_group:
            back = f"set sites.{place.name}.quarantine_security_group to true in"
        elif group["VpcId"] != place.site.vpc_id:
            back = f"set sites.{place.name}.vpc_id to {group['VpcId']} in"
        else:
            continue
        going.setdefault(back, []).append(group["GroupId"])
    for back, groups in going.items():
        for attached, _ in _attached_groups(place, groups):
            yield f"{attached}: this deploy would delete it: {back} {place.file}; or first {_ANOTHER_GROUP}"


def _quarantine_groups(place: _Place) -> Iterator[dict[str, Any]]:
    names = [place.deployment.quarantine_group_name(place.name), DEFAULT_NAME]
    filters = [*place.ours, {"Name": "group-name", "Values": names}]
    return place.pages("describe_security_groups", "SecurityGroups", filters)


def _attached_groups(place: _Place, groups: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield which group is on which interface, in words, and the interface's instance."""
    if not groups:
        return
    in_groups = [{"Name": "group-id", "Values": groups}]
    for interface in place.pages("describe_network_interfaces", "NetworkInterfaces", in_groups):
        attached = [group["GroupId"] for group in interface["Groups"] if group["GroupId"] in groups]
        instance = interface.get("Attachment", {}).get("InstanceId")
        yield (
            f"the security group {attached[0]} is on {interface['NetworkInterfaceId']}"
            f"{f' of {instance}' if instance else ''}",
            instance,
        )


def _tags(described: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


_Check = Callable[[_Place], Iterator[str]]
_OF_RESPONSE: Final[Mapping[str, _Check]] = {
    "deletion protection of the table": _protected_table,
    "open incidents": _open_incidents,
    "contained instances": _contained,
    "launched appliances": _launched_appliance,
}
_OF_XDR: Final[Mapping[str, _Check]] = {
    "deletion protection of the buckets of telemetry": _protected_buckets,
}
_OF_DEPLOYED_RESPONSE: Final[Mapping[str, _Check]] = {
    "the capture that it uses": _capture_not_deployed,
    "contained instances": _contained_by_what_goes,
    "prior states of contained instances": _restored_no_longer,
    "launched appliances": _launched_with_another_role,
}
_OF_DEPLOYED_CAPTURE: Final[Mapping[str, _Check]] = {
    "failed creations of the appliance": _failed_appliance,
    "rules of filters": _rules_on_the_way,
    "numbers of sessions": _exchanged_numbers,
    "deletion protection of load balancers": _protected_load_balancers_that_go,
    "sessions of others": _sessions_on_what_goes,
    "instances in quarantine": _quarantined_by_what_goes,
}
_LEFT_BY_DEPLOYED_CAPTURE: Final[Mapping[str, _Check]] = {
    "the response that uses it": _response_not_deployed,
}
_OF_CAPTURE: Final[Mapping[str, _Check]] = {
    "responses left out of the file": _response_left_out,
    "deletion protection of the appliance": _protected_appliance,
    "deletion protection of load balancers": _protected_load_balancers,
    "sessions of others": _sessions_of_others,
    "instances in quarantine": _quarantined,
}
