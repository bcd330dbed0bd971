"""What is registered with load balancers, as AWS keeps it.

A target is an instance and a port: moto knows one port of each instance. To deregister what is not registered
succeeds: moto refuses it. A classic load balancer has each instance once, whoever registered it: moto keeps two lists.
One that is not there is not found: moto fails. An instance is of the group's VPC; an address outside of it comes with
an Availability Zone, which is `all` for an Application Load Balancer: moto takes anything.

Sources: Elastic Load Balancing API Reference, RegisterTargets, DeregisterTargets, RegisterInstancesWithLoadBalancer
and DeregisterInstancesFromLoadBalancer.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from moto.elb import models as elb_models
from moto.elb.exceptions import LoadBalancerNotFoundError
from moto.elbv2 import models as elbv2_models
from moto.elbv2.exceptions import InvalidTargetError, TargetNotRunning

# moto has types, but none for what is replaced at run time.
HealthStatus: Any = elbv2_models.FakeHealthStatus
TargetGroup: Any = elbv2_models.FakeTargetGroup
ElbBackend: Any = elb_models.ELBBackend
Elbv2Backend: Any = elbv2_models.ELBv2Backend

# What a load balancer reaches outside of its VPC: through peering, transit gateways, VPN and Direct Connect.
_REACHABLE: Final = tuple(
    ipaddress.ip_network(block) for block in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
)

Target = dict[str, Any]


@functools.cache
def install() -> None:
    """Make the moto of this process keep them so. A second call changes nothing."""
    _refuse_targets()
    _keep_ports()
    _keep_one_list()


def _key(target: Target) -> str:
    return f"{target['Id']}:{target['Port']}"


def _refuse_targets() -> None:
    """A target is an instance of the group's VPC, or an address that the load balancer can reach."""
    register = Elbv2Backend.register_targets

    @functools.wraps(register)
    def register_targets(self: Any, target_group_arn: str, instances: list[Target]) -> None:
        if group := self.target_groups.get(target_group_arn):
            for target in instances:
                if group.target_type == "ip":
                    _check_address(self.ec2_backend, group, target)
                elif group.target_type == "instance":
                    _check_instance(self.ec2_backend, group, target)
        register(self, target_group_arn, instances)

    Elbv2Backend.register_targets = register_targets


def _check_instance(ec2: Any, group: Any, target: Target) -> None:
    if target.get("AvailabilityZone"):
        raise InvalidTargetError(
            f"The Availability Zone of {target['Id']} cannot be given: its target type is instance"
        )
    instance = ec2.get_instance_by_id(target["Id"])
    if instance is None or instance.vpc_id != group.vpc_id:
        raise InvalidTargetError(
            f"The following targets are not in the target group VPC '{group.vpc_id}': {target['Id']}"
        )


def _check_address(ec2: Any, group: Any, target: Target) -> None:
    zone = target.get("AvailabilityZone")
    try:
        address = ipaddress.ip_address(target["Id"])
    except ValueError:
        raise InvalidTargetError(f"The IP address '{target['Id']}' is not valid") from None
    blocks = [one["cidr_block"] for one in ec2.get_vpc(group.vpc_id).get_cidr_block_association_set(ipv6=False)]
    blocks += [one["cidr_block"] for one in ec2.get_vpc(group.vpc_id).get_cidr_block_association_set(ipv6=True)]
    if any(address in ipaddress.ip_network(block) for block in blocks):
        return
    if not any(address in network for network in _REACHABLE):
        raise InvalidTargetError(f"The IP address '{address}' is neither in the VPC nor in a private range")
    if zone is None:
        raise InvalidTargetError(f"The IP address '{address}' is outside the VPC: an Availability Zone is required")
    if zone != "all" and group.protocol in ("HTTP", "HTTPS"):
        raise InvalidTargetError(f"The IP address '{address}' is outside the VPC: the Availability Zone must be 'all'")


def _zone_of(group: Any, address: str) -> str | None:
    """Return the Availability Zone that an address of the VPC is in, which AWS finds by itself."""
    for subnet in group.ec2_backend.describe_subnets(filters={"vpc-id": [group.vpc_id]}):
        blocks = [subnet.cidr_block, *(one["ipv6CidrBlock"] for one in subnet.ipv6_cidr_block_associations.values())]
        if any(ipaddress.ip_address(address) in ipaddress.ip_network(block) for block in blocks):
            return str(subnet.availability_zone)
    return None


def _keep_ports() -> None:
    health_for = TargetGroup.health_for

    def register(self: Any, targets: list[Target]) -> None:
        for target in targets:
            instance = self.ec2_backend.get_instance_by_id(target["Id"])
            if instance is not None and instance.state != "running":
                raise TargetNotRunning(instance_id=target["Id"])
            kept = {"Id": target["Id"], "Port": target.get("Port") or self.port}
            if self.target_type == "ip" and (zone := target.get("AvailabilityZone") or _zone_of(self, target["Id"])):
                kept["AvailabilityZone"] = zone
            self.targets[_key(kept)] = kept
            self.deregistered_targets.pop(target["Id"], None)

    def deregister(self: Any, targets: list[Target]) -> None:
        for target in targets:
            # Without a port all of its ports are meant.
            for key, kept in list(self.targets.items()):
                if kept["Id"] == target["Id"] and target.get("Port") in (None, kept["Port"]):
                    self.deregistered_targets[target["Id"]] = self.targets.pop(key)

    def deregister_terminated_instances(self: Any, instance_ids: list[str]) -> None:
        for key, kept in list(self.targets.items()):
            if kept["Id"] in instance_ids:
                self.terminated_targets[kept["Id"]] = self.targets.pop(key)

    @functools.wraps(health_for)
    def health(self: Any, target: Target, ec2_backend: Any) -> Any:
        found = self.targets.get(_key({"Port": self.port, **target}))
        by_id, self.targets = self.targets, {} if found is None else {found["Id"]: found}
        try:
            status = health_for(self, target, ec2_backend)
            status.zone = found and found.get("AvailabilityZone")
            return status
        finally:
            self.targets = by_id

    def shown(status: Any) -> Target:
        zone = {"AvailabilityZone": status.zone} if getattr(status, "zone", None) else {}
        return {"Id": status.instance_id, "Port": status.port, **zone}

    HealthStatus.target = property(shown)
    TargetGroup.register = register
    TargetGroup.deregister = deregister
    TargetGroup.deregister_terminated_instances = deregister_terminated_instances
    TargetGroup.health_for = health


def _keep_one_list() -> None:
    register = ElbBackend.register_instances
    deregister = ElbBackend.deregister_instances

    @functools.wraps(register)
    def register_instances(self: Any, name: str, instance_ids: Iterable[str], from_autoscaling: bool = False) -> Any:
        known = set(_balancer(self, name).instance_ids)
        return register(self, name, [one for one in instance_ids if one not in known], from_autoscaling)

    @functools.wraps(deregister)
    def deregister_instances(self: Any, name: str, instance_ids: Iterable[str], from_autoscaling: bool = False) -> Any:
        gone = list(instance_ids)
        _balancer(self, name)
        if not from_autoscaling:
            deregister(self, name, gone, True)
        return deregister(self, name, gone, from_autoscaling)

    ElbBackend.register_instances = register_instances
    ElbBackend.deregister_instances = deregister_instances


def _balancer(backend: Any, name: str) -> Any:
    """Return a classic load balancer; moto fails where there is none."""
    balancer = backend.get_load_balancer(name)
    if balancer is None:
        raise LoadBalancerNotFoundError(name)
    return balancer
