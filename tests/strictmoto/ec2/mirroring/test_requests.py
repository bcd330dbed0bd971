"""What all actions share: DryRun, ClientToken, required parameters, accounts and Regions, reset."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends

from strictmoto.ec2 import mirroring
from strictmoto.ec2.mirroring import limits
from strictmoto.ec2.mirroring.responses import ACTIONS
from tests.strictmoto.ec2.mirroring.conftest import Clients
from tests.strictmoto.ec2.mirroring.network import REGION, Network, refused

IDS = {
    "NetworkInterfaceId": "eni-0123456789abcdef0",
    "TrafficMirrorFilterId": "tmf-0123456789abcdef0",
    "TrafficMirrorFilterRuleId": "tmfr-0123456789abcdef0",
    "TrafficMirrorSessionId": "tms-0123456789abcdef0",
    "TrafficMirrorTargetId": "tmt-0123456789abcdef0",
}


def test_when_actions_are_counted_then_all_of_botocore_are_there(network: Network) -> None:
    """Every Traffic Mirroring action of botocore's model of EC2."""
    mapping = network.ec2.meta.method_to_api_mapping
    assert sorted(ACTIONS) == sorted(name for name, action in mapping.items() if "TrafficMirror" in action)


@pytest.mark.parametrize("action", ACTIONS)
def test_when_it_is_a_dry_run_then_nothing_happens(network: Network, action: str) -> None:
    """DryRun checks permissions only, and answers DryRunOperation."""
    shape = network.ec2.meta.service_model.operation_model(network.ec2.meta.method_to_api_mapping[action]).input_shape
    dummies = {"integer": 1, "string": "x"}
    required = {name: IDS.get(name, dummies[shape.members[name].type_name]) for name in shape.required_members}
    with refused("DryRunOperation"):
        getattr(network.ec2, action)(DryRun=True, **required)
    assert network.ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"] == []


def test_when_a_client_token_is_repeated_then_the_answer_is_the_same(network: Network) -> None:
    """ClientToken gives idempotent creation."""
    filter_id = network.filter()
    source, target = network.interface(), network.target()
    creations: list[tuple[str, dict[str, Any]]] = [
        ("filter", {"Description": "x"}),
        ("target", {"NetworkInterfaceId": network.interface()}),
        (
            "filter_rule",
            {
                "TrafficMirrorFilterId": filter_id,
                "TrafficDirection": "ingress",
                "RuleNumber": 1,
                "RuleAction": "accept",
                "SourceCidrBlock": "0.0.0.0/0",
                "DestinationCidrBlock": "0.0.0.0/0",
            },
        ),
        (
            "session",
            {
                "NetworkInterfaceId": source,
                "TrafficMirrorTargetId": target,
                "TrafficMirrorFilterId": filter_id,
                "SessionNumber": 1,
            },
        ),
    ]
    for kind, parameters in creations:
        create = getattr(network.ec2, f"create_traffic_mirror_{kind}")
        first, second = (create(ClientToken="same", **parameters) for _ in range(2))
        for answer in (first, second):
            answer.pop("ResponseMetadata")
        assert first == second
        assert first["ClientToken"] == "same"
        with refused("IdempotentParameterMismatch", "same"):
            create(ClientToken="same", **parameters | {"Description": "other"})
    assert len(network.session_ids()) == 1


def test_when_a_creation_fails_then_its_token_is_free(network: Network) -> None:
    """Idempotency is of what succeeded."""
    with refused("InvalidNetworkInterfaceID.NotFound"):
        network.target("eni-0123456789abcdef0", ClientToken="again")
    network.target(ClientToken="again")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Action=CreateTrafficMirrorSession&SessionNumber=1", "MissingParameter"),
        ("Action=CreateTrafficMirrorFilterRule", "MissingParameter"),
        ("Action=DeleteTrafficMirrorFilter&TrafficMirrorFilterId=", "MissingParameter"),
    ],
)
def test_fails_when_a_required_parameter_is_missing(clients: Clients, query: str, code: str) -> None:
    """MissingParameter, where no SDK checks first."""
    request = urllib.request.Request(
        clients.endpoint,
        data=f"{query}&Version=2016-11-15".encode(),
        headers={"Authorization": f"AWS4-HMAC-SHA256 Credential=testing/20260101/{REGION}/ec2/aws4_request"},
    )
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value:
        assert caught.value.code == 400
        assert f"<Code>{code}</Code>" in caught.value.read().decode()


def test_fails_when_python_code_misspells_a_parameter() -> None:
    """The Python API takes the parameters of botocore's model, and no others."""
    with pytest.raises(EC2ClientError, match="Descripton"):
        mirroring.of(ec2_backends["200000000000"][REGION]).create_traffic_mirror_filter(Descripton="x")


def test_when_another_account_or_region_describes_then_it_sees_nothing(network: Network, clients: Clients) -> None:
    """Resources and quotas are of one account and Region."""
    network.session(source := network.interface(), network.target())
    assert clients("ec2", "us-east-1").describe_traffic_mirror_sessions()["TrafficMirrorSessions"] == []
    clients.account = "200000000000"
    assert network.session_ids() == []
    with refused("InvalidNetworkInterfaceID.NotFound", source):
        network.session(source, "tmt-0123456789abcdef0", filter_id="tmf-0123456789abcdef0")


@pytest.mark.parametrize("kind", ["Filter", "Target", "Session"])
def test_fails_when_the_quota_of_the_account_is_used_up(
    network: Network, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """10,000 sessions, targets and filters an account and Region; here 1, to be quick."""
    assert limits.PER_ACCOUNT_AND_REGION == 10_000
    source, target, filter_id = network.interface(), network.target(), network.filter()
    network.session(source, target, filter_id=filter_id)
    monkeypatch.setattr(limits, "PER_ACCOUNT_AND_REGION", 1)
    with refused(f"TrafficMirror{kind}LimitExceeded"):
        match kind:
            case "Filter":
                network.filter()
            case "Target":
                network.target()
            case _:
                network.session(source, target, 2, filter_id=filter_id)


def test_when_moto_is_reset_then_nothing_is_left(network: Network) -> None:
    """State hangs on moto's backend."""
    network.filter(ClientToken="before", Description="before")
    ec2_backends[network.account][REGION].reset()
    assert network.ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"] == []
    network.filter(ClientToken="before", Description="after")


def test_when_installed_again_then_nothing_changes(endpoint: str) -> None:
    """install() is idempotent."""
    before = dict(vars(EC2Backend))
    mirroring.install()
    assert dict(vars(EC2Backend)) == before


def test_when_many_ask_at_once_then_a_number_is_given_once(network: Network) -> None:
    """A number is unique on an interface, whoever is quicker."""
    source, target, filter_id = network.interface(), network.target(), network.filter()

    def attempt(_: int) -> str:
        try:
            network.session(source, target, 1, filter_id=filter_id)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "created"

    with ThreadPoolExecutor(8) as threads:
        results = sorted(threads.map(attempt, range(16)))
    assert results == ["InvalidParameterValue"] * 15 + ["created"]
