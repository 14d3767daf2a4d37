"""The store on boto3: every call under the pace's gate, rates and retries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, TypeVar

from botocore import exceptions

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import DeniedError, ItemError, NotFoundError, TransientError, UserError, WorkerError
from bucketops_jobs.limits import Pace
from bucketops_jobs.s3 import failures
from bucketops_jobs.s3.store import ANYTHING, Content, Expect, Object

T = TypeVar("T")
DELETE_BATCH = 1000
"""Keys of one DeleteObjects: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html."""
_TRAVELS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_ENCRYPTION = {"SSE-S3": "AES256", "SSE-KMS": "aws:kms"}


class S3Store:
    """One bucket of an S3 server."""

    def __init__(self, client: Any, ref: BucketRef, pace: Pace) -> None:  # noqa: ANN401 - boto3 has no types
        self._client = client
        self._ref = ref
        self._pace = pace
        self._payer = {"RequestPayer": "requester"} if ref.request_payer else {}

    @property
    def bucket(self) -> str:
        return self._ref.bucket

    @property
    def control(self) -> Any:  # noqa: ANN401 - boto3 has no types
        """The boto3 client, for rare calls of the control plane."""
        return self._client

    def close(self) -> None:
        """Give back all connections."""
        self._client.close()

    def call(self, what: str, function: Callable[[], T], *, cost: int = 0) -> T:
        """One request with the engine's retries, its errors translated."""

        def attempt() -> T:
            try:
                return function()
            except WorkerError:
                raise
            except (exceptions.ClientError, exceptions.BotoCoreError) as error:
                raise failures.translate(error, f"{what} ({self.bucket})") from error

        return self._pace.call(attempt, cost=cost)

    def list_objects(self, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
        last = ""
        for entry in (entry for page in self._pages(prefix, after) for entry in page):
            if entry.key <= last:
                raise TransientError(f"the listing of {self.bucket} is out of order at {entry.key!r}")
            last = entry.key
            if until is not None and entry.key > until:
                return
            if not is_record(entry.key):
                yield entry

    def _pages(self, prefix: str, after: str) -> Iterator[list[Object]]:
        """Start-after opens a listing, the token goes on: never both (versitygw lets start-after win)."""
        where = {"StartAfter": after} if after else {}
        while True:
            page = self._page(prefix, where)
            yield [
                Object(row["Key"], row["ETag"].strip('"'), row["Size"], row["LastModified"])
                for row in page.get("Contents", [])
            ]
            if not page.get("IsTruncated"):
                return
            if not page.get("NextContinuationToken"):
                raise TransientError(f"the listing of {self.bucket} broke off without a token")
            where = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, prefix: str, where: Mapping[str, Any]) -> Any:  # noqa: ANN401 - boto3 has no types
        try:
            return self.call(
                f"list {prefix!r}",
                lambda: self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **where, **self._payer),
            )
        except DeniedError as error:
            raise UserError(Reason.ACCESS_DENIED, f"{error}: allow s3:ListBucket on it") from error
        except NotFoundError as error:
            raise UserError(Reason.BUCKET_NOT_FOUND, f"{error}: create the bucket or mend its name") from error

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below `prefix`, records included."""
        for page in self._pages(prefix, ""):
            yield from (entry.key for entry in page)

    def remove(self, keys: Iterable[str]) -> None:
        """Delete records of ours by key."""
        for key in keys:
            self.call(f"delete {key!r}", lambda key=key: self._client.delete_object(Bucket=self.bucket, Key=key))  # type: ignore[misc]

    def head(self, key: str) -> Object | None:
        try:
            answer = self.call(
                f"head {key!r}", lambda: self._client.head_object(Bucket=self.bucket, Key=key, **self._payer)
            )
        except NotFoundError:
            return None
        except DeniedError:
            self._require_absent(key)
            return None
        return Object(key, answer["ETag"].strip('"'), answer["ContentLength"], answer["LastModified"])

    def _require_absent(self, key: str) -> None:
        """AWS answers 403 for an absent key where s3:ListBucket holds for some prefixes only: the listing decides.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        page = self._page(key, {"MaxKeys": 1})
        if any(row["Key"] == key for row in page.get("Contents", [])):
            raise DeniedError(f"head {key!r} ({self.bucket}): 403: allow s3:GetObject on it")

    def get(self, key: str, *, etag: str | None = None) -> Content:
        condition = {"IfMatch": f'"{etag}"'} if etag else {}
        answer = self.call(
            f"get {key!r}",
            lambda: self._client.get_object(Bucket=self.bucket, Key=key, **condition, **self._payer),
        )
        headers = {name: answer[name] for name in _TRAVELS if answer.get(name)}
        headers["Metadata"] = answer.get("Metadata", {})
        if answer.get("TagCount"):
            headers["Tagging"] = self._tags(key)
        return Content(answer["ETag"].strip('"'), answer["ContentLength"], answer["Body"], headers)

    def _tags(self, key: str) -> str:
        from urllib.parse import urlencode  # noqa: PLC0415 - rare

        answer = self.call(f"tags of {key!r}", lambda: self._client.get_object_tagging(Bucket=self.bucket, Key=key))
        return urlencode([(tag["Key"], tag["Value"]) for tag in answer["TagSet"]])

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, object], expect: Expect = ANYTHING) -> str:
        def send() -> Any:  # noqa: ANN401 - boto3 has no types
            if not isinstance(body, bytes):
                body.seek(0)
            return self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, **headers, **self._condition(expect), **self._written()
            )

        cost = len(body) if isinstance(body, bytes) else 0
        return str(self.call(f"put {key!r}", send, cost=cost)["ETag"]).strip('"')

    def copy(self, source_bucket: str, source: Object, key: str, expect: Expect = ANYTHING) -> str:
        def send() -> Any:  # noqa: ANN401 - boto3 has no types
            return self._client.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource={"Bucket": source_bucket, "Key": source.key},
                CopySourceIfMatch=f'"{source.etag}"',
                **self._condition(expect),
                **self._written(),
            )

        answer = self.call(f"copy {source.key!r} to {key!r}", send, cost=source.size)
        return str(answer["CopyObjectResult"]["ETag"]).strip('"')

    def delete(self, objects: Iterable[Object], *, conditional: bool) -> dict[str, Exception]:
        batch = list(objects)
        if conditional:
            return self._delete_each(batch)
        return self._delete_batch(batch) if batch else {}

    def _delete_each(self, batch: Iterable[Object]) -> dict[str, Exception]:
        remaining: dict[str, Exception] = {}
        for entry in batch:
            try:
                self.call(f"delete {entry.key!r}", lambda entry=entry: self._delete_one(entry))  # type: ignore[misc]
            except NotFoundError:
                continue
            except ItemError as error:
                remaining[entry.key] = error
        return remaining

    def _delete_one(self, entry: Object) -> Any:  # noqa: ANN401 - boto3 has no types
        return self._client.delete_object(Bucket=self.bucket, Key=entry.key, IfMatch=f'"{entry.etag}"', **self._payer)

    def _delete_batch(self, batch: list[Object]) -> dict[str, Exception]:
        remaining: dict[str, Exception] = {}
        for start in range(0, len(batch), DELETE_BATCH):
            keys = [{"Key": entry.key} for entry in batch[start : start + DELETE_BATCH]]
            answer = self.call(
                f"delete {len(keys)} objects",
                lambda keys=keys: self._client.delete_objects(  # type: ignore[misc]
                    Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True}, **self._payer
                ),
            )
            for error in answer.get("Errors", []):
                remaining[error["Key"]] = failures.of_key(error)
        return remaining

    def _condition(self, expect: Expect) -> dict[str, str]:
        if expect.absent:
            return {"IfNoneMatch": "*"}
        return {"IfMatch": f'"{expect.etag}"'} if expect.etag else {}

    def _written(self) -> dict[str, Any]:
        """What the destination's BucketRef asks of written objects."""
        ref = self._ref
        extra: dict[str, Any] = dict(self._payer)
        if ref.storage_class:
            extra["StorageClass"] = ref.storage_class
        if ref.encryption.type in _ENCRYPTION:
            extra["ServerSideEncryption"] = _ENCRYPTION[ref.encryption.type]
        if ref.encryption.kms_key_id:
            extra["SSEKMSKeyId"] = ref.encryption.kms_key_id
        return extra


def is_record(key: str) -> bool:
    """Whether a key lies under a `.bucketops/` folder: ours, in no listing, count, rule or audit."""
    return key.startswith(names.RECORDS_FOLDER) or f"/{names.RECORDS_FOLDER}" in key
