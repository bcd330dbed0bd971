"""Network ACLs: their entries, their associations, and the default one, which stays.

moto makes HTTP 500 of an entry or an association that is not there, takes entries that cannot be, and leaves out those
that deny what no other entry concerns.

Sources: Amazon EC2 API Reference, CreateNetworkAclEntry, DeleteNetworkAcl, ReplaceNetworkAclAssociation and "Error
codes for the Amazon EC2 API" (InvalidAssociationID.NotFound, InvalidNetworkAclEntry.NotFound, InvalidParameterValue,
NetworkAclEntryAlreadyExists, NetworkAclEntryLimitExceeded); Amazon VPC User Guide, "Network ACL basics" and "Amazon VPC
quotas" (20 rules in each direction).
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.responses.network_acls import NetworkACLs as _Response

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Response: Any = _Response

_NUMBERS: Final = range(1, 32_767)
_LAST: Final = 32_767
"""The number of the entry that denies the rest."""
_MOST: Final = 20
_ACTIONS: Final = ("allow", "deny")
_NUMBERED: Final = {"icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58", "all": "-1"}
_WITH_PORTS: Final = ("6", "17")
_WITH_TYPES: Final = ("1", "58")
_PORTS: Final = range(65_536)
_ENTRY_NOT_FOUND: Final = "InvalidNetworkAclEntry.NotFound"


def install() -> None:
    """Refuse others."""
    _deny_the_rest()
    _check_entries()
    _check_associations()
    delete = Response.delete_network_acl

    @functools.wraps(delete)
    def delete_network_acl(self: Any) -> Any:
        acl = self.ec2_backend.get_network_acl(self._get_param("NetworkAclId"))
        if acl.default:
            raise _invalid(f"cannot delete default network ACL {acl.id}")
        return delete(self)

    Response.delete_network_acl = delete_network_acl


def _deny_the_rest() -> None:
    create = EC2Backend.create_network_acl

    @functools.wraps(create)
    def create_network_acl(self: Any, vpc_id: str, tags: Any = None, default: bool = False) -> Any:
        made = create(self, vpc_id, tags, default)
        # moto gives a default one its entries, and another none.
        for egress in () if default else (True, False):
            self.create_network_acl_entry(
                made.id, _LAST, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
            )
        return made

    EC2Backend.create_network_acl = create_network_acl


def _check_entries() -> None:
    create, replace, delete = (
        getattr(Response, f"{verb}_network_acl_entry") for verb in ("create", "replace", "delete")
    )

    @functools.wraps(create)
    def create_network_acl_entry(self: Any) -> Any:
        acl = self.ec2_backend.get_network_acl(self._get_param("NetworkAclId"))
        _check_entry(self)
        others = [entry for entry in acl.network_acl_entries if entry.egress == self._get_param("Egress")]
        # That a number is taken is refused by what is wrapped.
        known = any(entry.rule_number == self._get_param("RuleNumber") for entry in others)
        if not known and sum(entry.rule_number in _NUMBERS for entry in others) >= _MOST:
            raise EC2ClientError(
                "NetworkAclEntryLimitExceeded", f"The network acl '{acl.id}' has reached the limit of {_MOST} entries."
            )
        return create(self)

    @functools.wraps(replace)
    def replace_network_acl_entry(self: Any) -> Any:
        _check_is_there(self)
        _check_entry(self)
        return replace(self)

    @functools.wraps(delete)
    def delete_network_acl_entry(self: Any) -> Any:
        _check_is_there(self)
        return delete(self)

    Response.create_network_acl_entry = create_network_acl_entry
    Response.replace_network_acl_entry = replace_network_acl_entry
    Response.delete_network_acl_entry = delete_network_acl_entry


def _check_is_there(response: Any) -> None:
    acl = response.ec2_backend.get_network_acl(response._get_param("NetworkAclId"))
    number, egress = response._get_param("RuleNumber"), response._get_param("Egress")
    _check_number(number)
    if not any(entry.rule_number == number and entry.egress == egress for entry in acl.network_acl_entries):
        raise EC2ClientError(
            _ENTRY_NOT_FOUND, f"The {'egress' if egress else 'ingress'} entry {number} of {acl.id} does not exist"
        )


def _check_number(number: int) -> None:
    if number not in _NUMBERS:
        raise _invalid(
            f"Invalid value '{number}' for ruleNumber. Must be between {_NUMBERS.start} and {_NUMBERS.stop - 1}"
        )


def _check_entry(response: Any) -> None:
    """Refuse an entry that cannot be; keep its protocol as a number, as AWS shows it."""
    _check_number(response._get_param("RuleNumber"))
    if (action := response._get_param("RuleAction")) not in _ACTIONS:
        raise _invalid(f"Invalid value '{action}' for ruleAction. Must be allow or deny")
    blocks = {name: response._get_param(name) for name in ("CidrBlock", "Ipv6CidrBlock")}
    if not any(blocks.values()):
        raise EC2ClientError("MissingParameter", "Either 'cidrBlock' or 'ipv6CidrBlock' should be provided.")
    if all(blocks.values()):
        raise EC2ClientError(
            "InvalidParameterCombination", "Only one of 'cidrBlock' and 'ipv6CidrBlock' can be provided."
        )
    for name, kind in (("CidrBlock", ipaddress.IPv4Network), ("Ipv6CidrBlock", ipaddress.IPv6Network)):
        _check_block(name, blocks[name], kind)
    given = str(response._get_param("Protocol")).lower()
    protocol = _NUMBERED.get(given, given)
    if protocol != "-1" and not (protocol.isdecimal() and int(protocol) <= 255):
        raise _invalid(f"Invalid value '{given}' for protocol. Unknown protocol.")
    response.params["Protocol"] = protocol
    if protocol in _WITH_PORTS:
        _check_ports(response._get_param("PortRange.From"), response._get_param("PortRange.To"))
    elif protocol in _WITH_TYPES:
        given_types = response._get_param("IcmpTypeCode") or {}
        if None in (given_types.get("Type"), given_types.get("Code")):
            raise EC2ClientError("MissingParameter", "The request must contain the parameter icmpTypeCode")
        # moto looks for them at their place on the wire.
        response.params["Icmp"] = given_types


def _check_block(name: str, block: str | None, kind: Any) -> None:
    if not block:
        return
    try:
        # Host bits are taken, and zeroed by AWS.
        kind(block, strict=False)
    except ValueError:
        place = f"{name[0].lower()}{name[1:]}"
        raise _invalid(f"Value ({block}) for parameter {place} is invalid. This is not a valid CIDR block.") from None


def _check_ports(first: int | None, last: int | None) -> None:
    if first is None or last is None:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter portRange")
    for port in (first, last):
        if port not in _PORTS:
            raise _invalid(f"Invalid value '{port}' for portRange. Must be between 0 and {_PORTS.stop - 1}")
    if first > last:
        raise _invalid(f"Invalid port range ({first}:{last})")


def _check_associations() -> None:
    replace = Response.replace_network_acl_association

    @functools.wraps(replace)
    def replace_network_acl_association(self: Any) -> Any:
        backend, wanted = self.ec2_backend, self._get_param("AssociationId")
        acl = backend.get_network_acl(self._get_param("NetworkAclId"))
        found = [one for other in list(backend.network_acls.values()) for one in other.associations if one.id == wanted]
        if not found:
            raise EC2ClientError("InvalidAssociationID.NotFound", f"The association ID '{wanted}' does not exist")
        if backend.get_subnet(found[0].subnet_id).vpc_id != acl.vpc_id:
            raise _invalid(
                f"Network ACL {acl.id} and subnet {found[0].subnet_id} belong to different networks.",
            )
        return replace(self)

    Response.replace_network_acl_association = replace_network_acl_association


def _invalid(message: str) -> Any:
    return EC2ClientError("InvalidParameterValue", message)
