"""What AWS accepts as a tag, service by service.

Source: Tagging AWS Resources guide, "Tag naming limits and requirements"; beside it for each
service the shape `Tag` of its API Reference; IAM User Guide, "Rules for tagging in IAM and
AWS STS"; User Guide for Network Load Balancers, "Tags for your Network Load Balancer" (spaces).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from tapstack.domain.arguments import is_whole_token
from tapstack.domain.errors import RuleViolation
from tapstack.domain.tokens import is_token

KEY_LENGTH: Final = (1, 128)
VALUE_LENGTH: Final = 256
TAGS: Final = 50
"""On one resource, those of AWS itself (aws:) not counted."""
OWN_TAGS: Final = 10
"""Kept for Name, for the tapstack: tags, and for those that an appliance's template gives what it makes."""
OWN_PREFIX: Final = "tapstack:"
OWN_KEY_PATTERN: Final = "^(?![Aa][Ww][Ss]:|[Tt][Aa][Pp][Ss][Tt][Aa][Cc][Kk]:|Name$)"
"""Of the keys that users may give, for the JSON Schema."""
_SIGNS: Final = frozenset("_.:/=+-@")


@dataclass(frozen=True, slots=True)
class TagRules:
    """What a service asks of tags beyond lengths and number.

    Attributes:
        service: as its own pages call it.
        plain: letters, digits, spaces and _.:/=+-@ only.
        with_value: no empty values.
        any_case: keys that differ in case only are one key.
        trimmed: no space at the beginning or the end of keys and values.
    """

    service: str
    plain: bool = True
    with_value: bool = False
    any_case: bool = False
    trimmed: bool = False


API_GATEWAY: Final = TagRules("API Gateway")
CLOUDFORMATION: Final = TagRules("CloudFormation", plain=False, with_value=True)
CLOUDWATCH: Final = TagRules("CloudWatch")
DYNAMODB: Final = TagRules("DynamoDB")
EC2: Final = TagRules("EC2", plain=False)
ELASTIC_LOAD_BALANCING: Final = TagRules("Elastic Load Balancing", trimmed=True)
EVENTBRIDGE: Final = TagRules("EventBridge")
IAM: Final = TagRules("IAM", any_case=True)
KMS: Final = TagRules("KMS")
LAMBDA: Final = TagRules("Lambda")
LOGS: Final = TagRules("CloudWatch Logs")
RAM: Final = TagRules("RAM")
S3: Final = TagRules("S3")
SNS: Final = TagRules("SNS")
SQS: Final = TagRules("SQS")
STEP_FUNCTIONS: Final = TagRules("Step Functions")
RESPONSE: Final = (
    *(API_GATEWAY, CLOUDWATCH, DYNAMODB, EC2, EVENTBRIDGE, IAM, KMS, LAMBDA, LOGS, SNS, SQS, STEP_FUNCTIONS),
)
"""The services of an incident response."""
XDR: Final = (EC2, EVENTBRIDGE, IAM, KMS, LAMBDA, LOGS, S3, SNS, SQS)
"""The services of what telemetry for an XDR passes."""


def check_sought_tag_key(key: str) -> str:
    """Return `key` when a tag that is looked for can have it, one of AWS's own included: 1 to 128 characters."""
    low, high = KEY_LENGTH
    if not low <= len(key) <= high:
        raise RuleViolation(f"{key!r} is not a tag key: expected {low} to {high} characters")
    return key


def check_tag_key(key: str) -> str:
    """Return `key` when a tag can be given it: it does not begin with aws:, which is AWS's own, in any case."""
    check_sought_tag_key(key)
    if key.lower().startswith("aws:"):
        raise RuleViolation(f"tag key {key!r} is reserved: AWS sets those that begin with aws:")
    return key


def check_tag_value(value: str) -> str:
    """Return `value` when it has at most 256 characters."""
    if len(value) > VALUE_LENGTH:
        raise RuleViolation(f"a tag value holds at most {VALUE_LENGTH} characters, got {len(value)}")
    return value


def check_own_tag_key(key: str) -> str:
    """Return `key` when users may put it on what is deployed.

    Raises:
        RuleViolation: of a wrong length, AWS's (aws:), or Tapstack's (tapstack:, Name), by which it recognizes
            what is its own, and finds it.
    """
    check_tag_key(key)
    if key.lower().startswith(OWN_PREFIX):
        raise RuleViolation(f"tag key {key!r} is reserved: Tapstack sets those that begin with {OWN_PREFIX}")
    if key == "Name":
        raise RuleViolation("tag key 'Name' is reserved: Tapstack sets it")
    return key


def check_construct_tags(tags: Mapping[str, str] | None, *services: TagRules) -> None:
    """Refuse tags that a construct cannot have; a token passes, and so does Name, in place of the construct's own.

    Args:
        tags: those that the construct was given.
        services: that get them.

    Raises:
        RuleViolation: a key that AWS or Tapstack sets, a wrong length, or what one of the services refuses.
    """
    if not tags or is_whole_token(tags):
        return
    for key, value in tags.items():
        if key != "Name" and not is_token(key):
            check_own_tag_key(key)
        if not is_token(value):
            check_tag_value(value)
    for about, _, problem in tag_problems(tags, services):
        raise RuleViolation(f"tags: {problem}" if about is None else f"tags[{about!r}]: {problem}")


_Rule = Literal["number", "plain key", "plain value", "trimmed", "with value", "any case"]


class TagProblem(NamedTuple):
    """What a service would refuse.

    Attributes:
        key: of the tag that it is about; None where it is about all of them.
        rule: that is broken; several services may have it, of which the message names one.
        message: what is wrong, and what would be right.
    """

    key: str | None
    rule: _Rule
    message: str


def tag_problems(tags: Mapping[str, str], services: Iterable[TagRules]) -> Iterator[TagProblem]:
    """Yield what the services that the tags reach would refuse.

    Args:
        tags: those that users give; each key and value is of the right length. Tokens in them pass.
        services: that get them.
    """
    reached = tuple(services)
    if len(tags) > TAGS - OWN_TAGS:
        yield TagProblem(
            None,
            "number",
            f"expected at most {TAGS - OWN_TAGS} tags: AWS allows {TAGS} on a resource, of which {OWN_TAGS} are kept "
            f"for those that Tapstack and templates add; got {len(tags)}",
        )
    plain = next((rules for rules in reached if rules.plain), None)
    with_value = next((rules for rules in reached if rules.with_value), None)
    any_case = next((rules for rules in reached if rules.any_case), None)
    trimmed = next((rules for rules in reached if rules.trimmed), None)
    respelled = dict(respelled_keys(tags))
    for key, value in tags.items():
        texts: tuple[tuple[_Rule, str, str], ...] = (("plain key", "key", key), ("plain value", "value", value))
        for rule, what, text in texts:
            if plain and not is_token(text) and (wrong := next((sign for sign in text if not _is_plain(sign)), None)):
                yield TagProblem(
                    key,
                    rule,
                    f"tag {what} {text!r} holds {wrong!r}, which {plain.service} does not take: expected letters, "
                    "digits, spaces and _.:/=+-@",
                )
            if trimmed and not is_token(text) and text != text.strip():
                yield TagProblem(
                    key,
                    "trimmed",
                    f"tag {what} {text!r} begins or ends with a space, which {trimmed.service} does not take",
                )
        if with_value and not value:
            message = f"the tag value is empty, and {with_value.service} does not accept empty values"
            yield TagProblem(key, "with value", message)
        if any_case and key in respelled:
            first = respelled[key]
            message = f"differs from {first} in case only, and is the same key to {any_case.service}: keep one"
            yield TagProblem(key, "any case", message)


def respelled_keys(tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each key that differs from an earlier one in case only, with that one."""
    spellings: dict[str, str] = {}
    for key in tags:
        first = spellings.setdefault(key.lower(), key)
        if first != key:
            yield key, first


def _is_plain(sign: str) -> bool:
    return sign in _SIGNS or unicodedata.category(sign)[0] in "LNZ"
