"""The resources of EC2's actions: those that the call names, and those that it is about to make.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.core.utils import get_service_model

from strictmoto.iam.authorizations.place import Place

KINDS: Final = {
    "acl": "network-acl",
    "ami": "image",
    "cagw": "carrier-gateway",
    "cgw": "customer-gateway",
    "dopt": "dhcp-options",
    "eigw": "egress-only-internet-gateway",
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "fl": "vpc-flow-log",
    "fleet": "fleet",
    "h": "dedicated-host",
    "i": "instance",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "nat": "natgateway",
    "pcx": "vpc-peering-connection",
    "pl": "prefix-list",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "sir": "spot-instances-request",
    "snap": "snapshot",
    "subnet": "subnet",
    "tgw": "transit-gateway",
    "tgw-attach": "transit-gateway-attachment",
    "tgw-rtb": "transit-gateway-route-table",
    "tmf": "traffic-mirror-filter",
    "tmfr": "traffic-mirror-filter-rule",
    "tms": "traffic-mirror-session",
    "tmt": "traffic-mirror-target",
    "vgw": "vpn-gateway",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
    "vpce-svc": "vpc-endpoint-service",
    "vpn": "vpn-connection",
}
"""The kind of a resource, as its ARN and its tags name it, by what its id begins with."""
_PUBLIC: Final = frozenset({"image", "snapshot"})
"""Kinds whose ARNs name no account."""
_ID: Final = re.compile(r"([a-z]+(?:-[a-z]+)*)-[0-9a-f]{8,17}")
_NAMING: Final = ("Id", "Ids", "Groups", "Resources")
"""How the names of members end that name resources: a text elsewhere, as in a tag, names none."""

# What a call makes, where its name does not say so.
_MADE: Final = {
    "AllocateAddress": ("elastic-ip",),
    "AllocateHosts": ("dedicated-host",),
    "CopyImage": ("image",),
    "CopySnapshot": ("snapshot",),
    "CreateDefaultSubnet": (),
    "CreateDefaultVpc": (),
    # It takes a snapshot of each volume.
    "CreateImage": ("image", "snapshot"),
    "CreateFlowLogs": ("vpc-flow-log",),
    "CreateLaunchTemplateVersion": (),
    "CreateManagedPrefixList": ("prefix-list",),
    "CreateNatGateway": ("natgateway",),
    "CreateNetworkAclEntry": (),
    "CreateReservedInstancesListing": (),
    "CreateRoute": (),
    "CreateSnapshots": ("snapshot",),
    "CreateSpotDatafeedSubscription": (),
    "CreateSubnetCidrReservation": (),
    "CreateTags": (),
    "CreateTransitGatewayPeeringAttachment": ("transit-gateway-attachment",),
    "CreateTransitGatewayRoute": (),
    "CreateTransitGatewayVpcAttachment": ("transit-gateway-attachment",),
    "CreateVpcEndpointServiceConfiguration": ("vpc-endpoint-service",),
    "ImportKeyPair": ("key-pair",),
    "RegisterImage": ("image",),
    "RunInstances": ("instance", "network-interface", "volume"),
}
# What IAM asks about, although the request does not name it.
UNNAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "AcceptVpcPeeringConnection": ("vpc",),
    "CreateSnapshots": ("volume",),
    "DeleteTrafficMirrorFilterRule": ("traffic-mirror-filter",),
    "DetachNetworkInterface": ("instance", "network-interface"),
    "DisassociateIamInstanceProfile": ("instance",),
    "DisassociateRouteTable": ("route-table", "subnet"),
    "DisassociateSubnetCidrBlock": ("subnet",),
    "DisassociateVpcCidrBlock": ("vpc",),
    # The one that the interface is attached to.
    "ModifyNetworkInterfaceAttribute": ("instance",),
    "ModifyTrafficMirrorFilterRule": ("traffic-mirror-filter",),
    "ReplaceIamInstanceProfileAssociation": ("instance",),
    "ReplaceNetworkAclAssociation": ("subnet",),
    "ReplaceRouteTableAssociation": ("subnet",),
}
"""Kinds by action; which one it is only the account knows."""
# And what it asks about where a request has a member.
_UNNAMED_OF: Final = {"ModifyInstanceAttribute": {"BlockDeviceMappings": "volume"}}
_ROUTES: Final = (
    "CarrierGatewayId",
    "DestinationPrefixListId",
    "EgressOnlyInternetGatewayId",
    "GatewayId",
    "InstanceId",
    "LocalGatewayId",
    "NatGatewayId",
    "NetworkInterfaceId",
    "TransitGatewayId",
    "VpcEndpointId",
    "VpcPeeringConnectionId",
)
# Members that name what the action does not ask IAM about.
_NOT_ASKED: Final[Mapping[str, tuple[str, ...]]] = {
    "AuthorizeSecurityGroupEgress": ("IpPermissions", "UserIdGroupPairs", "PrefixListIds"),
    "AuthorizeSecurityGroupIngress": ("IpPermissions", "UserIdGroupPairs", "PrefixListIds"),
    # A template is kept: IAM is asked about what is in it when an instance is launched from it.
    "CreateLaunchTemplate": ("LaunchTemplateData",),
    "CreateLaunchTemplateVersion": ("LaunchTemplateData",),
    # Which VPCs may be peered is what ec2:AccepterVpc and ec2:RequesterVpc say.
    "CreateVpcPeeringConnection": ("PeerVpcId",),
    **dict.fromkeys(("CreateRoute", "DeleteRoute", "ReplaceRoute"), _ROUTES),
    "RevokeSecurityGroupEgress": ("IpPermissions", "SecurityGroupRuleIds"),
    "RevokeSecurityGroupIngress": ("IpPermissions", "SecurityGroupRuleIds"),
    "RunInstances": ("Placement",),
}
_WITHOUT_RESOURCES: Final = re.compile(
    r"Describe(?!\w*Attribute$)\w*|AssociateTrunkInterface|DisassociateTrunkInterface"
)
_OF_ATTRIBUTES: Final = re.compile(r"(?:Describe|Modify)(\w+)Attribute")
# What modifies a resource, where its name does not say which, or that it sets attributes.
_MODIFIED: Final[Mapping[str, tuple[str, ...]]] = {
    "ModifyAddressAttribute": ("elastic-ip",),
    "ModifyCapacityReservation": ("capacity-reservation",),
    "ModifyCapacityReservationFleet": ("capacity-reservation-fleet",),
    "ModifyClientVpnEndpoint": ("client-vpn-endpoint",),
    "ModifyFleet": ("fleet",),
    "ModifyHosts": ("dedicated-host",),
    "ModifyInstanceCapacityReservationAttributes": ("instance",),
    "ModifyInstanceConnectEndpoint": ("instance-connect-endpoint",),
    "ModifyInstanceCpuOptions": ("instance",),
    "ModifyInstanceCreditSpecification": ("instance",),
    "ModifyInstanceEventStartTime": ("instance",),
    "ModifyInstanceEventWindow": ("instance-event-window",),
    "ModifyInstanceMaintenanceOptions": ("instance",),
    "ModifyInstanceMetadataDefaults": (),
    "ModifyInstanceMetadataOptions": ("instance",),
    "ModifyInstanceNetworkPerformanceOptions": ("instance",),
    "ModifyInstancePlacement": ("instance",),
    "ModifyIpam": ("ipam",),
    "ModifyIpamPool": ("ipam-pool",),
    "ModifyIpamResourceCidr": ("ipam-scope",),
    "ModifyIpamResourceDiscovery": ("ipam-resource-discovery",),
    "ModifyIpamScope": ("ipam-scope",),
    "ModifyLaunchTemplate": ("launch-template",),
    "ModifyLocalGatewayRoute": ("local-gateway-route-table",),
    "ModifyManagedPrefixList": ("prefix-list",),
    "ModifyPrivateDnsNameOptions": ("instance",),
    "ModifyPublicIpDnsNameOptions": ("network-interface",),
    "ModifyReservedInstances": ("reserved-instances",),
    "ModifySnapshotTier": ("snapshot",),
    "ModifySpotFleetRequest": ("spot-fleet-request",),
    "ModifyTrafficMirrorFilterNetworkServices": ("traffic-mirror-filter",),
    "ModifyTrafficMirrorFilterRule": ("traffic-mirror-filter", "traffic-mirror-filter-rule"),
    "ModifyTrafficMirrorSession": ("traffic-mirror-session",),
    "ModifyTransitGateway": ("transit-gateway",),
    "ModifyTransitGatewayPrefixListReference": ("prefix-list", "transit-gateway-route-table"),
    "ModifyTransitGatewayVpcAttachment": ("transit-gateway-attachment",),
    "ModifyVerifiedAccessEndpoint": ("verified-access-endpoint",),
    "ModifyVerifiedAccessEndpointPolicy": ("verified-access-endpoint",),
    "ModifyVerifiedAccessGroup": ("verified-access-group",),
    "ModifyVerifiedAccessGroupPolicy": ("verified-access-group",),
    "ModifyVerifiedAccessInstance": ("verified-access-instance",),
    "ModifyVerifiedAccessInstanceLoggingConfiguration": ("verified-access-instance",),
    "ModifyVerifiedAccessTrustProvider": ("verified-access-trust-provider",),
    "ModifyVolume": ("volume",),
    "ModifyVpcBlockPublicAccessExclusion": ("vpc-block-public-access-exclusion",),
    "ModifyVpcEndpoint": ("vpc-endpoint",),
    "ModifyVpcEndpointServiceConfiguration": ("vpc-endpoint-service",),
    "ModifyVpcEndpointServicePayerResponsibility": ("vpc-endpoint-service",),
    "ModifyVpcEndpointServicePermissions": ("vpc-endpoint-service",),
    "ModifyVpcPeeringConnectionOptions": ("vpc-peering-connection",),
    "ModifyVpcTenancy": ("vpc",),
    "ModifyVpnConnection": ("vpn-connection",),
    "ModifyVpnConnectionOptions": ("vpn-connection",),
    "ModifyVpnTunnelCertificate": ("vpn-connection",),
    "ModifyVpnTunnelOptions": ("vpn-connection",),
    "ResetAddressAttribute": ("elastic-ip",),
    "ResetFpgaImageAttribute": ("fpga-image",),
    "ResetImageAttribute": ("image",),
    "ResetSnapshotAttribute": ("snapshot",),
}
_NO_ATTRIBUTES: Final = frozenset({"Attribute", "ClientToken", "DryRun", "Value"})


def resources_of(action: str, requested: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    """Return the ARNs that IAM is asked about for an action of EC2.

    The account in them is the caller's: of what another account shares, as a mirror target through
    AWS RAM, the owner is not known from a call.
    """
    if _WITHOUT_RESOURCES.fullmatch(action):
        return ("*",)
    skipped = _NOT_ASKED.get(action, ())
    named = [
        arn_of(place, kind, text)
        for text in _named_in({name: value for name, value in requested.items() if name not in skipped})
        if (kind := kind_of(text))
    ]
    if key := requested.get("KeyName"):
        named.append(arn_of(place, "key-pair", key))
    unnamed = [kind for member, kind in _UNNAMED_OF.get(action, {}).items() if member in requested]
    for kind in (*made_by(action), *UNNAMED.get(action, ()), *unnamed):
        # An interface that is given to an instance is not made.
        if not (action == "RunInstances" and any(f":{kind}/" in arn for arn in named)):
            named.append(arn_of(place, kind, "*"))
    return tuple(dict.fromkeys(named)) or ("*",)


def kind_of(text: str) -> str:
    """Return the kind of resource that an id is one of, as ARNs name it; empty for what is no id of a resource."""
    match = _ID.fullmatch(text)
    return KINDS.get(match[1], "") if match else ""


def _named_in(value: Any, naming: bool = False) -> Iterator[str]:
    """Return the texts of members that name resources, however deep they stand."""
    if isinstance(value, str):
        if naming:
            yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _named_in(item, str(name).rstrip(".0123456789").endswith(_NAMING))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named_in(item, naming)


def attributes_of(action: str, requested: Mapping[str, Any]) -> dict[str, str]:
    """Return the condition keys `ec2:Attribute` and `ec2:Attribute/<name>` of a request about attributes.

    One that describes an attribute names it. One that modifies some may name one, or set several.
    There is a key for what is a plain value, or an object with a `Value` alone; of lists, such as security groups, and
    of other objects, such as block devices and connection tracking, IAM hears nothing.

    Source: Amazon EC2 User Guide, "Policy structure", "ec2:Attribute condition key"; Service Authorization Reference,
    the actions of Amazon EC2 with these keys.
    """
    if has_attributes(action) is None:
        return {}
    found = {"ec2:Attribute": str(requested["Attribute"])} if "Attribute" in requested else {}
    if not sets_attributes(action):
        return found
    for name, given in requested.items():
        value = given["Value"] if isinstance(given, Mapping) and set(given) == {"Value"} else given
        if isinstance(value, str | int | float) and name not in _NO_ATTRIBUTES | _naming_resources(action):
            found[f"ec2:Attribute/{name}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def sets_attributes(action: str) -> bool:
    """Return whether an action of EC2 sets attributes that are condition keys."""
    return action.startswith("Modify") and has_attributes(action) is not None


@functools.cache
def _naming_resources(action: str) -> frozenset[str]:
    """Return the parameters of an action that name what it modifies: ids that a request cannot leave out."""
    shape = get_service_model("ec2").operation_model(action).input_shape
    return frozenset(name for name in shape.required_members if name.endswith("Id")) if shape else frozenset()


def has_attributes(action: str) -> tuple[str, ...] | None:
    """Return the kinds of resources whose attributes an action of EC2 describes or modifies; None where it does not."""
    if action in _MODIFIED:
        return _MODIFIED[action]
    found = _OF_ATTRIBUTES.fullmatch(action)
    return (_kebab(found[1]),) if found else None


def made_by(action: str) -> tuple[str, ...]:
    """Return the kinds of resources that an action of EC2 makes, as ARNs name them."""
    if action in _MADE:
        return _MADE[action]
    if not action.startswith("Create"):
        return ()
    return (_kebab(action.removeprefix("Create")),)


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def arn_of(place: Place, kind: str, name: str) -> str:
    """Return the ARN of a resource of EC2; those of images and snapshots name no account."""
    return place.arn("ec2", f"{kind}/{name}", account=kind not in _PUBLIC)
