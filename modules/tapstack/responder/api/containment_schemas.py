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
REQUESTED: Final[Schema] = {
    "type": "string",
    "enum": list(containment.REQUESTED),
    "default": "none",
    "description": "Also contain the instance: `now`, or with `approval`; needs `instance_id`. Each has a path of its "
    "own, and is refused with 403 on another.",
}
_NAMES: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "Names of the security groups, by id, where they are known.",
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
        "description": "The mode of the path: `approval` for contain, `now` for contain-now; 403 on the other.",
    },
    dry_run=DRY_RUN,
    skip_wait=_flag(
        "Of contain-now: do not wait for packets to be seen (containment.wait_for_packets), and end such a wait."
    ),
)
APPROVE: Final = _object(dry_run=DRY_RUN)
RELEASE: Final = _object(
    dry_run=DRY_RUN,
    overwrite=_flag("Restore the prior state, also of what was changed outside Tapstack. Not together with `keep`."),
    keep=_flag("Keep what was changed outside Tapstack."),
    all=_flag(
        "Release the instance even where other incidents keep it contained, and withdraw what is pending for it."
    ),
)
WANTED_BY: Final[Schema] = {
    "type": "array",
    "description": "The other incidents that contain the instance, or have requested it, where it is contained for "
    "this one, or was released.",
    "items": {
        "type": "object",
        "required": ["incident_id", "state", "holds", "note"],
        "properties": {
            "incident_id": {"type": "string"},
            "state": {"type": "string", "enum": list(containment.STATES)},
            "holds": {"type": "boolean", "description": "Whether the instance is contained for it too."},
            "note": {"type": "string", "description": "What that means for the release."},
        },
    },
}
CHANGE: Final[Schema] = {
    "type": "object",
    "required": ["what", "key", "from", "to"],
    "properties": {
        "what": {"type": "string", "description": "The kind of setting, such as `groups`."},
        "key": {"type": "string", "description": "The resource, such as a network interface."},
        "from": {"description": "As it is."},
        "to": {"description": "As it would be."},
        "names": _NAMES,
    },
}
DIFFERENCE: Final[Schema] = {
    "type": "object",
    "required": ["what", "key", "original", "ours", "now", "why", "blocks"],
    "properties": {
        "what": {"type": "string", "description": "The kind of setting, such as `groups`."},
        "key": {"type": "string", "description": "The resource, such as a network interface."},
        "original": {"description": "As it was before containment."},
        "ours": {"description": "As containment set it."},
        "now": {"description": "As it is now; null where it is gone."},
        "why": {"type": "string"},
        "blocks": {
            "type": "boolean",
            "description": "Whether it blocks the release until `overwrite` or `keep` is given.",
        },
        "advice": {
            "type": "string",
            "description": "What to do where `overwrite` does not help; empty where it does.",
        },
        "names": _NAMES,
    },
}
PLAN: Final[Schema] = {
    "type": "object",
    "description": "What would change. Nothing was changed.",
    "required": ["instance_id", "changes", "refused", "differences", "warnings", "overridden"],
    "properties": {
        "instance_id": {"type": "string"},
        "changes": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}},
        "refused": _or_null("Why it would be refused."),
        "differences": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Difference"},
            "description": "What was changed outside Tapstack; an entry with `blocks` needs `overwrite` or `keep`.",
        },
        "warnings": {
            **_TEXTS,
            "description": "What the command does not cover, and what would contain the instance again.",
        },
        "overridden": {**_TEXTS, "description": "The tags that protect the instance, and that it overrides."},
    },
}
_PROPERTIES: Final[dict[str, Schema]] = {
    "mode": {"type": "string", "enum": list(containment.MODES)},
    "state": {"type": "string", "enum": list(containment.STATES)},
    "asked_by": {"type": "string", "description": "Who requested it."},
    "requester": _or_null(
        "The person who requested it, who may not approve it where the deployment has approval.other_person: opaque. "
        "Where the policy requested it, who sent the alert to the API; null where no caller of the API did."
    ),
    "asked_at": {"type": "string", "format": "date-time", "description": "When."},
    "decided_by": _or_null(
        "Who approved, overrode or rejected it; `release` where a release of the instance ended the request."
    ),
    "decided_at": _or_null("When.", format="date-time"),
    "decision": _or_null(
        "`overridden`: approved by a caller with the right to override. `default` without an answer before the "
        "deadline.",
        enum=[*containment.DECISIONS, None],
    ),
    "decision_reason": _or_null("Why it was overridden or rejected, as whoever did wrote."),
    "deadline": _or_null("Until when it can be approved or rejected.", format="date-time"),
    "default": _or_null("What happens without an answer.", enum=["leave", "contain", None]),
    "as_of": _or_null(
        "Of a request of the policy, or one without an answer, or one that failed in part and goes on for newer "
        "activity: the time of what it is about. A later release of the instance ends it.",
        format="date-time",
    ),
    "asked_again_at": _or_null(
        "When a responder requested it again: while it was contained, for what was not done; or after it failed in "
        "part.",
        format="date-time",
    ),
    "isolating": {
        "type": "boolean",
        "description": "Whether what was not done, such as the isolation of what was attached since, is requested "
        "again, and has not ended.",
    },
    "overridden_tags": {
        **_TEXTS,
        "description": "The tags that protected the instance when this was requested, and that it overrides.",
    },
    "override_reason": _or_null("Why they are overridden, as whoever requested it wrote."),
    "two_step": {"type": "boolean", "description": "Whether an all-open group comes first."},
    "packets_until": _or_null(
        "Until when it waits at most for packets to be seen (containment.wait_for_packets).", format="date-time"
    ),
    "packets_wait": _or_null("What came of that wait; null while it lasts."),
    "released_by": _or_null(
        "Who requested the release; of a rejected one, who released the instance for all incidents."
    ),
    "released_at": _or_null("When.", format="date-time"),
    "changed": {
        **_TEXTS,
        "description": "What is changed, one line each. Recorded before it begins: of one "
        "that is `containing` or `failed`, some changes may not have taken effect.",
    },
    "not_done": {**_TEXTS, "description": "What the containment does not cover, and what AWS refused, one line each."},
    "not_restored": {**_TEXTS, "description": "What could not be restored, and why."},
    "differences": {"type": "array", "items": {"$ref": "#/components/schemas/Difference"}},
    "failure": _or_null("Why it failed; of one that is contained, why what was requested again is not done."),
}
CONTAINMENT: Final[Schema] = {
    "type": ["object", "null"],
    "description": "Containment of the instance; null when none was requested. Closing does not release it.",
    "required": list(_PROPERTIES),
    "properties": _PROPERTIES,
}
