"""Settings that are switched off while an instance is contained: what a release restores, and what a deploy refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from tapstack.domain.containment_release import RELEASE_ORDER
from tapstack.domain.containment_settings import AutoScaling, ContainmentSettings, LoadBalancers
from tapstack.responder.store import containments
from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment
from tapstack.workspace import protections
from tapstack.workspace.credentials import Access, try_credentials
from tapstack.workspace.protections import Found, find_dependents, find_protections
from tests.responder.conftest import TABLE
from tests.responder.containment.conftest import Shop, contained, release
from tests.sampling import sampled

EVERYTHING: Final[dict[str, Any]] = {"tcp_established_seconds": 60, "instance_profile": "restrict"}
OFF: Final[dict[str, Any]] = {
    "tcp_established_seconds": None,
    "auto_scaling": {"standby": False},
    "load_balancers": {"deregister": False},
    "termination_protection": False,
    "stop_on_shutdown": False,
    "keep_volumes": False,
    "instance_profile": None,
}
SETTINGS: Final = ContainmentSettings(instance_profile="restrict")


@pytest.fixture
def web(shop: Shop) -> str:
    """An instance of which all that can be is changed."""
    web = shop.company.instances["web-1"]
    shop.fit_group()
    shop.behind_everything(web)
    shop.set(**EVERYTHING)
    iam = shop.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="app", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    iam.create_instance_profile(InstanceProfileName="app")
    iam.add_role_to_instance_profile(InstanceProfileName="app", RoleName="app")
    shop.ec2.associate_iam_instance_profile(IamInstanceProfile={"Name": "app"}, InstanceId=web)
    shop.ec2.modify_instance_attribute(InstanceId=web, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    shop.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=shop.company.interfaces["web-1"][0],
        ConnectionTrackingSpecification={"TcpEstablishedTimeout": 120},
    )
    return web


def test_when_everything_is_switched_off_after_a_containment_then_the_functions_restore_all_of_it(
    shop: Shop, web: str
) -> None:
    before = shop.all()
    incident = contained(web)
    assert {kind for kind, _ in shop.prior_states(web)} == set(RELEASE_ORDER)
    shop.set(**OFF)
    assert release(incident) == "released"
    assert shop.changed_since(before) == []


def deployed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> tuple[Deployment, Mapping[str, Access]]:
    """The site of the shop in a deployment file, and the access to its account."""
    for name, value in shop.site.account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(protections, "_table", lambda _: TABLE)
    deployment = parse_deployment(
        f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {shop.company.shop.id}\n"
        "    response: {appliance: {target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}}\n"
    )
    return deployment, try_credentials(deployment, ["ward-response"]).access


def test_when_a_release_has_begun_then_the_command_still_names_its_incident(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = shop.company.instances["web-1"]
    tags = {"tapstack:deployment": "tap", "tapstack:site": "ward", "tapstack:purpose": "quarantine"}
    shop.ec2.create_tags(Resources=[shop.quarantine], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
    incident = contained(web)
    there = containments.get(web)
    assert there is not None
    containments.begin_release(there)
    deployment, access = deployed(shop, monkeypatch)
    found = find_protections(deployment, ["ward-response"], access, "deployment.yaml")
    assert f": release the instance (tapstack incident release {incident})" in "\n".join(found.protections)


@pytest.mark.parametrize("times", [1, 2])
def test_when_a_contained_instance_protects_a_response_then_the_command_names_the_incident_that_holds_it(
    shop: Shop, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = shop.company.instances["web-1"]
    for group in (shop.quarantine, shop.untrack):
        tags = {"tapstack:deployment": "tap", "tapstack:site": "ward", "tapstack:purpose": "quarantine"}
        shop.ec2.create_tags(Resources=[group], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    first = min(contained(web) for _ in range(times))
    deployment, access = deployed(shop, monkeypatch)
    found = find_protections(deployment, ["ward-response"], access, "deployment.yaml")
    assert found.warnings == []
    command = f"tapstack incident release {first}{' --all' if times > 1 else ''}"
    assert f": release the instance ({command})" in "\n".join(found.protections)


@sampled(
    ("settings", "how", "what"),
    [
        (SETTINGS, None, None),
        (
            replace(SETTINGS, auto_scaling=AutoScaling(standby=False)),
            "set {}.auto_scaling.standby to true in",
            "standby",
        ),
        (
            replace(SETTINGS, load_balancers=LoadBalancers(deregister=False)),
            "set {}.load_balancers.deregister to true in",
            "target-group, classic-balancer",
        ),
        (replace(SETTINGS, termination_protection=False), "set {}.termination_protection to true in", "termination"),
        (replace(SETTINGS, stop_on_shutdown=False), "set {}.stop_on_shutdown to true in", "shutdown"),
        (replace(SETTINGS, keep_volumes=False), "set {}.keep_volumes to true in", "volume"),
        (ContainmentSettings(), "set {}.instance_profile to restrict in", "profile"),
        (
            None,
            "put {} back into",
            "profile, groups, tracking, target-group, classic-balancer, standby, volume, shutdown, termination",
        ),
    ],
    every=3,
)
def test_when_a_deploy_would_take_what_a_release_needs_then_it_is_refused_until_the_instance_is_released(
    shop: Shop,
    web: str,
    settings: ContainmentSettings | None,
    how: str | None,
    what: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment, access = deployed(shop, monkeypatch)
    site = deployment.sites["ward"]
    assert site.response is not None
    site.response.__dict__["containment"] = settings

    incident = contained(web)
    found = find_dependents(deployment, ["ward-response"], access, "deployment.yaml")
    release(incident)

    assert find_dependents(deployment, ["ward-response"], access, "deployment.yaml") == Found([], [])
    back = how and how.format("sites.ward.response.containment")
    assert found == Found(
        [
            f"ward-response: {web} is contained, and a release could not restore this of it after this deploy: {what}: "
            f"{back} deployment.yaml; or release the instance first (tapstack incident release {incident})"
        ]
        if back
        else [],
        [],
    )
