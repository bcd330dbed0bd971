"""Availability Zones of the Regions that moto knows without any: without a zone there is no subnet.

These are the European Sovereign Cloud and the isolated partitions. Their zones are named as everywhere, Region and
letter; their ids are made up.
"""

from __future__ import annotations

import functools
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend, Zone

# moto has types, but none for what is replaced at run time.
Backends: Any = ec2_backends


@functools.cache
def install() -> None:
    """Give those Regions three zones each in the moto of this process. A second call changes nothing."""
    for region in Backends[DEFAULT_ACCOUNT_ID].regions:
        if region not in RegionsAndZonesBackend.zones:
            RegionsAndZonesBackend.zones[region] = [
                Zone(f"{region}{letter}", region, f"{region}-az{number}") for number, letter in enumerate("abc", 1)
            ]
