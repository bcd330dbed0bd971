"""Resource types that are made as AWS makes them: by the calls of a service's API, inside of this process.

A type is a class with `create`, `update` and `delete`. What it calls is the account's own API, with all that the
account checks there; IAM is asked about each call, and each is recorded, for whoever the stack is worked on.
"""

from __future__ import annotations

import functools
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from io import BytesIO
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

import boto3
import botocore.model
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException, ValidationError
from moto.core.botocore_stubber import BotocoreStubber

from strictmoto.call_rules.services import refusal_of_call
from strictmoto.cloudformation import schemas
from strictmoto.cloudformation.templates import text
from strictmoto.front.refusals import refusal
from strictmoto.identity.behalf import BEHALF, Answer, Behalf
from strictmoto.identity.signatures import Received
from strictmoto.requests.readings import Reading, read

# moto has types, but none for what is replaced at run time.
moto_parsing: Any = parsing
_lock = threading.RLock()
_REGISTRY: Final[dict[str, type[ApiResource]]] = {}
_SCOPE: Final = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
STACK_TAGS: Final[ContextVar[Mapping[str, str]]] = ContextVar("STACK_TAGS", default=MappingProxyType({}))
"""The tags of the stack whose resource is made."""
_READING: Final = ("describe_", "get_", "list_")
_ABSENT: Final = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist", "InvalidAllocationID")


class FailedError(Exception):
    """A resource that fails for a reason that the events of its stack show as it is."""


class _Body(BytesIO):
    """An answer as botocore reads one."""

    def stream(self, **_: Any) -> Any:
        """Yield the whole of it."""
        yield self.read()


@functools.cache
def _session() -> boto3.Session:
    return boto3.Session()


@functools.cache
def client(service: str, account_id: str, region: str) -> Any:
    """Return a boto3 client whose calls moto answers at once, in an account and Region.

    Args:
        service: boto3's name of it.
        account_id: where to call.
        region: where to call.
    """
    with _lock:
        # Of a session of its own: whoever mocks AWS in this process replaces `boto3.client`.
        made = _session().client(
            service,
            region_name=region,
            # moto goes by the header below; nothing here is signed for anybody.
            aws_access_key_id="cloudformation",
            aws_secret_access_key="cloudformation",
            config=Config(
                parameter_validation=False,
                retries={"total_max_attempts": 1},
                ignore_configured_endpoint_urls=True,
                # The bucket is in the path, where the model has it.
                s3={"addressing_style": "path"},
            ),
        )
    stubber = BotocoreStubber()

    def answer(request: Any, **_: Any) -> AWSResponse:
        _prepare(made.meta.service_model.signing_name)
        request.headers["x-moto-account-id"] = account_id

        def by_moto() -> Answer:
            answered = stubber.process_request(request)
            if answered is None:
                raise RuntimeError(f"nothing answers {request.url}")
            status, headers, body = answered
            return status, headers, body.encode() if isinstance(body, str) else bytes(body or b"")

        status, headers, body = _made(request, by_moto)
        return AWSResponse(request.url, status, headers, _Body(body))

    made.meta.events.register_first("before-send.*.*", answer)
    return made


def _made(request: Any, by_moto: Callable[[], Answer]) -> Answer:
    """Return the answer to a request, which IAM may refuse, and the service that it is for."""
    behalf = BEHALF.get()
    if behalf is None:
        return by_moto()
    reading = _reading_of(request, behalf)
    call = reading.call

    def taken() -> Answer:
        if (wrong := reading.wrong or refusal_of_call(call, tags=False)) is not None:
            return wrong.status, *refusal(call.protocol, wrong.code, wrong.message)
        return by_moto()

    return behalf.make(call, taken)


def _reading_of(request: Any, behalf: Behalf) -> Reading:
    """Return the reading of a request of botocore, as whoever it is made for would sign it."""
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    scope = _SCOPE.search(headers["authorization"])
    if scope is None:
        raise RuntimeError(f"the request is not signed: {request.url}")
    parts, body = urlsplit(request.url), request.body or b""
    sent = body.encode() if isinstance(body, str) else bytes(body)
    received = Received(request.method, parts.path, parts.query, headers, sent)
    return read(received, scope[2], scope[1], behalf.caller.access_key, parts.query)


def _prepare(service: str) -> None:
    # Late: the account imports what moto needs only when it is needed.
    from strictmoto.account import extend

    extend(service)


def as_parameters(given: Any, shape: botocore.model.Shape | None) -> Any:
    """Return properties as an API takes them: names in its case, numbers and booleans that a template gave as text.

    Raises:
        ValidationError: the API has no such parameter, so that it would be lost.
    """
    match shape:
        case botocore.model.StructureShape() if isinstance(given, Mapping):
            members = {name.lower(): name for name in shape.members}
            taken = {}
            for key, value in given.items():
                name = members.get(key.lower())
                if name is None:
                    # Not AWS's words: AWS may know it, and this account would lose it.
                    raise ValidationError(message=f"strictmoto does not know {key} of {shape.name}")
                taken[name] = as_parameters(value, shape.members[name])
            return taken
        case botocore.model.ListShape():
            return [as_parameters(item, shape.member) for item in (given if isinstance(given, list) else [given])]
        case botocore.model.MapShape() if isinstance(given, Mapping):
            return {key: as_parameters(value, shape.value) for key, value in given.items()}
    kind = shape.type_name if shape else ""
    if kind == "boolean":
        return text(given) == "true"
    if kind in ("integer", "long"):
        return int(given)
    if kind in ("float", "double"):
        return float(given)
    return text(given) if kind == "string" and not isinstance(given, dict | list | bytes) else given


class ApiResource:
    """A resource that an API made.

    Attributes:
        ref: what Ref says.
        attributes: what Fn::GetAtt says, by attribute.
        properties: those that it has.
        name: the name that CloudFormation made up, or the one that the template gives.
        ec2_id: of a resource that EC2 tags with its stack; "" for others.
    """

    TYPE: ClassVar[str]
    """Its type in templates."""
    SERVICE: ClassVar[str]
    """boto3's name of the service that makes it."""
    NAME: ClassVar[str] = ""
    """The property that names it, where it may be left to CloudFormation."""
    # The stack deletes what was replaced, once nothing refers to it any more.
    leaves_the_old = True
    touched = False
    """Whether a call has changed anything since its last change began."""
    deleted_when_failed = False
    """Whether it is deleted, too, when its creation fails half way."""
    ec2_id = ""
    cf_resource_type = ""
    logical_resource_id = ""
    stack_id = ""

    def __init__(self, account_id: str, region: str, name: str, properties: dict[str, Any]) -> None:
        """Prepare it; nothing is made yet."""
        self.account_id, self.region, self.name, self.properties = account_id, region, name, properties
        self.ref = name
        self.attributes: dict[str, Any] = {}

    def __init_subclass__(cls) -> None:
        """Register the type."""
        if "TYPE" in cls.__dict__:
            _REGISTRY[cls.TYPE] = cls

    def create(self) -> None:
        """Make it, and set `ref` and `attributes`."""
        raise NotImplementedError

    def update(self, old: dict[str, Any]) -> None:
        """Change it in place to `properties`; `old` are those until now."""
        raise NotImplementedError

    def delete_it(self) -> None:
        """Unmake it."""
        raise NotImplementedError

    def call(self, operation: str, service: str = "", **parameters: Any) -> dict[str, Any]:
        """Call an operation of the account's API; what is None is left out.

        Raises:
            botocore.exceptions.ClientError: as the API refuses it.
        """
        api = client(service or self.SERVICE, self.account_id, self.region)
        model = self.operation(operation, service)
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            answer: dict[str, Any] = getattr(api, operation)(**as_parameters(given, model.input_shape))
        except ClientError as error:
            vars(error)["service_id"] = str(api.meta.service_model.service_id)
            raise
        self.touched = self.touched or not operation.startswith(_READING)
        return answer

    def operation(self, operation: str, service: str = "") -> Any:
        """Return botocore's model of an operation."""
        meta = client(service or self.SERVICE, self.account_id, self.region).meta
        return meta.service_model.operation_model(meta.method_to_api_mapping[operation])

    def refuse_existing(self, operation: str, listed: str = "", **named: Any) -> None:
        """Fail where another has the name already, though the API's Create call would take that for its own.

        Args:
            operation: finds the other, or raises an error that says it is absent.
            listed: the member of the answer that lists it, where the operation raises no error.
            named: its parameters.

        Raises:
            FailedError: there is one.
        """
        # CloudFormation knows; whose permissions the stack has is not asked.
        token = BEHALF.set(None)
        try:
            found = self.call(operation, **named)
        except ClientError as error:
            if is_absent(error):
                return
            raise
        finally:
            BEHALF.reset(token)
        if listed and not found.get(listed):
            return
        said = f"Resource of type '{self.TYPE}' with identifier '{self.name}' already exists."
        where = f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: AlreadyExists)"
        raise FailedError(f'Resource handler returned message: "{said}" {where}')

    def of(self, *names: str) -> dict[str, Any]:
        """Return some of the properties, where the template gives them."""
        return {name: self.properties[name] for name in names if name in self.properties}

    def without(self, *names: str) -> dict[str, Any]:
        """Return the properties but some."""
        return {name: self.properties[name] for name in self.properties if name not in names}

    def changed(self, old: Mapping[str, Any], *names: str) -> bool:
        """Return whether one of some properties is another than before."""
        return any(old.get(name) != self.properties.get(name) for name in names)

    def tags(self, properties: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Return the tags of the properties, whichever way the type writes them."""
        found = (self.properties if properties is None else properties).get("Tags") or {}
        if isinstance(found, Mapping):
            return {key: text(value) for key, value in found.items()}
        return {tag["Key"]: text(tag["Value"]) for tag in found}

    def dropped_tags(self, old: Mapping[str, Any]) -> list[str]:
        """Return the keys of tags that it has no longer."""
        return [key for key in self.tags(old) if key not in self.tags()]

    @property
    def physical_resource_id(self) -> str:
        """What Ref says."""
        return self.ref

    def is_created(self) -> bool:
        """Whether it is ready, which it is when `create` returns."""
        return True

    @classmethod
    def cloudformation_type(cls) -> str:
        """Its type in templates."""
        return cls.TYPE

    @classmethod
    def cloudformation_name_type(cls) -> str:
        """The property that names it."""
        return cls.NAME

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Whether Fn::GetAtt knows an attribute."""
        return schemas.has_attribute(cls.TYPE, attr)

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """The answer of Fn::GetAtt."""
        if attribute_name not in self.attributes:
            raise UnformattedGetAttTemplateException
        return self.attributes[attribute_name]

    def changed_to(self, properties: dict[str, Any], new_name: str) -> ApiResource:
        """Change it in place, or make what takes its place, as its schema says; return what has the properties."""
        old = self.properties
        if schemas.replaces(self.TYPE, old, properties):
            return self.another(properties, new_name).made()
        # They stay where the change fails half way, so that going back undoes what was done of it.
        self.properties, self.touched = properties, False
        try:
            self.update(old)
        except BaseException:
            if not self.touched:
                self.properties = old
            raise
        return self

    def another(self, properties: dict[str, Any], name: str) -> Self:
        """Return one of the same logical id, not made yet."""
        other = type(self)(self.account_id, self.region, name, properties)
        other.stack_id, other.logical_resource_id = self.stack_id, self.logical_resource_id
        other.cf_resource_type = self.cf_resource_type
        return other

    def made(self) -> Self:
        """Make it, and return it."""
        try:
            self.create()
        except BaseException as error:
            if self.deleted_when_failed:
                error.half_made = self  # type: ignore[attr-defined]
            raise
        return self

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> Self:
        """Make it."""
        new = cls(account_id, region_name, resource_name, cloudformation_json["Properties"])
        new.logical_resource_id, new.stack_id = kwargs["LogicalId"], kwargs["StackId"]
        new.cf_resource_type = kwargs["ResourceType"]
        return new.made()

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> ApiResource:
        """Change it."""
        changed: ApiResource = original_resource.changed_to(cloudformation_json["Properties"], new_resource_name)
        return changed

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        """Do nothing: `delete` does."""

    def delete(self, account_id: str, region_name: str) -> None:
        """Unmake it; where it is gone already, that is as good."""
        try:
            self.delete_it()
        except ClientError as error:
            if not is_absent(error):
                raise


def is_absent(error: ClientError) -> bool:
    """Whether an API refuses a call because what it is about is not there."""
    return any(part in str(error.response["Error"]["Code"]) for part in _ABSENT)


def own_type(kind: str) -> type[ApiResource] | None:
    """Return the class of a type that is made by calls; None for others."""
    return _REGISTRY.get("AWS::CloudFormation::CustomResource" if kind.startswith("Custom::") else kind)


def makes(kind: str) -> bool:
    """Whether this account makes a type at all, by calls or by moto's models."""
    return own_type(kind) is not None or (kind not in moto_parsing.NULL_MODELS and kind in moto_parsing.get_model_map())


def install() -> None:
    """Let moto find the types."""
    class_of: Callable[[str], Any] = moto_parsing.resource_class_from_type
    name_of: Callable[[str], Any] = moto_parsing.resource_name_property_from_type

    @functools.wraps(class_of)
    def resource_class_from_type(resource_type: str) -> Any:
        return own_type(resource_type) or class_of(resource_type)

    @functools.wraps(name_of)
    def resource_name_property_from_type(resource_type: str) -> Any:
        found = own_type(resource_type)
        return found.NAME if found else name_of(resource_type)

    moto_parsing.resource_class_from_type = resource_class_from_type
    moto_parsing.resource_name_property_from_type = resource_name_property_from_type
