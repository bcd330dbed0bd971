"""Types of what operates a network: alarms, filters of logs, documents, secrets, shares, destinations of functions.

Sources: CloudFormation Template Reference, "AWS::CloudWatch", "AWS::IAM::RolePolicy", "AWS::Lambda::EventInvokeConfig",
"AWS::Logs", "AWS::RAM", "AWS::SecretsManager" and "AWS::SSM::Document".
"""

from __future__ import annotations

import json
from typing import Any, Final

from moto.utilities.utils import get_partition

from strictmoto.cloudformation.api_types import ApiResource, FailedError
from strictmoto.cloudformation.service_types import document
from strictmoto.cloudformation.templates import text

_ALARM: Final = (
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
)


def _pairs(resource: ApiResource) -> list[dict[str, str]] | None:
    """The tags of a resource as most APIs take them."""
    return [{"Key": key, "Value": value} for key, value in resource.tags().items()] or None


class Alarm(ApiResource):
    """An alarm of CloudWatch, whose Ref is its name."""

    TYPE = "AWS::CloudWatch::Alarm"
    SERVICE = "cloudwatch"
    NAME = "AlarmName"

    def create(self) -> None:
        """Put it."""
        # PutMetricAlarm would change it.
        self.refuse_existing("describe_alarms", "MetricAlarms", AlarmNames=[self.name])
        self._put(Tags=_pairs(self))

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew, and change its tags."""
        if self.changed(old, *_ALARM):
            self._put()
        arn = self.attributes["Arn"]
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", ResourceARN=arn, TagKeys=dropped)
        if self.changed(old, "Tags") and self.tags():
            self.call("tag_resource", ResourceARN=arn, Tags=_pairs(self))

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_alarms", AlarmNames=[self.name])

    def _put(self, **more: Any) -> None:
        if any("AccountId" in one for one in self.properties.get("Metrics") or ()):
            raise FailedError("strictmoto does not make AccountId of Metrics of AWS::CloudWatch::Alarm")
        given = {"ActionsEnabled": True, **self.of(*_ALARM), **more}
        self.call("put_metric_alarm", AlarmName=self.name, **given)
        self.ref = self.name
        where = f"arn:{get_partition(self.region)}:cloudwatch:{self.region}:{self.account_id}"
        self.attributes = {"Arn": f"{where}:alarm:{self.name}"}


class MetricFilter(ApiResource):
    """A metric filter of a log group, whose Ref is its name."""

    TYPE = "AWS::Logs::MetricFilter"
    SERVICE = "logs"
    NAME = "FilterName"

    def create(self) -> None:
        """Put it."""
        found = {"logGroupName": self.properties["LogGroupName"], "filterNamePrefix": self.name}
        self.refuse_existing("describe_metric_filters", "metricFilters", **found)
        self._put()

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew."""
        self._put()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_metric_filter", FilterName=self.name, **self.of("LogGroupName"))

    def _put(self) -> None:
        given = self.of("FilterPattern", "LogGroupName", "MetricTransformations")
        for one in given["MetricTransformations"]:
            if "Dimensions" in one:
                dimensions = {part["Key"]: part["Value"] for part in one["Dimensions"]}
                given["MetricTransformations"] = [{**one, "Dimensions": dimensions}]
        self.call("put_metric_filter", FilterName=self.name, **given)
        self.ref = self.name


class SubscriptionFilter(ApiResource):
    """A subscription filter of a log group, whose Ref is its name."""

    TYPE = "AWS::Logs::SubscriptionFilter"
    SERVICE = "logs"
    NAME = "FilterName"

    def create(self) -> None:
        """Put it."""
        given = self.of("DestinationArn", "FilterPattern", "LogGroupName", "RoleArn")
        self.call("put_subscription_filter", FilterName=self.name, **given)
        self.ref = self.name

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew."""
        self.create()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_subscription_filter", FilterName=self.name, **self.of("LogGroupName"))


class LogStream(ApiResource):
    """A log stream, whose Ref is its name."""

    TYPE = "AWS::Logs::LogStream"
    SERVICE = "logs"
    NAME = "LogStreamName"

    def create(self) -> None:
        """Create it."""
        self.call("create_log_stream", LogStreamName=self.name, **self.of("LogGroupName"))
        self.ref = self.name

    def update(self, old: dict[str, Any]) -> None:
        """Keep it: all of its properties make another one."""

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_log_stream", LogStreamName=self.name, **self.of("LogGroupName"))


class Document(ApiResource):
    """A document of Systems Manager, whose Ref is its name; its format is JSON by default."""

    TYPE = "AWS::SSM::Document"
    SERVICE = "ssm"
    NAME = "Name"
    _CONTENT = ("Attachments", "Content", "DocumentFormat", "Requires", "TargetType", "VersionName")

    def create(self) -> None:
        """Create it."""
        given = {**self._wanted(), **self.of("DocumentType", "Requires")}
        # The template alone says how it is changed, and creates a Command by default.
        self.properties.get("UpdateMethod")
        self.call("create_document", Name=self.name, Tags=_pairs(self), **{"DocumentType": "Command", **given})
        self.ref = self.name

    def changed_to(self, properties: dict[str, Any], new_name: str) -> ApiResource:
        """Change it, or make another one: UpdateMethod says which, Replace by default.

        Raises:
            FailedError: it was to be replaced, and has a name of its own.
        """
        replaced = any(self.properties.get(name) != properties.get(name) for name in self._CONTENT)
        if not replaced or properties.get("UpdateMethod") == "NewVersion":
            return super().changed_to(properties, new_name)
        if "Name" in properties and properties["Name"] == self.name:
            raise FailedError(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                f"Rename {self.name} and update the stack again."
            )
        return self.another(properties, new_name).made()

    def update(self, old: dict[str, Any]) -> None:
        """Add a version that is the default one, and change its tags."""
        if self.changed(old, "Requires"):
            raise FailedError("strictmoto does not change Requires of a document")
        if self.changed(old, *self._CONTENT):
            made = self.call("update_document", Name=self.name, DocumentVersion="$LATEST", **self._wanted())
            version = made["DocumentDescription"]["DocumentVersion"]
            self.call("update_document_default_version", Name=self.name, DocumentVersion=version)
        self.properties.get("UpdateMethod")
        named = {"ResourceType": "Document", "ResourceId": self.name}
        if dropped := self.dropped_tags(old):
            self.call("remove_tags_from_resource", TagKeys=dropped, **named)
        if self.changed(old, "Tags") and self.tags():
            self.call("add_tags_to_resource", Tags=_pairs(self), **named)

    def delete_it(self) -> None:
        """Delete it with its versions."""
        self.call("delete_document", Name=self.name)

    def _wanted(self) -> dict[str, Any]:
        given = self.of("Attachments", "DocumentFormat", "TargetType", "VersionName")
        content = self.properties["Content"]
        # JSON is YAML, too.
        return {"DocumentFormat": "JSON", **given, "Content": document(content)}


class Secret(ApiResource):
    """A secret, whose Ref is its ARN."""

    TYPE = "AWS::SecretsManager::Secret"
    SERVICE = "secretsmanager"
    NAME = "Name"

    def create(self) -> None:
        """Create it."""
        made = self.call(
            "create_secret",
            Name=self.name,
            SecretString=self._value(),
            AddReplicaRegions=self.properties.get("ReplicaRegions"),
            Tags=_pairs(self),
            **self.of("Description", "KmsKeyId"),
        )
        self.ref = made["ARN"]
        self.attributes = {"Id": self.ref}

    def update(self, old: dict[str, Any]) -> None:
        """Change its description, key, value, replicas and tags."""
        changed: dict[str, Any] = {}
        if self.changed(old, "Description"):
            changed["Description"] = self.properties.get("Description", "")
        if self.changed(old, "KmsKeyId"):
            changed["KmsKeyId"] = self.properties.get("KmsKeyId", "alias/aws/secretsmanager")
        if self.changed(old, "SecretString", "GenerateSecretString"):
            changed["SecretString"] = self._value()
        if changed:
            self.call("update_secret", SecretId=self.ref, **changed)
        if self.changed(old, "ReplicaRegions"):
            raise FailedError("strictmoto does not change ReplicaRegions of a secret")
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", SecretId=self.ref, TagKeys=dropped)
        if self.changed(old, "Tags") and self.tags():
            self.call("tag_resource", SecretId=self.ref, Tags=_pairs(self))

    def delete_it(self) -> None:
        """Delete it at once (inferred): its name is free for the next stack."""
        self.call("delete_secret", SecretId=self.ref, ForceDeleteWithoutRecovery=True)

    def _value(self) -> str | None:
        """The value that is given, or one that Secrets Manager makes.

        Raises:
            FailedError: both are asked for.
        """
        given = self.of("SecretString", "GenerateSecretString")
        if len(given) > 1:
            raise FailedError("You can't specify both GenerateSecretString and SecretString")
        if "GenerateSecretString" not in given:
            return text(given["SecretString"]) if given else None
        wanted = dict(given["GenerateSecretString"])
        template, key = wanted.pop("SecretStringTemplate", None), wanted.pop("GenerateStringKey", None)
        if (template is None) != (key is None):
            raise FailedError("SecretStringTemplate and GenerateStringKey must be given together")
        password: str = self.call("get_random_password", **wanted)["RandomPassword"]
        if template is None:
            return password
        try:
            return json.dumps({**json.loads(template), text(key): password})
        except (TypeError, ValueError):
            raise FailedError("SecretStringTemplate must be a JSON object") from None


class SecretPolicy(ApiResource):
    """The policy of a secret, whose Ref is the secret's ARN."""

    TYPE = "AWS::SecretsManager::ResourcePolicy"
    SERVICE = "secretsmanager"

    def create(self) -> None:
        """Put it."""
        self.ref = self.properties["SecretId"]
        self.attributes = {"Id": self.ref}
        policy = document(self.properties["ResourcePolicy"])
        self.call("put_resource_policy", SecretId=self.ref, ResourcePolicy=policy)

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew."""
        self.create()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_resource_policy", SecretId=self.ref)


class ResourceShare(ApiResource):
    """A resource share of RAM, whose Ref is its ARN."""

    TYPE = "AWS::RAM::ResourceShare"
    SERVICE = "ram"

    def create(self) -> None:
        """Create it."""
        given = self.of("Name", "AllowExternalPrincipals", "Principals", "ResourceArns", "Tags")
        self.ref = self.call("create_resource_share", **given)["resourceShare"]["resourceShareArn"]
        self.attributes = {"Arn": self.ref, "OwningAccountId": self.account_id, "Status": "ACTIVE"}

    def update(self, old: dict[str, Any]) -> None:
        """Change its name, whom it lets in, what it shares, and its tags."""
        if self.changed(old, "Name", "AllowExternalPrincipals"):
            lets_in = self.properties.get("AllowExternalPrincipals", True)
            name = self.properties["Name"]
            self.call("update_resource_share", resourceShareArn=self.ref, name=name, allowExternalPrincipals=lets_in)
        for operation, before, after in (
            ("associate_resource_share", old, self.properties),
            ("disassociate_resource_share", self.properties, old),
        ):
            named = {
                name: [one for one in after.get(name) or () if one not in (before.get(name) or ())]
                for name in ("ResourceArns", "Principals")
            }
            given: dict[str, Any] = {name: found for name, found in named.items() if found}
            if given:
                self.call(operation, resourceShareArn=self.ref, **given)
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", resourceShareArn=self.ref, tagKeys=dropped)
        if self.changed(old, "Tags") and self.tags():
            self.call("tag_resource", resourceShareArn=self.ref, **self.of("Tags"))

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_resource_share", resourceShareArn=self.ref)


class EventInvokeConfig(ApiResource):
    """What becomes of events that a function fails at."""

    TYPE = "AWS::Lambda::EventInvokeConfig"
    SERVICE = "lambda"

    def create(self) -> None:
        """Put it.

        Raises:
            FailedError: it is of one version or alias only.
        """
        if self.properties["Qualifier"] != "$LATEST":
            raise FailedError(f"strictmoto does not make {self.TYPE} of another Qualifier than $LATEST")
        given = self.of("FunctionName", "DestinationConfig", "MaximumEventAgeInSeconds", "MaximumRetryAttempts")
        self.call("put_function_event_invoke_config", **given)

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew."""
        self.create()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_function_event_invoke_config", **self.of("FunctionName"))


class RolePolicy(ApiResource):
    """An inline policy of one role."""

    TYPE = "AWS::IAM::RolePolicy"
    SERVICE = "iam"

    def create(self) -> None:
        """Put it."""
        policy = document(self.properties["PolicyDocument"])
        self.call("put_role_policy", PolicyDocument=policy, **self.of("PolicyName", "RoleName"))
        self.ref = text(self.properties["PolicyName"])

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew."""
        self.create()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_role_policy", **self.of("PolicyName", "RoleName"))


def install() -> None:
    """Do nothing: the types are registered as they are defined."""
