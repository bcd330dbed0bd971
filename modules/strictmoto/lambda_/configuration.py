"""What moto forgets of a function's configuration, so that Terraform would see drift or code would run unchanged.

Source: Lambda API Reference, CreateFunction, UpdateFunctionConfiguration, PutFunctionEventInvokeConfig.
"""

from __future__ import annotations

import functools
import io
import zipfile
from typing import Any, Final

from moto.awslambda import models
from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.policy import Policy
from moto.core.utils import iso_8601_datetime_with_nanoseconds

from strictmoto.lambda_ import service, targets

LambdaFunction: Any = models.LambdaFunction
LambdaBackend: Any = models.LambdaBackend

_KEPT: Final = {"DeadLetterConfig": "dead_letter_config", "LoggingConfig": "logging_config"}
_UPDATED: Final = {"TracingConfig": "tracing_config", "KMSKeyArn": "kms_key_arn"}


class _StatementExistsError(LambdaClientError):
    """A permission has the id of another."""

    code = 409

    def __init__(self, message: str) -> None:
        super().__init__("ResourceConflictException", message)


def install() -> None:
    """Extend moto's functions and their event invoke configs."""
    _keep_configuration()
    module: Any = models
    module._zipfile_content = _unzippable(module._zipfile_content)
    module._s3_content = _unzippable(module._s3_content)
    _refuse_second_statements()
    _end_processes_with_functions()
    LambdaBackend.put_function_event_invoke_config = _put_event_invoke_config
    LambdaBackend.update_function_event_invoke_config = _update_event_invoke_config


def _keep_configuration() -> None:
    initialize, show, update = (
        LambdaFunction.__init__,
        LambdaFunction.get_configuration,
        LambdaFunction.update_configuration,
    )

    @functools.wraps(initialize)
    def init(self: Any, account_id: str, spec: dict[str, Any], region: str, *args: Any, **kwargs: Any) -> None:
        self.dead_letter_config, self.logging_config = None, {}
        _keep(self, spec)
        targets.check_dead_letters(str(spec.get("Role")), self.dead_letter_config, region)
        initialize(self, account_id, spec, region, *args, **kwargs)

    @functools.wraps(show)
    def get_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = show(self, on_create)
        shown["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": self.logs_group_name, **self.logging_config}
        if self.dead_letter_config:
            shown["DeadLetterConfig"] = self.dead_letter_config
        return shown

    @functools.wraps(update)
    def update_configuration(self: Any, config_updates: dict[str, Any]) -> dict[str, Any]:
        targets.check_dead_letters(
            config_updates.get("Role") or self.role,
            config_updates.get("DeadLetterConfig", self.dead_letter_config),
            self.region,
        )
        _keep(self, config_updates)
        for key, attribute in _UPDATED.items():
            if key in config_updates:
                setattr(self, attribute, config_updates[key])
        if "EphemeralStorage" in config_updates:
            self.ephemeral_storage = config_updates["EphemeralStorage"]["Size"]
        self.last_modified = iso_8601_datetime_with_nanoseconds()
        updated: dict[str, Any] = update(self, config_updates)
        return updated

    LambdaFunction.__init__ = init
    LambdaFunction.get_configuration = get_configuration
    LambdaFunction.update_configuration = update_configuration


def _keep(function: Any, spec: dict[str, Any]) -> None:
    for key, attribute in _KEPT.items():
        if key in spec:
            given = spec[key] or {}
            # An empty target takes the dead-letter queue away.
            empty = key == "DeadLetterConfig" and not given.get("TargetArn")
            setattr(function, attribute, None if empty else dict(given))


def _unzippable(read: Any) -> Any:
    """Refuse code that is no zip, wherever it comes from."""

    @functools.wraps(read)
    def content(given: Any) -> Any:
        found = read(given)
        if not zipfile.is_zipfile(io.BytesIO(found[0])):
            message = "Could not unzip uploaded file. Please check your file, then try to upload again."
            raise InvalidParameterValueException(message)
        return found

    return content


def _refuse_second_statements() -> None:
    """Refuse a permission whose id its function, version or alias has already."""
    policy: Any = Policy
    add = policy.add_statement

    @functools.wraps(add)
    def add_statement(self: Any, raw: str, qualifier: str | None = None) -> Any:
        before, revision = list(self.statements), self.revision
        added = add(self, raw, qualifier)
        names = [(statement.get("Sid"), statement.get("Resource")) for statement in before]
        if (sid := added[0].get("Sid"), added[0].get("Resource")) in names:
            self.statements, self.revision = before, revision
            raise _StatementExistsError(
                f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the "
                "existing statement."
            )
        return added

    policy.add_statement = add_statement


def _end_processes_with_functions() -> None:
    delete = LambdaBackend.delete_function

    @functools.wraps(delete)
    def delete_function(self: Any, function_name: str, qualifier: str | None = None) -> None:
        name = self.get_function(function_name, qualifier).function_name
        delete(self, function_name, qualifier)
        service.discard(self.account_id, self.region_name, name)

    LambdaBackend.delete_function = delete_function


def _put_event_invoke_config(self: Any, function_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Replace the configuration; moto keeps all of them, and shows the first one."""
    function = self.get_function(function_name)
    targets.check_destinations(function.role, config, function.region)
    kept = models.EventInvokeConfig(function.function_arn, iso_8601_datetime_with_nanoseconds(), config)
    function.event_invoke_config = [kept]
    return kept.response()


def _update_event_invoke_config(self: Any, function_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Change what is given, and keep the rest."""
    function = self.get_function(function_name)
    before = function.event_invoke_config[0].config if function.event_invoke_config else {}
    return _put_event_invoke_config(self, function_name, {**before, **config})
