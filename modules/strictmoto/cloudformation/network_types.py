"""Types of EC2 between VPCs and around them: transit gateways, prefix lists, further blocks, DHCP options.

Source: CloudFormation Template Reference, "AWS::EC2".
"""

from __future__ import annotations

from typing import Any, ClassVar

from strictmoto.cloudformation.api_types import FailedError
from strictmoto.cloudformation.ec2_types import Ec2Resource
from strictmoto.cloudformation.templates import text


class TransitGateway(Ec2Resource):
    """A transit gateway."""

    TYPE = "AWS::EC2::TransitGateway"
    DESCRIBED = ("describe_transit_gateways", "TransitGatewayIds")
    _OPTIONS = (
        "AutoAcceptSharedAttachments",
        "DefaultRouteTableAssociation",
        "DefaultRouteTablePropagation",
        "DnsSupport",
        "SecurityGroupReferencingSupport",
        "VpnEcmpSupport",
    )

    def create(self) -> None:
        """Create it."""
        options = self.of("AmazonSideAsn", "MulticastSupport", "TransitGatewayCidrBlocks", *self._OPTIONS)
        given = self.of("Description")
        made = self.call("create_transit_gateway", Options=options or None, **given)["TransitGateway"]
        self.known(made["TransitGatewayId"], TransitGatewayArn=made["TransitGatewayArn"])
        self._know(made)

    def update(self, old: dict[str, Any]) -> None:
        """Change its description and options."""
        if gone := [name for name in self._OPTIONS if name in old and name not in self.properties]:
            raise FailedError(f"strictmoto does not take {', '.join(gone)} off a transit gateway")
        changed = {name: value for name, value in self.of(*self._OPTIONS).items() if old.get(name) != value}
        described = {"Description": self.properties.get("Description", "")} if self.changed(old, "Description") else {}
        if changed or described:
            self.call("modify_transit_gateway", TransitGatewayId=self.ref, Options=changed or None, **described)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_transit_gateway", TransitGatewayId=self.ref)

    def _know(self, made: dict[str, Any]) -> None:
        for name in ("AssociationDefaultRouteTableId", "PropagationDefaultRouteTableId"):
            if found := made["Options"].get(name):
                self.attributes[name] = found


class _VpcAttachment(Ec2Resource):
    """A VPC at a transit gateway."""

    DESCRIBED = ("describe_transit_gateway_vpc_attachments", "TransitGatewayAttachmentIds")

    def create(self) -> None:
        """Attach it."""
        given = self.of("TransitGatewayId", "VpcId", "SubnetIds", "Options")
        made = self.call("create_transit_gateway_vpc_attachment", **given)["TransitGatewayVpcAttachment"]
        self.known(made["TransitGatewayAttachmentId"])

    def update(self, old: dict[str, Any]) -> None:
        """Change its subnets and options."""
        before, after = old["SubnetIds"], self.properties["SubnetIds"]
        changed: dict[str, Any] = {
            "AddSubnetIds": [one for one in after if one not in before] or None,
            "RemoveSubnetIds": [one for one in before if one not in after] or None,
            "Options": self.properties.get("Options") if self.changed(old, "Options") else None,
        }
        if any(changed.values()):
            self.call("modify_transit_gateway_vpc_attachment", TransitGatewayAttachmentId=self.ref, **changed)

    def delete_it(self) -> None:
        """Detach it."""
        self.call("delete_transit_gateway_vpc_attachment", TransitGatewayAttachmentId=self.ref)


class TransitGatewayAttachment(_VpcAttachment):
    """A VPC at a transit gateway, whose subnets change in place."""

    TYPE: ClassVar[str] = "AWS::EC2::TransitGatewayAttachment"


class TransitGatewayVpcAttachment(_VpcAttachment):
    """A VPC at a transit gateway."""

    TYPE: ClassVar[str] = "AWS::EC2::TransitGatewayVpcAttachment"


class TransitGatewayRouteTable(Ec2Resource):
    """A route table of a transit gateway."""

    TYPE = "AWS::EC2::TransitGatewayRouteTable"
    ATTRIBUTE = "TransitGatewayRouteTableId"
    DESCRIBED = ("describe_transit_gateway_route_tables", "TransitGatewayRouteTableIds")

    def create(self) -> None:
        """Create it."""
        made = self.call("create_transit_gateway_route_table", **self.of("TransitGatewayId"))
        self.known(made["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"])

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_transit_gateway_route_table", TransitGatewayRouteTableId=self.ref)


class TransitGatewayRoute(Ec2Resource):
    """A route of a transit gateway."""

    TYPE = "AWS::EC2::TransitGatewayRoute"

    def create(self) -> None:
        """Create it."""
        given = self.of("TransitGatewayRouteTableId", "DestinationCidrBlock", "TransitGatewayAttachmentId", "Blackhole")
        self.call("create_transit_gateway_route", **given)
        self.ref = "|".join(text(given[name]) for name in ("TransitGatewayRouteTableId", "DestinationCidrBlock"))

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_transit_gateway_route", **self.of("TransitGatewayRouteTableId", "DestinationCidrBlock"))


class PrefixList(Ec2Resource):
    """A prefix list of one's own."""

    TYPE = "AWS::EC2::PrefixList"
    ATTRIBUTE = "PrefixListId"
    DESCRIBED = ("describe_managed_prefix_lists", "PrefixListIds")

    def create(self) -> None:
        """Create it."""
        given = self.of("PrefixListName", "AddressFamily", "MaxEntries", "Entries")
        if "MaxEntries" not in given:
            # Then it holds what it is given (inferred).
            given["MaxEntries"] = max(1, len(given.get("Entries") or ()))
        made = self.call("create_managed_prefix_list", **given)["PrefixList"]
        self.known(made["PrefixListId"], Arn=made["PrefixListArn"], OwnerId=made["OwnerId"], Version=made["Version"])

    def update(self, old: dict[str, Any]) -> None:
        """Change its name and entries."""
        if self.changed(old, "AddressFamily", "MaxEntries"):
            raise FailedError("strictmoto does not change AddressFamily and MaxEntries of a prefix list")
        before, after = ({one["Cidr"]: one for one in some.get("Entries") or ()} for some in (old, self.properties))
        added = [one for cidr, one in after.items() if before.get(cidr) != one]
        removed = [{"Cidr": cidr} for cidr, one in before.items() if after.get(cidr) != one]
        if added or removed or self.changed(old, "PrefixListName"):
            made = self.call(
                "modify_managed_prefix_list",
                PrefixListId=self.ref,
                CurrentVersion=self.attributes["Version"] if added or removed else None,
                AddEntries=added or None,
                RemoveEntries=removed or None,
                PrefixListName=self.properties["PrefixListName"],
            )["PrefixList"]
            self.attributes["Version"] = made["Version"]

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_managed_prefix_list", PrefixListId=self.ref)


class VpcCidrBlock(Ec2Resource):
    """A further block of addresses of a VPC."""

    TYPE = "AWS::EC2::VPCCidrBlock"

    def create(self) -> None:
        """Associate it."""
        given = self.of("VpcId", "CidrBlock", "AmazonProvidedIpv6CidrBlock")
        made = self.call("associate_vpc_cidr_block", **given)
        found = made.get("CidrBlockAssociation") or made["Ipv6CidrBlockAssociation"]
        # Nothing tags an association.
        self.ref = found["AssociationId"]
        self.attributes, self.deleted_when_failed = {"Id": self.ref}, True

    def delete_it(self) -> None:
        """Disassociate it."""
        self.call("disassociate_vpc_cidr_block", AssociationId=self.ref)


class DhcpOptions(Ec2Resource):
    """A set of DHCP options."""

    TYPE = "AWS::EC2::DHCPOptions"
    ATTRIBUTE = "DhcpOptionsId"
    DESCRIBED = ("describe_dhcp_options", "DhcpOptionsIds")

    def create(self) -> None:
        """Create it."""
        wanted = {
            "domain-name": self.properties.get("DomainName"),
            "domain-name-servers": self.properties.get("DomainNameServers"),
            "ntp-servers": self.properties.get("NtpServers"),
            "netbios-name-servers": self.properties.get("NetbiosNameServers"),
            "netbios-node-type": self.properties.get("NetbiosNodeType"),
        }
        options = [
            {"Key": key, "Values": [text(one) for one in (value if isinstance(value, list) else [value])]}
            for key, value in wanted.items()
            if value is not None
        ]
        made = self.call("create_dhcp_options", DhcpConfigurations=options)["DhcpOptions"]
        self.known(made["DhcpOptionsId"])

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_dhcp_options", DhcpOptionsId=self.ref)


class VpcDhcpOptionsAssociation(Ec2Resource):
    """The DHCP options of a VPC."""

    TYPE = "AWS::EC2::VPCDHCPOptionsAssociation"

    def create(self) -> None:
        """Associate them."""
        given = self.of("DhcpOptionsId", "VpcId")
        self.call("associate_dhcp_options", **given)
        self.ref = "|".join(text(value) for value in given.values())

    def delete_it(self) -> None:
        """Let the VPC have none."""
        self.call("associate_dhcp_options", DhcpOptionsId="default", **self.of("VpcId"))


def install() -> None:
    """Do nothing: the types are registered as they are defined."""
