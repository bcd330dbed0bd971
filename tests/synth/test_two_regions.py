"""Two Regions in one stack: every resource and data source belongs to the provider that was asked for."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

import tapstack
from tapstack import (
    ApplianceGate,
    CaptureLoadBalancer,
    CaptureSecurityGroup,
    ContainmentSettings,
    Destination,
    FlowLogSettings,
    GuardDutyExport,
    IncidentResponse,
    IncidentTelemetry,
    LaunchedAppliance,
    MirrorFilter,
    MirrorSessions,
    MirrorTarget,
    OwnTrust,
    PacketBasics,
    Peer,
    QuarantineSecurityGroup,
    ReaderSettings,
    RuleViolation,
    Source,
    TelemetryLanding,
    TwoStep,
    VpcFlowLogs,
    XdrReader,
    presets,
)
from tapstack.bindings import Construct, aws, cdk

VPC = "vpc-0123456789abcdef0"
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
TEMPLATE = "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/a.b.template"
TARGET = MirrorTarget.from_id("tmt-0123456789abcdef0")
READER = ReaderSettings(("flow",), own=OwnTrust(("arn:aws:iam::111122223333:role/collector",)), queue=True)


def sessions(scope: Construct, provider: Any) -> object:
    basics = PacketBasics.from_stack_name(scope, "stack", "epb", provider=provider)
    return MirrorSessions(
        scope,
        "it",
        sources=[Source.vpc(VPC)],
        target=basics.target,
        filter=MirrorFilter.everything(scope, "all", provider=provider),
        provider=provider,
    )


def response(scope: Construct, provider: Any) -> object:
    return IncidentResponse(
        scope,
        "it",
        deployment="acme",
        site="west",
        vpc_id=VPC,
        appliance=LaunchedAppliance(TEMPLATE, SUBNETS[0], "10.0.0.0/8"),
        containment=ContainmentSettings(two_step=TwoStep(enabled=True)),
        emails=["responders@example.com"],
        provider=provider,
    )


def landing(scope: Construct, provider: Any) -> TelemetryLanding:
    return TelemetryLanding(scope, "landing", deployment="acme", site="west", provider=provider)


BUILD: dict[str, Callable[[Construct, Any], object]] = {
    "MirrorFilter": lambda scope, provider: MirrorFilter.from_preset(scope, "it", presets.web(), provider=provider),
    "MirrorTarget": lambda scope, provider: MirrorTarget(
        scope,
        "it",
        destination=Destination.network_interface("eni-0123456789abcdef0"),
        share_with=["111122223333"],
        provider=provider,
    ),
    "MirrorSessions": sessions,
    "PacketBasics": lambda scope, provider: (
        PacketBasics(
            scope,
            "it",
            template_url=TEMPLATE,
            vpc_id=VPC,
            subnet_id=SUBNETS[0],
            remote_access_cidr="10.0.0.0/8",
            provider=provider,
        ).target.mirror_target_id
    ),
    "CaptureSecurityGroup": lambda scope, provider: CaptureSecurityGroup(
        scope, "it", vpc_id=VPC, mirrored_from=[Peer.vpc(VPC)], provider=provider
    ),
    "QuarantineSecurityGroup": lambda scope, provider: QuarantineSecurityGroup(
        scope, "it", vpc_id=VPC, provider=provider
    ),
    "CaptureLoadBalancer": lambda scope, provider: CaptureLoadBalancer(
        scope,
        "it",
        vpc_id=VPC,
        subnet_ids=SUBNETS,
        mirrored_from=[Peer.vpc(VPC)],
        instance_ids=["i-0123456789abcdef0"],
        provider=provider,
    ),
    "IncidentResponse": response,
    "ApplianceGate": lambda scope, provider: ApplianceGate(scope, "it", tags={"team": "soc"}, provider=provider),
    "TelemetryLanding": lambda scope, provider: landing(scope, provider),
    "VpcFlowLogs": lambda scope, provider: VpcFlowLogs(
        scope, "it", landing=landing(scope, provider), settings=FlowLogSettings(vpc_ids=(VPC,)), provider=provider
    ),
    "GuardDutyExport": lambda scope, provider: GuardDutyExport(
        scope, "it", landing=landing(scope, provider), detector_id="12abc34d567e8fa901bc2d34e56789f0", provider=provider
    ),
    "XdrReader": lambda scope, provider: XdrReader(
        scope, "it", landing=landing(scope, provider), name="soc", settings=READER, provider=provider
    ),
    "IncidentTelemetry": lambda scope, provider: IncidentTelemetry(
        scope, "it", landing=landing(scope, provider), provider=provider
    ),
}


def two_regions() -> tuple[cdk.TerraformStack, Any, Any]:
    stack = cdk.TerraformStack(cdk.Testing.app(), "two")
    return (
        stack,
        aws.AwsProvider(stack, "east", region="us-east-1"),
        aws.AwsProvider(stack, "west", region="us-west-2", alias="west"),
    )


def providers(stack: cdk.TerraformStack) -> dict[str, str | None]:
    """Return the provider of every resource and data source by address."""
    terraform = json.loads(cdk.Testing.synth(stack, True))
    return {
        f"{type_}.{name}": body.get("provider")
        for block in ("resource", "data")
        for type_, named in terraform.get(block, {}).items()
        if type_ != "terraform_data"  # of Terraform itself, which has one provider
        for name, body in named.items()
    }


@pytest.mark.parametrize("name", BUILD)
def test_when_a_provider_is_given_then_everything_belongs_to_it(name: str) -> None:
    stack, _, west = two_regions()

    BUILD[name](stack, west)

    found = providers(stack)
    assert found
    assert set(found.values()) == {"aws.west"}, [a for a, provider in found.items() if provider != "aws.west"]


@pytest.mark.parametrize("name", BUILD)
def test_when_none_is_given_then_nothing_names_one(name: str) -> None:
    stack, _, _ = two_regions()

    BUILD[name](stack, None)

    assert set(providers(stack).values()) == {None}


def test_when_constructs_make_resources_then_each_takes_a_provider() -> None:
    public = [getattr(tapstack, name) for name in tapstack.__all__]
    constructs = {c.__name__ for c in public if inspect.isclass(c) and issubclass(c, Construct)}
    assert constructs == set(BUILD)
    for made in (MirrorFilter.everything, MirrorFilter.web, MirrorFilter.dns, MirrorFilter.everything_but_intra_vpc):
        assert "provider" in inspect.signature(made).parameters


def test_when_two_regions_have_sessions_then_their_numbers_do_not_depend_on_each_other() -> None:
    stack, east, west = two_regions()

    for name, provider in (("east", east), ("west", west)):
        MirrorSessions(
            stack,
            f"in-{name}",
            sources=[Source.vpc(VPC)],
            target=TARGET,
            filter=MirrorFilter.everything(stack, f"all-{name}", provider=provider),
            provider=provider,
        )

    terraform = json.loads(cdk.Testing.synth(stack))
    expressions = [v for k, v in terraform["locals"].items() if "Sources" in k]
    assert len(expressions) == 2
    assert all("id => (1)}" in expression for expression in expressions)


def test_when_the_usual_provider_is_named_then_its_sessions_are_those_of_the_stack() -> None:
    stack, east, _ = two_regions()
    everything = MirrorFilter.everything(stack, "all")
    source = [Source.network_interface("eni-0123456789abcdef0", session_number=1)]

    MirrorSessions(stack, "first", sources=source, target=TARGET, filter=everything)

    with pytest.raises(RuleViolation, match="two/second: session number 1 .* is taken by sessions first"):
        MirrorSessions(stack, "second", sources=source, target=TARGET, filter=everything, provider=east)


def test_fails_when_the_provider_is_none() -> None:
    stack, _, _ = two_regions()
    with pytest.raises(RuleViolation, match="two/it: provider must be an AwsProvider, got 'aws.west'"):
        MirrorFilter.everything(stack, "it", provider="aws.west")  # type: ignore[arg-type]
