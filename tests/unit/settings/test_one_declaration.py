"""A setting of the response is declared once: what the file says arrives in the function, defaults included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from tapstack.domain.appliance_settings import DeployedLaunch, ExistingAppliance, LaunchedAppliance
from tapstack.domain.capture_settings import CaptureSettings
from tapstack.domain.containment_settings import ContainmentSettings, DeployedContainment, QuarantineGroups
from tapstack.domain.evidence_settings import ApplianceSnapshots
from tapstack.domain.function_environment import FunctionEnvironment
from tapstack.domain.regions import AccountRegion
from tapstack.responder.environment import Environment, read_environment
from tapstack.settings import xdr
from tapstack.settings.alerts import AlertMapping, AlertSource
from tapstack.settings.appliance import ApplianceTemplate
from tapstack.settings.fields import Settings
from tapstack.settings.load import load_deployment
from tapstack.settings.response import Containment, Evidence, Launch, ResponseCapture
from tests.synth.ids import TEMPLATE_URL

GROUPS = {"vpc-0a1b2c3d4e5f60718": QuarantineGroups("sg-0a1b2c3d4e5f60718", "sg-0b1b2c3d4e5f60718")}
OTHER: dict[str, Any] = {
    "modes": ["now", "approval"],
    "approval": {"minutes": 5, "default": "contain"},
    "protect": {"tags": {"role": "dc-*"}, "instance_ids": ["i-0123456789abcdef0"]},
    "vpc_ids": ["vpc-0b1b2c3d4e5f60718"],
    "per_hour": 3,
    "wait_for_packets": {"at_most_seconds": 600},
    "two_step": {"enabled": True, "seconds": 30},
    "tcp_established_seconds": 60,
    "auto_scaling": {"standby": True, "decrement_desired_capacity": True},
    "load_balancers": {"deregister": False},
    "termination_protection": False,
    "stop_on_shutdown": False,
    "keep_volumes": False,
    "snapshots": True,
    "instance_profile": "restrict",
}


def read_by_a_function(containment: ContainmentSettings, capture: CaptureSettings) -> Environment:
    """Read what the construct writes, as a function does."""
    settings = {
        "vpc_id": "vpc-0a1b2c3d4e5f60718",
        "capture": asdict(capture),
        "appliance": {"existing": {"target_id": "tmt-0123456789abcdef0", "filter_id": "tmf-0123456789abcdef0"}},
        "retention_days": 365,
        "containment": asdict(DeployedContainment.of(containment, GROUPS)),
    }
    variables = {f"TAPSTACK_{name}": name for name in ("DEPLOYMENT", "SITE", "TABLE")}
    return read_environment({**variables, "TAPSTACK_SETTINGS": json.dumps(settings)})


@pytest.mark.parametrize("given", [{}, OTHER], ids=["defaults", "everything"])
def test_when_the_file_says_something_then_the_function_reads_it(given: dict[str, Any]) -> None:
    assert set(OTHER) == {each.name for each in fields(ContainmentSettings)}
    containment = Containment.model_validate(given).to_domain()
    capture = ResponseCapture.model_validate({}).to_domain()
    if not given:
        assert (containment, capture) == (ContainmentSettings(), CaptureSettings())

    read = read_by_a_function(containment, capture)

    assert (read.containment, read.capture) == (DeployedContainment.of(containment, GROUPS), capture)


@pytest.mark.parametrize("name", [each.name for each in fields(ContainmentSettings) if each.name != "vpc_ids"])
def test_when_one_setting_is_another_then_the_function_reads_the_other(name: str) -> None:
    containment = Containment.model_validate({**OTHER, "modes": ["now"]}).to_domain()
    changed = replace(ContainmentSettings(), **{name: getattr(containment, name)})

    read = read_by_a_function(changed, CaptureSettings())

    assert read.containment == DeployedContainment.of(changed, GROUPS)
    assert read.containment != DeployedContainment.of(ContainmentSettings(), GROUPS)


LAUNCHED: dict[str, Any] = {
    "template_url": TEMPLATE_URL,
    "subnet_id": "subnet-0a1b2c3d4e5f60718",
    "remote_access_cidr": "10.0.0.0/16",
}


def launch_of(appliance: LaunchedAppliance, snapshots: ApplianceSnapshots | None) -> DeployedLaunch:
    """What the construct writes of an appliance."""
    return DeployedLaunch.of(
        appliance,
        stack_name="acme-a-epb",
        role_arn="arn:aws:iam::111122223333:role/r",
        vpc_id="vpc-1",
        snapshots=snapshots,
    )


def appliance_read_by_a_function(written: Mapping[str, Any]) -> ExistingAppliance | DeployedLaunch:
    """Read what the construct writes, as a function does."""
    environment = FunctionEnvironment(
        deployment="acme",
        site="a",
        table="incidents",
        state_machine_arn="",
        topic_arns=[],
        api_url="https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
        home=AccountRegion("111122223333", "eu-central-1"),
        vpc_id="vpc-1",
        capture=CaptureSettings(),
        appliance=written,
        retention_days=365,
        containment=None,
        rules=[],
    )
    return read_environment(environment.variables()).appliance


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, ApplianceSnapshots(keep_days=90)),
        ({"appliance_snapshots": {"keep_days": 7}}, ApplianceSnapshots(keep_days=7)),
        # null does not mean the default here.
        ({"appliance_snapshots": None}, None),
    ],
)
def test_when_the_file_says_how_long_packets_are_kept_then_the_function_reads_it(
    given: dict[str, Any], read: ApplianceSnapshots | None
) -> None:
    evidence = Evidence.model_validate(given).to_domain()
    launch = appliance_read_by_a_function(
        launch_of(LaunchedAppliance(**LAUNCHED), evidence.appliance_snapshots).settings()
    )
    assert isinstance(launch, DeployedLaunch)
    assert launch.snapshots == read


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"retire_after_minutes": None},
        {
            "public_ip": True,
            "accept_public_ip": True,
            "parameters": {"KeyName": "responders"},
            "capabilities": ["CAPABILITY_IAM"],
            "timeout_minutes": 40,
            "retire_after_minutes": 0,
        },
    ],
    ids=["defaults", "kept for ever", "everything"],
)
def test_when_the_file_launches_an_appliance_then_the_function_reads_what_it_says(given: dict[str, Any]) -> None:
    launch = launch_of(Launch.model_validate({**LAUNCHED, **given}).to_domain(), None)
    assert appliance_read_by_a_function(launch.settings()) == launch
    assert launch.retire_after_minutes == given.get(
        "retire_after_minutes", LaunchedAppliance(**LAUNCHED).retire_after_minutes
    )


def test_when_a_launch_is_deployed_then_it_has_no_default_of_its_own() -> None:
    assert [each.name for each in fields(DeployedLaunch) if each.default is not MISSING] == []


def test_when_an_earlier_version_left_out_what_is_null_then_the_function_has_null() -> None:
    launch = replace(launch_of(LaunchedAppliance(**LAUNCHED), None), retire_after_minutes=None)
    left = {name: value for name, value in launch.settings()["launch"].items() if value is not None}
    assert set(launch.settings()["launch"]) - set(left) == {"retire_after_minutes", "snapshots"}
    assert appliance_read_by_a_function({"launch": left}) == launch


def test_when_an_existing_appliance_is_deployed_then_the_function_reads_it() -> None:
    least = ExistingAppliance("tmt-0123456789abcdef0", "tmf-0123456789abcdef0")
    most = replace(least, portal_url="https://10.0.0.5", max_sources=10, target_appliances=("10.0.0.5",))
    for existing in (least, most):
        assert appliance_read_by_a_function(existing.settings()) == existing


def test_when_an_earlier_version_left_out_its_defaults_then_the_function_has_them() -> None:
    settings = {
        "vpc_id": "vpc-1",
        "capture": {"minutes": 60, "max_minutes": 1440},
        "appliance": {"existing": {"target_id": "tmt-0123456789abcdef0", "filter_id": "tmf-0123456789abcdef0"}},
        "retention_days": 365,
        "containment": {"modes": ["approval"], "groups": {}},
    }
    variables = {f"TAPSTACK_{name}": name for name in ("DEPLOYMENT", "SITE", "TABLE")}

    read = read_environment({**variables, "TAPSTACK_SETTINGS": json.dumps(settings)})

    assert (read.containment, read.capture) == (DeployedContainment(), CaptureSettings())


def test_fails_when_a_part_of_the_file_has_other_fields_than_its_dataclass() -> None:
    @dataclass(frozen=True)
    class Two:
        a: int = 1
        b: int = 2

    with pytest.raises(TypeError, match="One and Two have other fields"):

        class One(Settings, domain=Two):
            a: int


def subclasses(part: type[Settings]) -> Iterator[type[Settings]]:
    for each in part.__subclasses__():
        yield each
        yield from subclasses(each)


# What the file must say, by part; of others it says nothing.
NEEDED: dict[type[Settings], dict[str, Any]] = {
    ApplianceTemplate: LAUNCHED,
    Launch: LAUNCHED,
    AlertMapping: {"match": "id", "alert_id": "id", "severity": "severity", "instance_id": "instance"},
    AlertSource: {"preset": "generic"},
    xdr.Feed: {"principals": ["arn:aws:iam::111122223333:role/edr"]},
    xdr.Vendor: {"principal": "111122223333", "external_id": "Yk3vQ9wXz1Lr7TnB4cHs"},
    xdr.Oidc: {"issuer": "https://login.example.com/tenant", "audience": "api://reader", "subject": "reader"},
    xdr.Own: {"principals": ["arn:aws:iam::111122223333:role/siem"]},
    xdr.Reader: {"prefixes": ["flow"], "own": {"principals": ["arn:aws:iam::111122223333:role/siem"]}},
}
PARTS = [
    part for part in subclasses(Settings) if vars(part).get("domain_type") and part.__module__.startswith("tapstack.")
]


def test_when_parts_have_dataclasses_then_all_modules_of_the_file_are_seen() -> None:
    modules = {part.__module__.removeprefix("tapstack.settings.") for part in PARTS}
    assert modules == {"alerts", "appliance", "response", "xdr"}
    assert set(NEEDED) <= set(PARTS)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_when_a_part_has_a_dataclass_then_it_declares_no_default_of_its_own(part: type[Settings]) -> None:
    assert part.domain_type is not None
    given = NEEDED.get(part, {})
    read = part.model_validate(given).to_domain()
    for each in fields(part.domain_type):
        if each.name not in given:
            default = each.default if each.default_factory is MISSING else each.default_factory()
            assert getattr(read, each.name) == default, each.name


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_when_a_part_has_a_dataclass_then_it_lists_no_values_of_its_own(part: type[Settings]) -> None:
    """A `Literal` of the file is the annotation of the dataclass."""
    assert part.domain_type is not None
    hints = get_type_hints(part.domain_type)
    for name, info in part.model_fields.items():
        listed = {one for one in (info.annotation, *get_args(info.annotation)) if get_origin(one) is Literal}
        assert listed <= {hints[name], *get_args(hints[name])}, name


def test_fails_when_a_key_of_an_earlier_version_is_written(tmp_path: Any) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text(
        "project: acme\nsites:\n  a:\n    account: '111122223333'\n    region: eu-central-1\n"
        "    vpc_id: vpc-0a1b2c3d4e5f60718\n    response:\n      appliance:\n"
        "        target: tmt-0123456789abcdef0\n        filter: tmf-0123456789abcdef0\n"
        "      containment:\n        shutdown_behavior: false\n"
    )

    with pytest.raises(Exception, match="shutdown_behavior: unknown key; it is called stop_on_shutdown now"):
        load_deployment(file)
