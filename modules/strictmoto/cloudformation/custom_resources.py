"""Custom resources and wait conditions: made by what a function, or whoever else, answers.

Sources: CloudFormation User Guide, "Create custom provisioning logic with custom resources" and "Create wait
conditions"; Template Reference, AWS::CloudFormation::CustomResource, "Custom resource request reference".
"""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar, Final

from moto.cloudformation.exceptions import ValidationError

from strictmoto.cloudformation import response_urls, working
from strictmoto.cloudformation.api_types import ApiResource, FailedError
from strictmoto.cloudformation.asking import ask
from strictmoto.cloudformation.templates import text
from strictmoto.lambda_.background import enqueue
from strictmoto.lambda_.invoking import find
from strictmoto.requests.documents import read_json

_LONGEST: Final = 3600
_LARGEST: Final = 4096
_TIMED_OUT: Final = (
    "CloudFormation did not receive a response from your custom resource. Please check your logs for requestId "
    "[{}]. If you are using the Python cfn-response module, you may need to update your Lambda function code so that "
    "CloudFormation can attach the updated version."
)


class CustomResource(ApiResource):
    """AWS::CloudFormation::CustomResource, and every type that begins with Custom::."""

    TYPE: ClassVar[str] = "AWS::CloudFormation::CustomResource"
    SERVICE: ClassVar[str] = "lambda"

    def create(self) -> None:
        """Ask for it to be made."""
        # The id that it has where the function gives none, such as when it fails.
        self.ref = self.name
        self._ask("Create")

    def changed_to(self, properties: dict[str, Any], new_name: str) -> ApiResource:
        """Ask for a change; another physical id makes another resource, and the old one is deleted later."""
        old = self.properties
        if properties["ServiceToken"] != old["ServiceToken"]:
            raise FailedError("Modifying service token is not allowed.")
        changed = self.another(properties, self.name)
        changed.ref = self.ref
        try:
            changed._ask("Update", OldResourceProperties=as_texts(old))
        except FailedError:
            # So that going back asks for a change, too.
            self.properties = properties
            raise
        if changed.ref != self.ref:
            return changed
        self.properties, self.attributes = properties, changed.attributes
        return self

    def delete_it(self) -> None:
        """Ask for it to be deleted."""
        self._ask("Delete")

    def _ask(self, request: str, **more: Any) -> None:
        token = str(self.properties["ServiceToken"])
        request_id = str(uuid.uuid4())
        url, key = response_urls.presign(self.region)
        event = {
            "RequestType": request,
            "ServiceToken": token,
            "ResponseURL": url,
            "StackId": self.stack_id,
            "RequestId": request_id,
            "LogicalResourceId": self.logical_resource_id,
            **({} if request == "Create" else {"PhysicalResourceId": self.ref}),
            "ResourceType": self.cf_resource_type,
            "ResourceProperties": as_texts(self.properties),
            **more,
        }
        self._send(token, event)
        # What a function was asked to make it is asked to delete, too, also where it failed.
        self.deleted_when_failed = True
        seconds = int(self.properties.get("ServiceTimeout", _LONGEST))
        answer = working.wait_for(lambda: next(response_urls.answers(self.region, key), None), seconds)
        if answer is None:
            raise FailedError(_TIMED_OUT.format(request_id))
        self._take(answer, request_id)

    def _send(self, token: str, event: dict[str, Any]) -> None:
        service = token.split(":")[2] if token.count(":") >= 5 else ""
        if service == "sns":
            subject = "AWS CloudFormation custom resource request"
            self.call("publish", "sns", TopicArn=token, Subject=subject, Message=json.dumps(event))
        elif service == "lambda":
            ask("lambda", "Invoke", self.region, FunctionName=token)
            enqueue(find(token), json.dumps(event).encode(), token)
        else:
            raise FailedError(f"Invalid service token: {token}")

    def _take(self, answer: bytes, request_id: str) -> None:
        if len(answer) > _LARGEST:
            raise FailedError("Response object is too long.")
        try:
            said = read_json(answer)
            status = said["Status"]
        except (ValueError, KeyError, TypeError):
            raise FailedError("Invalid response object: Value of property Status must be SUCCESS or FAILED") from None
        physical_id = said.get("PhysicalResourceId")
        if physical_id:
            self.ref = str(physical_id)
        if status != "SUCCESS":
            reason = said.get("Reason") or ""
            raise FailedError(
                f"Received response status [{status}] from custom resource. Message returned: {reason} "
                f"(RequestId: {request_id})"
            )
        if not physical_id:
            raise FailedError("Invalid PhysicalResourceId")
        self.attributes = dict(said.get("Data") or {})

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Whether Fn::GetAtt may know an attribute: the function decides."""
        return True

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """The answer of Fn::GetAtt: of the function's Data."""
        if attribute_name not in self.attributes:
            raise ValidationError(
                message=f"CustomResource attribute error: Vendor response doesn't contain {attribute_name} "
                f"attribute in object {self.logical_resource_id}"
            )
        return self.attributes[attribute_name]


class WaitConditionHandle(ApiResource):
    """An address that takes signals."""

    TYPE = "AWS::CloudFormation::WaitConditionHandle"
    SERVICE = "s3"

    def create(self) -> None:
        """Presign it."""
        self.ref, _key = response_urls.presign(self.region)

    def update(self, old: dict[str, Any]) -> None:
        """Keep it: it has no properties."""

    def delete_it(self) -> None:
        """Forget it."""


class WaitCondition(ApiResource):
    """A number of signals that the stack waits for."""

    TYPE = "AWS::CloudFormation::WaitCondition"
    SERVICE = "s3"

    def create(self) -> None:
        """Wait for the signals."""
        if "Handle" not in self.properties:
            raise FailedError("WaitCondition needs a Handle: strictmoto knows no CreationPolicy")
        key = response_urls.key_of(str(self.properties["Handle"]))
        wanted = int(self.properties.get("Count", 1))
        seconds = int(self.properties.get("Timeout", 43_200))
        received: dict[str, str] = {}

        def signals() -> dict[str, str] | None:
            for body in response_urls.answers(self.region, key):
                signal = read_json(body)
                if signal["Status"] != "SUCCESS":
                    raise FailedError(
                        f"WaitCondition received failed message: '{signal.get('Reason', '')}' for uniqueId: "
                        f"{signal.get('UniqueId')}"
                    )
                received[str(signal["UniqueId"])] = str(signal.get("Data", ""))
            return received if len(received) >= wanted else None

        if working.wait_for(signals, seconds) is None:
            raise FailedError(f"WaitCondition timed out. Received {len(received)} conditions when expecting {wanted}")
        self.attributes["Data"] = json.dumps(received, separators=(",", ":"))

    def update(self, old: dict[str, Any]) -> None:
        """Refuse: a wait condition never changes."""
        raise FailedError("Update to resource type AWS::CloudFormation::WaitCondition is not supported.")

    def delete_it(self) -> None:
        """Forget it."""


class Metadata(ApiResource):
    """What the AWS CDK adds to every stack."""

    TYPE = "AWS::CDK::Metadata"
    SERVICE = "s3"

    def create(self) -> None:
        """Keep the properties: on AWS it makes nothing, either."""

    def update(self, old: dict[str, Any]) -> None:
        """Keep the new ones."""

    def delete_it(self) -> None:
        """Forget it."""


def install() -> None:
    """Do nothing: the types are registered as they are defined."""


def as_texts(properties: Any) -> Any:
    """Return properties as a function gets them: every scalar is a text."""
    if isinstance(properties, dict):
        return {key: as_texts(value) for key, value in properties.items()}
    if isinstance(properties, list):
        return [as_texts(item) for item in properties]
    return text(properties)
