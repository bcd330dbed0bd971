"""AWS::Lambda::Function, with its code in the template, in S3 or in an image.

Sources: CloudFormation Template Reference, "AWS::Lambda::Function"; User Guide, "cfn-response module".
"""

from __future__ import annotations

import io
import zipfile
from typing import Any, ClassVar, Final

from moto.utilities.utils import get_partition

from strictmoto.cloudformation.api_types import ApiResource
from strictmoto.cloudformation.templates import text

# What AWS puts beside code that stands in a template; with the interface that its page documents.
_CFN_RESPONSE: Final = '''"""Answers CloudFormation."""

import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    answer = {
        "Status": responseStatus,
        "Reason": reason or f"See the details in CloudWatch Log Stream: {context.log_stream_name}",
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }
    body = json.dumps(answer).encode()
    headers = {"content-type": "", "content-length": str(len(body))}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data=body, headers=headers, method="PUT"))
'''
_CONFIGURED: Final = (
    "DeadLetterConfig",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "ImageConfig",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "SnapStart",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
)


class Function(ApiResource):
    """A function."""

    TYPE: ClassVar[str] = "AWS::Lambda::Function"
    SERVICE: ClassVar[str] = "lambda"
    NAME: ClassVar[str] = "FunctionName"

    def create(self) -> None:
        """Create it."""
        given = self.without("Code", "FunctionName", "ReservedConcurrentExecutions", "Tags")
        self.call("create_function", FunctionName=self.name, Code=self._code(), Tags=self.tags() or None, **given)
        self.ref = self.name
        arn = f"arn:{get_partition(self.region)}:lambda:{self.region}:{self.account_id}:function:{self.name}"
        self.attributes = {"Arn": arn}
        self._reserve({})

    def update(self, old: dict[str, Any]) -> None:
        """Change its code, its configuration, its concurrency and its tags."""
        if self.changed(old, "Code", "Architectures"):
            given = {**self._code(), **self.of("Architectures")}
            self.call("update_function_code", FunctionName=self.name, **given)
        if self.changed(old, *_CONFIGURED):
            emptied: dict[str, Any] = {
                "Environment": {"Variables": {}},
                "Layers": [],
                "Description": "",
                "Timeout": 3,
                "MemorySize": 128,
            }
            gone = {name: value for name, value in emptied.items() if name in old and name not in self.properties}
            self.call("update_function_configuration", FunctionName=self.name, **gone, **self.of(*_CONFIGURED))
        self._reserve(old)
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", Resource=self.attributes["Arn"], TagKeys=dropped)
        if self.changed(old, "Tags") and self.tags():
            self.call("tag_resource", Resource=self.attributes["Arn"], Tags=self.tags())

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_function", FunctionName=self.name)

    def _reserve(self, old: dict[str, Any]) -> None:
        if not self.changed(old, "ReservedConcurrentExecutions"):
            return
        if (number := self.properties.get("ReservedConcurrentExecutions")) is None:
            self.call("delete_function_concurrency", FunctionName=self.name)
        else:
            self.call("put_function_concurrency", FunctionName=self.name, ReservedConcurrentExecutions=number)

    def _code(self) -> dict[str, Any]:
        code: dict[str, Any] = self.properties["Code"]
        if "ZipFile" not in code:
            return {name: value for name, value in code.items() if name != "SourceKMSKeyArn"}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            if text(self.properties.get("Runtime", "")).startswith("python"):
                archive.writestr("index.py", code["ZipFile"])
                archive.writestr("cfnresponse.py", _CFN_RESPONSE)
            else:
                archive.writestr("index.js", code["ZipFile"])
        return {"ZipFile": packed.getvalue()}


def install() -> None:
    """Do nothing: the type is registered as it is defined."""
