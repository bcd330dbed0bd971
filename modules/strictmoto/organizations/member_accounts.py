"""Accounts that an organization makes, and when its policies can be attached.

The OrganizationAccountAccessRole is an administrator's.

Sources: AWS Organizations User Guide, "Accessing a member account that has OrganizationAccountAccessRole"; AWS
Organizations API Reference, AttachPolicy (PolicyTypeNotEnabledException).
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
    from moto.organizations.exceptions import PolicyTypeNotEnabledException
    from moto.organizations.models import OrganizationsBackend
    from moto.organizations.responses import OrganizationsResponse
    from moto.utilities.utils import get_partition

    backend: Any = OrganizationsBackend
    response: Any = OrganizationsResponse
    create, attach = backend.create_account, response.attach_policy

    @functools.wraps(create)
    def create_account(self: Any, **given: Any) -> Any:
        answer = create(self, **given)
        member = self.accounts[-1]
        name = given.get("RoleName") or "OrganizationAccountAccessRole"
        iam: Any = iam_backends[member.id][get_partition(member.region)]
        iam.get_role(name).put_policy("AdministratorAccess", _ALL)
        return answer

    @functools.wraps(attach)
    def attach_policy(self: Any) -> Any:
        kept = self.organizations_backend
        kind = kept.get_policy_by_id(self.request_params["PolicyId"]).type
        root = next(unit for unit in kept.ou if unit.id == kept.org.root_id)
        if not any(one["Type"] == kind for one in root.policy_types):
            raise PolicyTypeNotEnabledException
        return attach(self)

    backend.create_account, response.attach_policy = create_account, attach_policy
