"""What EventBridge hears of stacks and of their resources.

Source: CloudFormation User Guide, "Managing events with CloudFormation and Amazon EventBridge".
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any, Final

from moto.cloudformation import models

# moto has types, but none for what is replaced at run time.
Stack: Any = models.Stack

CLIENT_TOKEN: Final[ContextVar[str | None]] = ContextVar("CLIENT_TOKEN", default=None)
"""The ClientRequestToken of the call that is being answered: every event that it causes carries it."""


def install() -> None:
    """Publish to EventBridge every event that moto adds to a stack."""
    add = Stack._add_stack_event

    @functools.wraps(add)
    def add_stack_event(self: Any, *args: Any, **kwargs: Any) -> None:
        add(self, *args, **kwargs)
        self.events[-1].client_request_token = CLIENT_TOKEN.get()
        publish(self, self.events[-1])

    Stack._add_stack_event = add_stack_event


def publish(stack: Any, event: Any) -> None:
    """Put one event of a stack on the default bus of its account and Region."""
    detail: dict[str, Any] = {
        "stack-id": stack.stack_id,
        "status-details": {"status": event.resource_status, "status-reason": event.resource_status_reason or ""},
        "client-request-token": event.client_request_token or "",
    }
    kind = "Stack"
    if event.physical_resource_id != stack.stack_id:
        kind = "Resource"
        detail["logical-resource-id"] = event.logical_resource_id
        detail["physical-resource-id"] = event.physical_resource_id
        detail["resource-type"] = event.resource_type
    # Late: most accounts that have stacks have no rules.
    from strictmoto.events import bus

    bus.publish(
        stack.account_id,
        stack.region_name,
        source="aws.cloudformation",
        detail_type=f"CloudFormation {kind} Status Change",
        detail=detail,
        resources=[stack.stack_id],
    )
