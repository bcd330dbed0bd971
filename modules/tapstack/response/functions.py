"""One function of the responder: its role, its log, its code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.capture.iam_documents import trusting
from tapstack.capture.place import Place
from tapstack.capture.scaffold import suppress_checkov
from tapstack.domain.function_environment import MEMORY_MEGABYTES
from tapstack.domain.iam_documents import Statement, document
from tapstack.domain.names import Prefix, name_within
from tapstack.response import policies
from tapstack.response.dead_letters import DeadLetters
from tapstack.response.key import ResponseKey
from tapstack.response.logs import log_group
from tapstack.response.package import FunctionPackage

RUNTIME: Final = "python3.13"
ARCHITECTURE: Final = "arm64"
"""The package is pure Python, so it runs on both architectures; this one costs less."""


@dataclass(frozen=True)
class FunctionDefaults:
    """What all functions of a response have in common.

    Attributes:
        name: begins the names of the functions.
        place: where they are deployed to.
        key: encrypts their environment and logs.
        package: their code.
        file: path of the package, relative to the stack's Terraform.
        environment: variables of all of them.
        log_retention_days: how long their logs are kept.
        tags: on them, their roles and their logs.
    """

    name: Prefix
    place: Place
    key: ResponseKey
    package: FunctionPackage
    file: str
    environment: Mapping[str, str]
    log_retention_days: int
    tags: Mapping[str, str] | None


class ResponderFunction(AwsConstruct):
    """A Lambda function with a role of its own.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: which handler of `tapstack.responder.handlers` it runs; ends its name.
        defaults: what it has in common with the others.
        statements: what it may do besides writing its log and its traces.
        description: what it does.
        timeout_seconds: how long it may run, 1 to 900.
        environment: further variables.
        dead_letters: where events end that it failed to handle, for functions that are invoked asynchronously.

    See "Understanding the Lambda execution environment" and "Defining Lambda function permissions with
    an execution role" in the AWS Lambda Developer Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        defaults: FunctionDefaults,
        statements: Sequence[Statement],
        description: str,
        timeout_seconds: int,
        environment: Mapping[str, str] | None = None,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        """Create the function, its role and its log group."""
        super().__init__(scope, id_)
        full_name = name_within(defaults.name, name)
        tags = dict(defaults.tags) if defaults.tags else None
        logs = log_group(
            self,
            "Logs",
            name=f"/aws/lambda/{full_name}",
            key=defaults.key,
            retention_days=defaults.log_retention_days,
            tags=tags,
        )
        granted = [
            *policies.basics(defaults.place, log_group_arn=logs.arn, key_arn=defaults.key.arn),
            *([policies.send_to(dead_letters.arn)] if dead_letters else []),
            *statements,
        ]
        role: Any = aws.IamRole(
            self,
            "Role",
            name=full_name,
            description=f"Tapstack: {description}",
            assume_role_policy=json_text(trusting("lambda.amazonaws.com")),
            tags=tags,
        )
        policy: Any = aws.IamRolePolicy(
            self, "Policy", name="responder", role=role.name, policy=json_text(document(granted))
        )
        self.resource: Any = aws.LambdaFunction(
            self,
            "Resource",
            function_name=full_name,
            description=f"Tapstack: {description}",
            # By way of the policy, so that the function is created after its permissions: Lambda
            # checks at creation that it may send to its dead-letter queue.
            role=defaults.place.role_arn(policy.role),
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            handler=f"tapstack.responder.handlers.{name}.handler",
            filename=defaults.file,
            source_code_hash=defaults.package.source_code_hash,
            memory_size=MEMORY_MEGABYTES,
            timeout=timeout_seconds,
            kms_key_arn=defaults.key.arn,
            environment=aws.LambdaFunctionEnvironment(variables={**defaults.environment, **(environment or {})}),
            logging_config=aws.LambdaFunctionLoggingConfig(log_format="Text", log_group=logs.name),
            tracing_config=aws.LambdaFunctionTracingConfig(mode="Active"),
            dead_letter_config=aws.LambdaFunctionDeadLetterConfig(target_arn=dead_letters.arn)
            if dead_letters
            else None,
            tags=tags,
        )
        reasons = {
            "CKV_AWS_115": "Reserving concurrency takes it from everything else in the account; API and steps retry.",
            "CKV_AWS_117": "It calls AWS APIs only; in a VPC it would need endpoints, and nothing would be safer.",
            "CKV_AWS_272": "The zip is made by the synthesis and pinned by its digest; there is no signer.",
        }
        if dead_letters is None:
            reasons["CKV_AWS_116"] = "Its callers wait for its answer, so nothing is lost where it fails."
        suppress_checkov(self.resource, reasons)

    @property
    def name(self) -> str:
        """Its name, as a token."""
        return str(self.resource.function_name)

    @property
    def arn(self) -> str:
        """Its ARN, as a token."""
        return str(self.resource.arn)

    def allow(self, id_: str, *, principal: str, source_arn: str) -> None:
        """Let a service invoke it on behalf of one resource."""
        aws.LambdaPermission(
            self,
            id_,
            action="lambda:InvokeFunction",
            function_name=self.resource.function_name,
            principal=principal,
            source_arn=source_arn,
        )
