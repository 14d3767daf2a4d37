"""Where folders lie, and what is in them: current objects, or (`versions: All`) every version and delete marker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import TransientError, UserError
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.deletions import DELETE_BATCH
from bucketops_jobs.s3.listing import is_record
from bucketops_jobs.s3.store import Object


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker; the first four are those of an Object."""

    key: str
    etag: str
    size: int
    modified: datetime
    version: str
    live: bool
    """The one that a reader gets."""


Entry: TypeAlias = Object | Version


def is_live(entry: Entry) -> bool:
    """Whether a reader of the bucket can get this entry."""
    return not isinstance(entry, Version) or entry.live


Remaining: TypeAlias = Sequence[tuple[Entry, Exception]]
"""What a deletion left behind, with why."""


class Place(Protocol):
    """A bucket below a prefix. Paths stand below the prefix, without a slash at their ends."""

    def folders(self, path: str) -> list[str]:
        """The paths of the folders right below one; '' is the prefix itself. Empty names are none."""

    def entries(self, path: str) -> Iterator[Entry]:
        """Everything that would go with a folder; records of ours are left out."""

    def delete(self, entries: Sequence[Entry]) -> Remaining:
        """Delete up to 1,000 entries in one request."""


class Current:
    """Objects as every reader sees them."""

    def __init__(self, store: S3Store, ref: BucketRef) -> None:
        self._store, self._prefix, self._payer = store, ref.prefix, payer(ref)

    def folders(self, path: str) -> list[str]:
        prefix = self._prefix + _slashed(path)
        return _folders(path, prefix, self._pages(prefix))

    def _pages(self, prefix: str) -> Iterator[Any]:
        """Listings by segment are few; boto3 is fast enough for them."""
        where: dict[str, str] = {"Delimiter": "/"}
        while True:
            page = self._store.call(
                f"list folders below {prefix!r}",
                lambda where=where: self._store.control.list_objects_v2(  # type: ignore[misc]
                    Bucket=self._store.bucket, Prefix=prefix, **where, **self._payer
                ),
            )
            yield page
            if not page.get("IsTruncated"):
                return
            where = {"Delimiter": "/", "ContinuationToken": page["NextContinuationToken"]}

    def entries(self, path: str) -> Iterator[Entry]:
        return self._store.list_objects(self._prefix + _slashed(path))

    def delete(self, entries: Sequence[Entry]) -> Remaining:
        objects = [entry for entry in entries if isinstance(entry, Object)]
        remaining = self._store.delete(objects, conditional=False)
        return [(entry, remaining[entry.key]) for entry in entries if entry.key in remaining]


class Versions:
    """All versions of a versioned bucket. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html."""

    def __init__(self, store: S3Store, ref: BucketRef) -> None:
        self._store, self._prefix, self._payer = store, ref.prefix, payer(ref)

    def folders(self, path: str) -> list[str]:
        prefix = self._prefix + _slashed(path)
        return _folders(path, prefix, self._pages(prefix, {"Delimiter": "/"}))

    def entries(self, path: str) -> Iterator[Entry]:
        for page in self._pages(self._prefix + _slashed(path), {}):
            for row in page.get("Versions", []):
                if not is_record(row["Key"]):
                    yield _version(row, live=row.get("IsLatest", True))
            for row in page.get("DeleteMarkers", []):
                if not is_record(row["Key"]):
                    yield _version(row, live=False)

    def delete(self, entries: Sequence[Entry]) -> Remaining:
        versions = {(entry.key, entry.version): entry for entry in entries if isinstance(entry, Version)}
        return [(versions[name], error) for name, error in self._store.delete_versions(versions).items()]

    def _pages(self, prefix: str, how: Mapping[str, Any]) -> Iterator[Any]:
        where: dict[str, str] = {}
        while True:
            page = self._store.call(
                f"list versions below {prefix!r}",
                lambda where=where: self._store.control.list_object_versions(  # type: ignore[misc]
                    Bucket=self._store.bucket, Prefix=prefix, **where, **how, **self._payer
                ),
            )
            yield page
            if not page.get("IsTruncated"):
                return
            after = {"KeyMarker": page.get("NextKeyMarker", ""), "VersionIdMarker": page.get("NextVersionIdMarker", "")}
            if not after["KeyMarker"] or after == where:
                raise TransientError(f"the listing of the versions below {prefix!r} does not go on")
            where = after


def payer(ref: BucketRef) -> Mapping[str, str]:
    """What every request to the bucket says about who pays."""
    return {"RequestPayer": "requester"} if ref.request_payer else {}


def _version(row: Mapping[str, Any], *, live: bool) -> Version:
    """A delete marker has neither an ETag nor a size."""
    etag, size = row.get("ETag", "").strip('"'), row.get("Size", 0)
    if not row.get("VersionId"):
        raise UserError(
            Reason.INVALID_SPEC,
            f"{row['Key']!r} is listed without a version, so the server has none: choose versions: Current",
        )
    return Version(row["Key"], etag, size, row["LastModified"], row["VersionId"], live)


def _slashed(path: str) -> str:
    return f"{path}/" if path else ""


def _folders(path: str, prefix: str, pages: Iterable[Any]) -> list[str]:
    found = (row["Prefix"] for page in pages for row in page.get("CommonPrefixes", []))
    names = (key.removeprefix(prefix).removesuffix("/") for key in found if not is_record(key))
    return [_slashed(path) + name for name in names if name]


__all__ = ["DELETE_BATCH", "Current", "Entry", "Place", "Remaining", "Version", "Versions", "is_live", "payer"]
