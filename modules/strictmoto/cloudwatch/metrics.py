"""CloudWatch's metrics of mirroring, set on demand: packets do not flow here, so that nothing would measure them.

Source: VPC Traffic Mirroring guide, "Monitor mirrored traffic using Amazon CloudWatch".
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

NAMESPACE: Final = "AWS/EC2"
UNITS: Final = {
    f"Network{what}{how}{way}": unit
    for what, unit in (("", "Bytes"), ("Packets", "Count"))
    for how in ("Mirror", "SkipMirror")
    for way in ("In", "Out")
}
"""The metrics of mirroring, per instance: what was mirrored of its traffic, and what was skipped."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value of a metric of mirroring.

    Args:
        instance: id of the source's instance, which must exist.
        metric: its name, such as NetworkMirrorOut or NetworkSkipMirrorIn.
        value: bytes, or packets, of the period that it ends.
        at: seconds since 1970, UTC; now by default.
        region: of the instance; the account's default Region by default.
        account: of the instance; that of whoever assumes no role by default.

    Raises:
        ValueError: a metric that mirroring does not have, or a value that cannot be.
    """

    instance: str
    metric: str
    value: float
    at: float = field(default_factory=time.time)
    region: str = ""
    account: str = DEFAULT_ACCOUNT_ID

    def __post_init__(self) -> None:
        """Refuse what EC2 would never measure."""
        if self.metric not in UNITS:
            raise ValueError(f"metric must be one of {', '.join(UNITS)}, got {self.metric!r}")
        if not (math.isfinite(self.value) and self.value >= 0):
            raise ValueError(f"value must be 0 or more, got {self.value}")


class Metrics:
    """The metrics of mirroring of an account."""

    def __init__(self, region: str) -> None:
        """Begin without a value.

        Args:
            region: for measurements that name none.
        """
        self._region = region

    def add(self, measurement: Measurement) -> None:
        """Let CloudWatch answer with a value from now on, until it is forgotten.

        Raises:
            ValueError: the instance does not exist.
        """
        region = measurement.region or self._region
        ec2, cloudwatch = (_backend(service, measurement.account, region) for service in ("ec2", "cloudwatch"))
        if ec2.get_instance_by_id(measurement.instance) is None:
            raise ValueError(f"no instance {measurement.instance} in account {measurement.account}, {region}")
        cloudwatch.put_metric_data(
            NAMESPACE,
            [
                {
                    "MetricName": measurement.metric,
                    "Dimensions": [{"Name": "InstanceId", "Value": measurement.instance}],
                    "Value": measurement.value,
                    "Unit": UNITS[measurement.metric],
                    "Timestamp": datetime.fromtimestamp(measurement.at, UTC).replace(tzinfo=None),
                }
            ],
        )

    def forget(self) -> None:
        """Let CloudWatch answer as if nothing had been mirrored, in every account and Region."""
        for regions in get_backend("cloudwatch").values():
            for cloudwatch in regions.values():
                cloudwatch.metric_data = [
                    datum for datum in cloudwatch.metric_data if datum.namespace != NAMESPACE or datum.name not in UNITS
                ]


def _backend(service: Any, account: str, region: str) -> Any:
    # Imported by its first use: EC2 alone takes longer than an account takes to start.
    return get_backend(service)[account][region]
