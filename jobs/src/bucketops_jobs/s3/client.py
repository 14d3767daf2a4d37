"""The store on a real S3 server; what is rare and moves no object, the control plane, is boto3's."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlencode

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import (
    ASK,
    DeniedError,
    NotFoundError,
    OddAnswerError,
    ShardError,
    TransientError,
    UserError,
    WorkerError,
)
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import failures, integrity, listing, pages, wire
from bucketops_jobs.s3.bodies import Bodies
from bucketops_jobs.s3.connection import WHOLE
from bucketops_jobs.s3.deletions import Deletions
from bucketops_jobs.s3.http import Wire, itself
from bucketops_jobs.s3.levels import Levels
from bucketops_jobs.s3.store import ANYTHING, TAGGING, Content, Copy, Described, Expect, Object, Page

T = TypeVar("T")
_METRIC = {
    "CopyObject": "copy",
    "DeleteObject": "delete",
    "DeleteObjects": "delete",
    "GetObject": "get",
    "HeadObject": "head",
    "ListObjectVersions": "list",
    "ListObjectsV2": "list",
    "PutObject": "put",
}
"""Names of S3's calls in our metrics."""


class S3Store:
    """One bucket of an S3 server."""

    def __init__(self, bucket: str, calls: wire.Calls, http: Wire, control: Callable[[], Any], pace: Pace) -> None:
        self._bucket = bucket
        self._calls = calls
        self._wire = http
        self._control = control
        self._pace = pace
        self._deletions = Deletions(bucket, calls, http, pace)
        self.bodies = Bodies(bucket, calls, self.ask)
        """Reads objects, and compares what comes."""

    @property
    def bucket(self) -> str:
        return self._bucket

    @property
    def bulk(self) -> bool:
        """Whether the server can delete many keys by one request, as far as it has been asked to."""
        return self._deletions.bulk

    @property
    def calls(self) -> wire.Calls:
        """How requests for this bucket are made."""
        return self._calls

    @property
    def control(self) -> Any:  # noqa: ANN401 - boto3 has no types
        """The boto3 client, for rare calls of the control plane."""
        return self._control()

    def close(self) -> None:
        """Give back all connections."""
        self._wire.close()

    def signed(self, request: wire.Request, host: str) -> wire.Headers:
        """The headers of a request that somebody else sends, in the name of who calls here."""
        return self._wire.signed(request, host)

    def versioning(self) -> str:
        answer = self.call("versioning", lambda: self.control.get_bucket_versioning(Bucket=self.bucket))
        return str(answer.get("Status", "Off"))

    def now(self, prefix: str) -> datetime | None:
        """The server's time by the Date header of a listing, which not every proxy lets through.

        https://www.rfc-editor.org/rfc/rfc9110#field.date
        """
        return self.ask(self._calls.page(prefix, after="", token=None, limit=1), f"list {prefix!r}", wire.dated)

    def call(self, what: str, function: Callable[[], T], *, cost: int = 0) -> T:
        """One request of the boto3 client with the pace's retries, its errors translated."""

        def attempt() -> T:
            try:
                return function()
            except WorkerError:
                raise
            except failures.of_boto3() as error:
                raise failures.translate(error, f"{what} ({self.bucket})") from error
            except (KeyError, TypeError, ValueError) as error:
                why = f"{type(error).__name__}: {error}"
                raise TransientError(f"{what} ({self.bucket}): the answer cannot be read ({why})") from error

        return self._pace.call(attempt, cost=cost)

    def ask(self, request: wire.Request, what: str, read: Callable[[wire.Response], T], *, cost: int = 0) -> T:
        """One request with the pace's retries: what `read` makes of its answer. `cost` is in bytes."""
        what, operation = f"{what} ({self.bucket})", _METRIC.get(request.operation, "other")
        return self._pace.call(lambda: self._wire.ask(request, what, read), cost=cost, operation=operation)

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        request = self._calls.page(prefix, after=after, token=token, limit=limit)
        try:
            return self.ask(request, f"list {prefix!r}", partial(_page, f"list {prefix!r} ({self.bucket})"))
        except DeniedError as error:
            raise UserError(Reason.ACCESS_DENIED, f"{error}: allow s3:ListBucket on it") from error
        except NotFoundError as error:
            raise UserError(Reason.BUCKET_NOT_FOUND, f"{error}: create the bucket or mend its name") from error

    @property
    def levels(self) -> Levels:
        """Listings by folder and by version."""
        return Levels(self.bucket, self._calls, self.ask)

    def list_objects(self, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
        return listing.list_objects(self, prefix, after=after, until=until)

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below `prefix`, records included."""
        return (entry.key for page in listing.pages(self, prefix) for entry in page.objects)

    def remove(self, keys: Iterable[str]) -> None:
        """Delete records of ours by key."""
        for key in keys:
            self.ask(self._calls.delete(key), f"delete {key!r}", itself)

    def head(self, key: str) -> Object | None:
        described = self.describe(key)
        return described.object if described else None

    def describe(self, key: str) -> Described | None:
        try:
            return self.ask(self._calls.head(key), f"head {key!r}", partial(integrity.described, key))
        except NotFoundError:
            return None
        except DeniedError:
            self._require_absent(key)
            return None

    def checksums(self, key: str, etag: str) -> Mapping[str, str]:
        return self.bodies.checksums(key, etag)

    def properties(self, key: str, etag: str | None = None) -> dict[str, str]:
        """What must travel with an object's bytes; PreconditionFailedError when its ETag is no longer `etag`."""
        answer = self.ask(self._calls.head(key, etag), f"head {key!r}", itself)
        return self._tagged(key, wire.content_headers(answer))

    def encryption(self, key: str) -> str:
        """How an object is encrypted at rest, as far as the server tells: `AES256`, `aws:kms`, or `none`."""
        return self.ask(self._calls.head(key), f"head {key!r}", itself).header(wire.ENCRYPTION) or "none"

    def _require_absent(self, key: str) -> None:
        """AWS answers 403 for an absent key where s3:ListBucket holds for some prefixes only: the listing decides.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        if any(entry.key == key for entry in self.page(key, limit=1).objects):
            raise DeniedError(f"head {key!r} ({self.bucket}): 403: allow s3:GetObject on it")

    def get(self, key: str, *, etag: str | None = None, size: int | None = None) -> Content:
        content = self.bodies.get(key, etag, size)
        return replace(content, headers=self._tagged(key, content.headers))

    def _tagged(self, key: str, found: Mapping[str, str]) -> dict[str, str]:
        headers = dict(found)
        if headers.pop(wire.TAG_COUNT, "0").strip("0"):
            headers[TAGGING] = self._tags(key)
        return headers

    def _tags(self, key: str) -> str:
        try:
            tags = self.ask(self._calls.tags(key), f"tags of {key!r}", wire.tags)
        except DeniedError as error:
            raise DeniedError(f"{error}: allow s3:GetObjectTagging") from error
        return urlencode(sorted(tags))  # servers have no order of them

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, str], expect: Expect = ANYTHING) -> str:
        sent = body if isinstance(body, bytes) else _body(body)
        return self.ask(self._calls.put(key, sent, headers, expect), f"put {key!r}", wire.put_etag, cost=len(sent))

    def copy(self, source_bucket: str, source: Object, key: str, expect: Expect = ANYTHING) -> str:
        wanted = Copy(source_bucket, source, key, expect)
        return self.ask(self._calls.copy(wanted), _copying(wanted), wire.copied_etag, cost=source.size)

    def copies(self, wanted: Iterable[Copy]) -> Iterator[tuple[Copy, str | WorkerError]]:
        def start(one: Copy, done: Callable[[str | WorkerError], None]) -> Callable[[], None]:
            return self._wire.send(self._calls.copy(one), f"{_copying(one)} ({self.bucket})", done, wire.copied_etag)

        return self._pace.flow(wanted, start, cost=lambda one: one.source.size, operation="copy")

    def delete(
        self, objects: Iterable[Object], *, conditional: bool, until: float = math.inf
    ) -> dict[str, WorkerError]:
        if conditional:
            remaining = self._deletions.conditional(objects, until)
        else:
            remaining = self._deletions.plain(((entry.key, "") for entry in objects), until)
        return {key: error for (key, _), error in remaining.items()}

    def delete_versions(self, versions: Iterable[wire.Name]) -> dict[wire.Name, WorkerError]:
        """Delete versions of keys, by their ids; the answer has those that remain, with why."""
        return self._deletions.plain(versions)


def _page(what: str, answer: wire.Response) -> Page:
    """What an answer shows; what is wrong with it is told with the listing that it is of."""
    try:
        return pages.parse(answer.body)
    except OddAnswerError as error:
        told = f"{what}: {error}"
        raise OddAnswerError(told, ShardError(f"{told}: {ASK}")) from error
    except ShardError as error:
        raise ShardError(f"{what}: {error}") from error


def _body(file: BinaryIO) -> bytes | wire.FileBody:
    """In memory if it is small."""
    if file.seek(0, os.SEEK_END) > WHOLE:
        return wire.file_body(file)
    file.seek(0)
    return file.read()


def _copying(wanted: Copy) -> str:
    return f"copy {wanted.source.key!r} to {wanted.key!r}"
