"""Traffic mirror targets: where mirrored packets go, and how many sources may send them."""

from __future__ import annotations

from typing import Final

from moto.ec2.utils import random_id

from strictmoto.ec2.mirroring import accounts, errors, instance_types, network, tags
from strictmoto.ec2.mirroring.describing import describe
from strictmoto.ec2.mirroring.operations import Answer, Core, Parameters, operation, without_none
from strictmoto.ec2.mirroring.state import Target

_DESTINATIONS: Final = ("NetworkInterfaceId", "NetworkLoadBalancerArn", "GatewayLoadBalancerEndpointId")
_FILTERS: Final = {
    "description": "Description",
    "network-interface-id": "NetworkInterfaceId",
    "network-load-balancer-arn": "NetworkLoadBalancerArn",
    "owner-id": "OwnerId",
    "traffic-mirror-target-id": "TrafficMirrorTargetId",
}


class TargetActions(Core):
    """Create, describe and delete targets; AWS has no action that modifies one."""

    @operation
    def create_traffic_mirror_target(self, parameters: Parameters) -> Answer:
        """Create a target of exactly one network interface, Network Load Balancer or endpoint."""
        given = [name for name in _DESTINATIONS if name in parameters]
        if len(given) != 1:
            raise errors.refuse(
                "InvalidParameterCombination" if given else "MissingParameter",
                f"Exactly one of {', '.join(_DESTINATIONS)} is required, got {' and '.join(given) or 'none'}",
            )
        given_tags = tags.read_specifications(parameters, Target)
        self.state.check_quota(Target)
        created = Target(
            id=random_id(Target.prefix),
            description=parameters.get("Description"),
            network_interface_id=parameters.get("NetworkInterfaceId"),
            network_load_balancer_arn=parameters.get("NetworkLoadBalancerArn"),
            gateway_load_balancer_endpoint_id=parameters.get("GatewayLoadBalancerEndpointId"),
        )
        self._check_destination(created)
        tags.attach(self, created.id, given_tags)
        self.state.add(created)
        return {"TrafficMirrorTarget": show_target(self, created, viewer=self)}

    @operation
    def describe_traffic_mirror_targets(self, parameters: Parameters) -> Answer:
        """Describe targets: one's own, and those that others share."""
        shared = accounts.shared_targets(self)
        targets = {**self.state.targets, **{target_id: target for target_id, (_, target) in shared.items()}}
        owners = {target_id: owner for target_id, (owner, _) in shared.items()}
        return describe(
            self,
            Target,
            parameters,
            view=lambda target: show_target(owners.get(target.id, self), target, viewer=self),
            filters=_FILTERS,
            table=targets,
        )

    @operation
    def delete_traffic_mirror_target(self, parameters: Parameters) -> Answer:
        """Delete a target that no session of this account uses; those of others stay, and mirror nothing more."""
        found: Target = self.find(Target, parameters["TrafficMirrorTargetId"])
        if users := self.state.sessions_to(found.id):
            raise errors.refuse("TrafficMirrorTargetInUseException", f"{found.id} is in use by session {users[0].id}")
        self.state.remove(found)
        tags.forget(self, found.id)
        return {"TrafficMirrorTargetId": found.id}

    def _check_destination(self, target: Target) -> None:
        if target.network_interface_id:
            interface = network.network_interface(self.backend, target.network_interface_id)
            if interface.interface_type != "interface":
                raise errors.not_supported(
                    f"{interface.id} is of type {interface.interface_type} and cannot be a target"
                )
            if sessions := self.state.sessions_from(interface.id):
                raise errors.invalid(f"{interface.id} is in use by session {sessions[0].id} as its source")
        elif target.network_load_balancer_arn:
            network.check_network_load_balancer(self.backend, target.network_load_balancer_arn)
            if others := self.state.targets_on(target.network_load_balancer_arn):
                raise errors.refuse(
                    "NlbInUseByTrafficMirrorTargetException",
                    f"{target.network_load_balancer_arn} is in use by target {others[0].id}",
                )
        else:
            network.check_gateway_load_balancer_endpoint(self.backend, str(target.gateway_load_balancer_endpoint_id))

    def _check_has_room(self, owner: Core, target: Target, source: str) -> None:
        """Refuse a source beyond the 10 or 100 distinct ones that an interface takes as a target.

        AWS limits the interface, so the sources of all targets that are this interface count,
        whichever account they belong to.
        """
        interface = target.network_interface_id
        if interface is None:
            return
        targets = [sibling.id for sibling in owner.state.targets_on(interface)]
        own = [session for target_id in targets for session in owner.state.sessions_to(target_id)]
        foreign = [session for _, session in accounts.sessions_of_others_to(owner, targets)]
        sources = {session.network_interface_id for session in (*own, *foreign)} | {source}
        capacity = instance_types.sources_taken(network.instance_type_of(owner.backend, interface))
        if len(sources) > capacity:
            raise errors.refuse(
                "TrafficMirrorSourcesPerTargetLimitExceeded",
                f"Sources per interface-target limit reached ({len(sources)})",
            )


def show_target(owner: Core, shown: Target, *, viewer: Core) -> Answer:
    """Return a target as answers have it; its tags are its owner's, others see none."""
    return without_none(
        {
            "TrafficMirrorTargetId": shown.id,
            "NetworkInterfaceId": shown.network_interface_id,
            "NetworkLoadBalancerArn": shown.network_load_balancer_arn,
            "GatewayLoadBalancerEndpointId": shown.gateway_load_balancer_endpoint_id,
            "Type": shown.type,
            "Description": shown.description,
            "OwnerId": owner.backend.account_id,
            "Tags": tags.of_resource(viewer, shown.id),
        }
    )
