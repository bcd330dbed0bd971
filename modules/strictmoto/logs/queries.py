"""Queries of Logs Insights name log groups in three ways, of which moto knows two.

Source: Amazon CloudWatch Logs API Reference, StartQuery.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Final

_NAMING: Final = ("logGroupName", "logGroupNames", "logGroupIdentifiers")


@functools.cache
def install() -> None:
    """Extend moto's CloudWatch Logs, once a process."""
    from moto.logs.exceptions import InvalidParameterException
    from moto.logs.responses import LogsResponse

    def start_query(self: Any) -> str:
        """StartQuery."""
        given = [found for name in _NAMING if (found := self._get_param(name))]
        if len(given) != 1:
            raise InvalidParameterException(f"Exactly one of {', '.join(_NAMING)} must be given.")
        names = [_name(one) for one in (given[0] if isinstance(given[0], list) else given)]
        begin, end = (self._get_int_param(name) for name in ("startTime", "endTime"))
        query = self.logs_backend.start_query(names, begin, end, self._get_param("queryString"))
        return json.dumps({"queryId": f"{query}"})

    response: Any = LogsResponse
    response.start_query = start_query


def _name(identifier: str) -> str:
    """Return the name of a log group by its name or its ARN."""
    return identifier.split(":")[6] if identifier.startswith("arn:") and identifier.count(":") >= 6 else identifier
