"""Which tags a service takes: how many, of which characters and lengths, and with which error it refuses others.

Checked is what one request gives; moto counts what a resource has already, where it does.

Sources: Tagging AWS Resources guide, "Tag naming limits and requirements"; the API Reference of each service, at its
type Tag and the errors of its actions on tags; IAM User Guide, "Rules for tagging in IAM and AWS STS". Codes that no
page names are inferred, which docs/conformance.md says of each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests.calls import Call
from strictmoto.requests.structures import requested_by

KEY_LENGTH: Final = 128
VALUE_LENGTH: Final = 256
_SIGNS: Final = frozenset("_.:/=+-@")
_BEGINNINGS: Final = frozenset({"Tags", "tags", "Tag.", "TagS", "TagL", "Tagg"})
"""What the names of parameters with tags begin with, in all protocols."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a service asks of tags.

    Attributes:
        invalid: code of the error for a key or value that cannot be.
        too_many: code where a request gives more than `most`; `invalid` by default.
        duplicate: code where a key is there twice; `invalid` by default.
        most: how many a resource has.
        plain: letters, digits, spaces and _.:/=+-@ only.
        any_case: keys that differ in case only are one key.
    """

    invalid: str
    too_many: str = ""
    duplicate: str = ""
    most: int = 50
    plain: bool = True
    any_case: bool = False


RULES: Final[Mapping[str, Rules]] = {
    "apigateway": Rules("BadRequestException"),
    "cloudformation": Rules("ValidationError", plain=False),
    "dynamodb": Rules("ValidationException"),
    "ec2": Rules("InvalidParameterValue", "TagLimitExceeded", plain=False),
    "elasticloadbalancing": Rules("ValidationError", "TooManyTags", "DuplicateTagKeys"),
    "events": Rules("ValidationException"),
    "iam": Rules("InvalidInput", any_case=True),
    "kms": Rules("TagException", "LimitExceededException"),
    "lambda": Rules("InvalidParameterValueException"),
    "logs": Rules("InvalidParameterException", "TooManyTagsException"),
    "monitoring": Rules("InvalidParameterValue"),
    "ram": Rules("InvalidParameterException", "TagLimitExceededException"),
    "s3": Rules("InvalidTag"),
    "scheduler": Rules("ValidationException"),
    "secretsmanager": Rules("InvalidParameterException"),
    "sns": Rules("InvalidParameter", "TagLimitExceeded"),
    "sqs": Rules("InvalidParameterValue"),
    "states": Rules("ValidationException", "TooManyTags"),
    "sts": Rules("ValidationError", any_case=True),
}
"""By the name that a request is signed for."""


def refusal_of_tags(call: Call) -> Refusal | None:
    """Return how a service refuses the tags that a call gives; None where it takes them."""
    rules = RULES.get(call.service)
    if rules is None or _BEGINNINGS.isdisjoint(name[:4] for name in call.parameters):
        return None
    for tags in _given(requested_by(call)):
        if (found := refusal_among(rules, tags)) is not None:
            return found
    return None


def refusal_among(rules: Rules, tags: list[tuple[str, str]]) -> Refusal | None:
    """Return how a service refuses the tags, as pairs of key and value, of one resource; None where it takes them."""
    seen: set[str] = set()
    for key, value in tags:
        same = key.lower() if rules.any_case else key
        if same in seen:
            return Refusal(rules.duplicate or rules.invalid, f"Duplicate tag key '{key}' specified.")
        seen.add(same)
        if (wrong := _why_invalid(rules, key, value)) is not None:
            return Refusal(rules.invalid, wrong)
    if len(tags) > rules.most:
        return Refusal(rules.too_many or rules.invalid, f"The maximum number of tags ({rules.most}) has been exceeded.")
    return None


def _why_invalid(rules: Rules, key: str, value: str) -> str | None:
    if not key:
        return "Tag keys cannot be empty or null."
    if key.lower().startswith("aws:"):
        return "Tag keys starting with 'aws:' are reserved for internal use."
    if len(key) > KEY_LENGTH:
        return f"Tag key '{key}' exceeds the maximum length of {KEY_LENGTH} characters."
    if len(value) > VALUE_LENGTH:
        return f"The value of tag '{key}' exceeds the maximum length of {VALUE_LENGTH} characters."
    if rules.plain:
        for text in (key, value):
            if any(sign not in _SIGNS and unicodedata.category(sign)[0] not in "LNZ" for sign in text):
                return f"Tag '{key}' holds characters other than letters, digits, spaces and _.:/=+-@"
    return None


def _given(requested: Mapping[str, Any]) -> Iterator[list[tuple[str, str]]]:
    """Yield the tags that a request gives, resource by resource."""
    for specification in requested.get("TagSpecifications") or ():
        yield _read(specification.get("Tags"))
    for name in ("Tags", "tags", "TagList"):
        yield _read(requested.get(name))
    tagging = requested.get("Tagging")
    if isinstance(tagging, Mapping):
        yield _read(tagging.get("TagSet"))


def _read(tags: Any) -> list[tuple[str, str]]:
    if isinstance(tags, Mapping):
        return [(str(key), str(value)) for key, value in tags.items()]
    return [
        # KMS says TagKey and TagValue, others key and value.
        (_member(tag, "Key"), _member(tag, "Value"))
        for tag in (tags if isinstance(tags, list) else ())
        if isinstance(tag, Mapping)
    ]


def _member(tag: Mapping[str, Any], name: str) -> str:
    found = tag.get(name, tag.get(f"Tag{name}", tag.get(name.lower())))
    return "" if found is None else str(found)
