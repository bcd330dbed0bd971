"""Accounts that an organization makes: their OrganizationAccountAccessRole is an administrator's.

Source: AWS Organizations User Guide, "Accessing a member account that has OrganizationAccountAccessRole".
"""

from __future__ import annotations

import functools
import json
from typing import Any, Final

_ALL: Final = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


@functools.cache
def install() -> None:
    """Extend moto's organizations, once a process."""
    from moto.iam.models import iam_backends
    from moto.organizations.models import OrganizationsBackend
    from moto.utilities.utils import get_partition

    backend: Any = OrganizationsBackend
    create = backend.create_account

    @functools.wraps(create)
    def create_account(self: Any, **given: Any) -> Any:
        answer = create(self, **given)
        member = self.accounts[-1]
        name = given.get("RoleName") or "OrganizationAccountAccessRole"
        iam: Any = iam_backends[member.id][get_partition(member.region)]
        iam.get_role(name).put_policy("AdministratorAccess", _ALL)
        return answer

    backend.create_account = create_account
