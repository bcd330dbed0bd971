"""Responses that are deployed once, for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from strictmoto.account import Account
from tests.end_to_end.deployed import SITE, STANDING_SITE, DeployedResponse, deployed_responses
from tests.iam_off import iam as iam
from tests.terraform.conftest import Terraform
from tests.terraform.conftest import terraform as terraform


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """The roles of the response have what they need, and no more."""
    return True


@pytest.fixture(scope="package")
def deployed(
    request: pytest.FixtureRequest,
    terraform: Terraform,
    aws_account_server: Account,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, DeployedResponse]]:
    """The responses by their site; deploying takes more than a minute, so no test here resets the account.

    The standing one is deployed where a long test is to run: no other needs it.
    """
    assert terraform
    scratch = tmp_path_factory.mktemp("responses")
    here = [item for item in request.session.items if Path(__file__).parent in item.path.parents]
    is_long = any(item.get_closest_marker("long") for item in here)
    sites = (SITE, STANDING_SITE) if is_long else (SITE,)
    with deployed_responses(aws_account_server, scratch, sites) as responses:
        yield responses
