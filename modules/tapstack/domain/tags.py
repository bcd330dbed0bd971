"""What AWS accepts as a tag.

Source: Tagging AWS Resources guide, "Tag naming limits and requirements".
"""

from __future__ import annotations

from tapstack.domain.errors import RuleViolation


def check_tag_key(key: str) -> str:
    """Return `key` when it has 1 to 128 characters and does not begin with aws:, which is AWS's own."""
    if not 1 <= len(key) <= 128 or key.lower().startswith("aws:"):
        raise RuleViolation(f"{key!r} is not a tag key: expected 1 to 128 characters, not beginning with aws:")
    return key


def check_tag_value(value: str) -> str:
    """Return `value` when it has at most 256 characters."""
    if len(value) > 256:
        raise RuleViolation(f"a tag value holds at most 256 characters, got {len(value)}")
    return value
