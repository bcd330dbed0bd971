"""What a walk of a path has at hand."""

from __future__ import annotations

from dataclasses import dataclass

from tests.end_to_end.deployed import DeployedResponse, Incident


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk of a path.

    Attributes:
        response: that the path's incidents are opened with.
        key: names the request that opens an incident, so that it may be sent again.
        beside: the incidents that are open all the time, in the order of the path's instances.
    """

    response: DeployedResponse
    key: str
    beside: tuple[Incident, ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """What a request has that opens an incident."""
        return {"Idempotency-Key": self.key}
