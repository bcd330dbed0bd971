"""The types of other services that mirroring, its response and its notifications are made of.

Sources: CloudFormation Template Reference, "AWS::ApiGatewayV2", "AWS::DynamoDB", "AWS::Events", "AWS::KMS",
"AWS::Lambda", "AWS::Logs", "AWS::S3", "AWS::Scheduler", "AWS::SNS", "AWS::SQS", "AWS::SSM" and
"AWS::StepFunctions".
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, Final

from moto.utilities.utils import get_partition

from strictmoto.cloudformation import s3_urls
from strictmoto.cloudformation.api_types import ApiResource, FailedError
from strictmoto.cloudformation.templates import text

_SUBSTITUTED: Final = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


class QueuePolicy(ApiResource):
    """A policy of queues."""

    TYPE = "AWS::SQS::QueuePolicy"
    SERVICE = "sqs"

    def create(self) -> None:
        """Set it."""
        self.attributes = {"Id": self.ref}
        self._set(self.properties["Queues"], document(self.properties["PolicyDocument"]))

    def update(self, old: dict[str, Any]) -> None:
        """Set it anew, and take it off queues that are left out."""
        self._set([url for url in old["Queues"] if url not in self.properties["Queues"]], "")
        self._set(self.properties["Queues"], document(self.properties["PolicyDocument"]))

    def delete_it(self) -> None:
        """Take it off."""
        self._set(self.properties["Queues"], "")

    def _set(self, queues: list[str], policy: str) -> None:
        for url in queues:
            self.call("set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})


class TopicPolicy(ApiResource):
    """A policy of topics."""

    TYPE = "AWS::SNS::TopicPolicy"
    SERVICE = "sns"

    def create(self) -> None:
        """Set it."""
        self.attributes = {"Id": self.ref}
        self._set(self.properties["Topics"], document(self.properties["PolicyDocument"]))

    def update(self, old: dict[str, Any]) -> None:
        """Set it anew."""
        self._reset([arn for arn in old["Topics"] if arn not in self.properties["Topics"]])
        self._set(self.properties["Topics"], document(self.properties["PolicyDocument"]))

    def delete_it(self) -> None:
        """Give the topics the policy that a new one has: their account may do all."""
        self._reset(self.properties["Topics"])

    def _reset(self, topics: list[str]) -> None:
        for arn in topics:
            owner = {"StringEquals": {"AWS:SourceOwner": self.account_id}}
            actions = ["SNS:Publish", "SNS:Subscribe", "SNS:GetTopicAttributes", "SNS:SetTopicAttributes"]
            statement = {"Sid": "__default_statement_ID", "Effect": "Allow", "Principal": {"AWS": "*"}}
            statement |= {"Action": actions, "Resource": arn, "Condition": owner}
            self._set(
                [arn], json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})
            )

    def _set(self, topics: list[str], policy: str) -> None:
        for arn in topics:
            self.call("set_topic_attributes", TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


class Subscription(ApiResource):
    """A subscription of a topic."""

    TYPE = "AWS::SNS::Subscription"
    SERVICE = "sns"
    _ATTRIBUTES = ("DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy")

    def create(self) -> None:
        """Subscribe."""
        given = self.of("TopicArn", "Protocol", "Endpoint")
        attributes = {name: _attribute(value) for name, value in self.of(*self._ATTRIBUTES).items()}
        answer = self.call("subscribe", Attributes=attributes or None, ReturnSubscriptionArn=True, **given)
        self.ref = answer["SubscriptionArn"]
        self.attributes = {"Arn": self.ref}

    def update(self, old: dict[str, Any]) -> None:
        """Change its attributes."""
        for name in (name for name in self._ATTRIBUTES if self.changed(old, name)):
            value = _attribute(self.properties.get(name, "false" if name == "RawMessageDelivery" else {}))
            wanted = {"SubscriptionArn": self.ref, "AttributeName": name, "AttributeValue": value}
            self.call("set_subscription_attributes", **wanted)

    def delete_it(self) -> None:
        """Unsubscribe."""
        self.call("unsubscribe", SubscriptionArn=self.ref)


class BucketPolicy(ApiResource):
    """The policy of a bucket."""

    TYPE = "AWS::S3::BucketPolicy"
    SERVICE = "s3"

    def create(self) -> None:
        """Set it."""
        self.ref = self.properties["Bucket"]
        policy = document(self.properties["PolicyDocument"])
        self.call("put_bucket_policy", Bucket=self.properties["Bucket"], Policy=policy)

    def update(self, old: dict[str, Any]) -> None:
        """Set it anew."""
        self.create()

    def delete_it(self) -> None:
        """Take it off."""
        self.call("delete_bucket_policy", Bucket=self.ref)


class Rule(ApiResource):
    """A rule of a bus, with its targets."""

    TYPE = "AWS::Events::Rule"
    SERVICE = "events"
    NAME = "Name"

    def create(self) -> None:
        """Create it."""
        self.refuse_existing("describe_rule", Name=self.name, **self.of("EventBusName"))
        self.attributes = {"Arn": self._put()}
        bus = str(self.properties.get("EventBusName", "default")).rpartition("/")[2]
        self.ref = self.name if bus == "default" else f"{bus}|{self.name}"
        self._target([])

    def update(self, old: dict[str, Any]) -> None:
        """Change it, and its targets."""
        self._put()
        self._target(old.get("Targets", []))
        arn = self.attributes["Arn"]
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", ResourceARN=arn, TagKeys=dropped)
        if self.tags():
            self.call("tag_resource", ResourceARN=arn, **self.of("Tags"))

    def delete_it(self) -> None:
        """Delete it with its targets."""
        if ids := [target["Id"] for target in self.properties.get("Targets", ())]:
            self.call("remove_targets", Rule=self.name, Ids=ids, **self.of("EventBusName"))
        self.call("delete_rule", Name=self.name, **self.of("EventBusName"))

    def _put(self) -> str:
        given = self.without("Targets", "EventPattern", "Name")
        if pattern := self.properties.get("EventPattern"):
            given["EventPattern"] = document(pattern)
        return str(self.call("put_rule", Name=self.name, **given)["RuleArn"])

    def _target(self, before: list[dict[str, Any]]) -> None:
        targets, bus = self.properties.get("Targets", []), self.of("EventBusName")
        ids = {target["Id"] for target in targets}
        if gone := [target["Id"] for target in before if target["Id"] not in ids]:
            self.call("remove_targets", Rule=self.name, Ids=gone, **bus)
        if targets:
            answer = self.call("put_targets", Rule=self.name, Targets=targets, **bus)
            if failed := answer.get("FailedEntries"):
                raise FailedError(str(failed[0].get("ErrorMessage")))


class EventBus(ApiResource):
    """An event bus, whose name is its Ref."""

    TYPE = "AWS::Events::EventBus"
    SERVICE = "events"
    NAME = "Name"

    def create(self) -> None:
        """Create it."""
        made = self.call("create_event_bus", **{**self.without("Policy"), "Name": self.name})
        self.ref = self.name
        self.attributes = {"Arn": made["EventBusArn"], "Name": self.name}
        self._allow({})

    def update(self, old: dict[str, Any]) -> None:
        """Change its policy and tags."""
        self._allow(old)
        arn = self.attributes["Arn"]
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", ResourceARN=arn, TagKeys=dropped)
        if self.tags():
            self.call("tag_resource", ResourceARN=arn, **self.of("Tags"))

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_event_bus", Name=self.name)

    def _allow(self, old: dict[str, Any]) -> None:
        if self.changed(old, "Policy"):
            if policy := self.properties.get("Policy"):
                self.call("put_permission", EventBusName=self.name, Policy=document(policy))
            else:
                self.call("remove_permission", EventBusName=self.name, RemoveAllPermissions=True)


class EventBusPolicy(ApiResource):
    """A statement of a bus's policy."""

    TYPE = "AWS::Events::EventBusPolicy"
    SERVICE = "events"

    def create(self) -> None:
        """Add it."""
        given = self.without("Statement")
        if statement := self.properties.get("Statement"):
            whole = {"Version": "2012-10-17", "Statement": [{"Sid": self.properties["StatementId"], **statement}]}
            given = {**self.of("EventBusName"), "Policy": json.dumps(whole)}
        self.call("put_permission", **given)
        self.ref = f"{self.properties.get('EventBusName', 'default')}|{self.properties['StatementId']}"

    def update(self, old: dict[str, Any]) -> None:
        """Put it in the place of the old one."""
        self.delete_it()
        self.create()

    def delete_it(self) -> None:
        """Take it off."""
        self.call("remove_permission", **self.of("EventBusName", "StatementId"))


class Schedule(ApiResource):
    """A schedule of EventBridge Scheduler."""

    TYPE = "AWS::Scheduler::Schedule"
    SERVICE = "scheduler"
    NAME = "Name"

    def create(self) -> None:
        """Create it."""
        self.attributes = {"Arn": self.call("create_schedule", **{**self.properties, "Name": self.name})["ScheduleArn"]}
        self.ref = self.name

    def update(self, old: dict[str, Any]) -> None:
        """Replace all that it says."""
        self.call("update_schedule", **{**self.properties, "Name": self.name})

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_schedule", Name=self.name, **self.of("GroupName"))


class ScheduleGroup(ApiResource):
    """A group of schedules."""

    TYPE = "AWS::Scheduler::ScheduleGroup"
    SERVICE = "scheduler"
    NAME = "Name"

    def create(self) -> None:
        """Create it."""
        self.attributes = {
            "Arn": self.call("create_schedule_group", **{**self.properties, "Name": self.name})["ScheduleGroupArn"]
        }
        self.ref = self.name

    def update(self, old: dict[str, Any]) -> None:
        """Change its tags."""
        arn = self.attributes["Arn"]
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", ResourceArn=arn, TagKeys=dropped)
        self.call("tag_resource", ResourceArn=arn, Tags=self.properties.get("Tags", []))

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_schedule_group", Name=self.name)


class Permission(ApiResource):
    """Who may invoke a function."""

    TYPE = "AWS::Lambda::Permission"
    SERVICE = "lambda"

    def create(self) -> None:
        """Add the statement."""
        self.attributes = {"Id": self.ref}
        self.call("add_permission", StatementId=self.ref, **self.properties)

    def delete_it(self) -> None:
        """Take it off."""
        self.call("remove_permission", StatementId=self.ref, FunctionName=self.properties["FunctionName"])


class StateMachine(ApiResource):
    """A state machine."""

    TYPE = "AWS::StepFunctions::StateMachine"
    SERVICE = "stepfunctions"
    NAME = "StateMachineName"

    def create(self) -> None:
        """Create it."""
        answer = self.call(
            "create_state_machine",
            name=self.name,
            definition=self._definition(),
            roleArn=self.properties["RoleArn"],
            type=self.properties.get("StateMachineType"),
            loggingConfiguration=_logging(self.properties.get("LoggingConfiguration")),
            tracingConfiguration=self.properties.get("TracingConfiguration"),
            encryptionConfiguration=self.properties.get("EncryptionConfiguration"),
            tags=[{"key": key, "value": value} for key, value in self.tags().items()] or None,
        )
        self.ref = answer["stateMachineArn"]
        self._know()

    def update(self, old: dict[str, Any]) -> None:
        """Change it for the executions that start from now on."""
        if self.properties.keys() - {"Tags"} and {**old, "Tags": None} != {**self.properties, "Tags": None}:
            self.call(
                "update_state_machine",
                stateMachineArn=self.ref,
                definition=self._definition(),
                roleArn=self.properties["RoleArn"],
                loggingConfiguration=_logging(self.properties.get("LoggingConfiguration", {"Level": "OFF"})),
                tracingConfiguration=self.properties.get("TracingConfiguration", {"Enabled": False}),
            )
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", resourceArn=self.ref, tagKeys=dropped)
        if tags := self.tags():
            wanted = [{"key": key, "value": value} for key, value in tags.items()]
            self.call("tag_resource", resourceArn=self.ref, tags=wanted)
        self._know()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_state_machine", stateMachineArn=self.ref)

    def _know(self) -> None:
        found = self.call("describe_state_machine", stateMachineArn=self.ref)
        revision = found.get("revisionId", "INITIAL")
        self.attributes = {"Arn": self.ref, "Name": found["name"], "StateMachineRevisionId": revision}

    def _definition(self) -> str:
        """The definition, with its substitutions."""
        given = self.of("Definition", "DefinitionString", "DefinitionS3Location")
        if len(given) != 1:
            raise FailedError("Exactly one of Definition, DefinitionString and DefinitionS3Location must be given")
        [(name, value)] = given.items()
        if name == "DefinitionS3Location":
            version = f"?versionId={value['Version']}" if value.get("Version") else ""
            url = f"https://s3.amazonaws.com/{value['Bucket']}/{value['Key']}{version}"
            value = s3_urls.fetch(url, self.account_id, get_partition(self.region))
        found = value if isinstance(value, str) else json.dumps(value)
        substitutions = self.properties.get("DefinitionSubstitutions") or {}
        return _SUBSTITUTED.sub(lambda match: text(substitutions.get(match[1], match[0])), found)


class HttpApiPart(ApiResource):
    """A part of an HTTP API."""

    SERVICE: ClassVar[str] = "apigatewayv2"
    PART: ClassVar[str]
    """In the names of the API's operations."""

    def create(self) -> None:
        """Create it."""
        answer = self.call(f"create_{self.PART}", **self.properties)
        self.ref = self._id(answer)
        self.attributes = self._attributes(answer)

    def update(self, old: dict[str, Any]) -> None:
        """Change it."""
        self.call(f"update_{self.PART}", **self.properties, **self._named())

    def delete_it(self) -> None:
        """Delete it."""
        self.call(f"delete_{self.PART}", ApiId=self.properties["ApiId"], **self._named())

    def _id(self, answer: dict[str, Any]) -> str:
        return str(answer[self._id_name()])

    def _id_name(self) -> str:
        return f"{self.PART.title()}Id"

    def _named(self) -> dict[str, Any]:
        return {self._id_name(): self.ref}

    def _attributes(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {self._id_name(): self.ref}


class HttpApi(HttpApiPart):
    """An HTTP or WebSocket API."""

    TYPE = "AWS::ApiGatewayV2::Api"
    PART = "api"

    def create(self) -> None:
        """Create it."""
        if unknown := self.of("Body", "BodyS3Location"):
            raise FailedError(f"strictmoto makes no API from {', '.join(unknown)}")
        answer = self.call("create_api", **self.without("FailOnWarnings", "BasePath"))
        self.ref = answer["ApiId"]
        self.attributes = {"ApiId": self.ref, "ApiEndpoint": answer["ApiEndpoint"]}

    def update(self, old: dict[str, Any]) -> None:
        """Change it."""
        self.call("update_api", ApiId=self.ref, **self.without("ProtocolType", "Tags", "FailOnWarnings", "BasePath"))
        arn = f"arn:{get_partition(self.region)}:apigateway:{self.region}::/apis/{self.ref}"
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", ResourceArn=arn, TagKeys=dropped)
        if tags := self.tags():
            self.call("tag_resource", ResourceArn=arn, Tags=tags)

    def delete_it(self) -> None:
        """Delete it with its parts."""
        self.call("delete_api", ApiId=self.ref)


class HttpRoute(HttpApiPart):
    """A route of an API."""

    TYPE = "AWS::ApiGatewayV2::Route"
    PART = "route"


class HttpIntegration(HttpApiPart):
    """What a route leads to."""

    TYPE = "AWS::ApiGatewayV2::Integration"
    PART = "integration"


class HttpAuthorizer(HttpApiPart):
    """What decides who may call."""

    TYPE = "AWS::ApiGatewayV2::Authorizer"
    PART = "authorizer"


class HttpDeployment(HttpApiPart):
    """A snapshot of an API's routes."""

    TYPE = "AWS::ApiGatewayV2::Deployment"
    PART = "deployment"


class HttpStage(HttpApiPart):
    """A stage of an API."""

    TYPE = "AWS::ApiGatewayV2::Stage"
    PART = "stage"

    def update(self, old: dict[str, Any]) -> None:
        """Change it."""
        self.call("update_stage", **self.without("Tags"))

    def _id_name(self) -> str:
        return "StageName"

    def _attributes(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {}


class LogGroup(ApiResource):
    """A log group."""

    TYPE = "AWS::Logs::LogGroup"
    SERVICE = "logs"
    NAME = "LogGroupName"

    def create(self) -> None:
        """Create it."""
        given = self.of("KmsKeyId", "LogGroupClass")
        self.call("create_log_group", logGroupName=self.name, tags=self.tags() or None, **given)
        self.ref = self.name
        arn = f"arn:{get_partition(self.region)}:logs:{self.region}:{self.account_id}:log-group:{self.name}:*"
        self.attributes = {"Arn": arn}
        if "RetentionInDays" in self.properties:
            self._retain()

    def update(self, old: dict[str, Any]) -> None:
        """Change how long it keeps events, its key and its tags."""
        if self.changed(old, "RetentionInDays"):
            self._retain()
        if self.changed(old, "KmsKeyId"):
            if key := self.properties.get("KmsKeyId"):
                self.call("associate_kms_key", logGroupName=self.name, kmsKeyId=key)
            else:
                self.call("disassociate_kms_key", logGroupName=self.name)
        if dropped := self.dropped_tags(old):
            self.call("untag_log_group", logGroupName=self.name, tags=dropped)
        if tags := self.tags():
            self.call("tag_log_group", logGroupName=self.name, tags=tags)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_log_group", logGroupName=self.name)

    def _retain(self) -> None:
        if days := self.properties.get("RetentionInDays"):
            self.call("put_retention_policy", logGroupName=self.name, retentionInDays=days)
        else:
            self.call("delete_retention_policy", logGroupName=self.name)


class Table(ApiResource):
    """A DynamoDB table."""

    TYPE = "AWS::DynamoDB::Table"
    SERVICE = "dynamodb"
    NAME = "TableName"
    _LATER = ("TimeToLiveSpecification", "PointInTimeRecoverySpecification")

    def create(self) -> None:
        """Create it."""
        answer = self.call("create_table", **{**self._wanted(), "TableName": self.name, **self.of("Tags")})
        described = answer["TableDescription"]
        self.ref = self.name
        self.attributes = {"Arn": described["TableArn"]}
        if stream := described.get("LatestStreamArn"):
            self.attributes["StreamArn"] = stream
        self._set_later({})

    def update(self, old: dict[str, Any]) -> None:
        """Change its capacity, stream, protection, expiry or backups."""
        names = ("BillingMode", "ProvisionedThroughput", "SSESpecification", "DeletionProtectionEnabled", "TableClass")
        if self.changed(old, *names, "StreamSpecification"):
            wanted = self._wanted()
            given = {name: wanted[name] for name in (*names, "StreamSpecification") if name in wanted}
            self.call("update_table", **{"TableName": self.name, **given})
        self._set_later(old)
        arn = self.attributes["Arn"]
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", ResourceArn=arn, TagKeys=dropped)
        if self.tags():
            self.call("tag_resource", ResourceArn=arn, **self.of("Tags"))

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_table", TableName=self.name)

    def _wanted(self) -> dict[str, Any]:
        given = self.without("Tags", "TableName", *self._LATER)
        if sse := given.pop("SSESpecification", None):
            given["SSESpecification"] = {
                "Enabled": sse.get("SSEEnabled"),
                **{k: v for k, v in sse.items() if k != "SSEEnabled"},
            }
        if stream := given.pop("StreamSpecification", None):
            given["StreamSpecification"] = {"StreamEnabled": True, **stream}
        return given

    def _set_later(self, old: dict[str, Any]) -> None:
        if self.changed(old, "TimeToLiveSpecification"):
            wanted = self.properties.get("TimeToLiveSpecification") or {
                **old["TimeToLiveSpecification"],
                "Enabled": False,
            }
            self.call("update_time_to_live", TableName=self.name, TimeToLiveSpecification=wanted)
        if self.changed(old, "PointInTimeRecoverySpecification"):
            wanted = self.properties.get("PointInTimeRecoverySpecification") or {"PointInTimeRecoveryEnabled": False}
            self.call("update_continuous_backups", TableName=self.name, PointInTimeRecoverySpecification=wanted)


class Key(ApiResource):
    """A KMS key."""

    TYPE = "AWS::KMS::Key"
    SERVICE = "kms"

    def create(self) -> None:
        """Create it."""
        policy = {"Policy": document(self.properties["KeyPolicy"])} if "KeyPolicy" in self.properties else {}
        given = self.of("Description", "KeySpec", "KeyUsage", "MultiRegion", "Origin")
        tags = [{"TagKey": key, "TagValue": value} for key, value in self.tags().items()]
        found = self.call("create_key", Tags=tags or None, **given, **policy)["KeyMetadata"]
        self.ref = found["KeyId"]
        self.attributes = {"Arn": found["Arn"], "KeyId": self.ref}
        self.update({"KeyPolicy": self.properties.get("KeyPolicy"), **self.of("Description", "Tags")})

    def update(self, old: dict[str, Any]) -> None:
        """Change its policy, rotation, description, tags, and whether it can be used."""
        if self.changed(old, "KeyPolicy"):
            policy = document(self.properties["KeyPolicy"])
            self.call("put_key_policy", KeyId=self.ref, PolicyName="default", Policy=policy)
        if self.changed(old, "EnableKeyRotation"):
            on = text(self.properties.get("EnableKeyRotation", False)) == "true"
            self.call("enable_key_rotation" if on else "disable_key_rotation", KeyId=self.ref)
        if self.changed(old, "Enabled"):
            on = text(self.properties.get("Enabled", True)) == "true"
            self.call("enable_key" if on else "disable_key", KeyId=self.ref)
        if self.changed(old, "Description"):
            self.call("update_key_description", KeyId=self.ref, Description=self.properties.get("Description", ""))
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", KeyId=self.ref, TagKeys=dropped)
        if self.changed(old, "Tags") and self.tags():
            tags = [{"TagKey": key, "TagValue": value} for key, value in self.tags().items()]
            self.call("tag_resource", KeyId=self.ref, Tags=tags)

    def delete_it(self) -> None:
        """Schedule its deletion."""
        days = self.properties.get("PendingWindowInDays", 30)
        self.call("schedule_key_deletion", KeyId=self.ref, PendingWindowInDays=days)


class Alias(ApiResource):
    """An alias of a function."""

    TYPE = "AWS::Lambda::Alias"
    SERVICE = "lambda"

    def create(self) -> None:
        """Create it."""
        self.ref = self.call("create_alias", **self._wanted(), Name=self.properties["Name"])["AliasArn"]
        self.attributes = {"AliasArn": self.ref}

    def update(self, old: dict[str, Any]) -> None:
        """Let it name another version."""
        self.call("update_alias", **self._wanted(), Name=self.properties["Name"])

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_alias", **self.of("FunctionName", "Name"))

    def _wanted(self) -> dict[str, Any]:
        return self.of("FunctionName", "FunctionVersion", "Description")


class Version(ApiResource):
    """A version of a function, which stays as it is."""

    TYPE = "AWS::Lambda::Version"
    SERVICE = "lambda"

    def create(self) -> None:
        """Publish it."""
        answer = self.call("publish_version", **self.of("FunctionName", "Description", "CodeSha256"))
        arn, version = answer["FunctionArn"], answer["Version"]
        self.ref = arn if arn.endswith(f":{version}") else f"{arn}:{version}"
        self.attributes = {"Version": version, "FunctionArn": self.ref}

    def update(self, old: dict[str, Any]) -> None:
        """Keep it: a version never changes."""

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_function", FunctionName=self.properties["FunctionName"], Qualifier=self.attributes["Version"])


class Parameter(ApiResource):
    """A parameter of Systems Manager."""

    TYPE = "AWS::SSM::Parameter"
    SERVICE = "ssm"
    NAME = "Name"

    def create(self) -> None:
        """Create it."""
        tags = [{"Key": key, "Value": value} for key, value in self.tags().items()]
        self._put(Tags=tags or None)

    def update(self, old: dict[str, Any]) -> None:
        """Give it another value, and change its tags."""
        if self.changed(old, "Type", "Value", "Description", "AllowedPattern", "DataType", "Policies", "Tier"):
            self._put(Overwrite=True)
        named = {"ResourceType": "Parameter", "ResourceId": self.name}
        if dropped := self.dropped_tags(old):
            self.call("remove_tags_from_resource", TagKeys=dropped, **named)
        if self.changed(old, "Tags") and self.tags():
            tags = [{"Key": key, "Value": value} for key, value in self.tags().items()]
            self.call("add_tags_to_resource", Tags=tags, **named)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_parameter", Name=self.name)

    def _put(self, **more: Any) -> None:
        self.call("put_parameter", **{**self.without("Tags"), "Name": self.name}, **more)
        self.ref, self.attributes = self.name, self.of("Type", "Value")


def install() -> None:
    """Do nothing: the types are registered as they are defined."""


def document(policy: Any) -> str:
    """A policy as text."""
    return policy if isinstance(policy, str) else json.dumps(policy)


def _attribute(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else text(value)


def _logging(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """The logging of a state machine as the API writes it."""
    if given is None:
        return None
    destinations = [
        {"cloudWatchLogsLogGroup": {"logGroupArn": one["CloudWatchLogsLogGroup"]["LogGroupArn"]}}
        for one in given.get("Destinations", ())
    ]
    return {
        "level": given.get("Level", "OFF"),
        "includeExecutionData": given.get("IncludeExecutionData", False),
        **({"destinations": destinations} if destinations else {}),
    }
