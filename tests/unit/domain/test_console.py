"""Pages of the AWS console: of the right partition, whatever is in an id."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.console import execution_page, instance_page
from tapstack.domain.regions import PARTITIONS

INSTANCE = "i-0123456789abcdef0"
hostile = st.text() | st.text("a./#?&=@:%\\\r\n \u202e\ud800<>\"'", max_size=40)
regions = st.sampled_from([region for one in PARTITIONS for region in one.regions])


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "eu-central-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
    ],
)
def test_when_a_page_is_linked_to_then_it_is_in_the_console_of_the_partition(region: str, host: str) -> None:
    assert instance_page(region, INSTANCE) == (
        f"https://{host}/ec2/home?region={region}#InstanceDetails:instanceId={INSTANCE}"
    )
    arn = f"arn:aws:states:{region}:123456789012:execution:tap-frankfurt-response-incidents:inc-1"
    assert execution_page(region, arn) == f"https://{host}/states/home?region={region}#/v2/executions/details/{arn}"


@pytest.mark.parametrize("region", ["us-iso-east-1", "mars-1", "eu-central-1.evil.example", "eu-central-1\n", ""])
def test_when_the_partition_has_no_public_console_or_there_is_none_then_there_is_no_link(region: str) -> None:
    assert instance_page(region, INSTANCE) is None
    assert execution_page(region, "arn") is None


@given(regions | hostile, hostile)
def test_when_ids_hold_anything_then_the_host_is_a_console_and_the_text_is_quoted(region: str, id_: str) -> None:
    for page, before in ((instance_page, "InstanceDetails:instanceId="), (execution_page, "/v2/executions/details/")):
        found = page(region, id_)
        if found is None:
            continue
        parts = urlsplit(found)
        assert parts.scheme == "https"
        assert parts.netloc in {f"{region}.{one.console}" for one in PARTITIONS if one.console}
        assert parts.query == f"region={region}"
        assert found.isascii()
        assert found.isprintable()
        assert not set(found) & set(" <>\"'`\\")
        assert parts.fragment.startswith(before)
        shown = parts.fragment.removeprefix(before)
        assert not set(shown) & set("#?&/=@")
        assert unquote(shown) == id_.encode(errors="replace").decode()
