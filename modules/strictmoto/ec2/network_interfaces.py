"""Network interfaces as AWS keeps them: each with its own security groups and its own connection tracking.

moto shows an attached interface with the groups of its instance mixed in, takes groups that do not exist, and
leaves interfaces behind when their instance ends. Each of those would hide that a change of groups isolates less
than it seems to.

Sources: EC2 API Reference, ModifyNetworkInterfaceAttribute, ModifyInstanceAttribute and RunInstances; EC2 User
Guide, "Security group connection tracking".
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Iterable
from typing import Any, Final

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2 import models
from moto.ec2.exceptions import EC2ClientError, InvalidSecurityGroupNotFoundError
from moto.ec2.models import elastic_network_interfaces, instances
from moto.ec2.responses import elastic_network_interfaces as responses

from strictmoto.ec2.interface_types import LAUNCHED, check_type
from strictmoto.ec2.refusals.attributes import check_one

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = models.EC2Backend
NetworkInterface: Any = elastic_network_interfaces.NetworkInterface
Instance: Any = instances.Instance
ElasticNetworkInterfaces: Any = responses.ElasticNetworkInterfaces

GROUPS_PER_INTERFACE: Final = 5
"""The default of the quota "Security groups per network interface"."""

TIMEOUTS: Final = {
    "TcpEstablishedTimeout": (60, 432_000),
    "UdpStreamTimeout": (60, 180),
    "UdpTimeout": (30, 60),
}
"""The seconds that a ConnectionTrackingSpecification may hold: from and to, both allowed."""

DETACHED_IS_SHOWN: Final = 10.0
"""For how many seconds an attachment that ended is found by its id. AWS gives no number."""

_ATTRIBUTES: Final = ("Groups", "SourceDestCheck", "Description", "Attachment", "ConnectionTrackingSpecification")
_NOT_KEPT: Final = ("AssociatePublicIpAddress", "AssociatedSubnetIds", "EnablePrimaryIpv6", "EnaSrdSpecification")

_TERMINATED: Final = 48


@functools.cache
def install() -> None:
    """Make the moto of this process keep network interfaces as AWS does. A second call changes nothing."""
    _show_own_groups()
    _modify_interfaces()
    _create_interfaces()
    _delete_interfaces()
    _launch_with_interfaces()
    _launch_spot_instances_in_their_vpc()
    _end_interfaces_with_instances()
    _refuse_deletion_of_groups_in_use()
    _show_detached_attachments()


def _show_own_groups() -> None:
    """An interface has exactly its groups; an instance shows those of its primary interface."""

    def own(interface: Any) -> list[Any]:
        return list(interface._group_set)

    def primary(instance: Any) -> Any:
        return instance.__dict__.get("nics", {}).get(0)

    def read(instance: Any) -> Any:
        interface = primary(instance)
        return list(interface._group_set) if interface else instance.__dict__.get("security_groups", [])

    def write(instance: Any, groups: Any) -> None:
        instance.__dict__["security_groups"] = groups
        if interface := primary(instance):
            interface._group_set = list(groups)

    NetworkInterface.group_set = property(own)
    Instance.security_groups = property(read, write)


def _modify_interfaces() -> None:
    modify_backend = EC2Backend.modify_network_interface_attribute
    modify_instance = EC2Backend.modify_instance_security_groups

    @functools.wraps(modify_backend)
    def backend(self: Any, eni_id: str, group_ids: list[str], *args: Any, **kwargs: Any) -> None:
        check_groups(self, self.get_network_interface(eni_id).vpc_id, group_ids)
        modify_backend(self, eni_id, list(dict.fromkeys(group_ids)), *args, **kwargs)

    @functools.wraps(modify_instance)
    def instance_groups(self: Any, instance_id: str, new_group_id_list: list[str]) -> Any:
        instance = self.get_instance(instance_id)
        if len(instance.nics) > 1:
            raise EC2ClientError(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{instance_id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        check_groups(self, instance.vpc_id, new_group_id_list)
        return modify_instance(self, instance_id, new_group_id_list)

    def response(self: Any) -> ActionResult:
        given = [name for name in (*_ATTRIBUTES, *_NOT_KEPT) if self._get_param(name) is not None]
        check_one(given)
        if given[0] in _NOT_KEPT:
            raise EC2ClientError("Unsupported", f"strictmoto does not change {given[0]} of network interfaces.")
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        tracking = check_tracking(self._get_param("ConnectionTrackingSpecification"))
        groups = self._get_param("Groups", [])
        check_groups(self.ec2_backend, interface.vpc_id, groups)
        if tracking:
            _keep_tracking(interface, tracking)
        if (keep := self._get_param("Attachment.DeleteOnTermination")) is not None:
            interface.delete_on_termination = keep
        if (description := self._get_param("Description.Value")) is not None:
            # moto's backend takes an empty description for none at all.
            interface.description = description
        self.ec2_backend.modify_network_interface_attribute(
            interface.id, groups, self._get_param("SourceDestCheck.Value"), None
        )
        return EmptyResult()

    EC2Backend.modify_network_interface_attribute = backend
    EC2Backend.modify_instance_security_groups = instance_groups
    ElasticNetworkInterfaces.modify_network_interface_attribute = response


def _create_interfaces() -> None:
    create_backend = EC2Backend.create_network_interface
    create_response = ElasticNetworkInterfaces.create_network_interface

    @functools.wraps(create_backend)
    def backend(self: Any, subnet: Any, *args: Any, **kwargs: Any) -> Any:
        found = self.get_subnet(subnet) if isinstance(subnet, str) else subnet
        # The fifth positional parameter of moto's own call is the groups.
        check_groups(self, found.vpc_id, kwargs.get("group_ids") or (args[2] if len(args) > 2 else None) or [])
        return create_backend(self, subnet, *args, **kwargs)

    @functools.wraps(create_response)
    def response(self: Any) -> Any:
        tracking = check_tracking(self._get_param("ConnectionTrackingSpecification"))
        result = create_response(self)
        if tracking:
            _keep_tracking(result.result["NetworkInterface"], tracking)
        return result

    EC2Backend.create_network_interface = backend
    ElasticNetworkInterfaces.create_network_interface = response


def _delete_interfaces() -> None:
    delete = EC2Backend.delete_network_interface

    @functools.wraps(delete)
    def backend(self: Any, eni_id: str) -> None:
        interface = self.enis.get(eni_id)
        if interface is not None and interface.instance is not None:
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
        delete(self, eni_id)
        for address in [address for address in self.addresses if address.eni is interface]:
            self.disassociate_address(address=address.public_ip)

    EC2Backend.delete_network_interface = backend


def _launch_with_interfaces() -> None:
    """An instance takes the interfaces it is given, and lives where its primary one does."""
    run = EC2Backend.run_instances
    attach = EC2Backend.attach_network_interface
    prepare = Instance.prep_nics

    def refuse_in_use(backend: Any, interface_id: str) -> None:
        if backend.get_network_interface(interface_id).instance is not None:
            raise EC2ClientError("InvalidNetworkInterface.InUse", f"Interface: [{interface_id}] in use.")

    @functools.wraps(run)
    def run_instances(self: Any, *args: Any, **kwargs: Any) -> Any:
        for interface in kwargs.get("nics") or []:
            check_type(interface.get("InterfaceType"), LAUNCHED)
            if interface_id := interface.get("NetworkInterfaceId"):
                refuse_in_use(self, interface_id)
        return run(self, *args, **kwargs)

    @functools.wraps(attach)
    def attach_network_interface(self: Any, eni_id: str, instance_id: str, device_index: int) -> Any:
        refuse_in_use(self, eni_id)
        return attach(self, eni_id, instance_id, device_index)

    @functools.wraps(prepare)
    def prep_nics(self: Any, nic_spec: list[dict[str, Any]], *args: Any, **kwargs: Any) -> None:
        # Read now: moto writes into the list that it is given.
        given = {int(nic["DeviceIndex"]): dict(nic) for nic in nic_spec}
        prepare(self, nic_spec, *args, **kwargs)
        for index, interface in self.nics.items():
            nic = given.get(index, {})
            interface.interface_type = nic.get("InterfaceType") or interface.interface_type
            if "NetworkInterfaceId" not in nic and nic.get("DeleteOnTermination") is None:
                interface.delete_on_termination = True
        if "NetworkInterfaceId" in given.get(0, {}):
            self._subnet_id = self.nics[0].subnet.id
            self._placement.zone = self.nics[0].subnet.availability_zone

    EC2Backend.run_instances = run_instances
    EC2Backend.attach_network_interface = attach_network_interface
    Instance.prep_nics = prep_nics


def _end_interfaces_with_instances() -> None:
    terminate = Instance.terminate

    @functools.wraps(terminate)
    def end(self: Any) -> Any:
        if self.state_code == _TERMINATED:
            return copy.copy(self._state)
        for interface in self.nics.values():
            # Detached first: what is attached cannot be deleted, and what survives is free again.
            interface.instance = None
            interface.attachment_id = None
            interface.attach_time = None
            interface.status = "available"
        for address in self.ec2_backend.addresses:
            if address.instance is self:
                address.instance = None
        return terminate(self)

    def shown(self: Any) -> list[Any]:
        return [] if self.state_code == _TERMINATED else list(self.nics.values())

    Instance.terminate = end
    Instance.network_interfaces = property(shown)


def _refuse_deletion_of_groups_in_use() -> None:
    delete = EC2Backend._delete_security_group

    @functools.wraps(delete)
    def backend(self: Any, vpc_id: str | None, group_id: str) -> None:
        if any(group.id == group_id for interface in self.enis.values() for group in interface._group_set):
            raise EC2ClientError("DependencyViolation", f"resource {group_id} has a dependent object")
        delete(self, vpc_id, group_id)

    EC2Backend._delete_security_group = backend


def _show_detached_attachments() -> None:
    """An attachment that ended is still found by its id for a while, as detached.

    Whoever waits for that state, as Terraform does, would otherwise wait for minutes.
    """
    detach = EC2Backend.detach_network_interface
    find = EC2Backend.get_all_network_interfaces
    attachment = NetworkInterface.attachment.fget

    @functools.wraps(detach)
    def detach_network_interface(self: Any, attachment_id: str) -> None:
        interface = next((one for one in self.enis.values() if one.attachment_id == attachment_id), None)
        ended = copy.copy(interface.attachment) if interface else None
        detach(self, attachment_id)
        if interface is not None and ended is not None:
            ended.status = "detached"
            interface.last_attachment = (time.monotonic(), ended)

    @functools.wraps(find)
    def get_all_network_interfaces(self: Any, eni_ids: Any = None, filters: Any = None) -> list[Any]:
        found: list[Any] = find(self, eni_ids, filters)
        wanted = set((filters or {}).get("attachment.attachment-id", ()))
        if found or not wanted:
            return found
        for interface in self.enis.values():
            ended_at, ended = getattr(interface, "last_attachment", (0.0, None))
            if ended and ended.attachment_id in wanted and time.monotonic() - ended_at < DETACHED_IS_SHOWN:
                seen = copy.copy(interface)
                seen.shown_attachment = ended
                found.append(seen)
        return found

    def shown(interface: Any) -> Any:
        return getattr(interface, "shown_attachment", None) or attachment(interface)

    EC2Backend.detach_network_interface = detach_network_interface
    EC2Backend.get_all_network_interfaces = get_all_network_interfaces
    NetworkInterface.attachment = property(shown)


def _launch_spot_instances_in_their_vpc() -> None:
    """Without groups, an instance has the default group of its VPC. moto takes the default VPC's for it.

    Source: EC2 User Guide, "Default security groups".
    """
    request = EC2Backend.request_spot_instances

    @functools.wraps(request)
    def request_spot_instances(self: Any, *args: Any, **given: Any) -> Any:
        subnet = given.get("subnet_id")
        if subnet and not given.get("security_groups"):
            default = self.get_default_security_group(self.get_subnet(subnet).vpc_id)
            given["security_groups"] = [default.id]
        return request(self, *args, **given)

    EC2Backend.request_spot_instances = request_spot_instances


def check_groups(backend: Any, vpc_id: str, group_ids: Iterable[str]) -> None:
    """Refuse security groups that an interface in `vpc_id` cannot have: unknown, of another VPC, or too many."""
    wanted = set(group_ids)
    if len(wanted) > GROUPS_PER_INTERFACE:
        raise EC2ClientError(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )
    for group_id in sorted(wanted):
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise InvalidSecurityGroupNotFoundError(group_id)
        if group.vpc_id != vpc_id:
            # AWS calls this "not found", too.
            raise EC2ClientError(
                "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
            )


def check_tracking(specification: dict[str, Any] | None) -> dict[str, int]:
    """The timeouts of a ConnectionTrackingSpecification, in seconds; refused outside of `TIMEOUTS`."""
    timeouts: dict[str, int] = {}
    for name, value in (specification or {}).items():
        low, high = TIMEOUTS[name]
        if not low <= int(value) <= high:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Value ({value}) for parameter {name} is invalid. Valid values are from {low} to {high} seconds.",
            )
        timeouts[name] = int(value)
    return timeouts


def _keep_tracking(interface: Any, timeouts: dict[str, int]) -> None:
    """Kept under the name that moto's serializer looks for, of interfaces and of instances alike."""
    kept = getattr(interface, "connection_tracking_configuration", None) or {}
    interface.connection_tracking_configuration = {**kept, **timeouts}
