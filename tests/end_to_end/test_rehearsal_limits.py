"""What the deployed roles of a containment may not do, each beside what they may: a policy that is widened is found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pytest

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.iam.policies import Request, Resource, Statement, Verdict, judge
from strictmoto.testing.least_privilege import policies_of
from strictmoto.testing.resource_conditions import attributes_now
from tests.end_to_end.deployed import SITE, STANDING_SITE, DeployedResponse

HERE: Final = f"{REGION}:{ACCOUNT_ID}"
MODIFY_INTERFACE: Final = "ec2:ModifyNetworkInterfaceAttribute"
MODIFY_INSTANCE: Final = "ec2:ModifyInstanceAttribute"
ROLES: Final = ("containment", "release")
KEEPING_PACKETS: Final = ("appliance", "sweeper")
OTHERS: Final = ("api", "findings", "prepare", "appliance", "capture", "incident", "sweeper")


@dataclass
class Limits:
    """The policies of a site's roles, and the resources that they are asked about."""

    response: DeployedResponse
    policies: dict[str, list[Statement]]
    attributes: dict[str, dict[str, str]]

    @property
    def groups(self) -> dict[str, str]:
        """The groups that contain in the shop's VPC, by what they are for, and those of the company, by name."""
        functions = self.response.account.client("lambda")
        configuration = functions.get_function_configuration(FunctionName=self.response.function("containment"))[
            "Environment"
        ]
        containing = json.loads(configuration["Variables"]["TAPSTACK_SETTINGS"])["containment"]["groups"]
        of_shop = {name: group for name, group in containing[self.response.company.shop.id].items() if group}
        return {**of_shop, **self.response.company.security_groups}

    def group(self, name: str) -> Resource:
        return self._of_ec2("security-group", self.groups[name])

    def interface(self, instance: str, **sets: str) -> Resource:
        """The first interface of an instance, with attributes that the request sets."""
        return self._of_ec2("network-interface", self.response.company.interfaces[instance][0], **sets)

    def instance(self, name: str, **sets: str) -> Resource:
        return self._of_ec2("instance", self.response.company.instances[name], **sets)

    def tagged(self, name: str, key: str, value: str) -> Resource:
        instance = self.instance(name)
        return Resource(instance.arn, {**instance.context, f"aws:ResourceTag/{key}": (value,)})

    def _of_ec2(self, kind: str, name: str, **sets: str) -> Resource:
        known = {key: (value,) for key, value in self.attributes.get(name, {}).items()}
        given = {f"ec2:Attribute/{key}" if key != "Attribute" else "ec2:Attribute": (v,) for key, v in sets.items()}
        return Resource(f"arn:aws:ec2:{HERE}:{kind}/{name}", known | given)

    def ask(self, function: str, action: str, *resources: Resource, **context: str) -> Verdict:
        """Ask IAM about a call of a function: with the key of an item, the service a role is passed to, a template."""
        keys = {
            "leading": "dynamodb:LeadingKeys",
            "passed": "iam:PassedToService",
            "template": "cloudformation:TemplateUrl",
        }
        shared = {keys[name]: (value,) for name, value in context.items()}
        region = {"ec2:Region": (REGION,), "aws:RequestedRegion": (REGION,)}
        return judge(
            self.policies[self.response.role(function)],
            Request(action, resources or (Resource("*"),), {**region, **shared}),
        )

    def refused(self, function: str, action: str, *resources: Resource, **context: str) -> list[str]:
        """Return the last parts of the ARNs on which it is refused."""
        return [arn.rpartition("/")[2] for arn in self.ask(function, action, *resources, **context).refused]

    def items(self) -> Resource:
        return Resource(f"arn:aws:dynamodb:{HERE}:table/{self.response.table}")


@pytest.fixture(scope="module", params=[SITE, pytest.param(STANDING_SITE, marks=pytest.mark.long)])
def limits(request: pytest.FixtureRequest, deployed: dict[str, DeployedResponse]) -> Limits:
    response = deployed[request.param]
    account = response.account
    return Limits(response, policies_of(account, response.roles), attributes_now(account, region=REGION))


class TestContainment:
    def test_when_it_puts_on_the_group_that_contains_then_it_may(self, limits: Limits) -> None:
        asked = (limits.interface("database"), limits.instance("database"), limits.group("quarantine"))
        assert limits.ask("containment", MODIFY_INTERFACE, *asked).allowed

    @pytest.mark.parametrize("name", ["web", "database", "office"])
    def test_fails_when_it_puts_on_any_other_group(self, limits: Limits, name: str) -> None:
        asked = (limits.interface("database"), limits.instance("database"), limits.group(name))
        assert limits.refused("containment", MODIFY_INTERFACE, *asked) == [limits.groups[name]]

    def test_fails_when_it_puts_on_another_group_besides(self, limits: Limits) -> None:
        asked = (limits.interface("database"), limits.group("quarantine"), limits.group("web"))
        assert limits.refused("containment", MODIFY_INTERFACE, *asked) == [limits.groups["web"]]

    def test_when_there_is_one_step_then_no_group_is_open_to_put_on(self, limits: Limits) -> None:
        assert ("untrack" in limits.groups) is limits.response.launches

    @pytest.mark.long
    def test_fails_when_the_group_contains_for_another_site(self, limits: Limits) -> None:
        """Two responses in one account keep to their own groups."""
        ec2 = limits.response.account.client("ec2")
        purpose = [{"Name": "tag:tapstack:purpose", "Values": ["quarantine", "untrack"]}]
        found = {group["GroupId"] for group in ec2.describe_security_groups(Filters=purpose)["SecurityGroups"]}
        others = sorted(found - set(limits.groups.values()))
        assert others
        asked = [Resource(f"arn:aws:ec2:{HERE}:security-group/{group}") for group in others]
        assert limits.refused("containment", MODIFY_INTERFACE, *asked) == others

    def test_when_the_instance_is_protected_by_its_tag_then_two_persons_may_override_that(self, limits: Limits) -> None:
        protected = limits.tagged("database", "tapstack-protected", "yes")
        for action in (MODIFY_INTERFACE, MODIFY_INSTANCE):
            for function in ("containment", "release"):
                assert limits.ask(function, action, protected).allowed

    @pytest.mark.parametrize(
        ("keeps", "spoils"),
        [
            ({"DisableApiTermination": "true"}, {"DisableApiTermination": "false"}),
            ({"InstanceInitiatedShutdownBehavior": "stop"}, {"InstanceInitiatedShutdownBehavior": "terminate"}),
        ],
        ids=["termination", "shutdown"],
    )
    def test_when_evidence_is_kept_then_it_may_and_spoiling_it_only_the_release(
        self, limits: Limits, keeps: dict[str, str], spoils: dict[str, str]
    ) -> None:
        assert limits.ask("containment", MODIFY_INSTANCE, limits.instance("database", **keeps)).allowed
        assert not limits.ask("containment", MODIFY_INSTANCE, limits.instance("database", **spoils)).allowed
        assert limits.ask("release", MODIFY_INSTANCE, limits.instance("database", **spoils)).allowed

    @pytest.mark.parametrize(
        "action",
        [
            "autoscaling:ExitStandby",
            "elasticloadbalancing:RegisterTargets",
            "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
            "iam:DeleteRolePolicy",
        ],
    )
    def test_fails_when_it_restores_something(self, limits: Limits, action: str) -> None:
        assert not _allows(limits, "containment", action)


class TestRelease:
    @pytest.mark.parametrize("name", ["web", "database", "administration", "quarantine"])
    def test_when_it_puts_on_a_group_of_a_vpc_in_scope_then_it_may_recorded_or_not(
        self, limits: Limits, name: str
    ) -> None:
        """What no condition can say: docs/decisions/0016."""
        asked = (limits.interface("database"), limits.instance("database"), limits.group(name))
        assert limits.ask("release", MODIFY_INTERFACE, *asked).allowed

    def test_fails_when_it_puts_on_a_group_of_another_vpc(self, limits: Limits) -> None:
        asked = (limits.interface("database"), limits.instance("database"), limits.group("office"))
        assert limits.refused("release", MODIFY_INTERFACE, *asked) == [limits.groups["office"]]

    @pytest.mark.parametrize(
        "action",
        [
            "autoscaling:EnterStandby",
            "ec2:CreateSnapshots",
            "ec2:CreateTags",
            "elasticloadbalancing:DeregisterTargets",
            "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
            "iam:PutRolePolicy",
        ],
    )
    def test_fails_when_it_takes_something_away(self, limits: Limits, action: str) -> None:
        assert not _allows(limits, "release", action)

    def test_fails_when_it_writes_down_what_was_there(self, limits: Limits) -> None:
        """It marks prior states as back, and makes none: DynamoDB's conditions know no attributes of new items."""
        for function, allowed in (("containment", True), ("release", False)):
            verdict = limits.ask(
                function, "dynamodb:PutItem", limits.items(), leading="CONTAINMENT#i-0123456789abcdef0"
            )
            assert verdict.allowed is allowed


@pytest.mark.parametrize("function", ROLES)
class TestBoth:
    def test_fails_when_the_interface_lies_in_another_vpc(self, limits: Limits, function: str) -> None:
        interfaces = limits.response.company.interfaces
        assert limits.refused(function, MODIFY_INTERFACE, limits.interface("desktop")) == [interfaces["desktop"][0]]
        # An interface of which IAM does not hear where it lies is none in scope.
        unknown = Resource(limits.interface("database").arn)
        assert limits.refused(function, MODIFY_INTERFACE, unknown) == [interfaces["database"][0]]

    def test_fails_when_groups_are_changed_by_way_of_the_instance(self, limits: Limits, function: str) -> None:
        asked = (limits.instance("database"), limits.group("quarantine"))
        assert limits.refused(function, MODIFY_INSTANCE, *asked) == [limits.groups["quarantine"]]

    @pytest.mark.parametrize(
        "attribute", ["UserData", "InstanceType", "SourceDestCheck", "Kernel", "DisableApiStop", "EbsOptimized"]
    )
    def test_fails_when_another_attribute_of_an_instance_is_modified(
        self, limits: Limits, function: str, attribute: str
    ) -> None:
        allowed = limits.instance("database", DisableApiTermination="true")
        assert limits.ask(function, MODIFY_INSTANCE, allowed).allowed
        assert not limits.ask(function, MODIFY_INSTANCE, limits.instance("database", **{attribute: "x"})).allowed
        by_name = limits.instance("database", Attribute=attribute[0].lower() + attribute[1:])
        assert not limits.ask(function, MODIFY_INSTANCE, by_name).allowed

    @pytest.mark.parametrize(
        "attribute", ["AssociatePublicIpAddress", "Description", "EnablePrimaryIpv6", "SourceDestCheck"]
    )
    def test_fails_when_another_attribute_of_an_interface_is_modified(
        self, limits: Limits, function: str, attribute: str
    ) -> None:
        assert limits.ask(function, MODIFY_INTERFACE, limits.interface("database")).allowed
        asked = limits.interface("database", **{attribute: "true"})
        assert not limits.ask(function, MODIFY_INTERFACE, asked).allowed

    @pytest.mark.parametrize("partition", ["APPLIANCE", "CAPTURE#eni-1", "KEY#alert#1"])
    @pytest.mark.parametrize("action", ["GetItem", "PutItem", "UpdateItem", "DeleteItem"])
    def test_fails_when_it_reaches_for_other_items(
        self, limits: Limits, function: str, action: str, partition: str
    ) -> None:
        assert limits.ask(function, "dynamodb:GetItem", limits.items(), leading="INCIDENT#1").allowed
        assert not limits.ask(function, f"dynamodb:{action}", limits.items(), leading=partition).allowed

    @pytest.mark.parametrize("action", ["DeleteItem", "BatchWriteItem", "Scan"])
    def test_fails_when_it_deletes_what_is_written_down(self, limits: Limits, function: str, action: str) -> None:
        assert not limits.ask(function, f"dynamodb:{action}", limits.items(), leading="CONTAINMENT#i-1").allowed

    @pytest.mark.parametrize(
        "action",
        [
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateSecurityGroup",
            "ec2:CreateTrafficMirrorSession",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteSnapshot",
            "ec2:DeleteTrafficMirrorSession",
            "ec2:DetachNetworkInterface",
            "ec2:ModifySecurityGroupRules",
            "ec2:ModifySnapshotAttribute",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:RunInstances",
            "ec2:StopInstances",
            "ec2:TerminateInstances",
            "autoscaling:TerminateInstanceInAutoScalingGroup",
            "autoscaling:UpdateAutoScalingGroup",
            "iam:AttachRolePolicy",
            "iam:PassRole",
            "iam:UpdateAssumeRolePolicy",
            "states:StartExecution",
            "sts:AssumeRole",
        ],
    )
    def test_fails_when_it_does_anything_else(self, limits: Limits, function: str, action: str) -> None:
        assert not _allows(limits, function, action)

    def test_fails_when_it_reads_any_other_attribute(self, limits: Limits, function: str) -> None:
        def may(attribute: str) -> bool:
            asked = limits.instance("database", Attribute=attribute)
            return limits.ask(function, "ec2:DescribeInstanceAttribute", asked).allowed

        assert may("disableApiTermination")
        assert may("instanceInitiatedShutdownBehavior")
        assert not may("userData")

    def test_fails_when_it_restricts_or_frees_a_role_of_the_response(self, limits: Limits, function: str) -> None:
        action = {"containment": "iam:PutRolePolicy", "release": "iam:DeleteRolePolicy"}[function]
        of_the_instance = Resource(f"arn:aws:iam::{ACCOUNT_ID}:role/payments")
        # Off by default: then no role at all.
        assert limits.ask(function, action, of_the_instance).allowed is limits.response.launches
        for role in limits.response.roles:
            assert not limits.ask(function, action, Resource(role)).allowed, role

    def test_fails_when_it_restricts_or_frees_a_role_of_any_response(
        self, limits: Limits, deployed: dict[str, DeployedResponse], function: str
    ) -> None:
        action = {"containment": "iam:PutRolePolicy", "release": "iam:DeleteRolePolicy"}[function]
        iam = limits.response.account.client("iam")
        for role in (role for response in deployed.values() for role in response.roles):
            tags = iam.list_role_tags(RoleName=role.rpartition("/")[2])["Tags"]
            known = {f"aws:ResourceTag/{tag['Key']}": (tag["Value"],) for tag in tags}
            assert not limits.ask(function, action, Resource(role, known)).allowed, role


class TestLaunchedAppliance:
    """What CloudFormation may do for whoever may update the stack."""

    @pytest.fixture
    def of_stack(self, limits: Limits) -> Limits:
        if not limits.response.launches:
            pytest.skip("its appliance stands")
        return limits

    def role(self, name: str, boundary: str | None = None) -> Resource:
        known = {"iam:PermissionsBoundary": (boundary,)} if boundary else {}
        return Resource(f"arn:aws:iam::{ACCOUNT_ID}:role/{name}", known)

    @pytest.mark.parametrize("action", ["iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy"])
    def test_fails_when_a_role_has_not_the_boundary(self, of_stack: Limits, action: str) -> None:
        ours = f"arn:aws:iam::{ACCOUNT_ID}:policy/{of_stack.response.prefix}-epb-boundary"
        name = f"tapstack-{of_stack.response.site}-epb-Role-1A2B3C4D5E6F"
        assert of_stack.ask("epb", action, self.role(name, ours)).allowed
        assert not of_stack.ask("epb", action, self.role(name)).allowed
        assert not of_stack.ask("epb", action, self.role(name, "arn:aws:iam::aws:policy/PowerUserAccess")).allowed

    @pytest.mark.parametrize("site", ["", "-epb", "-response", "-epb-epb"])
    @pytest.mark.parametrize("of", ["response-capture", "response-epb", "epb-Role-1A2B3C4D5E6F"])
    def test_fails_when_the_role_is_of_a_response_or_of_another_site(
        self, of_stack: Limits, site: str, of: str
    ) -> None:
        name = f"tapstack-{of_stack.response.site}{site}-{of}"
        ours = f"arn:aws:iam::{ACCOUNT_ID}:policy/{of_stack.response.prefix}-epb-boundary"
        its_own = (site, of) == ("", "epb-Role-1A2B3C4D5E6F")
        for action in ("iam:CreateRole", "iam:DeleteRole", "iam:PassRole", "iam:PutRolePolicy"):
            context = {"passed": "ec2.amazonaws.com"}
            assert of_stack.ask("epb", action, self.role(name, ours), **context).allowed is its_own, action

    def test_fails_when_it_passes_its_role_to_another_service(self, of_stack: Limits) -> None:
        role = self.role(f"tapstack-{of_stack.response.site}-epb-Role-1A2B3C4D5E6F")
        assert of_stack.ask("epb", "iam:PassRole", role, passed="ec2.amazonaws.com").allowed
        assert not of_stack.ask("epb", "iam:PassRole", role, passed="lambda.amazonaws.com").allowed

    def test_fails_when_it_starts_an_instance_in_another_subnet(self, of_stack: Limits) -> None:
        company = of_stack.response.company
        mine, other = (Resource(f"arn:aws:ec2:{HERE}:subnet/{subnet}") for subnet in company.shop.private[:2])
        assert of_stack.ask("epb", "ec2:RunInstances", mine).allowed
        assert not of_stack.ask("epb", "ec2:RunInstances", other).allowed

    def test_fails_when_another_template_is_read_or_used(self, of_stack: Limits) -> None:
        asked = {"template": "https://s3.amazonaws.com/mine/epb.template"}
        stack = Resource(f"arn:aws:cloudformation:{HERE}:stack/tapstack-{of_stack.response.site}-epb/x")
        assert not of_stack.ask("appliance", "cloudformation:GetTemplateSummary", **asked).allowed
        assert not of_stack.ask("appliance", "cloudformation:CreateStack", stack, **asked).allowed
        assert not of_stack.ask("appliance", "cloudformation:UpdateStack", stack, **asked).allowed


@pytest.mark.parametrize("function", OTHERS)
@pytest.mark.parametrize(
    "action",
    [
        MODIFY_INTERFACE,
        MODIFY_INSTANCE,
        "autoscaling:EnterStandby",
        "autoscaling:ExitStandby",
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:RegisterTargets",
        "iam:PutRolePolicy",
        "iam:DeleteRolePolicy",
    ],
)
def test_fails_when_any_other_function_contains_or_releases(limits: Limits, function: str, action: str) -> None:
    assert not _allows(limits, function, action)


@pytest.mark.parametrize("function", [function for function in OTHERS if function not in KEEPING_PACKETS])
@pytest.mark.parametrize("action", ["ec2:CreateSnapshots", "ec2:StopInstances"])
def test_fails_when_any_other_function_keeps_packets(limits: Limits, function: str, action: str) -> None:
    assert not _allows(limits, function, action)


@pytest.mark.parametrize("function", KEEPING_PACKETS)
@pytest.mark.parametrize("action", ["ec2:CreateSnapshots", "ec2:StopInstances", "ec2:StartInstances"])
def test_fails_when_packets_of_another_instance_are_kept(limits: Limits, function: str, action: str) -> None:
    """Only those of the appliance that a response launched."""
    instance = limits.tagged("database", "tapstack:deployment", "tapstack")
    assert limits.refused(function, action, instance) == [limits.response.company.instances["database"]]


@pytest.mark.parametrize("function", OTHERS)
def test_fails_when_any_other_function_writes_about_containments(limits: Limits, function: str) -> None:
    for action in ("PutItem", "UpdateItem", "DeleteItem"):
        assert not limits.ask(function, f"dynamodb:{action}", limits.items(), leading="CONTAINMENT#i-1").allowed


def _allows(limits: Limits, function: str, action: str) -> bool:
    """Return whether any statement allows an action, on whatever resource and in whatever context."""
    statements: list[Any] = limits.policies[limits.response.role(function)]
    return any(statement.allows and statement.names(action) for statement in statements)
