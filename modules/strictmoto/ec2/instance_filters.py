"""Filters of DescribeInstances as AWS has them: wildcards in every value, and the network interfaces of an instance.

Source: Amazon EC2 API Reference, DescribeInstances; Amazon EC2 User Guide, "Filter resources" (wildcards).
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable
from typing import Any, Final

from moto.ec2 import utils as moto_utils

# moto has types, but none for what is replaced at run time.
utils: Any = moto_utils

_INTERFACES: Final[dict[str, Callable[[Any], str]]] = {
    "network-interface.network-interface-id": lambda interface: str(interface.id),
    "network-interface.subnet-id": lambda interface: str(interface.subnet.id),
    "network-interface.vpc-id": lambda interface: str(interface.subnet.vpc_id),
}


@functools.cache
def install() -> None:
    """Make the moto of this process filter so. A second call changes nothing."""
    passes, in_values = utils.passes_filter_dict, utils.instance_value_in_filter_values

    @functools.wraps(passes)
    def passes_filter_dict(instance: Any, filter_dict: dict[str, Any]) -> bool:
        rest = dict(filter_dict)
        for name, value_of in _INTERFACES.items():
            wanted = rest.pop(name, None)
            if wanted is not None and not any(_matches(value_of(nic), wanted) for nic in instance.nics.values()):
                return False
        return bool(passes(instance, rest))

    @functools.wraps(in_values)
    def instance_value_in_filter_values(instance_value: Any, filter_values: Any) -> bool:
        if isinstance(instance_value, str):
            return _matches(instance_value, filter_values)
        return bool(in_values(instance_value, filter_values))

    utils.passes_filter_dict = passes_filter_dict
    utils.instance_value_in_filter_values = instance_value_in_filter_values


def _matches(value: str, patterns: list[str]) -> bool:
    return any(value == pattern or fnmatch.fnmatchcase(value, pattern) for pattern in patterns)
