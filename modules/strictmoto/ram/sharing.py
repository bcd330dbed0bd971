"""AWS RAM as far as sharing a mirror target needs it, and Terraform asks for it.

moto shares no traffic mirror target, associates nothing with a share that stands, invites
no principal, forgets a share's tags, and shares nothing in other partitions than aws.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any, Final

from moto.ram import urls
from moto.ram.exceptions import InvalidParameterException, MalformedArnException, UnknownResourceException
from moto.ram.models import ResourceAccessManagerBackend, ResourceShare
from moto.ram.responses import ResourceAccessManagerResponse

from strictmoto.ram import invitations as resource_share_invitations
from strictmoto.ram.access import invite, uninvite

_MOTOS: Final = "aws"
"""The partition whose ARNs moto knows."""
_NEW_PATHS = (
    "associateresourceshare",
    "disassociateresourceshare",
    "listresourcesharepermissions",
    "tagresource",
    "untagresource",
)


@functools.cache
def install() -> None:
    """Extend moto's RAM, once a process."""
    ResourceShare.SHAREABLE_RESOURCES.append("traffic-mirror-target")
    _keep_tags()
    for path in _NEW_PATHS:
        urls.url_paths[f"{{0}}/{path}$"] = ResourceAccessManagerResponse.dispatch
    response: Any = ResourceAccessManagerResponse
    response.associate_resource_share = _associate
    response.disassociate_resource_share = _disassociate
    response.list_resource_share_permissions = lambda self: json.dumps({"permissions": []})
    response.tag_resource = _tag
    response.untag_resource = _untag
    _invite_at_creation()
    _know_partitions()
    resource_share_invitations.install()


def _keep_tags() -> None:
    share: Any = ResourceShare
    initialize, describe = share.__init__, share.describe

    def with_tags(self: Any, *arguments: Any, **options: Any) -> None:
        initialize(self, *arguments, **options)
        self.tags = {tag["key"]: tag["value"] for tag in options.get("tags") or ()}

    def described(self: Any) -> dict[str, Any]:
        tags = [{"key": key, "value": value} for key, value in self.tags.items()]
        return {**describe(self), "tags": tags}

    share.__init__, share.describe = with_tags, described


def _invite_at_creation() -> None:
    share: Any = ResourceShare
    add = share.add_principals

    def add_principals(self: Any, principals: list[str]) -> None:
        invite(self, principals)
        if self.partition == _MOTOS:
            add(self, principals)
            return
        for principal in principals:
            _check_principal(self, principal)
        self.principals.extend(principals)

    share.add_principals = add_principals


def _know_partitions() -> None:
    """moto takes ARNs of the partition aws alone, for resources and for organizations."""
    share: Any = ResourceShare
    add = share.add_resources

    def add_resources(self: Any, resource_arns: list[str]) -> None:
        own, before = f"arn:{self.partition}:", len(self.resource_arns)
        for arn in resource_arns:
            if not arn.startswith(own):
                raise MalformedArnException(
                    f"The specified resource ARN {arn} is not valid. Verify the ARN and try again."
                )
        add(self, [f"arn:{_MOTOS}:{arn.removeprefix(own)}" for arn in resource_arns])
        self.resource_arns[before:] = resource_arns

    share.add_resources = add_resources


def _check_principal(share: Any, principal: str) -> None:
    partition = share.partition
    if principal.startswith(f"arn:{partition}:organizations:"):
        organization = share.organizations_backend
        known = {unit.arn for unit in organization.ou} | ({organization.org.arn} if organization.org else set())
        if principal not in known:
            raise UnknownResourceException(f"{principal} could not be found.")
    elif not re.fullmatch(
        rf"\d{{12}}|arn:{partition}:iam::\d{{12}}:(?:root|role/.+|user/.+)|[a-z0-9-]+\.amazonaws\.com", principal
    ):
        raise InvalidParameterException(f"Principal ID {principal} is malformed. Verify the ID and try again.")


def _share(backend: ResourceAccessManagerBackend, arn: str) -> Any:
    for share in backend.resource_shares:
        if share.arn == arn and share.status == "ACTIVE":
            return share
    raise UnknownResourceException(f"ResourceShare {arn} could not be found.")


def _associations(share: Any, parameters: dict[str, Any], status: str) -> str:
    given = [(arn, "RESOURCE") for arn in parameters.get("resourceArns", ())]
    given += [(principal, "PRINCIPAL") for principal in parameters.get("principals", ())]
    return json.dumps(
        {
            "resourceShareAssociations": [
                {
                    "resourceShareArn": share.arn,
                    "resourceShareName": share.name,
                    "associatedEntity": entity,
                    "associationType": kind,
                    "status": status,
                    "external": False,
                }
                for entity, kind in given
            ]
        }
    )


def _associate(self: Any) -> str:
    parameters = self.request_params
    share = _share(self.ram_backend, parameters["resourceShareArn"])
    # What is there already stays there once, as AWS has it.
    share.add_resources([arn for arn in parameters.get("resourceArns", ()) if arn not in share.resource_arns])
    share.add_principals([one for one in parameters.get("principals", ()) if one not in share.principals])
    return _associations(share, parameters, "ASSOCIATED")


def _disassociate(self: Any) -> str:
    parameters = self.request_params
    share = _share(self.ram_backend, parameters["resourceShareArn"])
    share.resource_arns = [arn for arn in share.resource_arns if arn not in parameters.get("resourceArns", ())]
    share.principals = [one for one in share.principals if one not in parameters.get("principals", ())]
    uninvite(share, parameters.get("principals", []))
    return _associations(share, parameters, "DISASSOCIATED")


def _tag(self: Any) -> str:
    parameters = self.request_params
    share = _share(self.ram_backend, parameters["resourceShareArn"])
    share.tags |= {tag["key"]: tag["value"] for tag in parameters["tags"]}
    return json.dumps({})


def _untag(self: Any) -> str:
    parameters = self.request_params
    share = _share(self.ram_backend, parameters["resourceShareArn"])
    share.tags = {key: value for key, value in share.tags.items() if key not in parameters["tagKeys"]}
    return json.dumps({})
