"""The stacks of a deployment: their order, and which of them a command means."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tapstack.domain import globs
from tapstack.domain.suggestions import about_quotes, did_you_mean
from tapstack.settings.load import FILE_VARIABLE
from tapstack.settings.model import PACKET_BASICS, Deployment, Site
from tapstack.workspace.state import response_stack_name, stack_names

Command = Literal["diff", "deploy", "destroy"]
_OF_FILES: Final = (".yaml", ".yml", ".json")


class SelectionError(Exception):
    """The stacks that were named are not there, or not enough; the message says which there are."""


@dataclass(frozen=True)
class Selection:
    """The stacks that a command is for.

    Attributes:
        stacks: their names, in the order in which the command takes them.
        needed: stacks that those of `stacks` are deployed after, and that are not among them.
        ordered: whether one of `stacks` must be finished before another one begins.
    """

    stacks: tuple[str, ...]
    needed: tuple[str, ...] = ()
    ordered: bool = False


def site_of(deployment: Deployment, stack: str) -> str:
    """Return the name of the site that a stack belongs to."""
    names = [name for name in deployment.sites if stack in (name, response_stack_name(name))]
    return str(names[0])


def used_of_capture(site: Site) -> list[str]:
    """Return what a site's response uses of the site's capture, such as `target sensors`; nothing where it needs none.

    Only then the one must be deployed after the other.
    """
    if site.response is None or site.response.appliance.launch is not None:
        return []
    asked = site.response.appliance
    used = [PACKET_BASICS] if PACKET_BASICS in (asked.target, asked.filter) else []
    used += [f"target {asked.target}"] if asked.target in site.targets else []
    used += [f"filter {asked.filter}"] if asked.filter in site.filters else []
    return used


def select(deployment: Deployment, patterns: Sequence[str], command: Command, *, file: str) -> Selection:
    """Return the stacks that names and patterns (`*`, `?`) mean.

    Args:
        deployment: what is deployed.
        patterns: as the user gave them; none means the only stack, where there is one.
        command: what is done with the stacks.
        file: what messages call the deployment file.

    Raises:
        SelectionError: a pattern means no stack; none was given where there are several; `diff` was given more
            than one; `destroy` leaves a response that uses what it destroys.
    """
    known = stack_names(deployment)
    if not patterns and len(known) > 1:
        hint = "diff shows one of them at a time" if command == "diff" else "'*' means all"
        raise SelectionError(f"no stack is named: {_known(known, file)}; {hint}")
    chosen = set(known) if not patterns else {name for pattern in patterns for name in _meant(pattern, known, file)}
    needs = {
        response_stack_name(name): (name, used_of_capture(site))
        for name, site in deployment.sites.items()
        if used_of_capture(site)
    }
    if command == "diff" and len(chosen) > 1:
        names = ", ".join(name for name in known if name in chosen)
        raise SelectionError(f"diff shows one stack at a time, and these are {len(chosen)}: {names}")
    pairs = [(response, capture) for response, (capture, _) in needs.items() if {response, capture} <= chosen]
    if command == "destroy":
        for response, (capture, used) in needs.items():
            if capture in chosen and response not in chosen:
                raise SelectionError(
                    f"{response} uses {' and '.join(used)} of {capture}: destroy both, the response goes first "
                    f'(make destroy ARGS="{response} {capture}")'
                )
        return Selection(tuple(name for name in reversed(known) if name in chosen), ordered=bool(pairs))
    needed = [capture for response, (capture, _) in needs.items() if response in chosen and capture not in chosen]
    return Selection(tuple(name for name in known if name in chosen), tuple(needed), bool(pairs))


def _meant(pattern: str, known: Sequence[str], file: str) -> list[str]:
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
