"""What every action has in common: its parameters, DryRun, and one at a time. `ec2.client_tokens` sees to the rest.

The parameters an action takes, and those it needs, come from botocore's model of EC2.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.utils import get_service_model

from strictmoto.ec2.mirroring import errors
from strictmoto.ec2.mirroring.state import Resource, State

Parameters = Mapping[str, Any]
Answer = dict[str, Any]
Operation = Callable[..., Answer]


class Core:
    """One account and Region: moto's backend, what is remembered of it, and its lock."""

    def __init__(self, ec2_backend: Any) -> None:
        """Begin with no resource.

        Args:
            ec2_backend: moto's EC2Backend, which knows interfaces, instances and tags.
        """
        self.backend = ec2_backend
        self.state = State()
        # moto serves requests in threads; a check and what follows it must not be parted.
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the lock, which no copy can have: late reads are answered from copies."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin as a copy, with a lock of its own."""
        vars(self).update(state)
        self._lock = threading.RLock()

    def find(self, kind: type[Resource], resource_id: str) -> Any:
        """Return the resource of that id.

        Raises:
            EC2ClientError: Invalid<Kind>Id.NotFound.
        """
        try:
            return self.state.table(kind)[resource_id]
        except KeyError:
            raise kind.not_found(resource_id) from None


def operation(method: Callable[[Any, Parameters], Answer]) -> Operation:
    """Make a method the action of its name, which takes the API's parameters as keyword arguments."""
    action = "".join(part.capitalize() for part in method.__name__.split("_"))

    @functools.wraps(method)
    def performed(self: Core, **given: Any) -> Answer:
        # An empty list and an omitted one are the same on the wire.
        parameters = {name: value for name, value in given.items() if value is not None and value != []}
        _check_parameters(action, parameters)
        if parameters.pop("DryRun", False):
            raise errors.dry_run()
        with self._lock:
            answer = method(self, parameters)
        if token := parameters.get("ClientToken"):
            answer["ClientToken"] = token
        return answer

    return performed


def _check_parameters(action: str, parameters: Parameters) -> None:
    shape = get_service_model("ec2").operation_model(action).input_shape
    for name in shape.required_members:
        if name not in parameters or parameters[name] == "":
            raise errors.missing(name)
    for name in parameters:
        if name not in shape.members:
            raise errors.refuse("UnknownParameter", f"The parameter {name} is not recognized")


def check_remove_fields(parameters: Parameters, removable: Mapping[str, str]) -> list[str]:
    """Return the names of the parameters that RemoveFields takes back to their defaults.

    Args:
        parameters: of a Modify action.
        removable: what may be removed, in the spelling of RemoveFields and of the parameters.

    Raises:
        EC2ClientError: another field, or one that is set by the same request.
    """
    names = []
    for removed in parameters.get("RemoveFields", []):
        if removed not in removable:
            raise errors.invalid(f"Invalid value '{removed}' for RemoveFields: expected {', '.join(removable)}")
        if removable[removed] in parameters:
            raise errors.refuse(
                "InvalidParameterCombination", f"{removable[removed]} cannot be set and removed by one request"
            )
        names.append(removable[removed])
    return names


def without_none(answer: Answer) -> Answer:
    """Return an answer as AWS sends it: what has no value is left out."""
    return {name: value for name, value in answer.items() if value is not None}
