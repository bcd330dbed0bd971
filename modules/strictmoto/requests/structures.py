"""What a call asked for, in the structure of the API, however it was sent."""

from __future__ import annotations

from typing import Any, Final

from moto.core.parse import PROTOCOL_PARSERS

from strictmoto.requests.calls import Call, operation_of

_FLAT: Final = ("ec2", "query")


def requested_by(call: Call) -> dict[str, Any]:
    """Return the parameters of a call as boto3 takes them; as they were sent where no model knows the call."""
    if call.protocol not in _FLAT or (operation := operation_of(call)) is None:
        return call.parameters
    request: Any = {"values": call.parameters}
    try:
        parsed = PROTOCOL_PARSERS[call.protocol](operation).parse(request)
    except (ValueError, KeyError, TypeError):
        # A malformed number, for example: the service refused the call.
        return call.parameters
    return dict(parsed)
