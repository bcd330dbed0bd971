"""A site that tests change and apply again, with real Terraform in the rehearsal account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stacks.synthesis import synthesize
from strictmoto.account import Account
from strictmoto.company import Company, found_company
from tapstack.rehearsal.deployment import SiteDeployment
from tapstack.settings.load import parse_deployment
from tests.terraform.conftest import Terraform

REGION = "eu-central-1"
READING = ("Describe", "Get", "List", "Head")


class SmallSite:
    """A small site: an appliance that mirrors a source."""

    def __init__(self, account: Account, directory: Path) -> None:
        self.account = account
        self.company: Company = found_company(account)
        self._directory = directory
        self.deployed = SiteDeployment(directory / "out" / "stacks" / "ward", account, lambda _: None)
        self.project = "tapstack"
        self.site: dict[str, Any] = {
            "region": REGION,
            "vpc_id": self.company.shop.id,
            "quarantine_security_group": False,
        }

    def write(self) -> list[str]:
        text = json.dumps({"project": self.project, "sites": {"ward": self.site}})
        return synthesize(parse_deployment(text), self._directory, self._directory / "out")

    def apply(self) -> list[str]:
        """Apply the file, and return the calls that changed something."""
        self.write()
        seen = len(self.account.recorder.records())
        self.deployed.apply()
        records = self.account.recorder.records()[seen:]
        actions = [record.call.action for record in records if not record.invoked_by]
        return [action for action in actions if not action.startswith(READING)]

    def plan(self) -> str:
        self.write()
        self.deployed._run("init", "-input=false")
        return self.deployed._run("plan", "-input=false")


@pytest.fixture
def ward(terraform: Terraform, aws_account: Account, tmp_path: Path) -> SmallSite:
    assert terraform
    return SmallSite(aws_account, tmp_path)
