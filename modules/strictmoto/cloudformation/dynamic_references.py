"""Dynamic references: values of Systems Manager and Secrets Manager that properties of resources name.

Each is read with the permissions that the work on its stack has.

Source: CloudFormation User Guide, "Get values stored in other services using dynamic references" (their forms, and the
properties that take ssm-secure). Texts of values that are not there are inferred.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError
from moto.cloudformation.exceptions import ValidationError

from strictmoto.cloudformation.api_types import FailedError, client

_REFERENCE: Final = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):([^{}]+)\}\}")
_SECURE: Final[Mapping[str, frozenset[str]]] = {
    "AWS::DirectoryService::MicrosoftAD": frozenset({"Password"}),
    "AWS::DirectoryService::SimpleAD": frozenset({"Password"}),
    "AWS::ElastiCache::ReplicationGroup": frozenset({"AuthToken"}),
    "AWS::IAM::User": frozenset({"LoginProfile"}),
    "AWS::KinesisFirehose::DeliveryStream": frozenset({"RedshiftDestinationConfiguration"}),
    "AWS::OpsWorks::App": frozenset({"AppSource"}),
    "AWS::OpsWorks::Stack": frozenset({"CustomCookbooksSource", "RdsDbInstances"}),
    "AWS::RDS::DBCluster": frozenset({"MasterUserPassword"}),
    "AWS::RDS::DBInstance": frozenset({"MasterUserPassword"}),
    "AWS::Redshift::Cluster": frozenset({"MasterUserPassword"}),
}
"""Properties that take ssm-secure, by type."""


def replace_references(properties: Any, kind: str, known: Any) -> Any:
    """Return properties of a resource with the values that their dynamic references name.

    Args:
        properties: with every other reference replaced.
        kind: type of the resource.
        known: moto's map, which knows the account and the Region.

    Raises:
        FailedError: a value is not there.
        ValidationError: a reference is none, or secure at a place that takes none.
    """
    if not isinstance(properties, dict):
        return properties
    return {name: _replaced(value, f"{kind}/Properties/{name}", known) for name, value in properties.items()}


def _replaced(part: Any, place: str, known: Any) -> Any:
    if isinstance(part, list):
        return [_replaced(item, place, known) for item in part]
    if isinstance(part, dict):
        return {name: _replaced(value, place, known) for name, value in part.items()}
    if not isinstance(part, str) or "{{resolve:" not in part:
        return part

    def value_of(match: re.Match[str]) -> str:
        service, name = match[1], match[2]
        kind, _, member = place.partition("/Properties/")
        if service == "ssm-secure" and member not in _SECURE.get(kind, ()):
            raise ValidationError(message=f"SSM Secure reference is not supported in: [{place}]")
        account, region = str(known["AWS::AccountId"]), str(known["AWS::Region"])
        find = _secret if service == "secretsmanager" else _parameter
        return find(lambda wanted: client(wanted, account, region), name, service)

    return _REFERENCE.sub(value_of, part)


def _parameter(client_of: Callable[[str], Any], name: str, service: str) -> str:
    try:
        found = client_of("ssm").get_parameters(Names=[name], WithDecryption=service == "ssm-secure")["Parameters"]
    except ClientError as error:
        raise FailedError(error.response["Error"].get("Message", "")) from error
    # Each is for parameters of its own: secure ones, or others.
    if not found or (found[0]["Type"] == "SecureString") != (service == "ssm-secure"):
        raise FailedError(f"Parameters: [{service}:{name}] cannot be found.")
    return str(found[0]["Value"])


def _secret(client_of: Callable[[str], Any], reference: str, _service: str) -> str:
    """Read `NAME:SecretString:KEY:STAGE:VERSION`, of which all but the name may be left out."""
    parts = reference.split(":")
    # An ARN has seven parts of its own.
    length = 7 if parts[0] == "arn" else 1
    secret, (form, key, stage, version) = ":".join(parts[:length]), (*parts[length:], "", "", "", "")[:4]
    if form not in ("", "SecretString"):
        raise ValidationError(message=f"Incorrect format is used in the following dynamic reference: [{reference}]")
    chosen = {name: value for name, value in (("VersionStage", stage), ("VersionId", version)) if value}
    try:
        found = str(client_of("secretsmanager").get_secret_value(SecretId=secret, **chosen).get("SecretString", ""))
    except ClientError as error:
        raise FailedError(error.response["Error"].get("Message", "")) from error
    if not key:
        return found
    try:
        return str(json.loads(found)[key])
    except (ValueError, LookupError, TypeError):
        raise FailedError(f"Could not find a value associated with JSONKey in SecretString: {key}") from None
