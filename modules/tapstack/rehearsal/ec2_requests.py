"""What every request of EC2 goes through before and after its action: the form of its ids, and its filters."""

from __future__ import annotations

import functools
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses._base_response import EC2BaseResponse

from tapstack.rehearsal import filters, identifiers

# moto has types, but none for what is replaced at run time.
Response: Any = EC2BaseResponse


@functools.cache
def install() -> None:
    """Make the moto of this process check and filter so. A second call changes nothing."""
    call = Response.call_action

    @functools.wraps(call)
    def call_action(self: Any) -> Any:
        try:
            identifiers.check(self.querystring)
            return filters.answer(self, lambda: call(self))
        except EC2ClientError as error:
            status, headers, body = self.serialized(ActionResult(error))
            answered = self._transform_response(self.response_headers, (body, {**headers, "status": status}))
            return (answered[0], *self._enrich_response(*answered[1:]))

    Response.call_action = call_action
