"""JSON Schemas of what the API takes and answers about containment."""

from __future__ import annotations

from typing import Any, Final

from tapstack.domain import containment_settings as containment

Schema = dict[str, Any]

DRY_RUN: Final[Schema] = {
    "type": "boolean",
    "default": False,
    "description": "Change nothing: answer 200 with exactly what would change.",
}
ASKED: Final[Schema] = {
    "type": "string",
    "enum": list(containment.ASKED),
    "default": "none",
    "description": "Cut the instance off as well: `now`, or once somebody approves. Needs `instance_id`.",
}
_TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string"}}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "default": False, "description": description}


def _or_null(description: str, **more: Any) -> Schema:
    return {"type": ["string", "null"], "description": description, **more}


CONTAIN: Final = _object(
    mode={
        "type": "string",
        "enum": list(containment.MODES),
        "description": "The more careful one that the deployment allows when omitted.",
    },
    dry_run=DRY_RUN,
)
APPROVE: Final = _object(dry_run=DRY_RUN)
RELEASE: Final = _object(
    dry_run=DRY_RUN,
    overwrite=_flag("Put back the prior states where others changed something meanwhile. Not together with `keep`."),
    keep=_flag("Leave what others changed meanwhile as it is."),
    all=_flag("Release the instance even where other incidents hold it too."),
)
CHANGE: Final[Schema] = {
    "type": "object",
    "required": ["what", "key", "from", "to"],
    "properties": {
        "what": {"type": "string", "description": "The kind of thing, such as `groups`."},
        "key": {"type": "string", "description": "Which one, such as a network interface."},
        "from": {"description": "As it is."},
        "to": {"description": "As it would be."},
    },
}
DIFFERENCE: Final[Schema] = {
    "type": "object",
    "required": ["what", "key", "original", "ours", "now", "why", "blocks"],
    "properties": {
        "what": {"type": "string", "description": "The kind of thing, such as `groups`."},
        "key": {"type": "string", "description": "Which one, such as a network interface."},
        "original": {"description": "As it was before containment."},
        "ours": {"description": "As containment set it."},
        "now": {"description": "As it is now; null where it is gone."},
        "why": {"type": "string"},
        "blocks": {"type": "boolean", "description": "Whether somebody has to decide before it is released."},
    },
}
PLAN: Final[Schema] = {
    "type": "object",
    "description": "What would change; nothing has.",
    "required": ["instance_id", "changes", "refused", "differences", "warnings"],
    "properties": {
        "instance_id": {"type": "string"},
        "changes": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}},
        "refused": _or_null("Why it would be refused."),
        "differences": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Difference"},
            "description": "What others changed meanwhile; what `blocks` waits for `overwrite` or `keep`.",
        },
        "warnings": {**_TEXTS, "description": "What it does not reach."},
    },
}
_PROPERTIES: Final[dict[str, Schema]] = {
    "mode": {"type": "string", "enum": list(containment.MODES)},
    "state": {"type": "string", "enum": list(containment.STATES)},
    "asked_by": {"type": "string", "description": "Who asked for it."},
    "asked_at": {"type": "string", "format": "date-time", "description": "When."},
    "decided_by": _or_null("Who approved or rejected it."),
    "decided_at": _or_null("When.", format="date-time"),
    "decision": _or_null("`default` when nobody answered.", enum=[*containment.DECISIONS, None]),
    "deadline": _or_null("Until when it waits for an answer.", format="date-time"),
    "default": _or_null("What happens without one.", enum=["leave", "contain", None]),
    "two_step": {"type": "boolean", "description": "Whether tracked connections are untracked first."},
    "released_by": _or_null("Who asked that it is released."),
    "released_at": _or_null("When.", format="date-time"),
    "changed": {**_TEXTS, "description": "What is changed, each in a line."},
    "not_restored": {**_TEXTS, "description": "What could not be put back, and why."},
    "differences": {"type": "array", "items": {"$ref": "#/components/schemas/Difference"}},
    "failure": _or_null("Why it failed."),
}
CONTAINMENT: Final[Schema] = {
    "type": ["object", "null"],
    "description": "Whether the instance is cut off; null when nobody asked for it. Closing does not release it.",
    "required": list(_PROPERTIES),
    "properties": _PROPERTIES,
}
