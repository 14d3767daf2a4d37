"""The store on a real S3 server; large bodies and the control plane are boto3's."""

from __future__ import annotations

import io
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlencode

from botocore import exceptions

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import (
    DeniedError,
    ItemError,
    NotFoundError,
    NotSupportedError,
    PreconditionFailedError,
    TooLargeError,
    TransientError,
    UserError,
    WorkerError,
)
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import failures, large, listing, pages, wire
from bucketops_jobs.s3.connection import WHOLE
from bucketops_jobs.s3.http import Wire
from bucketops_jobs.s3.store import ANYTHING, TAGGING, TOO_LATE, Content, Copy, Described, Expect, Object, Page

T = TypeVar("T")
DELETE_BATCH = 1000
"""Keys of one DeleteObjects: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html."""
_METRIC = {
    "CopyObject": "copy",
    "DeleteObject": "delete",
    "DeleteObjects": "delete",
    "GetObject": "get",
    "HeadObject": "head",
    "ListObjectsV2": "list",
    "PutObject": "put",
}
"""Names of S3's calls in our metrics."""
DELETE_AGAIN = 3
"""Times that keys which a DeleteObjects left for the time being are asked for again."""


class S3Store:
    """One bucket of an S3 server."""

    def __init__(self, bucket: str, calls: wire.Calls, http: Wire, control: Callable[[], Any], pace: Pace) -> None:
        self._bucket = bucket
        self._calls = calls
        self._wire = http
        self._control = control
        self._pace = pace
        self._paid = large.parameters(calls.payer)
        self.bulk = True

    @property
    def bucket(self) -> str:
        return self._bucket

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
        ask = partial(self.control.list_objects_v2, Bucket=self.bucket, Prefix=prefix, MaxKeys=1, **self._paid)
        date = self.call(f"list {prefix!r}", ask)["ResponseMetadata"]["HTTPHeaders"].get("date")
        return wire.http_date(date) if date else None

    def call(self, what: str, function: Callable[[], T], *, cost: int = 0) -> T:
        """One request of the boto3 client with the pace's retries, its errors translated."""

        def attempt() -> T:
            try:
                return function()
            except WorkerError:
                raise
            except (exceptions.ClientError, exceptions.BotoCoreError) as error:
                raise failures.translate(error, f"{what} ({self.bucket})") from error

        return self._pace.call(attempt, cost=cost)

    def _ask(self, request: wire.Request, what: str, *, cost: int = 0) -> wire.Response:
        what = f"{what} ({self.bucket})"
        return self._pace.call(lambda: self._wire.ask(request, what), cost=cost, operation=_METRIC[request.operation])

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        request = self._calls.page(prefix, after=after, token=token, limit=limit)
        try:
            return self._pace.call(
                lambda: pages.parse(self._wire.ask(request, f"list {prefix!r} ({self.bucket})").body), operation="list"
            )
        except DeniedError as error:
            raise UserError(Reason.ACCESS_DENIED, f"{error}: allow s3:ListBucket on it") from error
        except NotFoundError as error:
            raise UserError(Reason.BUCKET_NOT_FOUND, f"{error}: create the bucket or mend its name") from error

    def list_objects(self, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
        return listing.list_objects(self, prefix, after=after, until=until)

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below `prefix`, records included."""
        return (entry.key for page in listing.pages(self, prefix) for entry in page.objects)

    def remove(self, keys: Iterable[str]) -> None:
        """Delete records of ours by key."""
        for key in keys:
            self._ask(self._calls.delete(key), f"delete {key!r}")

    def head(self, key: str) -> Object | None:
        described = self.describe(key)
        return described.object if described else None

    def describe(self, key: str) -> Described | None:
        try:
            answer = self._ask(self._calls.head(key), f"head {key!r}")
            return Described(wire.headed(key, answer), wire.content_headers(answer))
        except NotFoundError:
            return None
        except DeniedError:
            self._require_absent(key)
            return None

    def checksums(self, key: str, etag: str) -> Mapping[str, str]:
        return wire.whole_checksums(self._ask(self._calls.head(key, etag), f"checksums of {key!r}"))

    def properties(self, key: str, etag: str | None = None) -> dict[str, str]:
        """What must travel with an object's bytes; PreconditionFailedError when its ETag is no longer `etag`."""
        answer = self._ask(self._calls.head(key, etag), f"head {key!r}")
        return self._tagged(key, wire.content_headers(answer))

    def encryption(self, key: str) -> str:
        """How an object is encrypted at rest, as far as the server tells: `AES256`, `aws:kms`, or `none`."""
        return self._ask(self._calls.head(key), f"head {key!r}").header(wire.ENCRYPTION) or "none"

    def first_part(self, key: str, etag: str) -> int:
        """Bytes of the first part of the upload that made an object; 0 where the server does not tell."""
        try:
            answer = self._ask(self._calls.head(key, etag, part=1), f"head {key!r}")
        except ItemError:
            return 0
        return int(answer.header("content-length") or 0)

    def read_part(self, entry: Object, first: int, size: int, in_memory: int) -> tuple[BinaryIO, str]:
        """Some bytes of an object, in memory or in a file, at their beginning; and their MD5 in base64."""

        def read() -> tuple[BinaryIO, str]:
            wanted = {"Range": f"bytes={first}-{first + size - 1}", "IfMatch": f'"{entry.etag}"'}
            answer = self.control.get_object(Bucket=self.bucket, Key=entry.key, **self._paid, **wanted)
            return large.read(answer["Body"], size, in_memory)

        return self.call(f"get part of {entry.key!r}", read)

    def parameters(self, headers: Mapping[str, str], expect: Expect = ANYTHING) -> dict[str, Any]:
        """What a PUT says beside its body, as boto3's arguments."""
        return large.parameters(self._calls.put_headers(headers, expect))

    def _require_absent(self, key: str) -> None:
        """AWS answers 403 for an absent key where s3:ListBucket holds for some prefixes only: the listing decides.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        if any(entry.key == key for entry in self.page(key, limit=1).objects):
            raise DeniedError(f"head {key!r} ({self.bucket}): 403: allow s3:GetObject on it")

    def get(self, key: str, *, etag: str | None = None) -> Content:
        request = self._calls.get(key, etag)
        try:
            content = _content(self._ask(request, f"get {key!r}"))
        except TooLargeError:
            content = self.call(f"get {key!r}", lambda: large.get(self.control, self.bucket, request, key))
        if etag is not None and content.etag != etag:  # a server that ignores the condition
            content.body.close()
            raise PreconditionFailedError(f"get {key!r} ({self.bucket}): its ETag is {content.etag}, not {etag}")
        return replace(content, headers=self._tagged(key, content.headers))

    def _tagged(self, key: str, found: Mapping[str, str]) -> dict[str, str]:
        headers = dict(found)
        if int(headers.pop(wire.TAG_COUNT, "0")):
            headers[TAGGING] = self._tags(key)
        return headers

    def _tags(self, key: str) -> str:
        ask = self.control.get_object_tagging
        try:
            answer = self.call(f"tags of {key!r} ({self.bucket})", lambda: ask(Bucket=self.bucket, Key=key))
        except DeniedError as error:
            raise DeniedError(f"{error}: allow s3:GetObjectTagging") from error
        # Servers have no order of them.
        return urlencode(sorted((tag["Key"], tag["Value"]) for tag in answer["TagSet"]))

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, str], expect: Expect = ANYTHING) -> str:
        if isinstance(body, bytes):
            return self._put(key, body, headers, expect)
        size = large.size(body)
        if size <= WHOLE:
            body.seek(0)
            return self._put(key, body.read(), headers, expect)
        sent = self._calls.put_headers(headers, expect)
        return self.call(f"put {key!r}", lambda: large.put(self.control, self.bucket, key, body, sent), cost=size)

    def _put(self, key: str, body: bytes, headers: Mapping[str, str], expect: Expect) -> str:
        answer = self._ask(self._calls.put(key, body, headers, expect), f"put {key!r}", cost=len(body))
        return wire.bare(answer.header("etag"))

    def copy(self, source_bucket: str, source: Object, key: str, expect: Expect = ANYTHING) -> str:
        wanted = Copy(source_bucket, source, key, expect)
        return wire.copied_etag(self._ask(self._calls.copy(wanted), _copying(wanted), cost=source.size).body)

    def copies(self, wanted: Iterable[Copy]) -> Iterator[tuple[Copy, str | WorkerError]]:
        def start(one: Copy, done: Callable[[str | WorkerError], None]) -> Callable[[], None]:
            def answered(answer: wire.Response | WorkerError) -> None:
                done(answer if isinstance(answer, WorkerError) else wire.copied_etag(answer.body))

            return self._wire.send(self._calls.copy(one), f"{_copying(one)} ({self.bucket})", answered)

        return self._pace.flow(wanted, start, cost=lambda one: one.source.size, operation="copy")

    def delete(
        self, objects: Iterable[Object], *, conditional: bool, until: float = math.inf
    ) -> dict[str, WorkerError]:
        make = self._single_deletions if conditional else self._batched_deletions
        remaining = self._deleted(make(objects), until)
        for _ in range(DELETE_AGAIN):
            again = [key for key, error in remaining.items() if isinstance(error, TransientError)]
            if not again or conditional:
                break
            remaining = {key: error for key, error in remaining.items() if key not in again}
            remaining |= self._deleted(self._batches(iter(again)), until)
        return remaining

    def _deleted(self, deletions: Iterable[_Deletion], until: float) -> dict[str, WorkerError]:
        remaining: dict[str, WorkerError] = {}
        start = partial(self._start_deletion, until)
        for deletion, answer in self._pace.flow(deletions, start, cost=lambda _: 0, operation="delete"):
            if isinstance(answer, dict):
                remaining |= answer
            elif isinstance(answer, NotSupportedError) and deletion.request.operation == "DeleteObjects":
                self.bulk = False
                remaining |= self._deleted(self._batches(iter(deletion.keys)), until)
            elif isinstance(answer, ItemError):
                remaining |= dict.fromkeys(deletion.keys, answer)
            else:
                raise answer
        return remaining

    def _start_deletion(
        self, until: float, deletion: _Deletion, done: Callable[[dict[str, WorkerError] | WorkerError], None]
    ) -> Callable[[], None]:
        if time.monotonic() > until:
            done(dict.fromkeys(deletion.keys, PreconditionFailedError(TOO_LATE)))
            return lambda: None

        def answered(answer: wire.Response | WorkerError) -> None:
            if isinstance(answer, NotFoundError):
                done({})
            else:
                done(answer if isinstance(answer, WorkerError) else _remaining(answer.body))

        return self._wire.send(deletion.request, f"{deletion} ({self.bucket})", answered)

    def _single_deletions(self, objects: Iterable[Object]) -> Iterator[_Deletion]:
        for entry in objects:
            yield _Deletion((entry.key,), self._calls.delete(entry.key, entry.etag))

    def _batched_deletions(self, objects: Iterable[Object]) -> Iterator[_Deletion]:
        return self._batches(entry.key for entry in objects)

    def _batches(self, keys: Iterator[str]) -> Iterator[_Deletion]:
        """Batches; one by one what XML cannot name, and everything where the server knows no batches."""
        while batch := list(itertools.islice(keys, DELETE_BATCH)):
            together = tuple(key for key in batch if self.bulk and wire.fits_xml(key))
            if together:
                yield _Deletion(together, self._calls.delete_many(together))
            for key in batch:
                if not self.bulk or not wire.fits_xml(key):
                    yield _Deletion((key,), self._calls.delete(key))


@dataclass(frozen=True)
class _Deletion:
    """One request that deletes."""

    keys: tuple[str, ...]
    request: wire.Request

    def __str__(self) -> str:
        return f"delete {self.keys[0]!r}" if len(self.keys) == 1 else f"delete {len(self.keys)} objects"


def _remaining(body: bytes) -> dict[str, WorkerError]:
    """What a DeleteObjects left, by key."""
    if b"<Error>" not in body:
        return {}
    refused = wire.refused_keys(body)
    return {key: failures.from_answer(0, code, message, f"delete {key!r}") for key, code, message in refused}


def _content(answer: wire.Response) -> Content:
    body = io.BytesIO(answer.body)
    return Content(wire.bare(answer.header("etag")), len(answer.body), body, wire.content_headers(answer))


def _copying(wanted: Copy) -> str:
    return f"copy {wanted.source.key!r} to {wanted.key!r}"
