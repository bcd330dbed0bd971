"""Which stacks a command means, and in which order."""

from __future__ import annotations

import pytest

from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment
from tapstack.workspace.stacks import Command, Selection, SelectionError, select, used_of_capture

LAUNCH = (
    "{launch: {template_url: 'https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/a/b.template', "
    "subnet_id: subnet-0123456789abcdef0, remote_access_cidr: 10.0.0.0/8}}"
)
OWN = "{target: sensor, filter: all}"


def deployment(**appliances: str | None) -> Deployment:
    sites = "".join(
        f"  {name}:\n    region: eu-central-1\n    vpc_id: vpc-0a1b2c3d4e5f6071{position}\n"
        "    targets: {sensor: {network_interface_id: eni-0a000000000000001}}\n"
        "    filters: {all: {preset: everything}}\n"
        + (f"    response: {{appliance: {appliance}}}\n" if appliance else "")
        for position, (name, appliance) in enumerate(appliances.items())
    )
    return parse_deployment(f"sites:\n{sites}")


def with_alerts(xdr: str) -> Deployment:
    """A site whose response receives findings of Security Hub."""
    response = f"{{appliance: {LAUNCH}, alerts: {{security_hub: true}}}}"
    place = "region: eu-central-1, vpc_id: vpc-0a1b2c3d4e5f60710"
    return parse_deployment(f"sites: {{a: {{{place}, xdr: {xdr}, response: {response}}}}}\n")


def chosen(given: Deployment, command: Command, *patterns: str) -> Selection:
    return select(given, patterns, command, file="deployment.yaml")


@pytest.mark.parametrize(
    ("appliance", "used"),
    [
        (LAUNCH, []),
        ("{target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}", []),
        ("{target: sensor, filter: tmf-0123456789abcdef0}", ["target sensor"]),
        ("{target: tmt-0123456789abcdef0, filter: all}", ["filter all"]),
        (OWN, ["target sensor", "filter all"]),
        (None, []),
    ],
)
def test_when_a_response_has_an_appliance_then_what_it_uses_of_the_capture_is_known(
    appliance: str | None, used: list[str]
) -> None:
    assert used_of_capture(deployment(a=appliance).sites["a"]) == used


def test_when_the_appliance_is_that_of_the_site_then_the_response_uses_it() -> None:
    site = deployment(a=None).sites["a"]
    given = parse_deployment(
        "sites:\n  a:\n    region: eu-central-1\n    vpc_id: vpc-0a1b2c3d4e5f60718\n    packet_basics:\n"
        "      template_url: https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/a/b.template\n"
        "      subnet_id: subnet-0123456789abcdef0\n      remote_access_cidr: 10.0.0.0/8\n    response: {}\n"
    ).sites["a"]
    assert (used_of_capture(site), used_of_capture(given)) == ([], ["packet_basics"])


class TestOrder:
    def test_when_stacks_are_named_in_any_order_then_they_are_deployed_in_the_right_one(self) -> None:
        given = deployment(a=OWN, b=LAUNCH)
        assert chosen(given, "deploy", "a-response", "b", "a") == Selection(("a", "a-response", "b"), (), True)
        assert chosen(given, "destroy", "a", "a-response") == Selection(("a-response", "a"), (), True)

    def test_when_no_stack_uses_another_then_there_is_no_order(self) -> None:
        assert chosen(deployment(b=LAUNCH), "deploy", "*") == Selection(("b", "b-response"))

    @pytest.mark.parametrize("command", ["deploy", "diff"])
    def test_when_a_response_is_named_alone_then_what_it_needs_is_reported(self, command: Command) -> None:
        assert chosen(deployment(a=OWN, b=None), command, "a-response") == Selection(("a-response",), ("a",))

    def test_when_its_appliance_is_launched_then_it_needs_nothing(self) -> None:
        assert chosen(deployment(a=LAUNCH), "deploy", "a-response") == Selection(("a-response",))
        assert chosen(deployment(a=LAUNCH), "destroy", "a") == Selection(("a",))

    def test_when_alerts_come_in_then_the_landing_goes_before_the_response(self) -> None:
        given = with_alerts("{}")
        assert chosen(given, "deploy", "a-response", "a-xdr") == Selection(("a-xdr", "a-response"), (), True)
        assert chosen(given, "deploy", "a-response") == Selection(("a-response",), ("a-xdr",))
        with pytest.raises(SelectionError) as caught:
            chosen(given, "destroy", "a-xdr")
        assert str(caught.value).startswith("a-response uses the landing of a-xdr: destroy both, the response goes")
        existing = with_alerts("{landing: {bucket: security-lake}}")
        assert chosen(existing, "deploy", "a-response") == Selection(("a-response",))

    def test_fails_when_a_capture_is_destroyed_without_the_response_that_uses_it(self) -> None:
        with pytest.raises(SelectionError) as caught:
            chosen(deployment(a=OWN), "destroy", "a")
        assert str(caught.value) == (
            "a-response uses target sensor and filter all of a: destroy both, the response goes first "
            '(make destroy ARGS="a-response a")'
        )


class TestNames:
    GIVEN = deployment(production=LAUNCH, lab=None)

    @pytest.mark.parametrize(
        ("patterns", "stacks"),
        [
            (("*",), ("production", "production-response", "lab")),
            (("production*",), ("production", "production-response")),
            (("l?b",), ("lab",)),
            (("lab", "*b"), ("lab",)),
        ],
    )
    def test_when_patterns_are_given_then_each_stack_is_taken_once(
        self, patterns: tuple[str, ...], stacks: tuple[str, ...]
    ) -> None:
        assert chosen(self.GIVEN, "deploy", *patterns).stacks == stacks

    def test_when_there_is_one_stack_then_it_need_not_be_named(self) -> None:
        assert chosen(deployment(a=None), "deploy").stacks == ("a",)

    @pytest.mark.parametrize(
        ("patterns", "message"),
        [
            ((), "no stack is named: deployment.yaml has production, production-response, lab; '*' means all"),
            (
                ("prodution",),
                "no stack is called 'prodution'; did you mean production? "
                "deployment.yaml has production, production-response, lab",
            ),
            (("lab", "x*"), "no stack is called 'x*'; deployment.yaml has production, production-response, lab"),
            *(
                (
                    (file,),
                    f"'{file}' is not a stack: name another deployment file with TAPSTACK_DEPLOYMENT, for example make "
                    f"deploy TAPSTACK_DEPLOYMENT={file} ARGS=STACK; deployment.yaml has production, "
                    "production-response, lab",
                )
                for file in ("lab.yaml", "other/lab", "lab.yml")
            ),
            (
                ("\u201clab\u201d",),
                "no stack is called '\u201clab\u201d'; did you mean lab? deployment.yaml has production, "
                "production-response, lab; curly quotes (\u201c \u201d) are part of the value: type straight ones "
                "(\" or ') in their place",
            ),
        ],
    )
    def test_fails_when_no_stack_is_meant_and_names_those_there_are(
        self, patterns: tuple[str, ...], message: str
    ) -> None:
        with pytest.raises(SelectionError) as caught:
            chosen(self.GIVEN, "destroy", *patterns)
        assert str(caught.value) == message

    def test_fails_when_the_difference_of_no_stack_is_asked_for_and_advises_nothing_that_is_refused(self) -> None:
        with pytest.raises(SelectionError) as caught:
            chosen(self.GIVEN, "diff")
        assert str(caught.value) == (
            "no stack is named: deployment.yaml has production, production-response, lab; diff shows one of them at a "
            "time"
        )

    def test_fails_when_the_difference_of_several_is_asked_for(self) -> None:
        with pytest.raises(SelectionError) as caught:
            chosen(self.GIVEN, "diff", "production*")
        assert str(caught.value) == ("diff shows one stack at a time, and these are 2: production, production-response")
