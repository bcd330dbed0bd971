"""One moto server for all conformance tests; every test has an AWS account of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.core.base_backend import BackendDict
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import AmiBackend
from moto.server import ThreadedMotoServer

from strictmoto.ec2 import endpoint_services, mirroring
from strictmoto.ec2 import requests as ec2_requests
from strictmoto.elbv2 import load_balancers
from tests.strictmoto.ec2.mirroring.network import REGION, Network

all_backends: Any = vars(BackendDict)["_instances"]
accounts = itertools.count(200000000001)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    ec2_requests.install()
    mirroring.install()
    load_balancers.install()
    endpoint_services.install()
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Clients:
    """Clients by service and Region, all of the account in use; made once, because botocore is slow at it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.account = ""
        self._session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
        self._made: dict[tuple[str, str], Any] = {}

    def __call__(self, service: str, region: str = REGION) -> Any:
        if (service, region) not in self._made:
            config = Config(retries={"total_max_attempts": 1})
            client = self._session.client(service, region_name=region, endpoint_url=self.endpoint, config=config)
            client.meta.events.register("before-call", self._name_account)
            self._made[service, region] = client
        return self._made[service, region]

    def _name_account(self, params: dict[str, Any], **_: Any) -> None:
        # A fresh account takes moto a third of the time that a reset does.
        params["headers"]["x-moto-account-id"] = self.account


@pytest.fixture(scope="session")
def all_clients(endpoint: str) -> Clients:
    return Clients(endpoint)


@pytest.fixture(scope="session")
def images() -> dict[str, Any]:
    return dict(ec2_backends["200000000000"][REGION].amis)


@pytest.fixture
def clients(all_clients: Clients, images: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    # Most of the time that a fresh account takes goes into 1,285 machine images.
    monkeypatch.setattr(AmiBackend, "_load_amis", lambda backend: backend.amis.update(images))
    account = all_clients.account = str(next(accounts))
    yield all_clients
    # A later reset would make every account anew before it drops them all.
    for backends in list(all_backends):
        backends.pop(account, None)


@pytest.fixture
def network(clients: Clients) -> Network:
    return Network(clients("ec2"), clients("elbv2"), clients.account)
