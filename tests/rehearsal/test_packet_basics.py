"""The stand-in for the Marketplace template, as a stack."""

import importlib
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account as RehearsalAccount
from strictmoto.cloudformation.templates import parse
from tapstack.domain.packet_basics import CREDENTIALS_OUTPUT, OWN_PARAMETERS, USER_ACCESS_OUTPUT, check_template_url
from tapstack.domain.regions import PARTITIONS
from tapstack.domain.template_urls import MARKETPLACE_BUCKET
from tapstack.rehearsal.packet_basics import publish_template, template_body
from tests.strictmoto.cloudformation.conftest import Account
from tests.strictmoto.iam.conftest import Enforcing, refusal


def create(account: Account, **given: str) -> dict[str, Any]:
    url = publish_template(account.client("s3"))
    values = {
        "VPCID": account.vpc,
        "MgmtTrafficMirrorSubnetID": account.subnet,
        "RemoteAccessCIDR": "192.0.2.0/24",
        **given,
    }
    account.stacks.create_stack(
        StackName="tap",
        TemplateURL=url,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        Tags=[{"Key": "team", "Value": "response"}],
    )
    return account.stack()


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def by_name(resources: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [found] = [r for r in resources if {"Key": "Name", "Value": name} in r["Tags"]]
    return found


def test_when_cfn_lint_reads_it_then_it_finds_nothing() -> None:
    # It takes seconds to import, which each process that collects tests would wait for.
    cfnlint, api = importlib.import_module("cfnlint"), importlib.import_module("cfnlint.api")
    regions = sorted(parse(template_body())["Mappings"]["Images"])
    found = api.lint(template_body(), config=cfnlint.ManualArgs(regions=regions))
    # Informational findings are about how to document a template for machines.
    assert [match for match in found if match.rule.severity != "informational"] == []


def test_when_it_is_published_then_the_url_has_the_form_of_the_marketplace(account: Account) -> None:
    url = publish_template(account.client("s3"))
    assert re.fullmatch(
        r"https://s3\.amazonaws\.com/awsmp-fulfillment-cf-templates-prod/[0-9a-f-]{36}/\w{32}\.template", url
    )
    assert check_template_url(url) == url
    assert publish_template(account.client("s3")) != url


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-gov-west-1", f"{MARKETPLACE_BUCKET}.s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", f"{MARKETPLACE_BUCKET}.s3.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", f"{MARKETPLACE_BUCKET}.s3.eusc-de-east-1.amazonaws.eu"),
        ("eu-central-1", "s3.amazonaws.com"),
    ],
)
def test_when_it_is_published_in_a_partition_then_its_region_can_read_it(
    aws_account: RehearsalAccount, region: str, host: str
) -> None:
    url = publish_template(aws_account.client("s3", region=region))
    assert url.startswith(f"https://{host}/")
    found = aws_account.client("cloudformation", region=region).get_template_summary(TemplateURL=url)
    assert "VPCID" in [parameter["ParameterKey"] for parameter in found["Parameters"]]


def test_when_regions_are_counted_then_it_has_an_image_in_each_of_every_other_partition_than_aws() -> None:
    elsewhere = {region for partition in PARTITIONS if partition.name != "aws" for region in partition.regions}
    assert elsewhere <= set(parse(template_body())["Mappings"]["Images"])


def test_when_it_is_summarized_then_it_has_the_parameters_of_the_real_one(account: Account) -> None:
    summary = account.stacks.get_template_summary(TemplateURL=publish_template(account.client("s3")))
    parameters = {parameter["ParameterKey"]: parameter for parameter in summary["Parameters"]}
    assert set(parameters) == OWN_PARAMETERS
    assert parameters["PublicEIP"]["ParameterConstraints"] == {"AllowedValues": ["true", "false"]}
    assert parameters["PublicEIP"]["DefaultValue"] == "false"
    assert parameters["VPCID"]["ParameterType"] == "AWS::EC2::VPC::Id"
    assert "DefaultValue" not in parameters["VPCID"]
    assert summary["Version"] == "2010-09-09"
    assert "Capabilities" not in summary or summary["Capabilities"] == []


def test_when_the_stack_is_made_then_the_one_interface_is_manager_and_target(account: Account) -> None:
    stack = create(account)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    [interface] = account.ec2.describe_network_interfaces()["NetworkInterfaces"]
    [reservation] = account.ec2.describe_instances()["Reservations"]
    [instance] = reservation["Instances"]
    assert [i["NetworkInterfaceId"] for i in instance["NetworkInterfaces"]] == [interface["NetworkInterfaceId"]]
    assert (instance["InstanceType"], instance["SubnetId"], instance["VpcId"]) == (
        "m5.xlarge",
        account.subnet,
        account.vpc,
    )
    assert interface["Attachment"]["InstanceId"] == instance["InstanceId"]
    target = by_name(account.ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"], "tap.target")
    assert target["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    mirror_filter = by_name(account.ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"], "tap.filter")
    assert [len(mirror_filter[key]) for key in ("IngressFilterRules", "EgressFilterRules")] == [1, 1]
    assert outputs(stack) == {
        USER_ACCESS_OUTPUT: f"https://{interface['PrivateIpAddress']}",
        CREDENTIALS_OUTPUT: instance["InstanceId"],
    }
    assert account.ec2.describe_addresses()["Addresses"] == []
    assert account.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"] == []


def test_when_a_stack_is_made_then_its_resources_say_so(account: Account) -> None:
    stack = create(account, PublicEIP="true", ENITrafficMirrorSource=account.interface())
    ec2 = account.ec2
    mine = {
        "Target": by_name(ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"], "tap.target")["Tags"],
        "Session": by_name(ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"], "tap.session")["Tags"],
        "PublicAddress": ec2.describe_addresses()["Addresses"][0]["Tags"],
        "FilterRuleInbound": ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"][0]["IngressFilterRules"][0][
            "Tags"
        ],
    }
    for logical_id, tags in mine.items():
        assert {
            "aws:cloudformation:stack-name": "tap",
            "aws:cloudformation:stack-id": stack["StackId"],
            "aws:cloudformation:logical-id": logical_id,
            "team": "response",
        }.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()


def test_when_a_public_address_is_asked_for_then_it_is_on_the_interface(account: Account) -> None:
    stack = create(account, PublicEIP="true")
    [address] = account.ec2.describe_addresses()["Addresses"]
    assert outputs(stack)[USER_ACCESS_OUTPUT] == f"https://{address['PublicIp']}"
    [interface] = account.ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert address["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    assert interface["Association"]["PublicIp"] == address["PublicIp"]


def test_when_a_source_is_given_then_it_is_mirrored(account: Account) -> None:
    source = account.interface()
    create(account, ENITrafficMirrorSource=source, ENITrafficMirrorSessionNumber="7")
    [session] = account.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
    assert (session["NetworkInterfaceId"], session["SessionNumber"]) == (source, 7)


def test_when_the_stack_is_deleted_then_nothing_is_left(account: Account) -> None:
    before = account.left_behind()
    create(account, PublicEIP="true")
    account.stacks.delete_stack(StackName="tap")
    assert account.left_behind() == before == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PublicEIP": "yes"}, "Parameter 'PublicEIP' must be one of AllowedValues"),
        ({"ENITrafficMirrorSessionNumber": "0"}, "Parameter 'ENITrafficMirrorSessionNumber' must be a number not less"),
        ({"RemoteAccessCIDR": "anywhere"}, "Parameter RemoteAccessCIDR failed to satisfy constraint: must be a range"),
        ({"Surprise": "x"}, r"Parameters: \[Surprise\] do not exist in the template"),
    ],
)
def test_fails_when_a_parameter_breaks_its_constraint(account: Account, given: dict[str, str], said: str) -> None:
    with pytest.raises(ClientError, match=said) as refused:
        create(account, **given)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert account.stacks.list_stacks()["StackSummaries"] == []


def test_fails_when_the_vpc_does_not_exist(account: Account) -> None:
    stack = create(account, VPCID="vpc-0123456789abcdef0")
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stack["StackStatusReason"] == (
        "Parameter validation failed: parameter value vpc-0123456789abcdef0 for parameter name VPCID does not exist. "
        "Rollback requested by user."
    )
    assert account.left_behind() == {}


def test_fails_when_the_source_is_mirrored_by_that_number_already(account: Account) -> None:
    source = account.interface()
    create(account, ENITrafficMirrorSource=source)
    before = account.left_behind()
    url = publish_template(account.client("s3"))
    values = account.stack()["Parameters"]
    made = account.stacks.create_stack(StackName="second", TemplateURL=url, Parameters=values)
    second = account.stack("second")
    assert (second["StackId"], second["StackStatus"]) == (made["StackId"], "ROLLBACK_COMPLETE")
    [reason] = [r for name, status, r in account.events("second") if (name, status) == ("Session", "CREATE_FAILED")]
    assert source in reason
    assert account.left_behind() == before


def test_when_the_stand_in_is_published_then_its_readers_need_a_policy(enforcing: Enforcing) -> None:
    stacks = {"Action": "cloudformation:*"}
    url = publish_template(enforcing.client("s3"))
    named = url.removeprefix("https://s3.amazonaws.com/")
    bucket = named.partition("/")[0]
    assert bucket not in [one["Name"] for one in enforcing.client("s3").list_buckets()["Buckets"]]
    may_not = enforcing.worker("cloudformation", stacks)
    assert refusal(may_not.validate_template, TemplateURL=url)[1].startswith("S3 error: Access Denied")
    read = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{named}"}
    enforcing.worker("cloudformation", stacks, read).validate_template(TemplateURL=url)
