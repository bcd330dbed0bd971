"""DynamoDB with many callers at once: no write is lost, no read stumbles over one."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models.dynamo_type import Item

from strictmoto.account import Account
from tests.response_by_hand import create_table

KEY = {"pk": {"S": "INCIDENT#1"}, "sk": {"S": "INCIDENT"}}


def test_when_many_write_and_query_an_item_then_nothing_is_lost_and_nothing_fails(
    aws_account: Account, request: pytest.FixtureRequest
) -> None:
    create_table(aws_account.client("dynamodb"), "incidents")
    # A long item, whose reading takes a while, and threads that give way all the time.
    switching = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(switching))
    sys.setswitchinterval(1e-6)
    many = {f"filler-{number}": {"N": "1"} for number in range(400)}
    aws_account.client("dynamodb").put_item(TableName="incidents", Item={**KEY, **many})

    def write(number: int) -> None:
        client = aws_account.client("dynamodb")
        for turn in range(10):
            client.update_item(
                TableName="incidents",
                Key=KEY,
                UpdateExpression="ADD written :one SET #new = :one",
                ExpressionAttributeNames={"#new": f"attribute-{number}-{turn}"},
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    def query(_: int) -> None:
        client = aws_account.client("dynamodb")
        for _turn in range(15):
            client.query(
                TableName="incidents",
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": "INCIDENT#1"}},
            )

    with ThreadPoolExecutor(8) as pool:
        both = [pool.submit(work, number) for number in range(6) for work in (write, query)]
    for one in both:
        one.result()  # raises what failed
    item = aws_account.client("dynamodb").get_item(TableName="incidents", Key=KEY)["Item"]
    assert item["written"] == {"N": "60"}
    assert len(item) == 463


def test_when_an_item_has_values_of_every_type_then_it_is_read_as_it_was_written(aws_account: Account) -> None:
    client = aws_account.client("dynamodb")
    create_table(client, "incidents")
    written = {
        **KEY,
        "text": {"S": ""},
        "number": {"N": "-1.50"},
        "binary": {"B": b"\x00\xff"},
        "yes": {"BOOL": True},
        "no": {"BOOL": False},
        "nothing": {"NULL": True},
        "texts": {"SS": ["a", "b"]},
        "numbers": {"NS": ["1", "2"]},
        "binaries": {"BS": [b"\x01", b"\x02"]},
        "list": {"L": [{"S": "a"}, {"L": []}, {"M": {"deep": {"B": b"\x03"}}}]},
        "map": {"M": {"S": {"S": "a name like a type"}, "empty": {"M": {}}}},
    }
    client.put_item(TableName="incidents", Item=written)
    read = client.get_item(TableName="incidents", Key=KEY, ConsistentRead=True)["Item"]
    queried = client.query(
        TableName="incidents", KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": KEY["pk"]}
    )["Items"]
    changed = client.update_item(
        TableName="incidents",
        Key=KEY,
        UpdateExpression="SET seen = :yes",
        ExpressionAttributeValues={":yes": {"BOOL": True}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    for found in (read, *queried):
        assert found == written
    assert changed == {**written, "seen": {"BOOL": True}}


@pytest.mark.parametrize("ranged", [True, False], ids=["with a sort key", "without"])
@pytest.mark.parametrize("stream", [False, True], ids=["no stream", "a stream"])
@pytest.mark.parametrize("refused", ["the condition", "the same item twice", "the expression"])
def test_when_a_transaction_is_cancelled_then_every_item_is_as_it_was_and_in_its_place(
    aws_account: Account, ranged: bool, stream: bool, refused: str
) -> None:
    client = aws_account.client("dynamodb")
    names = ("pk", "sk") if ranged else ("pk",)
    client.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
        ],
        **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}} if stream else {}),
    )

    def key(name: str) -> dict[str, Any]:
        return {"pk": {"S": name[0]}, **({"sk": {"S": name[1:]}} if ranged else {})}

    held = ["a1", "b1", "b2", "c1"] if ranged else ["a", "b", "c"]
    for name in held:
        client.put_item(TableName="t", Item={**key(name), "list": {"L": [{"S": name}]}})

    def scanned() -> list[Any]:
        return list(client.scan(TableName="t")["Items"])

    before = scanned()
    grown = {"UpdateExpression": "SET #l = list_append(#l, :more)", "ExpressionAttributeNames": {"#l": "list"}}
    more = {":more": {"L": [{"S": "more"}]}}
    writes: list[dict[str, Any]] = [
        {"Put": {"TableName": "t", "Item": key("z9")}},
        {"Update": {"TableName": "t", "Key": key(held[0]), **grown, "ExpressionAttributeValues": more}},
        {"Delete": {"TableName": "t", "Key": key(held[1])}},
    ]
    last: dict[str, Any] = {
        "the condition": {"Put": {"TableName": "t", "Item": key("y9"), "ConditionExpression": "attribute_exists(pk)"}},
        "the same item twice": {"Delete": {"TableName": "t", "Key": key("z9")}},
        "the expression": {"Update": {"TableName": "t", "Key": key(held[-1]), "UpdateExpression": "SET a ="}},
    }[refused]
    with pytest.raises(ClientError):
        client.transact_write_items(TransactItems=[*writes, last])
    assert scanned() == before
    client.transact_write_items(TransactItems=writes)
    after = {tuple(item["pk"].values()) + tuple(item.get("sk", {}).values()) for item in scanned()}
    assert len(after) == len(before)
    assert client.get_item(TableName="t", Key=key(held[0]))["Item"]["list"] == {"L": [{"S": held[0]}, {"S": "more"}]}
    assert "Item" not in client.get_item(TableName="t", Key=key(held[1]))


def test_when_a_table_has_many_items_then_a_transaction_copies_those_that_it_names(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = aws_account.client("dynamodb")
    create_table(client, "incidents")
    for number in range(50):
        client.put_item(TableName="incidents", Item={**KEY, "sk": {"S": f"EVENT#{number}"}})
    copied: list[str] = []
    copy_item: Any = Item.__deepcopy__

    def noted(self: Any, memo: Any) -> Any:
        copied.append(self.range_key.value)
        return copy_item(self, memo)

    monkeypatch.setattr(Item, "__deepcopy__", noted)
    client.transact_write_items(
        TransactItems=[{"Put": {"TableName": "incidents", "Item": {**KEY, "sk": {"S": f"EVENT#{n}"}}}} for n in (1, 99)]
    )
    assert set(copied) == {"EVENT#1"}
