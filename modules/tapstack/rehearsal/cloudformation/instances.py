"""AWS::EC2::Instance and AWS::EC2::NetworkInterface: an instance uses the interfaces that its template names."""

from __future__ import annotations

import functools
from typing import Any

from moto.ec2.models import ec2_backends, elastic_network_interfaces, instances

from tapstack.rehearsal.cloudformation import schemas
from tapstack.rehearsal.cloudformation.patching import as_classmethod

# moto has types, but none for what is replaced at run time.
Instance: Any = instances.Instance
NetworkInterface: Any = elastic_network_interfaces.NetworkInterface

_AS_THEY_ARE = ("NetworkInterfaceId", "SubnetId", "PrivateIpAddress", "Description")
_FLAGS = ("AssociatePublicIpAddress", "DeleteOnTermination")


def install() -> None:
    """Replace how moto makes an instance for a stack, and give its interfaces tags and an end."""
    _create_instances()
    _change_instances()
    _own_interfaces()


def interface_specification(declared: dict[str, Any]) -> dict[str, Any]:
    """A NetworkInterfaces member of the template as RunInstances takes it."""
    specification: dict[str, Any] = {"DeviceIndex": int(declared["DeviceIndex"])}
    specification |= {name: declared[name] for name in _AS_THEY_ARE if name in declared}
    specification |= {name: str(declared[name]).lower() == "true" for name in _FLAGS if name in declared}
    if "GroupSet" in declared:
        specification["Groups"] = list(declared["GroupSet"])
    return specification


def _create_instances() -> None:
    def create_from_cloudformation_json(
        cls: Any, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        properties = cloudformation_json["Properties"]
        backend = ec2_backends[account_id][region_name]
        optional: dict[str, Any] = {}
        if mappings := properties.get("BlockDeviceMappings"):
            optional["block_device_mappings"] = mappings
        if interfaces := properties.get("NetworkInterfaces"):
            optional["nics"] = [interface_specification(interface) for interface in interfaces]
        reservation = backend.run_instances(
            image_id=properties.get("ImageId"),
            user_data=properties.get("UserData"),
            count=1,
            security_group_names=properties.get("SecurityGroups", []),
            security_group_ids=properties.get("SecurityGroupIds", []),
            instance_type=properties.get("InstanceType", "m1.small"),
            is_instance_type_default=not properties.get("InstanceType"),
            region_name=region_name,
            subnet_id=properties.get("SubnetId"),
            key_name=properties.get("KeyName"),
            private_ip=properties.get("PrivateIpAddress"),
            ebs_optimized=properties.get("EbsOptimized", False),
            disable_api_termination=str(properties.get("DisableApiTermination", False)).lower() == "true",
            **optional,
        )
        instance: Any = reservation.instances[0]
        # What a later update compares with.
        instance.stack_properties = properties
        instance.add_tags({tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])})
        if profile := properties.get("IamInstanceProfile"):
            backend.associate_iam_instance_profile(instance_id=instance.id, iam_instance_profile_name=profile)
        return instance

    Instance.create_from_cloudformation_json = as_classmethod(create_from_cloudformation_json)


def _change_instances() -> None:
    def update_from_cloudformation_json(
        cls: Any,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        before = original_resource.stack_properties
        properties = cloudformation_json["Properties"]
        changed = {name for name in {*before, *properties} if before.get(name) != properties.get(name)}
        if schemas.replaces("AWS::EC2::Instance", before, properties):
            return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)
        original_resource.stack_properties = properties
        wanted = {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])}
        dropped = [tag["Key"] for tag in before.get("Tags", []) if tag["Key"] not in wanted]
        backend = original_resource.ec2_backend
        backend.delete_tag_keys([original_resource.id], dropped)
        original_resource.add_tags(wanted)
        # Of an instance on EBS, AWS changes the user data and the type in place: it is stopped and started.
        if "UserData" in changed:
            original_resource.user_data = [properties["UserData"]] if "UserData" in properties else None
        if "InstanceType" in changed:
            original_resource.instance_type = properties.get("InstanceType", "m1.small")
        if "SecurityGroupIds" in changed:
            backend.modify_instance_security_groups(original_resource.id, list(properties["SecurityGroupIds"]))
        if "DisableApiTermination" in changed:
            original_resource.disable_api_termination = (
                str(properties.get("DisableApiTermination", False)).lower() == "true"
            )
        return original_resource

    Instance.leaves_the_old = True
    Instance.update_from_cloudformation_json = as_classmethod(update_from_cloudformation_json)


def _own_interfaces() -> None:
    create = NetworkInterface.create_from_cloudformation_json.__func__

    @functools.wraps(create)
    def create_from_cloudformation_json(
        cls: Any, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        properties = cloudformation_json["Properties"]
        json = {**cloudformation_json, "Properties": {"SecurityGroups": properties.get("GroupSet", []), **properties}}
        interface = create(cls, resource_name, json, account_id, region_name, **kwargs)
        interface.add_tags({tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])})
        if "SourceDestCheck" in properties:
            interface.source_dest_check = str(properties["SourceDestCheck"]).lower() == "true"
        return interface

    def update_from_cloudformation_json(
        cls: Any,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        properties = cloudformation_json["Properties"]
        address = properties.get("PrivateIpAddress", original_resource.private_ip_address)
        if (properties.get("SubnetId"), address) != (
            original_resource.subnet_id,
            original_resource.private_ip_address,
        ):
            return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)
        original_resource.ec2_backend.modify_network_interface_attribute(
            original_resource.id, properties.get("GroupSet", []), None, properties.get("Description")
        )
        original_resource.add_tags({tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])})
        return original_resource

    def delete_from_cloudformation_json(
        cls: Any, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        backend = ec2_backends[account_id][region_name]
        # One that went with its instance is gone already.
        if interface := backend.enis.get(resource_name):
            interface.delete()

    def has_cfn_attr(cls: Any, attr: str) -> bool:
        return attr in ("Id", "PrimaryPrivateIpAddress", "SecondaryPrivateIpAddresses", "VpcId")

    def get_cfn_attribute(self: Any, attribute_name: str) -> Any:
        own = {"Id": self.id, "VpcId": self.vpc_id}
        return own[attribute_name] if attribute_name in own else get(self, attribute_name)

    get = NetworkInterface.get_cfn_attribute
    NetworkInterface.create_from_cloudformation_json = as_classmethod(create_from_cloudformation_json)
    NetworkInterface.leaves_the_old = True
    NetworkInterface.update_from_cloudformation_json = as_classmethod(update_from_cloudformation_json)
    NetworkInterface.delete_from_cloudformation_json = as_classmethod(delete_from_cloudformation_json)
    NetworkInterface.has_cfn_attr = as_classmethod(has_cfn_attr)
    NetworkInterface.get_cfn_attribute = get_cfn_attribute
