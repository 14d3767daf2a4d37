"""Looks at every folder in scope. Any page that fails ends the run: absence from a listing is never proof."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_jobs.errors import NotFoundError, OtherBytesError, UserError
from bucketops_jobs.retention.context import Context
from bucketops_jobs.retention.folders import Folder
from bucketops_jobs.retention.journal import Journal
from bucketops_jobs.retention.names import matching, spellings
from bucketops_jobs.retention.places import Entry, is_live
from bucketops_jobs.retention.references import named

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
GZIP = b"\x1f\x8b"
"""How every gzip file begins, and no text in UTF-8: https://www.rfc-editor.org/rfc/rfc1952#page-6."""
LONGEST_REFERENCE = 16 * 2**20
"""Bytes of an object that names live folders, packed or not."""


def survey(context: Context, journal: Journal) -> list[Folder]:
    """Every folder in scope that holds anything, with what the rules want to know of it."""
    paths, within = _paths(context), _scope(context)
    references = _references(context, paths)
    begun = journal.read(context.engine, paths)
    in_scope = [path for path in paths if within(path)]

    def look(path: str) -> Folder | None:
        found, known = measure(context, path), begun.get(path)
        half = bool(found and known and known.half_deleted(found))
        if known and not half:
            journal.end(path)
        was = known.folder if half and known else None
        return replace(found, begun=half, was=was, referenced_by=references.get(path, ())) if found else None

    folders = [folder for folder in context.engine.every(look, in_scope) if folder]
    _forget(context, journal, begun.keys() - set(in_scope))
    return folders


def measure(context: Context, path: str) -> Folder | None:
    """Count one folder; None where nothing is in it."""
    count = Count(path, context.spec)
    for entry in context.place.entries(path):
        count.add(entry)
    return count.folder()


class Count:
    """What is in a folder, as its listing goes by."""

    def __init__(self, path: str, spec: RetentionSpec) -> None:
        below = f"{spec.bucket.prefix}{path}/"
        self._path = path
        self._marker_keys = {below + name for name in spellings(spec.folders.marker_key or "\0")}
        self._keep_keys = {below + name for name in spellings(spec.keep.marker_key or "\0")}
        self.objects = self.bytes = 0
        self.newest, self.oldest = FIRST, LAST
        self._first, self._last = LAST, FIRST
        self._marker: datetime | None = None
        self._pinned = self._current = self._content = False

    def add(self, entry: Entry) -> None:
        """Take one more entry in."""
        self.objects += 1
        self.bytes += entry.size
        self.newest, self.oldest = max(self.newest, entry.modified), min(self.oldest, entry.modified)
        if is_live(entry):
            self._current = True
            if entry.size or not entry.key.endswith("/"):  # a console's "Create folder" is no upload
                self._first, self._last = min(self._first, entry.modified), max(self._last, entry.modified)
            self._pinned = self._pinned or entry.key in self._keep_keys
            self._content = self._content or (entry.size > 0 and entry.key not in self._keep_keys)
            self._marker = entry.modified if entry.key in self._marker_keys else self._marker

    def folder(self) -> Folder | None:
        """What was counted; None if that is nothing."""
        if not self.objects:
            return None
        live = (self._first, self._last) if self._first <= self._last else None
        return Folder(
            self._path, self.objects, self.bytes, self.oldest, self.newest, live, self._marker, self._pinned,
            current=self._current, content=self._content,
        )  # fmt: skip


def _paths(context: Context) -> list[str]:
    """All folders at the depth, level by level."""
    level = [""]
    for _ in range(context.spec.folders.depth):
        level = [path for below in context.engine.every(context.place.folders, level) for path in below]
    return level


def _scope(context: Context) -> Callable[[str], bool]:
    include, exclude = matching(context.spec.folders.include), matching(context.spec.folders.exclude)

    def within(path: str) -> bool:
        return (include(path) or not context.spec.folders.include) and not exclude(path)

    return within


def _references(context: Context, paths: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """By path, the objects that name a folder. One that names nobody is a mistake, and would cost the live one."""
    names = {path.rpartition("/")[2] for path in paths}
    found: dict[str, tuple[str, ...]] = {}
    for key in context.spec.keep.referenced_by if paths else ():
        live = named(names, _text(context, key))
        if not live:
            raise UserError(
                Reason.REFERENCE_INVALID,
                f"{key} (keep.referencedBy) names none of the {len(paths)} folders, so nothing is deleted: write a key "
                "whose object names the live folder, or take it from the list",
            )
        for path in paths:
            if path.rpartition("/")[2] in live:
                found[path] = (*found.get(path, ()), key)
    return found


def _text(context: Context, key: str) -> str:
    problem = f"{key} (keep.referencedBy) in {context.store.bucket}"
    try:
        with context.store.get(context.spec.bucket.prefix + key).body as body:
            data = body.read(LONGEST_REFERENCE + 1)
    except NotFoundError as error:
        raise UserError(
            Reason.REFERENCE_INVALID, f"{problem} does not exist, so nothing is deleted: mend the key, or upload it"
        ) from error
    except OtherBytesError as error:
        told = f"{problem} cannot be believed, so nothing is deleted: {error}"
        raise UserError(Reason.REFERENCE_INVALID, told) from error
    try:
        if data.startswith(GZIP):
            data = _unzipped(data)
        if len(data) > LONGEST_REFERENCE:
            raise UserError(Reason.REFERENCE_INVALID, f"{problem} is larger than 16 MiB, so nothing is deleted")
        return _decoded(data)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise UserError(
            Reason.REFERENCE_INVALID, f"{problem} is no text in UTF-8, so nothing is deleted: {error}"
        ) from error


def _decoded(data: bytes) -> str:
    """The text of a file in UTF-8; ValueError for any other. Plain letters in UTF-16 are UTF-8 with NULs in between."""
    if b"\0" in data:
        raise ValueError("it has NUL bytes, as UTF-16 has; write it as UTF-8")
    return data.removeprefix(codecs.BOM_UTF8).decode()


def _unzipped(data: bytes) -> bytes:
    """The content of a gzip file, and no more of it than may be: 16 MiB of zeros are 16 KiB of gzip."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as unzipped:
        return unzipped.read(LONGEST_REFERENCE + 1)


def _forget(context: Context, journal: Journal, elsewhere: Iterable[str]) -> None:
    """Records of folders that no listing shows any more: their last object went before the record did."""
    for path in elsewhere:
        if next(iter(context.place.entries(path)), None) is None:
            journal.end(path)
