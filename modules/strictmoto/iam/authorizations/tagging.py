"""What the tagging API needs besides its own action: that of each service whose resources it tags.

Source: Resource Groups Tagging API Reference, TagResources and UntagResources ("you must have the necessary permissions
to tag the resources of the service").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.iam.authorizations.authorization import Authorization
from strictmoto.iam.authorizations.tags import keys_about, tag_keys_of, tags_of
from strictmoto.requests.calls import Call

_USUAL: Final = ("TagResource", "UntagResource")
_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "autoscaling": ("CreateOrUpdateTags", "DeleteTags"),
    "ec2": ("CreateTags", "DeleteTags"),
    "elasticloadbalancing": ("AddTags", "RemoveTags"),
    "rds": ("AddTagsToResource", "RemoveTagsFromResource"),
    "redshift": ("CreateTags", "DeleteTags"),
    "s3": ("PutBucketTagging", "PutBucketTagging"),
    "sqs": ("TagQueue", "UntagQueue"),
}
"""Actions that tag and untag, where they have names of their own."""


def authorizations_of(call: Call, requested: Mapping[str, Any]) -> Iterator[Authorization]:
    """Yield what each resource needs that a call of the tagging API tags or untags."""
    if call.service != "tagging" or call.action not in ("TagResources", "UntagResources"):
        return
    untags = call.action == "UntagResources"
    context = {"aws:RequestedRegion": call.region, **keys_about(tags_of(requested), tag_keys_of(requested))}
    for arn in map(str, requested.get("ResourceARNList") or ()):
        if arn.count(":") < 5:
            continue
        service = arn.split(":")[2]
        yield Authorization(f"{service}:{_NAMES.get(service, _USUAL)[untags]}", (arn,), context)
