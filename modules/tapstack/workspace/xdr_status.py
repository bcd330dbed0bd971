"""What arrived of a site's telemetry and of alerts of other tools, read from AWS. Changes nothing.

Sources: Amazon S3 API Reference, ListObjectsV2; Amazon SQS API Reference, GetQueueAttributes; Amazon CloudWatch API
Reference, GetMetricData.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from tapstack.domain.incidents import utc_now
from tapstack.domain.names import dead_letters_name, incidents_table_name
from tapstack.domain.own_names import METRICS_NAMESPACE, WEBHOOKS_REFUSED, metric_dimensions
from tapstack.domain.telemetry import (
    FEEDS,
    FLOW,
    GUARDDUTY,
    INCIDENTS,
    INCIDENTS_OCSF,
    UNMATCHED,
    event_dead_letters_name,
    event_queue_name,
    reader_dead_letters_name,
    reader_queue_name,
)
from tapstack.domain.webhook_secrets import alert_dead_letters_name, alert_queue_name
from tapstack.responder.store.deployed import DeployedTable
from tapstack.settings.model import Deployment
from tapstack.workspace.credentials import Access, CredentialsError, UnreachableError, answers_of_aws

LAST_ALERTS: Final = 20
REFUSED_DAYS: Final = 7
_SUM_PERIOD: Final = timedelta(minutes=5)
"""Of the metric of refused webhooks: CloudWatch keeps periods of five minutes for 63 days, shorter ones for 15."""
_DATED: Final = re.compile(
    r"(?:(?:year|month|day|hour)=)?\d{2}(?:\d{2})?/"
    r"|(?:\w+=)?20\d{2}-?(?:0[1-9]|1[0-2])(?:-?[0-3]\d(?:[-T]?[0-2]\d)?)?/"
)
"""A folder of a year, a month, a day or an hour, as AWS and Tapstack write them; or of more than one of these, such as
`2026-11-28/`, `20261128/` and `dt=2026-11-28/`."""
_DEEPEST: Final = 12
_FOLDERS: Final = 110
"""How many folders of a level are read that are no dates, such as those of the 101 accounts whose flow logs one landing
can have; the last ones by name, because ids of batches often begin with their time."""


@dataclass(frozen=True)
class Arrived:
    """What arrived last below a prefix.

    Attributes:
        prefix: of the landing's bucket.
        last: when the last object was put; None where there is none.
        objects: how many are beside it: those of its day or hour, as whoever puts them divides them.
        left_out: how many folders were not read, because there are too many: something later may be in them.
    """

    prefix: str
    last: datetime | None
    objects: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class Refused:
    """Webhooks that were refused in the last `REFUSED_DAYS`, of all sources: the metric does not have the source.

    Attributes:
        count: how many.
        last: when the last one was, to five minutes; None where there is none.
    """

    count: int = 0
    last: datetime | None = None


@dataclass
class XdrStatus:
    """What arrived.

    Attributes:
        bucket: of the landing; None where the site has none.
        arrived: by prefix, those that have objects or are always there.
        queues: how many messages are in a queue, by its name.
        refused: which webhooks were refused; None where no source of the site has webhooks, or it could not be read.
        alerts: what came of the last alerts, newest first, as their events have it.
        problems: what could not be read, and why.
    """

    bucket: str | None = None
    arrived: list[Arrived] = field(default_factory=list)
    queues: dict[str, int] = field(default_factory=dict)
    refused: Refused | None = None
    alerts: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_status(deployment: Deployment, site: str, access: Access) -> XdrStatus:
    """Read what arrived at a site; what cannot be read is among the problems.

    Args:
        deployment: that has the site.
        site: its name.
        access: with the credentials of the site.
    """
    status = XdrStatus()
    settings = deployment.sites[site]
    if settings.xdr is not None:
        status.bucket = deployment.landing_bucket_name(site, access.account)
        with _noting(status, f"the bucket {status.bucket}"):
            status.arrived = list(_arrivals(access.client("s3"), status.bucket))
    for name in _queues(deployment, site):
        with _noting(status, f"the queue {name}"):
            sqs = access.client("sqs")
            status.queues[name] = messages_at(sqs, sqs.get_queue_url(QueueName=name)["QueueUrl"])
    if settings.response is not None and any(
        source.webhook for source in settings.response.alerts.to_domain().sources.values()
    ):
        with _noting(status, f"the metric {WEBHOOKS_REFUSED}"):
            status.refused = _refused(access.client("cloudwatch"), metric_dimensions(deployment.project, site))
    if settings.response is not None:
        table = incidents_table_name(deployment.project, site)
        with _noting(status, f"the table {table}"):
            status.alerts = DeployedTable(access.client, table).alerts(LAST_ALERTS)
    return status


def _queues(deployment: Deployment, site: str) -> Iterator[str]:
    """Yield the names of the queues that Terraform owns at a site."""
    project, settings = deployment.project, deployment.sites[site]
    response, xdr = settings.response, settings.xdr
    if response is not None and response.alerts.sources:
        yield alert_queue_name(project, site)
        yield alert_dead_letters_name(project, site)
    if response is not None:
        yield dead_letters_name(project, site)
    if response is not None and xdr is not None:
        yield event_queue_name(project, site)
        yield event_dead_letters_name(project, site)
    for name, reader in xdr.readers.items() if xdr is not None else ():
        if reader.to_domain().has_queue:
            yield reader_queue_name(project, site, name)
            yield reader_dead_letters_name(project, site, name)


@contextmanager
def _noting(status: XdrStatus, what: str) -> Iterator[None]:
    """Collect what cannot be read."""
    try:
        with answers_of_aws(f"{what} cannot be read"):
            yield
    except CredentialsError as refused:
        status.problems.append(str(refused))
    except UnreachableError as unreachable:
        status.problems.append(f"{what} cannot be reached: {unreachable}")


def _arrivals(s3: Any, bucket: str) -> Iterator[Arrived]:
    for prefix in (FLOW, GUARDDUTY, INCIDENTS, INCIDENTS_OCSF):
        yield _last(s3, bucket, prefix)
    for prefix in (FEEDS, UNMATCHED):
        folders, _ = _page(s3, bucket, prefix)
        for folder in folders[:_FOLDERS]:
            yield _last(s3, bucket, folder)
        if len(folders) > _FOLDERS:
            yield Arrived(prefix, None, left_out=len(folders) - _FOLDERS)


def _last(s3: Any, bucket: str, prefix: str) -> Arrived:
    """Return what arrived last below a prefix: of folders that are dates, only the last are looked into."""
    found: list[Arrived] = []
    folders, left_out = [prefix], 0
    for _ in range(_DEEPEST):
        inner: list[str] = []
        left_out += len(folders[:-_FOLDERS])
        for folder in folders[-_FOLDERS:]:
            below, objects = _page(s3, bucket, folder)
            dated = [one for one in below if _DATED.fullmatch(one[len(folder) :])]
            inner += [one for one in below if one not in dated] + dated[-1:]
            if objects:
                found.append(Arrived(prefix, max(one["LastModified"] for one in objects), len(objects)))
        folders = inner
    last = max(found, key=lambda one: str(one.last), default=Arrived(prefix, None))
    return replace(last, left_out=left_out + len(folders))


def _page(s3: Any, bucket: str, prefix: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the folders and the objects directly below a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    folders: list[str] = []
    objects: list[dict[str, Any]] = []
    for page in pages:
        folders += [one["Prefix"] for one in page.get("CommonPrefixes", ())]
        objects += [one for one in page.get("Contents", ()) if not one["Key"].endswith("/")]
    return folders, objects


def messages_at(sqs: Any, url: str) -> int:
    """Return how many messages are in a queue, those that a function has just received among them; approximate.

    Raises:
        ClientError: there is no such queue, or IAM denies the call.
    """
    asked = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(
        int(value) for value in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"].values()
    )


def _refused(cloudwatch: Any, dimensions: dict[str, str]) -> Refused:
    metric = {
        "Namespace": METRICS_NAMESPACE,
        "MetricName": WEBHOOKS_REFUSED,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    stat = {"Metric": metric, "Period": int(_SUM_PERIOD.total_seconds()), "Stat": "Sum"}
    now = utc_now()
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[{"Id": "refused", "MetricStat": stat}],
        StartTime=now - timedelta(days=REFUSED_DAYS),
        # The end is exclusive, and the present period is to be in it.
        EndTime=now + _SUM_PERIOD,
    )
    found = {
        at: int(value)
        for page in pages
        for result in page["MetricDataResults"]
        for at, value in zip(result["Timestamps"], result["Values"], strict=True)
        if value > 0
    }
    return Refused(sum(found.values()), max(found, default=None))
