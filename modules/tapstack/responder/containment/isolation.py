"""Containing an instance: its prior state is recorded, then changed, in the order that loses the least evidence.

1. The prior states are stored in the table before anything is changed.
2. Before isolation, in parallel and for a few seconds at most: the protection of evidence (stop on shutdown, keep
   volumes on termination, protect from termination) and standby in the Auto Scaling group. An attacker who loses the
   connection may wipe the machine, and a group that finds the instance unhealthy terminates it.
3. Isolation waits no longer than that, and is made even if the step before fails.
4. After isolation: connection tracking, the role, load balancers and snapshots. To find the load balancers of an
   instance takes a call for each target group, which is too slow to wait for. Standby deregisters the instance from
   those of its Auto Scaling group, and the end of standby registers it again.

A function that is killed between any two calls can be run again: the table has the prior state, and every change may
be made twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain.containment import (
    KINDS,
    Change,
    Facts,
    Kind,
    Plan,
    PriorState,
    change_name,
    names_of,
    plan_containment,
    stays_connected,
    tags_word,
    text_of,
    with_connected,
)
from tapstack.domain.containment_settings import DeployedContainment
from tapstack.domain.counts import counted
from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.outside_text import quoted, word
from tapstack.domain.regions import AccountRegion
from tapstack.responder.aws.clients import PARALLEL
from tapstack.responder.aws.errors import is_transient, said_by
from tapstack.responder.containment.changes import OF_KIND
from tapstack.responder.containment.changes.gone import Gone, NotManaged
from tapstack.responder.containment.inspect import inspect_instance, with_balancers
from tapstack.responder.environment import environment
from tapstack.responder.errors import ContainmentFailed, ContainmentRefused, TryAgain
from tapstack.responder.store import containments, incidents, requests
from tapstack.responder.store.containments import Containment
from tapstack.responder.store.incidents import Incident

NO_NEW_DECISION: Final = "only a new decision contains it again"
_WAIT_INTERRUPTED: Final = "no longer: the wait was interrupted; contained all the same"
HEAD_START_SECONDS: Final = 5.0
"""How long isolation waits for the changes that should come before it."""
_BEFORE: Final[tuple[Kind, ...]] = ("shutdown", "volume", "termination", "standby")
_AFTER: Final[tuple[Kind, ...]] = ("tracking", "profile", "target-group", "classic-balancer", "snapshots")


def plan(
    instance_id: str, where: AccountRegion | None = None, *, override_tags: bool = False, begun: bool = False
) -> Plan:
    """Return what containing an instance would change, now.

    Args:
        instance_id: which.
        where: it is.
        override_tags: tags do not protect it.
        begun: its containment has begun.

    Raises:
        ContainmentRefused: there is no such instance.
    """
    recorded = containments.prior_states(instance_id, where)
    facts = inspect_instance(instance_id)
    return plan_containment(facts, _settings(), recorded, override_tags=override_tags, begun=begun)


def overrides_tags(incident: Incident) -> bool:
    """Return whether two persons decided that tags do not protect the instance of an incident."""
    containment = incident.containment
    if containment is None or containment.state not in ("pending", "containing", "contained"):
        # What was decided then has ended.
        return False
    return bool(containment.overridden_tags)


def has_begun(incident: Incident) -> bool:
    """Return whether the containment of an incident has passed its checks: from then on it holds the instance.

    Also where it has failed in part since, whatever was requested after that. A tag that it gets then protects it from
    nothing: whoever controls the instance may have written it, to keep another interface connected, or to have it left
    with the open group between two steps.
    """
    if incident.containment_state == "contained":
        return True
    if incident.instance_id is None:
        return False
    there = containments.get(incident.instance_id, incident.where)
    return there is not None and there.wanted and incident.id in there.holders


def contain(incident_id: str) -> dict[str, Any]:
    """Contain the instance of an incident, or isolate the interfaces that were attached to it since.

    Returns:
        `status` `contained`; `wait` with `seconds` and `next`, between two steps; or `overtaken` where the incident
        was released meanwhile: what was changed until then has to be restored.

    Raises:
        ContainmentRefused: a rule of the settings forbids it; nothing was changed.
        ContainmentFailed: an interface could not be isolated.
        TryAgain: throttled, or overtaken by others.
    """
    incident = incidents.get(incident_id)
    if incident.waits_for_packets:
        # Whatever ended the wait of the workflow. From here on it is contained, and cannot be rejected any more.
        requests.end_packets_wait(incident, _WAIT_INTERRUPTED)
        incident = incidents.get(incident_id)
    if incident.containment_state not in incidents.WANTED_CONTAINMENT:
        # Released, or failed, since containment was requested: nothing is isolated without a request.
        return {"status": "overtaken"}
    return _Containing(incident, _settings()).run()


def _settings() -> DeployedContainment:
    settings = environment().containment
    if settings is None:
        raise ContainmentRefused("containment is not configured for this site")
    return settings


class _Containing:
    """One attempt to contain an instance."""

    def __init__(self, incident: Incident, settings: DeployedContainment) -> None:
        self.incident = incident
        self.settings = settings
        self.instance_id = incident.instance_id or ""
        self.failures: list[tuple[PriorState, BaseException]] = []
        self.connected: set[str] = set()
        """The interfaces that are not isolated yet."""

    def run(self) -> dict[str, Any]:
        if not self.instance_id:
            raise ContainmentRefused("the incident names network interfaces, and no instance")
        there = containments.get(self.instance_id, self.incident.where)
        facts, plan, remembered = self._inspect()
        held = self._hold(there, facts)
        if held is None:
            self._end_released()
            return {"status": "overtaken"}
        if _moved(there, held):
            # It was released during the inspection: what was read may be out of date.
            facts, plan, remembered = self._inspect()
        self.connected = {change.key for change in plan.changes if change.what == "groups"}
        self._record_prior_states(held, plan.changes, remembered)
        waiting = self._waiting(held)
        with ThreadPoolExecutor(PARALLEL) as pool:
            first = [pool.submit(self._record_changes, waiting), *self._begin(pool, _of(waiting, _BEFORE))]
            wait(first, timeout=HEAD_START_SECONDS)
            pause = self._isolate(held, _of(waiting, ("groups",)))
            _gather(first)
        self._raise_transient()
        if pause:
            return {"status": "wait", "seconds": pause, "next": "isolate"}
        self._record_prior_states(held, self._balancers(facts, waiting), waiting)
        waiting = self._waiting(held)
        self._do(_of(waiting, _AFTER))
        self._raise_transient()
        containments.finish_containing(held)
        self._record(waiting, plan)
        return {"status": "contained"}

    def _inspect(self) -> tuple[Facts, Plan, list[PriorState]]:
        remembered = containments.prior_states(self.instance_id, self.incident.where)
        facts = inspect_instance(self.instance_id, balancers=False)
        plan = plan_containment(
            facts,
            self.settings,
            remembered,
            override_tags=overrides_tags(self.incident),
            begun=has_begun(self.incident),
        )
        if plan.refused is not None:
            raise ContainmentRefused(plan.refused)
        return facts, plan, remembered

    def _hold(self, there: Containment | None, facts: Facts) -> Containment | None:
        counts = there is None or not there.in_place
        most = self.settings.per_hour
        by_policy = self.incident.requested_containment.decided_by_policy
        if counts and not containments.count(self.instance_id, most, self.incident.where, by_policy=by_policy):
            were = f"{counted(most, 'instance')} {'was' if most == 1 else 'were'}"
            whose = "the policy" if by_policy else "responders"
            next_hour = as_text((utc_now() + timedelta(hours=1)).replace(minute=0, second=0))
            raise ContainmentRefused(
                f"per_hour is {most}: {were} contained by {whose} in this clock hour. Contain it again from "
                f"{next_hour} on, or contain it by hand now (docs/containment.md)"
            )
        group = self.settings.groups[facts.vpc_id].quarantine
        return containments.hold(self.incident, vpc_id=facts.vpc_id, quarantine_group_id=group)

    def _end_released(self) -> None:
        """Record, where the incident still requests it, that a release has ended its request."""
        # Of what was contained already, the release records that itself.
        begun = self.incident.containment_state == "contained"
        ended = None if begun else requests.withdraw(self.incident)
        if ended is not None:
            self._add_event("containment ended", f"{self.instance_id} was released since: {NO_NEW_DECISION}")

    def _record_prior_states(self, held: Containment, changes: Sequence[Change], remembered: list[PriorState]) -> None:
        known = {(one.kind, one.key): one for one in containments.waiting(held, remembered)}
        containments.record(held, changes, remembered)
        for change in changes:
            there = known.get((change.what, change.key))
            if there is not None and change.what == "groups" and change.before != there.before:
                had = text_of(change.before, names_of(change))
                self._add_event("contained again", f"{change.key} had {had} meanwhile, by others")

    def _waiting(self, held: Containment) -> list[PriorState]:
        found = containments.waiting(held, containments.prior_states(self.instance_id, self.incident.where))
        # Those that were not taken are not asked for any more: neither done nor not done.
        return [one for one in found if one.kind != "snapshots" or one.made or self.settings.snapshots]

    def _balancers(self, facts: Facts, waiting: list[PriorState]) -> list[Change]:
        """Return the changes of load balancers that have the instance; called after isolation."""
        if not self.settings.load_balancers.deregister:
            return []
        plan = plan_containment(with_balancers(facts), self.settings, waiting, override_tags=True, begun=True)
        return [change for change in plan.changes if change.what in ("target-group", "classic-balancer")]

    def _isolate(self, held: Containment, interfaces: list[PriorState]) -> int:
        """Change the security groups of all interfaces; return the seconds to wait before the second of two steps."""
        two_step = self.settings.two_step
        if two_step.enabled and held.state != "contained" and any(one.interim for one in interfaces):
            if not held.untracked_at:
                self._do(interfaces, interim=True)
                self._fail_unless_isolated()
                containments.mark_untracked(held)
                return two_step.seconds
            if (left := held.untracked_at + two_step.seconds - int(time.time())) > 0:
                return left
        self._do(interfaces)
        self._fail_unless_isolated()
        return 0

    def _do(self, prior_states: list[PriorState], *, interim: bool = False) -> None:
        with ThreadPoolExecutor(PARALLEL) as pool:
            _gather(self._begin(pool, prior_states, interim=interim))

    def _begin(
        self, pool: ThreadPoolExecutor, prior_states: list[PriorState], *, interim: bool = False
    ) -> list[Future[None]]:
        return [pool.submit(self._change, one, interim) for one in prior_states]

    def _change(self, prior: PriorState, interim: bool) -> None:
        if prior.kind == "snapshots" and not self.settings.snapshots:
            # They are switched off since they were taken, and the role may not even describe them any more. What else
            # is changed cannot be switched off before its release: a deploy refuses that.
            return
        to = prior.interim if interim and prior.interim else prior.after
        try:
            made_at = OF_KIND[prior.kind].change(self.instance_id, prior, to)
            if prior.kind == "snapshots" and (made_at is not None or not prior.made):
                # EC2 may show them late, and the next attempt would take others.
                containments.mark_made(self.instance_id, prior, self.incident.where, made_at)
        except Gone:
            return
        except (ClientError, NotManaged, TryAgain) as error:
            self.failures.append((prior, error))
        except Exception as error:
            if not is_transient(error):
                raise
            self.failures.append((prior, error))

    def _fail_unless_isolated(self) -> None:
        """Raise an error where an interface is not isolated."""
        failed = {prior.key: error for prior, error in self.failures if prior.kind == "groups"}
        # Those that are isolated already were given their group again: first what is connected.
        ordered = sorted(failed, key=lambda interface: (interface not in self.connected, interface))
        for interface in ordered:
            if _is_retriable(failed[interface]):
                raise TryAgain(f"{interface}: {said_by(failed[interface])}")
        if not ordered:
            return
        if self.incident.containment_state == "contained":
            # Until they are isolated, detached or released, which the sweeper sees.
            lines = {
                interface: stays_connected(interface, f"AWS refuses its isolation: {said_by(failed[interface])}")
                for interface in ordered
                if interface in self.connected
            }
            not_done = self.incident.requested_containment.not_done
            requests.record_not_done(self.incident, with_connected(not_done, lines))
        raise ContainmentFailed(f"{ordered[0]} is NOT isolated: {said_by(failed[ordered[0]])}")

    def _raise_transient(self) -> None:
        for prior, error in self.failures:
            if _is_retriable(error):
                raise TryAgain(f"{change_name(prior.kind, prior.key)}: {said_by(error)}")

    def _record_changes(self, waiting: list[PriorState]) -> None:
        """Record in the incident what is about to be changed: operators find it there if this fails."""
        requests.record_changes(self.incident.id, _lines(waiting))

    def _record(self, waiting: list[PriorState], plan: Plan) -> None:
        warnings = plan.warnings
        failed = {(one.kind, one.key) for one, _ in self.failures}
        changed = _lines(one for one in waiting if (one.kind, one.key) not in failed)
        refused = [f"{change_name(prior.kind, prior.key)}: {said_by(error)}" for prior, error in self.failures]
        recorded = requests.record_contained(self.incident.id, changed, [*warnings, *refused])
        # What is to be changed is recorded before it is: an attempt before this one may have recorded the same.
        again = self.incident.containment_state == "contained"
        before = self.incident.requested_containment
        same = again and list(before.changed) == changed
        if not recorded:
            return
        if not same:
            if plan.overridden:
                self._add_event("protection overridden", self._overridden(plan.overridden))
            self._add_event("contained", "; ".join(changed))
        for line in (*warnings, *(f"not done: {line}" for line in refused)):
            if not same or line.removeprefix("not done: ") not in before.not_done:
                self._add_event("warning", line)

    def _overridden(self, tags: Sequence[str]) -> str:
        containment = self.incident.requested_containment
        if not containment.overridden_tags:
            return f"its {tags_word(tags)}, which it got after its containment began, does not protect it"
        reason = quoted(containment.override_reason)
        return f"its {tags_word(tags)}, as {word(containment.asked_by)} requested: {reason}"

    def _add_event(self, what: str, detail: str) -> None:
        incidents.add_event(self.incident.id, "containment", what, detail)


def _moved(before: Containment | None, held: Containment) -> bool:
    """Return whether another function changed the containment between the two, besides this one holding it."""
    if before is None or before.state == "absent":
        return held.turn != (before.turn if before else 0) + 1
    return before.turn != held.turn


def _gather(futures: Iterable[Future[None]]) -> None:
    for future in futures:
        future.result()


def _lines(prior_states: Iterable[PriorState]) -> list[str]:
    ordered = sorted(prior_states, key=lambda one: (KINDS.index(one.kind), one.key))
    return [str(one) for one in ordered]


def _is_retriable(error: BaseException) -> bool:
    return isinstance(error, TryAgain) or is_transient(error)


def _of(prior_states: Iterable[PriorState], kinds: tuple[Kind, ...]) -> list[PriorState]:
    found = [one for one in prior_states if one.kind in kinds]
    return sorted(found, key=lambda one: (kinds.index(one.kind), one.key))
