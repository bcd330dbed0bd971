"""The shape of AWS identifiers, so that a typing error is found before AWS finds it.

Source: the resource id formats of the Amazon EC2 User Guide ("Resource IDs": a prefix
and 8 or 17 hexadecimal digits) and the ARN formats of the services' authorization
reference pages.
"""

from __future__ import annotations

import re
from typing import Final

from tapstack.domain.counts import counted
from tapstack.domain.errors import RuleViolation
from tapstack.domain.tokens import is_token

_ID: Final = r"(?:[0-9a-f]{8}|[0-9a-f]{17})"
_EXAMPLE: Final = "0123456789abcdef0"
_ARN: Final = r"arn:aws(?:-[a-z]+)*"

_FORMATS: Final[dict[str, tuple[str, str]]] = {
    # kind: (pattern, example)
    "network interface": (rf"eni-{_ID}", "eni-0123456789abcdef0"),
    "instance": (rf"i-{_ID}", "i-0123456789abcdef0"),
    "subnet": (rf"subnet-{_ID}", "subnet-0123456789abcdef0"),
    "vpc": (rf"vpc-{_ID}", "vpc-0123456789abcdef0"),
    "security group": (rf"sg-{_ID}", "sg-0123456789abcdef0"),
    "prefix list": (rf"pl-{_ID}", "pl-0123456789abcdef0"),
    "traffic mirror target": (rf"tmt-{_ID}", "tmt-0123456789abcdef0"),
    "traffic mirror filter": (rf"tmf-{_ID}", "tmf-0123456789abcdef0"),
    "gateway load balancer endpoint": (rf"vpce-{_ID}", "vpce-0123456789abcdef0"),
    "network load balancer": (
        rf"{_ARN}:elasticloadbalancing:[a-z0-9-]+:\d{{12}}:loadbalancer/net/[A-Za-z0-9-]{{1,32}}/[0-9a-f]{{16}}",
        "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/capture/0123456789abcdef",
    ),
    "account": (r"\d{12}", '"111122223333" (12 digits, quoted)'),
    "ram principal": (
        rf"\d{{12}}|{_ARN}:organizations::\d{{12}}:(?:organization/o-[a-z0-9]{{10,32}}"
        rf"|ou/o-[a-z0-9]{{10,32}}/ou-[a-z0-9]{{4,32}}-[a-z0-9]{{8,32}})",
        '"111122223333" or arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5',
    ),
    "iam role": (
        rf"{_ARN}:iam::\d{{12}}:role/[\w+=,.@/-]{{1,512}}",
        "arn:aws:iam::111122223333:role/tapstack-deploy",
    ),
    "iam principal": (
        rf"{_ARN}:iam::\d{{12}}:(?:role|user)/[\w+=,.@/-]{{1,512}}",
        "arn:aws:iam::111122223333:role/collector",
    ),
    "oidc provider": (
        rf"{_ARN}:iam::\d{{12}}:oidc-provider/[A-Za-z0-9._/:-]{{1,255}}",
        "arn:aws:iam::111122223333:oidc-provider/sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d/",
    ),
    "detector": (r"[0-9a-f]{32}", "12abc34d567e8fa901bc2d34e56789f0"),
    "iam policy": (
        rf"{_ARN}:iam::(?:\d{{12}}|aws):policy/[\w+=,.@/-]{{1,512}}",
        "arn:aws:iam::111122223333:policy/appliance-boundary",
    ),
    "sns topic": (
        rf"{_ARN}:sns:[a-z0-9-]+:\d{{12}}:[\w.-]{{1,256}}",
        "arn:aws:sns:eu-central-1:111122223333:stacks",
    ),
    "kms key": (
        rf"{_ARN}:kms:[a-z0-9-]+:\d{{12}}:(?:key|alias)/[\w/-]{{1,256}}",
        "arn:aws:kms:eu-central-1:111122223333:key/12345678-1234-1234-1234-123456789012",
    ),
    "region": (r"[a-z]{2,8}(?:-[a-z]+)+-\d{1,2}", "eu-central-1"),
}
_NOUNS: Final = {"vpc": "a VPC", "gateway load balancer endpoint": "a Gateway Load Balancer endpoint"}
"""What messages call those kinds that are written otherwise than here."""
_CALLED: Final = {
    "network load balancer": "the ARN of a Network Load Balancer",
    "ram principal": "the id of an account or the ARN of an organization or organizational unit",
    "iam role": "the ARN of an IAM role",
    "iam policy": "the ARN of an IAM policy",
    "iam principal": "the ARN of an IAM role or user",
    "oidc provider": "the ARN of an OpenID Connect provider of IAM",
    "detector": "the id of a GuardDuty detector",
    "sns topic": "the ARN of an SNS topic",
    "kms key": "the ARN of a KMS key or alias",
    "region": "the name of a Region",
}
"""What messages call those kinds that are more than an id of the kind's name."""
_PREFIXES: Final = {
    kind: example.removesuffix(_EXAMPLE) for kind, (_, example) in _FORMATS.items() if example.endswith(f"-{_EXAMPLE}")
}
"""Of the ids that consist of one and digits."""
_COMPILED: Final = {kind: re.compile(pattern, re.ASCII) for kind, (pattern, _) in _FORMATS.items()}


def check_identifier(kind: str, value: str) -> str:
    """Return `value` when it has the shape of a `kind`, or is a token.

    Raises:
        RuleViolation: it has another shape; the message shows an example.
    """
    if is_token(value) or (isinstance(value, str) and _COMPILED[kind].fullmatch(value)):
        return value
    form, difference = _FORMATS[kind][1], _difference(kind, str(value))
    hint = f"; {difference}" if difference else ""
    raise RuleViolation(f"{value!r} is not {_called(kind)}: expected the form {form}{hint}")


def _difference(kind: str, value: str) -> str:
    """Say what the difference to an identifier of `kind` is, as far as it shows; nothing where it does not."""
    if _COMPILED[kind].fullmatch(value.lower()):
        return "it must be lower case"
    prefix = _PREFIXES.get(kind)
    if prefix and value.startswith(prefix):
        digits = value[len(prefix) :]
        if wrong := re.search(r"[^0-9a-f]", digits):
            return f"{wrong.group()!r} is no hexadecimal digit (0-9 and a-f)"
        return f"it has {counted(len(digits), 'digit')} after {prefix}, expected 8 or 17"
    if other := kind_of(value):
        return f"this is {_called(other)}"
    similar = next((other for other, begins in _PREFIXES.items() if value.startswith(begins)), None)
    return f"this begins like {_called(similar)}" if similar else ""


def _called(kind: str) -> str:
    return _CALLED.get(kind) or f"the id of {noun_of(kind)}"


def noun_of(kind: str) -> str:
    """Return what messages call one of `kind`, with its article."""
    return _NOUNS.get(kind) or f"{'an' if kind.startswith(('a', 'i')) else 'a'} {kind}"


def kind_of(value: str) -> str | None:
    """Return the kind that `value` is the identifier of, if any."""
    return next((kind for kind, pattern in _COMPILED.items() if pattern.fullmatch(value)), None)


def pattern_of(kind: str) -> str:
    """Return the anchored regular expression of `kind`, for the JSON Schema."""
    return f"^(?:{_FORMATS[kind][0]})$"


def example_of(kind: str) -> str:
    """Return an example of `kind`, for messages and for the JSON Schema."""
    return _FORMATS[kind][1]


_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
NAME_PATTERN: Final = r"^[a-z][a-z0-9-]{0,39}$"


def check_name(value: str) -> str:
    """Return `value` when it can name a site, a filter, a target or a group of sessions.

    Names become Terraform addresses and for_each keys, so they are kept to lower-case
    letters, digits and hyphens, 1 to 40 characters, beginning with a letter.
    """
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise RuleViolation(
        f"{value!r} is not a usable name: expected 1 to 40 lower-case letters, digits or hyphens, "
        "beginning with a letter"
    )


_STACK_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


def check_cloudformation_stack_name(value: str) -> str:
    """Return `value` when CloudFormation accepts it as a stack name.

    1 to 128 letters, digits and hyphens, beginning with a letter
    (CloudFormation API Reference, CreateStack, StackName).
    """
    if is_token(value) or _STACK_NAME.fullmatch(value):
        return value
    raise RuleViolation(
        f"{value!r} is not a CloudFormation stack name: expected 1 to 128 letters, digits or hyphens, "
        "beginning with a letter"
    )
