"""Trust policies of roles that a service assumes."""

from __future__ import annotations

from typing import Any

from tapstack.capture.place import Place
from tapstack.domain.iam_documents import Statement, document


def trusting(service: str, place: Place | None = None, *, for_arn: str | None = None) -> dict[str, Any]:
    """Return the trust policy of a role that a service assumes, on behalf of the account where given.

    Args:
        service: which.
        place: of the account.
        for_arn: pattern of the resources for which it may. To be given where it is not documented that the service
            says for which account and resource it assumes a role: what it does not say is then no reason to refuse it.
    """
    statement: Statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if place is not None:
        of_account = {"aws:SourceAccount": place.account}
        if for_arn is None:
            statement["Condition"] = {"StringEquals": of_account}
        else:
            statement["Condition"] = {
                "StringEqualsIfExists": of_account,
                "ArnLikeIfExists": {"aws:SourceArn": for_arn},
            }
    return document([statement])
