"""Who may use what is shared through AWS RAM: principals of a share, and invitations to accept.

A share with an account of the owner's organization holds at once. Any other account is invited, and
uses what is shared after it has accepted. A share that allows no external principals is taken to stay
inside an organization, also where none was founded in this account.

Source: AWS RAM User Guide, "Accepting and rejecting resource share invitations".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time, utcnow
from moto.moto_api._internal import mock_random
from moto.ram.models import ram_backends
from moto.utilities.utils import get_partition

from strictmoto.organizations.memberships import organization_of, units_of

_ACCOUNT: Final = re.compile(r"(?:arn:[^:]+:iam::)?(\d{12})(?::(?:root|role/.+|user/.+))?")


@dataclass(slots=True)
class Invitation:
    """An account outside the owner's organization is asked whether it takes part."""

    arn: str
    receiver: str
    status: str = "PENDING"
    sent: float = field(default_factory=lambda: unix_time(utcnow()))


def invite(share: Any, principals: list[str]) -> None:
    """Invite those of new principals that are outside the owner's organization.

    Raises:
        JsonRESTError: OperationNotPermittedException, where the share allows no external principals.
    """
    organization = organization_of(share.account_id, share.region)
    for account in filter(None, map(account_of, principals)):
        if account == share.account_id or (organization and account in organization[1]):
            continue
        if not share.allow_external_principals:
            if organization is None:
                continue
            raise JsonRESTError(
                "OperationNotPermittedException",
                "The resource you are attempting to share can only be shared within your AWS Organization.",
            )
        where = f"{share.region}:{share.account_id}"
        arn = f"arn:{get_partition(share.region)}:ram:{where}:resource-share-invitation/{mock_random.uuid4()}"
        invitations_of(share).setdefault(account, Invitation(arn, account))


def uninvite(share: Any, principals: list[str]) -> None:
    """Take back the invitations of principals that a share is no longer for."""
    for account in filter(None, map(account_of, principals)):
        invitations_of(share).pop(account, None)


def invitations_of(share: Any) -> dict[str, Invitation]:
    """Return the invitations to a share, by the account that is asked."""
    found: dict[str, Invitation] = vars(share).setdefault("invitations", {})
    return found


def is_open_to(share: Any, account: str) -> bool:
    """Return whether an account may use what a share holds."""
    if share.status != "ACTIVE":
        return False
    invitation = invitations_of(share).get(account)
    if invitation is not None and invitation.status != "ACCEPTED":
        return False
    organization = organization_of(account, share.region)
    units = units_of(account, share.region)
    return any(
        account_of(principal) == account or (organization and principal == organization[0]) or principal in units
        for principal in share.principals
    )


def account_of(principal: str) -> str | None:
    """Return the account that a principal is or lies in; None for organizations and their units."""
    match = _ACCOUNT.fullmatch(principal)
    return match[1] if match else None


def shares_of(region: str) -> Iterator[Any]:
    """Return the shares of all accounts in a Region."""
    for _, regions in list(ram_backends.items()):
        if backend := regions.get(region):
            yield from list(backend.resource_shares)


def shared_arns(account: str, region: str) -> frozenset[str]:
    """Return the ARNs of what other accounts share with an account."""
    return frozenset(
        arn
        for share in shares_of(region)
        if share.account_id != account and is_open_to(share, account)
        for arn in share.resource_arns
    )
