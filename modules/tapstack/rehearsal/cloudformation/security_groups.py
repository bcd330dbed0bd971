"""AWS::EC2::SecurityGroup: its rules change in place, and so do its tags."""

from __future__ import annotations

from typing import Any, Final

from moto.ec2.models import ec2_backends, security_groups

from tapstack.rehearsal.cloudformation.patching import as_classmethod

# moto has types, but none for what is replaced at run time.
SecurityGroup: Any = security_groups.SecurityGroup

_FINAL: Final = ("GroupName", "GroupDescription", "VpcId")


def install() -> None:
    """Replace how moto makes and changes a security group for a stack."""

    def create_from_cloudformation_json(
        cls: Any, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        properties = cloudformation_json["Properties"]
        group: Any = ec2_backends[account_id][region_name].create_security_group(
            name=resource_name, description=properties.get("GroupDescription"), vpc_id=properties.get("VpcId")
        )
        # What a later update compares with.
        group.final_properties = {name: properties.get(name) for name in _FINAL}
        _tag_and_rule(group, properties, fresh=True)
        return group

    def update_from_cloudformation_json(
        cls: Any,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        properties = cloudformation_json["Properties"]
        if {name: properties.get(name) for name in _FINAL} != original_resource.final_properties:
            return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)
        _tag_and_rule(original_resource, properties, fresh=False)
        return original_resource

    SecurityGroup.leaves_the_old = True
    SecurityGroup.create_from_cloudformation_json = as_classmethod(create_from_cloudformation_json)
    SecurityGroup.update_from_cloudformation_json = as_classmethod(update_from_cloudformation_json)


def _tag_and_rule(group: Any, properties: dict[str, Any], *, fresh: bool) -> None:
    group.add_tags({tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])})
    backend = group.ec2_backend
    group.ingress_rules.clear()
    for rule in properties.get("SecurityGroupIngress", []):
        backend.authorize_security_group_ingress(**_rule(group, rule, "Source"))
    egress = properties.get("SecurityGroupEgress")
    if egress is not None or not fresh:
        group.egress_rules.clear()
        # Without rules of its own a group lets everything out.
        for rule in egress or [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]:
            backend.authorize_security_group_egress(**_rule(group, rule, "Destination"))


def _rule(group: Any, rule: dict[str, Any], peer: str) -> dict[str, Any]:
    ranges = [{"CidrIp": rule["CidrIp"]}] if "CidrIp" in rule else []
    ranges += [{"CidrIpv6": rule["CidrIpv6"]}] if "CidrIpv6" in rule else []
    for entry in ranges:
        if "Description" in rule:
            entry["Description"] = rule["Description"]
    groups = [{"GroupId": rule[f"{peer}SecurityGroupId"]}] if f"{peer}SecurityGroupId" in rule else []
    return {
        "group_name_or_id": group.id,
        "ip_protocol": str(rule["IpProtocol"]),
        "from_port": rule.get("FromPort"),
        "to_port": rule.get("ToPort"),
        "ip_ranges": ranges,
        "source_groups": groups,
        "vpc_id": group.vpc_id,
    }
