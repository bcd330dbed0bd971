"""Plans as text: what a containment or release would change, and what was changed outside Tapstack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tapstack.cli.terminal import plain, table
from tapstack.domain.containment import NAMES, shown_key, tags_word, with_name

_WIDEST: Final = 60
_NOTHING: Final = {
    "contain": "nothing would change",
    "contain-now": "nothing would change",
    "contain-protected": "nothing would change",
    "approve": "nothing would change",
    "override": "nothing would change",
    "reject": "nothing would change: the instance is not contained",
    "release": "nothing would be restored",
}


def plan(answer: Mapping[str, Any], *, what: str) -> str:
    """Return a dry run as text.

    Args:
        answer: the API's response.
        what: contain, contain-now, contain-protected, approve, override, reject or release.
    """
    lines = [f"dry run of {what}: {plain(answer.get('instance_id'))}, nothing was changed"]
    if refused := plain(answer.get("refused")):
        # Those of a release are about other incidents, which matter where these refuse it.
        notes = _notes(answer) if what == "release" else []
        return "\n".join([*lines, "", f"  refused: {refused}", *notes])
    rows = [
        [*_subject(change), *(value(change.get(name), _names(change)) for name in ("from", "to"))]
        for change in _entries(answer, "changes")
    ]
    lines += [
        "",
        *(table(["WHAT", "OF", "NOW", "THEN"], rows, "  ", widest=_WIDEST) if rows else [f"  {_NOTHING[what]}"]),
    ]
    differences = _entries(answer, "differences")
    if differences:
        lines += ["", "  changed outside Tapstack", *_three_ways(differences)]
    advised = dict.fromkeys(found for difference in differences if (found := advice(difference)))
    if advised:
        lines += ["", *(f"  the release would be blocked. {line}" for line in advised)]
    elif any(difference.get("blocks") for difference in differences):
        lines += [
            "",
            "  the release would be blocked: --overwrite restores the prior state, --keep keeps what was changed",
        ]
    if overridden := [plain(tag) for tag in _list(answer, "overridden")]:
        lines += ["", f"  PROTECTION IS OVERRIDDEN: its {tags_word(overridden)} would protect it"]
    return "\n".join([*lines, *_notes(answer)])


def _notes(answer: Mapping[str, Any]) -> list[str]:
    return [line for warning in _list(answer, "warnings") for line in ("", f"  note: {plain(warning)}")]


def advice(difference: Mapping[str, Any]) -> str:
    """Return what to do about a difference where overwriting does not help; empty where it does."""
    return plain(difference.get("advice"))


def value(found: Any, names: Mapping[str, str] | None = None) -> str:
    """Return a value as text.

    Args:
        found: the value.
        names: of the ids that it may list.
    """
    match found:
        case None:
            return "-"
        case bool():
            return "yes" if found else "no"
        case list():
            return ", ".join(with_name(plain(item), names or {}) for item in found) or "none"
    return plain(found)


def _three_ways(differences: list[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            *_subject(difference),
            *_values(difference, "original", "ours", "now"),
            plain(difference.get("why")),
        ]
        for difference in differences
    ]
    return table(["WHAT", "OF", "WAS", "CONTAINED", "NOW", "WHY"], rows, "  ", widest=_WIDEST)


def _names(change: Mapping[str, Any]) -> Mapping[str, str]:
    found = change.get("names")
    return {str(id_): str(name) for id_, name in found.items()} if isinstance(found, dict) else {}


def _subject(entry: Mapping[str, Any]) -> list[str]:
    kind, key = plain(entry.get("what")), plain(entry.get("key"))
    return [NAMES.get(kind, kind), shown_key(kind, key)]


def _values(entry: Mapping[str, Any], *names: str) -> list[str]:
    return [value(entry.get(name), _names(entry)) for name in names]


def _list(holder: Mapping[str, Any], key: str) -> list[Any]:
    found = holder.get(key)
    return found if isinstance(found, list) else []


def _entries(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [entry for entry in _list(holder, key) if isinstance(entry, dict)]
