"""Check what constructs and factories are given against their signatures.

Python checks no types, so that `sources="eni-..."` would be taken for a list of characters, and a
wrong object would fail somewhere below, in words of another library. The signature is the one
declaration of what is right; this compares.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, Literal, ParamSpec, TypeVar, Union

from tapstack.domain.errors import RuleViolation
from tapstack.domain.text import TOKEN_MARKER, check_template, is_plain
from tapstack.domain.tokens import is_token

P = ParamSpec("P")
R = TypeVar("R")

_MEANT: Final = {
    "Authorization": "Authorization.iam() or Authorization.jwt(...)",
    "AlertMapping": "AlertMapping(...)",
    "AlertSettings": "AlertSettings(...)",
    "AlertSource": "AlertSource(...)",
    "ApplianceSnapshots": "ApplianceSnapshots(...)",
    "Approval": "Approval(...)",
    "AutoScaling": "AutoScaling(...)",
    "CaptureSettings": "CaptureSettings(...)",
    "ContainmentSettings": "ContainmentSettings(...)",
    "Destination": "Destination.network_interface(...), .network_load_balancer(...) or "
    ".gateway_load_balancer_endpoint(...)",
    "EvidenceSettings": "EvidenceSettings(...)",
    "FilterPreset": "a preset of tapstack.presets",
    "IMirrorFilter": "a MirrorFilter, PacketBasics.filter or MirrorFilter.from_id(...)",
    "IMirrorTarget": "a MirrorTarget, PacketBasics.target or MirrorTarget.from_id(...)",
    "KnownSource": "Source.network_interface(...)",
    "FeedSettings": "FeedSettings(...)",
    "FlowLogSettings": "FlowLogSettings(...)",
    "LandingBucket": "LandingBucket(...)",
    "LandingSettings": "LandingSettings(...)",
    "OidcTrust": "OidcTrust(...)",
    "OwnTrust": "OwnTrust(...)",
    "ReaderSettings": "ReaderSettings(...)",
    "TelemetryLanding": "a TelemetryLanding",
    "VendorTrust": "VendorTrust(...)",
    "LaunchedAppliance": "a LaunchedAppliance(...)",
    "LoadBalancers": "LoadBalancers(...)",
    "MirrorRule": "MirrorRule(...)",
    "Peer": "Peer.security_group(...), .cidr(...), .prefix_list(...), .vpc(...) or .parse(...)",
    "PortRange": "PortRange(...)",
    "Protect": "Protect(...)",
    "Rule": "PolicyRule(...)",
    "SourceLookup": "Source.instance(...), .tagged(...), .tagged_instances(...), .subnet(...) or .vpc(...)",
    "ExistingAppliance": "an ExistingAppliance(...)",
    "TerraformProvider": "an AwsProvider",
    "TwoStep": "TwoStep(...)",
    "WaitForPackets": "WaitForPackets(...)",
    "Traffic": "Traffic.tcp(...), .udp(...), .icmp() or another factory of it",
}
"""How a user makes what is expected, by the name of its class."""

_PUBLIC: Final = {
    "ImportedTarget": "MirrorTarget",
    "KnownSource": "Source",
    "Rule": "PolicyRule",
    "SourceLookup": "Source",
    "_ExistingPacketBasics": "PacketBasics",
    "_ImportedFilter": "MirrorFilter",
    "_ImportedGroup": "security group",
}
"""What users know the classes by that they get from factories, by the name of the class."""

_LONGEST_SHOWN: Final = 40

_FACTORIES: Final[dict[str, dict[str, str]]] = {
    "Destination": {
        r"eni-": "Destination.network_interface",
        r"arn:": "Destination.network_load_balancer",
        r"vpce-": "Destination.gateway_load_balancer_endpoint",
    },
    "IMirrorFilter": {r"tmf-|\$\{": "MirrorFilter.from_id"},
    "IMirrorTarget": {r"tmt-|\$\{": "MirrorTarget.from_id"},
    "KnownSource": {r"eni-": "Source.network_interface"},
    "Peer": {r"(sg|pl|vpc)-|[\da-fA-F:.]+/\d|\$\{": "Peer.parse"},
    "SourceLookup": {r"i-": "Source.instance", r"subnet-": "Source.subnet", r"vpc-": "Source.vpc"},
}
"""What makes it of a text, by a regular expression for how that begins; a token begins with `${`."""


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any], whole: Collection[str] = ()) -> None:
    """Check arguments against the annotations of a function; names that it does not know are Python's to refuse.

    Args:
        function: whose annotations say what is right.
        arguments: by name.
        whole: names of lists and maps that may be one token, whose length is known after apply only.

    Raises:
        RuleViolation: names the argument, what it got, and what it takes.
    """
    hints, right = _hints_of(function)
    for name, value in arguments.items():
        # First what nearly every value is: there may be ten thousand sources.
        if name not in hints or (type(value) in right[name] and (type(value) is not str or is_plain(value))):
            continue
        if not (name in whole and is_whole_token(value)):
            for problem in _problems(name, value, hints[name]):
                raise RuleViolation(problem)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of a factory before it runs."""
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checking(*args: P.args, **keywords: P.kwargs) -> R:
        # What does not fit the signature is refused by Python itself, below.
        check_arguments(function, {**dict(zip(names, args, strict=False)), **keywords})
        return function(*args, **keywords)

    return checking


def check_fields(instance: Any) -> None:
    """Check the fields of a dataclass against its annotations; for its `__post_init__`."""
    check_arguments(type(instance), {field.name: getattr(instance, field.name) for field in fields(instance)})


def check_range(what: str, value: Any, allowed: tuple[int, int], unit: str = "", *, accept_token: bool = False) -> None:
    """Refuse what is no whole number of a range, both ends included; 5.0 is one, True and False are none.

    Args:
        what: in the message.
        value: what was given.
        allowed: the lowest and the highest number.
        unit: behind the range in the message.
        accept_token: a number that is known after apply only is right as well.
    """
    if accept_token and is_token(value):
        return
    low, high = allowed
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if not whole or not low <= value <= high:
        raise RuleViolation(f"{what} must be a whole number from {low} to {high}{unit}, got {_shown(value)}")


def is_whole_token(value: Any) -> bool:
    """Return whether a list or a map is one token, as cdktf encodes them."""
    if isinstance(value, Mapping):
        return len(value) == 1 and TOKEN_MARKER in str(next(iter(value)))
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and value[0].startswith("#{")


@functools.cache
def _hints_of(function: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, set[type]]]:
    """Return the annotations, and of each the simple types whose values are right (texts: the plain ones)."""
    hints = typing.get_type_hints(function)
    right = {}
    for name, hint in hints.items():
        members = typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
        right[name] = {str, int, bool, types.NoneType} & {m for m in members if isinstance(m, type)}
    return hints, right


def _problems(name: str, value: Any, annotation: Any) -> Iterator[str]:
    """Yield what is wrong with a value, the outermost first."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return
    if origin in (Union, types.UnionType):
        if not (value is None and types.NoneType in arguments):
            yield from _of_union(name, value, [member for member in arguments if member is not types.NoneType])
    elif origin is Literal:
        if value not in arguments and not _is_text_token(value):
            yield f"{name} must be {_listed([str(choice) for choice in arguments])}, got {_shown(value)}"
    elif origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _of_mapping(name, value, arguments)
    elif origin in (Sequence, tuple):
        yield from _of_list(name, value, arguments[0])
    elif annotation is str:
        yield from _of_text(name, value)
    elif annotation in (int, float):
        whole = isinstance(value, int) or (isinstance(value, float) and (annotation is float or value.is_integer()))
        if isinstance(value, bool) or not whole:
            yield f"{name} must be a {'whole ' if annotation is int else ''}number, got {_shown(value)}"
    elif annotation is bool:
        if not isinstance(value, bool):
            yield f"{name} must be True or False, got {_shown(value)}"
    elif isinstance(annotation, type) and not _is_one(value, annotation):
        yield f"{name} must be {_meant(annotation)}, got {_shown(value)}{_suggestion(value, [annotation])}"


def _of_union(name: str, value: Any, members: Sequence[Any]) -> Iterator[str]:
    classes = tuple(member for member in members if isinstance(member, type))
    plain = len(classes) == len(members) and not {str, int, float, bool} & set(classes)
    if plain and any(_is_one(value, member) for member in classes):
        return
    problems = [next(_problems(name, value, member), None) for member in members]
    if None in problems:
        return
    if all(isinstance(member, type) and member.__name__ in _MEANT for member in members):
        suggestion = _suggestion(value, members)
        yield f"{name} must be {_listed([_meant(member) for member in members])}, got {_shown(value)}{suggestion}"
    else:
        yield str(problems[0])


def _of_mapping(name: str, value: Any, arguments: Sequence[Any]) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{name} must be a mapping, got {_shown(value)}"
    elif is_whole_token(value):
        yield f"{name} must be a mapping whose keys are known at synthesis, got a map token: its values may be tokens"
    else:
        for key, inner in value.items():
            yield from _problems(f"a key of {name}", key, arguments[0])
            yield from _problems(f"{name}[{key!r}]", inner, arguments[1])


def _of_list(name: str, value: Any, annotation: Any) -> Iterator[str]:
    if is_whole_token(value) or _is_text_token(value):
        of_sources = "KnownSource" in str(annotation)
        hint = "a lookup, such as Source.tagged(...), finds what is known later" if of_sources else "they may be tokens"
        yield (
            f"{name} must be a list whose length is known at synthesis, got a token: give its members one by one"
            f"{', each with a name' if of_sources else ''}; {hint}"
        )
    elif isinstance(value, str | bytes) or not isinstance(value, Sequence):
        brackets = "; put it in brackets" if not next(_problems(name, value, annotation), None) else ""
        yield f"{name} must be a list, got {_shown(value)}{brackets}"
    elif not set(map(type, value)) <= set(typing.get_args(annotation) or [annotation]) - {str, int, float}:
        for position, inner in enumerate(value):
            yield from _problems(f"{name}[{position}]", inner, annotation)


def _of_text(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        hint = ": Token.as_string(...) makes one of a token" if is_token(value) else ""
        yield f"{name} must be text, got {_shown(value)}{hint}"
        return
    try:
        check_template(value, hcl=False)
    except RuleViolation as violation:
        yield f"{name}: {violation}"


def _is_one(value: Any, annotation: type) -> bool:
    if not getattr(annotation, "_is_protocol", False):
        return isinstance(value, annotation)
    # Without asking for them: the attributes of an appliance are looked up when they are read.
    missing = object()
    wanted = [member for member in vars(annotation) if not member.startswith("_")]
    if isinstance(value, type):  # a class has them as well, for its instances
        return False
    return all(inspect.getattr_static(value, member, missing) is not missing for member in wanted)


def _meant(annotation: type) -> str:
    return _MEANT.get(annotation.__name__, f"a {annotation.__name__}")


def _suggestion(value: Any, members: Sequence[type]) -> str:
    if not isinstance(value, str):
        return ""
    for member in members:
        for beginning, factory in _FACTORIES.get(member.__name__, {}).items():
            if re.match(beginning, value):
                return f"; did you mean {factory}({'token' if is_token(value) else repr(value)})?"
    return ""


def _is_text_token(value: Any) -> bool:
    return isinstance(value, str) and is_token(value)


def _shown(value: Any) -> str:
    """Describe what was given; what stands for a value to come has nothing worth showing."""
    if is_whole_token(value):
        return "a map token" if isinstance(value, Mapping) else "a list token"
    if is_token(value):
        return "a token"
    text = repr(value)
    if isinstance(value, str) or (len(text) <= _LONGEST_SHOWN and not text.startswith("<")):
        return text
    if isinstance(value, type):
        return f"the class {public_name(value)}"
    name = public_name(type(value))
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def public_name(kind: type) -> str:
    """Return what users know a class by."""
    return _PUBLIC.get(kind.__name__, kind.__name__)


def _listed(choices: Sequence[str]) -> str:
    return " or ".join([", ".join(choices[:-1]), choices[-1]]) if len(choices) > 1 else choices[0]
