"""bindings.py: fast where it can be, ordinary where it must be, never a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tapstack
from tapstack.bindings import add_condition, address, aws, cdk, set_lifecycle
from tapstack.domain.tokens import is_token
from tapstack.kernel import importing
from tapstack.kernel.classes import AWS_CLASSES
from tests.synth.template import new_stack, rendering_hcl

pytestmark = pytest.mark.thorough

BUILD = """
import json, sys
from tapstack.bindings import aws, cdk
stack = cdk.TerraformStack(cdk.Testing.app(), "s")
aws.AwsProvider(stack, "aws", region="eu-central-1")
aws.Ec2TrafficMirrorFilter(stack, "f", description="d")
terraform = json.loads(cdk.Testing.synth(stack))
loaded = [m for m in sys.modules if m.startswith("cdktf_cdktf_provider_aws.")]
print(json.dumps({"loaded": len(loaded), "resource": terraform["resource"]}))
"""


def run(program: str, **environment: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "no banner, no deprecation warning"
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_when_imported_then_only_what_is_used_is_loaded() -> None:
    assert run(BUILD)["loaded"] == 6  # provider, filter, _jsii and what they hold


@pytest.mark.long
def test_when_the_ordinary_import_is_forced_then_the_terraform_is_the_same() -> None:
    ours, stock = run(BUILD), run(BUILD, TAPSTACK_STOCK_IMPORT="1")
    assert ours["resource"] == stock["resource"]
    assert int(str(stock["loaded"])) > 2000


def test_when_the_package_looks_different_then_it_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "strange_provider"
    package.mkdir()
    (package / "__init__.py").write_text("executed = True\n")
    monkeypatch.syspath_prepend(tmp_path)

    spared = importing.spare_the_eager_init("strange_provider")

    assert not spared
    import strange_provider  # type: ignore[import-not-found]

    assert strange_provider.executed


def test_when_the_package_was_imported_before_then_it_stays_what_it_is() -> None:
    program = """
import json, sys, types
sys.modules["cdktf_cdktf_provider_aws"] = before = types.ModuleType("cdktf_cdktf_provider_aws")
import importlib.util
before.__spec__ = importlib.util.spec_from_loader("cdktf_cdktf_provider_aws", None)
import tapstack.bindings
print(json.dumps({"same": sys.modules["cdktf_cdktf_provider_aws"] is before}))
"""
    assert run(program) == {"same": True}


def test_when_the_kernel_has_started_then_the_environment_is_as_before() -> None:
    program = """
import json, os
before = dict(os.environ)
import tapstack.bindings
print(json.dumps({"changed": sorted(set(before.items()) ^ set(os.environ.items()))}))
"""
    assert run(program) == {"changed": []}


def test_when_a_user_imports_a_binding_we_do_not_use_then_it_works_either_way() -> None:
    program = """
import json
import tapstack.bindings
import cdktf_cdktf_provider_aws as provider
from cdktf_cdktf_provider_aws import sqs_queue
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
print(json.dumps({
    "attribute": provider.kms_key.KmsKey.__name__,
    "from": sqs_queue.SqsQueue.__name__,
    "nothing": hasattr(provider, "no_such_thing"),
}))
"""
    assert run(program) == {"attribute": "KmsKey", "from": "SqsQueue", "nothing": False}


def test_fails_when_a_core_is_named_that_is_not_there() -> None:
    for name, message in (("terraform", "must be one of cdktf, cdktn, got 'terraform'"), ("cdktn", "install cdktn")):
        done = subprocess.run(
            [sys.executable, "-c", "import tapstack.bindings"],
            env={**os.environ, "TAPSTACK_CDK": name},
            capture_output=True,
            text=True,
            check=False,
        )
        assert message in done.stderr


def test_when_every_name_of_the_public_api_is_asked_for_then_it_is_there() -> None:
    for name in tapstack.__all__:
        assert getattr(tapstack, name) is getattr(tapstack, name)
    with pytest.raises(AttributeError, match="module 'tapstack' has no attribute 'Nothing'"):
        _ = tapstack.Nothing


def test_when_every_binding_that_is_listed_is_asked_for_then_it_is_there() -> None:
    for name in AWS_CLASSES:
        assert getattr(aws, name).__name__ == name


@pytest.mark.parametrize(
    "make",
    [
        lambda attribute: attribute,
        lambda attribute: f"prefix-{attribute}",
        lambda attribute: cdk.Token.as_number("${var.x}"),
        lambda attribute: cdk.Token.as_list("${var.x}"),
        lambda attribute: cdk.Token.as_any_map("${var.x}"),
        lambda attribute: cdk.Fn.join(",", cdk.Token.as_list("${var.x}")),
        lambda attribute: cdk.Fn.element(cdk.Token.as_list("${var.x}"), 0),
    ],
)
def test_when_cdktf_calls_it_a_token_then_so_does_the_domain(make: Callable[[str], object]) -> None:
    value = make(aws.DataAwsVpc(new_stack(), "v", id="vpc-1").arn)
    assert cdk.Token.is_unresolved(value)
    assert is_token(value)


def test_when_a_value_is_a_terraform_expression_then_the_domain_takes_it_for_a_token() -> None:
    assert is_token("${var.x}")
    assert is_token(["a", "prefix-${module.a.id}"])


@pytest.mark.parametrize("value", ["eni-0123456789abcdef0", 1, 32766, -1, 1.5, True, ["a"], {"a": "b"}, "$x", "{}"])
def test_when_cdktf_calls_it_a_literal_then_so_does_the_domain(value: object) -> None:
    assert not cdk.Token.is_unresolved(value)
    assert not is_token(value)


def test_when_an_address_is_asked_for_then_it_is_plain_text() -> None:
    stack = new_stack()
    assert address(aws.DataAwsVpc(stack, "v", id="vpc-1")) == "data.aws_vpc.v"
    assert address(aws.Ec2TrafficMirrorFilter(stack, "f")) == "aws_ec2_traffic_mirror_filter.f"
    assert address(cdk.TerraformLocal(stack, "l", [1])) == "local.l"


def test_when_conditions_and_arguments_are_added_one_by_one_then_all_stay() -> None:
    stack = new_stack()
    mirror_filter = aws.Ec2TrafficMirrorFilter(stack, "f")
    set_lifecycle(mirror_filter, create_before_destroy=True)
    for message in ("One.", "Two."):
        add_condition(mirror_filter, "precondition", "${true}", message)
    lifecycle = json.loads(cdk.Testing.synth(stack))["resource"]["aws_ec2_traffic_mirror_filter"]["f"]["lifecycle"]
    assert lifecycle["create_before_destroy"] is True
    assert [condition["error_message"] for condition in lifecycle["precondition"]] == ["One.", "Two."]


def test_when_a_condition_is_added_then_both_languages_say_it_as_a_block() -> None:
    as_json, as_hcl = new_stack(), new_stack()
    for stack in (as_json, as_hcl):
        if stack is as_hcl:
            with rendering_hcl():
                add_condition(aws.DataAwsVpc(stack, "v", id="vpc-1"), "postcondition", "${true}", "Never.")
        else:
            add_condition(aws.DataAwsVpc(stack, "v", id="vpc-1"), "postcondition", "${true}", "Never.")

    terraform = json.loads(cdk.Testing.synth(as_json))
    condition = {"condition": "${true}", "error_message": "Never."}
    assert terraform["data"]["aws_vpc"]["v"]["lifecycle"] == {"postcondition": [condition]}
    hcl = "".join(cdk.Testing.synth_hcl(as_hcl).split())
    assert 'lifecycle{postcondition{condition="${true}"error_message="Never."}}' in hcl
