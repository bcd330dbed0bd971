"""The state machine of incidents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.capture.iam_documents import trusting
from tapstack.capture.place import Place
from tapstack.capture.scaffold import suppress_checkov
from tapstack.domain.iam_documents import Statement, document
from tapstack.response import workflow
from tapstack.response.key import ResponseKey
from tapstack.response.logs import log_group


class IncidentWorkflow(AwsConstruct):
    """A Step Functions Standard state machine; an incident's capture is an execution of the same name.

    Its history is kept by Step Functions for 90 days and can be looked at step by step. The log has
    every event of it without its data: what alerts say stays in the table.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the state machine, up to 80 characters.
        role_name: of its role, up to 64 characters.
        place: where it is deployed to.
        key: encrypts its log.
        functions: ARN of each of `workflow.FUNCTIONS` by name, and of `workflow.CONTAINMENT_FUNCTIONS` where there are.
        wait_for_packets: whether a containment waits until packets are seen.
        log_retention_days: how long the log is kept.
        tags: on the state machine, its role and its log.

    See "Logging using CloudWatch Logs" and "Creating an IAM role for your state machine" in the AWS Step
    Functions Developer Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        role_name: str,
        place: Place,
        key: ResponseKey,
        functions: Mapping[str, str],
        wait_for_packets: bool,
        log_retention_days: int,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the state machine, its role and its log group."""
        super().__init__(scope, id_)
        # The prefix keeps the account's one resource policy of delivered logs short.
        logs = log_group(
            self,
            "Logs",
            name=f"/aws/vendedlogs/states/{name}",
            key=key,
            retention_days=log_retention_days,
            tags=tags,
        )
        role: Any = aws.IamRole(
            self,
            "Role",
            name=role_name,
            description="Tapstack: the workflow of incidents",
            assume_role_policy=json_text(trusting("states.amazonaws.com", place)),
            tags=dict(tags) if tags else None,
        )
        policy: Any = aws.IamRolePolicy(
            self,
            "Policy",
            name="workflow",
            role=role.name,
            policy=json_text(document(_statements(place, functions))),
        )
        self.resource: Any = aws.SfnStateMachine(
            self,
            "Resource",
            name=name,
            type="STANDARD",
            # By way of the policy: Step Functions checks at creation that it may deliver logs.
            role_arn=place.role_arn(policy.role),
            definition=json_text(
                workflow.definition(functions, partition=place.partition, wait_for_packets=wait_for_packets)
            ),
            logging_configuration=aws.SfnStateMachineLoggingConfiguration(
                level="ALL", include_execution_data=False, log_destination=f"{logs.arn}:*"
            ),
            tracing_configuration=aws.SfnStateMachineTracingConfiguration(enabled=True),
            tags=dict(tags) if tags else None,
        )
        suppress_checkov(
            self.resource,
            {"CKV_AWS_285": "All events are logged; their data is left out, because it may repeat what alerts say."},
        )

    @property
    def arn(self) -> str:
        """Its ARN, as a token."""
        return str(self.resource.arn)


def _statements(place: Place, functions: Mapping[str, str]) -> list[Statement]:
    return [
        {
            "Sid": "InvokeFunctions",
            "Effect": "Allow",
            "Action": "lambda:InvokeFunction",
            "Resource": [
                functions[name] for name in (*workflow.FUNCTIONS, *workflow.CONTAINMENT_FUNCTIONS) if name in functions
            ],
        },
        {
            "Sid": "DeliverLogs",
            "Effect": "Allow",
            "Action": [
                "logs:CreateLogDelivery",
                "logs:GetLogDelivery",
                "logs:UpdateLogDelivery",
                "logs:DeleteLogDelivery",
                "logs:ListLogDeliveries",
                "logs:PutResourcePolicy",
                "logs:DescribeResourcePolicies",
                "logs:DescribeLogGroups",
            ],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": place.region}},
        },
        {
            "Sid": "WriteTraces",
            "Effect": "Allow",
            "Action": [
                "xray:PutTraceSegments",
                "xray:PutTelemetryRecords",
                "xray:GetSamplingRules",
                "xray:GetSamplingTargets",
            ],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": place.region}},
        },
    ]
