"""A capture and its response, deployed with real Terraform into the rehearsal account, from nothing to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.synthesis import synthesize
from strictmoto.account import Account
from strictmoto.company import found_company
from strictmoto.testing.snapshot import differences, take_snapshot
from tapstack.rehearsal.deployment import SiteDeployment
from tapstack.rehearsal.packet_basics import publish_template
from tapstack.settings.load import parse_deployment
from tapstack.workspace import state
from tests.terraform.conftest import Terraform, as_the_role_that_applies

pytestmark = pytest.mark.long

REGION = "eu-central-1"


def test_when_a_capture_and_its_response_are_deployed_then_second_plans_are_empty_and_destroy_deletes_all(
    terraform: Terraform, aws_account: Account, tmp_path: Path
) -> None:
    assert terraform
    company = found_company(aws_account)
    text = f"""
sites:
  ward:
    region: {REGION}
    vpc_id: {company.shop.id}
    quarantine_security_group: false
    packet_basics:
      template_url: "{publish_template(aws_account.client("s3"))}"
      subnet_id: {company.shop.private[0]}
      remote_access_cidr: 10.64.0.0/16
      deletion_protection: false
    sessions: {{web: {{sources: [{{network_interface_id: {company.interfaces["web-1"][0]}}}]}}}}
    response:
      containment: {{modes: [approval, now], two_step: {{enabled: true}}}}
      deletion_protection: false
"""
    # Everything that a deployment needs is in the policies of docs/iam.
    credentials = as_the_role_that_applies(aws_account)
    before = take_snapshot(aws_account, region=REGION)
    deployment = parse_deployment(text)
    assert synthesize(deployment, tmp_path, tmp_path / "out") == []
    names = state.stack_names(deployment)
    capture, response = (
        SiteDeployment(tmp_path / "out" / "stacks" / name, aws_account, lambda _: None, credentials=credentials)
        for name in names
    )

    # It stands: the response finds what the capture made.
    made = capture.apply()
    outputs = response.apply()
    assert set(outputs) == {"api_endpoint", "state_machine_arn", "table_name", "topic_arn", "dashboard_url"}
    function = aws_account.client("lambda").get_function_configuration(FunctionName="tapstack-ward-response-api")
    assert made["mirror_target_ids"]["packet_basics"] in function["Environment"]["Variables"]["TAPSTACK_SETTINGS"]

    # The groups that contain are what they are called.
    ec2 = aws_account.client("ec2", region=REGION)
    wanted = [{"Name": "tag:tapstack:purpose", "Values": ["quarantine", "untrack"]}]
    groups = {group["GroupName"]: group for group in ec2.describe_security_groups(Filters=wanted)["SecurityGroups"]}
    assert set(groups) == {"tapstack-ward-response-quarantine", "tapstack-ward-response-untrack"}
    quarantine, untrack = groups["tapstack-ward-response-quarantine"], groups["tapstack-ward-response-untrack"]
    assert (quarantine["IpPermissions"], quarantine["IpPermissionsEgress"]) == ([], [])
    assert [len(untrack[name]) for name in ("IpPermissions", "IpPermissionsEgress")] == [1, 1]
    assert quarantine["GroupId"] in function["Environment"]["Variables"]["TAPSTACK_SETTINGS"]

    # It stays, and it goes.
    assert capture.changes() == {}
    assert response.changes() == {}
    response.destroy()
    capture.destroy()
    assert differences(before, take_snapshot(aws_account, region=REGION)) == []
