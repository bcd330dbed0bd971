"""A call of an AWS API: service, action, parameters, who asks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from strictmoto.requests.services import service_model


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an AWS API.

    Attributes:
        service: the name it is signed for, for example ec2, cloudformation, elasticloadbalancing.
        action: the API's name for it, for example CreateTrafficMirrorSession.
        region: the Region it is signed for.
        access_key: whose credentials it is signed with; empty when it is not signed.
        parameters: as sent: a flat mapping for query APIs, the body for JSON APIs; for REST APIs by
            the names of the API, wherever in the request they stood.
        protocol: botocore's name of the protocol that the client chose, such as ec2 or rest-json.
        model: botocore's name of the service.
    """

    service: str
    action: str
    region: str = ""
    access_key: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""
    model: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def operation_of(call: Call) -> Any:
    """Return botocore's model of the operation that was called; None where it has none."""
    return operation_named(call.model, call.action)


def operation_named(model: str, action: str) -> Any:
    """Return the model of an operation by botocore's name of the service; None where there is none."""
    service = service_model(model)
    return service.operation_model(action) if service and action in service.operation_names else None


def protocol_of(model: str) -> str:
    """Return botocore's name of the protocol that a service speaks; empty where it does not know the service."""
    service = service_model(model)
    return str(service.metadata["protocol"]) if service else ""
