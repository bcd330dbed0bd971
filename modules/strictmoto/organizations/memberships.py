"""Who belongs to whose organization, and what its policies allow, as far as sharing and IAM need it."""

from __future__ import annotations

from typing import Any, Final

from moto.organizations.models import organizations_backends
from moto.utilities.utils import get_partition

_SERVICE_CONTROL: Final = "SERVICE_CONTROL_POLICY"


def is_organized() -> bool:
    """Return whether there is any organization."""
    return any(backend.org for _, regions in list(organizations_backends.items()) for backend in regions.values())


def organization_of(account: str, region: str) -> tuple[str, frozenset[str]] | None:
    """Return the ARN of an account's organization and the ids of all its accounts; None without one."""
    found = _find(account, region)
    if found is None:
        return None
    backend, _ = found
    return str(backend.org.describe()["Organization"]["Arn"]), frozenset(member.id for member in backend.accounts)


def units_of(account: str, region: str) -> frozenset[str]:
    """Return the ARNs of the organizational units that an account is in, however deep."""
    return frozenset(str(unit.arn) for unit in _units(account, region))


def path_of(account: str, region: str) -> str:
    """Return the path of an account from its organization, as aws:PrincipalOrgPaths has it; empty without one.

    Source: IAM User Guide, "AWS global condition context keys", aws:PrincipalOrgPaths.
    """
    found = _find(account, region)
    if found is None:
        return ""
    backend, _ = found
    return "/".join([backend.org.id, backend.org.root_id, *(unit.id for unit in reversed(_units(account, region))), ""])


def service_control_policies_of(account: str, region: str) -> list[tuple[str, ...]]:
    """Return the documents of the service control policies of each level: the root, the units, the account.

    None holds for the management account, nor where the root has not enabled them.

    Source: AWS Organizations User Guide, "SCP evaluation" and "Service control policies (SCPs)".
    """
    found = _find(account, region)
    if found is None:
        return []
    backend, member = found
    root = next(unit for unit in backend.ou if unit.id == backend.org.root_id)
    enabled = any(kind["Type"] == _SERVICE_CONTROL for kind in root.policy_types)
    if not enabled or account == backend.org.master_account_id:
        return []
    levels = [root, *reversed(_units(account, region)), member]
    documents = [
        tuple(policy.content for policy in level.attached_policies if policy.type == _SERVICE_CONTROL)
        for level in levels
    ]
    # AWS attaches FullAWSAccess to what is made later, which moto leaves out.
    return [level for level in documents if level]


def _units(account: str, region: str) -> list[Any]:
    """Return the organizational units that an account is in, the nearest one first."""
    found = _find(account, region)
    if found is None:
        return []
    backend, member = found
    parents = {unit.id: unit for unit in backend.ou if unit.id != backend.org.root_id}
    units = []
    parent = getattr(member, "parent_id", None)
    while parent in parents:
        units.append(parents[parent])
        parent = getattr(parents[parent], "parent_id", None)
    return units


def _find(account: str, region: str) -> tuple[Any, Any] | None:
    partition = get_partition(region)
    for _, regions in list(organizations_backends.items()):
        backend: Any = regions.get(partition)
        if backend and backend.org:
            for member in backend.accounts:
                if member.id == account:
                    return backend, member
    return None
