"""The tags that a call gives, in the many ways in which APIs take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_NAMES: Final = ("Tags", "tags", "TagList")
_KEYS: Final = ("TagKeys", "tagKeys", "TagKeyList", "tagKeyList", "TagsToRemove", "tags")


def tags_of(requested: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that a call gives to what it creates or tags."""
    found: dict[str, str] = {}
    for specification in requested.get("TagSpecifications") or ():
        found |= _read(specification.get("Tags"))
    for name in _NAMES:
        found |= _read(requested.get(name))
    return found


def tags_by_kind(requested: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the tags that a call of EC2 gives to each kind of resource that it makes."""
    found: dict[str, dict[str, str]] = {}
    for specification in requested.get("TagSpecifications") or ():
        if kind := specification.get("ResourceType"):
            found.setdefault(str(kind), {}).update(_read(specification.get("Tags")))
    return found


def keys_about(tags: Mapping[str, str], others: Iterable[str] = ()) -> dict[str, str | tuple[str, ...]]:
    """Return the condition keys of a request about tags: those that it gives, and the keys of others."""
    keys = tuple(sorted({*tags, *others}))
    found: dict[str, str | tuple[str, ...]] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return {**found, "aws:TagKeys": keys} if keys else found


def tag_keys_of(requested: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the tags that a call takes away."""
    for name in _KEYS:
        if isinstance(given := requested.get(name), list):
            return tuple(one for one in given if isinstance(one, str))
    return ()


def _read(tags: Any) -> dict[str, str]:
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    found = {}
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, Mapping):
            # KMS says TagKey and TagValue.
            key, value = (tag.get(name, tag.get(f"Tag{name}", tag.get(name.lower(), ""))) for name in ("Key", "Value"))
            found[str(key)] = str(value)
    return found
