"""What IAM has to allow for statements of PartiQL: an action of their own for each kind, on the table or the index.

Source: Amazon DynamoDB Developer Guide, "IAM security policies with PartiQL for DynamoDB".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.dynamodb.statements import compared_by
from strictmoto.iam.authorizations.authorization import Authorization
from strictmoto.iam.authorizations.place import Place

ACTIONS: Final = frozenset({"BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction"})
_KIND: Final = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|EXISTS\s*\(\s*SELECT)\b", re.IGNORECASE)
_NAMED: Final = re.compile(
    r"\b(?:FROM|INTO|UPDATE)\s+(?:\"([^\"]+)\"|([\w.:/-]+?))(?:\.(?:\"([^\"]+)\"|([\w-]+)))?(?=[\s;)]|$)", re.IGNORECASE
)


def authorizations_of(action: str, requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Yield what each statement of a call needs."""
    listed = requested.get("Statements") or requested.get("TransactStatements") or ()
    context = {"aws:RequestedRegion": place.region}
    for one in [requested] if action == "ExecuteStatement" else listed:
        text = str(one.get("Statement"))
        kind, named = _KIND.match(text), _NAMED.search(text)
        verb = kind[1].split("(")[-1].strip().capitalize() if kind else "Select"
        compared = compared_by(text, one.get("Parameters") or ())
        yield Authorization(f"dynamodb:PartiQL{verb}", (_arn(named, place),), context, compared=compared)


def _arn(named: re.Match[str] | None, place: Place) -> str:
    """Return the ARN of the table or index; that of all tables where the statement names none."""
    table = (named[1] or named[2]) if named else "*"
    index = (named[3] or named[4]) if named else None
    arn = place.arn("dynamodb", table if table.startswith("arn:") else f"table/{table}")
    return f"{arn}/index/{index}" if index else arn
