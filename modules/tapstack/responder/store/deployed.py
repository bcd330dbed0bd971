"""What the checks before a deploy, and `tapstack xdr status`, read of a table, with clients of their own.

It imports nothing of the functions.

Source: Amazon DynamoDB API Reference, DescribeTable, Query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tapstack.domain.containment import Kind
from tapstack.domain.containment_release import RELEASE_ORDER
from tapstack.domain.table_names import ALERTS, CONTAINED, PRIOR_STATES
from tapstack.responder.store.items import of_listing, unpack_item


class DeployedTable:
    """A table of incidents that may exist.

    Args:
        client: makes a boto3 client of a service.
        name: of the table.
    """

    def __init__(self, client: Callable[[str], Any], name: str) -> None:
        """Ask nothing of AWS yet."""
        self.name = name
        self._client = client("dynamodb")

    @property
    def is_there(self) -> bool:
        """Whether it exists."""
        return self._describe() is not None

    @property
    def is_protected(self) -> bool:
        """Whether it exists and has deletion protection."""
        return bool((self._describe() or {}).get("DeletionProtectionEnabled"))

    def contained(self) -> dict[str, list[str]]:
        """Return the incidents that hold an instance contained, or that a begun release is for, by instance.

        Nothing where there is no table.
        """
        return {
            item["instance_id"]: item.get("holders") or item.get("releasing_for", [])
            for item in self._listed(CONTAINED)
        }

    def not_restored(self) -> Iterator[tuple[str, Kind]]:
        """Yield the instance and the kind of every prior state that a release would restore and has not yet."""
        for item in self._listed(PRIOR_STATES):
            if (kind := item["kind"]) in RELEASE_ORDER:
                yield item["instance_id"], kind

    def alerts(self, most: int) -> list[dict[str, Any]]:
        """Return what came of the last alerts of other tools, newest first.

        Args:
            most: how many, up to 1,000.
        """
        answer = self._client.query(TableName=self.name, ScanIndexForward=False, Limit=most, **of_listing(ALERTS))
        return [dict(unpack_item(item)["outcome"]) for item in answer["Items"]]

    def _describe(self) -> dict[str, Any] | None:
        try:
            return dict(self._client.describe_table(TableName=self.name)["Table"])
        except self._client.exceptions.ResourceNotFoundException:
            return None

    def _listed(self, listing: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(TableName=self.name, **of_listing(listing))
        try:
            for page in pages:
                yield from map(unpack_item, page["Items"])
        except self._client.exceptions.ResourceNotFoundException:
            return
