"""Commands of Systems Manager: which instances they go to, and what is refused.

moto sends a command without targets to every instance, reads no target but tags, and takes instances and documents that
there are not. Every running instance counts as managed here.

Source: Systems Manager API Reference, SendCommand (InstanceIds, Targets, InvalidInstanceId,
InvalidDocument) and Target.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moto.ec2.models import ec2_backends
from moto.ssm import models
from moto.ssm.exceptions import InvalidDocument, SSMException

# moto has types, but none for what is replaced at run time.
Command: Any = models.Command
Backend: Any = models.SimpleSystemManagerBackend

_OF_AWS: Final = ("AWS", "Amazon")
"""What names of documents begin with that AWS publishes; moto has some of them."""


@functools.cache
def install() -> None:
    """Make the moto of this process send them so. A second call changes nothing."""
    send = Backend.send_command

    @functools.wraps(send)
    def send_command(self: Any, **given: Any) -> Any:
        _check_document(str(given.get("document_name") or ""), self)
        running = {one.id for one in _running(self.account_id, self.region_name)}
        if set(given.get("instance_ids") or ()) - running:
            raise SSMException("InvalidInstanceId", f"Instances not in a valid state for account {self.account_id}")
        return send(self, **given)

    def targeted(self: Any) -> list[str]:
        return instances_of(self.targets, self.account_id, self.backend_region)

    Backend.send_command = send_command
    Command._get_instance_ids_from_targets = targeted


def _check_document(name: str, backend: Any) -> None:
    """Refuse a document that is neither the account's own, nor shared by its ARN, nor published by AWS."""
    owner, plain = backend, name
    if name.startswith("arn:"):
        parts = name.split(":", 5)
        plain = parts[5].removeprefix("document/")
        owner = models.ssm_backends[parts[4]][parts[3]] if parts[4] else backend
    if not plain.startswith(_OF_AWS) and plain not in owner._documents:
        raise InvalidDocument(f"Document with name {plain} does not exist.")


def instances_of(targets: Iterable[Mapping[str, Any]], account: str, region: str) -> list[str]:
    """Return the ids of the running instances that all targets of a command name, by id or by tag."""
    asked = list(targets)
    held = _running(account, region) if asked else []
    return [one.id for one in held if all(_is_target(one, target) for target in asked)]


def _running(account: str, region: str) -> list[Any]:
    backend: Any = ec2_backends[account][region]
    return [one for one in backend.all_instances() if one.state == "running"]


def _is_target(instance: Any, target: Mapping[str, Any]) -> bool:
    key, values = str(target.get("Key", "")), target.get("Values") or ()
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    if key == "InstanceIds":
        return instance.id in values
    if key == "tag-key":
        return any(value in tags for value in values)
    return key.startswith("tag:") and tags.get(key.removeprefix("tag:")) in values
