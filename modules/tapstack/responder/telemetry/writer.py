"""Writes each event of an incident as one object: a gzip file with one line of JSON.

The key has the time, the event's id and what happened, so that the order of the keys is that of the events. An event
that comes again finds its object, and changes nothing: readers are notified of each object once.

Sources: Amazon S3 API Reference, PutObject (If-None-Match); AWS Lambda Developer Guide, "Using Lambda with Amazon SQS"
(batch item failures); Amazon EventBridge User Guide, "Event structure".
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from tapstack.domain.function_variables import TELEMETRY_BUCKET, TELEMETRY_OCSF
from tapstack.domain.incident_events import DETAIL_TYPE, EVENT_ID_PATTERN, TIME_PATTERN, VERSION, WHAT_PATTERN
from tapstack.domain.ocsf import detection_finding
from tapstack.domain.outside_text import quoted
from tapstack.domain.own_names import EVENT_SOURCE
from tapstack.domain.telemetry import INCIDENTS, INCIDENTS_OCSF
from tapstack.responder.aws.errors import code_of

_PARTS_OF_KEY: Final = {"id": EVENT_ID_PATTERN, "time": TIME_PATTERN, "what": WHAT_PATTERN}


class NotAnEventError(ValueError):
    """A message is no event of an incident: it ends among the dead letters."""


@dataclass(frozen=True, slots=True)
class Landing:
    """Where the objects go.

    Attributes:
        bucket: its name.
        ocsf: whether each event is written in OCSF too.
    """

    bucket: str
    ocsf: bool


@functools.cache
def landing() -> Landing:
    """Return the settings of this function.

    Raises:
        KeyError: a variable that the stack sets is missing.
    """
    return Landing(os.environ[TELEMETRY_BUCKET], os.environ[TELEMETRY_OCSF] == "true")


def write(body: str) -> list[str]:
    """Write the event of a message; return the keys of its objects.

    Args:
        body: the event, as EventBridge sends it.

    Raises:
        NotAnEventError: the message is no event of an incident.
        ClientError: S3 did not take it.
    """
    event, to = read(body), landing()
    written = [_put(to.bucket, object_key(INCIDENTS, event), event)]
    if to.ocsf:
        written.append(_put(to.bucket, object_key(INCIDENTS_OCSF, event), detection_finding(event)))
    return written


def read(body: str) -> dict[str, Any]:
    """Return the event of a message.

    Raises:
        NotAnEventError: it is no event of an incident, of version 1.
    """
    try:
        message = json.loads(body)
        event = message["detail"]
        if (message["source"], message["detail-type"]) != (EVENT_SOURCE, DETAIL_TYPE):
            raise NotAnEventError(f"expected an event {DETAIL_TYPE}, got {quoted(message['detail-type'])}")
        if event["version"] != VERSION:
            raise NotAnEventError(f"expected version {VERSION}, got {quoted(event['version'])}")
        for name, pattern in _PARTS_OF_KEY.items():
            # Nothing else of an event is in the key.
            if not re.fullmatch(pattern, event[name], re.ASCII):
                raise NotAnEventError(f"{name} has another form: {quoted(event[name])}")
    except NotAnEventError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAnEventError(f"the message has another form: {type(error).__name__}") from error
    return dict(event)


def object_key(prefix: str, event: Mapping[str, Any]) -> str:
    """Return the key of an event's object, such as `20260102T030405.678Z-inc-...-0a1b2c3d-opened.json.gz` by its day.

    Args:
        prefix: of the form of the object.
        event: as `read` returned it.
    """
    day, time = event["time"][:10].replace("-", "/"), event["time"].replace("-", "").replace(":", "")
    return f"{prefix}{day}/{time}-{event['id']}-{event['what']}.json.gz"


def line(document: Mapping[str, Any]) -> bytes:
    """Return a document as a gzip file with one line; the same bytes for the same document."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return gzip.compress(f"{text}\n".encode("ascii"), mtime=0)


@functools.cache
def _s3() -> Any:
    """Return the client; this function has none of the settings that the others read."""
    # At worst 3 attempts of 8 seconds and 3 seconds between them: below the function's timeout.
    config = Config(connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})
    return botocore.session.get_session().create_client("s3", config=config)


def _put(bucket: str, key: str, document: Mapping[str, Any]) -> str:
    try:
        _s3().put_object(Bucket=bucket, Key=key, Body=line(document), ContentType="application/gzip", IfNoneMatch="*")
    except ClientError as error:
        if code_of(error) != "PreconditionFailed":
            raise
    return key
