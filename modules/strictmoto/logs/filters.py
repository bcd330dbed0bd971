"""Metric filters of log groups: of a group that is there, and one of a name.

moto takes filters of any group, and adds another one where a filter is changed.

Source: CloudWatch Logs API Reference, PutMetricFilter ("Creates or updates a metric filter") and DeleteMetricFilter
(ResourceNotFoundException).
"""

from __future__ import annotations

import functools
from typing import Any

from moto.logs import metric_filters, models
from moto.logs.exceptions import ResourceNotFoundException

# moto has types, but none for what is replaced at run time.
Backend: Any = models.LogsBackend
Filters: Any = metric_filters.MetricFilters


@functools.cache
def install() -> None:
    """Make the moto of this process keep them so. A second call changes nothing."""
    add, put, delete = Filters.add_filter, Backend.put_metric_filter, Backend.delete_metric_filter

    @functools.wraps(add)
    def add_filter(self: Any, filter_name: str, filter_pattern: str, log_group_name: str, *args: Any) -> None:
        self.delete_filter(filter_name, log_group_name)
        add(self, filter_name, filter_pattern, log_group_name, *args)

    @functools.wraps(put)
    def put_metric_filter(self: Any, filter_name: str, filter_pattern: str, log_group_name: str, *args: Any) -> None:
        if log_group_name not in self.groups:
            raise ResourceNotFoundException
        put(self, filter_name, filter_pattern, log_group_name, *args)

    @functools.wraps(delete)
    def delete_metric_filter(self: Any, filter_name: str | None = None, log_group_name: str | None = None) -> Any:
        found = self.filters.get_matching_filters(filter_name, log_group_name)
        if not any(one["filterName"] == filter_name for one in found):
            raise ResourceNotFoundException(msg="The specified metric filter does not exist.")
        return delete(self, filter_name, log_group_name)

    Filters.add_filter = add_filter
    Backend.put_metric_filter = put_metric_filter
    Backend.delete_metric_filter = delete_metric_filter
