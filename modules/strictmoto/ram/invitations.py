"""The side of AWS RAM that is shared with: invitations, shares of others, and what they hold."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time
from moto.ram import urls
from moto.ram.models import ResourceAccessManagerBackend
from moto.ram.responses import ResourceAccessManagerResponse

from strictmoto.ram.access import Invitation, account_of, invitations_of, is_open_to, shares_of

_NEW_PATHS = (
    "acceptresourceshareinvitation",
    "getresourceshareinvitations",
    "listresources",
    "rejectresourceshareinvitation",
)


@functools.cache
def install() -> None:
    """Extend moto's RAM, once a process."""
    for path in _NEW_PATHS:
        urls.url_paths[f"{{0}}/{path}$"] = ResourceAccessManagerResponse.dispatch
    response: Any = ResourceAccessManagerResponse
    response.get_resource_share_invitations = _get_invitations
    response.accept_resource_share_invitation = _answering("ACCEPTED")
    response.reject_resource_share_invitation = _answering("REJECTED")
    response.list_resources = _list_resources
    _show_shares_of_others()
    _show_who_has_not_accepted()


def _show_shares_of_others() -> None:
    backend: Any = ResourceAccessManagerBackend
    own = backend.get_resource_shares

    def get_resource_shares(self: Any, resource_owner: str | None) -> dict[str, Any]:
        if resource_owner != "OTHER-ACCOUNTS":
            found: dict[str, Any] = own(self, resource_owner)
            return found
        return {"resourceShares": [share.describe() for share in _open_to(self)]}

    backend.get_resource_shares = get_resource_shares


def _show_who_has_not_accepted() -> None:
    """An account that is invited is associated only when it has accepted."""
    backend: Any = ResourceAccessManagerBackend
    original = backend.get_resource_share_associations

    def get_associations(
        self: Any, association_type: str | None, association_status: str | None, *arguments: Any, **options: Any
    ) -> dict[str, Any]:
        found = original(self, association_type, association_status, *arguments, **options)
        shares = {share.arn: share for share in self.resource_shares}
        kept = []
        for association in found["resourceShareAssociations"]:
            invited = invitations_of(shares[association["resourceShareArn"]])
            invitation = invited.get(account_of(association["associatedEntity"]) or "")
            if association["associationType"] == "PRINCIPAL" and invitation is not None:
                status = {"PENDING": "ASSOCIATING", "REJECTED": "FAILED"}.get(invitation.status, "ASSOCIATED")
                if association_status not in (None, status):
                    continue
                association |= {"status": status, "external": True}
            kept.append(association)
        return {"resourceShareAssociations": kept}

    backend.get_resource_share_associations = get_associations


def _open_to(backend: Any) -> Iterator[Any]:
    for share in shares_of(backend.region_name):
        if share.account_id != backend.account_id and is_open_to(share, backend.account_id):
            yield share


def _invited(backend: Any) -> Iterator[tuple[Any, Invitation]]:
    for share in shares_of(backend.region_name):
        invitation = invitations_of(share).get(backend.account_id)
        if invitation is not None and share.status == "ACTIVE":
            yield share, invitation


def _shown(share: Any, invitation: Invitation) -> dict[str, Any]:
    return {
        "resourceShareInvitationArn": invitation.arn,
        "resourceShareName": share.name,
        "resourceShareArn": share.arn,
        "senderAccountId": share.account_id,
        "receiverAccountId": invitation.receiver,
        "invitationTimestamp": invitation.sent,
        "status": invitation.status,
    }


def _get_invitations(self: Any) -> str:
    wanted = self.request_params.get("resourceShareInvitationArns") or ()
    shares = self.request_params.get("resourceShareArns") or ()
    return json.dumps(
        {
            "resourceShareInvitations": [
                _shown(share, invitation)
                for share, invitation in _invited(self.ram_backend)
                if (not wanted or invitation.arn in wanted) and (not shares or share.arn in shares)
            ]
        }
    )


def _answering(status: str) -> Callable[[Any], str]:
    """Return the method that accepts or rejects an invitation."""

    def answer(self: Any) -> str:
        arn = self.request_params["resourceShareInvitationArn"]
        for share, invitation in _invited(self.ram_backend):
            if invitation.arn == arn:
                if invitation.status != "PENDING":
                    raise JsonRESTError(
                        f"ResourceShareInvitationAlready{invitation.status.capitalize()}Exception",
                        f"The resource share invitation {arn} was already {invitation.status.lower()}.",
                    )
                invitation.status = status
                return json.dumps({"resourceShareInvitation": _shown(share, invitation)})
        raise JsonRESTError(
            "ResourceShareInvitationArnNotFoundException", f"ResourceShareInvitation {arn} could not be found."
        )

    return answer


def _list_resources(self: Any) -> str:
    parameters = self.request_params
    backend = self.ram_backend
    mine = parameters.get("resourceOwner") == "SELF"
    shares = backend.resource_shares if mine else _open_to(backend)
    wanted = parameters.get("resourceShareArns") or ()
    return json.dumps(
        {
            "resources": [
                {
                    "arn": arn,
                    "type": f"{arn.split(':')[2]}:{_pascal(arn.split(':')[5].partition('/')[0])}",
                    "resourceShareArn": share.arn,
                    "status": "AVAILABLE",
                    "creationTime": unix_time(share.creation_time),
                    "lastUpdatedTime": unix_time(share.last_updated_time),
                }
                for share in shares
                if share.status == "ACTIVE" and (not wanted or share.arn in wanted)
                for arn in share.resource_arns
            ]
        }
    )


def _pascal(kind: str) -> str:
    return "".join(part.capitalize() for part in kind.split("-"))
