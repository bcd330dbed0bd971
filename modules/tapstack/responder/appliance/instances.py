"""The instances of the launched appliance: whether they exist, and whether they run.

Sources: Amazon EC2 API Reference, DescribeInstances and StartInstances; AWS CloudFormation User Guide, "Resource tags".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE, as_text
from tapstack.domain.instance_states import PRESENT_STATES, RUNNING_STATES
from tapstack.domain.own_names import STACK_NAME_TAG
from tapstack.responder.appliance import stacks
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import is_transient, message_of
from tapstack.responder.environment import environment
from tapstack.responder.errors import ApplianceFailed

Described = Mapping[str, Any]
"""An instance, or a snapshot, as EC2 describes it."""
TAGS_NEEDED: Final = (
    f"where others took {TAG_DEPLOYMENT} or {TAG_SITE} off its instance, give it these tags again: no function may "
    "change an instance without them"
)


@dataclass(frozen=True, slots=True)
class Idle:
    """What of an appliance does not run.

    Attributes:
        said: what is wrong.
        commands: what an operator runs to have it run again.
        mark: what tells this from an earlier time.
    """

    said: str
    commands: tuple[str, ...]
    mark: str


def instances_of(stack_name: str) -> list[Described]:
    """Return the instances of the appliance that exist, by the tag that only CloudFormation sets.

    No caller can remove that tag: the packets of an instance are kept, whatever became of its other tags.
    """
    filters = [{"Name": f"tag:{STACK_NAME_TAG}", "Values": [stack_name, f"{stack_name}-*"]}]
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    found = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    of = [(one, _stack_of(one)) for one in found if one["State"]["Name"] in PRESENT_STATES]
    own = stacks.parts_of(stack_name, {name for _, name in of})
    return [one for one, name in of if name in own]


def _stack_of(instance: Described) -> str:
    return next(str(tag["Value"]) for tag in instance["Tags"] if tag["Key"] == STACK_NAME_TAG)


def start(settings: DeployedLaunch) -> tuple[str, ...]:
    """Start the instances that were stopped; return what does not run yet, empty once all run.

    Raises:
        ApplianceFailed: there is none, or AWS refuses.
    """
    there = instances_of(settings.stack_name)
    if not there:
        raise ApplianceFailed(f"{_none(settings)}: {'; '.join(_commands_without(settings))}")
    if stopped := [one["InstanceId"] for one in there if one["State"]["Name"] == "stopped"]:
        try:
            client("ec2").start_instances(InstanceIds=stopped)
        except ClientError as error:
            if is_transient(error):
                raise
            raise ApplianceFailed(
                f"the appliance, {', '.join(stopped)}, is stopped, and AWS refuses to start it: {message_of(error)}; "
                f"{TAGS_NEEDED}"
            ) from error
    return tuple(f"{one['InstanceId']} is {one['State']['Name']}" for one in there if one["State"]["Name"] != "running")


def idle(settings: DeployedLaunch) -> Idle | None:
    """Return what of an appliance that incidents use does not run; None where all of it does."""
    there = instances_of(settings.stack_name)
    if not there:
        return Idle(_none(settings), _commands_without(settings), "none")
    stopped = [one for one in there if one["State"]["Name"] not in RUNNING_STATES]
    if not stopped:
        return None
    ids = " ".join(one["InstanceId"] for one in stopped)
    said = " and ".join(f"{one['InstanceId']} is {one['State']['Name']}" for one in stopped)
    # The time of the last start: it may be stopped again.
    mark = " ".join(f"{one['InstanceId']} {as_text(one['LaunchTime'])}" for one in stopped)
    command = f"aws ec2 start-instances --region {environment().home.region} --instance-ids {ids}"
    return Idle(f"the appliance does not run: {said}", (command,), mark)


def _none(settings: DeployedLaunch) -> str:
    return f"the stack {settings.stack_name} of the appliance exists, and its instance was terminated outside Tapstack"


def _commands_without(settings: DeployedLaunch) -> tuple[str, ...]:
    region = environment().home.region
    return (
        f"aws cloudformation delete-stack --region {region} --stack-name {settings.stack_name}",
        "then open another incident, which launches another appliance",
    )
