"""The types of EC2: networks, instances, volumes, security groups and what else belongs to them.

What EC2 tags gets its tags, and those of its stack, in `resources`.

Source: CloudFormation Template Reference, "AWS::EC2".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from botocore.exceptions import ClientError

from strictmoto.cloudformation.api_types import STACK_TAGS, ApiResource, FailedError, is_absent
from strictmoto.cloudformation.templates import text
from strictmoto.iam.authorizations.ec2 import made_by

_STOPPED_FOR: Final[tuple[str, ...]] = ("InstanceType", "UserData", "EbsOptimized", "KernelId", "RamdiskId")
"""What changes while the instance is stopped: "Some interruptions", of an instance on EBS."""
_DEFAULTS: Final[Mapping[str, Any]] = {
    "SourceDestCheck": True,
    "DisableApiTermination": False,
    "InstanceInitiatedShutdownBehavior": "stop",
}
"""What changes while it runs, and what it is where the template says nothing."""
_MAKING: Final = ("allocate_", "create_", "import_", "run_")
"""What calls begin with that make something."""
_INTERFACE: Final = (
    "NetworkInterfaceId",
    "SubnetId",
    "PrivateIpAddress",
    "PrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
    "Description",
    "DeviceIndex",
    "AssociatePublicIpAddress",
    "DeleteOnTermination",
    "Ipv6AddressCount",
    "Ipv6Addresses",
)


class Ec2Resource(ApiResource):
    """A resource of EC2 whose Ref is its id."""

    SERVICE: ClassVar[str] = "ec2"
    ATTRIBUTE: ClassVar[str] = "Id"
    """The attribute that says the id, too."""
    DESCRIBED: ClassVar[tuple[str, str]] = ("", "")
    """The call that reads it once it is made, and the parameter that takes its id; nothing reads others."""

    def known(self, resource_id: str, **attributes: Any) -> None:
        """Keep the id that EC2 gave."""
        self.ref = self.ec2_id = resource_id
        self.attributes = {self.ATTRIBUTE: resource_id, **attributes}
        # Whatever fails from now on.
        self.deleted_when_failed = True

    def made(self) -> Self:
        """Make it, and read it as AWS's handlers do."""
        super().made()
        try:
            self.read()
        except ClientError as error:
            vars(error)["half_made"] = self
            raise
        return self

    def delete(self, account_id: str, region_name: str) -> None:
        """Read it, and delete it where it is not gone: of what is gone IAM could compare no tag."""
        try:
            self.read()
        except ClientError as error:
            if not is_absent(error):
                raise
        else:
            super().delete(account_id, region_name)

    def read(self) -> None:
        """Read it."""
        operation, parameter = self.DESCRIBED
        wanted: dict[str, Any] = {parameter: [self.ec2_id]}
        if operation:
            self.call(operation, **wanted)

    def call(self, operation: str, service: str = "", **parameters: Any) -> dict[str, Any]:
        """Call an operation; what it makes gets the tags of the template and of the stack."""
        if not service and operation.startswith(_MAKING) and (tags := {**STACK_TAGS.get(), **self.tags()}):
            model = self.operation(operation)
            if "TagSpecifications" in model.input_shape.members:
                given = [{"Key": key, "Value": value} for key, value in tags.items()]
                parameters["TagSpecifications"] = [{"ResourceType": made_by(model.name)[0], "Tags": given}]
        return super().call(operation, service, **parameters)

    def update(self, old: dict[str, Any]) -> None:
        """Change nothing but the tags, which `resources` does."""


class Instance(Ec2Resource):
    """An instance, with the interfaces that its template names."""

    TYPE = "AWS::EC2::Instance"
    ATTRIBUTE = "InstanceId"
    DESCRIBED = ("describe_instances", "InstanceIds")

    def create(self) -> None:
        """Launch it."""
        placement = {
            "AvailabilityZone": self.properties.get("AvailabilityZone"),
            "Tenancy": self.properties.get("Tenancy"),
            "GroupName": self.properties.get("PlacementGroupName"),
            "HostId": self.properties.get("HostId"),
            "Affinity": self.properties.get("Affinity"),
        }
        parameters: dict[str, Any] = self.of(
            "ImageId",
            "InstanceType",
            "KeyName",
            "SecurityGroupIds",
            "SecurityGroups",
            "SubnetId",
            "PrivateIpAddress",
            "BlockDeviceMappings",
            "DisableApiTermination",
            "EbsOptimized",
            "InstanceInitiatedShutdownBehavior",
            "LaunchTemplate",
            "CpuOptions",
            "MetadataOptions",
            "PrivateDnsNameOptions",
            "EnclaveOptions",
            "KernelId",
            "RamdiskId",
        )
        if placement := {name: value for name, value in placement.items() if value is not None}:
            parameters["Placement"] = placement
        if "UserData" in self.properties:
            parameters["UserData"] = _decoded(self.properties["UserData"])
        if "Monitoring" in self.properties:
            parameters["Monitoring"] = {"Enabled": self.properties["Monitoring"]}
        if "IamInstanceProfile" in self.properties:
            parameters["IamInstanceProfile"] = {"Name": self.properties["IamInstanceProfile"]}
        if "CreditSpecification" in self.properties:
            parameters["CreditSpecification"] = {"CpuCredits": self.properties["CreditSpecification"]["CPUCredits"]}
        if "NetworkInterfaces" in self.properties:
            parameters["NetworkInterfaces"] = [_interface(one) for one in self.properties["NetworkInterfaces"]]
        made = self.call("run_instances", MinCount=1, MaxCount=1, **parameters)["Instances"][0]
        self.known(made["InstanceId"])
        for volume in self.properties.get("Volumes", ()):
            self.call("attach_volume", InstanceId=self.ref, VolumeId=volume["VolumeId"], Device=volume["Device"])
        if "SourceDestCheck" in self.properties:
            self._modify("SourceDestCheck", {"Value": self.properties["SourceDestCheck"]})

    def update(self, old: dict[str, Any]) -> None:
        """Change it in place: stopped and started again where that is needed."""
        changed = [name for name in {*old, *self.properties} if self.changed(old, name)]
        stopping = [name for name in _STOPPED_FOR if name in changed]
        running = stopping and self._described()["State"]["Name"] == "running"
        if running:
            self.call("stop_instances", InstanceIds=[self.ref])
        for name in stopping:
            if name == "UserData":
                self._modify(name, {"Value": _decoded(self.properties.get(name, ""))})
            elif name in self.properties:
                self._modify(name.removesuffix("Id"), {"Value": self.properties[name]})
        if running:
            self.call("start_instances", InstanceIds=[self.ref])
        for name, default in _DEFAULTS.items():
            if name in changed:
                self._modify(name, {"Value": self.properties.get(name, default)})
        if "SecurityGroupIds" in changed:
            self.call("modify_instance_attribute", InstanceId=self.ref, Groups=self.properties["SecurityGroupIds"])
        if "Monitoring" in changed:
            enabled = text(self.properties.get("Monitoring", False)) == "true"
            self.call("monitor_instances" if enabled else "unmonitor_instances", InstanceIds=[self.ref])
        if "IamInstanceProfile" in changed:
            self._change_profile()
        done = {*_STOPPED_FOR, *_DEFAULTS}
        done |= {"SecurityGroupIds", "Monitoring", "IamInstanceProfile", "Tags", "PropagateTagsToVolumeOnCreation"}
        if rest := sorted(set(changed) - done):
            raise FailedError(f"strictmoto cannot change {', '.join(rest)} of an instance in place")

    def delete_it(self) -> None:
        """Terminate it."""
        self.call("terminate_instances", InstanceIds=[self.ref])

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """The answer of Fn::GetAtt, as it is now."""
        instance = self._described()
        zone = instance["Placement"]["AvailabilityZone"]
        found = {
            "AvailabilityZone": zone,
            "InstanceId": self.ref,
            "PrivateDnsName": instance.get("PrivateDnsName", ""),
            "PrivateIp": instance.get("PrivateIpAddress", ""),
            "PublicDnsName": instance.get("PublicDnsName", ""),
            "PublicIp": instance.get("PublicIpAddress", ""),
            "VpcId": instance.get("VpcId", ""),
        }
        return found[attribute_name] if attribute_name in found else super().get_cfn_attribute(attribute_name)

    def _described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("describe_instances", InstanceIds=[self.ref])["Reservations"][0]
        described: dict[str, Any] = found["Instances"][0]
        return described

    def _modify(self, name: str, value: Any) -> None:
        parameters: dict[str, Any] = {"InstanceId": self.ref, name: value}
        self.call("modify_instance_attribute", **parameters)

    def _change_profile(self) -> None:
        filters = [{"Name": "instance-id", "Values": [self.ref]}]
        found = self.call("describe_iam_instance_profile_associations", Filters=filters)
        for association in found["IamInstanceProfileAssociations"]:
            self.call("disassociate_iam_instance_profile", AssociationId=association["AssociationId"])
        if profile := self.properties.get("IamInstanceProfile"):
            named = {"Name": profile}
            self.call("associate_iam_instance_profile", InstanceId=self.ref, IamInstanceProfile=named)


class NetworkInterface(Ec2Resource):
    """A network interface."""

    TYPE = "AWS::EC2::NetworkInterface"
    DESCRIBED = ("describe_network_interfaces", "NetworkInterfaceIds")

    def create(self) -> None:
        """Create it."""
        parameters = self.without("GroupSet", "SourceDestCheck", "Tags")
        made = self.call("create_network_interface", Groups=self.properties.get("GroupSet"), **parameters)
        interface = made["NetworkInterface"]
        addresses = interface.get("PrivateIpAddresses", [])
        self.known(
            interface["NetworkInterfaceId"],
            PrimaryPrivateIpAddress=interface["PrivateIpAddress"],
            SecondaryPrivateIpAddresses=[one["PrivateIpAddress"] for one in addresses if not one.get("Primary")],
            VpcId=interface["VpcId"],
        )
        if "SourceDestCheck" in self.properties:
            self._modify(SourceDestCheck={"Value": self.properties["SourceDestCheck"]})

    def update(self, old: dict[str, Any]) -> None:
        """Change its groups, its description and whether it checks addresses."""
        if self.changed(old, "GroupSet") and "GroupSet" in self.properties:
            self._modify(Groups=self.properties["GroupSet"])
        if self.changed(old, "Description"):
            self._modify(Description={"Value": self.properties.get("Description", "")})
        if self.changed(old, "SourceDestCheck"):
            self._modify(SourceDestCheck={"Value": self.properties.get("SourceDestCheck", True)})

    def delete_it(self) -> None:
        """Delete it; one that went with its instance is gone already."""
        self.call("delete_network_interface", NetworkInterfaceId=self.ref)

    def _modify(self, **attribute: Any) -> None:
        self.call("modify_network_interface_attribute", NetworkInterfaceId=self.ref, **attribute)


class NetworkInterfaceAttachment(Ec2Resource):
    """An interface at an instance."""

    TYPE = "AWS::EC2::NetworkInterfaceAttachment"
    ATTRIBUTE = "AttachmentId"

    def create(self) -> None:
        """Attach it."""
        wanted = self.of("DeviceIndex", "InstanceId", "NetworkInterfaceId")
        self.ref = self.call("attach_network_interface", **wanted)["AttachmentId"]
        self.attributes = {"AttachmentId": self.ref}
        self.update({})

    def update(self, old: dict[str, Any]) -> None:
        """Say whether it ends with its instance, which it does by default."""
        if self.changed(old, "DeleteOnTermination"):
            ends = {"AttachmentId": self.ref, "DeleteOnTermination": self.properties.get("DeleteOnTermination", True)}
            self.call(
                "modify_network_interface_attribute",
                NetworkInterfaceId=self.properties["NetworkInterfaceId"],
                Attachment=ends,
            )

    def delete_it(self) -> None:
        """Detach it."""
        self.call("detach_network_interface", AttachmentId=self.ref, Force=True)


class Vpc(Ec2Resource):
    """A VPC."""

    TYPE = "AWS::EC2::VPC"
    ATTRIBUTE = "VpcId"
    DESCRIBED = ("describe_vpcs", "VpcIds")

    def create(self) -> None:
        """Create it."""
        made = self.call("create_vpc", **self.of("CidrBlock", "InstanceTenancy"))["Vpc"]
        self.known(made["VpcId"])
        self._set_dns({})

    def update(self, old: dict[str, Any]) -> None:
        """Change what it does with DNS."""
        self._set_dns(old)

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """The answer of Fn::GetAtt, as it is now."""
        vpc = self.call("describe_vpcs", VpcIds=[self.ref])["Vpcs"][0]
        filters = [{"Name": "vpc-id", "Values": [self.ref]}]
        match attribute_name:
            case "CidrBlock":
                return vpc["CidrBlock"]
            case "CidrBlockAssociations":
                return [one["AssociationId"] for one in vpc["CidrBlockAssociationSet"]]
            case "DefaultSecurityGroup":
                found = self.call("describe_security_groups", Filters=filters)["SecurityGroups"]
                return next(one["GroupId"] for one in found if one["GroupName"] == "default")
            case "DefaultNetworkAcl":
                found = self.call("describe_network_acls", Filters=filters)["NetworkAcls"]
                return next(one["NetworkAclId"] for one in found if one["IsDefault"])
        return super().get_cfn_attribute(attribute_name)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_vpc", VpcId=self.ref)

    def _set_dns(self, old: dict[str, Any]) -> None:
        for name, default in (("EnableDnsSupport", True), ("EnableDnsHostnames", False)):
            if self.changed(old, name):
                wanted: dict[str, Any] = {"VpcId": self.ref, name: {"Value": self.properties.get(name, default)}}
                self.call("modify_vpc_attribute", **wanted)


class Subnet(Ec2Resource):
    """A subnet."""

    TYPE = "AWS::EC2::Subnet"
    ATTRIBUTE = "SubnetId"
    DESCRIBED = ("describe_subnets", "SubnetIds")

    def create(self) -> None:
        """Create it."""
        given = self.of("VpcId", "CidrBlock", "Ipv6CidrBlock", "AvailabilityZone", "AvailabilityZoneId", "OutpostArn")
        made = self.call("create_subnet", **given)["Subnet"]
        zone = {"AvailabilityZone": made["AvailabilityZone"], "AvailabilityZoneId": made.get("AvailabilityZoneId", "")}
        cidr = {"CidrBlock": made["CidrBlock"], "VpcId": made["VpcId"], "Ipv6CidrBlocks": []}
        self.known(made["SubnetId"], **zone, **cidr)
        self._set_addresses({})

    def update(self, old: dict[str, Any]) -> None:
        """Change which addresses interfaces get."""
        self._set_addresses(old)

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """The answer of Fn::GetAtt; its network ACL is the one that it has now."""
        if attribute_name != "NetworkAclAssociationId":
            return super().get_cfn_attribute(attribute_name)
        filters = [{"Name": "association.subnet-id", "Values": [self.ref]}]
        acl = self.call("describe_network_acls", Filters=filters)["NetworkAcls"][0]
        return next(one["NetworkAclAssociationId"] for one in acl["Associations"] if one["SubnetId"] == self.ref)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_subnet", SubnetId=self.ref)

    def _set_addresses(self, old: dict[str, Any]) -> None:
        for name in ("MapPublicIpOnLaunch", "AssignIpv6AddressOnCreation"):
            if self.changed(old, name):
                wanted: dict[str, Any] = {"SubnetId": self.ref, name: {"Value": self.properties.get(name, False)}}
                self.call("modify_subnet_attribute", **wanted)


class InternetGateway(Ec2Resource):
    """An internet gateway."""

    TYPE = "AWS::EC2::InternetGateway"
    ATTRIBUTE = "InternetGatewayId"

    def create(self) -> None:
        """Create it."""
        self.known(self.call("create_internet_gateway")["InternetGateway"]["InternetGatewayId"])

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_internet_gateway", InternetGatewayId=self.ref)


class GatewayAttachment(Ec2Resource):
    """A gateway at a VPC."""

    TYPE = "AWS::EC2::VPCGatewayAttachment"

    def create(self) -> None:
        """Attach it."""
        if "InternetGatewayId" in self.properties:
            self.call("attach_internet_gateway", **self.of("InternetGatewayId", "VpcId"))
        else:
            self.call("attach_vpn_gateway", **self.of("VpnGatewayId", "VpcId"))
        kind = "IGW" if "InternetGatewayId" in self.properties else "VGW"
        self.ref = f"{kind}|{self.properties['VpcId']}"

    def delete_it(self) -> None:
        """Detach it."""
        if "InternetGatewayId" in self.properties:
            self.call("detach_internet_gateway", **self.of("InternetGatewayId", "VpcId"))
        else:
            self.call("detach_vpn_gateway", **self.of("VpnGatewayId", "VpcId"))


class RouteTable(Ec2Resource):
    """A route table."""

    TYPE = "AWS::EC2::RouteTable"
    ATTRIBUTE = "RouteTableId"

    def create(self) -> None:
        """Create it."""
        self.known(self.call("create_route_table", **self.of("VpcId"))["RouteTable"]["RouteTableId"])

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_route_table", RouteTableId=self.ref)


class Route(Ec2Resource):
    """A route of a route table."""

    TYPE = "AWS::EC2::Route"
    _DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")

    def create(self) -> None:
        """Create it."""
        self.call("create_route", **self.properties)
        destination = next(iter(self.of(*self._DESTINATIONS).values()), "")
        self.ref = f"{self.properties['RouteTableId']}|{destination}"
        self.attributes = {"CidrBlock": destination}

    def update(self, old: dict[str, Any]) -> None:
        """Replace where it leads."""
        self.call("replace_route", **self.properties)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_route", **self.of("RouteTableId", *self._DESTINATIONS))


class RouteTableAssociation(Ec2Resource):
    """A route table at a subnet."""

    TYPE = "AWS::EC2::SubnetRouteTableAssociation"

    def create(self) -> None:
        """Associate it."""
        self.ref = self.call("associate_route_table", **self.properties)["AssociationId"]
        self.attributes = {"Id": self.ref}

    def update(self, old: dict[str, Any]) -> None:
        """Associate another table."""
        wanted = {"AssociationId": self.ref, **self.of("RouteTableId")}
        self.ref = self.call("replace_route_table_association", **wanted)["NewAssociationId"]
        self.attributes = {"Id": self.ref}

    def delete_it(self) -> None:
        """Disassociate it."""
        self.call("disassociate_route_table", AssociationId=self.ref)


class NetworkAcl(Ec2Resource):
    """A network ACL."""

    TYPE = "AWS::EC2::NetworkAcl"

    def create(self) -> None:
        """Create it."""
        self.known(self.call("create_network_acl", **self.of("VpcId"))["NetworkAcl"]["NetworkAclId"])

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_network_acl", NetworkAclId=self.ref)


class NetworkAclEntry(Ec2Resource):
    """A rule of a network ACL."""

    TYPE = "AWS::EC2::NetworkAclEntry"

    def create(self) -> None:
        """Create it."""
        self.call("create_network_acl_entry", **self._wanted())
        direction = "egress" if text(self.properties.get("Egress", False)) == "true" else "ingress"
        self.ref = f"{self.properties['NetworkAclId']}|{self.properties['RuleNumber']}|{direction}"

    def update(self, old: dict[str, Any]) -> None:
        """Replace it."""
        self.call("replace_network_acl_entry", **self._wanted())

    def delete_it(self) -> None:
        """Delete it."""
        egress = self.properties.get("Egress", False)
        self.call("delete_network_acl_entry", Egress=egress, **self.of("NetworkAclId", "RuleNumber"))

    def _wanted(self) -> dict[str, Any]:
        given = {"Egress": False, **self.without("Icmp")}
        return {**given, "IcmpTypeCode": self.properties.get("Icmp")}


class NetworkAclAssociation(Ec2Resource):
    """A network ACL at a subnet."""

    TYPE = "AWS::EC2::SubnetNetworkAclAssociation"

    def create(self) -> None:
        """Put it in the place of the one that the subnet has."""
        self._put(self.properties["NetworkAclId"])

    def delete_it(self) -> None:
        """Put the VPC's default in its place."""
        subnet = self.call("describe_subnets", SubnetIds=[self.properties["SubnetId"]])["Subnets"][0]
        filters = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}, {"Name": "default", "Values": ["true"]}]
        self._put(self.call("describe_network_acls", Filters=filters)["NetworkAcls"][0]["NetworkAclId"])

    def _put(self, acl_id: str) -> None:
        subnet_id = self.properties["SubnetId"]
        filters = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
        for acl in self.call("describe_network_acls", Filters=filters)["NetworkAcls"]:
            for one in acl["Associations"]:
                if one["SubnetId"] == subnet_id:
                    wanted = {"AssociationId": one["NetworkAclAssociationId"], "NetworkAclId": acl_id}
                    self.ref = self.call("replace_network_acl_association", **wanted)["NewAssociationId"]
        self.attributes = {"AssociationId": self.ref}


class VpcEndpoint(Ec2Resource):
    """A VPC endpoint, also of a Gateway Load Balancer."""

    TYPE = "AWS::EC2::VPCEndpoint"

    def create(self) -> None:
        """Create it."""
        parameters = self.without("Tags", "PolicyDocument")
        parameters.setdefault("VpcEndpointType", "Gateway")
        if policy := self.properties.get("PolicyDocument"):
            parameters["PolicyDocument"] = _document(policy)
        made = self.call("create_vpc_endpoint", **parameters)["VpcEndpoint"]
        entries = [f"{one.get('HostedZoneId', '')}:{one.get('DnsName', '')}" for one in made.get("DnsEntries", [])]
        created = str(made.get("CreationTimestamp", ""))
        interfaces = made.get("NetworkInterfaceIds", [])
        self.known(made["VpcEndpointId"], CreationTimestamp=created, DnsEntries=entries, NetworkInterfaceIds=interfaces)

    def update(self, old: dict[str, Any]) -> None:
        """Change its policy, subnets, route tables, groups or private DNS."""
        changes: dict[str, Any] = {}
        for name, api in (
            ("SubnetIds", "SubnetIds"),
            ("RouteTableIds", "RouteTableIds"),
            ("SecurityGroupIds", "SecurityGroupIds"),
        ):
            before, after = set(old.get(name, ())), set(self.properties.get(name, ()))
            changes |= {f"Add{api}": sorted(after - before) or None, f"Remove{api}": sorted(before - after) or None}
        if self.changed(old, "PolicyDocument") and "PolicyDocument" in self.properties:
            changes["PolicyDocument"] = _document(self.properties["PolicyDocument"])
        if self.changed(old, "PrivateDnsEnabled"):
            changes["PrivateDnsEnabled"] = self.properties.get("PrivateDnsEnabled", False)
        if any(value is not None for value in changes.values()):
            self.call("modify_vpc_endpoint", VpcEndpointId=self.ref, **changes)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_vpc_endpoints", VpcEndpointIds=[self.ref])


class VpcEndpointService(Ec2Resource):
    """An endpoint service in front of load balancers."""

    TYPE = "AWS::EC2::VPCEndpointService"
    ATTRIBUTE = "ServiceId"

    def create(self) -> None:
        """Create it."""
        wanted = self.of("AcceptanceRequired", "NetworkLoadBalancerArns", "GatewayLoadBalancerArns")
        made = self.call("create_vpc_endpoint_service_configuration", **wanted)["ServiceConfiguration"]
        self.known(made["ServiceId"])

    def update(self, old: dict[str, Any]) -> None:
        """Change its load balancers, and whether endpoints wait for acceptance."""
        changes: dict[str, Any] = {}
        for name in ("NetworkLoadBalancerArns", "GatewayLoadBalancerArns"):
            before, after = set(old.get(name, ())), set(self.properties.get(name, ()))
            changes |= {f"Add{name}": sorted(after - before) or None, f"Remove{name}": sorted(before - after) or None}
        if self.changed(old, "AcceptanceRequired"):
            changes["AcceptanceRequired"] = self.properties.get("AcceptanceRequired", True)
        self.call("modify_vpc_endpoint_service_configuration", ServiceId=self.ref, **changes)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_vpc_endpoint_service_configurations", ServiceIds=[self.ref])


class VpcEndpointServicePermissions(Ec2Resource):
    """Who may use an endpoint service."""

    TYPE = "AWS::EC2::VPCEndpointServicePermissions"

    def create(self) -> None:
        """Allow them."""
        self.ref = self.properties["ServiceId"]
        self.update({})

    def update(self, old: dict[str, Any]) -> None:
        """Allow others."""
        before, after = (set(some.get("AllowedPrincipals", ())) for some in (old, self.properties))
        self._modify(sorted(after - before), sorted(before - after))

    def delete_it(self) -> None:
        """Allow no principal."""
        self._modify([], self.properties.get("AllowedPrincipals", []))

    def _modify(self, added: list[str], removed: list[str]) -> None:
        self.call(
            "modify_vpc_endpoint_service_permissions",
            ServiceId=self.ref,
            AddAllowedPrincipals=added or None,
            RemoveAllowedPrincipals=removed or None,
        )


class Volume(Ec2Resource):
    """A volume."""

    TYPE = "AWS::EC2::Volume"
    ATTRIBUTE = "VolumeId"
    DESCRIBED = ("describe_volumes", "VolumeIds")

    def create(self) -> None:
        """Create it."""
        self.known(self.call("create_volume", **self.without("Tags", "AutoEnableIO"))["VolumeId"])

    def update(self, old: dict[str, Any]) -> None:
        """Change its size, type or speed."""
        if self.changed(old, "Size", "VolumeType", "Iops", "Throughput"):
            self.call("modify_volume", VolumeId=self.ref, **self.of("Size", "VolumeType", "Iops", "Throughput"))

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_volume", VolumeId=self.ref)


class VolumeAttachment(Ec2Resource):
    """A volume at an instance."""

    TYPE = "AWS::EC2::VolumeAttachment"

    def create(self) -> None:
        """Attach it."""
        self.call("attach_volume", **self.properties)
        self.ref = f"{self.properties['VolumeId']}|{self.properties['InstanceId']}"

    def delete_it(self) -> None:
        """Detach it; where the instance is gone, it is detached already."""
        try:
            self.call("detach_volume", **self.of("VolumeId", "InstanceId"))
        except ClientError as error:
            if error.response["Error"]["Code"] != "IncorrectState":
                raise


class NatGateway(Ec2Resource):
    """A NAT gateway."""

    TYPE = "AWS::EC2::NatGateway"
    ATTRIBUTE = "NatGatewayId"

    def create(self) -> None:
        """Create it."""
        wanted = self.of("AllocationId", "ConnectivityType", "SubnetId", "PrivateIpAddress")
        self.known(self.call("create_nat_gateway", **wanted)["NatGateway"]["NatGatewayId"])

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_nat_gateway", NatGatewayId=self.ref)


class FlowLog(Ec2Resource):
    """Flow logs of an interface, a subnet or a VPC."""

    TYPE = "AWS::EC2::FlowLog"

    def create(self) -> None:
        """Create it."""
        given = {**self.without("Tags", "ResourceId"), "ResourceIds": [self.properties["ResourceId"]]}
        answer = self.call("create_flow_logs", **given)
        if failed := answer.get("Unsuccessful"):
            raise FailedError(failed[0]["Error"]["Message"])
        self.known(answer["FlowLogIds"][0])

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_flow_logs", FlowLogIds=[self.ref])


class PeeringConnection(Ec2Resource):
    """A VPC peering connection."""

    TYPE = "AWS::EC2::VPCPeeringConnection"

    def create(self) -> None:
        """Request it; one in the same account is accepted at once."""
        made = self.call("create_vpc_peering_connection", **self.without("Tags", "PeerRoleArn"))
        self.known(made["VpcPeeringConnection"]["VpcPeeringConnectionId"])
        if self.properties.get("PeerOwnerId", self.account_id) == self.account_id:
            self.call("accept_vpc_peering_connection", VpcPeeringConnectionId=self.ref)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_vpc_peering_connection", VpcPeeringConnectionId=self.ref)


class KeyPair(Ec2Resource):
    """A key pair, whose name is its Ref."""

    TYPE = "AWS::EC2::KeyPair"
    NAME = "KeyName"

    def create(self) -> None:
        """Create it, or import the public key."""
        if material := self.properties.get("PublicKeyMaterial"):
            made = self.call("import_key_pair", KeyName=self.name, PublicKeyMaterial=str(material).encode())
        else:
            made = self.call("create_key_pair", KeyName=self.name, **self.of("KeyType"))
        self.known(made["KeyPairId"], KeyPairId=made["KeyPairId"], KeyFingerprint=made["KeyFingerprint"])
        self.ref = self.name

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_key_pair", KeyName=self.name)


def install() -> None:
    """Do nothing: the types are registered as they are defined."""


def _interface(declared: dict[str, Any]) -> dict[str, Any]:
    """A NetworkInterfaces member of the template as RunInstances takes it."""
    specification: dict[str, Any] = {name: declared[name] for name in _INTERFACE if name in declared}
    if "GroupSet" in declared:
        specification["Groups"] = declared["GroupSet"]
    return specification


def _decoded(user_data: Any) -> str | bytes:
    """User data as boto3 takes it, which encodes it again."""
    try:
        return base64.b64decode(str(user_data), validate=True)
    except (binascii.Error, ValueError):
        raise FailedError("Invalid BASE64 encoding of user data.") from None


def _document(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)
