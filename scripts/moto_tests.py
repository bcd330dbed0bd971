"""Run moto's own tests against stock moto and against strictmoto, and compare.

The account is moto made stricter: where a test of moto passes against moto and fails against the account, either
the account is as strict as AWS there, or it has a fault. `EXPECTED` says which tests differ, and why, with the
source, or "inferred" where no public page says it; the command fails where a test differs that is not named there,
and where one is named that does not. It is no part of the tests: it fetches moto's source distribution from the
package index, and takes minutes.

    python -m scripts.moto_tests            # all of it, and modules/strictmoto/docs/moto-tests.md
    python -m scripts.moto_tests test_ec2/test_traffic_mirrors.py
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from strictmoto.account import TESTED_MOTO

ROOT: Final = Path(__file__).resolve().parents[1]
CACHE: Final = ROOT / ".environments" / "moto-tests"
DOCUMENT: Final = ROOT / "modules/strictmoto/docs/moto-tests.md"
SUBJECTS: Final = {
    "Traffic Mirroring": ("test_ec2/test_traffic_mirrors.py",),
    "Network interfaces": ("test_ec2/test_elastic_network_interfaces.py",),
    "CloudFormation": ("test_cloudformation",),
    "Step Functions": ("test_stepfunctions",),
}
EXPECTED: Final[Mapping[str, str]] = {
    # Traffic Mirroring
    r"mirrors\.py::test_(create_traffic_mirror_target|describe_traffic_mirror_targets_by_\w+)$": (
        "AWS refuses the id of a network interface that does not begin with eni-: EC2 API Reference, Error codes "
        "(InvalidNetworkInterfaceId.Malformed)"
    ),
    r"::test_create_traffic_mirror_target_invalid_input$": (
        "AWS refuses a malformed id first, before it counts the targets (the order is inferred): EC2 API Reference, "
        "Error codes (InvalidNetworkInterfaceId.Malformed)"
    ),
    r"::test_\w*traffic_mirror_sessions?(_by_\w+|_tags_via_rgta)?$": (
        "AWS makes no target of a network interface that does not exist: EC2 API Reference, Error codes "
        "(InvalidNetworkInterfaceID.NotFound)"
    ),
    # Network interfaces
    r"interfaces\.py::test_\w+_(with_groups|modify_attribute|filtering|instance_id|owner_id)$": (
        "AWS puts no security group of one VPC on an interface of another (code InvalidGroup.NotFound inferred): "
        "CloudFormation User Guide, Troubleshooting (Security group does not exist in VPC)"
    ),
    r"::test_(elastic_network_interfaces_(with_private_ip|get_by_private_ip|describe_network_interfaces_with_filter)"
    r"|assign_private_ip_addresses__\w+|unassign_private_ip_addresses(__multiple)?)$": (
        "AWS gives an interface no address outside of its subnet: EC2 API Reference, CreateNetworkInterface "
        "(PrivateIpAddress)"
    ),
    r"::test_elastic_network_interfaces_(get_by_attachment_id|describe_attachment)$": (
        "AWS attaches an interface to an instance of its own Availability Zone only (code inferred): EC2 User Guide, "
        "Elastic network interfaces"
    ),
    r"::test_unassign_ipv6_addresses$": (
        "AWS answers with the new addresses only: EC2 API Reference, AssignIpv6Addresses (AssignedIpv6Addresses)"
    ),
    r"::test_elastic_network_interfaces_auto_create_securitygroup$": (
        "AWS makes no security group by the way, and refuses an id that does not begin with sg-: EC2 API Reference, "
        "Error codes (InvalidGroupId.Malformed)"
    ),
    # CloudFormation: templates
    r"depends_on\.py::test_create_chained_depends_on_stack$": (
        "AWS refuses DependsOn of a resource that the template does not have (inferred: the page on DependsOn does not "
        "say so, and AWS's error names it with Ref)"
    ),
    r"::test_(filter_stacks|update_stack_fail_missing_new_parameter|cloudformation_params"
    r"|update_stack_deleted_resources_can_reference_deleted_\w+|ssm_parameter_update_stack_and_\w+_resource)$": (
        "AWS refuses a template without resources: CloudFormation User Guide, Template sections (Resources)"
    ),
    r"::test_\w+_invalid_missing_resource$": (
        'AWS says "At least one Resources member must be defined" (words inferred), and moto what cfn-lint says: '
        "CloudFormation User Guide, Template sections (Resources)"
    ),
    r"::test_create_(stack_fail_missing_parameter|template_without_required_param)$": (
        'AWS says "Parameters: [...] must have values" (words inferred): CloudFormation User Guide, Parameters '
        "(each must be assigned a value)"
    ),
    r"::test_get_template_summary_for_template_containing_parameters$": (
        "AWS shows DeclaredTransforms, and no description where there is none (the latter inferred): CloudFormation "
        "API Reference, GetTemplateSummary (Response Elements)"
    ),
    r"parsing\.py::test_parse_stack_with_get_availability_zones$": (
        "AWS has six Availability Zones in us-east-1, of which moto's function names four (inferred: the page on "
        "Fn::GetAZs has four, as an example)"
    ),
    r"parsing\.py::test_to_json_string$": (
        "AWS evaluates Fn::ToJsonString with the transform AWS::LanguageExtensions only: CloudFormation Template "
        "Reference, Fn::ToJsonString"
    ),
    r"::test_create_log_group_using_fntransform$": (
        "AWS makes no stack of a template with macros, AWS::Include among them, without CAPABILITY_AUTO_EXPAND: "
        "CloudFormation API Reference, CreateStack (Capabilities)"
    ),
    r"parsing\.py::test_import$": (
        "AWS exports what a stack has when it was made (inferred: no page says when); the test asks moto's class, and "
        "makes no stack"
    ),
    r"::test_(create_stack_with_yaml|simple_instance|describe_change_set\[stack_template[02]-change_template[02]\])$": (
        "AWS refuses a resource with an attribute that there is not (words inferred): CloudFormation Template "
        "Reference, Resource attribute reference"
    ),
    r"::test_(delete_stack_with_nested_resources\[\d\]|stack_events_get_attribute_integration)$": (
        "AWS wants logical names of letters and digits (words inferred): CloudFormation User Guide, Template sections "
        "(Resources, Outputs: Logical ID)"
    ),
    # CloudFormation: stacks and change sets
    r"::test_cloudformation_server_get$": (
        "AWS wants a name of a stack of letters, digits and hyphens: CloudFormation API Reference, CreateStack "
        "(StackName)"
    ),
    r"::test_(describe_change_set|execute_change_set_w_arn|create_change_set|create_change_set_w_previous_template_success"
    r"|get_template_summary_for_stack_created_by_changeset_execution)(\[|$)": (
        "AWS wants the name of the stack with the name of a change set: CloudFormation API Reference, "
        "DescribeChangeSet and ExecuteChangeSet (StackName)"
    ),
    r"::test_create_change_set_w_previous_template_faillures\[no_changes\]$": (
        "AWS makes a change set without changes, whose status is FAILED: CloudFormation API Reference, "
        "DescribeChangeSet (StatusReason)"
    ),
    r"::test_create_change_set_w_previous_template_faillures\[": (
        'AWS\'s message does not begin with "An error occurred", which clients add: botocore, ClientError'
    ),
    r"::test_create_stack_with_notification_arn$": (
        "AWS sends the events of the resources, too (inferred: the page says events that are related to the stack): "
        "CloudFormation API Reference, CreateStack (NotificationARNs)"
    ),
    r"::test_simple_instance_missing_export$": (
        'AWS answers CreateStack first, and the stack fails with "No export named" (inferred): CloudFormation Template '
        "Reference, Fn::ImportValue"
    ),
    r"::test_set_stack_policy_(with_body|on_create)$": (
        "AWS refuses what is no stack policy (inferred: the page says what a policy is, not what becomes of others): "
        "CloudFormation User Guide, Prevent updates to stack resources"
    ),
    # CloudFormation: resources
    r"::test_(list_stack_resources_returns_last_updated_timestamp|update_stack_fail_update_same_template_body"
    r"|describe_stack_resource(s(_when_logical_resource_exists)?)?|create_change_set_twice__no_changes|delete_stack"
    r"|describe_updated_stack|update_stack_(replace_tags|with_previous_template)|stack_events)$": (
        "AWS launches no instance with a key pair that does not exist: EC2 API Reference, Error codes "
        "(InvalidKeyPair.NotFound)"
    ),
    r"::test_stack_kms$": (
        "AWS makes no key with a policy that is no JSON (words inferred): KMS API Reference, CreateKey "
        "(MalformedPolicyDocumentException)"
    ),
    r"::test_autoscaling_propagate_tags$": (
        "AWS makes no scheduled action before its group, on which the template does not let it depend (code inferred): "
        "CloudFormation Template Reference, DependsOn attribute"
    ),
    r"parsing\.py::test_sub$": (
        "AWS makes no second queue of the same name in a stack (words inferred): CloudFormation Template Reference, "
        "AWS::SQS::Queue (QueueName)"
    ),
    r"parsing\.py::test_parse_stack_(resources|with_(name_type_resource|tabbed_json_template|yaml_template))$": (
        "A limit of the account: its stacks are made of classes of its own, and the test asks for moto's"
    ),
    r"::test_update_stack_listener_and_rule$": (
        "AWS makes no target group of instances without a protocol (inferred: the page says only for Lambda functions "
        "that it does not apply): Elastic Load Balancing API Reference, CreateTargetGroup (Protocol)"
    ),
    r"::test_invalid_action_type_listener_rule$": (
        "AWS answers CreateStack first, and the stack fails: CloudFormation API Reference, CreateStack (OnFailure)"
    ),
    r"::test_stack_elbv2_resources_integration$": (
        "AWS makes no instance with user data that is not base64: CloudFormation Template Reference, "
        "AWS::EC2::Instance (UserData)"
    ),
    r"::test_create_and_update_stack_with_unknown_resource$": (
        "A limit of the account: it does not make AWS::Cloud9::EnvironmentEC2, and fails the stack rather than making "
        "nothing"
    ),
    # Step Functions
    r"::test_(update_state_machine|state_machine_creation_can_be_described)$"
    r"|::test_describe_state_machine_using_version_arn\[": (
        "AWS shows includeExecutionData of logging, false by default (inferred: the page says what false means): Step "
        "Functions API Reference, LoggingConfiguration"
    ),
    r"::test_state_machine_start_execution_is_idempotent_by_name_and_input$": (
        "AWS returns the same execution only while it runs, and this one has failed: Step Functions API Reference, "
        "StartExecution"
    ),
    r"::test_state_machine_(list_executions(_with_filter)?|describe_execution_with_\w+_input|stop_execution)$": (
        "AWS runs the execution, which fails at its first state; moto's runs for ever: Amazon States Language, "
        "Fail state"
    ),
    r"::test_state_machine_get_execution_history_contains_expected_success_events_when_started$": (
        "AWS's history has the events of the states there are; moto's is always the same: Step Functions API "
        "Reference, GetExecutionHistory"
    ),
    r"::test_state_machine_cloudformation_update_with_replacement$": (
        "AWS gives a replacement the tags of the new template only (inferred): CloudFormation Template Reference, "
        "AWS::StepFunctions::StateMachine (Tags)"
    ),
    r"::test_state_machine_cloudformation_update_with_no_interruption$": (
        "AWS replaces a state machine whose name is left out: CloudFormation Template Reference, "
        "AWS::StepFunctions::StateMachine (StateMachineName: Update requires Replacement)"
    ),
    r"::test_\w*(stack_?sets?|stack_instances?|stackset)\w*(\[|$)": (
        "A limit of the account: it makes no stacks of stack sets, and refuses them rather than remembering them"
    ),
}
"""Why a test passes against moto and not against the account, by a regular expression for `file::test`."""


@dataclass(frozen=True)
class Outcome:
    """How a test ended: passed, failed or skipped; and the first line of what it said."""

    kind: str
    said: str = ""


_STACK: Final = re.compile(
    r"""(?<=["'/])(?:(?:test|update|elb|initial|dynamodb)_stack\w*(?:\{\w+\})?|stack_from_changeset"""
    r"""|(?:linked_)?depends_on_(?:string_)?test|propagate_tags_test)(?=["'/-])"""
)
"""Names of stacks that AWS does not take: with hyphens, what the tests are about is compared."""
_WITH_STACKS: Final = ("test_cloudformation", "test_stepfunctions")
_LIMIT: Final = "A limit of the account: "
_MISSING: Final = Outcome("failed", "was not run")


def fetch() -> Path:
    """Return the directory of moto's tests, which are fetched where they are not there yet."""
    directory = CACHE / f"moto-{TESTED_MOTO}"
    if not (directory / "tests").is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
            subprocess.run([*pip, f"--dest={scratch}", f"moto=={TESTED_MOTO}"], check=True)
            [archive] = Path(scratch).glob("*.tar.gz")
            with tarfile.open(archive) as opened:
                # Only the tests: the moto that is installed is the one to be tested.
                members = [member for member in opened if member.name.startswith(f"{directory.name}/tests/")]
                opened.extractall(CACHE, members, filter="data")
    for file in (file for subject in _WITH_STACKS for file in (directory / "tests" / subject).glob("*.py")):
        text = file.read_text(encoding="utf-8")
        file.write_text(with_hyphens(text), encoding="utf-8")
    return directory


def with_hyphens(text: str) -> str:
    """Return a test with names of stacks that AWS takes."""
    return _STACK.sub(lambda name: name[0].replace("_", "-"), text)


def run(directory: Path, against: str, tests: Sequence[str]) -> dict[str, Outcome]:
    """Run tests, and return how each ended, by `file::test`."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.xml")
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "scripts.moto_tests_plugin", "-p", "no:cacheprovider"]
        settings = ["-c", os.devnull, f"--rootdir={directory}", "-o", "junit_family=xunit1", f"--junitxml={report}"]
        subprocess.run(
            [*pytest, *settings, *(f"tests/{test}" for test in tests)],
            cwd=directory,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))},
                "PYTHONPATH": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TEST_SERVER_MODE": "true",
                "TAPSTACK_MOTO_TESTS": against,
                "AWS_DEFAULT_REGION": "us-east-1",
            },
            stdout=sys.stderr,
            check=False,
        )
        return {name: outcome for case in ElementTree.parse(report).iter("testcase") for name, outcome in [_read(case)]}


def _read(case: ElementTree.Element) -> tuple[str, Outcome]:
    name = f"{case.get('file', '').removeprefix('tests/')}::{case.get('name')}"
    for kind, tag in (("failed", "failure"), ("failed", "error"), ("skipped", "skipped")):
        found = case.find(tag)
        if found is not None:
            said = (found.get("message") or found.text or "").strip()
            return name, Outcome(kind, said.splitlines()[0] if said else "")
    return name, Outcome("passed")


def differences(stock: Mapping[str, Outcome], ours: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Return what the account said in the tests that pass against stock moto only."""
    return {
        name: ours.get(name, _MISSING)
        for name, outcome in stock.items()
        if outcome.kind == "passed" and ours.get(name, _MISSING).kind != "passed"
    }


def reason_of(name: str) -> str | None:
    """Return why a test is expected to differ."""
    return next((reason for pattern, reason in EXPECTED.items() if re.search(pattern, name)), None)


def document(stock: Mapping[str, Outcome], ours: Mapping[str, Outcome], day: date) -> str:
    """Return the page."""
    rows = []
    for subject, paths in SUBJECTS.items():
        counted = [name for name in stock if name.startswith(paths)]
        passed = [{n for n in counted if results.get(n, _MISSING).kind == "passed"} for results in (stock, ours)]
        both = passed[0] & passed[1]
        rows.append(f"| {subject} | {len(counted)} | {len(passed[0])} | {len(passed[1])} | {len(both)} |")
    listed: dict[str, list[str]] = collections.defaultdict(list)
    for name in differences(stock, ours):
        listed[reason_of(name) or "NOT EXPLAINED"].append(name.rpartition("/")[2])
    stricter = {reason: names for reason, names in listed.items() if not reason.startswith(_LIMIT)}
    limits = {reason: names for reason, names in listed.items() if reason.startswith(_LIMIT)}
    return f"""\
<!-- Written by `make moto-tests`; changes belong into scripts/moto_tests.py. -->
# moto's own tests, against strictmoto

The account is moto {TESTED_MOTO}, made as strict as AWS. moto's tests of what the account changes were run over HTTP
against stock moto and against the account, without IAM, on {day}. Tests that moto skips in its server mode, or that
need AWS itself, are not counted as passed. Names of stacks with underscores, which AWS refuses, were given hyphens (API
Reference, CreateStack: StackName), and the account was emptied before each test.

**inferred**: AWS does it, or very likely does it, but no public page says so, or none says in which words.

| subject | tests | pass against moto | pass against the account | pass against both |
| --- | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

## What passes against moto only, where the account is stricter, as AWS is

{_bullets(stricter)}
## What passes against moto only by a limit of the account

{_bullets(limits)}"""


def _bullets(listed: Mapping[str, Sequence[str]]) -> str:
    sections = [f"{why}:\n\n" + "".join(f"- `{name}`\n" for name in sorted(listed[why])) for why in sorted(listed)]
    return "\n".join(sections) or "None.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where only expected tests differ, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m scripts.moto_tests", description=__doc__.partition("\n")[0])
    parser.add_argument("tests", nargs="*", help="files or directories below moto's tests; the subjects by default")
    given = parser.parse_args(arguments)
    directory = fetch()
    tests = given.tests or [path for paths in SUBJECTS.values() for path in paths]
    stock, ours = (run(directory, against, tests) for against in ("stock", "account"))
    found = differences(stock, ours)
    unexplained = {name: outcome for name, outcome in found.items() if reason_of(name) is None}
    for name, outcome in unexplained.items():
        print(f"{name}\n    {outcome.kind}: {outcome.said[:300]}")
    gone = [] if given.tests else [p for p in EXPECTED if not any(re.search(p, name) for name in found)]
    for pattern in gone:
        print(f"{pattern}: no test that differs is called so: take it out of EXPECTED")
    print(f"{len(stock)} tests, {len(found)} differ, {len(unexplained)} of them not explained")
    if not given.tests:
        DOCUMENT.write_text(document(stock, ours, datetime.now(UTC).date()), encoding="utf-8")
    return 1 if unexplained or gone else 0


if __name__ == "__main__":
    sys.exit(main())
