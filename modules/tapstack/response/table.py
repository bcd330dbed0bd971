"""The table of incidents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws
from tapstack.domain.table_names import BY_STATE, LISTING, OPENED_AT, PARTITION_KEY, SORT_KEY, TTL
from tapstack.response.key import ResponseKey


class IncidentTable(AwsConstruct):
    """One DynamoDB table: incidents, their timelines, and which incidents hold captures and the appliance.

    Paid by request, encrypted with the deployment's key, restorable to any second of the last 35 days.
    What has outlived its use goes by its `ttl`.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the table.
        key: encrypts it.
        deletion_protection: refuse to be deleted, by any caller and by Terraform.
        tags: on the table.

    See "Point-in-time backups", "Using time to live" and "Using deletion protection" in the Amazon
    DynamoDB Developer Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        key: ResponseKey,
        deletion_protection: bool,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the table."""
        super().__init__(scope, id_)
        self.resource: Any = aws.DynamodbTable(
            self,
            "Resource",
            name=name,
            billing_mode="PAY_PER_REQUEST",
            hash_key=PARTITION_KEY,
            range_key=SORT_KEY,
            attribute=[
                aws.DynamodbTableAttribute(name=attribute, type="S")
                for attribute in (PARTITION_KEY, SORT_KEY, LISTING, OPENED_AT)
            ],
            global_secondary_index=[
                aws.DynamodbTableGlobalSecondaryIndex(
                    # The incidents themselves, without their timelines: open or closed, newest first.
                    name=BY_STATE,
                    hash_key=LISTING,
                    range_key=OPENED_AT,
                    projection_type="ALL",
                )
            ],
            ttl=aws.DynamodbTableTtl(attribute_name=TTL, enabled=True),
            point_in_time_recovery=aws.DynamodbTablePointInTimeRecovery(enabled=True),
            server_side_encryption=aws.DynamodbTableServerSideEncryption(enabled=True, kms_key_arn=key.arn),
            deletion_protection_enabled=deletion_protection,
            tags=dict(tags) if tags else None,
        )

    @property
    def name(self) -> str:
        """Its name, as a token."""
        return str(self.resource.name)

    @property
    def arn(self) -> str:
        """Its ARN, as a token."""
        return str(self.resource.arn)

    @property
    def index_arn(self) -> str:
        """The ARN of its index, as a token."""
        return f"{self.arn}/index/{BY_STATE}"
