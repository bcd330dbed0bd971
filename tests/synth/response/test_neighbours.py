"""What a role of one site may do to another's, where one site's name begins the other's: nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from strictmoto.iam.policies import Context, Request, Resource, Statement, judge, read_policy
from tapstack import ContainmentSettings, PacketBasics
from tapstack.bindings import cdk
from tapstack.domain.errors import RuleViolation
from tests.synth.ids import SUBNET, TEMPLATE_URL, VPC
from tests.synth.response.building import Response, launched
from tests.synth.template import new_stack

pytestmark = pytest.mark.thorough

SITES = ("a", "a-epb", "a-packet-basics", "a-response")
_PLACE = {"<partition.partition>": "aws", "<region.id>": "eu-central-1", "<caller_identity.account_id>": "111122223333"}
_LOOKS = re.compile(r"(?:[a-z0-9-]+:)?(?:BatchGet|Describe|Get|List|Query)\w*")
BOUNDARY = "arn:aws:iam::111122223333:policy/ir-{site}-response-epb-boundary"
ROLE = "arn:aws:iam::111122223333:role"


@dataclass
class Site:
    """A site's response, its roles and what it consists of.

    Attributes:
        name: of the site.
        roles: statements by the name of the role.
        resources: ARNs, with the condition keys that each has.
    """

    name: str
    roles: dict[str, list[Statement]]
    resources: list[Resource]


def _text(value: str) -> str:
    for token, word in _PLACE.items():
        value = value.replace(token, word)
    return value


def _site(name: str) -> Site:
    made = Response(
        site=name,
        appliance=launched(capabilities=("CAPABILITY_IAM",)),
        containment=ContainmentSettings(modes=("now",), instance_profile="restrict", snapshots=True),
    )
    resources = made.terraform["resource"]
    # A policy names its role by a token, which is the role's of the same construct.
    names = {path.rpartition("_")[0]: body["name"] for path, body in resources["aws_iam_role"].items()}
    roles = {}
    for path, body in resources["aws_iam_role_policy"].items():
        construct = path.rpartition("_")[0].removesuffix("_Policy")
        [role] = {value for key, value in names.items() if re.fullmatch(rf"{construct}(?:_Role|_Resource)?", key)}
        written = _text(body["policy"]).replace("<iam_policy.arn>", BOUNDARY.format(site=name))
        roles[role] = read_policy(json.loads(written))
    roles |= _of_packet_basics(name)
    return Site(name, roles, list(_resources(name, list(roles), made)))


def _of_packet_basics(site: str) -> dict[str, list[Statement]]:
    """Return the statements of the role that the stack of a site's own appliance has, by its name."""
    stack = new_stack()
    PacketBasics(
        stack,
        "packet-basics",
        template_url=TEMPLATE_URL,
        vpc_id=VPC,
        subnet_id=SUBNET,
        remote_access_cidr="10.20.0.0/16",
        stack_name=f"ir-{site}-packet-basics",
        capabilities=["CAPABILITY_IAM"],
        own_tags={"tapstack:deployment": "ir", "tapstack:site": site},
    )
    text = re.sub(r"\$\{(?:data\.)?aws_(\w+?)\.[\w-]+\.(\w+)\}", r"<\1.\2>", str(cdk.Testing.synth(stack)))
    resources = json.loads(text)["resource"]
    (role,), (policy,) = (resources[kind].values() for kind in ("aws_iam_role", "aws_iam_role_policy"))
    boundary = f"arn:aws:iam::111122223333:policy/ir-{site}-packet-basics-boundary"
    return {role["name"]: read_policy(json.loads(_text(policy["policy"]).replace("<iam_policy.arn>", boundary)))}


def _resources(site: str, roles: list[str], made: Response) -> Iterator[Resource]:
    tags = {"aws:ResourceTag/tapstack:deployment": ("ir",), "aws:ResourceTag/tapstack:site": (site,)}
    everywhere, here = "arn:aws:iam::111122223333", "eu-central-1:111122223333"
    for role in made.all("aws_iam_role"):
        assert role["name"] in roles
        given = {f"aws:ResourceTag/{key}": (value,) for key, value in role["tags"].items()}
        yield Resource(f"{everywhere}:role/{role['name']}", given)
    # What CloudFormation names after the stacks of this site.
    of_response = BOUNDARY.format(site=site)
    of_appliance = of_response.replace("response-epb", "packet-basics")
    yield Resource(of_appliance)
    yield Resource(f"{everywhere}:role/ir-{site}-packet-basics-role", tags)
    for stack, boundary in ((f"ir-{site}-epb", of_response), (f"ir-{site}-packet-basics", of_appliance)):
        bounded = {**tags, "iam:PermissionsBoundary": (boundary,)}
        yield Resource(f"{everywhere}:role/{stack}-ApplianceRole-1A2B3C4D5E6F", bounded)
        yield Resource(f"{everywhere}:instance-profile/{stack}-Profile-1A2B3C4D5E6F")
        yield Resource(f"arn:aws:cloudformation:{here}:stack/{stack}/0a1b2c3d", tags)
    for kind in ("instance", "security-group", "traffic-mirror-session", "traffic-mirror-target", "volume"):
        yield Resource(f"arn:aws:ec2:{here}:{kind}/x-0123456789abcdef0", tags)
    prefix = f"ir-{site}-response"
    yield Resource(f"arn:aws:states:{here}:stateMachine:{prefix}-incidents")
    yield Resource(f"arn:aws:sqs:{here}:{prefix}-dead-letters")
    yield Resource(f"arn:aws:sns:{here}:{prefix}-notices")
    yield Resource(f"arn:aws:dynamodb:{here}:table/{prefix}-incidents")
    yield Resource(f"arn:aws:iam::111122223333:policy/{prefix}-epb-boundary")
    for function in made.all("aws_lambda_function"):
        yield Resource(f"arn:aws:lambda:{here}:function:{function['function_name']}")
        yield Resource(f"arn:aws:logs:{here}:log-group:/aws/lambda/{function['function_name']}:log-stream:x")


@pytest.fixture(scope="module")
def sites() -> dict[str, Site]:
    return {name: _site(name) for name in SITES}


# What any instance may be contained with, and any interface mirrored, is said in docs/decisions/0015 and 0016.
_ANY_OF_THE_ACCOUNT = {
    "autoscaling:",
    "ec2:CreateSnapshots",
    "ec2:CreateTrafficMirrorSession",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifyNetworkInterfaceAttribute",
    "elasticloadbalancing:",
}
# New resources have no tags yet: what they are made with is asked about in TestLaunchedAppliance.
_MAKING = re.compile(r"ec2:(?:Create(?!Tags)|Allocate|Run)\w+")


def _reached(site: Site, other: Site) -> list[str]:
    """Return what roles of a site may change of another's, in any context that does not name this other site."""
    context = {
        "aws:RequestedRegion": ("eu-central-1",),
        "ec2:Region": ("eu-central-1",),
        "iam:PassedToService": ("ec2.amazonaws.com",),
        "events:source": ("tapstack",),
        "cloudformation:TemplateUrl": ("x",),
    }
    found = []
    for role, granted in site.roles.items():
        # What knows no resources is not about one.
        statements = [one for one in granted if not one.allows or one.resources != ("*",)]
        names = {action for statement in statements if statement.allows for action in statement.actions}
        for action in sorted(names):
            if _LOOKS.fullmatch(action) or action.startswith(tuple(_ANY_OF_THE_ACCOUNT)) or _MAKING.fullmatch(action):
                continue
            about = [statement for statement in statements if statement.names(action)]
            for resource in other.resources:
                if judge(about, Request(action, (resource,), context)).allowed:
                    found.append(f"{role} may {action} on {resource.arn}")
    return found


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("other", SITES)
def test_when_names_of_sites_begin_alike_then_no_role_reaches_into_another_site(
    sites: dict[str, Site], name: str, other: str
) -> None:
    reached = _reached(sites[name], sites[other])
    if name == other:
        # The check can find something, and no role reaches those that stacks are created with.
        assert any(f"{name}-packet-basics-role may iam:PutRolePolicy" in line for line in reached)
        assert not any(line.endswith(("-packet-basics-role", "-response-epb", "-boundary")) for line in reached)
        assert any("iam:PassRole" in line for line in reached)
        assert any("iam:PutRolePolicy" in line for line in reached)
        assert any("cloudformation:DeleteStack" in line for line in reached)
    else:
        assert reached == []


def test_when_policies_are_written_then_iam_takes_their_form() -> None:
    """The account's own validator, as far as it goes: what stands in a resource, for example."""
    made = Response(
        appliance=launched(capabilities=("CAPABILITY_IAM",)),
        containment=ContainmentSettings(modes=("now",), instance_profile="restrict", snapshots=True),
    )
    for type_ in ("aws_iam_role_policy", "aws_iam_policy"):
        for body in made.all(type_):
            text = re.sub(r"<[\w.]+>", "arn:aws:s3:::stands-for-a-token", _text(body["policy"]))
            IAMPolicyDocumentValidator(text).validate()


@pytest.mark.parametrize("other", SITES[1:])
def test_fails_when_a_function_restricts_a_role_of_any_response(sites: dict[str, Site], other: str) -> None:
    for function, action in (("containment", "iam:PutRolePolicy"), ("release", "iam:DeleteRolePolicy")):
        statements = sites["a"].roles[f"ir-a-response-{function}"]
        assert judge(statements, Request(action, (Resource(f"{ROLE}/payments"),))).allowed
        for resource in sites[other].resources:
            if ":role/" in resource.arn:
                assert not judge(statements, Request(action, (resource,))).allowed, resource.arn


class TestLaunchedAppliance:
    """What the role that CloudFormation uses may do with IAM: roles of its stack, within the boundary."""

    def ask(self, sites: dict[str, Site], action: str, name: str, **context: str) -> bool:
        given = {f"iam:{key}": (value,) for key, value in context.items()}
        return judge(
            sites["a"].roles["ir-a-response-epb"], Request(action, (Resource(f"{ROLE}/{name}"),), given)
        ).allowed

    @pytest.mark.parametrize("action", ["iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy"])
    def test_when_a_role_has_the_boundary_then_it_is_made(self, sites: dict[str, Site], action: str) -> None:
        name, boundary = "ir-a-epb-ApplianceRole-1A2B3C4D5E6F", BOUNDARY.format(site="a")
        assert self.ask(sites, action, name, PermissionsBoundary=boundary)
        assert not self.ask(sites, action, name)
        assert not self.ask(sites, action, name, PermissionsBoundary=boundary.replace("ir-a-", "ir-b-"))
        assert not self.ask(sites, action, name, PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess")

    @pytest.mark.parametrize(
        "name",
        ["ir-a-epb-response-capture", "ir-a-epb-epb-Role-1A2B", "ir-a-epb", "ir-a-epb-1", "ir-a-response-epb", "Admin"],
    )
    @pytest.mark.parametrize("action", ["iam:CreateRole", "iam:PassRole", "iam:DeleteRole", "iam:TagRole"])
    def test_fails_when_the_name_may_be_anothers(self, sites: dict[str, Site], action: str, name: str) -> None:
        given = {"PermissionsBoundary": BOUNDARY.format(site="a"), "PassedToService": "ec2.amazonaws.com"}
        assert self.ask(sites, action, "ir-a-epb-Role-1A2B", **given)
        assert not self.ask(sites, action, name, **given)

    @pytest.mark.parametrize(
        "action",
        [
            "iam:AttachRolePolicy",
            "iam:CreatePolicyVersion",
            "iam:CreateUser",
            "iam:DeleteRolePermissionsBoundary",
            "iam:PutRolePermissionsBoundary",
            "iam:UpdateAssumeRolePolicy",
            "sts:AssumeRole",
        ],
    )
    def test_fails_when_it_would_gain_more(self, sites: dict[str, Site], action: str) -> None:
        assert not self.ask(sites, action, "ir-a-epb-Role-1A2B", PermissionsBoundary=BOUNDARY.format(site="a"))

    @pytest.mark.parametrize(
        ("action", "resource"),
        [
            ("ec2:RunInstances", "subnet/subnet-0fedcba9876543210"),
            ("ec2:CreateNetworkInterface", "subnet/subnet-0fedcba9876543210"),
            ("ec2:CreateSecurityGroup", "vpc/vpc-0fedcba9876543210"),
        ],
    )
    def test_fails_when_it_makes_something_elsewhere(self, sites: dict[str, Site], action: str, resource: str) -> None:
        statements = sites["a"].roles["ir-a-response-epb"]

        def may(what: str) -> bool:
            return judge(
                statements, Request(action, (Resource(f"arn:aws:ec2:eu-central-1:111122223333:{what}"),))
            ).allowed

        assert may(f"subnet/{SUBNET}" if resource.startswith("subnet") else f"vpc/{VPC}")
        assert not may(resource)

    @pytest.mark.parametrize(
        ("action", "kind"),
        [
            ("CreateTrafficMirrorFilterRule", "traffic-mirror-filter"),
            ("CreateTrafficMirrorSession", "traffic-mirror-filter"),
            ("CreateTrafficMirrorSession", "traffic-mirror-target"),
            ("RunInstances", "security-group"),
            ("CreateNetworkInterface", "security-group"),
        ],
    )
    def test_fails_when_it_makes_something_with_what_is_not_the_stacks(
        self, sites: dict[str, Site], action: str, kind: str
    ) -> None:
        assert self.may(sites, action, kind, self.tags("a"))
        for tags in ({}, self.tags("b"), self.tags("a", deployment="other")):
            assert not self.may(sites, action, kind, tags)

    @pytest.mark.parametrize(
        ("action", "kind"),
        [
            ("CreateTrafficMirrorTarget", "network-interface"),
            ("RunInstances", "network-interface"),
            ("RunInstances", "key-pair"),
            ("RunInstances", "snapshot"),
        ],
    )
    def test_fails_when_it_makes_something_with_what_is_another_sites(
        self, sites: dict[str, Site], action: str, kind: str
    ) -> None:
        assert self.may(sites, action, kind, self.tags("a"))
        # Such as an interface that an instance was made with.
        assert self.may(sites, action, kind, {})
        assert not self.may(sites, action, kind, self.tags("b"))
        assert not self.may(sites, action, kind, self.tags("a", deployment="other"))

    @pytest.mark.parametrize("action", ["CreateTrafficMirrorTarget", "RunInstances"])
    @pytest.mark.parametrize(("subnet", "allowed"), [(SUBNET, True), ("subnet-0fedcba9876543210", False)])
    def test_fails_when_an_interface_is_in_another_subnet(
        self, sites: dict[str, Site], action: str, subnet: str, allowed: bool
    ) -> None:
        # A shared subnet is another account's.
        given = {"ec2:Subnet": (f"arn:aws:ec2:eu-central-1:444455556666:subnet/{subnet}",)}
        assert self.may(sites, action, "network-interface", given) is allowed

    def test_when_a_session_is_made_then_any_interface_may_be_its_source(self, sites: dict[str, Site]) -> None:
        assert self.may(sites, "CreateTrafficMirrorSession", "network-interface", self.tags("b"))

    @pytest.mark.parametrize(
        ("action", "kind"),
        [
            ("AllocateAddress", "elastic-ip"),
            ("CreateNetworkInterface", "network-interface"),
            ("CreateSecurityGroup", "security-group"),
            ("CreateTrafficMirrorFilter", "traffic-mirror-filter"),
            ("CreateTrafficMirrorFilterRule", "traffic-mirror-filter-rule"),
            ("CreateTrafficMirrorSession", "traffic-mirror-session"),
            ("CreateTrafficMirrorTarget", "traffic-mirror-target"),
            ("RunInstances", "instance"),
            ("RunInstances", "network-interface"),
            ("RunInstances", "volume"),
        ],
    )
    def test_when_something_is_new_then_it_is_made_and_tagged(
        self, sites: dict[str, Site], action: str, kind: str
    ) -> None:
        given = {key.replace("Resource", "Request"): value for key, value in self.tags("a").items()}
        assert self.may(sites, action, kind, given)
        assert self.may(sites, "CreateTags", kind, {**given, "ec2:CreateAction": (action,)})
        assert not self.may(sites, "CreateTags", kind, given)

    def tags(self, site: str, deployment: str = "ir") -> dict[str, tuple[str, ...]]:
        given = {"tapstack:deployment": deployment, "tapstack:site": site}
        return {f"aws:ResourceTag/{key}": (value,) for key, value in given.items()}

    def may(self, sites: dict[str, Site], action: str, kind: str, keys: Context) -> bool:
        """Return whether both roles of the site may; they never differ."""
        account = "" if kind == "snapshot" else "111122223333"
        asked = Resource(f"arn:aws:ec2:eu-central-1:{account}:{kind}/x-0123456789abcdef0", keys)
        (answer,) = {
            judge(sites["a"].roles[role], Request(f"ec2:{action}", (asked,))).allowed
            for role in ("ir-a-response-epb", "ir-a-packet-basics-role")
        }
        return answer

    @pytest.mark.parametrize("kind", ["role", "instance-profile"])
    def test_fails_when_a_path_begins_as_the_names_do(self, sites: dict[str, Site], kind: str) -> None:
        """IAM's names are the account's, whatever their path is: the ARN would hide that it is another's."""
        action = "iam:CreateRole" if kind == "role" else "iam:CreateInstanceProfile"
        given = {"iam:PermissionsBoundary": (BOUNDARY.format(site="a"),)}
        for path, allowed in (("", True), ("ir-a-epb-A/", False), ("ir-a-epb-A/x/", False), ("x/", False)):
            name = "ir-b-response-appliance" if path else "ir-a-epb-Role-1A2B"
            asked = Resource(f"arn:aws:iam::111122223333:{kind}/{path}{name}")
            verdict = judge(sites["a"].roles["ir-a-response-epb"], Request(action, (asked,), given))
            assert verdict.allowed is allowed

    @pytest.mark.parametrize(("site", "allowed"), [("a", True), ("a-epb", False), ("", True)])
    def test_fails_when_it_tags_what_it_makes_as_another_sites(
        self, sites: dict[str, Site], site: str, allowed: bool
    ) -> None:
        tag = {"aws:RequestTag/tapstack:site": (site,)} if site else {"aws:RequestTag/Name": ("x",)}
        target = Resource("arn:aws:ec2:eu-central-1:111122223333:traffic-mirror-target/*", tag)
        request = Request("ec2:CreateTags", (target,), {"ec2:CreateAction": ("CreateTrafficMirrorTarget",)})
        assert judge(sites["a"].roles["ir-a-response-epb"], request).allowed is allowed

    def test_when_a_boundary_is_given_then_none_is_made(self) -> None:
        mine = "arn:aws:iam::111122223333:policy/appliances"
        appliance = launched(capabilities=("CAPABILITY_IAM",), permissions_boundary=mine)
        made = Response(appliance=appliance)
        assert made.all("aws_iam_policy") == []
        condition: Any = made.statements("ApplianceRole")["RequirePermissionsBoundary"]["Condition"]
        assert condition == {"StringNotEquals": {"iam:PermissionsBoundary": mine}}

    def test_when_the_boundary_is_made_then_it_bounds_every_principal_but_instances(self) -> None:
        made = Response(appliance=launched(capabilities=("CAPABILITY_IAM",)))
        boundary = made.one("aws_iam_policy")
        assert boundary["name"] == "ir-a-response-epb-boundary"
        statements = read_policy(json.loads(_text(boundary["policy"])))
        region = {"aws:RequestedRegion": ("eu-central-1",)}
        instance = {"ec2:SourceInstanceARN": ("arn:aws:ec2:eu-central-1:111122223333:instance/i-0123456789abcdef0",)}
        elsewhere = {"ec2:SourceInstanceARN": ("arn:aws:ec2:eu-central-1:444455556666:instance/i-0123456789abcdef0",)}
        for context, allowed in (({**region, **instance}, True), (region, False), ({**region, **elsewhere}, False)):
            assert judge(statements, Request("ssm:UpdateInstanceInformation", context=context)).allowed is allowed
        for action in (
            "iam:CreateUser",
            "sts:AssumeRole",
            "ec2:RunInstances",
            "s3:GetObject",
            "secretsmanager:GetSecretValue",
        ):
            assert not judge(statements, Request(action, context={**region, **instance})).allowed

    def test_when_iam_takes_the_policies_then_they_are_short_enough(self) -> None:
        """IAM counts no white space: 10,240 characters in all inline policies of a role."""
        made = Response(site="s" * 20, deployment="d" * 15, appliance=launched(capabilities=("CAPABILITY_IAM",)))
        text = json.dumps(list(made.statements("ApplianceRole").values()), separators=(",", ":"))
        text = text.replace("<iam_policy.arn>", "x" * 160)
        for partition, region in (("aws", "ap-southeast-1"), ("aws-us-gov", "us-gov-west-1")):
            there = text.replace("<partition.partition>", partition).replace("<region.id>", region)
            assert len(_text(there)) < 10_240

    def test_fails_when_the_stack_has_too_long_a_name_for_roles(self) -> None:
        with pytest.raises(RuleViolation, match="expected a name of at most 40 characters, got 41; shorten the names"):
            Response(site="s" * 20, deployment="d" * 16, appliance=launched(capabilities=("CAPABILITY_IAM",)))
        Response(site="s" * 40, deployment="d" * 40, appliance=launched())
