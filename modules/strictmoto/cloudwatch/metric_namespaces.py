"""Namespaces of CloudWatch's metrics: those of AWS are kept to AWS.

Source: CloudWatch API Reference, PutMetricData, Namespace.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.responses import CloudWatchResponse

# moto has types, but none for what is replaced at run time.
Response: Any = CloudWatchResponse

_RESERVED: Final = "AWS/"


@functools.cache
def install() -> None:
    """Make the moto of this process refuse them to others. A second call changes nothing."""
    put = Response.put_metric_data

    @functools.wraps(put)
    def put_metric_data(self: Any) -> Any:
        namespace = str(self._get_param("Namespace"))
        if namespace.startswith(_RESERVED):
            raise InvalidParameterValue(f"The value {namespace} for parameter Namespace is invalid.")
        return put(self)

    Response.put_metric_data = put_metric_data
