"""Recorded packets in an S3 bucket.

Sources: Amazon S3 API Reference, ListObjectsV2 (keys in order of their bytes), GetObject (Range), PutObject (5 GB at
most; `If-None-Match: *` and `x-amz-checksum-sha256`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

from tapstack.domain.buckets import check_bucket_name
from tapstack.domain.errors import RuleViolation
from tapstack.packets.captures import Readable
from tapstack.packets.storage import Stored

SCHEME: Final = "s3://"
MAX_OBJECT: Final = 5 << 30
"""Bytes of one object that is put at once at most."""
READ_AHEAD: Final = 4
"""How many times as much as is wanted is asked for at once, so that fewer requests are made."""
LEAST_READ: Final = 1 << 16
"""Bytes that a request asks for at least."""
_ABSENT: Final = ("NoSuchKey", "404")
_THERE: Final = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class S3Store:
    """Recorded files below a prefix of a bucket."""

    def __init__(self, address: str, client: Any = None) -> None:
        """Read the address; no call is made.

        Args:
            address: `s3://bucket` or `s3://bucket/prefix`.
            client: of boto3, for S3; one with the credentials of the environment by default.

        Raises:
            RuleViolation: it is no address of a bucket.
            ModuleNotFoundError: boto3 is not installed.
            OSError: boto3 cannot make a client.
        """
        bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
        if not address.startswith(SCHEME):
            raise RuleViolation(f"{address!r} is no address of a bucket: expected s3://bucket/prefix")
        self._bucket = check_bucket_name(bucket)
        prefix = prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self.name = f"{SCHEME}{bucket}/{self._prefix}"
        self._client = _client() if client is None else client

    def inside(self, prefix: str) -> tuple[list[str], list[Stored]]:
        """Return the names of the folders directly in one, and the files in it."""
        folders, files = [], []
        begin = len(self._prefix + prefix)
        for page in self._pages(prefix, Delimiter="/"):
            folders += [one["Prefix"][begin:-1] for one in page.get("CommonPrefixes", ())]
            files += self._files(page)
        # A key may have two slashes together.
        return [name for name in folders if name], files

    def stored(self, prefix: str, after: str = "") -> Iterator[Stored]:
        """Give the files in a folder and those below it in order of key, from the key `after` on."""
        more = {"StartAfter": self._prefix + after} if after else {}
        for page in self._pages(prefix, **more):
            yield from self._files(page)

    def open(self, key: str) -> Readable:
        """Return what reads a file by ranges of bytes, without holding a connection."""
        return _Object(self._call, self._bucket, self._prefix + key)

    def read(self, key: str, most: int) -> bytes | None:
        """Return the first bytes of a file; None where there is no such file."""
        try:
            answer = self._call("get_object", Bucket=self._bucket, Key=self._prefix + key, Range=f"bytes=0-{most - 1}")
        except FileNotFoundError:
            return None
        return _body(answer)

    def put(self, key: str, file: BinaryIO, size: int, sha256: str) -> None:
        """Write an object, which is not replaced where there is one."""
        if size > MAX_OBJECT:
            raise OSError(f"{self.address(key)}: {size} bytes; an object that is put at once has {MAX_OBJECT} at most")
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        where = {"Bucket": self._bucket, "Key": self._prefix + key}
        try:
            self._call(
                "put_object",
                **where,
                Body=file,
                ContentLength=size,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum,
                IfNoneMatch="*",
            )
        except FileExistsError:
            # It may be this one, of which the answer was lost.
            if self._call("head_object", **where, ChecksumMode="ENABLED").get("ChecksumSHA256") != checksum:
                raise FileExistsError(f"{self.address(key)} exists with other content") from None

    def address(self, key: str) -> str:
        """Return the address of a file."""
        return f"{self.name}{key}"

    def _pages(self, prefix: str, **more: str) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Bucket=self._bucket, Prefix=self._prefix + prefix, **more, **token)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _files(self, page: dict[str, Any]) -> list[Stored]:
        begin = len(self._prefix)
        return [
            Stored(one["Key"][begin:], one["Size"]) for one in page.get("Contents", ()) if not one["Key"].endswith("/")
        ]

    def _call(self, name: str, **values: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, name)(**values)
            return answer
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            said = f"{SCHEME}{self._bucket}/{values.get('Key', values.get('Prefix', ''))}: {_said(error, name)}"
            if code in _ABSENT:
                raise FileNotFoundError(said) from None
            if code in _THERE and "IfNoneMatch" in values:
                raise FileExistsError(said) from None
            raise OSError(said) from None
        except BotoCoreError as error:
            raise OSError(f"{SCHEME}{self._bucket}: {error}") from None


def _said(error: Any, name: str) -> str:
    said = error.response.get("Error", {})
    action = re.sub(r"(?:^|_)([a-z])", lambda found: found[1].upper(), name)
    return f"AWS refuses {action}: {said.get('Code', 'unknown')}: {said.get('Message', '')}".rstrip(": ")


def _client() -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))
    except (BotoCoreError, ValueError) as error:
        raise OSError(f"S3 cannot be called: {error}") from None


def _body(answer: dict[str, Any]) -> bytes:
    from botocore.exceptions import BotoCoreError, HTTPClientError

    try:
        with answer["Body"] as body:
            data: bytes = body.read()
            return data
    except (BotoCoreError, HTTPClientError) as error:
        raise OSError(f"an answer of S3 broke off: {error}") from None


class _Object:
    """Reads an object by ranges: some more than is wanted at once, and only as long as it is the same object."""

    def __init__(self, call: Callable[..., dict[str, Any]], bucket: str, key: str) -> None:
        self._call, self._where = call, {"Bucket": bucket, "Key": key}
        self._offset, self._total, self._ahead = 0, -1, b""
        self._same: dict[str, str] = {}

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most so many; none at the end."""
        if not self._ahead and self._offset != self._total:
            last = self._offset + max(size * READ_AHEAD, LEAST_READ) - 1
            answer = self._call("get_object", **self._where, **self._same, Range=f"bytes={self._offset}-{last}")
            self._ahead = _body(answer)
            self._offset += len(self._ahead)
            # Such as bytes 0-65535/169000000.
            self._total = int(answer["ContentRange"].rpartition("/")[2])
            self._same = {"IfMatch": answer["ETag"]}
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data
