"""The types of fields: the domain's rules as pydantic types, with their JSON Schema."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from tapstack.domain import (
    alert_mappings,
    alert_settings,
    alerts,
    buckets,
    cidrs,
    contacts,
    external_ids,
    incidents,
    limits,
    policy_rules,
    regions,
    telemetry,
    xdr_settings,
)
from tapstack.domain import packet_basics as template
from tapstack.domain.containment_settings import ROLE_NAME, ROLE_NAME_LENGTH
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_rules import PORTS, PROTOCOL_NUMBERS, PROTOCOLS, PortRange, parse_protocol
from tapstack.domain.identifiers import (
    NAME_PATTERN,
    check_cloudformation_stack_name,
    check_identifier,
    check_name,
    example_of,
    pattern_of,
)
from tapstack.domain.peers import Peer
from tapstack.domain.provider_versions import check_supported_versions
from tapstack.domain.tags import OWN_KEY_PATTERN, check_own_tag_key, check_sought_tag_key, check_tag_value
from tapstack.domain.threats import TACTICS


class MisfitError(RuleViolation):
    """Fields of one part of the file do not fit together, although each is right."""


class Settings(BaseModel):
    """A part of the deployment file: unknown keys refused, no value converted, frozen.

    A key without a value (null) is refused like any other value of the wrong kind, except where null means something
    else than leaving the key out: where a field that may be None has another default.
    """

    model_config = ConfigDict(
        defer_build=True,
        extra="forbid",
        strict=True,
        frozen=True,
        arbitrary_types_allowed=True,
    )

    domain_type: ClassVar[type[Any] | None] = None
    """The dataclass that a part validates into (`to_domain`), where it has one: defaults and descriptions are its."""

    def __init_subclass__(
        cls, *, domain: type[Any] | None = None, library_only: tuple[str, ...] = (), **more: Any
    ) -> None:
        """Leave the dataclass to what follows once the fields are known."""
        super().__init_subclass__(**more)

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, domain: type[Any] | None = None, library_only: tuple[str, ...] = (), **more: Any
    ) -> None:
        """Take the defaults of the dataclass, and hold that both have the same fields.

        Args:
            domain: the dataclass.
            library_only: fields of it that the file does not have.
            **more: pydantic's own.
        """
        super().__pydantic_init_subclass__(**more)
        if domain is None:
            return
        cls.domain_type = domain
        declared = {each.name: each for each in dataclasses.fields(domain) if each.name not in library_only}
        if declared.keys() != cls.model_fields.keys():
            raise TypeError(f"{cls.__name__} and {domain.__name__} have other fields")
        for name, info in cls.model_fields.items():
            _take_default(info, declared[name])

    def to_domain(self) -> Any:
        """Return this part as the dataclass that it validates into."""
        assert self.domain_type is not None
        return self.domain_type(**{name: _in_domain(getattr(self, name)) for name in type(self).model_fields})

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let no null stand for a key that is left out: `severity:` would be a rule without one."""
        schema = handler(source)
        _refuse_null(handler.resolve_ref_schema(schema))
        return schema

    def check(self) -> None:
        """Refuse fields that do not fit together.

        Raises:
            RuleViolation: they do not.
        """

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.check()
        except RuleViolation as violation:
            raise MisfitError(str(violation)) from None
        return self


def _take_default(info: FieldInfo, field: dataclasses.Field[Any]) -> None:
    """Give a field of the file the default of a field of a dataclass."""
    factory = field.default_factory
    default = field.default if factory is dataclasses.MISSING else factory()
    if default is dataclasses.MISSING:
        return
    parts = (info.annotation, *get_args(info.annotation))
    part = next((one for one in parts if isinstance(one, type) and issubclass(one, Settings)), None)
    if isinstance(default, tuple):
        info.default_factory = lambda: list(default)
    elif isinstance(default, Mapping):
        info.default_factory = lambda: dict(default)
    elif part is not None and default is not None:
        info.default_factory = part
    else:
        info.default = default


def _in_domain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_domain()
    if isinstance(value, dict):
        return {key: _in_domain(inner) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _refuse_null(schema: Any) -> None:
    """Take null out of what the fields of a model accept, where it is their default as well."""
    while "fields" not in schema:
        schema = schema["schema"]
    for field in schema["fields"].values():
        with_default = field["schema"]
        if with_default.get("default", ...) is None and with_default["schema"]["type"] == "nullable":
            with_default["schema"] = with_default["schema"]["schema"]


def accepts_null(info: FieldInfo) -> bool:
    """Return whether null means something in a field that may be None."""
    return info.default is not None


def _identifier(kind: str) -> Any:
    schema: dict[str, Any] = {"type": "string", "pattern": pattern_of(kind)}
    if re.fullmatch(pattern_of(kind), example_of(kind)):  # some examples are not literal
        schema["examples"] = [example_of(kind)]
    return Annotated[str, AfterValidator(lambda value: check_identifier(kind, value)), WithJsonSchema(schema)]


def _text(check: Callable[[str], Any], **schema: Any) -> Any:
    def validate(value: str) -> str:
        check(value)
        return value

    return Annotated[str, AfterValidator(validate), WithJsonSchema({"type": "string", **schema})]


def _matching(pattern: str, length: tuple[int, int], called: str) -> Any:
    """Text of a form that messages say in words: `called`, with the numbers of characters in the place of `{}`."""
    low, high = length

    def check(value: str) -> None:
        if not (low <= len(value) <= high and re.fullmatch(pattern, value)):
            raise RuleViolation(f"{value!r} is not {called.format(f'{low} to {high}')}")

    return _text(check, minLength=low, maxLength=high, pattern=f"^{pattern}$")


def _canonical(spell: Callable[[str], str], **schema: Any) -> Any:
    """Text that may be written in several ways, and is kept in one."""
    return Annotated[str, AfterValidator(spell), WithJsonSchema({"type": "string", **schema})]


def _number(check: Callable[[int], object], allowed: tuple[int, int]) -> Any:
    def validate(value: int) -> int:
        check(value)
        return value

    schema = {"type": "integer", "minimum": allowed[0], "maximum": allowed[1]}
    return Annotated[int, AfterValidator(validate), WithJsonSchema(schema)]


def _severity(value: float) -> float:
    policy_rules.check_severity(value)
    return value


def _ports(value: Any) -> PortRange:
    return PortRange.parse(value)


AccountId = _identifier("account")
EndpointId = _identifier("gateway load balancer endpoint")
FilterId = _identifier("traffic mirror filter")
IamPolicyArn = _identifier("iam policy")
IamRoleArn = _identifier("iam role")
InstanceId = _identifier("instance")
KmsKeyArn = _identifier("kms key")
LoadBalancerArn = _identifier("network load balancer")
NetworkInterfaceId = _identifier("network interface")
RamPrincipal = _identifier("ram principal")
Region = Annotated[
    str,
    AfterValidator(regions.check_form),
    WithJsonSchema(
        {
            "anyOf": [{"enum": list(regions.KNOWN)}, {"type": "string", "pattern": pattern_of("region")}],
            "examples": [example_of("region")],
        }
    ),
]
SnsTopicArn = _identifier("sns topic")
SubnetId = _identifier("subnet")
TargetId = _identifier("traffic mirror target")
VpcId = _identifier("vpc")

BucketName = _text(
    buckets.check_bucket_name, minLength=buckets.LENGTH[0], maxLength=buckets.LENGTH[1], pattern=buckets.PATTERN
)
# Amazon S3 User Guide, "Naming Amazon S3 objects": without the characters to avoid. `*` and `?` would be wildcards in
# the policies that name the state; `.` and `..` between slashes mean a folder to many programs.
KeyPrefix = _matching(
    r"(?!(.*/)?\.{0,2}(/|$)| |.* $)[A-Za-z0-9!_.'()/&$@=;:+, -]+",
    (1, 512),
    "a prefix of keys: expected {} letters, digits, commas, inner spaces and signs of !_.'()/&$@=;:+-, with names that "
    "are not empty, . or .. between its slashes",
)
Name = _text(check_name, pattern=NAME_PATTERN, examples=["web"])
RoleSessionName = _matching(
    r"[A-Za-z0-9_+=,.@-]+", (2, 64), "the name of a role's session: expected {} letters, digits and signs of _+=,.@-"
)
RoleName = _matching(
    ROLE_NAME, ROLE_NAME_LENGTH, "the name of a role: expected {} letters, digits and signs of _+=,.@-, no ARN"
)
# AWS STS API Reference, AssumeRole.
ExternalId = _matching(
    external_ids.PATTERN, external_ids.LENGTH, "an external id: expected {} letters, digits and signs of _+=,.@:/-"
)
# 16 random characters: tapstack.domain.external_ids.
HardExternalId = _text(
    external_ids.check_external_id,
    minLength=external_ids.RANDOM,
    maxLength=external_ids.LENGTH[1],
    pattern=f"^{external_ids.PATTERN}$",
)
VendorPrincipal = _text(
    xdr_settings.check_vendor,
    pattern=f"{pattern_of('account')}|{pattern_of('iam principal')}",
    examples=[example_of("iam role")],
)
IamPrincipalArn = _identifier("iam principal")
OidcProviderArn = _identifier("oidc provider")
DetectorId = _identifier("detector")
# AWS STS API Reference, AssumeRoleWithWebIdentity; IAM API Reference, CreateOpenIDConnectProvider.
ClaimText = _matching(r"[!-~]+", (1, 255), "a claim of a token: expected {} printable characters without spaces")
Thumbprint = _text(xdr_settings.check_thumbprint, pattern="^[0-9A-Fa-f]{40}$", minLength=40, maxLength=40)
Prefix = _text(telemetry.prefix_of, examples=["incidents"])
Cidr = _canonical(cidrs.check_cidr, examples=["10.0.0.0/16"])
Ipv4Cidr = _canonical(lambda value: cidrs.check_cidr(value, examples="10.20.0.0/16"), examples=["10.20.0.0/16"])
PeerText = _canonical(
    lambda value: Peer.parse(value).value, examples=["10.0.0.0/16", "sg-0123456789abcdef0", "vpc-0123456789abcdef0"]
)
StackName = _text(check_cloudformation_stack_name, pattern="^[A-Za-z][A-Za-z0-9-]{0,127}$")
TemplateUrl = _text(
    template.check_template_url, pattern="^https://", format="uri", examples=[template.TEMPLATE_URL_EXAMPLE]
)
VersionConstraint = _text(check_supported_versions, examples=[">= 5.100.0, < 7.0.0"])

CaptureMinutes = _number(incidents.check_minutes, incidents.MINUTES)
SessionNumber = _number(limits.check_session_number, limits.SESSION_NUMBER)
VirtualNetworkId = _number(limits.check_virtual_network_id, limits.VIRTUAL_NETWORK_ID)
PacketLength = _number(limits.check_packet_length, limits.PACKET_LENGTH)
RuleNumber = _number(limits.check_rule_number, limits.FILTER_RULE_NUMBER)

Email = _text(contacts.check_email, pattern=contacts.EMAIL_PATTERN, examples=["responders@example.com"])
Issuer = _text(contacts.check_issuer, pattern="^https://", format="uri", examples=["https://login.example.com/tenant"])
ShortText = Annotated[str, Field(min_length=1, max_length=256)]
# RFC 6749, section 3.3: a token's scopes are separated by spaces.
Scope = _matching(
    r"[!#-\[\]-~]+", (1, 256), "a scope: expected one of {} characters, without spaces, quotes and backslashes"
)
Expression = _text(
    alert_mappings.check_expression,
    minLength=alert_mappings.EXPRESSION_LENGTH[0],
    maxLength=alert_mappings.EXPRESSION_LENGTH[1],
    examples=["detail.id"],
)
AlertSourceName = _text(alert_settings.check_source_name, pattern=NAME_PATTERN, examples=["hunters"])
# Whether it has to be one of GuardDuty's depends on the sources of its rule.
AlertTypePattern = _text(
    lambda value: policy_rules.check_type_pattern(value, of_guardduty=False),
    minLength=1,
    maxLength=alerts.TYPE_LENGTH,
    examples=["UnauthorizedAccess:EC2/*"],
)
Technique = _text(policy_rules.check_technique, pattern=incidents.TECHNIQUE_PATTERN, examples=["T1071.004"])
Tactic = _text(lambda value: policy_rules.check_one_of("tactic", value, tuple(TACTICS)), enum=list(TACTICS))
FindingSeverity = Annotated[
    float,
    AfterValidator(_severity),
    WithJsonSchema(
        {
            "type": "number",
            "minimum": policy_rules.SEVERITY[0],
            "maximum": policy_rules.SEVERITY[1],
            "examples": [7.0],
        }
    ),
]

Protocol = Annotated[
    int | None,
    BeforeValidator(parse_protocol),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(PROTOCOLS)},
                {"type": "integer", "minimum": PROTOCOL_NUMBERS[0], "maximum": PROTOCOL_NUMBERS[1]},
            ]
        }
    ),
]
Ports = Annotated[
    PortRange,
    BeforeValidator(_ports),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": PORTS[0], "maximum": PORTS[1]},
                {"type": "string", "pattern": r"^\d{1,5}(-\d{1,5})?$"},
            ],
            "examples": [443, "8000-8999"],
        }
    ),
]
TagKey = _text(check_own_tag_key, minLength=1, maxLength=128, pattern=OWN_KEY_PATTERN)
SoughtTagKey = _text(check_sought_tag_key, minLength=1, maxLength=128)
TagValue = _text(check_tag_value, maxLength=256)
_TAGS: Final[list[Any]] = [{"application": "checkout"}]
"""An example."""
Tags: TypeAlias = Annotated[dict[TagKey, TagValue], Field(examples=_TAGS)]  # type: ignore[valid-type]
"""On what is deployed."""
SoughtTags: TypeAlias = Annotated[dict[SoughtTagKey, TagValue], Field(examples=_TAGS)]  # type: ignore[valid-type]
"""Of what is there already."""
