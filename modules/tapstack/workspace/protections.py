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
from tapstack.domain.names import (
    dead_letters_name,
    incidents_table_name,
    launched_boundary_name,
    response_stack_name,
    xdr_stack_name,
)
from tapstack.domain.outside_text import LONG, quoted
from tapstack.domain.own_names import STACK_NAME_TAG, TAG_PURPOSE, Purpose
from tapstack.domain.packet_basics import DELETION_PROTECTION_TAG
from tapstack.domain.quarantine import DEFAULT_NAME
from tapstack.domain.telemetry import landing_bucket_name
from tapstack.domain.webhook_secrets import alert_dead_letters_name, alert_function_name, alert_queue_name
from tapstack.responder.store.deployed import DeployedTable
from tapstack.settings.model import PACKET_BASICS, Deployment, LoadBalancer, Site
from tapstack.settings.session_numbers import SessionNumbers, session_numbers
from tapstack.workspace.credentials import Access
from tapstack.workspace.stacks import site_of, used_of_capture
from tapstack.workspace.xdr_status import messages_at

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
_NO_SECRET: Final = "ResourceNotFoundException"
_POLICY_OF_APPLIANCE: Final = "appliance"
"""The name that `ApplianceRole` gives the policy of the role."""
_POLICY_OF_FUNCTION: Final = "responder"
"""The name that `ResponderFunction` gives the policy of the role."""
_READS_SECRETS: Final = "secretsmanager:GetSecretValue"
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
class _DeployedSite:
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
    return _find(deployment, stacks, access, file, _OF_CAPTURE, _OF_RESPONSE, _OF_XDR)


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
        _OF_DEPLOYED_XDR,
        outdir,
        left_by_capture=_LEFT_BY_DEPLOYED_CAPTURE,
        left_by_response=_LEFT_BY_DEPLOYED_RESPONSE,
    )


def _find(
    deployment: Deployment,
    stacks: Sequence[str],
    access: Mapping[str, Access],
    file: str,
    of_capture: Mapping[str, _Check],
    of_response: Mapping[str, _Check],
    of_xdr: Mapping[str, _Check],
    outdir: str = "",
    *,
    left_by_capture: Mapping[str, _Check] | None = None,
    left_by_response: Mapping[str, _Check] | None = None,
) -> Found:
    from botocore.exceptions import BotoCoreError, ClientError

    found = Found()
    for stack in stacks:
        name = site_of(deployment, stack)
        if name not in access:
            continue
        at = _DeployedSite(deployment, name, access[name], file, outdir, stacks)
        refusing, leaving = (of_capture, left_by_capture) if stack == name else (of_response, left_by_response)
        if stack == xdr_stack_name(name):
            refusing, leaving = of_xdr, None
        for checks, lines in ((refusing, found.protections), (leaving or {}, found.warnings)):
            for what, check in checks.items():
                try:
                    lines.extend(f"{stack}: {line}" for line in check(at))
                except (ClientError, BotoCoreError) as error:
                    found.warnings.append(f"{stack}: not checked: {what}: {quoted(str(error), LONG)}")
    return found


def _capture_not_deployed(at: _DeployedSite) -> Iterator[str]:
    """Find what a response that is deployed alone uses of the capture, and the capture has not made."""
    if at.name not in at.stacks and (missing := list(_missing_of_capture(at))):
        yield (
            f"it uses {' and '.join(missing)} of {at.name}, not found in account {at.access.account}: deploy the "
            f'capture first (make deploy ARGS="{at.name}")'
        )


def _response_not_deployed(at: _DeployedSite) -> Iterator[str]:
    """Find what a deployed response is to use once it is deployed as well: until then it uses what was there before."""
    response = response_stack_name(at.name)
    if response in at.stacks or not (made := list(_missing_of_capture(at, or_replaced=True))):
        return
    if at.table.is_there:
        yield (
            f"{response} uses {' and '.join(made)}, which this deploy makes, once it is deployed as well, and until "
            f'then what it used before, which this deploy may delete: run make deploy ARGS="{response}" right '
            "afterwards"
        )


def _missing_of_capture(at: _DeployedSite, *, or_replaced: bool = False) -> Iterator[str]:
    """Yield what the response of the site uses of its capture and does not exist, or a deploy would replace."""
    for used in used_of_capture(at.site):
        what, _, name = used.partition(" ")
        if what == PACKET_BASICS:
            stack = at.deployment.stack_name(at.name)
            if _cloudformation_stack(at, stack) is None:
                yield f"packet_basics (the CloudFormation stack {stack})"
            continue
        operation, result = _MIRRORING[what]
        there = list(at.pages(operation, result, [*at.ours, {"Name": "tag:Name", "Values": [name]}]))
        if not there or (or_replaced and any(_back(at, what, described) is not None for described in there)):
            yield used


def _protected_table(at: _DeployedSite) -> Iterator[str]:
    if at.table.is_protected:
        what = f"the table {at.table.name}"
        yield _switched_on(at, what, "response.deletion_protection", response_stack_name(at.name))


def _protected_buckets(at: _DeployedSite) -> Iterator[str]:
    kept = {one: name for one in (False, True) if (name := _undeletable_bucket(at, access_logs=one)) is not None}
    # A deploy with these settings has no protection to lift, or is refused because it would delete the bucket.
    without = next((given for one in kept if (given := _names_another(at, access_logs=one))), ())
    for name in kept.values():
        what = f"the bucket {name}, which holds objects,"
        lift = _switched_on(at, what, "xdr.landing.deletion_protection", xdr_stack_name(at.name), without=without)
        yield f"{lift}; {_where_forgotten(name)}"


def _buckets_that_go(at: _DeployedSite) -> Iterator[str]:
    """Find the buckets that a deploy would delete, because the file names others, and that Terraform may not delete.

    It would fail only once their policies and their blocks of public access are gone.
    """
    here = f"sites.{at.name}.xdr.landing"
    for access_logs in (False, True):
        if not (given := " and ".join(_names_another(at, access_logs=access_logs))):
            continue
        if (name := _undeletable_bucket(at, access_logs=access_logs)) is not None:
            yield (
                f"the bucket {name}, which holds objects, has deletion protection, and this deploy would delete it: "
                f"take {here}.{given} out of {at.file}; if it is to be deleted with its objects, first run "
                f'make deploy ARGS="{xdr_stack_name(at.name)}" without {given}, and with {here}.deletion_protection '
                f"set to false; {_where_forgotten(name)}"
            )


def _names_another(at: _DeployedSite, *, access_logs: bool) -> tuple[str, ...]:
    """Return the settings of the landing with which Terraform makes no such bucket."""
    landing = at.site.xdr.landing if at.site.xdr is not None else None
    if landing is None:
        return ()
    if landing.bucket is not None:
        # A key is refused without the bucket that it encrypts.
        return ("bucket", "bucket_key_arn") if landing.bucket_key_arn is not None else ("bucket",)
    return ("access_log_bucket",) if access_logs and landing.access_log_bucket is not None else ()


def _where_forgotten(bucket: str) -> str:
    """Return the way out where Terraform no longer manages a bucket, and so neither deletes it nor changes its tags.

    The command writes all other tags again: S3 takes a bucket's tags as a whole.
    """
    others = f"{{TagSet: TagSet[?Key!='{DELETION_PROTECTION_TAG}']}}"
    return (
        f"or, where terraform state rm took the bucket out of the state, remove its tag {DELETION_PROTECTION_TAG}, and "
        f'no other: aws s3api put-bucket-tagging --bucket {bucket} --tagging "$(aws s3api get-bucket-tagging '
        f'--bucket {bucket} --query "{others}" --output json)"'
    )


def _undeletable_bucket(at: _DeployedSite, *, access_logs: bool) -> str | None:
    """Return the name of a bucket that the telemetry's stack made, where Terraform may not delete it.

    It may not where the bucket holds objects and has deletion protection.
    """
    from botocore.exceptions import ClientError

    s3 = at.access.client("s3")
    name = landing_bucket_name(at.deployment.project, at.name, at.access.account, access_logs=access_logs)
    try:
        tags = _tags({"Tags": s3.get_bucket_tagging(Bucket=name)["TagSet"]})
    except ClientError as error:
        if error.response["Error"]["Code"] in _NO_TAGGED_BUCKET:
            return None
        raise
    if tags.get(DELETION_PROTECTION_TAG) != "on":
        return None
    found = s3.list_object_versions(Bucket=name, MaxKeys=1)
    return name if found.get("Versions") or found.get("DeleteMarkers") else None


def _kept_alerts(at: _DeployedSite) -> Iterator[str]:
    """Find alerts of other tools that were answered as kept, in queues that are deleted with what takes alerts."""
    waiting = alert_queue_name(at.deployment.project, at.name)
    failed = alert_dead_letters_name(at.deployment.project, at.name)
    if (there := _messages(at, waiting)) is not None:
        first = "have their tools send no more, and wait until tapstack xdr status shows none"
        yield _kept(at, waiting, there, counted(there.count, "alert"), first)
    if (there := _messages(at, failed)) is not None:
        partition, region = at.access.arn.split(":")[1], at.access.region
        arn = f"arn:{partition}:sqs:{region}:{at.access.account}:{failed}"
        first = f"have them decided about (aws sqs start-message-move-task --source-arn {arn} --region {region})"
        yield _kept(at, failed, there, counted(there.count, "alert"), first)


def _dead_letters(at: _DeployedSite) -> Iterator[str]:
    """Find findings and sweeps that no function processed, in the queue that is deleted with the response."""
    name = dead_letters_name(at.deployment.project, at.name)
    if (there := _messages(at, name)) is not None:
        first = (
            f"read them (aws sqs receive-message --queue-url {there.url} --max-number-of-messages 10 --region "
            f"{at.access.region}), and open an incident about each instance that needs one"
        )
        what = f"{counted(there.count, 'dead letter')} (findings and sweeps that could not be delivered, or failed)"
        yield _kept(at, name, there, what, first)


@dataclass(frozen=True)
class _Messages:
    """How many messages are in a queue, one at least, and its URL."""

    count: int
    url: str


def _messages(at: _DeployedSite, name: str) -> _Messages | None:
    """Return what is in a queue; None where there is no such queue, or nothing is in it."""
    sqs = at.access.client("sqs")
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        return None
    count = messages_at(sqs, url)
    return _Messages(count, url) if count else None


def _kept(at: _DeployedSite, name: str, there: _Messages, what: str, first: str) -> str:
    """Return that a queue holds what would be deleted with it, and what to do first."""
    return (
        f"the queue {name}, which would be deleted, holds {what}: {first}; or, where they are not "
        f"needed, delete them (aws sqs purge-queue --queue-url {there.url} --region {at.access.region})"
    )


def _kept_alerts_that_go(at: _DeployedSite) -> Iterator[str]:
    """Find alerts in the queues that a deploy would delete, because the file has no source of alerts any more."""
    if at.site.response is not None and not at.site.response.alerts.sources:
        yield from _kept_alerts(at)


def _webhook_secrets_that_go(at: _DeployedSite) -> Iterator[str]:
    """Find the secrets that a deploy would delete, because the file has no such source of webhooks any more.

    A secret without a value is none that a tool signs with.
    """
    from botocore.exceptions import ClientError

    if at.site.response is None:
        return
    sources = at.site.response.alerts.to_domain().sources
    for arn in _webhook_secrets(at):
        # Secrets Manager adds a hyphen and six characters to the name.
        name = arn.partition(":secret:")[2][:-7]
        source = name.rpartition("/")[2]
        if source in sources and sources[source].webhook:
            continue
        try:
            described = at.access.client("secretsmanager").describe_secret(SecretId=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == _NO_SECRET:
                continue
            raise
        if described.get("VersionIdsToStages"):
            yield (
                f"{at.file} has no source {source} with webhook: true any more: this deploy deletes the secret {name} "
                "for good, and the webhooks of its tool are then refused, and lost. To keep it, put "
                f"sites.{at.name}.response.alerts.sources.{source} back, with webhook: true; if it was renamed, "
                "afterwards run tapstack xdr rotate-secret --source NAME, and give the tool the new secret and the new "
                "address; if it is to go, first have the tool send no more"
            )


def _webhook_secrets(at: _DeployedSite) -> list[str]:
    """Return the ARNs of the deployed secrets: those that the function may read which takes webhooks.

    A deploying role may list no secrets, and Terraform reads this policy, too.
    """
    from botocore.exceptions import ClientError

    role = alert_function_name(at.deployment.project, at.name)
    try:
        policy = at.access.client("iam").get_role_policy(RoleName=role, PolicyName=_POLICY_OF_FUNCTION)
    except ClientError as error:
        if error.response["Error"]["Code"] == _NO_ROLE:
            return []
        raise
    return [
        arn
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == _READS_SECRETS
        for arn in statement["Resource"]
    ]


def _response_left_out(at: _DeployedSite) -> Iterator[str]:
    """Find a response that the file no longer has: it must be destroyed before the capture, which it may use."""
    if at.site.response is None and at.table.is_there:
        yield (
            f"the response of this site, with the table {at.table.name}, still exists, and may use this capture: "
            f"put sites.{at.name}.response back into {at.file}, and destroy both, the response first (make "
            f'destroy ARGS="{response_stack_name(at.name)} {at.name}")'
        )


def _table(at: _DeployedSite) -> str:
    return incidents_table_name(at.deployment.project, at.name)


def _switched_on(at: _DeployedSite, what: str, setting: str, stack: str, *, without: Sequence[str] = ()) -> str:
    """Return what lifts a protection: a setting, without others that stand beside it."""
    out = f", take {' and '.join(without)} out beside it" if without else ""
    return (
        f"{what} has deletion protection: set sites.{at.name}.{setting} to false in {at.file}{out}, and run "
        f'make deploy ARGS="{stack}"'
    )


def _open_incidents(at: _DeployedSite) -> Iterator[str]:
    filters = [*at.ours, {"Name": "tag-key", "Values": [TAG_INCIDENT]}]
    sessions: dict[str, list[str]] = {}
    for session in at.pages("describe_traffic_mirror_sessions", "TrafficMirrorSessions", filters):
        sessions.setdefault(_tags(session)[TAG_INCIDENT], []).append(session["NetworkInterfaceId"])
    for incident, interfaces in sessions.items():
        yield f"{incident} captures {_some(interfaces)}: close it (tapstack incident close {incident})"


def _contained(at: _DeployedSite) -> Iterator[str]:
    groups = [group["GroupId"] for group in _groups_of_containment(at)]
    for attached, instance in _attached_groups(at, groups):
        yield f"{attached}: release the instance ({_release_command(at, instance)})"


def _contained_by_what_goes(at: _DeployedSite) -> Iterator[str]:
    """Find the instances in a group of containment that a deploy would delete, because the file no longer has it."""
    response, setting = at.site.response, f"sites.{at.name}.response.containment"
    containment = response.containment if response is not None else None
    going: dict[str, list[str]] = {}
    for group in _groups_of_containment(at):
        if containment is None:
            back = setting
        elif group["VpcId"] not in (at.site.vpc_id, *containment.vpc_ids):
            back = f"{group['VpcId']} in {setting}.vpc_ids"
        elif _tags(group)[TAG_PURPOSE] == "untrack" and not containment.two_step.enabled:
            back = f"{setting}.two_step.enabled"
        else:
            continue
        going.setdefault(back, []).append(group["GroupId"])
    for back, groups in going.items():
        for attached, instance in _attached_groups(at, groups):
            yield (
                f"{attached}: this deploy would delete it: put {back} back into {at.file}; or release the instance "
                f"first ({_release_command(at, instance)})"
            )


def _restored_no_longer(at: _DeployedSite) -> Iterator[str]:
    """Find what containment changed and a release could not restore after the deploy, for lack of a permission."""
    response, setting = at.site.response, f"sites.{at.name}.response.containment"
    containment = response.containment if response is not None else None
    lost: dict[tuple[str, str], list[str]] = {}
    for instance_id, kind in at.table.not_restored():
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
            f"{back} {at.file}; or release the instance first ({_release_command(at, instance_id)})"
        )


def _release_command(at: _DeployedSite, instance_id: str | None) -> str:
    """Return the command that releases an instance, whichever incidents hold it contained."""
    holders = at.holders.get(instance_id or "", ())
    command = undo_containment_command(holders[0] if holders else "ID")
    return f"{command} --all" if len(holders) > 1 else command


def _groups_of_containment(at: _DeployedSite) -> Iterator[dict[str, Any]]:
    filters = [*at.ours, {"Name": f"tag:{TAG_PURPOSE}", "Values": list(get_args(Purpose))}]
    return at.pages("describe_security_groups", "SecurityGroups", filters)


def _launched_appliance(at: _DeployedSite) -> Iterator[str]:
    stack = _launched_stack(at)
    if stack is None:
        return
    launch = at.site.response.appliance.launch if at.site.response is not None else None
    if launch is None:
        retired = "close the incidents and wait until it is deleted, or delete it now"
    elif (minutes := launch.retire_after_minutes) is None:
        retired = "nothing deletes it (retire_after_minutes: null): delete it"
    else:
        retired = f"wait until it is deleted, {counted(minutes, 'minute')} after the last incident, or delete it now"
    yield (
        f"the CloudFormation stack {stack['StackName']} ({stack['StackStatus']}), launched by an incident, would be "
        f"left behind: {retired}, with its packets ({_deletion(at, stack)})"
    )


def _launched_with_another_role(at: _DeployedSite) -> Iterator[str]:
    """Find a launched appliance whose role a deploy would change or delete: its deletion needs that role."""
    response, stack = at.site.response, _launched_stack(at)
    if response is None or stack is None:
        return
    launch = response.appliance.launch
    setting = f"sites.{at.name}.response.appliance.launch"
    if launch is None:
        change, back = "this deploy would delete its role", f"put {setting} back into"
    elif missing := [given for given in stack.get("Capabilities", ()) if given not in launch.capabilities]:
        change = f"this deploy would take {', '.join(missing)} from its role"
        back = f"put {setting}.capabilities back into"
    elif (had := _boundary(at, stack.get("RoleARN"))) and had != (launch.permissions_boundary or _made(at, had)):
        change = f"this deploy would take the permissions boundary {had} from its role"
        what = f"{setting}.permissions_boundary"
        back = f"take {what} out of" if had == _made(at, had) else f"put {what} back into"
    else:
        return
    yield (
        f"the CloudFormation stack {stack['StackName']} ({stack['StackStatus']}), launched by an incident, still exists"
        f", and {change}, without which CloudFormation cannot delete it: {back} {at.file}; or close the incidents "
        f"and wait until it is deleted, or delete it now, with its packets ({_deletion(at, stack)})"
    )


def _boundary(at: _DeployedSite, role_arn: str | None) -> str | None:
    """Return the permissions boundary that a stack's role requires of the roles that it creates; None without one."""
    from botocore.exceptions import ClientError

    if role_arn is None:
        return None
    try:
        policy = at.access.client("iam").get_role_policy(
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


def _made(at: _DeployedSite, boundary: str) -> str:
    """Return the ARN of the boundary that the response creates, in the partition of `boundary`."""
    name = launched_boundary_name(at.deployment.project, at.name)
    return f"{boundary.partition(':iam:')[0]}:iam::{at.access.account}:policy/{name}"


def _launched_stack(at: _DeployedSite) -> dict[str, Any] | None:
    """Return the stack of a launched appliance; one without the tags of the response is not the response's."""
    stack = _cloudformation_stack(at, at.deployment.launched_stack_name(at.name))
    return stack if stack is not None and at.owns(stack) and TAG_INCIDENT in _tags(stack) else None


def _deletion(at: _DeployedSite, stack: Mapping[str, Any]) -> str:
    return f"aws cloudformation delete-stack --stack-name {stack['StackName']} --region {at.access.region}"


def _protected_appliance(at: _DeployedSite) -> Iterator[str]:
    name = at.deployment.stack_name(at.name)
    stack = _cloudformation_stack(at, name)
    if stack is None:
        if not at.site.remove_packet_basics:
            yield from _protected_by_another_name(at)
    elif stack["StackStatus"] in _NEVER_CREATED and at.site.packet_basics is not None:
        if at.site.packet_basics.deletion_protection:
            yield (
                f"the appliance was never created (CloudFormation stack {name}, {stack['StackStatus']}), and Terraform "
                f"keeps what it recorded of it: set sites.{at.name}.packet_basics.deletion_protection to false in "
                f"{at.file}"
            )
    elif _keeps_packets(at, stack):
        what = f"the appliance, in the CloudFormation stack {name}, keeps packets, and"
        yield _switched_on(at, what, "packet_basics.deletion_protection", at.name)


def _failed_appliance(at: _DeployedSite) -> Iterator[str]:
    """Find the stack of an appliance whose creation failed: Terraform would replace it, and refuses that.

    It records the place before it makes the stack. So the record has to go too where the file has another place now;
    where it has not, the next deploy makes it again.
    """
    stack = None
    if at.site.packet_basics is not None:
        stack = _cloudformation_stack(at, at.deployment.stack_name(at.name))
    if stack is None or not at.owns(stack):
        return
    name, status = stack["StackName"], stack["StackStatus"]
    options = f"--stack-name {name} --region {at.access.region}"
    if status in _ENDING:
        yield (
            f"the CloudFormation stack {name} is in {status}: wait until that has ended (aws cloudformation "
            f"describe-stacks {options}), and run the same command again"
        )
    elif status in _NEVER_CREATED:
        reason = f": {stack['StackStatusReason']}" if stack.get("StackStatusReason") else ""
        records = RECORDS_OF_PLACE_WITH_ROLE if stack.get("RoleARN") else RECORDS_OF_PLACE
        forget = f"terraform -chdir={at.outdir}/stacks/{at.name} state rm {' '.join(records)}"
        yield (
            f"the appliance was never created, and its CloudFormation stack {name} can only be deleted ({status}"
            f"{reason}): remove the cause, delete the stack, and the record of the place (aws cloudformation "
            f"delete-stack {options} && aws cloudformation wait stack-delete-complete {options} && {forget}); then run "
            "the same command again"
        )


def _keeps_packets(at: _DeployedSite, described: Mapping[str, Any]) -> bool:
    """Return whether an appliance is protected, by its tag or by the file, which Terraform uses."""
    given = at.site.packet_basics
    return _tags(described).get(DELETION_PROTECTION_TAG) == "on" or (given is not None and given.deletion_protection)


def _protected_by_another_name(at: _DeployedSite) -> Iterator[str]:
    """Find an appliance whose stack has another name than in the file, or that the file does not have."""
    given, setting = at.site.packet_basics, f"sites.{at.name}.packet_basics"
    filters = [
        *at.ours,
        {"Name": "tag-key", "Values": [DELETION_PROTECTION_TAG]},
        {"Name": "instance-state-name", "Values": list(PRESENT_STATES)},
    ]
    for reservation in at.pages("describe_instances", "Reservations", filters):
        for instance in reservation["Instances"]:
            keeps = f"the appliance {instance['InstanceId']} keeps packets"
            if given is None:
                yield (
                    f"{keeps}: put {setting} back into {at.file}; or, if it is to be deleted with them, set "
                    f"sites.{at.name}.remove_packet_basics to true there"
                )
            elif _keeps_packets(at, instance):
                stack = _tags(instance).get(STACK_NAME_TAG, "NAME")
                yield (
                    f"{keeps}, and has deletion protection: set {setting}.stack_name to {stack}, as it was, and "
                    f'{setting}.deletion_protection to false in {at.file}, and run make deploy ARGS="{at.name}"'
                )


def _cloudformation_stack(at: _DeployedSite, name: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        found = at.access.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return dict(found[0])


def _protected_load_balancers(at: _DeployedSite) -> Iterator[str]:
    for name, _ in _load_balancers_with_protection(at):
        setting = f"targets.{name}.load_balancer"
        if _load_balancer(at.site, name) is not None:
            yield _switched_on(at, f"the load balancer {name}", f"{setting}.deletion_protection", at.name)
        else:
            yield (
                f"the load balancer {name} has deletion protection: put sites.{at.name}.{setting} back into "
                f'{at.file}, with deletion_protection: false, and run make deploy ARGS="{at.name}"'
            )


def _protected_load_balancers_that_go(at: _DeployedSite) -> Iterator[str]:
    """Find load balancers that a deploy would delete: AWS refuses that only after their listeners are deleted."""
    for name, balancer in _load_balancers_with_protection(at):
        setting = f"sites.{at.name}.targets.{name}.load_balancer"
        given = _load_balancer(at.site, name)
        if given is None:
            change, back = "delete it", setting
        elif gone := _subnets_that_go(balancer, given):
            change, back = "replace it", f"{', '.join(gone)} in {setting}.subnet_ids"
        else:
            continue
        yield (
            f"the load balancer {name} has deletion protection, and this deploy would {change}: put {back} back into "
            f"{at.file}; if it is to be deleted, first set {setting}.deletion_protection to false there, and run "
            f'make deploy ARGS="{at.name}", in a deploy of its own'
        )


def _load_balancers_with_protection(at: _DeployedSite) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the protected load balancers of the site, each with the name of its mirror target."""
    client = at.access.client("elbv2")
    for name, balancer in at.load_balancers:
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


def _sessions_of_others(at: _DeployedSite) -> Iterator[str]:
    for used, remedy, _ in _sessions_on(at, lambda *_: "goes"):
        yield f"{used}: {remedy}"


def _sessions_on_what_goes(at: _DeployedSite) -> Iterator[str]:
    """Find sessions on targets and filters that a deploy would delete.

    AWS refuses the deletion, or, where the session is of another account, ends its mirroring.
    """
    for used, remedy, back in _sessions_on(at, _back):
        yield f"{used}, and this deploy would delete it: {back} {at.file}; or first {remedy}"


_Back = Callable[[_DeployedSite, str, Mapping[str, Any]], str | None]
"""Returns the change of the file that would keep a mirror target or filter; None where it is kept anyway."""


def _sessions_on(at: _DeployedSite, back: _Back) -> Iterator[tuple[str, str, str]]:
    """Yield the sessions of others on targets and filters that would be deleted: use, remedy, and how to keep it."""
    seen = set()
    for what, operation, result, key in (
        ("target", "describe_traffic_mirror_targets", "TrafficMirrorTargets", "TrafficMirrorTargetId"),
        ("filter", "describe_traffic_mirror_filters", "TrafficMirrorFilters", "TrafficMirrorFilterId"),
    ):
        found = {item[key]: back(at, what, item) for item in at.pages(operation, result, at.ours)}
        going = {name: kept for name, kept in found.items() if kept is not None}
        ids = list(going)
        for start in range(0, len(ids), _VALUES_OF_A_FILTER):
            filters = [{"Name": f"traffic-mirror-{what}-id", "Values": ids[start : start + _VALUES_OF_A_FILTER]}]
            for session in at.pages("describe_traffic_mirror_sessions", "TrafficMirrorSessions", filters):
                name, own = session["TrafficMirrorSessionId"], at.owns(session)
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
                    remedy = f"delete it (aws ec2 {command} --region {at.access.region})"
                    if (owner := session.get("OwnerId", at.access.account)) != at.access.account:
                        remedy = f"ask its owner, the account {owner}, to delete it"
                    yield f"{used}, which is not of this site", remedy, kept


def _back(at: _DeployedSite, what: str, described: Mapping[str, Any]) -> str | None:
    """Return the change of the file that would keep a target or filter which a deploy would delete or replace."""
    tags = _tags(described)
    name = tags.get("Name", "NAME")
    setting = f"sites.{at.name}.{what}s.{name}"
    if (stack := tags.get(STACK_NAME_TAG)) is not None:
        return None if TAG_INCIDENT in tags else _appliance_back(at, stack)
    if name not in (at.site.targets if what == "target" else at.site.filters):
        return f"put {setting} back into"
    return _replacing(at, name, setting, described) if what == "target" else None


def _appliance_back(at: _DeployedSite, stack: str) -> str | None:
    """Return what keeps the appliance of a CloudFormation stack, whose target and filter go with it."""
    setting, wanted = f"sites.{at.name}.packet_basics", at.deployment.stack_name(at.name)
    if at.site.packet_basics is None:
        return f"put {setting} back into"
    if stack.startswith(f"{wanted}-"):
        # It may be nested in the one that stays: its name then begins with that one's.
        root = (_cloudformation_stack(at, stack) or {}).get("RootId")
        stack = root.split("/")[1] if root else stack
    return None if stack == wanted else f"set {setting}.stack_name to {stack}, as it was, in"


def _replacing(at: _DeployedSite, name: str, setting: str, described: Mapping[str, Any]) -> str | None:
    """Return the settings that a target needs to be kept: AWS cannot change them, so Terraform replaces the target."""
    given = at.site.targets[name]
    balancer = described.get("NetworkLoadBalancerArn")
    if balancer and given.load_balancer is not None:
        made = {each["LoadBalancerArn"]: each for of, each in at.load_balancers if of == name}
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
    usual = at.deployment.description(at.name, name)
    before = described.get("Description", "")
    if balancer or before == (given.description or usual):
        return None
    return f"take {setting}.description out of" if before == usual else f"set {setting}.description to {before!r} in"


def _rules_on_the_way(at: _DeployedSite) -> Iterator[str]:
    """Find filters whose rules cannot be changed in place: AWS would refuse rules, or packets would be lost."""
    for described in at.pages("describe_traffic_mirror_filters", "TrafficMirrorFilters", at.ours):
        tags, filter_id = _tags(described), described["TrafficMirrorFilterId"]
        name = tags.get("Name", "")
        if STACK_NAME_TAG in tags or name not in at.site.filters:
            continue  # the appliance's own, or one that is deleted
        old = [_rule(rule) for key in _RULES_OF_A_FILTER for rule in described.get(key, ())]
        new = number_rules(at.site.filters[name].to_domain().rules)
        another = (
            f"give sites.{at.name}.filters.{name} another name wherever {at.file} names it, so that it is made "
            "anew before sessions leave this one"
        )
        if (most := rules_in_between(old, new)) > limits.RULES_PER_FILTER:
            yield (
                f"the filter {name} ({filter_id}) would need {most} rules while this deploy changes them, because new "
                f"ones are made before old ones are deleted, and AWS takes {limits.RULES_PER_FILTER}: {another}"
            )
        elif (loss := first_loss(old, new)) is not None and _mirrors(at, filter_id):
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


def _mirrors(at: _DeployedSite, filter_id: str) -> bool:
    """Return whether a session uses a filter."""
    uses = [{"Name": "traffic-mirror-filter-id", "Values": [filter_id]}]
    sessions = at.pages("describe_traffic_mirror_sessions", "TrafficMirrorSessions", uses)
    return next(sessions, None) is not None


def _exchanged_numbers(at: _DeployedSite) -> Iterator[str]:
    """Find groups that would exchange session numbers on an interface: AWS refuses each number while it is in use."""
    wanted = session_numbers(at.site)
    described: dict[str, dict[int, str]] = {}
    used = wanted.all()
    for session in at.pages("describe_traffic_mirror_sessions", "TrafficMirrorSessions", at.ours):
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
                way_out = _way_out(at, chain, interface, wanted)
                exchanged.setdefault((tuple(sorted(chain)), way_out), []).append(interface)
    free = set(range(1, min(max(used, default=0) + 1, limits.SESSION_NUMBER[1]) + 1)) - used
    for (chained, way_out), interfaces in exchanged.items():
        yield (
            f"the groups of sessions {' and '.join(chained)} would exchange their numbers on {_some(interfaces)}, "
            f"which AWS refuses (Session number N is in use): {way_out} session_number: {max(free)}, "
            "and apply again where AWS says in use"
        )


def _way_out(at: _DeployedSite, chain: Sequence[str], interface: str, wanted: SessionNumbers) -> str:
    """Return the remedy for an exchange of numbers, up to the number to set."""
    numbered = {
        group
        for group in chain
        for source in at.site.sessions[group].sources
        if source.network_interface_id == interface and source.session_number is not None
    }
    written = numbered or any(at.site.sessions[group].session_number is not None for group in chain)
    restored = "restore their numbers" if written else "restore their order"
    last = max(chain, key=lambda group: wanted.on(group, interface))
    setting = f"sites.{at.name}.sessions.{last}"
    who = f"the source {interface} of {setting}" if last in numbered else setting
    return f"{restored} in {at.file}; or give {who}"


def _quarantined(at: _DeployedSite) -> Iterator[str]:
    for attached, _ in _attached_groups(at, [group["GroupId"] for group in _quarantine_groups(at)]):
        yield f"{attached}: {_ANOTHER_GROUP}"


def _quarantined_by_what_goes(at: _DeployedSite) -> Iterator[str]:
    """Find the interfaces in a quarantine group that a deploy would delete."""
    going: dict[str, list[str]] = {}
    for group in _quarantine_groups(at):
        if not at.site.quarantine_security_group:
            back = f"set sites.{at.name}.quarantine_security_group to true in"
        elif group["VpcId"] != at.site.vpc_id:
            back = f"set sites.{at.name}.vpc_id to {group['VpcId']} in"
        else:
            continue
        going.setdefault(back, []).append(group["GroupId"])
    for back, groups in going.items():
        for attached, _ in _attached_groups(at, groups):
            yield f"{attached}: this deploy would delete it: {back} {at.file}; or first {_ANOTHER_GROUP}"


def _quarantine_groups(at: _DeployedSite) -> Iterator[dict[str, Any]]:
    names = [at.deployment.quarantine_group_name(at.name), DEFAULT_NAME]
    filters = [*at.ours, {"Name": "group-name", "Values": names}]
    return at.pages("describe_security_groups", "SecurityGroups", filters)


def _attached_groups(at: _DeployedSite, groups: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield which group is on which interface, in words, and the interface's instance."""
    if not groups:
        return
    in_groups = [{"Name": "group-id", "Values": groups}]
    for interface in at.pages("describe_network_interfaces", "NetworkInterfaces", in_groups):
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


_Check = Callable[[_DeployedSite], Iterator[str]]
_OF_RESPONSE: Final[Mapping[str, _Check]] = {
    "deletion protection of the table": _protected_table,
    "open incidents": _open_incidents,
    "contained instances": _contained,
    "launched appliances": _launched_appliance,
    "alerts that wait": _kept_alerts,
    "dead letters": _dead_letters,
}
_OF_XDR: Final[Mapping[str, _Check]] = {
    "deletion protection of the buckets of telemetry": _protected_buckets,
}
_OF_DEPLOYED_XDR: Final[Mapping[str, _Check]] = {
    "deletion protection of buckets of telemetry": _buckets_that_go,
}
_OF_DEPLOYED_RESPONSE: Final[Mapping[str, _Check]] = {
    "the capture that it uses": _capture_not_deployed,
    "contained instances": _contained_by_what_goes,
    "prior states of contained instances": _restored_no_longer,
    "launched appliances": _launched_with_another_role,
    "alerts that wait": _kept_alerts_that_go,
}
_OF_DEPLOYED_CAPTURE: Final[Mapping[str, _Check]] = {
    "failed creations of the appliance": _failed_appliance,
    "rules of filters": _rules_on_the_way,
    "numbers of sessions": _exchanged_numbers,
    "deletion protection of load balancers": _protected_load_balancers_that_go,
    "sessions of others": _sessions_on_what_goes,
    "instances in quarantine": _quarantined_by_what_goes,
}
_LEFT_BY_DEPLOYED_RESPONSE: Final[Mapping[str, _Check]] = {
    "secrets of webhooks": _webhook_secrets_that_go,
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
