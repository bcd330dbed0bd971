"""Answers of EC2, read and written anew: by what filters and pages leave out of them."""

from __future__ import annotations

from typing import Any

import botocore.parsers
from moto.core.responses import ActionContext, ActionResult
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model


def parse(action: str, status: int, body: Any) -> dict[str, Any]:
    """Return what the answer of an action says."""
    content = body if isinstance(body, bytes) else str(body).encode()
    shape = get_service_model("ec2").operation_model(action).output_shape
    parsed: dict[str, Any] = botocore.parsers.create_parser("ec2").parse(
        {"status_code": status, "headers": {}, "body": content}, shape
    )
    parsed.pop("ResponseMetadata", None)
    return parsed


def write(action: str, parsed: dict[str, Any]) -> Any:
    """Return the body of an answer that says so."""
    if "ServiceNames" in parsed:
        # The same once more, as DescribeVpcEndpointServices has it.
        parsed["ServiceNames"] = [item["ServiceName"] for item in parsed["ServiceDetails"]]
    model = get_service_model("ec2")
    # Without moto's response, which would change values on their way once more.
    context = ActionContext(model, model.operation_model(action), get_serializer_class("ec2", "ec2"), None)  # type: ignore[arg-type]
    return ActionResult(parsed).execute_result(context)[2]
