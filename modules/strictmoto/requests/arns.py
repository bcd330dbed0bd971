"""ARNs that callers send, of places that there may not be.

Sources: IAM User Guide, "Identify AWS resources with Amazon Resource Names (ARNs)"; botocore's list of partitions.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from strictmoto.requests.services import regions_of

_ACCOUNT: Final = re.compile(r"\d{12}|aws|", re.ASCII)
_WITHOUT_REGION: Final = frozenset({"iam", "organizations", "s3", "sts"})


@functools.lru_cache(4096)
def is_somewhere(arn: str) -> bool:
    """Return whether an ARN names a partition, a Region and an account that there can be.

    Nothing is where none of it is: what looks a resource up by its ARN must ask this before.
    """
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or (regions := regions_of(parts[1])) is None:
        return False
    if parts[3] not in regions and (parts[3] or parts[2] not in _WITHOUT_REGION):
        return False
    return _ACCOUNT.fullmatch(parts[4]) is not None
