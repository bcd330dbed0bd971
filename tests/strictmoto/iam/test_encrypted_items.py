"""Items and secrets that a key of KMS encrypts: who reads or writes them needs the key, by way of their service."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.iam.conftest import HERE, ROOT, Enforcing, policy

REGION: Final = "eu-central-1"
OWNER: Final = {"Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
TABLE: Final = "incidents"
SECRET: Final = "webhooks/soc"
ITEM: Final = {"pk": {"S": "a"}}
BOTH: Final = ("kms:GenerateDataKey", "kms:Decrypt")


class Encrypted:
    """A table with an index, and a secret, that a key encrypts."""

    def __init__(self, enforcing: Enforcing) -> None:
        self.enforcing = enforcing
        self.dynamodb, self.secrets = enforcing.client("dynamodb"), enforcing.client("secretsmanager")
        self.key: str = enforcing.client("kms").create_key(Policy=policy(OWNER))["KeyMetadata"]["Arn"]
        self.table(TABLE, {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": self.key})
        self.secret: str = self.secrets.create_secret(Name=SECRET, KmsKeyId=self.key)["ARN"]

    def table(self, name: str, encryption: dict[str, Any]) -> None:
        self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-pk",
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            SSESpecification=encryption,
        )

    def worker(self, service: str, *actions: str, **more: Any) -> Any:
        """Return a client of a role that may do anything in a service, and these actions with the key."""
        using = [{"Action": list(actions), "Resource": self.key, **more}] if actions else []
        return self.enforcing.worker(service, {"Action": f"{service}:*"}, *using)

    def refused(self, call: Callable[..., Any], action: str, **given: Any) -> None:
        with pytest.raises(ClientError) as raised:
            call(**given)
        error = raised.value.response["Error"]
        assert error["Code"] == "AccessDeniedException"
        assert f"is not authorized to perform: {action} on resource: {self.key}" in error["Message"]


@pytest.fixture
def encrypted(enforcing: Enforcing) -> Encrypted:
    return Encrypted(enforcing)


QUERY: Final = {
    "TableName": TABLE,
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "a"}},
}
CALLS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("put_item", {"TableName": TABLE, "Item": ITEM}),
    ("get_item", {"TableName": TABLE, "Key": ITEM}),
    ("query", QUERY),
    ("query", {**QUERY, "IndexName": "by-pk"}),
    ("scan", {"TableName": TABLE}),
    ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [ITEM]}}}),
    ("batch_write_item", {"RequestItems": {TABLE: [{"PutRequest": {"Item": ITEM}}]}}),
    ("transact_write_items", {"TransactItems": [{"Put": {"TableName": TABLE, "Item": ITEM}}]}),
    ("execute_statement", {"Statement": f"SELECT * FROM \"{TABLE}\" WHERE pk = 'a'"}),
    ("update_item", {"TableName": TABLE, "Key": ITEM, "UpdateExpression": "REMOVE n"}),
    ("delete_item", {"TableName": TABLE, "Key": ITEM}),
]


def test_fails_when_who_reads_or_writes_items_may_not_decrypt(encrypted: Encrypted) -> None:
    without, able = encrypted.worker("dynamodb"), encrypted.worker("dynamodb", "kms:Decrypt")
    for method, given in CALLS:
        encrypted.refused(getattr(without, method), "kms:Decrypt", **given)
        assert getattr(able, method)(**given)
    # What is not encrypted needs no key.
    assert without.describe_table(TableName=TABLE)["Table"]


@pytest.mark.parametrize(
    ("condition", "may"),
    [
        ({"StringEquals": {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}}, True),
        ({"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}, False),
        ({"StringEquals": {"kms:EncryptionContext:aws:dynamodb:tableName": TABLE}}, True),
        ({"StringEquals": {"kms:EncryptionContext:aws:dynamodb:tableName": "other"}}, False),
        ({"StringEquals": {"kms:EncryptionContext:aws:dynamodb:subscriberId": HERE}}, True),
    ],
)
def test_fails_when_a_reader_may_not_decrypt_by_way_of_the_table(
    encrypted: Encrypted, condition: dict[str, Any], may: bool
) -> None:
    reader = encrypted.worker("dynamodb", "kms:Decrypt", Condition=condition)
    if may:
        assert reader.query(**QUERY)["Count"] == 0
    else:
        encrypted.refused(reader.query, "kms:Decrypt", **QUERY)


@pytest.mark.parametrize("encryption", [{"Enabled": True, "SSEType": "KMS"}, {"Enabled": False}])
def test_when_a_table_uses_the_keys_of_aws_then_nothing_more_is_needed(
    encrypted: Encrypted, encryption: dict[str, Any]
) -> None:
    encrypted.table("other", encryption)
    assert encrypted.worker("dynamodb").scan(TableName="other")["Count"] == 0


def test_fails_when_who_sets_a_value_may_not_encrypt(encrypted: Encrypted) -> None:
    given = {"SecretId": SECRET, "SecretString": "one"}
    encrypted.refused(encrypted.worker("secretsmanager").put_secret_value, "kms:GenerateDataKey", **given)
    encrypted.refused(encrypted.worker("secretsmanager").update_secret, "kms:GenerateDataKey", **given)
    condition = {"StringEquals": {"kms:EncryptionContext:SecretARN": encrypted.secret}}
    able = encrypted.worker("secretsmanager", "kms:GenerateDataKey", Condition=condition)
    token = str(uuid.uuid4())
    assert able.put_secret_value(**given, ClientRequestToken=token)["VersionId"] == token
    # The same again is compared with what is there.
    encrypted.refused(able.put_secret_value, "kms:Decrypt", **given, ClientRequestToken=token)
    both = encrypted.worker("secretsmanager", *BOTH)
    assert both.put_secret_value(**given, ClientRequestToken=token)["VersionId"] == token


def test_fails_when_who_reads_a_value_may_not_decrypt(encrypted: Encrypted) -> None:
    encrypted.secrets.put_secret_value(SecretId=SECRET, SecretString="one")
    without = encrypted.worker("secretsmanager")
    encrypted.refused(without.get_secret_value, "kms:Decrypt", SecretId=SECRET)
    encrypted.refused(without.batch_get_secret_value, "kms:Decrypt", SecretIdList=[SECRET])
    assert without.describe_secret(SecretId=SECRET)["Name"] == SECRET
    condition = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    able = encrypted.worker("secretsmanager", "kms:Decrypt", Condition=condition)
    assert able.get_secret_value(SecretId=SECRET)["SecretString"] == "one"


def test_fails_when_who_sets_a_key_may_not_use_it(encrypted: Encrypted) -> None:
    half = encrypted.worker("secretsmanager", "kms:GenerateDataKey")
    encrypted.refused(half.create_secret, "kms:Decrypt", Name="new", KmsKeyId=encrypted.key)
    encrypted.refused(half.update_secret, "kms:Decrypt", SecretId=SECRET, KmsKeyId=encrypted.key)
    assert encrypted.worker("secretsmanager", *BOTH).create_secret(Name="new", KmsKeyId=encrypted.key)["ARN"]


def test_when_a_secret_uses_the_key_of_aws_then_nothing_more_is_needed(encrypted: Encrypted) -> None:
    without = encrypted.worker("secretsmanager")
    without.create_secret(Name="plain", SecretString="one")
    assert without.get_secret_value(SecretId="plain")["SecretString"] == "one"
