"""AWS::EC2::EIP and AWS::EC2::EIPAssociation: an address with tags, released with its stack."""

from __future__ import annotations

import functools
from typing import Any

from moto.core.common_models import CloudFormationModel
from moto.ec2.models import ec2_backends, elastic_ip_addresses

from tapstack.rehearsal.cloudformation.own_types import OwnType
from tapstack.rehearsal.cloudformation.patching import as_classmethod

# moto has types, but none for what is replaced at run time.
ElasticAddress: Any = elastic_ip_addresses.ElasticAddress


class ElasticAddressAssociation(OwnType, CloudFormationModel):
    """An address on an interface or an instance; Ref is the association's id."""

    def __init__(self, backend: Any, association_id: Any) -> None:
        """Keep what it takes to undo it."""
        self.ec2_backend = backend
        self.id: str = association_id

    @staticmethod
    def cloudformation_type() -> str:
        """Its type in templates."""
        return "AWS::EC2::EIPAssociation"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        """Associate the address."""
        properties = cloudformation_json["Properties"]
        backend = ec2_backends[account_id][region_name]
        instance_id, interface_id = properties.get("InstanceId"), properties.get("NetworkInterfaceId")
        address = backend.associate_address(
            instance=backend.get_instance(instance_id) if instance_id else None,
            eni=backend.get_network_interface(interface_id) if interface_id else None,
            address=properties.get("EIP"),
            allocation_id=properties.get("AllocationId"),
        )
        return cls(backend, address.association_id)

    def delete(self, account_id: str, region_name: str) -> None:
        """Take the address off again, where nobody did so before."""
        if any(address.association_id == self.id for address in self.ec2_backend.addresses):
            self.ec2_backend.disassociate_address(association_id=self.id)


def install() -> None:
    """Give moto's Elastic IP tags, its attributes and an end."""
    create = ElasticAddress.create_from_cloudformation_json.__func__

    @functools.wraps(create)
    def create_from_cloudformation_json(
        cls: Any, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        # Elastic IPs of EC2-Classic are no more: every one is of a VPC.
        properties = {"Domain": "vpc", **cloudformation_json.get("Properties", {})}
        json = {**cloudformation_json, "Properties": properties}
        address = create(cls, resource_name, json, account_id, region_name, **kwargs)
        address.add_tags({tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])})
        return address

    def delete(self: Any, account_id: str, region_name: str) -> None:
        if self in self.ec2_backend.addresses:
            self.ec2_backend.release_address(address=self.public_ip)

    def has_cfn_attr(cls: Any, attr: str) -> bool:
        return attr in ("AllocationId", "PublicIp")

    def get_cfn_attribute(self: Any, attribute_name: str) -> Any:
        return self.public_ip if attribute_name == "PublicIp" else get(self, attribute_name)

    get = ElasticAddress.get_cfn_attribute
    ElasticAddress.create_from_cloudformation_json = as_classmethod(create_from_cloudformation_json)
    ElasticAddress.delete = delete
    ElasticAddress.has_cfn_attr = as_classmethod(has_cfn_attr)
    ElasticAddress.get_cfn_attribute = get_cfn_attribute
