"""AWS::ElasticLoadBalancingV2: load balancers of all kinds, listeners, rules and target groups.

Source: CloudFormation Template Reference, "AWS::ElasticLoadBalancingV2".
"""

from __future__ import annotations

from typing import Any, ClassVar

from strictmoto.cloudformation.api_types import ApiResource


class BalancerResource(ApiResource):
    """A resource whose Ref is its ARN."""

    SERVICE: ClassVar[str] = "elbv2"

    def retag(self, old: dict[str, Any]) -> None:
        """Make the tags those of the properties."""
        if dropped := self.dropped_tags(old):
            self.call("remove_tags", ResourceArns=[self.ref], TagKeys=dropped)
        if tags := self.tags():
            wanted = [{"Key": key, "Value": value} for key, value in tags.items()]
            self.call("add_tags", ResourceArns=[self.ref], Tags=wanted)


class LoadBalancer(BalancerResource):
    """A load balancer: application, network or gateway."""

    TYPE = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    NAME = "Name"

    def create(self) -> None:
        """Create it."""
        given = self.without("LoadBalancerAttributes", "Name")
        made = self.call("create_load_balancer", Name=self.name, **given)["LoadBalancers"][0]
        self.ref = made["LoadBalancerArn"]
        full_name = self.ref.partition("loadbalancer/")[2]
        self.attributes = {
            "LoadBalancerArn": self.ref,
            "LoadBalancerFullName": full_name,
            "LoadBalancerName": made["LoadBalancerName"],
            "DNSName": made.get("DNSName", ""),
            "CanonicalHostedZoneID": made.get("CanonicalHostedZoneId", ""),
            "SecurityGroups": made.get("SecurityGroups", []),
        }
        self._set_attributes()

    def update(self, old: dict[str, Any]) -> None:
        """Change its attributes, groups, subnets and tags."""
        if self.changed(old, "LoadBalancerAttributes"):
            self._set_attributes()
        if self.changed(old, "SecurityGroups"):
            self.call("set_security_groups", LoadBalancerArn=self.ref, **self.of("SecurityGroups"))
        if self.changed(old, "Subnets", "SubnetMappings"):
            self.call("set_subnets", LoadBalancerArn=self.ref, **self.of("Subnets", "SubnetMappings"))
        if self.changed(old, "IpAddressType"):
            self.call("set_ip_address_type", LoadBalancerArn=self.ref, **self.of("IpAddressType"))
        self.retag(old)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_load_balancer", LoadBalancerArn=self.ref)

    def _set_attributes(self) -> None:
        if given := self.properties.get("LoadBalancerAttributes"):
            self.call("modify_load_balancer_attributes", LoadBalancerArn=self.ref, Attributes=given)


class TargetGroup(BalancerResource):
    """A target group with its targets."""

    TYPE = "AWS::ElasticLoadBalancingV2::TargetGroup"
    NAME = "Name"
    _CHECKS = (
        "HealthCheckEnabled",
        "HealthCheckIntervalSeconds",
        "HealthCheckPath",
        "HealthCheckPort",
        "HealthCheckProtocol",
        "HealthCheckTimeoutSeconds",
        "HealthyThresholdCount",
        "Matcher",
        "UnhealthyThresholdCount",
    )

    def create(self) -> None:
        """Create it, and register its targets."""
        given = self.without("Targets", "TargetGroupAttributes", "Name")
        made = self.call("create_target_group", Name=self.name, **given)["TargetGroups"][0]
        self.ref = made["TargetGroupArn"]
        self.attributes = {
            "TargetGroupArn": self.ref,
            "TargetGroupName": made["TargetGroupName"],
            "TargetGroupFullName": self.ref.rpartition(":")[2],
        }
        self._set_attributes()
        self._register({})

    def update(self, old: dict[str, Any]) -> None:
        """Change its health check, attributes, targets and tags."""
        if self.changed(old, *self._CHECKS):
            self.call("modify_target_group", TargetGroupArn=self.ref, **self.of(*self._CHECKS))
        if self.changed(old, "TargetGroupAttributes"):
            self._set_attributes()
        self._register(old)
        self.retag(old)

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """The answer of Fn::GetAtt; the load balancers are those that lead to it now."""
        if attribute_name == "LoadBalancerArns":
            return self.call("describe_target_groups", TargetGroupArns=[self.ref])["TargetGroups"][0][
                "LoadBalancerArns"
            ]
        return super().get_cfn_attribute(attribute_name)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_target_group", TargetGroupArn=self.ref)

    def _set_attributes(self) -> None:
        if given := self.properties.get("TargetGroupAttributes"):
            self.call("modify_target_group_attributes", TargetGroupArn=self.ref, Attributes=given)

    def _register(self, old: dict[str, Any]) -> None:
        before, after = old.get("Targets", []), self.properties.get("Targets", [])
        if gone := [target for target in before if target not in after]:
            self.call("deregister_targets", TargetGroupArn=self.ref, Targets=gone)
        if new := [target for target in after if target not in before]:
            self.call("register_targets", TargetGroupArn=self.ref, Targets=new)


class Listener(BalancerResource):
    """A listener of a load balancer."""

    TYPE = "AWS::ElasticLoadBalancingV2::Listener"

    def create(self) -> None:
        """Create it."""
        self.ref = self.call("create_listener", **self.without("ListenerAttributes"))["Listeners"][0]["ListenerArn"]
        self.attributes = {"ListenerArn": self.ref}

    def update(self, old: dict[str, Any]) -> None:
        """Change it."""
        self.call("modify_listener", ListenerArn=self.ref, **self.without("LoadBalancerArn", "ListenerAttributes"))

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_listener", ListenerArn=self.ref)


class ListenerRule(BalancerResource):
    """A rule of a listener."""

    TYPE = "AWS::ElasticLoadBalancingV2::ListenerRule"

    def create(self) -> None:
        """Create it."""
        self.ref = self.call("create_rule", **self.properties)["Rules"][0]["RuleArn"]
        self.attributes = {"RuleArn": self.ref, "IsDefault": False}

    def update(self, old: dict[str, Any]) -> None:
        """Change what it is for, where it leads and its priority."""
        self.call("modify_rule", RuleArn=self.ref, **self.of("Actions", "Conditions"))
        if self.changed(old, "Priority"):
            wanted = [{"RuleArn": self.ref, **self.of("Priority")}]
            self.call("set_rule_priorities", RulePriorities=wanted)

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_rule", RuleArn=self.ref)


def install() -> None:
    """Do nothing: the types are registered as they are defined."""
