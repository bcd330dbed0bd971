"""What invokes functions without a request: findings of GuardDuty and Security Hub, and the schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.capture.iam_documents import trusting
from tapstack.capture.place import Place
from tapstack.domain.finding_documents import (
    EVENT_DETAIL_TYPE,
    EVENT_SOURCE,
    SECURITY_HUB_DETAIL_TYPE,
    SECURITY_HUB_EVENT_SOURCE,
    SECURITY_HUB_V2_DETAIL_TYPE,
    THREAT_CATEGORIES,
)
from tapstack.domain.iam_documents import Statement, document
from tapstack.domain.incidents import SWEEP_MINUTES
from tapstack.domain.names import Prefix, name_within
from tapstack.domain.ocsf import DETECTION_FINDING
from tapstack.response import policies
from tapstack.response.dead_letters import DeadLetters
from tapstack.response.functions import ResponderFunction
from tapstack.response.key import ResponseKey

# A finding is retried for a day; a sweep is not, because the next one follows.
FINDING_AGE_SECONDS: Final = 24 * 3600
SWEEP_AGE_SECONDS: Final = 600


class GuardDutyFindings(AwsConstruct):
    """Sends every GuardDuty finding of the account and Region to a function, which applies the policy.

    All findings, whatever their severity: what is done about one is the policy's matter, in one
    place. Where GuardDuty is off, none come. An administrator account of GuardDuty gets the findings of its
    members too: those are for the responses of the members.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the rule, up to 64 characters.
        place: where it is deployed to.
        function: what receives them.
        dead_letters: where those end that could not be delivered for a day.
        tags: on the rule.

    See "Processing GuardDuty findings with Amazon EventBridge" in the Amazon GuardDuty User Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        place: Place,
        function: ResponderFunction,
        dead_letters: DeadLetters,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the rule and its target."""
        super().__init__(scope, id_)
        self.resource = _rule(
            self,
            "Resource",
            name=name,
            description="GuardDuty findings, for the policy to decide about",
            pattern={
                "source": [EVENT_SOURCE],
                "detail-type": [EVENT_DETAIL_TYPE],
                "detail": {"accountId": [place.account], "region": [place.region]},
            },
            tags=tags,
        )
        _deliver(self, "Target", self.resource, function, dead_letters)
        function.allow("GuardDuty", principal="events.amazonaws.com", source_arn=self.resource.arn)


class SecurityHubFindings(AwsConstruct):
    """Sends findings of Security Hub about EC2 instances of the account and Region to a function.

    Of Security Hub CSPM those of its types of threats, active and neither suppressed nor resolved; of Security Hub
    (v2) detection findings. Findings about the configuration of an instance are left out: they are no alerts. Where
    Security Hub is off, none come.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        names: of the two rules, for CSPM and v2, up to 64 characters each.
        place: where it is deployed to.
        function: what receives them.
        dead_letters: where those end that could not be delivered for a day.
        tags: on the rules.

    See "Using EventBridge for automated response and remediation" and "Types taxonomy for ASFF" in the AWS Security
    Hub User Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: tuple[str, str],
        place: Place,
        function: ResponderFunction,
        dead_letters: DeadLetters,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the rules and their targets."""
        super().__init__(scope, id_)
        cspm = {
            "AwsAccountId": [place.account],
            "Region": [place.region],
            "RecordState": ["ACTIVE"],
            "Workflow": {"Status": ["NEW", "NOTIFIED"]},
            "Types": [{"prefix": f"{category}/"} for category in THREAT_CATEGORIES],
            "Resources": {"Type": ["AwsEc2Instance"]},
        }
        v2 = {
            "class_uid": [DETECTION_FINDING],
            "cloud": {"account": {"uid": [place.account]}, "region": [place.region]},
            "resources": {"type": ["AWS::EC2::Instance"]},
        }
        for name, id_of_rule, detail_type, findings in (
            (names[0], "Cspm", SECURITY_HUB_DETAIL_TYPE, cspm),
            (names[1], "V2", SECURITY_HUB_V2_DETAIL_TYPE, v2),
        ):
            rule = _rule(
                self,
                id_of_rule,
                name=name,
                description="findings of Security Hub, for the policy to decide about",
                pattern={
                    "source": [SECURITY_HUB_EVENT_SOURCE],
                    "detail-type": [detail_type],
                    "detail": {"findings": findings},
                },
                tags=tags,
            )
            _deliver(self, f"{id_of_rule}Target", rule, function, dead_letters)
            function.allow(f"SecurityHub{id_of_rule}", principal="events.amazonaws.com", source_arn=rule.arn)


def _rule(
    scope: Construct,
    id_: str,
    *,
    name: str,
    description: str,
    pattern: Mapping[str, Any],
    tags: Mapping[str, str] | None,
) -> Any:
    return aws.CloudwatchEventRule(
        scope,
        id_,
        name=name,
        description=f"Tapstack: {description}",
        event_pattern=json_text(pattern),
        tags=dict(tags) if tags else None,
    )


def _deliver(scope: Construct, id_: str, rule: Any, function: ResponderFunction, dead_letters: DeadLetters) -> None:
    """Deliver what a rule matches to a function, for a day."""
    aws.CloudwatchEventTarget(
        scope,
        id_,
        rule=rule.name,
        target_id="responder",
        arn=function.arn,
        dead_letter_config=aws.CloudwatchEventTargetDeadLetterConfig(arn=dead_letters.arn),
        retry_policy=aws.CloudwatchEventTargetRetryPolicy(
            maximum_event_age_in_seconds=FINDING_AGE_SECONDS, maximum_retry_attempts=185
        ),
    )


class SweeperSchedule(AwsConstruct):
    """Starts the sweeper every `SWEEP_MINUTES` minutes.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        prefix: begins the names of the schedule and its role.
        place: where it is deployed to.
        function: what sweeps.
        dead_letters: where an invocation ends that failed for 10 minutes.
        key: encrypts the schedule.
        tags: on its role; a schedule takes none.

    See "Setting up Amazon EventBridge Scheduler" in the EventBridge Scheduler User Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: Prefix,
        place: Place,
        function: ResponderFunction,
        dead_letters: DeadLetters,
        key: ResponseKey,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the schedule and its role."""
        super().__init__(scope, id_)
        role: Any = aws.IamRole(
            self,
            "Role",
            name=name_within(prefix, "sweeper-schedule"),
            description="Tapstack: starts the sweeper",
            assume_role_policy=json_text(trusting("scheduler.amazonaws.com", place)),
            tags=dict(tags) if tags else None,
        )
        statements: list[Statement] = [
            {
                "Sid": "InvokeSweeper",
                "Effect": "Allow",
                "Action": "lambda:InvokeFunction",
                "Resource": function.arn,
            },
            policies.send_to(dead_letters.arn),
            {
                "Sid": "UseKey",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": key.arn,
            },
        ]
        policy: Any = aws.IamRolePolicy(
            self, "Policy", name="schedule", role=role.name, policy=json_text(document(statements))
        )
        aws.SchedulerSchedule(
            self,
            "Resource",
            name=name_within(prefix, "sweeper"),
            description="Tapstack: delete expired sessions and unused appliances, correct targets, continue incidents",
            schedule_expression=f"rate({SWEEP_MINUTES} minutes)",
            flexible_time_window=aws.SchedulerScheduleFlexibleTimeWindow(mode="OFF"),
            kms_key_arn=key.arn,
            target=aws.SchedulerScheduleTarget(
                arn=function.arn,
                role_arn=place.role_arn(policy.role),
                input=json_text({"action": "sweep"}),
                dead_letter_config=aws.SchedulerScheduleTargetDeadLetterConfig(arn=dead_letters.arn),
                retry_policy=aws.SchedulerScheduleTargetRetryPolicy(
                    maximum_event_age_in_seconds=SWEEP_AGE_SECONDS, maximum_retry_attempts=5
                ),
            ),
        )
