"""The loop of alert and telemetry: what was sent, decided, landed and read, as the report shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Loop:
    """What the XDR sent and read.

    Attributes:
        reader: its name in the deployment file.
        role: the name of the role that it read with.
        account: whose principal assumed that role.
        bucket: the landing.
        events: of the incident, in the order of their keys.
        flows: records of flow logs about the instance, each by the names of its fields.
        refused: what its role may not read, and did not.
        path: of the API that it sent the alert to; None where another tool reported the instance.
        signed_by: the program that signed the alert.
        rule: of the policy, that decided about the alert.
    """

    reader: str
    role: str
    account: str
    bucket: str
    events: Sequence[Mapping[str, Any]]
    flows: Sequence[Mapping[str, str]]
    refused: Sequence[str]
    path: str | None = None
    signed_by: str = ""
    rule: str = ""

    @property
    def described(self) -> str:
        """The picture in words."""
        alert = f"posts {self.path}, signed by {self.signed_by}; rule {self.rule} captures; " if self.path else ""
        flows = f", and records of flow logs: {len(self.flows)}" if self.flows else ""
        return (
            f"The XDR {self.reader} {alert}the incident's {len(self.events)} events land in {self.bucket}; as "
            f"{self.role} it reads them{flows}."
        )
