"""IAM policies for the roles that plan and apply, from the record of a deployment of the example.

`record` deploys the example, with all that telemetry and alerts can have (`with_telemetry`), into the rehearsal
account, plans, updates and destroys it, with real Terraform, as the two roles. `render` makes policies of what their
calls needed. `python -m scripts.deploying_policies` writes both again: the policies, and what they are made of
(scripts/deploying_needs.json). Long tests hold the policies against another such record; a short one holds them against
what is written, and the types of resources that were recorded against those that are synthesized.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.iam.authorizations import Authorization
from strictmoto.iam.policies import Request, Statement, judge, read_policy
from strictmoto.identity.principals import assume, found_role
from strictmoto.recorder import Record
from strictmoto.testing.least_privilege import request_of
from strictmoto.testing.resource_conditions import last_part, tags_now
from tapstack.cli.rehearse_deploy import without_surroundings
from tapstack.domain.appliance_calls import CHANGED, DESCRIBED, MADE
from tapstack.domain.globs import matches
from tapstack.domain.incidents import TAG_DEPLOYMENT
from tapstack.domain.names import incidents_table_name, launched_stack_name
from tapstack.domain.table_names import BY_STATE, CONTAINED, PRIOR_STATES
from tapstack.domain.telemetry import GUARDDUTY
from tapstack.domain.template_urls import MARKETPLACE_BUCKET
from tapstack.rehearsal.changes import Spares, rehearse_changes
from tapstack.rehearsal.deployment import SiteDeployment, synthesize
from tapstack.rehearsal.fitting import fit
from tapstack.rehearsal.packet_basics import publish_template
from tapstack.settings.load import parse_deployment
from tapstack.settings.yaml_source import YamlSource
from tapstack.workspace import state

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs/iam"
NEEDS: Final = ROOT / "scripts/deploying_needs.json"
"""What the written policies are made of."""
BUCKET: Final = "company-terraform-state"
OWNED: Final = TAG_DEPLOYMENT
"""The tag that everything carries that a deployment makes."""
PLACE: Final = ("111122223333", "eu-central-1")
"""Account and Region that the written policies name."""
_DEPLOYING: Final = ("/tapstack-deploy", "/tapstack-plan")
"""Names of the roles that apply and plan; the account of the example's second site has two of these names, too."""
_APPLY_ROLE, _PLAN_ROLE = (f"arn:aws:iam::{ACCOUNT_ID}:role{name}" for name in _DEPLOYING)
_HELPER: Final = "tapstack-rehearsal"
"""The role that makes what the changes need besides, and whose calls do not count."""
_READS: Final = re.compile(
    # A plan lists no versions: that is for a destroy, which deletes them.
    r"(?!s3:ListBucketVersions)\w+:(Describe|Get|List|Head|Validate)\w*|apigateway:GET"
)
PROJECT_IN_BUCKETS: Final = 37
"""Characters of a project's name that a shortened name of a bucket holds, so that a policy names it by the project."""
LONGEST: Final = 6144
"""Characters of a managed policy, white space apart. Source: IAM and AWS STS quotas."""


@dataclass(frozen=True)
class Recording:
    """What was recorded.

    Attributes:
        calls: what the deploying roles asked of AWS, with the stack and what Terraform did there:
            plan, apply, update or destroy.
        tags: of what stood at some time, by the last part of its ARN.
        types: the types of resources that were deployed, by kind of stack: capture, xdr or response.
    """

    calls: list[tuple[str, str, Record]] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    types: dict[str, set[str]] = field(default_factory=dict)


def record(account: Account, say: Callable[[str], None]) -> Recording:
    """Deploy the example, plan, update and destroy it, and return what was asked of AWS meanwhile.

    Args:
        account: an empty account.
        say: gets a line for every step.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _Deployer(account, Path(scratch), say).run()


class _Deployer:
    def __init__(self, account: Account, scratch: Path, say: Callable[[str], None]) -> None:
        self._account, self._scratch, self._say = account, scratch, say
        document = with_telemetry(example())
        self._deployment = parse_deployment(json.dumps(document), "deployment.yaml")
        account.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": PLACE[1]})
        for name in _OTHERS:
            # A policy names no role that is not there.
            found_role(f"arn:aws:iam::{ACCOUNT_ID}:role/{name}")
        document = without_surroundings(document, ROOT)
        # Teams keep state in S3, and reading it is part of what a role needs.
        document["backend"] = {"s3": {"bucket": BUCKET, "region": PLACE[1]}}
        fitted = fit(
            json.dumps(document),
            account,
            publish=lambda region: publish_template(account.client("s3", region=region)),
            deployment=self._deployment,
        )
        self._document = json.loads(fitted)
        self._recording = Recording()

    def run(self) -> Recording:
        names = state.stack_names(self._deployment)
        directories = self._write(self._document)
        self._recording.types.update(types_of(directories))
        stacks, plans = (
            {name: SiteDeployment(directories[name], self._account, self._say, credentials=keys) for name in names}
            for keys in (assume(role, "terraform", PLACE[1]) for role in (_APPLY_ROLE, _PLAN_ROLE))
        )
        for name, stack in stacks.items():
            self._as("apply", name, stack.apply)
        self._write(planned_by_a_role_that_reads(self._document))
        for name, stack in plans.items():
            self._as("plan", name, stack.changes)
        self._write(self._document)
        spares = [self._change(name, stacks[name]) for name in self._deployment.sites]
        for change, release in ((_other_settings, _another_release), (lambda document: None, lambda terraform: None)):
            document = json.loads(json.dumps(self._document))
            change(document)
            for directory in self._write(document).values():
                file = directory / "cdk.tf.json"
                terraform = json.loads(file.read_text(encoding="utf-8"))
                release(terraform)
                file.write_text(json.dumps(terraform), encoding="utf-8")
            for name, stack in stacks.items():
                self._as("update", name, partial(_update, stack))
        for name, stack in reversed(stacks.items()):
            self._as("destroy", name, stack.destroy)
        for spare in spares:
            spare.remove()
        return self._recording

    def _write(self, document: Mapping[str, Any]) -> dict[str, Path]:
        return self._write_text(json.dumps(document))

    def _write_text(self, text: str) -> dict[str, Path]:
        file = self._scratch / "deployment.yaml"
        file.write_text(text, encoding="utf-8")
        return synthesize(ROOT, file, self._scratch / "out", state.stack_names(self._deployment))

    def _change(self, name: str, stack: SiteDeployment) -> Spares:
        site = self._deployment.sites[name]
        helper = f"arn:aws:iam::{self._account_of(name)}:role/{_HELPER}"
        spares = Spares(self._account.client("ec2", region=site.region, role_arn=helper))
        document = json.loads(json.dumps(self._document))
        self._as(
            "update",
            name,
            lambda: list(rehearse_changes(stack, name, document, spares, self._write_text)),
        )
        self._write(self._document)
        return spares

    def _account_of(self, site: str) -> str:
        role = self._deployment.sites[site].assume_role
        return role.role_arn.split(":")[4] if role else ACCOUNT_ID

    def _as(self, phase: str, name: str, act: Callable[[], Any]) -> None:
        """Do something, and keep what Terraform asked of AWS meanwhile, and the tags that were there."""
        before = len(self._account.recorder.records())
        act()
        for found in self._account.recorder.records()[before:]:
            # Functions and schedules of what was deployed call as well.
            if found.principal.endswith(_DEPLOYING):
                self._recording.calls.append((phase, name, found))
            if found.request_tags:
                for made in found.created:
                    self._recording.tags.setdefault(last_part(made), {}).update(found.request_tags)
        for site, settings in self._deployment.sites.items():
            role = f"arn:aws:iam::{self._account_of(site)}:role/{_HELPER}"
            where = {"region": settings.region, "role_arn": role}
            for found_id, tags in {**tags_now(self._account, **where), **_tags_of_keys(self._account, where)}.items():
                self._recording.tags.setdefault(found_id, {}).update(tags)


_OTHERS: Final = ("edr-collector", "elastic-agent")
"""Roles of the site's owner that put telemetry and read it."""
_EXTERNAL_ID: Final = "7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"


def example() -> dict[str, Any]:
    """Return the example deployment file as plain data."""
    path = ROOT / "deployment.yaml"
    document: dict[str, Any] = YamlSource(path.read_text(encoding="utf-8"), path.name).data
    return document


def with_telemetry(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the example with all that telemetry and alerts of a site can be made of, in place of what it has of them.

    Each shape of trust, queues that share a prefix and a reader that polls, every source, alerts with a webhook.
    """
    whole: dict[str, Any] = json.loads(json.dumps(document))
    site = whole["sites"]["production"]
    vendor = {"principal": "444455556666", "external_id": _EXTERNAL_ID}
    producer, agent = (f"arn:aws:iam::{PLACE[0]}:role/{name}" for name in _OTHERS)
    site["xdr"] = {
        "landing": {"flow_log_accounts": ["444455556666"]},
        "flow_logs": {},
        "guardduty": {"detector_id": "12abc34d567e8fa901bc2d34e56789f0"},
        "incidents": {"ocsf": True},
        "feeds": {"edr": {"principals": [producer]}},
        "readers": {
            "hunters": {"preset": "hunters", "notifications": "none", "vendor": vendor, "prefixes": ["flow"]},
            "cortex": {"preset": "cortex", "vendor": vendor, "prefixes": ["flow"]},
            "sentinel": {
                "preset": "sentinel",
                "oidc": {"session_name": f"MicrosoftSentinel_{_EXTERNAL_ID}", "thumbprints": ["ab" * 20]},
                "prefixes": ["flow", "guardduty"],
            },
            "elastic": {
                "preset": "elastic",
                "own": {"principals": [agent]},
                "prefixes": ["flow", "incidents", "incidents-ocsf", "feeds/edr"],
            },
        },
    }
    alerts = site["response"].setdefault("alerts", {})
    alerts["security_hub"] = True
    # The policy of the example may name sources of its own.
    alerts["sources"] = {**alerts.get("sources", {}), "soc": {"preset": "generic", "webhook": True}}
    return whole


def kind_of(stack: str) -> str:
    """Return what a stack deploys of its site: capture, xdr or response."""
    return next((kind for kind in ("response", "xdr") if stack.endswith(f"-{kind}")), "capture")


def types_of(directories: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return the types of resources and lookups that were synthesized, by kind of stack.

    Args:
        directories: of the Terraform, by stack.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for stack, directory in directories.items():
        terraform = json.loads((directory / "cdk.tf.json").read_text(encoding="utf-8"))
        for part, prefix in (("resource", ""), ("data", "data.")):
            found[kind_of(stack)] |= {f"{prefix}{type_}" for type_ in terraform.get(part, {})}
    return dict(found)


def planned_by_a_role_that_reads(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deployment file whose sites assume a role that plans where they name the role that applies.

    The pipeline of docs/gitops.md does the same to the file. Otherwise a plan, which is not reviewed, would need the
    right to assume the role that applies.
    """
    planned: dict[str, Any] = json.loads(json.dumps(document).replace(f"role{_DEPLOYING[0]}", f"role{_DEPLOYING[1]}"))
    return planned


def _update(stack: SiteDeployment) -> None:
    """Apply a change of what stays.

    Raises:
        ValueError: the change replaces a resource, and so does not show what changing it needs.
    """
    if replaced := [address for address, actions in stack.changes().items() if len(actions) > 1]:
        raise ValueError(f"a change in place was expected of {', '.join(replaced)}")
    stack.apply_planned()


def _other_settings(document: dict[str, Any]) -> None:
    """Change what an operator changes of resources that stay: what is replaced or removed hides changes of it."""
    document["tags"] = {**document.get("tags", {}), "reviewed": "2026"}
    site = document["sites"]["production"]
    site["packet_basics"]["remote_access_cidr"] = "10.21.0.0/16"
    site["sessions"]["web-servers"]["filter"] = "outbound"
    response = site["response"]
    response["retention_days"] = 30
    response["log_retention_days"] = 30
    response["capture"] = {"minutes": 30}
    response["policy"] = []
    # One more security group, and the only one that has rules.
    response["containment"]["two_step"] = {"enabled": True}
    response["notify"] = {"emails": ["incidents@example.com"]}
    xdr = site["xdr"]
    xdr["landing"]["keep_days"] = xdr["landing"]["unmatched_days"] = 30
    xdr["readers"]["sentinel"]["oidc"]["thumbprints"] = ["cd" * 20]
    xdr["readers"]["elastic"]["own"]["external_id"] = _EXTERNAL_ID


def _text(_: Any) -> str:
    return "another release"


def _of(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what changes an argument where a resource has it."""
    return lambda value: None if value is None else change(value)


_policy: Final = _of(lambda text: text.replace('"2012-10-17"', '"2012-10-17","Id":"another"'))


def _none(_: Any) -> None:
    """Leave the argument out."""


_Change: TypeAlias = tuple[Callable[[Any], Any], tuple[str, ...]]
"""What changes an argument, and the arguments that the AWS provider changes by the same call of AWS."""
IN_PLACE: Final[Mapping[str, Mapping[str, _Change]]] = {
    "aws_apigatewayv2_api": {"description": (_text, ("name",))},
    "aws_apigatewayv2_integration": {
        "timeout_milliseconds": (
            lambda _: 20000,
            ("integration_method", "integration_uri", "payload_format_version"),
        )
    },
    "aws_apigatewayv2_route": {
        "operation_name": (
            _text,
            ("authorization_scopes", "authorization_type", "authorizer_id", "route_key", "target"),
        )
    },
    "aws_apigatewayv2_stage": {
        "access_log_settings": (_none, ()),
        "description": (_text, ("auto_deploy", "default_route_settings", "route_settings")),
    },
    "aws_cloudformation_stack": {
        # Settings change parameters.
        "parameters": (lambda value: value, ("tags", "template_url")),
        "policy_body": (_of(lambda text: text.replace('"Statement"', ' "Statement"')), ()),
    },
    "aws_cloudwatch_dashboard": {"dashboard_body": (_of(lambda text: text.replace('"x":0', '"x":1')), ())},
    "aws_cloudwatch_event_rule": {"description": (_text, ("event_pattern",))},
    "aws_cloudwatch_event_target": {
        "retry_policy": (_of(lambda value: {**value, "maximum_retry_attempts": 100}), ("arn", "dead_letter_config"))
    },
    "aws_cloudwatch_log_group": {"retention_in_days": (_none, ())},
    "aws_cloudwatch_metric_alarm": {
        "alarm_description": (
            _text,
            (
                "alarm_actions",
                "comparison_operator",
                "datapoints_to_alarm",
                "dimensions",
                "evaluation_periods",
                "metric_name",
                "metric_query",
                "namespace",
                "ok_actions",
                "period",
                "statistic",
                "threshold",
                "treat_missing_data",
            ),
        )
    },
    "aws_dynamodb_table": {
        "deletion_protection_enabled": (lambda value: not value, ("billing_mode", "server_side_encryption")),
        "point_in_time_recovery": (_of(lambda _: {"enabled": False}), ()),
        "ttl": (_of(lambda value: {**value, "enabled": False}), ()),
    },
    "aws_ec2_traffic_mirror_filter": {"network_services": (lambda value: [] if value else ["amazon-dns"], ())},
    "aws_ec2_traffic_mirror_filter_rule": {
        "description": (
            _text,
            (
                "destination_cidr_block",
                "destination_port_range",
                "protocol",
                "rule_action",
                "rule_number",
                "source_cidr_block",
                "source_port_range",
                "traffic_direction",
            ),
        )
    },
    "aws_ec2_traffic_mirror_session": {
        "description": (
            _text,
            ("packet_length", "session_number", "traffic_mirror_filter_id", "traffic_mirror_target_id"),
        )
    },
    "aws_guardduty_publishing_destination": {"destination_arn": (lambda text: f"{text}/", ("kms_key_arn",))},
    "aws_iam_openid_connect_provider": {
        "client_id_list": (_of(lambda audiences: [*audiences, "another"]), ()),
        "thumbprint_list": (lambda _: ["ef" * 20], ()),
    },
    "aws_iam_role": {"assume_role_policy": (_policy, ()), "description": (_text, ())},
    "aws_iam_role_policy": {"policy": (_policy, ())},
    "aws_kms_key": {
        "description": (_text, ()),
        "enable_key_rotation": (lambda _: False, ()),
        "policy": (_policy, ()),
        # Terraform uses it when it destroys.
        "deletion_window_in_days": (lambda _: 29, ()),
    },
    "aws_lambda_event_source_mapping": {
        "maximum_batching_window_in_seconds": (
            lambda _: 5,
            ("batch_size", "function_name", "function_response_types", "scaling_config"),
        )
    },
    "aws_lambda_function": {
        "description": (
            _text,
            (
                "dead_letter_config",
                "environment",
                "handler",
                "kms_key_arn",
                "logging_config",
                "memory_size",
                "role",
                "runtime",
                "timeout",
                "tracing_config",
            ),
        ),
        "source_code_hash": (lambda _: "YW5vdGhlciByZWxlYXNl", ("architectures", "filename")),
    },
    "aws_lb": {"enable_cross_zone_load_balancing": (lambda value: not value, ("enable_deletion_protection",))},
    "aws_lb_listener": {"port": (lambda _: 4790, ("default_action", "protocol"))},
    "aws_lb_target_group": {
        "deregistration_delay": (lambda _: "10", ()),
        "health_check": (_of(lambda value: {**value, "port": "80"}), ()),
    },
    "aws_ram_resource_share": {"name": (_text, ("allow_external_principals",))},
    "aws_s3_bucket_lifecycle_configuration": {
        # Settings change how long objects are kept.
        "rule": (lambda value: value, ())
    },
    "aws_s3_bucket_logging": {"target_prefix": (_text, ("target_bucket",))},
    "aws_s3_bucket_notification": {"queue": (_of(lambda queues: queues[:-1]), ("topic",))},
    "aws_s3_bucket_ownership_controls": {"rule": (lambda _: {"object_ownership": "BucketOwnerPreferred"}, ())},
    "aws_s3_bucket_policy": {"policy": (_policy, ())},
    "aws_s3_bucket_public_access_block": {
        "block_public_acls": (
            lambda _: False,
            ("block_public_policy", "ignore_public_acls", "restrict_public_buckets"),
        )
    },
    "aws_s3_bucket_server_side_encryption_configuration": {
        "rule": (_of(lambda rules: [{**rules[0], "bucket_key_enabled": not rules[0].get("bucket_key_enabled")}]), ())
    },
    "aws_s3_bucket_versioning": {"versioning_configuration": (lambda _: {"status": "Suspended"}, ())},
    "aws_s3_object": {"content_type": (lambda _: "text/plain", ("content", "kms_key_id"))},
    "aws_scheduler_schedule": {
        "schedule_expression": (
            lambda _: "rate(20 minutes)",
            ("description", "flexible_time_window", "kms_key_arn", "target"),
        )
    },
    "aws_secretsmanager_secret": {"description": (_text, ("kms_key_id",))},
    # One more group has rules (`two_step`), and tags change.
    "aws_security_group": {"tags": (_of(lambda value: {**value, "another": "release"}), ("egress", "ingress"))},
    "aws_sfn_state_machine": {
        "definition": (
            _of(lambda text: text.replace('"Comment":"', '"Comment":"Another: ', 1)),
            ("logging_configuration", "role_arn", "tracing_configuration"),
        )
    },
    "aws_sns_topic": {"display_name": (_text, ("kms_master_key_id",))},
    "aws_sns_topic_policy": {"policy": (_policy, ())},
    "aws_sns_topic_subscription": {"raw_message_delivery": (lambda value: False if value else None, ())},
    "aws_sqs_queue": {
        # Longer than any function may run that reads from it.
        "visibility_timeout_seconds": (
            lambda _: 1000,
            (
                "kms_master_key_id",
                "message_retention_seconds",
                "policy",
                "redrive_policy",
                "sqs_managed_sse_enabled",
            ),
        )
    },
    "aws_sqs_queue_policy": {"policy": (_policy, ())},
    "aws_vpc_security_group_egress_rule": {
        "description": (_text, ("cidr_ipv4", "from_port", "ip_protocol", "to_port"))
    },
    "aws_vpc_security_group_ingress_rule": {
        "description": (_text, ("cidr_ipv4", "from_port", "ip_protocol", "referenced_security_group_id", "to_port"))
    },
}
"""What can change in place, by type of resource and argument: the record changes each, or leaves it out."""

REPLACED: Final[Mapping[str, frozenset[str]]] = {
    type_: frozenset(arguments.split())
    for type_, arguments in {
        "aws_apigatewayv2_api": "protocol_type",
        "aws_apigatewayv2_integration": "api_id integration_type",
        "aws_apigatewayv2_route": "api_id",
        "aws_apigatewayv2_stage": "api_id name",
        "aws_cloudformation_stack": "name on_failure timeout_in_minutes",
        "aws_cloudwatch_dashboard": "dashboard_name",
        "aws_cloudwatch_event_rule": "name",
        "aws_cloudwatch_event_target": "rule target_id",
        "aws_cloudwatch_log_group": "kms_key_id name",
        "aws_cloudwatch_metric_alarm": "alarm_name",
        "aws_dynamodb_table": "attribute global_secondary_index hash_key name range_key",
        "aws_ec2_traffic_mirror_filter": "description",
        "aws_ec2_traffic_mirror_filter_rule": "traffic_mirror_filter_id",
        "aws_ec2_traffic_mirror_session": "network_interface_id",
        "aws_ec2_traffic_mirror_target": "description network_load_balancer_arn",
        "aws_flow_log": "destination_options log_destination log_destination_type log_format max_aggregation_interval "
        "traffic_type vpc_id",
        "aws_guardduty_publishing_destination": "detector_id",
        "aws_iam_openid_connect_provider": "url",
        "aws_iam_role": "name",
        "aws_iam_role_policy": "name role",
        "aws_kms_alias": "name target_key_id",
        "aws_lambda_event_source_mapping": "event_source_arn",
        "aws_lambda_function": "function_name",
        "aws_lambda_permission": "action function_name principal source_arn",
        "aws_lb": "internal load_balancer_type security_groups subnets",
        "aws_lb_listener": "load_balancer_arn",
        "aws_lb_target_group": "port protocol target_type vpc_id",
        "aws_lb_target_group_attachment": "port target_group_arn target_id",
        "aws_network_interface_sg_attachment": "network_interface_id security_group_id",
        "aws_ram_principal_association": "principal resource_share_arn",
        "aws_ram_resource_association": "resource_arn resource_share_arn",
        "aws_s3_bucket": "bucket force_destroy",
        "aws_s3_object": "bucket key",
        "aws_scheduler_schedule": "name",
        "aws_secretsmanager_secret": "name recovery_window_in_days",
        "aws_security_group": "description name name_prefix vpc_id",
        "aws_sfn_state_machine": "name type",
        "aws_sns_topic": "name",
        "aws_sns_topic_policy": "arn",
        "aws_sns_topic_subscription": "endpoint protocol topic_arn",
        "aws_sqs_queue": "name",
        "aws_sqs_queue_policy": "queue_url",
        "aws_vpc_security_group_egress_rule": "security_group_id",
        "aws_vpc_security_group_ingress_rule": "security_group_id",
        **dict.fromkeys((type_ for type_ in IN_PLACE if type_.startswith("aws_s3_bucket_")), "bucket"),
    }.items()
}
"""Arguments whose change replaces the resource, or makes no call. A key that others refer to is never replaced; what
other `subnets` of a load balancer need is in the table of docs/iam/README.md."""


def unchanged(terraform: Mapping[str, Any]) -> list[str]:
    """Return what of synthesized Terraform neither the record changes, nor is replaced, as `<type>.<argument>`."""
    meta = {"//", "count", "depends_on", "for_each", "lifecycle", "override_provider", "provider", "timeouts", "tags"}
    return sorted(
        {
            f"{type_}.{argument}"
            for type_, resources in terraform.get("resource", {}).items()
            if type_ != "terraform_data"
            for resource in resources.values()
            for argument in set(resource) - meta - REPLACED.get(type_, frozenset())
            if not any(argument in (changed, *alike) for changed, (_, alike) in IN_PLACE.get(type_, {}).items())
        }
    )


def _another_release(terraform: dict[str, Any]) -> None:
    """Change synthesized Terraform as another release of Tapstack could."""
    for kind, arguments in IN_PLACE.items():
        for resource in terraform.get("resource", {}).get(kind, {}).values():
            for argument, (changed, _) in arguments.items():
                resource[argument] = changed(resource.get(argument))
                if resource[argument] is None:
                    del resource[argument]


def _tags_of_keys(account: Account, where: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    kms = account.client("kms", **where)
    return {
        key["KeyId"]: {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]}
        for page in kms.get_paginator("list_keys").paginate()
        for key in page["Keys"]
    }


@dataclass(frozen=True, slots=True)
class Need:
    """What a call needed: an action on a resource, by which tag it can be limited to the site.

    Attributes:
        action: of IAM.
        resource: as policies name it, with the account and Region of PLACE.
        condition: `request` where the call gives the tag, `resource` where the resource has it, `creation` where
            the tag is given to what the same call makes, or none.
        service: that a role is passed to.
    """

    action: str
    resource: str
    condition: str = ""
    service: str = ""


_OF_CREATION: Final = {"ec2:CreateTags": "ec2", "elasticloadbalancing:AddTags": "elasticloadbalancing"}
"""Services whose IAM knows whether a tag is set by the call that creates a resource. Without that, resources of others
could be tagged as the deployment's, and then be changed."""
_CONDITIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "": {},
    "request": {"StringEquals": {f"aws:RequestTag/{OWNED}": "tapstack"}},
    "resource": {"StringEquals": {f"aws:ResourceTag/{OWNED}": "tapstack"}},
    **{
        f"creation {service}": {
            "StringEquals": {f"aws:RequestTag/{OWNED}": "tapstack"},
            "Null": {f"{service}:CreateAction": "false"},
        }
        for service in _OF_CREATION.values()
    },
}
_TAGGED: Final = re.compile(
    r"arn:aws:(ec2:.*:(security-group|traffic-mirror-(filter|session|target)|vpc-flow-log)/"
    r"|elasticloadbalancing:|kms:.*:key/|lambda:.*:event-source-mapping:|ram:.*:resource-share/)"
)
"""What carries the tag that shows whose it is; the names of everything else show it."""

_READS_SECRETS: Final = frozenset({"ec2:DescribeInstanceAttribute"})
"""What shows secrets of others, here user data. Terraform's data source of an instance always reads that attribute, so
that a condition on `ec2:Attribute` could not leave it out; CloudFormation gives the appliance the stack's tags."""


def needs_of(recording: Recording) -> Iterator[tuple[str, str, Need]]:
    """Yield what each call needed, with the stack and what was done there."""
    for phase, stack, call in recording.calls:
        # What CloudFormation calls for the appliance has a policy that holds more than the stand-in needs.
        for authorization in () if _of_appliance(call) else call.authorizations:
            for resource in authorization.resources:
                yield phase, stack, _need(authorization, resource, recording.tags)


def _of_appliance(call: Record) -> bool:
    return call.invoked_by == "cloudformation.amazonaws.com"


def _need(authorization: Authorization, resource: str, tags: Mapping[str, Mapping[str, str]]) -> Need:
    action, context = authorization.action, authorization.context
    if action in _READS_SECRETS:
        return Need(action, general(resource), "resource")
    if _READS.fullmatch(action):
        # Names of what is read are left open where the name is no secret's.
        return Need(action, general(resource))
    if action == "iam:PassRole":
        return Need(action, general(resource), service=str(context["iam:PassedToService"]))
    made = resource.endswith(("/*", ":*")) or resource == "*"
    if (service := _OF_CREATION.get(action, "")) and f"{service}:CreateAction" in context:
        return Need(action, general(resource), f"creation {service}")
    if made and f"aws:RequestTag/{OWNED}" in context and (resource == "*" or _TAGGED.match(resource)):
        return Need(action, general(resource), "request")
    if not made and _TAGGED.match(resource) and OWNED in tags.get(last_part(resource), {}):
        return Need(action, general(resource), "resource")
    return Need(action, general(resource))


_ID: Final = re.compile(r"(?<=/)(?:[a-z]+-[0-9a-f]{8,17}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$")
_NAME: Final = re.compile(r"tapstack-(?:production|shared-services)-(response|packet-basics|epb|xdr)\b(-[\w-]+)?")
_OF_TELEMETRY: Final = re.compile(rf"(?<=-xdr-\*/)(?!{GUARDDUTY}$).+")
"""Keys of objects in the buckets of telemetry, but the one that Terraform puts."""


def general(resource: str) -> str:
    """Return a resource as policies name it: ids and the names of sites are left open.

    >>> general("arn:aws:ec2:us-east-1:444455556666:security-group/sg-0123456789abcdef0")
    'arn:aws:ec2:eu-central-1:111122223333:security-group/*'
    >>> general("arn:aws:iam::123456789012:role/tapstack-production-response-api")
    'arn:aws:iam::111122223333:role/tapstack-*-response-*'
    """
    if resource == "*":
        return resource
    *place, name = _placed(resource).split(":", 5)
    service = place[2]
    if service == "apigateway":
        # A path names an id behind each collection.
        parts = name.split("/")
        name = "/".join("*" if position and position % 2 == 0 else part for position, part in enumerate(parts))
    elif service == "elasticloadbalancing":
        name = re.sub(r"(?<=/)tf-[^/]+|(?<=/)[0-9a-f]{16}", "*", name)
    else:
        name = _ID.sub("*", _NAME.sub(_of_any_site, name))
        name = re.sub(r"^(stack/[^/]+)/.+", r"\1/*", name).replace("*:log-stream:", "*")
        name = re.sub(r"[^/]+(\.tfstate(?:\.tflock)?)$", r"*\1", name)
        name = re.sub(r"^(event-source-mapping:|secret:.+/webhooks/).+", r"\1*", name)
        name = re.sub(r"(?<=/)[0-9a-f]{32}", "*", _OF_TELEMETRY.sub("*", name))
    return ":".join([*place, name])


def _of_any_site(found: re.Match[str]) -> str:
    return f"tapstack-*-{found[1]}" + ("-*" if found[2] else "")


def _placed(resource: str) -> str:
    """Return an ARN with the account and Region that the written policies name."""
    if resource == "*":
        return resource
    arn, partition, service, region, account, name = resource.split(":", 5)
    if resource.endswith(_DEPLOYING):
        # Roles of a site's own account, which the pipeline's role assumes.
        return resource
    return ":".join([arn, partition, service, region and PLACE[1], account and PLACE[0], name])


def by_policy(recording: Recording) -> dict[str, set[Need]]:
    """Return what calls needed by the file name of the policy that allows it."""
    policies: defaultdict[str, set[Need]] = defaultdict(set)
    for phase, stack, need in needs_of(recording):
        if _READS.fullmatch(need.action) or phase == "plan":
            policies[_PLANNED[kind_of(stack)][-1]].add(need)
        else:
            policies[_applied(stack, need.action)].add(need)
    return dict(policies)


def write_needs(recording: Recording) -> str:
    """Return what policies are made of, and the types of resources that were deployed, as text."""
    needs = {name: sorted(map(_row, found)) for name, found in by_policy(recording).items()}
    types = {kind: sorted(found) for kind, found in recording.types.items()}
    return f'{{\n "needs": {{\n{_listed(needs)}\n }},\n "types": {{\n{_listed(types)}\n }}\n}}\n'


def _listed(lists: Mapping[str, Collection[Any]]) -> str:
    """Return lists as JSON, an entry a line: a difference shows what changed."""
    return ",\n".join(
        f"  {json.dumps(name)}: [\n   " + ",\n   ".join(map(json.dumps, found)) + "\n  ]"
        for name, found in sorted(lists.items())
    )


def _row(need: Need) -> list[str]:
    return [need.action, need.resource, need.condition, need.service]


def read_needs(text: str) -> tuple[dict[str, set[Need]], dict[str, set[str]]]:
    """Return what `write_needs` wrote: needs by policy, and types by kind of stack."""
    document = json.loads(text)
    needs = {name: {Need(*row) for row in rows} for name, rows in document["needs"].items()}
    return needs, {kind: set(found) for kind, found in document["types"].items()}


def render(policies: Mapping[str, Collection[Need]]) -> dict[str, str]:
    """Return the policies by file name.

    Args:
        policies: what each has to allow, as `by_policy` has it.
    """
    # Whoever has another one has the first, and whoever applies has both for planning.
    first, second = _PLANNED["xdr"]
    by_first = set(policies.get(first, ()))
    # Before a response is destroyed, or deployed without a source of alerts, whether alerts wait in its queues.
    queues = {need for need in by_first if need.action == "sqs:GetQueueAttributes"}
    by_first |= {replace(need, action="sqs:GetQueueUrl") for need in queues}
    allowed = {first: set[Need](), second: by_first}
    planned = by_first | set(policies.get(second, ()))
    every = {name: by_first if name == first else set(needs) for name, needs in policies.items()}
    statements = {name: list(_statements(needs - allowed.get(name, planned))) for name, needs in every.items()}
    for name, unseen in _unseen().items():
        statements.setdefault(name, []).extend(unseen)
    return {
        name: json.dumps({"Version": "2012-10-17", "Statement": found}, indent=2) + "\n"
        for name, found in sorted(statements.items())
    }


def _unseen() -> dict[str, list[dict[str, Any]]]:
    """Return what the record of the example cannot show, by policy; docs/iam/README.md says why each is there."""
    account, region = PLACE
    by_cloudformation = {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}
    ours = {**by_cloudformation, **_CONDITIONS["resource"]}
    everything = f"arn:aws:ec2:{region}:{account}:*/*"

    def allow(sid: str, actions: list[str], resource: Any, condition: Mapping[str, Any]) -> dict[str, Any]:
        statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
        return {**statement, "Condition": dict(condition)} if condition else statement

    def use_key(*services: str) -> dict[str, Any]:
        by_way_of = {"kms:ViaService": [f"{name}.{region}.amazonaws.com" for name in services]}
        return allow(
            "UseKey",
            ["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            f"arn:aws:kms:{region}:{account}:key/*",
            {"StringEquals": {**_CONDITIONS["resource"]["StringEquals"], **by_way_of}},
        )

    return {
        _APPLIANCE: [
            allow("ReadTemplate", ["s3:GetObject"], f"arn:aws:s3:::{MARKETPLACE_BUCKET}/*", {}),
            allow(
                "CreateAppliance", [f"ec2:{name}" for name in MADE], f"arn:aws:ec2:{region}:*:*/*", by_cloudformation
            ),
            allow("TagAppliance", ["ec2:CreateTags", "ec2:DeleteTags"], everything, by_cloudformation),
            allow("ModifyAppliance", [f"ec2:{name}" for name in CHANGED], everything, ours),
            allow("DescribeAppliance", [f"ec2:{name}" for name in DESCRIBED], "*", by_cloudformation),
            allow(
                "FindImage", ["ssm:GetParameters"], f"arn:aws:ssm:{region}::parameter/aws/service/*", by_cloudformation
            ),
        ],
        "state-key.json": [
            allow(
                "UseStateKey",
                ["kms:Decrypt", "kms:GenerateDataKey"],
                f"arn:aws:kms:{region}:{account}:key/KEY_ID",
                {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}},
            )
        ],
        "apply-load-balancer.json": [
            allow(
                "ServiceLinkedRole",
                ["iam:CreateServiceLinkedRole"],
                "arn:aws:iam::*:role/aws-service-role/elasticloadbalancing.amazonaws.com/*",
                {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
            )
        ],
        "apply-response.json": [
            # `make destroy` searches for an appliance that an incident launched.
            allow(
                "CheckLaunchedAppliances",
                ["cloudformation:DescribeStacks"],
                f"arn:aws:cloudformation:{region}:{account}:stack/{launched_stack_name('tapstack', '*')}/*",
                {},
            ),
            # A deploy of a response searches for what a release has yet to restore, and for the incidents that hold it;
            # UseKey lets it decrypt that.
            allow(
                "CheckContainedInstances",
                ["dynamodb:Query"],
                f"arn:aws:dynamodb:{region}:{account}:table/{incidents_table_name('tapstack', '*')}/index/{BY_STATE}",
                {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [CONTAINED, PRIOR_STATES]}},
            ),
            allow("TagApis", ["apigateway:PUT"], f"arn:aws:apigateway:{region}::/tags/*", {}),
            allow(
                "TagStages",
                ["apigateway:TagResource", "apigateway:UntagResource"],
                f"arn:aws:apigateway:{region}::/apis/*",
                {},
            ),
        ],
        "apply-response-access.json": [
            allow("DeliverLogs", [f"logs:{name}" for name in _LOG_DELIVERY], "*", {}),
            use_key("dynamodb", "lambda", "secretsmanager", "sns", "sqs"),
        ],
        "apply-xdr-access.json": [
            allow("EndFlowLogs", ["logs:DeleteLogDelivery"], "*", {}),
            use_key("lambda", "s3", "sns", "sqs"),
        ],
    }


_LOG_DELIVERY: Final = (
    "CreateLogDelivery",
    "DeleteLogDelivery",
    "DescribeResourcePolicies",
    "GetLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "UpdateLogDelivery",
)
"""Source: API Gateway Developer Guide, "Configure logging for HTTP APIs in API Gateway"."""


def _statements(needs: Collection[Need]) -> Iterator[dict[str, Any]]:
    """Yield the fewest statements that allow what is needed and nothing else: one for each set of resources."""
    by_action: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    services = " ".join(sorted({need.service for need in needs} - {""}))
    for need in needs:
        by_action[need.action, need.condition, need.service and services].add(need.resource)
    by_resources: defaultdict[tuple[str, str, tuple[str, ...]], set[str]] = defaultdict(set)
    for (action, condition, service), found in list(by_action.items()):
        # What is allowed in any case needs no statement with a condition.
        resources = found - by_action[action, "", ""] if condition else found
        if not resources:
            continue
        by_resources[condition, service, tuple(_widest(resources))].add(action)
    for (condition, service, on), allowed in sorted(by_resources.items(), key=lambda item: (sorted(item[1]), item[0])):
        actions, where = sorted(allowed), list(on)
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": actions if len(actions) > 1 else actions[0],
            "Resource": where if len(where) > 1 else where[0],
        }
        conditions = {"StringEquals": {"iam:PassedToService": service.split()}} if service else _CONDITIONS[condition]
        yield {**statement, **({"Condition": conditions} if conditions else {})}


def refusals(recording: Recording, policies: Mapping[str, Any]) -> list[str]:
    """Return the calls that the policies do not allow to the role that made them, a line each."""
    lines = []
    for phase, stack, request, invoked in _requests(recording):
        allowed = _allowed_by_cloudformation(policies) if invoked else _allowed_in(phase, stack, policies)
        verdict = judge(allowed, request)
        if not verdict.allowed:
            lines.append(f"{phase} of {stack} may not {request.action} on {', '.join(verdict.refused)}")
    return list(dict.fromkeys(lines))


def surplus(recording: Recording, policies: Mapping[str, Any]) -> list[str]:
    """Return the changes that the policies allow and no call needed, a line each; statements with a Sid apart."""
    needed: set[tuple[str, str, str]] = set()
    for phase, stack, request, invoked in _requests(recording):
        if invoked:
            continue
        for statement in judge(_allowed_in(phase, stack, policies), request).by:
            needed |= {(statement.name, request.action, pattern) for pattern in statement.resources_of(request)}
    return [
        f"{name} allows {action} on {resource}, which no call needed"
        for name, document in policies.items()
        for statement in _statements_in(name, document)
        for action in statement.actions
        if not _READS.fullmatch(action)
        for resource in statement.resources
        if (statement.name, action, resource) not in needed
    ]


def _allowed_in(phase: str, stack: str, policies: Mapping[str, Any]) -> list[Statement]:
    """What the role has that does this there: one that plans only reads."""
    kind = kind_of(stack)
    names = _PLANNED[kind] if phase == "plan" else (*_PLANNED[kind], *_APPLIED[kind])
    return [statement for name in names for statement in _statements_in(name, policies[name])]


def _allowed_by_cloudformation(policies: Mapping[str, Any]) -> list[Statement]:
    """What the role that applies has for what CloudFormation calls with its permissions."""
    return list(read_policy(policies[_APPLIANCE]))


_APPLIANCE: Final = "apply-appliance.json"
_APPLIED: Final = {
    "capture": ("apply-capture.json", "apply-load-balancer.json"),
    "response": ("apply-response.json", "apply-response-access.json"),
    "xdr": ("apply-xdr.json", "apply-xdr-access.json"),
}
"""The policies that allow applying, by kind of stack."""
_PLANNED: Final = {
    "capture": ("plan.json",),
    "response": ("plan.json",),
    "xdr": ("plan.json", "plan-xdr.json"),
}
"""Likewise those that allow planning; the last has what the ones before do not."""
_APART: Final = {
    "capture": ("elasticloadbalancing:", "ram:"),
    "response": ("ec2:", "iam:", "kms:", "logs:"),
    "xdr": ("ec2:", "iam:", "kms:", "logs:"),
}
"""The services whose actions stand in the second of them."""


def _applied(stack: str, action: str) -> str:
    kind = kind_of(stack)
    return _APPLIED[kind][action.startswith(_APART[kind])]


def _statements_in(name: str, document: Mapping[str, Any]) -> list[Statement]:
    """The statements that a record can show; the others have a Sid."""
    shown = [statement for statement in document["Statement"] if "Sid" not in statement]
    return [
        replace(statement, name=f"{name}/{position}")
        for position, statement in enumerate(read_policy({"Statement": shown}))
    ]


def _requests(recording: Recording) -> Iterator[tuple[str, str, Request, bool]]:
    """Yield what IAM was asked, with the account and Region of PLACE, and whether CloudFormation made the call."""
    for phase, stack, call in recording.calls:
        for authorization in call.authorizations:
            request = request_of(call, authorization, recording.tags, {}, "*")
            resources = tuple(replace(resource, arn=_placed(resource.arn)) for resource in request.resources)
            yield phase, stack, replace(request, resources=resources), _of_appliance(call)


def length_of(policy: str) -> int:
    """Return how many characters IAM counts of a policy: white space does not count."""
    return len(re.sub(r"\s", "", policy))


def _widest(resources: Iterable[str]) -> list[str]:
    """Leave out what another pattern covers."""
    known = sorted(set(resources))
    return [one for one in known if not any(one != other and matches(other, one) for other in known)]


def main() -> int:
    """Record a deployment and write the policies."""
    # What is needed is recorded before there are policies that allow it.
    with Account(enforce_iam=False) as account:
        recording = record(account, lambda line: print(line, file=sys.stderr))
    NEEDS.write_text(write_needs(recording), encoding="utf-8")
    for name, text in render(by_policy(recording)).items():
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/iam/{name}: {length_of(text)} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
