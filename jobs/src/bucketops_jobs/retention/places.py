"""Where folders lie, and what is in them: current objects, or (`versions: All`) every version and delete marker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import TransientError, UserError
from bucketops_jobs.s3 import dates
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.deletions import DELETE_BATCH
from bucketops_jobs.s3.levels import Level
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
    latest: bool = True
    """It stands above all others of its key: without it, a reader would get the one below."""


Entry: TypeAlias = Object | Version


def is_live(entry: Entry) -> bool:
    """Whether a reader of the bucket can get this entry."""
    return not isinstance(entry, Version) or entry.live


def is_latest(entry: Entry) -> bool:
    """Whether nothing of the same key stands above this entry: it hides, or is, what a reader gets."""
    return not isinstance(entry, Version) or entry.latest


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
        self._store, self._prefix = store, ref.prefix

    def folders(self, path: str) -> list[str]:
        prefix = self._prefix + _slashed(path)
        return _folders(path, prefix, self._store.levels.folders(prefix))

    def entries(self, path: str) -> Iterator[Entry]:
        return self._store.list_objects(self._prefix + _slashed(path))

    def delete(self, entries: Sequence[Entry]) -> Remaining:
        objects = [entry for entry in entries if isinstance(entry, Object)]
        remaining = self._store.delete(objects, conditional=False)
        return [(entry, remaining[entry.key]) for entry in entries if entry.key in remaining]


class Versions:
    """All versions of a versioned bucket. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html."""

    def __init__(self, store: S3Store, ref: BucketRef) -> None:
        self._store, self._prefix = store, ref.prefix

    def folders(self, path: str) -> list[str]:
        prefix = self._prefix + _slashed(path)
        return _folders(path, prefix, self._store.levels.versions(prefix, "/"))

    def entries(self, path: str) -> Iterator[Entry]:
        for level in self._store.levels.versions(self._prefix + _slashed(path)):
            for row in level.current:
                if not is_record(row["Key"]):
                    yield _version(row, live=_is_latest(row))
            for row in level.deleted:
                if not is_record(row["Key"]):
                    yield _version(row, live=False)

    def delete(self, entries: Sequence[Entry]) -> Remaining:
        versions = {(entry.key, entry.version): entry for entry in entries if isinstance(entry, Version)}
        return [(versions[name], error) for name, error in self._store.delete_versions(versions).items()]


def _version(row: Mapping[str, str], *, live: bool) -> Version:
    """A delete marker has neither an ETag nor a size; TransientError where the row cannot be read."""
    if not row.get("VersionId"):
        raise UserError(
            Reason.INVALID_SPEC,
            f"{row['Key']!r} is listed without a version, so the server has none: choose versions: Current",
        )
    try:
        size, modified = int(row.get("Size") or 0), dates.listed([row["LastModified"]])[0]
    except (KeyError, ValueError) as error:
        raise TransientError(f"the listing shows a version of {row['Key']!r} that cannot be read: {error}") from error
    etag = row.get("ETag", "").strip('"')
    return Version(row["Key"], etag, size, modified, row["VersionId"], live, _is_latest(row))


def _is_latest(row: Mapping[str, str]) -> bool:
    return row.get("IsLatest", "true") == "true"


def _slashed(path: str) -> str:
    return f"{path}/" if path else ""


def _folders(path: str, prefix: str, levels: Iterable[Level]) -> list[str]:
    found = (folder for level in levels for folder in level.folders)
    names = (key.removeprefix(prefix).removesuffix("/") for key in found if not is_record(key))
    return [_slashed(path) + name for name in names if name]


__all__ = ["DELETE_BATCH", "Current", "Entry", "Place", "Remaining", "Version", "Versions", "is_latest", "is_live"]
