"""What the functions of a response get as environment variables, and whether it is more than AWS Lambda accepts.

The construct writes it; the check of the deployment file measures the same, with examples of what AWS names later.

Source: AWS Lambda Developer Guide, "Lambda quotas": all environment variables of a function together hold 4 KB. The
error of a larger one quotes them as JSON ("String measured"), and so JSON is measured here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tapstack.domain import function_variables, policy
from tapstack.domain.capture_settings import CaptureSettings
from tapstack.domain.containment_settings import DeployedContainment
from tapstack.domain.own_names import EVENT_BUS, METRICS_NAMESPACE, METRICS_SERVICE
from tapstack.domain.policy_rules import Rule
from tapstack.domain.regions import AccountRegion
from tapstack.domain.webhook_secrets import DEFAULT_OVERLAP_HOURS

ENVIRONMENT_BYTES: Final = 4096
MEMORY_MEGABYTES: Final = 512
"""Lambda allocates CPU in proportion to memory: with half of it a cold start takes twice as long."""
_TOKEN: Final = re.compile(r"\$\{(?:TfToken\[[^]]*\]|[^{}]*)\}")
_ROOM_OF_A_TOKEN: Final = "x" * 64
"""The length of a role's name; ids of EC2 have at most 24 characters."""
_LISTED_BYTES: Final = 150
"""A part that takes less is not worth shortening."""


@dataclass(frozen=True, slots=True)
class FunctionEnvironment:
    """What the functions of a response get.

    Attributes:
        deployment: name of the deployment.
        site: name of the site.
        table: name of the table of incidents.
        state_machine_arn: of the workflow.
        topic_arns: topics that are notified.
        api_url: address of the API, which notifications name for their commands.
        home: account and Region of the site.
        vpc_id: of the site.
        capture: how incidents capture.
        appliance: what the functions read of it: see `domain.appliance_settings`.
        retention_days: how long closed incidents are kept.
        containment: how instances are contained; None where they are not.
        rules: the policy, which only the function that receives findings gets.
        open_scopes: of which a token needs one to open an incident; the gateway asks for one of another right's where
            the same request contains.
        landing_bucket: the bucket that unmatched alerts are kept in, which only the function that receives findings
            gets; None where there is none.
        alert_queue_url: the queue that alerts of other tools wait in, which only the function that takes them gets;
            None where none come in.
        overlap_hours: for how long a secret before is accepted that webhooks are signed with; likewise.
    """

    deployment: str
    site: str
    table: str
    state_machine_arn: str
    topic_arns: Sequence[str]
    api_url: str
    home: AccountRegion
    vpc_id: str
    capture: CaptureSettings
    appliance: Mapping[str, Any]
    retention_days: int
    containment: DeployedContainment | None
    rules: Sequence[Rule]
    open_scopes: Sequence[str] = ()
    landing_bucket: str | None = None
    alert_queue_url: str | None = None
    overlap_hours: int = DEFAULT_OVERLAP_HOURS

    def variables(self) -> dict[str, str]:
        """Return the variables of every function."""
        return {
            function_variables.DEPLOYMENT: self.deployment,
            function_variables.SITE: self.site,
            function_variables.TABLE: self.table,
            function_variables.STATE_MACHINE_ARN: self.state_machine_arn,
            function_variables.TOPIC_ARNS: ",".join(self.topic_arns),
            function_variables.EVENT_BUS_NAME: EVENT_BUS,
            function_variables.API_URL: self.api_url,
            function_variables.SETTINGS: _json(self._settings()),
            "POWERTOOLS_SERVICE_NAME": METRICS_SERVICE,
            "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }

    def policy_variables(self) -> dict[str, str]:
        """Return what the function that receives findings gets besides."""
        landing = {} if self.landing_bucket is None else {function_variables.LANDING_BUCKET: self.landing_bucket}
        return {function_variables.POLICY: _json(json.loads(policy.dump(self.rules))), **landing}

    def alert_variables(self) -> dict[str, str]:
        """Return what the function that takes alerts gets besides; nothing where none come in."""
        if self.alert_queue_url is None:
            return {}
        return {
            function_variables.ALERT_QUEUE: self.alert_queue_url,
            function_variables.OVERLAP: str(self.overlap_hours),
        }

    def problem(self, rooms: Mapping[str, str] | None = None) -> tuple[str, str] | None:
        """Return what is too large, with the part that takes most room; None where it fits.

        Args:
            rooms: examples of what tokens stand for; other tokens are taken for 64 characters.
        """
        own = (self.policy_variables(), self.alert_variables())
        size = max(_measure({**self.variables(), **its}, rooms or {}) for its in own)
        if size <= ENVIRONMENT_BYTES:
            return None
        parts = sorted(self._parts(rooms or {}).items(), key=lambda part: -part[1])
        listed = [f"{name} takes {taken:,}" for name, taken in parts if taken >= _LISTED_BYTES]
        return parts[0][0], (
            f"the functions' environment would have {size:,} bytes, and AWS Lambda accepts {ENVIRONMENT_BYTES:,}: "
            f"shorten what takes most of it: {', '.join(listed)}"
        )

    def _settings(self) -> Any:
        return {
            **self.home.as_dict(),
            "vpc_id": self.vpc_id,
            "capture": _without_nulls(asdict(self.capture)),
            "appliance": self.appliance,
            "retention_days": self.retention_days,
            **({"containment": _without_nulls(asdict(self.containment))} if self.containment else {}),
            **({"open_scopes": list(self.open_scopes)} if self.containment and self.open_scopes else {}),
        }

    def _parts(self, rooms: Mapping[str, str]) -> dict[str, int]:
        """Return the bytes that each part takes that the user can shorten, by its name in the file."""
        contained = (
            asdict(self.containment)
            if self.containment
            else {
                "protect": {},
                "groups": {},
                "approval": {},
            }
        )
        parts = {
            "policy": self.policy_variables(),
            "containment.protect": _json(contained["protect"]),
            "containment.approval": _json(contained["approval"]),
            "containment.vpc_ids": _json(_without_nulls(contained["groups"])),
            "notify.topic_arns": ",".join(self.topic_arns),
            "appliance": _json(self.appliance),
        }
        return {name: _measure(part, rooms) for name, part in parts.items()}


def example_of_api_url(region: str) -> str:
    """Return the longest address that the API of a Region can have."""
    return f"https://{'x' * 10}.execute-api.{region}.amazonaws.com.cn"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _without_nulls(value: Any) -> Any:
    """Leave out what is null: the functions take the default, which null always is."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def _measure(value: Any, rooms: Mapping[str, str]) -> int:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for token, example in rooms.items():
        text = text.replace(token, example)
    return len(_TOKEN.sub(_ROOM_OF_A_TOKEN, text).encode())
