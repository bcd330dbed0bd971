"""Least privilege, both ways: every call that was made is allowed, and everything that is allowed was needed."""

from __future__ import annotations

import re
import string
from typing import Final

import pytest

from strictmoto.testing.least_privilege import Proof, Refusal, Surplus, policies_of, prove
from tests.end_to_end.containment_scenarios import CONTAINING
from tests.end_to_end.deployed import SITE, STANDING_SITE, DeployedResponse
from tests.end_to_end.scenarios import EVERYWHERE, NESTED_TEMPLATE, WHERE_ONE_IS_LAUNCHED, Scenarios

# What AWS does in a role's name without a call that the account sees, by the beginning of the action.
UNSEEN: Final = {
    "logs:CreateLogStream": "Lambda writes a function's log",
    "logs:PutLogEvents": "Lambda writes a function's log",
    "logs:": "Step Functions sets up the delivery of its log when the state machine is made",
    "xray:": "Lambda and Step Functions send traces",
    "kms:": "Lambda, SQS and the Scheduler use the key for what they keep",
    "sqs:SendMessage": "Lambda and the Scheduler put away what failed",
    "sqs:ReceiveMessage": "Lambda polls the queue of alerts",
    "sqs:DeleteMessage": "Lambda polls the queue of alerts",
    "sqs:GetQueueAttributes": "Lambda polls the queue of alerts",
}


@pytest.fixture(scope="module", params=[SITE, pytest.param(STANDING_SITE, marks=pytest.mark.long)])
def proof(request: pytest.FixtureRequest, deployed: dict[str, DeployedResponse]) -> Proof:
    """What comes of all scenarios together."""
    response = deployed[request.param]
    its = Scenarios(response)
    its.play(*EVERYWHERE, *CONTAINING, *(WHERE_ONE_IS_LAUNCHED if response.launches else ()))
    policies = policies_of(response.account, response.roles)
    return prove(its.records, policies, its.tags, attributes=its.attributes, state_machine=response.state_machine_arn)


def test_when_everything_has_happened_then_every_call_is_allowed(proof: Proof) -> None:
    refusals = [
        str(refusal) for refusal in proof.refusals if not (_has_no_boundary(refusal) or _the_bucket_allows(refusal))
    ]
    assert refusals == []
    assert proof.judged > 3000


def _has_no_boundary(refusal: Refusal) -> bool:
    """Whether it is the role that a template makes without a boundary, which must be refused."""
    return refusal.role.endswith("-epb") and refusal.action == "iam:CreateRole"


def _the_bucket_allows(refusal: Refusal) -> bool:
    """Whether it is the reading of a nested template in the site's own account, which the bucket's policy allows."""
    return refusal.action == "s3:GetObject" and refusal.resources == (f"arn:aws:s3:::{NESTED_TEMPLATE}",)


def test_when_everything_has_happened_then_whatever_is_allowed_was_needed(proof: Proof) -> None:
    surplus = [
        str(found)
        for found in proof.surplus
        if not found.action.startswith(tuple(UNSEEN)) and not _is_wildcard(found, proof)
    ]
    assert surplus == []


def _is_wildcard(found: Surplus, proof: Proof) -> bool:
    """Whether it is a reading of the appliance's stack, or one of the names that stand for any capital letter.

    The product's template is not public: what its types read is not known.
    """
    if not found.role.endswith("-epb"):
        return False
    if found.action.startswith("ec2:Describe"):
        return True
    beginning, letter = found.resource[:-2], found.resource[-2:]
    if not re.fullmatch(r"[A-Z]\*", letter):
        return False
    unneeded = {one.resource for one in proof.surplus if (one.role, one.action) == (found.role, found.action)}
    return not {f"{beginning}{name}*" for name in string.ascii_uppercase} <= unneeded


def test_when_any_statement_is_taken_away_then_a_call_that_was_made_is_refused(proof: Proof) -> None:
    redundant = [
        str(found)
        for found in proof.redundant
        if not all(one.startswith(tuple(UNSEEN)) for one in found.statement.actions)
    ]
    assert redundant == []
