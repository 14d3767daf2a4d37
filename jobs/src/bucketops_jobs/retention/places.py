"""Where folders lie, and what is in them: current objects, or (`versions: All`) every version and delete marker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from bucketops_jobs.s3 import failures
from bucketops_jobs.s3.client import DELETE_BATCH, S3Store
from bucketops_jobs.s3.listing import is_record
from bucketops_jobs.s3.store import Object, Store


class Version(NamedTuple):
    """One version of an object, or a delete marker: its first fields are those of an Object."""

    key: str
    etag: str
    size: int
    modified: datetime
    version: str
    live: bool
    """The one that a reader gets."""
    marker: bool = False


Entry = Object | Version
Remaining = Sequence[tuple[Entry, Exception]]
"""What a deletion left behind, with why."""


def is_live(entry: Entry) -> bool:
    """Whether a reader of the bucket can get this entry."""
    return not isinstance(entry, Version) or entry.live


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

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix

    def folders(self, path: str) -> list[str]:
        return _below(path, self._store.folders(self._prefix + _slashed(path)))

    def entries(self, path: str) -> Iterator[Object]:
        return self._store.list_objects(self._prefix + _slashed(path))

    def delete(self, entries: Sequence[Entry]) -> Remaining:
        objects = [entry for entry in entries if isinstance(entry, Object)]
        remaining = self._store.delete(objects, conditional=False)
        return [(entry, remaining[entry.key]) for entry in entries if entry.key in remaining]


class Versions:
    """All versions of a versioned bucket. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html."""

    def __init__(self, store: S3Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix

    def folders(self, path: str) -> list[str]:
        prefix = self._prefix + _slashed(path)
        pages = self._pages(prefix, {"Delimiter": "/"})
        found = (row["Prefix"] for page in pages for row in page.get("CommonPrefixes", []))
        names = (key.removeprefix(prefix).removesuffix("/") for key in found if not is_record(key))
        return _below(path, names)

    def entries(self, path: str) -> Iterator[Entry]:
        for page in self._pages(self._prefix + _slashed(path), {}):
            for row in page.get("Versions", []):
                if not is_record(row["Key"]):
                    yield _version(row, live=row["IsLatest"])
            for row in page.get("DeleteMarkers", []):
                if not is_record(row["Key"]):
                    yield _version(row, live=False, marker=True)

    def delete(self, entries: Sequence[Entry]) -> Remaining:
        versions = {(entry.key, entry.version): entry for entry in entries if isinstance(entry, Version)}
        objects = [{"Key": key, "VersionId": version} for key, version in versions]
        answer = self._store.call(
            f"delete {len(objects)} versions",
            lambda: self._store.control.delete_objects(
                Bucket=self._store.bucket, Delete={"Objects": objects, "Quiet": True}, **self._store.payer
            ),
        )
        return [(versions[e["Key"], e["VersionId"]], failures.of_key(e)) for e in answer.get("Errors", [])]

    def _pages(self, prefix: str, how: Mapping[str, Any]) -> Iterator[Any]:
        where: dict[str, str] = {}
        while True:
            page = self._store.call(
                f"list versions below {prefix!r}",
                lambda where=where: self._store.control.list_object_versions(  # type: ignore[misc]
                    Bucket=self._store.bucket, Prefix=prefix, **where, **how, **self._store.payer
                ),
            )
            yield page
            if not page.get("IsTruncated"):
                return
            where = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page.get("NextVersionIdMarker", "")}


def _version(row: Mapping[str, Any], *, live: bool, marker: bool = False) -> Version:
    etag, size = row.get("ETag", "").strip('"'), row.get("Size", 0)
    return Version(row["Key"], etag, size, row["LastModified"], row["VersionId"], live, marker)


def _slashed(path: str) -> str:
    return f"{path}/" if path else ""


def _below(path: str, names: Iterator[str]) -> list[str]:
    return [_slashed(path) + name for name in names if name]


__all__ = ["DELETE_BATCH", "Current", "Entry", "Place", "Remaining", "Version", "Versions", "is_live"]
