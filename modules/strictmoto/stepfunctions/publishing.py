"""What an execution publishes: its status to EventBridge, its history to CloudWatch Logs.

Sources: Step Functions Developer Guide, "Automating Step Functions event delivery with EventBridge" and "Using
CloudWatch Logs to log execution history"; Step Functions API Reference, LoggingConfiguration ("required, if your log
level is not set to OFF", one destination, an ARN that ends with `:*`) and CreateStateMachine
(InvalidLoggingConfiguration). The first two texts are those that Step Functions sends; of a group that there is not the
code and the text are inferred.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

from moto.core.exceptions import AWSError
from moto.stepfunctions.parser.asl.eval.event.logging import is_logging_enabled_for
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from strictmoto.requests.arns import is_somewhere

# The most that an event holds of input and output together, in bytes.
_MOST_DATA: Final = 248 * 1024
_COLONS_OF_GROUPS: Final = 7


def publish(run: Any) -> None:
    """Publish to EventBridge the status of an execution of a Standard workflow."""
    from strictmoto.events import bus

    if run.sm_type != "STANDARD":
        return
    output = None if run.output is None else to_json_str(run.output, separators=(",", ":"))
    sizes = len(json.dumps(run.execution_input)), len(json.dumps(output))
    with_output = sizes[1] <= _MOST_DATA
    with_input = sizes[0] + (sizes[1] if with_output else 0) <= _MOST_DATA
    detail = {
        "executionArn": run.exec_arn,
        "stateMachineArn": run.machine_arn,
        "name": run.name,
        "status": run.status,
        "startDate": _milliseconds(run.start_date),
        "stopDate": None if run.stop_date is None else _milliseconds(run.stop_date),
        "input": run.execution_input if with_input else None,
        "output": output if with_output else None,
        "inputDetails": {"included": with_input},
        "outputDetails": None if output is None else {"included": with_output},
        "error": run.error,
        "cause": run.cause,
        "stateMachineVersionArn": run.version_arn,
        "stateMachineAliasArn": run.alias_arn,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": None,
    }
    bus.publish(
        run.account_id,
        run.region_name,
        source="aws.states",
        detail_type="Step Functions Execution Status Change",
        detail=detail,
        resources=[run.exec_arn],
    )


def _milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


class Log:
    """Where an execution's history is written, with the methods that moto's history asks for."""

    def __init__(self, execution_arn: str, configuration: dict[str, Any]) -> None:
        """Write to the first destination of a state machine's logging configuration."""
        arn = configuration["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"]
        _, _, _, self._region, self._account, _, self._group, *_ = arn.split(":")
        self._level = configuration.get("level", "OFF")
        self.execution_arn = execution_arn
        self.configuration = SimpleNamespace(include_execution_data=configuration.get("includeExecutionData", False))
        machine = execution_arn.split(":")[6]
        now = datetime.datetime.now(datetime.UTC)
        self._stream = f"states/{machine}/{now:%Y-%m-%d-%H-%M}/{uuid.uuid4().hex[:8]}"

    def log_level_filter(self, history_event_type: Any) -> bool:
        """Whether the configured level has such events."""
        return bool(is_logging_enabled_for(self._level, history_event_type))

    def publish_history_log(self, history_log: dict[str, Any]) -> None:
        """Write one event."""
        from moto.logs.models import logs_backends

        backend = logs_backends[self._account][self._region]
        group = backend.groups.get(self._group)
        if group is None:
            return
        if self._stream not in group.streams:
            backend.create_log_stream(self._group, self._stream)
        moment = datetime.datetime.fromisoformat(history_log["event_timestamp"])
        entry = {**history_log, "event_timestamp": str(_milliseconds(moment))}
        events = [{"timestamp": _milliseconds(moment), "message": to_json_str(entry, separators=(",", ":"))}]
        backend.put_log_events(self._group, self._stream, events)


def check_form(configuration: Mapping[str, Any] | None) -> None:
    """Refuse a logging configuration that logs to no log group, to several, or to one that is named otherwise.

    Args:
        configuration: of a state machine, if any.

    Raises:
        AWSError: InvalidLoggingConfiguration.
    """
    given = configuration or {}
    if given.get("level", "OFF") == "OFF":
        return
    destinations = given.get("destinations") or []
    if len(destinations) != 1:
        raise _invalid("Must specify exactly one Log Destination.")
    arn = _group_arn(given)
    if not arn.endswith(":*") or arn.count(":") != _COLONS_OF_GROUPS:
        raise _invalid("Log Group ARN must be provided with '*' qualifier.")


def check_group(configuration: Mapping[str, Any] | None) -> None:
    """Refuse a log group that there is not.

    Args:
        configuration: of a state machine, if any, whose form is right.

    Raises:
        AWSError: InvalidLoggingConfiguration.
    """
    from moto.logs.models import logs_backends

    if (configuration or {}).get("level", "OFF") == "OFF":
        return
    arn = _group_arn(configuration or {})
    _, _, service, region, account, kind, group, *_ = arn.split(":")
    of_logs = (service, kind) == ("logs", "log-group") and is_somewhere(arn)
    if not of_logs or group not in logs_backends[account][region].groups:
        raise _invalid("The specified log group does not exist.")


def _group_arn(configuration: Mapping[str, Any]) -> str:
    destination = configuration["destinations"][0].get("cloudWatchLogsLogGroup") or {}
    return str(destination.get("logGroupArn") or "")


def _invalid(reason: str) -> AWSError:
    return AWSError(f"Invalid Logging Configuration: {reason}", "InvalidLoggingConfiguration")


def log_of(execution_arn: str, configuration: dict[str, Any] | None) -> Log | None:
    """Return where an execution is logged; None where it is not."""
    if not configuration or configuration.get("level", "OFF") == "OFF" or not configuration.get("destinations"):
        return None
    return Log(execution_arn, configuration)
