"""The appliance of an incident: launched when an incident needs it, retired when none does.

An existing appliance needs no step. A launched one is a CloudFormation stack: the first incident creates it, later
incidents use it too, and it is retired after the last one. CloudFormation has the state of the stack, the table has the
incidents that use it. Each call reads both and takes one action. The workflow waits between calls; no function does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from tapstack.domain.appliance_settings import DeployedLaunch, ExistingAppliance
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_INCIDENT, TAG_SITE, ApplianceState, as_time, utc_now
from tapstack.domain.outside_text import LONG, quoted
from tapstack.domain.own_names import STACK_NAME_TAG
from tapstack.domain.packet_basics import MIRROR_SOURCE
from tapstack.domain.regions import AccountRegion
from tapstack.responder.appliance import instances, mirror_target, snapshots, stacks
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.tags import has_our_tags, tags_of
from tapstack.responder.environment import environment
from tapstack.responder.errors import ApplianceFailed
from tapstack.responder.store import appliance as stored
from tapstack.responder.store import captures, incidents
from tapstack.responder.store.appliance import Appliance
from tapstack.responder.store.incidents import Incident

READY: Mapping[str, str] = {"status": "ready"}
WAIT: Mapping[str, str] = {"status": "wait"}
_LEFT_TO_THE_SWEEPER: Final = 6 * 3600
"""Seconds after which an execution leaves a retirement to the sweeper."""
_READY_WITHIN_HOURS: Final = 5
"""After which an incident fails that waits for its appliance: CloudFormation may take 4 to create it
(`TIMEOUT_MINUTES`), and the last one may have to be deleted before."""
_LAUNCHED_WITHIN_SECONDS: Final = 60
"""Seconds after which another incident launches the appliance, where the first one did not."""


def ensure(incident_id: str) -> Mapping[str, str]:
    """Take the next action towards an appliance that is ready; `status` is `ready`, or `wait` to be called again.

    Raises:
        ApplianceFailed: it could not be launched; what CloudFormation had created is deleted. Or it was not ready
            `_READY_WITHIN_HOURS` after the incident was opened.
    """
    incident = incidents.get(incident_id)
    status = _ensured(incident)
    if status == WAIT and utc_now() - as_time(incident.opened_at) > timedelta(hours=_READY_WITHIN_HOURS):
        # Each call is nine events of the execution, which has 25,000 at most.
        raise ApplianceFailed(f"the appliance was not ready within {_READY_WITHIN_HOURS} hours")
    return status


def _ensured(incident: Incident) -> Mapping[str, str]:
    incident_id, settings = incident.id, environment().appliance
    if isinstance(settings, ExistingAppliance):
        incidents.record_appliance(incident, mirror_target.existing(settings))
        return READY
    held = stored.hold(incident_id, incident.where)
    if held is None:
        retiring = stored.get()
        # Snapshots of large volumes take hours, a start of the stopped appliance takes minutes.
        if settings.snapshots is None or stored.resume(retiring, incident_id) is None:
            _continue_retirement(settings)
        return WAIT
    if 0 < incident.waits_for_launch <= held.failed_generation:
        # The launch failed, and another incident has recorded that.
        stored.release([incident_id])
        incidents.record_appliance(incident, mirror_target.launched(settings.stack_name, held, "failed"))
        raise ApplianceFailed(held.failure)
    detail = f"stack {settings.stack_name}"
    if held.state in ("absent", "launching"):
        incidents.transition(incident_id, "launching", by="appliance", detail=detail)
        return (_launch if held.state == "absent" else _check_launch)(settings, incident, held)
    stack = stacks.describe(held.stack_id or settings.stack_name)
    if stack is None or stack["StackStatus"] not in stacks.CREATED:
        if stack is not None and stack["StackStatus"].endswith(stacks.IN_PROGRESS):
            # Others update it, or delete it.
            _show_wait(incident, settings, held)
            return WAIT
        _check_empty(settings, stack)
        # The stack was deleted although incidents need it.
        snapshots.record_loss(settings, held)
        stored.record_lost(held)
        return WAIT
    # Without snapshots the function has no right to start it, and the sweeper warns where it is stopped.
    if (held.state == "resuming" or settings.snapshots is not None) and (waits := instances.start(settings)):
        if held.state == "ready" and incident.appliance is None:
            incidents.add_event(incident_id, "appliance", "starts the appliance", "; ".join(waits))
        _show_wait(incident, settings, held)
        return WAIT
    if held.state == "resuming" and stored.record_resumed(held) is None:
        return WAIT
    incidents.transition(incident_id, "launching", by="appliance", what="uses the appliance", detail=detail)
    incidents.record_appliance(incident, mirror_target.launched(settings.stack_name, held, "ready"))
    return READY


def _launch(settings: DeployedLaunch, incident: Incident, held: Appliance) -> Mapping[str, str]:
    existing = stacks.describe(settings.stack_name)
    if existing is not None:
        _check_owned(settings, existing)
        if existing["StackStatus"] not in stacks.CREATED and not existing["StackStatus"].endswith(stacks.IN_PROGRESS):
            _check_empty(settings, existing)
            # The rest of a failed launch has the name.
            stacks.delete(existing, held.generation)
            return WAIT
        if existing["StackStatus"] == "DELETE_IN_PROGRESS":
            return WAIT
    begun = stored.begin_launch(held, incident.id, incident.source_interface)
    if begun is None:
        return WAIT
    return _create(settings, incident, begun)


def _create(settings: DeployedLaunch, incident: Incident, begun: Appliance) -> Mapping[str, str]:
    _show_wait(incident, settings, begun)
    try:
        stack_id = stacks.create(settings, incident.id, begun.generation, incident.mirror_source)
    except ApplianceFailed as failed:
        stored.record_failure(begun, str(failed))
        raise
    if stack_id is not None:
        stored.record_stack(begun, stack_id)
    return WAIT


def _check_launch(settings: DeployedLaunch, incident: Incident, held: Appliance) -> Mapping[str, str]:
    incident = _show_wait(incident, settings, held)
    stack = stacks.describe(held.stack_id or settings.stack_name)
    if stack is None:
        # The function that launches it may have been killed before it called CloudFormation.
        patient = time.time() - held.launched_at < _LAUNCHED_WITHIN_SECONDS and held.launched_by != incident.id
        return WAIT if held.stack_id is not None or patient else _create(settings, incident, held)
    if held.stack_id is None:
        held = stored.record_stack(held, stack["StackId"]) or held
    status = stack["StackStatus"]
    if status != stacks.GONE:
        _check_owned(settings, stack)
    if status in stacks.CREATED:
        return _take_over(settings, incident, held, stack)
    if status.endswith(stacks.IN_PROGRESS):
        return WAIT  # a rollback is reported once it is complete
    reason = f"stack {settings.stack_name} failed: {stacks.reason_of_failure(stack)}"
    if status != stacks.GONE:
        stacks.delete(stack, held.generation)
    stored.record_failure(held, reason)
    incidents.record_appliance(incident, mirror_target.launched(settings.stack_name, held, "failed"))
    raise ApplianceFailed(reason)


def _take_over(settings: DeployedLaunch, incident: Incident, held: Appliance, stack: stacks.Stack) -> Mapping[str, str]:
    found = stacks.resources(stack)
    target_id = found.get(stacks.TARGET) or _by_name("target", settings.stack_name)
    filter_id = found.get(stacks.FILTER) or _by_name("filter", settings.stack_name)
    if target_id is None or filter_id is None:
        reason = f"stack {settings.stack_name} has no traffic mirror target, or no filter"
        stored.record_failure(held, reason)
        raise ApplianceFailed(reason)
    _adopt_session(stack, found.get(stacks.SESSION), held.where)
    ready = stored.record_ready(held, target_id=target_id, filter_id=filter_id, portal_url=stacks.portal_url(stack))
    if ready is None:
        return WAIT
    incidents.record_appliance(incident, mirror_target.launched(settings.stack_name, ready, "ready"))
    return READY


def _adopt_session(stack: stacks.Stack, session_id: str | None, where: AccountRegion) -> None:
    """Record the session that the stack created as the session of the incident that launched it."""
    source = stacks.parameter(stack, MIRROR_SOURCE)
    launched_by = tags_of(stack).get(TAG_INCIDENT)
    if session_id is None or source is None or launched_by is None:
        return
    capture = captures.acquire(source, launched_by, where)
    # While an earlier capture is ending, the start of this one first ends that, with this session, and creates another.
    if capture is None:
        captures.begin(source, session_id, where)
    else:
        captures.record(capture, session_id)


def _by_name(what: str, stack_name: str) -> str | None:
    """Find the stack's target or filter by its Name tag, in case the template has them in a nested stack.

    A Name tag alone proves nothing: any caller may set it. Only CloudFormation sets the tag with the stack's name, and
    says which stacks are nested in the appliance's; all resources of a launched stack have the deployment's tags.
    """
    named = environment()
    wanted = {
        "tag:Name": [f"{stack_name}.{what}"],
        f"tag:{STACK_NAME_TAG}": [stack_name, f"{stack_name}-*"],
        f"tag:{TAG_DEPLOYMENT}": [named.deployment],
        f"tag:{TAG_SITE}": [named.site],
    }
    name = f"traffic-mirror-{what}"
    pages = client("ec2").get_paginator(f"describe_traffic_mirror_{what}s")
    kind = f"TrafficMirror{what.capitalize()}"
    named_so = {
        str(item[f"{kind}Id"]): tags_of(item)[STACK_NAME_TAG]
        for page in pages.paginate(Filters=[{"Name": key, "Values": values} for key, values in wanted.items()])
        for item in page[f"{kind}s"]
    }
    ours = stacks.parts_of(stack_name, named_so.values())
    found = [item_id for item_id, stack in named_so.items() if stack in ours]
    if len(found) > 1:
        raise ApplianceFailed(f"several {name}s are called {stack_name}.{what}")
    return found[0] if found else None


def _check_owned(settings: DeployedLaunch, stack: stacks.Stack) -> None:
    if not has_our_tags(stack):
        raise ApplianceFailed(
            f"there is a stack {settings.stack_name} that no incident of this deployment launched: "
            "delete it, or use it as an existing appliance"
        )


def _check_empty(settings: DeployedLaunch, stack: stacks.Stack | None) -> None:
    """Check that a stack whose creation or deletion failed has no instance: its volumes may have packets.

    Where no snapshots are taken, packets are deleted with the appliance anyway.
    """
    if stack is None or stack["StackStatus"] == stacks.GONE or settings.snapshots is None:
        return
    if there := [str(one["InstanceId"]) for one in instances.instances_of(settings.stack_name)]:
        region = environment().home.region
        commands = [
            f"aws ec2 create-snapshots --region {region} --instance-specification InstanceId={one}" for one in there
        ]
        commands.append(f"aws cloudformation delete-stack --region {region} --stack-name {settings.stack_name}")
        raise ApplianceFailed(
            f"stack {settings.stack_name} is {stack['StackStatus']}, and {', '.join(there)} of it exists, which may "
            f"have packets: keep them, then delete the stack: {'; '.join(commands)}"
        )


def _show_wait(incident: Incident, settings: DeployedLaunch, held: Appliance) -> Incident:
    """Record in the incident that it waits for the appliance, and of which launch that is."""
    incidents.wait_for_launch(incident, held.generation)
    return incidents.record_appliance(incident, mirror_target.launched(settings.stack_name, held, "launching"))


def release(incident_id: str) -> dict[str, Any]:
    """Release the appliance; `retire` says whether to retire it `after_seconds`, if no other incident needs it."""
    settings = environment().appliance
    left = stored.release([incident_id])
    if isinstance(settings, ExistingAppliance) or settings.retire_after_minutes is None:
        return {"retire": False, "after_seconds": 0}
    retire = not left.holders and left.state != "absent"
    return {"retire": retire, "after_seconds": settings.retire_after_minutes * 60 if retire else 0}


def retire(incident_id: str) -> dict[str, str]:
    """Delete the appliance unless an incident needs it; `status` is `gone`, `kept`, or `wait` to be called again.

    `kept` also where its packets cannot be kept yet: the sweeper goes on then.

    Raises:
        ApplianceFailed: CloudFormation cannot delete it.
    """
    # The incident that released it last retires it, after its own waiting time.
    last = stored.get()
    status = "kept" if last.state == "ready" and last.released_by != incident_id else retire_unneeded()
    if status == "wait" and _seconds_overdue(last) > _LEFT_TO_THE_SWEEPER:
        # The history of an execution has 25,000 events at most, and large snapshots take hours.
        status = "kept"
    states: Mapping[str, ApplianceState] = {"gone": "gone", "wait": "retiring"}
    state = states.get(status)
    incident = incidents.get(incident_id)
    if state is not None and incident.appliance and incident.appliance.launched_by_us:
        incidents.record_appliance(incident, replace(incident.appliance, state=state))
    return {"status": status}


def retire_unneeded(*, again: bool = False) -> str:
    """Delete the appliance unless an incident needs it; return `gone`, `kept`, or `wait` to be called again.

    Args:
        again: retry a deletion that failed: its cause may be fixed.

    Raises:
        ApplianceFailed: CloudFormation cannot delete it.
    """
    settings = environment().appliance
    if isinstance(settings, ExistingAppliance):
        return "kept"
    now = stored.get()
    if now.state == "absent":
        return "gone"
    if now.state != "retiring" and (now.holders or stored.begin_retirement(now) is None):
        return "kept"
    return _continue_retirement(settings, again=again)


def running_hours() -> float:
    """Return for how many hours the launched appliance has been running; 0 without one."""
    if isinstance(environment().appliance, ExistingAppliance):
        return 0.0
    launched = stored.get()
    return 0.0 if launched.state == "absent" else (time.time() - launched.launched_at) / 3600


def overdue(appliance: Appliance) -> bool:
    """Return whether no incident has needed a launched appliance for longer than it is kept."""
    settings = environment().appliance
    if isinstance(settings, ExistingAppliance) or settings.retire_after_minutes is None or appliance.holders:
        return False
    return _seconds_overdue(appliance) >= 0


def _seconds_overdue(appliance: Appliance) -> float:
    """Return for how many seconds a launched appliance is to be retired; negative before that."""
    settings = environment().appliance
    minutes = None if isinstance(settings, ExistingAppliance) else settings.retire_after_minutes
    return time.time() - appliance.released_at - (minutes or 0) * 60


def _continue_retirement(settings: DeployedLaunch, *, again: bool = False) -> str:
    now = stored.get()
    if now.state != "retiring":
        return "wait"
    stack = stacks.describe(now.stack_id or settings.stack_name)
    gone = stack is None or stack["StackStatus"] == stacks.GONE
    if stack is not None and not gone:
        _check_owned(settings, stack)
    if stack is not None and stack["StackStatus"] == "DELETE_IN_PROGRESS":
        return "wait"
    # Before it was ready, it captured nothing.
    if settings.snapshots is not None and now.target_id is not None:
        progress = snapshots.keep(settings, settings.snapshots, now, stack_gone=gone, again=again)
        if progress != "complete" and not (gone and progress == "failed"):
            return {"failed": "kept"}.get(progress, progress)
    elif now.target_id is not None:
        snapshots.record_lost(now)
    if stack is None or gone:
        return _gone(now)
    if settings.snapshots is not None and stored.begin_deletion(now) is None:
        return "kept"
    if stack["StackStatus"] == "DELETE_FAILED" and not stacks.sessions_that_stay(stack):
        reason = stack.get("StackStatusReason")
        why = quoted(reason, LONG) if reason else "CloudFormation does not say why"
        if again:
            stacks.delete(stack, now.generation, again=True)
        raise ApplianceFailed(f"stack {settings.stack_name} cannot be deleted: {why}")
    stacks.delete(stack, now.generation)
    after = stacks.describe(stack["StackId"])
    if after is None or after["StackStatus"] == stacks.GONE:
        return _gone(now)
    return "wait"


def _gone(now: Appliance) -> str:
    # First the incidents: afterwards the table does not say any more which ones used it.
    incidents.record_gone_appliance(now.captured_for - now.holders, now.generation)
    stored.record_gone(now)
    return "gone"
