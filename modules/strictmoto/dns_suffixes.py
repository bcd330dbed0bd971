"""Where the hosts of AWS's services end, which is another in some partitions.

Source: AWS Fault Isolation Boundaries whitepaper, "Partitions"; the partitions of botocore's endpoints.
"""

from __future__ import annotations

from typing import Final

from moto.utilities.utils import get_partition

_COMMERCIAL: Final = "amazonaws.com"
_OTHERS: Final = {"aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu"}
PATTERN: Final = r"amazonaws\.(?:com(?:\.cn)?|eu)"
"""A regular expression for each of them."""


def dns_suffix_of(region: str) -> str:
    """Return the end of the hosts of a Region, without a dot before it."""
    return _OTHERS.get(get_partition(region), _COMMERCIAL)
