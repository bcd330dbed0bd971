"""Security groups that isolate: that with which an operator isolates an instance by hand, and what all must not have.

Source: Amazon EC2 API Reference, IpPermission.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

DEFAULT_NAME: Final = "tapstack-quarantine"
"""Of a library's group by default, and of those that sites made before each had a name of its own."""
HAS_RULES: Final = "HAS RULES"
_PEERS: Final = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("PrefixListIds", "PrefixListId"),
    ("UserIdGroupPairs", "GroupId"),
)


def rule_lines(group: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rules of a security group, as EC2 describes it, a line each.

    >>> rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    >>> list(rule_lines({"IpPermissions": [], "IpPermissionsEgress": [rule]}))
    ['outbound tcp 443 to 0.0.0.0/0']
    """
    for listed, direction, word in (("IpPermissions", "inbound", "from"), ("IpPermissionsEgress", "outbound", "to")):
        for rule in group.get(listed, []):
            for peers, name in _PEERS:
                for peer in rule.get(peers, []):
                    yield f"{direction} {_traffic(rule)} {word} {peer.get(name)}"


def _traffic(rule: Mapping[str, Any]) -> str:
    protocol = str(rule["IpProtocol"])
    if protocol == "-1":
        return "all traffic"
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return protocol if first is None else f"{protocol} {first}" + (f"-{last}" if last != first else "")


def has_rules(group_id: str, rules: Sequence[str]) -> str:
    """Return a warning that a group that should isolate has rules."""
    return f"the quarantine group {group_id} {HAS_RULES}: {'; '.join(rules)}. What it isolates is connected by them"


def delete_rules_commands(group_id: str, rules: Sequence[str], region: str) -> list[str]:
    """Return the commands that delete the rules of a security group, one for each direction that has any.

    Args:
        group_id: of the security group.
        rules: its rules, as `rule_lines` yields them.
        region: of the security group.
    """
    return [
        f"aws ec2 revoke-security-group-{action} --region {region} --group-id {group_id} --security-group-rule-ids "
        f"$(aws ec2 describe-security-group-rules --region {region} --filters Name=group-id,Values={group_id} "
        f"--query 'SecurityGroupRules[?IsEgress==`{is_egress}`].SecurityGroupRuleId' --output text)"
        for action, direction, is_egress in (("egress", "outbound", "true"), ("ingress", "inbound", "false"))
        if any(rule.startswith(direction) for rule in rules)
    ]
