"""Where GuardDuty exports findings to: one bucket for each detector, which must let it in, as must the key.

GuardDuty looks whether it may find the bucket and put an encrypted object into it: the marker AWSLogs/ that it leaves
there, and that the bucket must be emptied of before it can be deleted. A prefix must be there, too, as an object whose
key is the prefix with a slash, such as guardduty/: it looks for that with the permissions of its caller.

Sources: Amazon GuardDuty API Reference, CreatePublishingDestination and its like (one of each type, ClientToken);
Amazon GuardDuty User Guide, "Exporting generated GuardDuty findings to Amazon S3 buckets" (policies of bucket and key,
both of one Region); Service Authorization Reference, GuardDuty (s3:GetObject and s3:ListBucket). Not documented, seen
in reports of users: the object of the prefix (github.com/aws/aws-cli issue 10483, hashicorp/terraform-provider-aws
issues 16750 and 19684), the marker, and the texts. In a Region that was enabled manually the principal is the Regional
one, as that guide says; which those are: Amazon EC2 User Guide, "Regions" (2026-11-26).
"""

from __future__ import annotations

import functools
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from moto.guardduty import models, responses, urls
from moto.guardduty.exceptions import GuardDutyException

from strictmoto.identity.behalf import Behalf
from strictmoto.identity.callers import CALLER
from strictmoto.requests.calls import Call
from strictmoto.s3.deliveries import Delivery, NotDelivered, bucket_named, has_object

# moto has types, but none for what is replaced at run time.
GuardDutyBackend: Any = models.GuardDutyBackend
GuardDutyResponse: Any = responses.GuardDutyResponse

SERVICE: Final = "guardduty.amazonaws.com"
_OPT_IN: Final = frozenset(
    (
        *("af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5"),
        *("ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1"),
        *("me-central-1", "me-south-1", "me-west-1", "mx-central-1", "sa-west-1"),
    )
)
LOGS: Final = "AWSLogs/"
_S3: Final = "S3"
_BUCKET: Final = re.compile(r"arn:aws[\w-]*:s3:::(?P<bucket>[^/:]+)(?P<prefix>/.*)?")
_KEY: Final = re.compile(r"arn:aws[\w-]*:kms:(?P<region>[\w-]+):\d{12}:key/[\w-]+", re.ASCII)
_PATH: Final = "{0}/detector/(?P<detector_id>[^/]+)/publishingDestination"
_MOST: Final = 50
_FAILED: Final = "The request failed because "
_REJECTED: Final = "The request is rejected because "
_NO_VALUE: Final = f"{_REJECTED}an invalid or out-of-range value is specified as an input parameter."


class BadRequest(GuardDutyException):
    """What GuardDuty answers to nearly all that it refuses."""

    code = 400

    def __init__(self, message: str) -> None:
        """Say why."""
        super().__init__("InvalidInputException", message)

    def get_headers(self, *_: Any, **__: Any) -> list[tuple[str, str]]:
        """Return the header that clients read."""
        return [("X-Amzn-ErrorType", "BadRequestException")]


@dataclass(slots=True)
class Destination:
    """A publishing destination.

    Attributes:
        id: of it.
        arn: of the bucket, with its prefix.
        key_arn: of the key that findings are encrypted with.
        token: of the request that made it.
        tags: of it.
        status: as the API names it.
        failing_since: milliseconds since 1970 of the first finding that was not exported; None where all are.
    """

    id: str
    arn: str
    key_arn: str
    token: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "PUBLISHING"
    failing_since: int | None = None

    @property
    def prefix(self) -> str:
        """What keys begin with: empty, or ending with a slash."""
        found = _BUCKET.fullmatch(self.arn)
        folder = ((found and found["prefix"]) or "").strip("/")
        return f"{folder}/" if folder else ""

    def delivery(self, detector_arn: str) -> Delivery:
        """Return how findings get into the bucket.

        Args:
            detector_arn: on whose behalf.
        """
        found = _BUCKET.fullmatch(self.arn)
        region = detector_arn.split(":")[3]
        service = f"guardduty.{region}.amazonaws.com" if region in _OPT_IN else SERVICE
        return Delivery(service, detector_arn, found["bucket"] if found else "", key_arn=self.key_arn)

    @property
    def shown(self) -> dict[str, Any]:
        """The destination as DescribePublishingDestination answers."""
        return {
            "destinationId": self.id,
            "destinationType": _S3,
            "status": self.status,
            "destinationProperties": {"destinationArn": self.arn, "kmsKeyArn": self.key_arn},
            "tags": self.tags,
            **({"publishingFailureStartTimestamp": self.failing_since} if self.failing_since else {}),
        }


@functools.cache
def install() -> None:
    """Let moto's GuardDuty have them, and one detector in a Region. A second call changes nothing."""
    for path in ("$", "/(?P<destination_id>[^/]+)$"):
        urls.url_paths[f"{_PATH}{path}"] = GuardDutyResponse.dispatch
    GuardDutyResponse.create_publishing_destination = _create
    GuardDutyResponse.list_publishing_destinations = _list
    GuardDutyResponse.describe_publishing_destination = _describe
    GuardDutyResponse.update_publishing_destination = _update
    GuardDutyResponse.delete_publishing_destination = _delete
    create = GuardDutyBackend.create_detector

    @functools.wraps(create)
    def create_detector(self: Any, *args: Any, **kwargs: Any) -> str:
        if self.detectors:
            raise BadRequest(f"{_REJECTED}a detector already exists for the current account.")
        return str(create(self, *args, **kwargs))

    GuardDutyBackend.create_detector = create_detector


def destinations_of(detector: Any) -> dict[str, Destination]:
    """Return the publishing destinations of moto's detector, by id."""
    found: dict[str, Destination] = detector.__dict__.setdefault("publishing_destinations", {})
    return found


def detector_arn(backend: Any, detector_id: str) -> str:
    """Return the ARN of a detector of moto's backend, which a policy knows as aws:SourceArn."""
    partition = backend.partition
    return f"arn:{partition}:guardduty:{backend.region_name}:{backend.account_id}:detector/{detector_id}"


def _named(response: Any) -> tuple[Any, str]:
    """Return the detector that a path names, and the id of a destination if it names one."""
    parts = response.path.strip("/").split("/")
    return response.guardduty_backend.get_detector(parts[1]), parts[3] if len(parts) > 3 else ""


def _found(response: Any) -> tuple[Any, Destination]:
    detector, identity = _named(response)
    if identity not in destinations_of(detector):
        raise BadRequest(f"{_REJECTED}the one or more input parameters have invalid values.")
    return detector, destinations_of(detector)[identity]


def _create(self: Any) -> str:
    detector, _ = _named(self)
    given = json.loads(self.body or "{}")
    kind, properties, token = (given.get(name) for name in ("destinationType", "destinationProperties", "clientToken"))
    before = next((one for one in destinations_of(detector).values() if token and one.token == token), None)
    if before is None and destinations_of(detector) and kind == _S3:
        raise BadRequest(
            f"{_FAILED}a publishingDestination already exists with the destinationType value provided in the request."
        )
    if kind is None:
        raise BadRequest(f"{_FAILED}no destinationType parameter was included in the request.")
    if kind != _S3:
        raise BadRequest(f"{_REJECTED}the JSON could not be processed.")
    if properties is None:
        raise BadRequest(f"{_FAILED}no destinationProperties parameter was included in the request.")
    made = Destination(
        secrets.token_hex(16),
        properties.get("destinationArn") or "",
        properties.get("kmsKeyArn") or "",
        token or "",
        given.get("tags") or {},
    )
    _verify(self, detector, made)
    if before is None:
        destinations_of(detector)[made.id] = made
    return json.dumps({"destinationId": (before or made).id})


def _list(self: Any) -> str:
    detector, _ = _named(self)
    found = list(destinations_of(detector).values())
    most = self._get_param("maxResults")
    if most is not None and not 1 <= int(most) <= _MOST:
        raise BadRequest(_NO_VALUE)
    shown = [{key: one.shown[key] for key in ("destinationId", "destinationType", "status")} for one in found]
    return json.dumps({"destinations": shown})


def _describe(self: Any) -> str:
    return json.dumps(_found(self)[1].shown)


def _update(self: Any) -> str:
    detector, destination = _found(self)
    given = json.loads(self.body or "{}").get("destinationProperties") or {}
    arn, key = given.get("destinationArn"), given.get("kmsKeyArn")
    if arn is None and key is None:
        raise BadRequest(_NO_VALUE)
    changed = Destination(destination.id, arn or destination.arn, key or destination.key_arn)
    _verify(self, detector, changed)
    destination.arn, destination.key_arn = changed.arn, changed.key_arn
    destination.status, destination.failing_since = changed.status, None
    return "{}"


def _delete(self: Any) -> str:
    detector, destination = _found(self)
    del destinations_of(detector)[destination.id]
    return "{}"


def _verify(response: Any, detector: Any, destination: Destination) -> None:
    """Look whether findings could be exported, and leave a marker.

    Raises:
        BadRequest: they could not.
    """
    if _BUCKET.fullmatch(destination.arn) is None:
        raise BadRequest(f"{_FAILED}the value specified for the destinationArn parameter is not valid.")
    if (key := _KEY.fullmatch(destination.key_arn)) is None:
        raise BadRequest(f"{_FAILED}the value specified for the kmsKeyArn parameter is not valid.")
    delivery = destination.delivery(detector_arn(response.guardduty_backend, detector.id))
    bucket = bucket_named(delivery.bucket)
    if bucket is None:
        raise BadRequest(f"{_FAILED}the resource specified in the destinationArn parameter does not exist.")
    refused = (
        f"{_FAILED}the GuardDuty service principal does not have permission to the KMS key or the resource specified "
        "by the destinationArn parameter. Refer to "
        "https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_exportfindings.html"
    )
    if not delivery.may("s3:GetBucketLocation"):
        raise BadRequest(refused)
    if key["region"] != bucket.region_name:
        raise BadRequest(f"{_FAILED}the value specified for the kmsKeyArn parameter is not valid.")
    if destination.prefix:
        _find_folder(bucket, destination.prefix)
    try:
        delivery.put(f"{destination.prefix}{LOGS}", b"")
    except NotDelivered as error:
        raise BadRequest(refused) from error


def _find_folder(bucket: Any, prefix: str) -> None:
    """Find the object of a prefix as the caller."""
    caller = CALLER.get()
    if caller is None:
        return
    behalf = Behalf(caller, SERVICE, forwarded=True)
    for action, given in (("ListObjectsV2", {"Prefix": prefix}), ("HeadObject", {"Key": prefix})):
        asked = {"Bucket": bucket.name, **given}
        call = Call("s3", action, bucket.region_name, caller.access_key, asked, "rest-xml", "s3")
        status, _, _ = behalf.make(call, lambda: (200, {}, b""))
        if status >= 400:
            actions = "s3:GetObject or s3:ListBucket"
            raise BadRequest(f"{_FAILED}you do not have the required permissions for the {actions} actions.")
    if not has_object(bucket, prefix):
        raise BadRequest(f"{_FAILED}the resource folder specified in the destinationArn parameter does not exist.")
