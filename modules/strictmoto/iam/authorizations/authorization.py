"""One question to IAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Authorization:
    """An action that IAM has to allow, on each of its resources.

    Attributes:
        action: as policies write it, for example s3:ListBucket; not always the API's name.
        resources: ARNs as policies match them. What does not exist yet ends in `/*`, as
            `traffic-mirror-session/*` does for a session to be; `*` where an action has no resource.
        context: the keys that conditions compare, for example aws:RequestTag/owner,
            ec2:CreateAction and iam:PassedToService. Those about existing resources, such as
            aws:ResourceTag, are not among them.
        tags: of what is made, by the kind in its ARN: a call may give each kind other ones. Keys of `context` about
            tags are those of all of them together.
        compared: values that a statement of PartiQL compares attributes with, or inserts, by attribute.
    """

    action: str
    resources: tuple[str, ...] = ("*",)
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    compared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"action": self.action, "resources": list(self.resources), "context": dict(self.context)}
