"""Where a call was made: what its ARNs begin with."""

from __future__ import annotations

from dataclasses import dataclass

from moto.utilities.utils import get_partition


@dataclass(frozen=True, slots=True)
class Place:
    """The account of a principal, and the Region that it called.

    Attributes:
        region: of the call.
        account: of the principal, to whom what it names without an ARN belongs.
    """

    region: str
    account: str

    def arn(self, service: str, resource: str, *, region: bool = True, account: bool = True) -> str:
        """Return the ARN of a resource; one that is an ARN already stays as it is."""
        if resource.startswith("arn:"):
            return resource
        where = self.region if region else ""
        return f"arn:{get_partition(self.region)}:{service}:{where}:{self.account if account else ''}:{resource}"
