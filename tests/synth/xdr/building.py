"""Landings for tests, and their HCL as data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tapstack import TelemetryLanding
from tapstack.bindings import cdk
from tests.synth.template import Template, new_stack, rendering_hcl

ACCOUNT = "${data.aws_caller_identity.landing_Account_A37BF7DE.account_id}"
PARTITION = "${data.aws_partition.landing_Partition_E278E62B.partition}"
REGION = "${data.aws_region.landing_Region_15177BC3.id}"
BUCKET = f"arn:{PARTITION}:s3:::ir-a-xdr-{ACCOUNT}"
"""ARN of the bucket that a landing makes."""
EXTERNAL_ID = "7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/a"

Statements = dict[str, dict[str, Any]]


def landed(
    build: Callable[[cdk.TerraformStack, TelemetryLanding], object] = lambda *_: None, **arguments: Any
) -> Template:
    """Return the template of a landing, and of what else is built into its stack."""
    stack = new_stack()
    with rendering_hcl():
        landing = TelemetryLanding(stack, "landing", **{"deployment": "ir", "site": "a", **arguments})
        build(stack, landing)
    return Template(stack)


def statements(text: str) -> Statements:
    """Return the statements of a policy in HCL by Sid; the names of tokens are short."""
    found = json.loads(text.replace('\\"', '"').replace("\\\\", "\\"))
    return {statement["Sid"]: short(statement) for statement in found["Statement"]}


def short(value: Any) -> Any:
    """Return a value with `<bucket.arn>` in place of `${aws_s3_bucket.some_name.arn}`."""
    text = json.dumps(value).replace(BUCKET, "<bucket>").replace(ACCOUNT, "<account>")
    text = text.replace(PARTITION, "<partition>").replace(REGION, "<region>")
    return json.loads(re.sub(r"\$\{(?:data\.)?aws_(\w+?)\.[\w-]+\.(\w+)\}", r"<\1.\2>", text))


def bucket_policy(template: Template) -> Statements:
    """Return the statements of the policy of the landing's bucket, of which there is one."""
    (found,) = [
        body for name, body in template.resources["aws_s3_bucket_policy"].items() if name.startswith("landing_Bucket_")
    ]
    return statements(found["policy"])


def key_policy(template: Template) -> Statements:
    """Return the statements of the policy of the landing's key."""
    return statements(template.resource("aws_kms_key")["policy"])


def address(template: Template, type_: str, begin: str = "") -> str:
    """Return the reference to the one resource of a type whose name begins so."""
    (name,) = [name for name in template.names(type_) if name.startswith(begin)]
    return f"${{{type_}.{name}}}"
