"""Types of network interfaces: which can be made, and trunks with their branches.

A branch network interface is not attached to an instance, but associated with a trunk interface that is: pods with
security groups of their own have such. Mirroring takes neither trunks nor branches, because it takes only the type
`interface`.

Sources: EC2 API Reference, CreateNetworkInterface, RunInstances and the three actions of trunk associations. What
they refuse, and with which code, is inferred.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2 import models
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces
from moto.moto_api._internal import mock_random

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = models.EC2Backend
Response: Any = ElasticNetworkInterfaces

CREATED: Final = ("interface", "efa", "efa-only", "branch", "trunk")
LAUNCHED: Final = ("interface", "efa", "efa-only")
VLAN: Final = (1, 4094)
_ATTRIBUTE: Final = "trunk_associations"


@dataclass(frozen=True, slots=True)
class Association:
    """A branch interface and the trunk it goes through, by its number on that trunk."""

    id: str
    branch: str
    trunk: str
    protocol: str
    number: int

    def shown(self) -> dict[str, Any]:
        """Return it as answers have it."""
        return {
            "AssociationId": self.id,
            "BranchInterfaceId": self.branch,
            "TrunkInterfaceId": self.trunk,
            "InterfaceProtocol": self.protocol,
            "VlanId" if self.protocol == "VLAN" else "GreKey": self.number,
            "Tags": [],
        }


@functools.cache
def install() -> None:
    """Make the moto of this process have them. A second call changes nothing."""
    _create_with_types()
    _keep_what_is_associated()
    Response.associate_trunk_interface = _associate
    Response.describe_trunk_interface_associations = _describe
    Response.disassociate_trunk_interface = _disassociate


def check_type(kind: str | None, allowed: tuple[str, ...]) -> None:
    """Refuse a type of interface that the action does not make."""
    if kind is not None and kind not in allowed:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Invalid value '{kind}' for InterfaceType. Valid values are {', '.join(allowed)}.",
        )


def _create_with_types() -> None:
    create = Response.create_network_interface

    @functools.wraps(create)
    def create_network_interface(self: Any) -> Any:
        kind = self._get_param("InterfaceType")
        check_type(kind, CREATED)
        addresses = ("PrivateIpAddress", "PrivateIpAddresses", "Ipv6Addresses", "SecondaryPrivateIpAddressCount")
        if kind == "efa-only" and any(self._get_param(name) for name in addresses):
            raise EC2ClientError(
                "InvalidParameterCombination", "EFA-only network interfaces do not support IP addresses."
            )
        result = create(self)
        if kind:
            result.result["NetworkInterface"].interface_type = kind
        return result

    Response.create_network_interface = create_network_interface


def _keep_what_is_associated() -> None:
    delete = EC2Backend.delete_network_interface

    @functools.wraps(delete)
    def delete_network_interface(self: Any, eni_id: str) -> None:
        if any(eni_id in (one.branch, one.trunk) for one in _associations(self).values()):
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
        delete(self, eni_id)

    EC2Backend.delete_network_interface = delete_network_interface


def _associations(backend: Any) -> dict[str, Association]:
    found: dict[str, Association] = vars(backend).setdefault(_ATTRIBUTE, {})
    return found


def _associate(self: Any) -> ActionResult:
    backend = self.ec2_backend
    trunk = backend.get_network_interface(self._get_param("TrunkInterfaceId"))
    branch = backend.get_network_interface(self._get_param("BranchInterfaceId"))
    protocol, number = _number(self._get_param("VlanId"), self._get_param("GreKey"))
    if trunk.interface_type != "trunk":
        raise EC2ClientError("InvalidParameterValue", f"{trunk.id} is of type {trunk.interface_type}, and not a trunk")
    if branch.interface_type not in ("interface", "branch") or branch.instance is not None:
        raise EC2ClientError("InvalidParameterValue", f"{branch.id} cannot be a branch interface")
    for one in _associations(backend).values():
        if one.branch == branch.id:
            raise EC2ClientError("Resource.AlreadyAssociated", f"{branch.id} is associated with {one.trunk} already")
        if (one.trunk, one.protocol, one.number) == (trunk.id, protocol, number):
            raise EC2ClientError("InvalidParameterValue", f"{trunk.id} has {protocol} {number} already: {one.branch}")
    made = Association(f"trunk-assoc-{mock_random.get_random_hex(17)}", branch.id, trunk.id, protocol, number)
    _associations(backend)[made.id] = made
    branch.interface_type = "branch"
    branch.status = "in-use"
    return ActionResult({"InterfaceAssociation": made.shown(), "ClientToken": self._get_param("ClientToken")})


def _number(vlan: int | None, gre: int | None) -> tuple[str, int]:
    """Return the protocol of an association, and its number."""
    if vlan is None and gre is None:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter VlanId or GreKey")
    if vlan is not None and gre is not None:
        raise EC2ClientError("InvalidParameterCombination", "VlanId and GreKey cannot be given together")
    if gre is not None:
        return "GRE", int(gre)
    low, high = VLAN
    if not low <= int(str(vlan)) <= high:
        raise EC2ClientError("InvalidParameterValue", f"Value ({vlan}) for VlanId is invalid: {low} to {high}")
    return "VLAN", int(str(vlan))


def _describe(self: Any) -> ActionResult:
    """Describe associations. Its filters are applied to the answer, as those of all that moto does not filter."""
    found: Mapping[str, Association] = dict(_associations(self.ec2_backend))
    wanted = self._get_param("AssociationIds", [])
    for association_id in wanted:
        if association_id not in found:
            raise _not_found(association_id)
    shown = [one.shown() for one in found.values() if not wanted or one.id in wanted]
    return ActionResult({"InterfaceAssociations": shown})


def _disassociate(self: Any) -> ActionResult:
    backend, association_id = self.ec2_backend, self._get_param("AssociationId")
    if association_id not in _associations(backend):
        raise _not_found(association_id)
    gone = _associations(backend).pop(association_id)
    branch = backend.enis.get(gone.branch)
    if branch is not None:
        branch.status = "available"
    return ActionResult({"Return": True, "ClientToken": self._get_param("ClientToken")})


def _not_found(association_id: str) -> Any:
    return EC2ClientError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")
