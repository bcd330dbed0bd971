"""DynamoDB with many callers at once: no write is lost, no read stumbles over one."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

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
