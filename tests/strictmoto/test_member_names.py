"""Answers hold what stock moto would write."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from strictmoto.account import Account
from strictmoto.company import found_company
from strictmoto.front import member_names


def test_when_names_are_kept_then_they_are_those_that_moto_works_out(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_company(aws_account)
    met: dict[Any, int] = {}
    kept = member_names._picker.get_possible_keys

    def compared(picker: Any, context: Any) -> Any:
        names = kept(picker, context)
        assert list(names) == list(dict.fromkeys(member_names.worked_out(picker, context)))
        of = (type(context.obj), context.key, context.shape.name)
        met[of] = met.get(of, 0) + 1
        return names

    ec2 = aws_account.client("ec2")
    before = (ec2.describe_instances()["Reservations"], ec2.describe_network_interfaces()["NetworkInterfaces"])
    monkeypatch.setattr(member_names._picker, "get_possible_keys", compared)
    assert before == (ec2.describe_instances()["Reservations"], ec2.describe_network_interfaces()["NetworkInterfaces"])
    aws_account.client("sqs").create_queue(QueueName="a")
    aws_account.client("sns").create_topic(Name="a")
    aws_account.client("iam").list_roles()
    assert len({kind for kind, _, _ in met}) > 5
    assert max(met.values()) > 5


def test_when_an_object_names_its_members_itself_then_that_counts() -> None:
    from moto.core.serialize import AttributePickerContext, XFormedAttributePicker

    class Plain:
        pass

    class Named:
        class Meta:
            serialization_aliases: ClassVar = {"Name": "other"}

    shape: Any = type("Shape", (), {"type_name": "string", "serialization": {}, "name": "String"})()
    member_names.install()
    picker = XFormedAttributePicker()
    names = [
        list(picker.get_possible_keys(AttributePickerContext(obj=one, key="Name", shape=shape)))
        for one in (Plain(), Named(), Plain())
    ]
    assert names == [["Name", "name"], ["other", "Name", "name"], ["Name", "name"]]
