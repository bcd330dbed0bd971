"""Nothing that is meant for the account leaves by a proxy, and what is meant for AWS does."""

from __future__ import annotations

import contextlib
import os
import urllib.request
from collections.abc import Iterator

import boto3
import pytest

from strictmoto.account import Account
from strictmoto.proxies import without_proxy
from tapstack.cli.incident_api import IncidentApi, ServiceError, sign_with, sign_with_token
from tapstack.rehearsal.deployment import environment_for
from tapstack.workspace import machine
from tests.proxy import RecordingProxy
from tests.strictmoto.http_api.conftest import HttpApi
from tests.strictmoto.lambda_.functions import Lambda
from tests.strictmoto.signing import keys_of

BOTH = ("NO_PROXY", "no_proxy")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({}, ("127.0.0.1,localhost",) * 2),
        ({"NO_PROXY": ".example.com, 10.0.0.1"}, (".example.com,10.0.0.1,127.0.0.1,localhost",) * 2),
        ({"no_proxy": "localhost"}, ("localhost,127.0.0.1",) * 2),
        (
            {"NO_PROXY": "a.example", "no_proxy": "b.example"},
            ("a.example,127.0.0.1,localhost", "b.example,127.0.0.1,localhost"),
        ),
        ({"NO_PROXY": "*"}, ("*",) * 2),
        ({"NO_PROXY": ""}, ("127.0.0.1,localhost",) * 2),
    ],
)
def test_when_hosts_do_without_a_proxy_then_this_machine_joins_them(
    held: dict[str, str], expected: tuple[str, str]
) -> None:
    assert tuple(without_proxy(held).values()) == expected


@pytest.fixture(params=[None, "intranet.example.com"])
def account(
    request: pytest.FixtureRequest,
    proxy: RecordingProxy,
    aws_account_server: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Account]:
    """An account that begins where a proxy is set, with and without hosts that do without it."""
    if request.param:
        monkeypatch.setenv("NO_PROXY", request.param)
    # One account a process: the shared one makes room, and comes back.
    aws_account_server.stop()
    try:
        with Account(enforce_iam=False) as account:
            yield account
    finally:
        aws_account_server.start()


def test_when_a_proxy_is_set_then_clients_of_the_account_do_without_it(account: Account, proxy: RecordingProxy) -> None:
    assert account.client("sts").get_caller_identity()["Account"] == "123456789012"
    assumed = account.client("sts", role_arn="arn:aws:iam::111122223333:role/tapstack-deploy")
    assert assumed.get_caller_identity()["Account"] == "111122223333"
    own = boto3.client("sts", "eu-central-1", endpoint_url=account.endpoint, **account.credentials.as_arguments())
    assert own.get_caller_identity()["Account"] == "123456789012"
    assert proxy.received == []


def test_when_a_function_has_a_proxy_of_its_own_then_it_calls_the_account_without_it(
    account: Account, proxy: RecordingProxy
) -> None:
    functions = Lambda(account)
    code = (
        "import boto3\ndef handler(event, context):\n    return boto3.client('sts').get_caller_identity()['Account']\n"
    )
    variables = {"HTTP_PROXY": proxy.url, "https_proxy": proxy.url, "NO_PROXY": "intranet.example.com"}
    functions.create(code, Timeout=30, MemorySize=256, Environment={"Variables": variables})
    assert functions.invoke().payload == "123456789012"
    assert proxy.received == []


def test_when_a_proxy_is_set_then_the_incident_api_of_the_account_is_called_without_it(
    account: Account, proxy: RecordingProxy
) -> None:
    api = HttpApi(Lambda(account))
    api.create()
    signed = sign_with(keys_of(account), "eu-central-1")
    assert IncidentApi(api.endpoint, signed).get("/incidents")["rawPath"] == "/incidents"
    assert proxy.received == []


def test_when_terraform_is_started_then_it_keeps_the_proxy_for_the_registry_alone(
    account: Account, proxy: RecordingProxy
) -> None:
    found = environment_for(account)
    assert (found["HTTPS_PROXY"], found["https_proxy"]) == (proxy.url, proxy.url)
    for name in BOTH:
        assert found[name].split(",")[-2:] == ["127.0.0.1", "localhost"]


def test_when_the_account_has_ended_then_the_environment_is_as_it_was(
    proxy: RecordingProxy, aws_account_server: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_account_server.stop()
    try:
        monkeypatch.setenv("NO_PROXY", "intranet.example.com")
        with Account():
            assert os.environ["no_proxy"] == "intranet.example.com,127.0.0.1,localhost"
        assert [os.environ.get(name) for name in BOTH] == ["intranet.example.com", None]
    finally:
        aws_account_server.start()


def test_when_aws_or_the_registry_is_called_then_it_is_by_the_proxy(account: Account, proxy: RecordingProxy) -> None:
    host = "abc.execute-api.eu-central-1.amazonaws.com"
    with pytest.raises(ServiceError, match="cannot be reached"):
        IncidentApi(f"https://{host}", sign_with_token("t"), pause=lambda _: None).get("/incidents")
    assert not machine.registry_answers()
    with contextlib.suppress(OSError):
        urllib.request.urlopen("http://sts.eu-central-1.amazonaws.com", timeout=5)
    assert {line.split()[1] for line in proxy.received} == {
        f"{host}:443",
        "registry.terraform.io:443",
        "http://sts.eu-central-1.amazonaws.com",
    }
