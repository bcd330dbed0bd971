"""Tags of EC2's resources, looked up by the resource's id.

moto compares the id with every tag that was ever given in the account, those of deleted resources included: an
account that lives long becomes slower with each call.

Source: Amazon EC2 API Reference, TagSpecification and DescribeTags (ResourceType).
"""

from __future__ import annotations

import functools
from typing import Any

from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from strictmoto.iam.authorizations.ec2 import KINDS

# moto has types, but none for what is replaced at run time.
Tagged: Any = TaggedEC2Resource


@functools.cache
def install() -> None:
    """Make the moto of this process look them up. A second call changes nothing."""
    Tagged.get_tags = _tags
    # moto has names of its own for some kinds, and none for what it finds no kind of.
    EC2_PREFIX_TO_RESOURCE.update({**KINDS, "uuid4": "reserved-instances"})


def _tags(self: Any) -> list[dict[str, str]]:
    resource_id = self.id
    # Another thread may be tagging it.
    found = dict(self.ec2_backend.tags.get(resource_id, ()))
    if not found:
        return []
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), "")
    return [
        {"resource_id": resource_id, "key": key, "value": value, "resource_type": kind} for key, value in found.items()
    ]
