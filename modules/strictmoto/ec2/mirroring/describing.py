"""The Describe actions: ids, filters with wildcards, and pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from strictmoto.ec2 import page_tokens
from strictmoto.ec2.mirroring import errors
from strictmoto.ec2.mirroring.operations import Answer, Core, Parameters
from strictmoto.ec2.mirroring.state import Resource

PAGE: Final = (5, 1000)
"""MaxResults, as botocore's model has it. Without it a page is as large as it can be."""


def describe(
    core: Core,
    kind: type[Resource],
    parameters: Parameters,
    *,
    view: Callable[[Any], Answer],
    filters: Mapping[str, str],
    candidates: Iterable[Resource] | None = None,
    table: Mapping[str, Resource] | None = None,
) -> Answer:
    """Answer a Describe action.

    Args:
        core: the account and Region.
        kind: what is described.
        parameters: of the action.
        view: makes the answer's structure of a resource.
        filters: the filters the action has, and the member of the view each compares;
            filters on tags go with every kind.
        candidates: what to filter, oldest first; every resource of the table by default.
        table: the resources that can be seen, by id; all of the kind in this account by default.

    Raises:
        EC2ClientError: an unknown id, filter or token, or a page size out of range.
    """
    if table is None:
        table = core.state.table(kind)
    ids = parameters.get(f"{kind.id_name()}s")
    for resource_id in ids or []:
        if resource_id not in table:
            raise kind.not_found(resource_id)
    asked = page_tokens.asked_of(core.backend, kind.type_name(), parameters)
    # A serial, not a count: what is deleted meanwhile moves no page.
    if (after := page_tokens.read(asked, token := parameters.get("NextToken"))) is None:
        raise errors.refuse("InvalidNextToken", f"The token '{token}' is not one of this action")
    size = _page_size(parameters.get("MaxResults"))
    conditions = [_condition(given, filters) for given in parameters.get("Filters", [])]

    page: list[Answer] = []
    last = 0
    # By age, whoever owns them: a page ends at a serial.
    seen = sorted(table.values(), key=lambda resource: resource.serial) if candidates is None else candidates
    for resource in seen:
        if resource.serial <= after or (ids is not None and resource.id not in ids):
            continue
        shown = view(resource)
        if not all(condition(shown) for condition in conditions):
            continue
        if len(page) == size:
            return {f"{kind.type_name()}s": page, "NextToken": page_tokens.make(asked, last)}
        page.append(shown)
        last = resource.serial
    return {f"{kind.type_name()}s": page}


def _condition(given: Mapping[str, Any], filters: Mapping[str, str]) -> Callable[[Answer], bool]:
    """Return whether one filter accepts a view: any of its values is any of the view's."""
    name = given.get("Name", "")
    patterns = [_pattern(str(value)) for value in given.get("Values", [])]
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")

        def values(shown: Answer) -> list[Any]:
            return [tag["Value"] for tag in shown["Tags"] if tag["Key"] == key]

    elif name in ("tag-key", "tag-value"):
        member = name.removeprefix("tag-").capitalize()

        def values(shown: Answer) -> list[Any]:
            return [tag[member] for tag in shown["Tags"]]

    elif name in filters:

        def values(shown: Answer) -> list[Any]:
            return [shown[filters[name]]] if filters[name] in shown else []

    else:
        raise errors.invalid(f"The filter '{name or 'null'}' is invalid")
    return lambda shown: any(pattern.fullmatch(str(value)) for pattern in patterns for value in values(shown))


def _pattern(value: str) -> re.Pattern[str]:
    """Read EC2's wildcards: * is any characters, ? is one, and a backslash makes them literal."""
    parts = re.findall(r"\\.|.", value, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in parts), re.DOTALL)


def _page_size(asked: int | None) -> int:
    low, high = PAGE
    if asked is None:
        return high
    if not low <= asked <= high:
        raise errors.invalid(f"Value ( {asked} ) for parameter maxResults is invalid. Expecting {low} to {high}.")
    return asked
