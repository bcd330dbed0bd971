"""AWS::EC2::EIP and AWS::EC2::EIPAssociation: an address with tags, released with its stack.

Source: CloudFormation Template Reference, "AWS::EC2::EIP" and "AWS::EC2::EIPAssociation".
"""

from __future__ import annotations

from typing import Any

from strictmoto.cloudformation.ec2_types import Ec2Resource


class Address(Ec2Resource):
    """An Elastic IP address, which is its Ref; EC2 knows it by its allocation."""

    TYPE = "AWS::EC2::EIP"
    ATTRIBUTE = "AllocationId"
    DESCRIBED = ("describe_addresses", "AllocationIds")

    def create(self) -> None:
        """Allocate it, and give it to an instance where the template says so."""
        # Elastic IPs of EC2-Classic are no more: every one is of a VPC.
        given = self.of("NetworkBorderGroup", "PublicIpv4Pool", "Address")
        made = self.call("allocate_address", **{**given, "Domain": "vpc"})
        self.known(made["AllocationId"], PublicIp=made["PublicIp"])
        self.ref = made["PublicIp"]
        self._give()

    def update(self, old: dict[str, Any]) -> None:
        """Give it to another instance."""
        if self.changed(old, "InstanceId"):
            self._give()

    def delete_it(self) -> None:
        """Release it."""
        self.call("release_address", AllocationId=self.ec2_id)

    def _give(self) -> None:
        if instance := self.properties.get("InstanceId"):
            self.call("associate_address", AllocationId=self.ec2_id, InstanceId=instance)


class AddressAssociation(Ec2Resource):
    """An address at an interface or an instance; Ref is the association's id."""

    TYPE = "AWS::EC2::EIPAssociation"

    def create(self) -> None:
        """Associate the address."""
        given = self.of("AllocationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress")
        # An address of a VPC is associated by its allocation.
        found = self._allocation() if "AllocationId" not in given else {}
        self.ref = self.call("associate_address", **given, **found)["AssociationId"]
        self.attributes = {"Id": self.ref}

    def delete_it(self) -> None:
        """Disassociate the address; no error where that was done already."""
        self.call("disassociate_address", AssociationId=self.ref)

    def _allocation(self) -> dict[str, Any]:
        [found] = self.call("describe_addresses", PublicIps=[self.properties["EIP"]])["Addresses"]
        return {"AllocationId": found["AllocationId"]}


def install() -> None:
    """Do nothing: the types are registered as they are defined."""
