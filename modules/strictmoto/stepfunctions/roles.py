"""What the role of a state machine must be allowed before there is one: its log, and rules that Step Functions manages.

Sources: Step Functions Developer Guide, "Using CloudWatch Logs to log execution history" (IAM policies for logging) and
"How Step Functions generates IAM policies for integrated services", at each service (Run a Job, `.sync`). That each of
these actions is looked at when the state machine is made is inferred; the texts are those that Step Functions sends.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.core.exceptions import AWSError
from moto.utilities.utils import get_partition

from strictmoto.iam.access import principal_may
from strictmoto.iam.enforcement import Connection
from strictmoto.requests.documents import read_json
from strictmoto.running import running

_SERVICE: Final = "states.amazonaws.com"
_DELIVERY: Final = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
_MANAGING: Final = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
_RULES: Final[Mapping[str, str]] = {
    "batch:submitJob": "StepFunctionsGetEventsForBatchJobsRule",
    "codebuild:startBuild": "StepFunctionsGetEventForCodeBuildStartBuildRule",
    "codebuild:startBuildBatch": "StepFunctionsGetEventForCodeBuildStartBuildBatchRule",
    "ecs:runTask": "StepFunctionsGetEventsForECSTaskRule",
    "elasticmapreduce:addStep": "StepFunctionsGetEventForEMRAddJobFlowStepsRule",
    "elasticmapreduce:createCluster": "StepFunctionsGetEventForEMRRunJobFlowRule",
    "elasticmapreduce:terminateCluster": "StepFunctionsGetEventForEMRTerminateJobFlowsRule",
    "sagemaker:createTrainingJob": "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "sagemaker:createTransformJob": "StepFunctionsGetEventsForSageMakerTransformJobsRule",
    "states:startExecution": "StepFunctionsGetEventsForStepFunctionsExecutionRule",
}
"""By the integration that waits for a job: the rule by which it hears of its end."""


def check_role(
    role_arn: str, definition: str, logging: Mapping[str, Any] | None, *, account_id: str, region: str
) -> None:
    """Refuse a role that may not do what Step Functions does with it besides the tasks.

    Args:
        role_arn: of the state machine.
        definition: that is valid.
        logging: its configuration, if any.
        account_id: of the state machine.
        region: of the state machine.

    Raises:
        AWSError: AccessDeniedException.
    """
    if not running().enforces_iam:
        return
    may = functools.partial(principal_may, role_arn, connection=Connection.of_service(_SERVICE), region=region)
    logging = logging or {}
    if logging.get("level", "OFF") != "OFF" and logging.get("destinations"):
        for action in _DELIVERY:
            if not may(action, "*"):
                message = "The state machine IAM Role is not authorized to access the Log Destination"
                raise AWSError(message, "AccessDeniedException")
    for rule in sorted(set(_rules_of(read_json(definition)))):
        arn = f"arn:{get_partition(region)}:events:{region}:{account_id}:rule/{rule}"
        if not all(may(action, arn) for action in _MANAGING):
            raise AWSError(f"'{role_arn}' is not authorized to create managed-rule.", "AccessDeniedException")


def _rules_of(part: Any) -> Iterator[str]:
    """Yield the rules that a definition needs, at any depth."""
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _rules_of(value)
    if isinstance(part, dict) and part.get("Type") == "Task":
        integration, _, pattern = str(part.get("Resource")).partition(":states:::")[2].partition(".")
        if pattern.startswith("sync") and integration in _RULES:
            yield _RULES[integration]
