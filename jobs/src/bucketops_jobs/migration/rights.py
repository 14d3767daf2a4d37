"""Every right of privileges/migration.py, tried before anything is changed: what is missing is named, all at once.

Rights that small objects do not need (tags, multipart uploads, inspection) are warned of, not demanded. Nothing is
written but scratch keys under `.bucketops/`, and an upload that is begun and aborted. Of an absent key AWS
says 403 to who may list a part of the bucket alone, which proves nothing; there, a key that exists is asked for.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, NoReturn

from bucketops_api.names import RECORDS_FOLDER
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import DeniedError, ItemError, UserError
from bucketops_jobs.migration.context import Context
from bucketops_jobs.s3.client import S3Store

log = logging.getLogger(__name__)


_PARTS = frozenset({"AbortMultipartUpload", "ListMultipartUploadParts"})
_INSPECTION = frozenset({"GetBucketVersioning", "GetLifecycleConfiguration", "ListBucketMultipartUploads"})
_NO_UPLOAD = "bucketops-asks-for-an-upload-that-there-is-not"
_NO_ETAG = '"00000000000000000000000000000000"'


class Right(NamedTuple):
    """An action on a resource, and the call that needs it."""

    store: S3Store
    action: str
    where: str
    call: Callable[[], Any]

    def __str__(self) -> str:
        return f"s3:{self.action} on {self.where}"


@dataclass(frozen=True)
class Missing:
    """Rights that not every migration needs, and that this one does not have."""

    tags: tuple[str, ...] = ()
    """For objects with tags."""
    parts: tuple[str, ...] = ()
    """For multipart uploads: without them objects go as a whole, and those above 5 GiB not at all."""
    inspection: tuple[str, ...] = ()
    """For warnings about the buckets."""


def require(context: Context) -> Missing:
    """Return the missing rights that some migrations do without; UserError names all others at once."""
    refused = [right for right in _rights(context) if _refused(right)]

    def of(belongs: Callable[[str], bool]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(right) for right in refused if belongs(right.action)))

    missing = of(lambda action: not (_is_tagging(action) or action in _PARTS | _INSPECTION))
    if missing:
        demand(missing)
    return Missing(of(_is_tagging), of(_PARTS.__contains__), of(_INSPECTION.__contains__))


def demand(missing: Iterable[str]) -> NoReturn:
    """Raise the UserError that names rights without which the work cannot go on."""
    raise UserError(
        Reason.ACCESS_DENIED,
        f"not allowed: {', '.join(missing)}; allow it: `bucketops policy S3Migration -f FILE` "
        "prints all that each identity needs",
    )


def still(context: Context, answers: Iterable[object], *, in_parts: bool = False) -> None:
    """UserError where some objects were denied because a right has been taken away; else that is their own matter.

    `in_parts`: multipart uploads were allowed when the migration began.
    """
    if any(isinstance(answer, DeniedError) for answer in answers):
        parts = require(context).parts
        if in_parts and parts:
            demand(parts)


def _is_tagging(action: str) -> bool:
    return action.endswith("Tagging")


def may_copy(context: Context) -> bool:
    """Whether the destination's identity, which signs copies that the server makes, may read the source."""
    readings = _reading(context.source, context.source.bucket, context.spec.source, context.destination, tags=False)
    return not any(_refused(right) for right in readings)


def _refused(right: Right) -> bool:
    try:
        right.store.call(f"{right.action} on {right.where}", right.call)
    except DeniedError:
        return True
    except ItemError as error:
        log.debug("allowed, and answered: %s", error)
    return False


def _rights(context: Context) -> Iterator[Right]:
    source, destination = context.source, context.destination
    yield from _folder(source, RECORDS_FOLDER)
    yield from _folder(destination, RECORDS_FOLDER, tags=True)
    kept = context.records.store
    if isinstance(kept, S3Store) and kept is not destination:
        yield from _folder(kept, context.records.folder)
    yield from _inspection(source)
    yield from _inspection(destination)
    yield from _source(context)
    yield from _writing(destination, context.spec.destination)
    yield from _reading(destination, destination.bucket, context.spec.destination, tags=False)
    yield from _copying(context)
    yield from _scratch_upload(destination)


def _folder(store: S3Store, folder: str, *, tags: bool = False) -> Iterator[Right]:
    """What records need; with `tags` also what the probe of the server's capabilities does."""
    s3, where = store.control, f"{store.bucket}/{folder}*"
    key = {"Bucket": store.bucket, "Key": f"{folder}scratch/scratch-{secrets.token_hex(8)}"}
    yield Right(store, "PutObject", where, lambda: s3.put_object(**key, Body=b"bucketops tries what it may do"))
    yield Right(store, "GetObject", where, partial(_read, s3, key))
    if tags:
        tagging = {"TagSet": [{"Key": "scratch", "Value": "bucketops"}]}
        yield Right(store, "PutObjectTagging", where, partial(s3.put_object_tagging, **key, Tagging=tagging))
        yield Right(store, "GetObjectTagging", where, partial(s3.get_object_tagging, **key))
    yield Right(store, "DeleteObject", where, partial(s3.delete_object, **key))


def _inspection(store: S3Store) -> Iterator[Right]:
    s3, bucket = store.control, store.bucket
    yield Right(store, "GetBucketVersioning", bucket, lambda: s3.get_bucket_versioning(Bucket=bucket))
    look = s3.get_bucket_lifecycle_configuration
    yield Right(store, "GetLifecycleConfiguration", bucket, lambda: look(Bucket=bucket))


def _source(context: Context) -> Iterator[Right]:
    store, ref = context.source, context.spec.source
    s3, where = store.control, f"{ref.bucket}/{ref.prefix}*"
    uploads = {"Bucket": ref.bucket, "Prefix": ref.prefix, "MaxUploads": 1}
    yield Right(store, "ListBucketMultipartUploads", ref.bucket, partial(s3.list_multipart_uploads, **uploads))
    yield from _reading(store, ref.bucket, ref)
    if context.spec.cleanup.policy == "Delete":
        absent = f"{ref.prefix}{RECORDS_FOLDER}scratch-{secrets.token_hex(8)}"
        yield Right(store, "DeleteObject", where, lambda: s3.delete_object(Bucket=ref.bucket, Key=absent))


def _reading(
    store: S3Store, bucket: str, ref: BucketRef, reader: S3Store | None = None, *, tags: bool = True
) -> Iterator[Right]:
    """Reading of what is there, by `reader`; where nothing is, only servers other than AWS tell by an absent key."""
    there = next(store.list_objects(ref.prefix), None)
    if there is None and ref.endpoint is None:
        return
    by = reader or store
    key = {"Bucket": bucket, "Key": there.key if there else f"{ref.prefix}{RECORDS_FOLDER}scratch"}
    where = f"{bucket}/{ref.prefix}*"
    yield Right(by, "GetObject", where, partial(_read, by.control, key, Range="bytes=0-0"))
    if tags:
        yield Right(by, "GetObjectTagging", where, lambda: by.control.get_object_tagging(**key))


def _read(s3: Any, key: dict[str, str], **more: str) -> None:  # noqa: ANN401 - boto3 has no types
    s3.get_object(**key, **more)["Body"].close()


def _copying(context: Context) -> Iterator[Right]:
    """The destination's identity reads the source's tags too, for copies that the server makes."""
    if context.same_server and may_copy(context):
        for right in _reading(context.source, context.source.bucket, context.spec.source, context.destination):
            if right.action.endswith("Tagging"):
                yield right


def _scratch_upload(store: S3Store) -> Iterator[Right]:
    key = f"{RECORDS_FOLDER}scratch/scratch-{secrets.token_hex(8)}"
    yield Right(store, "AbortMultipartUpload", f"{store.bucket}/{RECORDS_FOLDER}*", partial(_abort_none, store, key))


def _abort_none(store: S3Store, key: str) -> None:
    """Abort an upload that nobody has begun: who may not abort is told so, and leaves none behind."""
    store.control.abort_multipart_upload(Bucket=store.bucket, Key=key, UploadId=_NO_UPLOAD)


def _writing(store: S3Store, ref: BucketRef) -> Iterator[Right]:
    """The destination's identity deletes nothing there, so it begins an upload and aborts it; nothing appears.

    Who may not abort puts an object on a condition that no object meets.
    """
    s3, where = store.control, f"{ref.bucket}/{ref.prefix}*"
    key = {"Bucket": ref.bucket, "Key": f"{ref.prefix}{RECORDS_FOLDER}scratch-{secrets.token_hex(8)}"}
    abort = Right(store, "AbortMultipartUpload", where, partial(_abort_none, store, key["Key"]))
    aborts = not _refused(abort)

    def write() -> None:
        if aborts:
            s3.abort_multipart_upload(**key, UploadId=s3.create_multipart_upload(**key)["UploadId"])
        else:
            s3.put_object(**key, Body=b"", IfMatch=_NO_ETAG)

    def tag() -> None:
        """AWS asks for this right when a tagged object is begun, other servers when one is tagged."""
        if ref.endpoint is not None or not aborts:
            s3.put_object_tagging(**key, Tagging={"TagSet": [{"Key": "scratch", "Value": "bucketops"}]})
            return
        tagged = s3.create_multipart_upload(**key, Tagging="scratch=bucketops")
        s3.abort_multipart_upload(**key, UploadId=tagged["UploadId"])

    yield abort
    yield Right(store, "ListMultipartUploadParts", where, lambda: s3.list_parts(**key, UploadId=_NO_UPLOAD))
    yield Right(store, "PutObject", where, write)
    yield Right(store, "PutObjectTagging", where, tag)
