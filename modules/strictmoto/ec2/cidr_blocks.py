"""CIDR blocks in their canonical form: EC2 clears the bits behind the prefix, 100.68.0.18/18 becomes 100.68.0.0/18,
and 2001:0DB8::/32 is 2001:db8::/32.

moto keeps them as they are given, so that a rule which says the same in other words is no duplicate.

Sources: Amazon EC2 API Reference, CreateVpc, CreateSubnet, CreateRoute, CreateNetworkAclEntry, IpRange and Ipv6Range
("AWS canonicalizes IPv4 and IPv6 CIDRs"). Of the actions that replace or delete what these made it is inferred.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

_ACTIONS: Final = frozenset(
    {
        "AssociateVpcCidrBlock",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateNetworkAclEntry",
        "CreateRoute",
        "CreateSubnet",
        "CreateVpc",
        "DeleteRoute",
        "ModifySecurityGroupRules",
        "ReplaceNetworkAclEntry",
        "ReplaceRoute",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        "UpdateSecurityGroupRuleDescriptionsIngress",
    }
)
_MEMBERS: Final = frozenset(
    {
        "CidrBlock",
        "CidrIp",
        "CidrIpv4",
        "CidrIpv6",
        "DestinationCidrBlock",
        "DestinationIpv6CidrBlock",
        "Ipv6CidrBlock",
    }
)


def canonicalize(action: str, parameters: Any) -> None:
    """Write every block that a call of EC2 gives in its canonical form; what is no block stays for others."""
    if action in _ACTIONS:
        _rewrite(parameters)


def _rewrite(part: Any) -> None:
    if isinstance(part, list):
        for item in part:
            _rewrite(item)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in _MEMBERS and isinstance(value, str):
                part[name] = _canonical(value)
            else:
                _rewrite(value)


def _canonical(block: str) -> str:
    _, slash, prefix = block.partition("/")
    if not slash or not prefix.isdecimal():
        return block
    try:
        # IPv6 has several spellings of one address; this one is that of RFC 5952.
        return str(ipaddress.ip_network(block, strict=False))
    except ValueError:
        return block
