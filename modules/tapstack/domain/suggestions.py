"""The word that was probably meant where another one stands."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is nearest to `word`, if any is near; none where several begin with it."""
    known = list(known)
    # contain_now is no likelier than contain_on_approval to be what contain meant.
    if sum(other.startswith((f"{word}_", f"{word}-")) for other in known) > 1:
        return None
    # What difflib does not see: other case; and letters in another order, as it takes us-esat-1 for us-west-1.
    near = [other for other in known if other.lower() == word.lower()]
    near = (
        near
        or [other for other in known if sorted(other) == sorted(word)]
        or difflib.get_close_matches(word, known, n=1)
    )
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question for a message, with a space behind it; nothing where no known word is near."""
    near = nearest(word, known)
    return f"did you mean {near}? " if near else ""
