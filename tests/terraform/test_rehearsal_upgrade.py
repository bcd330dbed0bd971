"""What a new version does to what the one before deployed, with real Terraform in the rehearsal account.

`upgrade/version_X.json` is a site, and what version X synthesized of it, without cdktf's comments. Its ids stand for
those of the company. For the next version: synthesize the site with its last commit.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from strictmoto.account import Account
from tapstack.rehearsal.packet_basics import publish_template
from tapstack.workspace.provider_mirror import link_mirror
from tests.terraform.conftest import Terraform
from tests.terraform.small_site import SmallSite

FIXTURES = sorted((Path(__file__).parent / "upgrade").glob("version_*.json"))


@pytest.mark.long
@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_when_a_version_follows_another_then_nothing_is_replaced_or_destroyed(
    fixture: Path, terraform: Terraform, aws_account: Account, tmp_path: Path
) -> None:
    ward = SmallSite(aws_account, tmp_path)
    shop, interfaces = ward.company.shop, ward.company.interfaces
    text = fixture.read_text()
    for known, there in {
        "vpc-00000000000000001": shop.id,
        "subnet-00000000000000001": shop.private[0],
        "subnet-00000000000000002": shop.private[1],
        "eni-00000000000000001": interfaces["database"][0],
        "eni-00000000000000002": interfaces["web-1"][0],
        "eni-00000000000000003": interfaces["web-2"][0],
        "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/TEMPLATE": publish_template(
            aws_account.client("s3")
        ),
    }.items():
        text = text.replace(known, there)
    content = json.loads(text)
    directory = tmp_path / "out" / "stacks" / "ward"
    directory.mkdir(parents=True)
    (tmp_path / "state" / "tapstack").mkdir(parents=True)
    (directory / "cdk.tf.json").write_text(json.dumps(content["terraform"]))
    link_mirror(terraform.mirror, directory)
    ward.deployed.apply()
    before = _sessions(aws_account)
    assert len(before) >= 3

    ward.site = content["site"]
    planned = ward.plan()
    summary = re.search(r"Plan: (\d+) to add, (\d+) to change, (\d+) to destroy", planned)
    assert summary is None or summary[3] == "0", planned
    assert "replaced" not in planned
    ward.deployed.apply()
    assert _sessions(aws_account) == before
    assert "No changes" in ward.plan()


def _sessions(account: Account) -> set[str]:
    found = account.client("ec2").describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
    return {session["TrafficMirrorSessionId"] for session in found}
