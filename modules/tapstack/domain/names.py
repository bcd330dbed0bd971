"""Names of resources that are made of those of the deployment and the site."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.tokens import is_token

LIMIT: Final = 64
"""The shortest limit among the resources named here: functions, roles, rules and schedules."""

_DIGEST: Final = 8
QUEUE_NAME: Final = 80
"""Characters of a queue's name at most. Source: Amazon SQS Developer Guide, "Amazon SQS standard queue quotas"."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What the names of the resources of a stack begin with: `<deployment>-<site>-<kind>`.

    Attributes:
        deployment: name of the deployment.
        site: name of the site.
        kind: what the stack deploys of the site: `response` or `xdr`.
    """

    deployment: str
    site: str
    kind: str

    def __str__(self) -> str:
        """Return it as text."""
        return f"{self.deployment}-{self.site}-{self.kind}"


def name_within(prefix: Prefix, what: str, limit: int = LIMIT) -> str:
    """Return `<prefix>-<what>`, shortened where that is too long, with a digest of the whole in it.

    A shortened name keeps the deployment and the kind, so that the policies of the roles that deploy name it by
    `<deployment>-*-<kind>-*`: the end of the site is left out first, then the beginning of `what`. A deployment that
    leaves no place for the rest, as in the name of a bucket, loses its end.

    Raises:
        RuleViolation: the prefix has a token, whose length is not known yet.
    """
    for part in (prefix.deployment, prefix.site):
        if is_token(part):
            raise RuleViolation(f"the name {part!r} is a token: names of resources must be known at synthesis")
    full = f"{prefix}-{what}" if what else str(prefix)
    if len(full) <= limit:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:_DIGEST]
    kept = f"{digest}-{prefix.kind}"
    deployment = prefix.deployment[: limit - len(kept) - 1].rstrip("-")
    rest = max(limit - len(f"{deployment}-{kept}-"), 0)
    end = f"-{what[-rest:].lstrip('-')}" if rest and what else ""
    site = prefix.site[: max(limit - len(f"{deployment}--{kept}{end}"), 0)].rstrip("-")
    return "-".join(part for part in (deployment, site, kept) if part) + end


def pattern_within(prefix: Prefix, longest: str, limit: int = LIMIT) -> str:
    """Return a pattern of all names that `name_within` makes of a prefix, where none ends longer than `longest`.

    Where names are shortened, it fits those of other sites of the deployment, too.
    """
    if len(f"{prefix}-{longest}") <= limit:
        return f"{prefix}-*"
    return f"{prefix.deployment}-*-{prefix.kind}-*"


def response_stack_name(site: str) -> str:
    """Return the name of the Terraform stack of a site's response, which its state and its directory have, too."""
    return f"{site}-response"


def xdr_stack_name(site: str) -> str:
    """Return the name of the Terraform stack of a site's telemetry, which its state and its directory have, too."""
    return f"{site}-xdr"


def quarantine_group_name(deployment: str, site: str) -> str:
    """Return the name of the quarantine group of a site's capture."""
    return f"{deployment}-{site}-quarantine"


def packet_basics_stack_name(deployment: str, site: str) -> str:
    """Return the name of the CloudFormation stack of a site's appliance, unless the file gives another one."""
    return f"{deployment}-{site}-packet-basics"


def launched_stack_name(deployment: str, site: str) -> str:
    """Return the name of the CloudFormation stack that incidents of a site launch."""
    return f"{deployment}-{site}-epb"


def boundary_name_of(stack_name: str) -> str:
    """Return the name of the permissions boundary that is made for the roles of a site's appliance."""
    return f"{stack_name}-boundary"


def response_name(deployment: str, site: str) -> Prefix:
    """Return what the names of all resources of a site's response begin with."""
    return Prefix(deployment, site, "response")


def incidents_table_name(deployment: str, site: str) -> str:
    """Return the name of the table of incidents."""
    return name_within(response_name(deployment, site), "incidents", 255)


def dead_letters_name(deployment: str, site: str) -> str:
    """Return the name of the queue of findings and schedules that no function processed."""
    return name_within(response_name(deployment, site), "dead-letters", QUEUE_NAME)


def workflow_name(deployment: str, site: str) -> str:
    """Return the name of the state machine of incidents."""
    return name_within(response_name(deployment, site), "incidents", 80)


def launched_role_name(deployment: str, site: str) -> str:
    """Return the name of the role with which CloudFormation creates the launched appliance."""
    return name_within(response_name(deployment, site), "epb")


def launched_boundary_name(deployment: str, site: str) -> str:
    """Return the name of the permissions boundary that is made for the roles of the launched appliance."""
    return name_within(response_name(deployment, site), "epb-boundary", 128)


def notices_topic_name(deployment: str, site: str) -> str:
    """Return the name of the topic that a site's response notifies, which other stacks find by it."""
    return name_within(response_name(deployment, site), "notices", 256)
