"""The stacks of a deployment: their order, and which of them a command is for."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tapstack.domain import globs
from tapstack.domain.names import response_stack_name, xdr_stack_name
from tapstack.domain.suggestions import about_quotes, did_you_mean
from tapstack.settings.load import FILE_VARIABLE
from tapstack.settings.model import PACKET_BASICS, Deployment, Site
from tapstack.workspace.state import stack_names

Command = Literal["diff", "deploy", "destroy"]
_OF_FILES: Final = (".yaml", ".yml", ".json")


class SelectionError(Exception):
    """Stacks that were named do not exist, or a needed one was not named; the message lists those of the file."""


@dataclass(frozen=True)
class Selection:
    """The stacks that a command is for.

    Attributes:
        stacks: their names, in the order in which the command processes them.
        needed: stacks that must be deployed before some of `stacks`, and are not among these.
        ordered: whether one of `stacks` must be finished before another one begins.
    """

    stacks: tuple[str, ...]
    needed: tuple[str, ...] = ()
    ordered: bool = False


def site_of(deployment: Deployment, stack: str) -> str:
    """Return the name of the site that a stack belongs to."""
    names = [name for name in deployment.sites if stack in (name, response_stack_name(name), xdr_stack_name(name))]
    return str(names[0])


def used_of_capture(site: Site) -> list[str]:
    """Return what a site's response uses of the site's capture, such as `target sensors`.

    Where it uses nothing, the two can be deployed in any order.
    """
    if site.response is None or site.response.appliance.launch is not None:
        return []
    asked = site.response.appliance
    used = [PACKET_BASICS] if PACKET_BASICS in (asked.target, asked.filter) else []
    used += [f"target {asked.target}"] if asked.target in site.targets else []
    used += [f"filter {asked.filter}"] if asked.filter in site.filters else []
    return used


def used_of_telemetry(site: Site) -> list[str]:
    """Return what a site's response uses of the site's telemetry: the landing that it makes, for unmatched alerts."""
    if site.response is None or site.xdr is None or not site.response.alerts.any:
        return []
    return [] if site.xdr.landing.bucket is not None else ["the landing"]


def select(deployment: Deployment, patterns: Sequence[str], command: Command, *, file: str) -> Selection:
    """Return the stacks that names and patterns (`*`, `?`) mean.

    Args:
        deployment: the deployment.
        patterns: as given on the command line; none selects the only stack of a file that has one.
        command: the command that the stacks are for.
        file: the deployment file's name in messages.

    Raises:
        SelectionError: a pattern matches no stack; none was given where there are several; `diff` was given more
            than one; `destroy` was given a stack without the response that uses it.
    """
    known = stack_names(deployment)
    if not patterns and len(known) > 1:
        hint = "diff shows one of them at a time" if command == "diff" else "'*' means all"
        raise SelectionError(f"no stack is named: {_known(known, file)}; {hint}")
    chosen = set(known) if not patterns else {name for pattern in patterns for name in _matching(pattern, known, file)}
    needs = [
        (response_stack_name(name), stack, used)
        for name, site in deployment.sites.items()
        for stack, used in ((name, used_of_capture(site)), (xdr_stack_name(name), used_of_telemetry(site)))
        if used
    ]
    if command == "diff" and len(chosen) > 1:
        names = ", ".join(name for name in known if name in chosen)
        raise SelectionError(f"diff shows one stack at a time, and these are {len(chosen)}: {names}")
    pairs = [(response, other) for response, other, _ in needs if {response, other} <= chosen]
    if command == "destroy":
        for response, other, used in needs:
            if other in chosen and response not in chosen:
                raise SelectionError(
                    f"{response} uses {' and '.join(used)} of {other}: destroy both, the response goes first "
                    f'(make destroy ARGS="{response} {other}")'
                )
        return Selection(tuple(name for name in reversed(known) if name in chosen), ordered=bool(pairs))
    needed = [other for response, other, _ in needs if response in chosen and other not in chosen]
    return Selection(tuple(name for name in known if name in chosen), tuple(needed), bool(pairs))


def _matching(pattern: str, known: Sequence[str], file: str) -> list[str]:
    if found := [name for name in known if globs.matches(pattern, name)]:
        return found
    if pattern.endswith(_OF_FILES) or "/" in pattern:
        raise SelectionError(
            f"{pattern!r} is not a stack: name another deployment file with {FILE_VARIABLE}, for example make deploy "
            f"{FILE_VARIABLE}={shlex.quote(pattern)} ARGS=STACK; {_known(known, file)}"
        )
    message = f"no stack is called {pattern!r}; {did_you_mean(pattern, known)}{_known(known, file)}"
    raise SelectionError(message + about_quotes(message))


def _known(known: Sequence[str], file: str) -> str:
    return f"{file} has {', '.join(known)}"
