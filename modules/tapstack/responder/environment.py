"""The settings of a function, read from its environment variables at each cold start."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, TypeVar

from tapstack.domain import function_variables
from tapstack.domain.appliance_settings import DeployedLaunch, ExistingAppliance
from tapstack.domain.capture_settings import CaptureSettings
from tapstack.domain.containment_settings import DeployedContainment, QuarantineGroups, WaitForPackets
from tapstack.domain.evidence_settings import ApplianceSnapshots
from tapstack.domain.own_names import EVENT_BUS
from tapstack.domain.regions import AccountRegion
from tapstack.domain.webhook_secrets import DEFAULT_OVERLAP_HOURS

T = TypeVar("T", bound=Any)


@dataclass(frozen=True, slots=True)
class Environment:
    """The settings of a function.

    Attributes:
        deployment: name of the deployment, a tag of every resource.
        site: name of the site, the other tag.
        table: DynamoDB table.
        state_machine_arn: of the workflow.
        topic_arns: SNS topics that notifications are published to.
        api_url: address of the API; empty until a deployment of this version has set it.
        event_bus: EventBridge bus that events are published to.
        vpc_id: of the site.
        home: account and Region of the site; those of items in the table that name no other.
        capture: how packets are captured.
        appliance: what receives them.
        retention_days: how long a closed incident is kept.
        containment: how instances are contained; None where they cannot be.
        policy: what is done about findings, as JSON.
        open_scopes: of which a token needs one to open an incident.
        landing_bucket: the bucket that unmatched alerts are kept in; None where there is none.
        alert_queue_url: the queue that alerts of other tools wait in; empty in functions that put none there.
        overlap_hours: for how long the secret before is accepted that webhooks are signed with.
    """

    deployment: str
    site: str
    table: str
    state_machine_arn: str
    topic_arns: tuple[str, ...]
    event_bus: str
    vpc_id: str
    capture: CaptureSettings
    appliance: ExistingAppliance | DeployedLaunch
    retention_days: int
    api_url: str = ""
    home: AccountRegion = field(default_factory=lambda: AccountRegion("", ""))
    containment: DeployedContainment | None = None
    policy: str = field(default="[]", repr=False)
    open_scopes: tuple[str, ...] = ()
    landing_bucket: str | None = None
    alert_queue_url: str = ""
    overlap_hours: int = DEFAULT_OVERLAP_HOURS


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read the variables that the stack sets.

    Raises:
        KeyError: one is missing.
        ValueError: TAPSTACK_SETTINGS is not JSON.
        TypeError: a setting is missing or unknown.
    """
    settings = json.loads(variables[function_variables.SETTINGS])
    return Environment(
        deployment=variables[function_variables.DEPLOYMENT],
        site=variables[function_variables.SITE],
        table=variables[function_variables.TABLE],
        # A state machine names its functions, so those cannot all name it.
        state_machine_arn=variables.get(function_variables.STATE_MACHINE_ARN, ""),
        topic_arns=tuple(filter(None, variables.get(function_variables.TOPIC_ARNS, "").split(","))),
        event_bus=variables.get(function_variables.EVENT_BUS_NAME, EVENT_BUS),
        api_url=variables.get(function_variables.API_URL, ""),
        vpc_id=settings["vpc_id"],
        capture=_with(CaptureSettings(), settings["capture"]),
        appliance=_appliance(settings["appliance"]),
        retention_days=int(settings["retention_days"]),
        home=AccountRegion(settings.get("account_id", ""), settings.get("region", "")),
        containment=_containment(settings.get("containment")),
        policy=variables.get(function_variables.POLICY, "[]"),
        open_scopes=tuple(settings.get("open_scopes", ())),
        landing_bucket=variables.get(function_variables.LANDING_BUCKET),
        alert_queue_url=variables.get(function_variables.ALERT_QUEUE, ""),
        overlap_hours=int(variables.get(function_variables.OVERLAP, DEFAULT_OVERLAP_HOURS)),
    )


def _containment(settings: Mapping[str, Any] | None) -> DeployedContainment | None:
    if settings is None:
        return None
    groups = {vpc_id: QuarantineGroups(**pair) for vpc_id, pair in settings["groups"].items()}
    wait = settings.get("wait_for_packets")
    given = {"groups": groups, "wait_for_packets": None if wait is None else WaitForPackets(**wait)}
    return _with(DeployedContainment(), {**settings, **given})


def _with(defaults: T, settings: Mapping[str, Any]) -> T:
    """Return settings as JSON has them, in place of the defaults."""
    given = {
        name: _with(default, value) if is_dataclass(default := getattr(defaults, name, None)) else _frozen(value)
        for name, value in settings.items()
    }
    return replace(defaults, **given)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _appliance(settings: Mapping[str, Any]) -> ExistingAppliance | DeployedLaunch:
    if "existing" in settings:
        return ExistingAppliance(**{key: _frozen(value) for key, value in settings["existing"].items()})
    # Earlier versions left out what is null.
    launch = {"retire_after_minutes": None, "snapshots": None, "role_arn": None, **settings["launch"]}
    # CloudFormation accepts strings only; JSON may have numbers and booleans.
    parameters = {key: _text(value) for key, value in launch["parameters"].items()}
    snapshots = None if launch["snapshots"] is None else ApplianceSnapshots(**launch["snapshots"])
    given = {"parameters": parameters, "capabilities": tuple(launch["capabilities"]), "snapshots": snapshots}
    return DeployedLaunch(**{**launch, **given})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@functools.cache
def environment() -> Environment:
    """Return the settings of this function."""
    return read_environment(os.environ)
