"""Tags of stacks and resources, as AWS's answers have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_INCIDENT, TAG_SITE
from tapstack.responder.environment import environment


def tags_of(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of what an answer describes, by key."""
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def has_our_tags(described: Mapping[str, Any]) -> bool:
    """Return whether it has the tags that incidents of this deployment and site give: the functions may change it.

    Any caller who may tag resources can give them, too.
    """
    tags, named = tags_of(described), environment()
    return TAG_INCIDENT in tags and (tags.get(TAG_DEPLOYMENT), tags.get(TAG_SITE)) == (named.deployment, named.site)
