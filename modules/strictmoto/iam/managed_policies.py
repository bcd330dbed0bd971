"""AWS managed policies, which moto has and leaves out: made when a policy is looked up first, because it takes a while.

Source: AWS Managed Policy Reference Guide.
"""

from __future__ import annotations

import copy
import functools
import json
from collections import UserDict
from typing import Any, Final

from moto.iam import aws_managed_policies, models

# moto has types, but not for what it keeps in the place of a dictionary.
_models: Any = models
_AWS: Final = "::aws:policy/"


class _Policies(UserDict[str, Any]):
    """The managed policies of an account by ARN; AWS's are there once they are asked for."""

    def __init__(self, account: str, region: str) -> None:
        self._place = (account, region)
        self._made: dict[str, Any] = {}
        self._complete = False
        super().__init__()

    @property
    def data(self) -> dict[str, Any]:
        """All policies."""
        if not self._complete:
            self._complete = True
            account, region = self._place
            for prototype in _prototypes(region):
                # Each account counts for itself where a policy is attached.
                policy = copy.copy(prototype)
                policy.account_id = account
                self._made.setdefault(policy.arn, policy)
        return self._made

    @data.setter
    def data(self, policies: dict[str, Any]) -> None:
        self._made = policies

    def _among(self, arn: str) -> dict[str, Any]:
        """The account's own policies are found without AWS's."""
        return self.data if _AWS in arn else self._made

    def __contains__(self, arn: object) -> bool:
        return arn in self._among(str(arn))

    def __getitem__(self, arn: str) -> Any:
        return self._among(arn)[arn]

    def __setitem__(self, arn: str, policy: Any) -> None:
        self._made[arn] = policy

    def __delitem__(self, arn: str) -> None:
        del self._among(arn)[arn]


@functools.cache
def _prototypes(region: str) -> list[Any]:
    given = json.loads(aws_managed_policies.aws_managed_policies_data)
    return [_models.AWSManagedPolicy.from_data(name, "", region, data) for name, data in given.items()]


def _of_aws(backend: Any) -> list[Any]:
    return [policy for arn, policy in backend.managed_policies.items() if _AWS in arn]


@functools.cache
def install() -> None:
    """Give accounts AWS's policies, once a process; those that exist get them, too."""
    backend = _models.IAMBackend
    for _, partitions in list(models.iam_backends.items()):
        for one in list(partitions.values()):
            kept: Any = _Policies(one.account_id, one.region_name)
            kept.update(one.managed_policies)
            one.managed_policies = kept
            del one.__dict__["aws_managed_policies"]
    # What moto assigns there is empty.
    backend.aws_managed_policies = property(_of_aws, lambda _self, _policies: None)
    backend._init_managed_policies = lambda self: _Policies(self.account_id, self.region_name)
