"""A first deploy that fails to create the appliance, with real Terraform in the rehearsal account."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from tapstack.rehearsal.deployment import DeploymentFailedError
from tapstack.rehearsal.packet_basics import publish_template
from tapstack.settings.load import parse_deployment
from tapstack.workspace.credentials import try_credentials
from tapstack.workspace.protections import find_dependents
from tests.terraform.small_site import SmallSite
from tests.terraform.small_site import ward as ward


@pytest.mark.long
def test_when_the_appliance_could_not_be_created_then_the_message_helps_in_another_subnet_too(
    ward: SmallSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    basics: dict[str, Any] = {
        "template_url": publish_template(ward.account.client("s3")),
        "subnet_id": "subnet-0123456789abcdef0",
        "remote_access_cidr": "10.1.0.0/16",
    }
    ward.site["packet_basics"] = basics
    with pytest.raises(DeploymentFailedError, match="ROLLBACK_COMPLETE"):
        ward.apply()

    # Why it is refused: Terraform would replace the stack, and with another subnet the record of the place too.
    with pytest.raises(DeploymentFailedError, match=r"(?s)packet-basics is tainted.*Instance cannot be destroyed"):
        ward.plan()
    basics["subnet_id"] = ward.company.shop.private[0]
    for name, value in ward.account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    deployment = parse_deployment(json.dumps({"project": ward.project, "sites": {"ward": ward.site}}))
    access = try_credentials(deployment, ["ward"]).access
    [said] = find_dependents(deployment, ["ward"], access, "deployment.yaml", "out").protections
    found = re.search(r"\((aws .*)\); then run", said)
    assert found is not None
    delete, wait, forget = (shlex.split(command) for command in found[1].split(" && "))

    # The commands, as they are printed.
    assert delete[:-3] == ["aws", "cloudformation", "delete-stack", "--stack-name"]
    assert wait[:5] == ["aws", "cloudformation", "wait", "stack-delete-complete", "--stack-name"]
    client = ward.account.client("cloudformation")
    client.delete_stack(StackName=delete[-3])
    client.get_waiter("stack_delete_complete").wait(StackName=wait[-3])
    assert find_dependents(deployment, ["ward"], access, "deployment.yaml").protections == []
    with pytest.raises(DeploymentFailedError, match="Instance cannot be destroyed"):
        ward.plan()
    assert forget[:2] == ["terraform", "-chdir=out/stacks/ward"]
    ward.deployed._run(*forget[2:])
    assert "CreateStack" in ward.apply()
