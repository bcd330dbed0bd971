"""Who belongs to whose organization, as far as sharing needs it."""

from __future__ import annotations

from typing import Any

from moto.organizations.models import organizations_backends
from moto.utilities.utils import get_partition


def organization_of(account: str, region: str) -> tuple[str, frozenset[str]] | None:
    """Return the ARN of an account's organization and the ids of all its accounts; None without one."""
    partition = get_partition(region)
    for _, regions in list(organizations_backends.items()):
        backend: Any = regions.get(partition)
        members = frozenset(member.id for member in backend.accounts) if backend and backend.org else frozenset()
        if account in members:
            return str(backend.org.describe()["Organization"]["Arn"]), members
    return None


def units_of(account: str, region: str) -> frozenset[str]:
    """Return the ARNs of the organizational units that an account is in, however deep."""
    partition = get_partition(region)
    for _, regions in list(organizations_backends.items()):
        backend: Any = regions.get(partition)
        if not backend or not backend.org:
            continue
        parents = {unit.id: unit for unit in backend.ou}
        member = next((member for member in backend.accounts if member.id == account), None)
        found = set()
        parent = getattr(member, "parent_id", None)
        while parent in parents:
            found.add(str(parents[parent].arn))
            parent = getattr(parents[parent], "parent_id", None)
        if member is not None:
            return frozenset(found)
    return frozenset()
