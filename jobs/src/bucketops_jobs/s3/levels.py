"""Listings by folder and by version: their requests, their pages, and that one page follows the other.

What a server shows is input: a listing whose pages repeat, go back or stand still would end never, or miss some.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import le, lt
from urllib.parse import quote, unquote_plus, urlencode

from bucketops_jobs.errors import ASK, OddAnswerError, ShardError
from bucketops_jobs.s3 import documents, pages
from bucketops_jobs.s3.listing import MOST_EMPTY, checked
from bucketops_jobs.s3.wire import Calls, Request, Response

_BEGINNING: Mapping[str, str] = {}
Row = dict[str, str]
_LONGEST = 500
"""Characters of a message."""


@dataclass(frozen=True, slots=True)
class Level:
    """One page."""

    folders: list[str]
    """Common prefixes, with the slash at their end."""
    current: list[Row]
    """Objects, or their versions: fields by the names of S3, the key decoded."""
    deleted: list[Row]
    """Delete markers."""
    after: Mapping[str, str]
    """What the next question says to go on; empty at the end."""


class Levels:
    """Listings below one prefix of a bucket; `ask` sends a request and returns what is read of its answer."""

    def __init__(
        self, bucket: str, calls: Calls, ask: Callable[[Request, str, Callable[[Response], Level]], Level]
    ) -> None:
        self._bucket, self._calls, self._ask = bucket, calls, ask

    def folders(self, prefix: str) -> Iterator[Level]:
        """Current objects and folders right below a prefix."""
        how = {"list-type": "2", "delimiter": "/"}
        return self._walk("ListObjectsV2", f"folders below {prefix!r}", prefix, how)

    def versions(self, prefix: str, delimiter: str = "") -> Iterator[Level]:
        """All versions below a prefix, or those right below it with the folders."""
        how = {"versions": "", **({"delimiter": delimiter} if delimiter else {})}
        return self._walk("ListObjectVersions", f"versions below {prefix!r}", prefix, how)

    def _walk(self, operation: str, what: str, prefix: str, how: Mapping[str, str]) -> Iterator[Level]:
        progress = Progress(f"the listing of the {what} ({self._bucket})", prefix, again="versions" in how)
        after = _BEGINNING
        while True:
            query = {**how, "encoding-type": "url", "max-keys": "1000", "prefix": prefix, **after}
            path = f"{self._calls.bucket_path}?{urlencode(query, quote_via=quote)}"
            request = Request(operation, "GET", path, self._calls.payer)
            level = checked(partial(self._page, request, what), progress.check)
            yield level
            if not level.after:
                return
            after = level.after

    def _page(self, request: Request, what: str) -> Level:
        return self._ask(request, f"list {what}", partial(_level, f"list {what} ({self._bucket})"))


class Progress:
    """Whether each page shows what stands behind the last one; OddAnswerError. `again`: a key may stand on two."""

    def __init__(self, what: str, prefix: str, *, again: bool) -> None:
        self._what, self._prefix, self._compare = what, prefix, le if again else lt
        self._key = self._folder = ""
        self._empty = 0
        self._seen: set[tuple[object, ...]] = set()
        """How pages that end with the same key began, and where they went on."""

    def check(self, level: Level) -> None:
        """Take the next page."""
        keys = [[row["Key"] for row in rows] for rows in (level.current, level.deleted)]
        for names, last, compare in (
            *((one, self._key, self._compare) for one in keys),
            (level.folders, self._folder, lt),
        ):
            self._require_order(names, last, compare)
        self._require_end(level, keys)
        self._folder = max(level.folders, default=self._folder)

    def _require_order(self, names: Sequence[str], last: str, compare: Callable[[str, str], bool]) -> None:
        if not all(map(compare, chain([last] if last else names[:0], names), names if last else names[1:])):
            raise _odd(f"{self._what} is out of order behind {last!r}")
        if wrong := next((name for name in names if not name.startswith(self._prefix)), None):
            raise _odd(f"{self._what} shows {wrong!r}")

    def _require_end(self, level: Level, keys: Sequence[Sequence[str]]) -> None:
        """A place to go on from is a new one, and something comes at last."""
        last = max(chain(*keys), default=self._key)
        if last != self._key or level.folders:
            self._key = last
            self._seen.clear()
        self._empty = 0 if level.folders or any(keys) else self._empty + 1
        first = [("from", *sorted(row.items())) for row in (*level.current[:1], *level.deleted[:1])]
        here = {*first, *([("after", *level.after.values())] if level.after else [])}
        if here & self._seen or self._empty >= MOST_EMPTY:
            raise _odd(f"{self._what} does not go on behind {last!r}: its pages repeat, or show nothing")
        self._seen |= here


def _odd(why: str) -> OddAnswerError:
    return OddAnswerError(why, ShardError(f"{why}: {ASK}"))


def _level(what: str, answer: Response) -> Level:
    """A page; what is wrong with it is told with the listing that it is of."""
    try:
        return read(answer)
    except (ValueError, KeyError) as error:
        raise _odd(f"{what}: the answer cannot be read ({type(error).__name__}: {error})"[:_LONGEST]) from error
    except ShardError as error:
        raise ShardError(f"{what}: {error}") from error


def read(answer: Response) -> Level:
    """A page; ValueError or KeyError when the answer is none."""
    found = documents.read(answer.body)
    if found.root not in {"ListBucketResult", "ListVersionsResult"}:
        raise ValueError(f"it is no listing, but {found.root[:100]}")
    url = found.fields.get("EncodingType") == "url"
    folders = [_decoded(row["Prefix"], url=url) for row in found.rows.get("CommonPrefixes", ())]
    current, deleted = (
        [{**row, "Key": _decoded(row["Key"], url=url)} for row in chain(*(found.rows.get(tag, ()) for tag in tags))]
        for tags in (("Contents", "Version"), ("DeleteMarker",))
    )
    return Level(folders, current, deleted, _after(found.fields, url=url))


def _after(fields: Mapping[str, str], *, url: bool) -> Mapping[str, str]:
    truncated = fields.get("IsTruncated")
    if truncated == "false":
        return _BEGINNING
    if truncated != "true":
        raise ValueError("it does not say whether it is whole")
    if token := fields.get("NextContinuationToken"):
        return {"continuation-token": token}
    if key := fields.get("NextKeyMarker"):
        version = fields.get("NextVersionIdMarker", "")
        return {"key-marker": _decoded(key, url=url), **({"version-id-marker": version} if version else {})}
    raise ValueError("it broke off without a place to go on from")


def _decoded(name: str, *, url: bool) -> str:
    if not url and pages.LOST in name:
        raise pages.hidden(0, [name])
    if not url:
        return name
    try:
        return unquote_plus(name, errors="strict")
    except UnicodeDecodeError as error:
        raise ShardError(f"the key {name} (percent-encoded) is not UTF-8, as S3 asks: rename or delete it") from error
