"""AWS::EC2::SecurityGroup and the types of its rules: rules change in place, and so do tags.

Source: CloudFormation Template Reference, "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress" and
"AWS::EC2::SecurityGroupEgress".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from strictmoto.cloudformation.ec2_types import Ec2Resource

_EVERYWHERE: Final[Mapping[str, Any]] = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}
"""Without rules of its own a group lets everything out."""


class SecurityGroup(Ec2Resource):
    """A security group with its rules."""

    TYPE = "AWS::EC2::SecurityGroup"
    NAME = "GroupName"
    ATTRIBUTE = "GroupId"
    DESCRIBED = ("describe_security_groups", "GroupIds")

    def create(self) -> None:
        """Create it, and authorize its rules."""
        vpc = self.of("VpcId")
        described = self.properties.get("GroupDescription")
        made = self.call("create_security_group", GroupName=self.name, Description=described, **vpc)
        self.known(made["GroupId"], Id=made["GroupId"], **vpc)
        self._authorize({"SecurityGroupEgress": [_EVERYWHERE]})

    def update(self, old: dict[str, Any]) -> None:
        """Authorize its rules, and revoke those that it has no longer."""
        self._authorize(old)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_security_group", GroupId=self.ref)

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """The answer of Fn::GetAtt; a group of the default VPC does not name that."""
        if attribute_name == "VpcId" and "VpcId" not in self.attributes:
            [found] = self.call("describe_security_groups", GroupIds=[self.ref])["SecurityGroups"]
            return found["VpcId"]
        return super().get_cfn_attribute(attribute_name)

    def _authorize(self, old: Mapping[str, Any]) -> None:
        for direction, peer in (("ingress", "Source"), ("egress", "Destination")):
            before, after = (_rules(some, direction) for some in (old, self.properties))
            for verb, rules, others in (("revoke", before, after), ("authorize", after, before)):
                if found := [permission(rule, peer) for rule in rules if rule not in others]:
                    self.call(f"{verb}_security_group_{direction}", GroupId=self.ref, IpPermissions=found)


class SecurityGroupRule(Ec2Resource):
    """A rule of a security group, of a template's own."""

    TYPE = "AWS::EC2::SecurityGroupIngress"
    DIRECTION: ClassVar[str] = "ingress"
    PEER: ClassVar[str] = "Source"

    def create(self) -> None:
        """Authorize it."""
        answer = self.call(f"authorize_security_group_{self.DIRECTION}", **self._rule())
        made = answer.get("SecurityGroupRules") or [{}]
        self.ref = made[0].get("SecurityGroupRuleId") or self.name
        self.attributes = {"Id": self.ref}

    def update(self, old: dict[str, Any]) -> None:
        """Describe it anew."""
        self.call(f"update_security_group_rule_descriptions_{self.DIRECTION}", **self._rule())

    def delete_it(self) -> None:
        """Revoke it."""
        self.call(f"revoke_security_group_{self.DIRECTION}", **self._rule())

    def _rule(self) -> dict[str, Any]:
        return {"GroupId": self.properties.get("GroupId"), "IpPermissions": [permission(self.properties, self.PEER)]}


class SecurityGroupEgress(SecurityGroupRule):
    """A rule for what leaves."""

    TYPE = "AWS::EC2::SecurityGroupEgress"
    DIRECTION = "egress"
    PEER = "Destination"


def permission(given: Mapping[str, Any], peer: str) -> dict[str, Any]:
    """Return a rule as the API takes it.

    Args:
        given: the properties of the rule.
        peer: what the names of the other side begin with: Source or Destination.
    """
    described = {"Description": given["Description"]} if "Description" in given else {}
    rule: dict[str, Any] = {"IpProtocol": given["IpProtocol"]}
    rule |= {name: given[name] for name in ("FromPort", "ToPort") if name in given}
    if "CidrIp" in given:
        rule["IpRanges"] = [{"CidrIp": given["CidrIp"], **described}]
    if "CidrIpv6" in given:
        rule["Ipv6Ranges"] = [{"CidrIpv6": given["CidrIpv6"], **described}]
    if prefix := given.get(f"{peer}PrefixListId"):
        rule["PrefixListIds"] = [{"PrefixListId": prefix, **described}]
    if group := given.get(f"{peer}SecurityGroupId"):
        rule["UserIdGroupPairs"] = [{"GroupId": group, **described}]
    return rule


def _rules(properties: Mapping[str, Any], direction: str) -> list[Mapping[str, Any]]:
    """Return the rules of a direction; where a template gives none for what leaves, everything leaves."""
    found = list(properties.get(f"SecurityGroup{direction.title()}") or ())
    return found or ([_EVERYWHERE] if direction == "egress" else [])


def install() -> None:
    """Do nothing: the types are registered as they are defined."""
