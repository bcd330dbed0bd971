"""PacketBasics: the CloudFormation stack, what it exposes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tapstack import (
    ApplianceGate,
    Destination,
    IPacketBasics,
    MirrorFilter,
    MirrorSessions,
    MirrorTarget,
    PacketBasics,
    RuleViolation,
    Source,
)
from tapstack.bindings import Construct, cdk
from tapstack.domain import packet_basics as template_rules
from tests.synth.ids import FILTER, GROUP, INSTANCES, SUBNET, TARGET, TEMPLATE_URL, TOKEN, VPC, eni
from tests.synth.template import Template, assert_equal, new_stack, synthesize

REQUIRED: dict[str, Any] = {
    "template_url": TEMPLATE_URL,
    "vpc_id": VPC,
    "subnet_id": SUBNET,
    "remote_access_cidr": "10.20.0.0/16",
}
TOPIC = "arn:aws:sns:eu-central-1:111122223333:stacks"


FINGERPRINT = template_rules.fingerprint(TEMPLATE_URL)
PLACE = {"aws_caller_identity", "aws_region"}
"""Kept beside every appliance: it cannot move."""


def make(stack: Construct, **arguments: Any) -> PacketBasics:
    return PacketBasics(stack, "epb", **{**REQUIRED, **arguments})


@pytest.fixture(scope="module")
def plain() -> Template:
    def build(stack: cdk.TerraformStack) -> None:
        appliance = make(stack)
        for name in ("user_access_url", "credentials", "instance_id", "network_interface_id"):
            cdk.TerraformOutput(stack, name, value=getattr(appliance, name))
        cdk.TerraformOutput(stack, "target", value=appliance.target.mirror_target_id)
        cdk.TerraformOutput(stack, "filter", value=appliance.filter.mirror_filter_id)

    return synthesize(build)


def test_when_only_what_is_needed_is_given_then_the_stack_is_closed_and_careful(plain: Template) -> None:
    stack = plain.resource("aws_cloudformation_stack", "epb")
    del stack["lifecycle"], stack["policy_body"]
    assert_equal(
        stack,
        {
            "tags": {"tapstack:deletion-protection": "on", "tapstack:template": FINGERPRINT},
            "name": "site-epb",
            "template_url": TEMPLATE_URL,
            "parameters": {
                "VPCID": VPC,
                "MgmtTrafficMirrorSubnetID": SUBNET,
                "RemoteAccessCIDR": "10.20.0.0/16",
                "PublicEIP": "false",
            },
            "on_failure": "ROLLBACK",
            "timeout_in_minutes": 30,
            "timeouts": [{"create": "35m", "update": "35m", "delete": "35m"}],
        },
    )


def test_when_everything_is_given_then_the_stack_gets_it() -> None:
    template = synthesize(
        lambda stack: make(
            stack,
            stack_name="epb-prod",
            public_ip=True,
            accept_public_ip=True,
            remote_access_cidr="0.0.0.0/0",
            accept_open_remote_access=True,
            mirror_source=eni(1),
            mirror_session_number=3,
            parameters={"InstanceSize": "xlarge"},
            capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            own_tags={"tapstack:site": "a"},
            on_failure="DELETE",
            timeout_minutes=60,
            notification_arns=[TOPIC],
            tags={"team": "ir"},
        )
    )
    stack = template.resource("aws_cloudformation_stack")
    del stack["lifecycle"], stack["policy_body"], stack["iam_role_arn"]
    assert_equal(
        stack,
        {
            "name": "epb-prod",
            "template_url": TEMPLATE_URL,
            "parameters": {
                "VPCID": VPC,
                "MgmtTrafficMirrorSubnetID": SUBNET,
                "RemoteAccessCIDR": "0.0.0.0/0",
                "PublicEIP": "true",
                "ENITrafficMirrorSource": eni(1),
                "ENITrafficMirrorSessionNumber": "3",
                "InstanceSize": "xlarge",
            },
            "capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            "on_failure": "DELETE",
            "timeout_in_minutes": 60,
            "notification_arns": [TOPIC],
            "timeouts": [{"create": "65m", "update": "65m", "delete": "65m"}],
            "tags": {
                "team": "ir",
                "tapstack:site": "a",
                "tapstack:deletion-protection": "on",
                "tapstack:template": FINGERPRINT,
            },
        },
    )


def lifecycle(stack: dict[str, Any]) -> dict[str, Any]:
    (found,) = stack["lifecycle"]
    return dict(found)


def test_when_an_appliance_is_made_then_no_plan_deletes_or_replaces_it(plain: Template) -> None:
    (place,) = (name for name in plain.names("terraform_data") if "Place" in name)
    assert_equal(
        lifecycle(plain.resource("aws_cloudformation_stack")),
        {
            "prevent_destroy": True,
            "create_before_destroy": True,
            # They matter at creation only, and would replace it later.
            "ignore_changes": ["on_failure", "timeout_in_minutes"],
            "replace_triggered_by": [f"${{terraform_data.{place}}}"],
        },
    )
    where = plain.resource("terraform_data", place)
    assert where["lifecycle"] == [{"prevent_destroy": True, "create_before_destroy": True}]
    (account,), (region,) = plain.data["aws_caller_identity"], plain.data["aws_region"]
    assert_equal(
        where["triggers_replace"],
        {
            "account": f"${{data.aws_caller_identity.{account}.account_id}}",
            "region": f"${{data.aws_region.{region}.id}}",
            "vpc_id": VPC,
            "subnet_id": SUBNET,
        },
    )


WITH_ROLES: dict[str, Any] = {"capabilities": ["CAPABILITY_IAM"], "own_tags": {"tapstack:site": "a"}}


def json_of(build: Callable[[cdk.TerraformStack], Any]) -> dict[str, Any]:
    """The Terraform JSON of a stack, in which policies can be read."""
    stack = new_stack()
    build(stack)
    written: dict[str, Any] = json.loads(cdk.Testing.synth(stack))
    return written


def test_when_a_template_may_make_roles_then_the_stack_has_a_role_of_its_own_which_goes_after_it() -> None:
    resources = json_of(lambda stack: make(stack, **WITH_ROLES))["resource"]
    ((role_id, role),) = resources["aws_iam_role"].items()
    ((policy_id, policy),) = resources["aws_iam_role_policy"].items()
    (boundary,) = resources["aws_iam_policy"].values()
    assert (role["name"], boundary["name"]) == ("site-epb-role", "site-epb-boundary")
    assert role["tags"] == boundary["tags"] == {"tapstack:site": "a"}
    (trusted,) = json.loads(role["assume_role_policy"])["Statement"]
    assert trusted["Principal"] == {"Service": "cloudformation.amazonaws.com"}
    assert trusted["Condition"]["ArnLikeIfExists"]["aws:SourceArn"].endswith(":stack/site-epb/*")
    # The stack refers to the policy, the policy to the role: Terraform deletes them in the order of the list.
    assert (
        f"role/${{aws_iam_role_policy.{policy_id}.role}}"
        in resources["aws_cloudformation_stack"]["epb"]["iam_role_arn"]
    )
    assert policy["role"] == f"${{aws_iam_role.{role_id}.name}}"
    statements = {one["Sid"]: one for one in json.loads(policy["policy"])["Statement"]}
    assert statements["RequirePermissionsBoundary"]["Condition"]["StringNotEquals"][
        "iam:PermissionsBoundary"
    ].startswith("${aws_iam_policy.")
    assert statements["CreateRoles"]["Resource"][0] == "arn:*:iam::*:role/site-epb-A*"
    assert statements["ModifyStackResources"]["Condition"] == {
        "StringEquals": {"aws:ResourceTag/tapstack:site": "a"},
        "StringEqualsIfExists": {"aws:RequestTag/tapstack:site": "a"},
    }
    assert statements["CreateSecurityGroup"]["Resource"][-1].endswith(f":vpc/{VPC}")
    assert statements["RunInstances"]["Resource"][-1].endswith(f":subnet/{SUBNET}")


@pytest.mark.parametrize("capabilities", [[], ["CAPABILITY_AUTO_EXPAND"]])
def test_when_a_template_may_make_no_roles_then_the_stack_has_none(capabilities: list[Any]) -> None:
    template = synthesize(lambda stack: make(stack, capabilities=capabilities, own_tags={"tapstack:site": "a"}))
    assert set(template.resources) == {"aws_cloudformation_stack", "terraform_data"}
    stack = template.resource("aws_cloudformation_stack")
    assert "iam_role_arn" not in stack
    assert "tapstack:site" not in stack["tags"]


def test_when_a_boundary_is_given_then_none_is_made() -> None:
    mine = "arn:aws:iam::111122223333:policy/appliances"
    resources = json_of(lambda stack: make(stack, permissions_boundary=mine, **WITH_ROLES))["resource"]
    assert "aws_iam_policy" not in resources
    (policy,) = resources["aws_iam_role_policy"].values()
    assert {"StringNotEquals": {"iam:PermissionsBoundary": mine}} in [
        one.get("Condition") for one in json.loads(policy["policy"])["Statement"]
    ]


def test_when_a_template_needs_more_then_the_role_gets_it() -> None:
    extra = {"Sid": "Extra", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}
    resources = json_of(lambda stack: make(stack, extra_statements=[extra], **WITH_ROLES))["resource"]
    (policy,) = resources["aws_iam_role_policy"].values()
    assert extra in json.loads(policy["policy"])["Statement"]


@pytest.mark.parametrize("protected", [True, False])
def test_when_a_stack_has_a_role_then_a_plan_without_the_role_would_replace_what_it_must_keep(protected: bool) -> None:
    """Of a stack, as it was deployed without and with the role: what each plan compares."""

    def places(**more: Any) -> dict[str, dict[str, Any]]:
        template = synthesize(lambda stack: make(stack, deletion_protection=protected, **more))
        names = template.names("terraform_data")
        (replacing,) = lifecycle(template.resource("aws_cloudformation_stack"))["replace_triggered_by"]
        found = {name.split("_")[1]: template.resource("terraform_data", name) for name in names}
        return {**found, "replaces": {"name": replacing.split(".")[1].split("_")[1]}}

    without, with_roles = places(), places(**WITH_ROLES)
    # Adding the role replaces nothing that is kept, and not the stack.
    assert with_roles["replaces"]["name"] == "PlaceWithRole"
    assert "PlaceWithRole" not in without
    assert "prevent_destroy" not in lifecycle(with_roles["Place"])
    assert ("prevent_destroy" in lifecycle(with_roles["PlaceWithRole"])) is protected
    # Taking it away replaces what is kept, and with it the stack.
    assert without["replaces"]["name"] == "Place"
    assert ("prevent_destroy" in lifecycle(without["Place"])) is protected
    assert {"role", *without["Place"]["triggers_replace"]} == set(with_roles["Place"]["triggers_replace"])
    other = places(permissions_boundary="arn:aws:iam::111122223333:policy/mine", **WITH_ROLES)
    assert other["PlaceWithRole"]["triggers_replace"] != with_roles["PlaceWithRole"]["triggers_replace"]


@pytest.mark.parametrize("protected", [True, False])
def test_when_a_stack_is_updated_then_its_policy_keeps_what_holds_the_packets(protected: bool) -> None:
    template = synthesize(lambda stack: make(stack, deletion_protection=protected))
    stack = template.resource("aws_cloudformation_stack")
    # Quoted in HCL, as policies are.
    policy = json.loads(stack["policy_body"].replace('\\"', '"'))
    assert policy["Statement"][0] == {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    assert len(policy["Statement"]) == (2 if protected else 1)
    assert stack["tags"]["tapstack:deletion-protection"] == ("on" if protected else "off")
    assert ("prevent_destroy" in lifecycle(stack)) is protected


def test_when_terraform_is_written_as_json_then_the_lifecycle_is_the_same() -> None:
    stack = new_stack()
    make(stack)
    written = json.loads(cdk.Testing.synth(stack))["resource"]["aws_cloudformation_stack"]["epb"]["lifecycle"]
    assert (written["prevent_destroy"], written["ignore_changes"]) == (True, ["on_failure", "timeout_in_minutes"])
    assert len(written["replace_triggered_by"]) == 1


def test_when_a_stack_has_no_appliance_any_more_then_a_plan_finds_the_deployed_one() -> None:
    template = synthesize(lambda stack: ApplianceGate(stack, "epb", tags={"tapstack:site": "a*"}, hint="Ask first."))
    declared = template.resource("aws_cloudformation_stack", "epb")
    assert declared["count"] == 0
    assert lifecycle(declared)["prevent_destroy"] is True
    place = template.resource("terraform_data")
    assert (place["count"], lifecycle(place)["prevent_destroy"]) == (0, True)
    lookup = template.datum("aws_instances")
    (condition,) = lookup["lifecycle"][0]["postcondition"]
    assert condition["condition"] == "${length(self.ids) == 0}"
    assert condition["error_message"].endswith("would delete it with every packet that it keeps. Ask first.")
    assert lookup["filter"] == [
        {"name": "tag:tapstack:site", "values": [r"a\*"]},
        {"name": "tag-key", "values": ["tapstack:deletion-protection"]},
    ]


@pytest.mark.parametrize("nested", [False, True])
def test_when_a_gate_replaces_an_appliance_then_both_have_the_same_address(nested: bool) -> None:
    def address_of(make_one: Callable[[Construct], Any]) -> str:
        stack = new_stack()
        made = make_one(Construct(stack, "inner") if nested else stack)
        return str(made.resource.friendly_unique_id)

    gate = address_of(lambda scope: ApplianceGate(scope, "epb", tags={"team": "soc"}))
    assert gate == address_of(lambda scope: PacketBasics(scope, "epb", **REQUIRED))


def test_fails_when_a_gate_would_find_the_appliances_of_others() -> None:
    with pytest.raises(RuleViolation, match="^site/gate: a gate needs tags"):
        ApplianceGate(new_stack(), "gate", tags={})


def test_when_asked_then_the_outputs_are_those_of_the_stack(plain: Template) -> None:
    stack = "aws_cloudformation_stack.epb"
    assert plain.outputs["user_access_url"]["value"] == f'${{{stack}.outputs["PacketBasicsUserAccess"]}}'
    assert plain.outputs["credentials"]["value"] == f'${{{stack}.outputs["PacketBasicsCredentials"]}}'


@pytest.mark.parametrize("what", ["target", "filter"])
def test_when_asked_then_target_and_filter_are_found_by_name_tag(plain: Template, what: str) -> None:
    (name,) = (name for name in plain.data["aws_resourcegroupstaggingapi_resources"] if what.capitalize() in name)
    lookup = plain.datum("aws_resourcegroupstaggingapi_resources", name)
    (local,) = plain.locals
    (kept,) = (name for name in plain.names("terraform_data") if f"{what.capitalize()}Id" in name)
    condition = plain.resource("terraform_data", kept)["lifecycle"][0]["precondition"][0]
    assert_equal(
        lookup,
        {
            "resource_type_filters": [f"ec2:traffic-mirror-{what}"],
            "tag_filter": [{"key": "Name", "values": [f'${{element(split("/", local.{local}), 1)}}.{what}']}],
        },
    )
    mappings = f"data.aws_resourcegroupstaggingapi_resources.{name}.resource_tag_mapping_list"
    assert condition["condition"] == f"${{length({mappings}) == 1}}"
    assert condition["error_message"] == (
        f"Found no single traffic mirror {what} with the tag Name = site-epb.{what}. The Resource Groups "
        "Tagging API lags behind the creation by minutes: run the same command again. If the template names it "
        f"otherwise, give its id as {what}_id."
    )
    found = plain.resource("terraform_data", kept)["input"]
    assert found == f'${{element(split("/", {mappings}[0].resource_arn), 1)}}'
    assert plain.outputs[what]["value"] == f"${{terraform_data.{kept}.output}}"


def test_when_asked_then_the_interface_is_that_of_the_stacks_instance(plain: Template) -> None:
    (name,) = plain.data["aws_instance"]
    # Through a local: Terraform defers a lookup that refers to the stack itself at every change of the stack.
    ((local, value),) = plain.locals.items()
    assert value == "${aws_cloudformation_stack.epb.id}"
    assert_equal(
        plain.datum("aws_instance"),
        {
            "filter": [
                {"name": "tag:aws:cloudformation:stack-id", "values": [f"${{local.{local}}}"]},
                {"name": "instance-state-name", "values": ["pending", "running", "stopping", "stopped"]},
            ]
        },
    )
    assert plain.outputs["network_interface_id"]["value"] == f"${{data.aws_instance.{name}.network_interface_id}}"
    assert plain.outputs["instance_id"]["value"] == f"${{data.aws_instance.{name}.id}}"


def test_when_ids_are_given_then_nothing_is_looked_up() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        appliance = make(
            stack, target_id=TARGET, filter_id=FILTER, network_interface_id=eni(7), instance_id=INSTANCES[0]
        )
        assert (appliance.network_interface_id, appliance.instance_id) == (eni(7), INSTANCES[0])
        MirrorSessions(
            stack,
            "s",
            sources=[Source.network_interface(eni(1))],
            target=appliance.target,
            filter=appliance.filter,
        )

    template = synthesize(build)
    assert set(template.data) == PLACE
    sessions = template.resource("aws_ec2_traffic_mirror_session")
    assert (sessions["traffic_mirror_target_id"], sessions["traffic_mirror_filter_id"]) == (TARGET, FILTER)


def test_when_no_attribute_is_read_then_nothing_is_looked_up() -> None:
    assert set(synthesize(make).data) == PLACE


def test_when_every_id_is_a_token_then_all_are_passed_on() -> None:
    template = synthesize(
        lambda stack: make(
            stack,
            template_url=TOKEN,
            accept_template_url=True,
            vpc_id=TOKEN,
            subnet_id=TOKEN,
            remote_access_cidr=TOKEN,
            stack_name=TOKEN,
            mirror_source=TOKEN,
            notification_arns=[TOKEN],
        )
    )
    stack = template.resource("aws_cloudformation_stack")
    assert [stack[name] for name in ("template_url", "name", "notification_arns")] == [TOKEN, TOKEN, [TOKEN]]
    ((local, url),) = template.locals.items()
    assert url == TOKEN
    assert stack["tags"]["tapstack:template"] == f"${{substr(sha256(local.{local}), 0, 16)}}"
    assert_equal(
        stack["parameters"],
        {
            "VPCID": TOKEN,
            "MgmtTrafficMirrorSubnetID": TOKEN,
            "RemoteAccessCIDR": TOKEN,
            "PublicEIP": "false",
            "ENITrafficMirrorSource": TOKEN,
            "ENITrafficMirrorSessionNumber": "1",
        },
    )


def test_when_ids_that_need_no_lookup_are_tokens_then_they_are_passed_on() -> None:
    tokens = dict.fromkeys(("target_id", "filter_id", "network_interface_id", "instance_id"), TOKEN)

    def build(stack: cdk.TerraformStack) -> None:
        appliance = make(stack, **tokens)
        found = [appliance.target.mirror_target_id, appliance.filter.mirror_filter_id]
        assert [*found, appliance.network_interface_id, appliance.instance_id] == [TOKEN] * 4

    assert set(synthesize(build).data) == PLACE


def test_when_the_session_number_is_a_token_then_the_parameter_refers_to_it() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        number = cdk.TerraformVariable(stack, "number", type="number")
        make(stack, mirror_source=eni(1), mirror_session_number=number.number_value)

    parameters = synthesize(build).resource("aws_cloudformation_stack")["parameters"]
    assert parameters["ENITrafficMirrorSessionNumber"] == "${var.number}"


def test_when_a_lookup_mirrors_to_the_appliance_then_its_own_interfaces_are_left_out() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        MirrorSessions(
            stack,
            "s",
            sources=[Source.vpc(VPC)],
            target=make(stack).target,
            filter=MirrorFilter.from_id(FILTER),
        )

    template = synthesize(build)
    (instances,) = (name for name in template.data["aws_instances"] if "Appliances" in name)
    (interfaces,) = (n for n in template.data["aws_network_interfaces"] if "ApplianceInterfaces" in n)
    assert_equal(
        template.datum("aws_instances", instances),
        {
            "filter": [{"name": "tag:aws:cloudformation:stack-name", "values": ["site-epb"]}],
            "instance_state_names": ["pending", "running", "stopping", "stopped"],
        },
    )
    (tagged,) = (name for name in template.data["aws_instances"] if "Tagged" in name)
    assert_equal(
        template.datum("aws_instances", tagged)["filter"],
        [
            {"name": "tag:aws:cloudformation:stack-name", "values": ["*"]},
            {"name": "tag-key", "values": ["tapstack:deletion-protection", "tapstack:incident"]},
        ],
    )
    (ids,) = (name for name in template.locals if name.startswith("s_ApplianceIds"))
    both = f"data.aws_instances.{instances}.ids, data.aws_instances.{tagged}.ids"
    assert template.locals[ids] == f"${{distinct(concat({both}))}}"
    datum = template.datum("aws_network_interfaces", interfaces)
    assert datum["filter"] == [{"name": "attachment.instance-id", "values": "${each.value}"}]
    assert datum["for_each"] == f"${{{{for i, part in chunklist(sort(tolist(local.{ids})), 200) : i => part}}}}"
    (local,) = (value for name, value in template.locals.items() if name.startswith("s_Sources"))
    assert "setsubtract(setunion(setsubtract(local.s_Found_" in local
    assert f"setunion(toset(flatten([for found in values(data.aws_network_interfaces.{interfaces}) :" in local


def test_when_a_lookup_mirrors_elsewhere_then_targets_and_appliances_are_left_out_too() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        make(stack)
        PacketBasics.from_stack_name(stack, "existing", "epb-prod")
        MirrorTarget(stack, "other", destination=Destination.network_interface(eni(9)))
        MirrorSessions(
            stack,
            "s",
            sources=[Source.vpc(VPC)],
            target=MirrorTarget.from_id(TARGET),
            filter=MirrorFilter.from_id(FILTER),
        )

    template = synthesize(build)
    (instances,) = (name for name in template.data["aws_instances"] if "Appliances" in name)
    assert template.datum("aws_instances", instances)["filter"][0]["values"] == ["site-epb", "epb-prod"]
    assert [eni(9)] in template.locals.values()


def test_when_the_stack_mirrors_a_source_itself_then_its_number_is_taken() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        make(stack, mirror_source=eni(1), mirror_session_number=1)
        MirrorSessions(
            stack,
            "s",
            sources=[Source.network_interface(eni(1))],
            target=MirrorTarget.from_id(TARGET),
            filter=MirrorFilter.from_id(FILTER),
        )

    sessions = synthesize(build).resource("aws_ec2_traffic_mirror_session")
    assert sessions["for_each"][eni(1)] == 2


def test_when_the_range_is_broad_and_public_then_a_warning_says_so() -> None:
    template = synthesize(lambda stack: make(stack, remote_access_cidr="3.0.0.0/8"))
    assert template.warnings == ["remote access from 3.0.0.0/8 reaches far: give the range that responders come from"]


def test_when_nested_then_the_default_stack_name_has_the_path() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        make(Construct(stack, "incident"))

    assert synthesize(build).resource("aws_cloudformation_stack")["name"] == "site-incident-epb"


def test_when_an_appliance_exists_then_everything_is_looked_up_by_its_stacks_name() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        appliance: IPacketBasics = PacketBasics.from_stack_name(stack, "existing", "epb-prod")
        cdk.TerraformOutput(stack, "portal", value=appliance.user_access_url)
        cdk.TerraformOutput(stack, "interface", value=appliance.network_interface_id)
        MirrorSessions(stack, "s", sources=[Source.subnet(SUBNET)], target=appliance.target, filter=appliance.filter)

    template = synthesize(build)
    (stack,) = template.data["aws_cloudformation_stack"]
    assert template.datum("aws_cloudformation_stack") == {"name": "epb-prod"}
    address = f"data.aws_cloudformation_stack.{stack}"
    assert template.outputs["portal"]["value"] == f'${{{address}.outputs["PacketBasicsUserAccess"]}}'
    (local,) = (name for name, value in template.locals.items() if value == f"${{{address}.id}}")
    assert template.datum("aws_instance")["filter"][0]["values"] == [f"${{local.{local}}}"]
    names = [data["tag_filter"][0] for data in template.data["aws_resourcegroupstaggingapi_resources"].values()]
    assert_equal(
        sorted(name["values"][0] for name in names),
        [f'${{element(split("/", local.{local}), 1)}}.{what}' for what in ("filter", "target")],
    )
    (instances,) = (name for name in template.data["aws_instances"] if "Appliances" in name)
    assert template.datum("aws_instances", instances)["filter"][0]["values"] == ["epb-prod"]
    assert set(template.resources) == {"aws_ec2_traffic_mirror_session", "terraform_data"}


def test_fails_when_the_name_of_the_existing_stack_is_invalid() -> None:
    with pytest.raises(RuleViolation, match="^site/x: '-' is not a CloudFormation stack name"):
        PacketBasics.from_stack_name(new_stack(), "x", "-")


STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"template_url": "http://s3.amazonaws.com/b/k"}, "CloudFormation takes https only"),
        (
            {"template_url": "https://s3.amazonaws.com/mine/epb.template"},
            "is in bucket 'mine', not in AWS Marketplace's",
        ),
        ({"template_url": "${aws_s3_object.epb.url}"}, "is known only when Terraform applies"),
        ({"template_url": "https://example.com/k"}, "CloudFormation takes templates from Amazon S3 only"),
        ({"vpc_id": SUBNET}, f"'{SUBNET}' is not the id of a VPC"),
        ({"subnet_id": VPC}, f"'{VPC}' is not the id of a subnet"),
        ({"remote_access_cidr": "10.0.0.1/8"}, "did you mean 10.0.0.0/8\\?"),
        ({"remote_access_cidr": "0.0.0.0/0"}, "opens the appliance to the whole internet.*accept_open_remote_access"),
        ({"remote_access_cidr": "::/0"}, "remote access from ::/0 is IPv6, and the template takes an IPv4 block"),
        ({"public_ip": True}, "an Elastic IP puts the appliance's portal on the internet.*accept_public_ip"),
        ({"stack_name": "1-epb"}, "'1-epb' is not a CloudFormation stack name"),
        ({"mirror_session_number": 3}, "mirror_session_number needs mirror_source"),
        ({"mirror_source": GROUP}, f"'{GROUP}' is not the id of a network interface"),
        ({"mirror_source": eni(1), "mirror_session_number": 0}, "from 1 to 32766, got 0"),
        ({"parameters": {"VPCID": VPC}}, "VPCID cannot be given as an extra parameter"),
        ({"target_id": FILTER}, f"'{FILTER}' is not the id of a traffic mirror target"),
        ({"filter_id": TARGET}, f"'{TARGET}' is not the id of a traffic mirror filter"),
        ({"network_interface_id": VPC}, "is not the id of a network interface"),
        ({"instance_id": VPC}, "is not the id of an instance"),
        ({"timeout_minutes": 4}, "timeout_minutes must be a whole number from 5 to 240, got 4"),
        ({"timeout_minutes": True}, "timeout_minutes must be a whole number, got True"),
        ({"notification_arns": [TOPIC] * 6}, "a stack notifies at most 5 SNS topics, got 6"),
        ({"notification_arns": ["topic"]}, "'topic' is not the ARN of an SNS topic"),
        ({"capabilities": ["CAPABILITY_IAM"]}, "capabilities for IAM need own_tags: the stack's role may change only"),
        ({**WITH_ROLES, "own_tags": {"Name": "x"}}, r"own_tags\['Name'\]: the template gives each resource a Name"),
        ({**WITH_ROLES, "own_tags": {"team": "a*"}}, r"own_tags\['team'\]: tag value 'a\*' holds '\*'"),
        ({"own_tags": {"aws:team": "x"}}, r"own_tags\['aws:team'\]: tag key 'aws:team' is reserved: AWS sets those"),
        ({"own_tags": {"team": "x" * 257}}, r"own_tags\['team'\]: a tag value holds at most 256 characters, got 257"),
        ({"extra_statements": [STATEMENT]}, "extra_statements go with capabilities CAPABILITY_IAM"),
        (
            {**WITH_ROLES, "extra_statements": [STATEMENT, {"Action": "*", "Resource": "*"}]},
            r"extra_statements\[1\] has no Effect: expected Allow or Deny",
        ),
        ({**WITH_ROLES, "stack_name": "s" * 41}, "expected a name of at most 40 characters, got 41"),
        (
            {"permissions_boundary": "arn:aws:iam::111122223333:policy/b"},
            "permissions_boundary goes with capabilities CAPABILITY_IAM or CAPABILITY_NAMED_IAM",
        ),
        (
            {**WITH_ROLES, "permissions_boundary": "arn:aws:iam::aws:policy/PowerUserAccess"},
            "permissions_boundary PowerUserAccess bounds next to nothing: leave it out, and a boundary is made",
        ),
    ],
)
def test_fails_when_an_argument_is_wrong_or_opens_a_door(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleViolation, match=f"^site/epb(?:/Role)?: .*{message}"):
        make(new_stack(), **arguments)


def test_fails_when_the_appliances_interface_is_mirrored() -> None:
    stack = new_stack()
    appliance = make(stack, network_interface_id=eni(7), target_id=TARGET)
    with pytest.raises(RuleViolation, match=f"network interface {eni(7)} cannot be"):
        MirrorSessions(
            stack,
            "s",
            sources=[Source.network_interface(eni(7))],
            target=appliance.target,
            filter=MirrorFilter.from_id(FILTER),
        )


def test_fails_when_the_appliance_gets_more_than_ten_sources() -> None:
    stack = new_stack()
    with pytest.raises(RuleViolation, match="takes at most 10 distinct sources, got 11"):
        MirrorSessions(
            stack,
            "s",
            sources=[Source.network_interface(eni(n)) for n in range(1, 12)],
            target=make(stack).target,
            filter=MirrorFilter.from_id(FILTER),
        )


def test_fails_when_the_appliance_gets_more_than_ten_sources_with_the_one_of_its_stack() -> None:
    stack = new_stack()
    appliance = make(stack, mirror_source=eni(99))
    with pytest.raises(RuleViolation, match="takes at most 10 distinct sources, got 11"):
        MirrorSessions(
            stack,
            "s",
            sources=[Source.network_interface(eni(n)) for n in range(1, 11)],
            target=appliance.target,
            filter=MirrorFilter.from_id(FILTER),
        )
