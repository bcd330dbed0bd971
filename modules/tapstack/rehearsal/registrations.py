"""What is registered with load balancers, as AWS keeps it.

A target is an instance and a port: moto knows one port of each instance. To deregister what is not registered
succeeds: moto refuses it. A classic load balancer has each instance once, whoever registered it: moto keeps two lists.
One that is not there is not found: moto fails.

Sources: Elastic Load Balancing API Reference, RegisterTargets, DeregisterTargets, RegisterInstancesWithLoadBalancer
and DeregisterInstancesFromLoadBalancer.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from moto.elb import models as elb_models
from moto.elb.exceptions import LoadBalancerNotFoundError
from moto.elbv2 import models as elbv2_models
from moto.elbv2.exceptions import TargetNotRunning

# moto has types, but none for what is replaced at run time.
TargetGroup: Any = elbv2_models.FakeTargetGroup
ElbBackend: Any = elb_models.ELBBackend

Target = dict[str, Any]


@functools.cache
def install() -> None:
    """Make the moto of this process keep them so. A second call changes nothing."""
    _keep_ports()
    _keep_one_list()


def _key(target: Target) -> str:
    return f"{target['Id']}:{target['Port']}"


def _keep_ports() -> None:
    health_for = TargetGroup.health_for

    def register(self: Any, targets: list[Target]) -> None:
        for target in targets:
            instance = self.ec2_backend.get_instance_by_id(target["Id"])
            if instance is not None and instance.state != "running":
                raise TargetNotRunning(instance_id=target["Id"])
            kept = {"Id": target["Id"], "Port": target.get("Port") or self.port}
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
            return health_for(self, target, ec2_backend)
        finally:
            self.targets = by_id

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
