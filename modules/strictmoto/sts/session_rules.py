"""What STS takes when temporary credentials are asked for: how long, how large, and which policies and tags.

Sources: STS API Reference, AssumeRole, AssumeRoleWithWebIdentity, GetSessionToken and GetFederationToken, "Request
Parameters"; IAM User Guide, "Pass session tags in AWS STS". Codes that no page names are inferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.iam.models import iam_backends

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests.arns import is_somewhere
from strictmoto.requests.calls import Call
from strictmoto.requests.structures import requested_by

_DAY_AND_A_HALF: Final = 129_600
_HALF_A_DAY: Final = 43_200
_LONGEST: Final = {
    "AssumeRole": _HALF_A_DAY,
    "AssumeRoleWithSAML": _HALF_A_DAY,
    "AssumeRoleWithWebIdentity": _HALF_A_DAY,
    "GetFederationToken": _DAY_AND_A_HALF,
    "GetSessionToken": _DAY_AND_A_HALF,
}
"""Seconds, by action."""
_SHORTEST: Final = 900
_POLICY_LENGTH: Final = 2048
_POLICIES: Final = 10
_INVALID: Final = "ValidationError"


def refusal_of_sessions(call: Call) -> Refusal | None:
    """Return how STS refuses what is asked of a session; None where it takes it."""
    if call.service != "sts" or call.action not in _LONGEST:
        return None
    return next(_refusals(requested_by(call), _LONGEST[call.action]), None)


def _refusals(requested: Mapping[str, Any], longest: int) -> Iterator[Refusal]:
    seconds = str(requested.get("DurationSeconds") or _SHORTEST)
    if not seconds.isascii() or not seconds.isdecimal():
        yield Refusal("MalformedInput", "Invalid Argument")
        return
    if int(seconds) < _SHORTEST:
        yield _constraint(seconds, "durationSeconds", f"Member must have value greater than or equal to {_SHORTEST}")
    if int(seconds) > longest:
        yield _constraint(seconds, "durationSeconds", f"Member must have value less than or equal to {longest}")
    policy = str(requested.get("Policy") or "")
    if len(policy) > _POLICY_LENGTH:
        yield _constraint(policy, "policy", f"Member must have length less than or equal to {_POLICY_LENGTH}")
    arns = [str(one.get("arn", "")) for one in requested.get("PolicyArns") or ()]
    if len(arns) > _POLICIES:
        yield _constraint(str(arns), "policyArns", f"Member must have length less than or equal to {_POLICIES}")
    for arn in arns:
        if not _exists(arn):
            yield Refusal("MalformedPolicyDocument", f"Policy {arn} does not exist or is not attachable.")
    keys = {str(tag.get("Key")) for tag in requested.get("Tags") or ()}
    for key in requested.get("TransitiveTagKeys") or ():
        if key not in keys:
            yield Refusal(_INVALID, f"The transitive tag key '{key}' is not a key of a session tag.")


def _constraint(value: str, member: str, constraint: str) -> Refusal:
    message = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    return Refusal(_INVALID, message)


def _exists(arn: str) -> bool:
    if not is_somewhere(arn):
        return False
    parts = arn.split(":")
    # The policies of AWS are in every account.
    accounts = [parts[4]] if parts[4].isdecimal() else list(iam_backends)[:1]
    return any(arn in iam_backends[account][parts[1]].managed_policies for account in accounts)
