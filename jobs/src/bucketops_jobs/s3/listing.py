"""Listings over a store's pages: keys increase, records are left out, nothing is silently missed.

S3 orders keys by their UTF-8 bytes, Python strings by code points: the same order for all that UTF-8 can hold. Keys
that are not UTF-8 would be ordered otherwise; the parser refuses them (pages.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from operator import itemgetter, lt
from typing import Protocol, TypeVar

from bucketops_api import names
from bucketops_jobs.errors import ASK, OddAnswerError, ShardError, WorkerError
from bucketops_jobs.s3.store import Object, Page

T = TypeVar("T")
_KEY = itemgetter(0)
_OURS = names.RECORDS_FOLDER.removesuffix("/")
"""Part of the keys of all records, and of few others."""
LOOKS = 3
"""Times that a page is asked for which cannot follow the one before it."""
MOST_EMPTY = 1000
"""Pages in a row that may show nothing: AWS answers some where much has been deleted."""


class Pages(Protocol):
    """What a listing needs of a store."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        """As Store.page."""


def list_objects(store: Pages, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
    """Objects below `prefix` in key order, strictly after `after` and up to `until`, without records."""
    for page in pages(store, prefix, after, until):
        yield from without_records(page.objects)


def pages(store: Pages, prefix: str, after: str = "", until: str | None = None) -> Iterator[Page]:
    """Checked pages, each cut at `until`; the next one is on its way while one is consumed.

    A consumer may stop at any page: what is on its way then is dropped when it arrives.
    """
    page = next_page(store, prefix, Page([], None), after=after)
    ahead: ThreadPoolExecutor | None = None
    try:
        while going_on(page, until):
            ahead = ahead or ThreadPoolExecutor(1, thread_name_prefix="next-page")
            coming = ahead.submit(next_page, store, prefix, page)
            yield page
            page = coming.result()
    finally:
        if ahead is not None:
            ahead.shutdown(wait=False, cancel_futures=True)
    yield Page(up_to(page.objects, until), None)


def going_on(page: Page, until: str | None) -> bool:
    """Whether keys up to `until` may follow the page."""
    return page.token is not None and (until is None or not page.objects or page.objects[-1].key < until)


def up_to(objects: list[Object], until: str | None) -> list[Object]:
    """Of objects in order those up to a key (inclusive)."""
    if until is None or not objects or objects[-1].key <= until:
        return objects
    return objects[: bisect_right(objects, until, key=_KEY)]


def check(store: Pages, prefix: str, objects: list[Object], after: str) -> None:
    """The keys lie below the prefix and increase strictly from `after`; OddAnswerError otherwise.

    A server that shows keys out of order, twice, or of another prefix would make us miss some, or touch others' keys.
    """
    if not objects:
        return
    keys = [after, *map(_KEY, objects)]
    if not all(map(lt, keys, islice(keys, 1, None))):
        last, wrong = next((one, two) for one, two in pairwise(keys) if one >= two)
        raise odd(store, prefix, f"is out of order: it shows {wrong!r} behind {last!r}")
    if not (keys[1].startswith(prefix) and keys[-1].startswith(prefix)):
        raise odd(store, prefix, f"shows {keys[1]!r} to {keys[-1]!r}")


def without_records(objects: list[Object]) -> list[Object]:
    """Return objects that are no records."""
    if _OURS in "\n".join(map(_KEY, objects)):
        return [entry for entry in objects if not is_record(entry.key)]
    return objects


def is_record(key: str) -> bool:
    """Whether a key lies under a `.bucketops/` folder or is S3Access's probe: in no listing, count, rule or audit."""
    return names.lies_in_records(key) or key.rpartition("/")[2] == names.PROBE_KEY


def next_page(store: Pages, prefix: str, page: Page, after: str = "") -> Page:
    """Return the page after this one, checked; of a page without a token the first one after the key `after`.

    Pages without keys are skipped (AWS answers them at times).
    """
    last, tokens = page.objects[-1].key if page.objects else after, set[str]()
    for _ in range(MOST_EMPTY):
        page = looked(store, prefix, page.token, after, last)
        if page.objects or page.token is None:
            return page
        if page.token in tokens:
            raise odd(store, prefix, f"does not go on: it shows nothing behind {last!r}, again and again").final
        tokens.add(page.token)
    raise endless(store, prefix, last)


def looked(store: Pages, prefix: str, token: str | None, after: str, last: str) -> Page:
    """Return a page that was checked: by token, or after a key. `last`: the last key that was shown before it."""

    def require(page: Page) -> None:
        check(store, prefix, page.objects, last)
        if token is not None and page.token == token:
            raise odd(store, prefix, f"does not go on from {last!r}: its token leads to itself")

    return checked(lambda: store.page(prefix, token=token) if token else store.page(prefix, after=after), require)


def checked(ask: Callable[[], T], require: Callable[[T], None]) -> T:
    """Return an answer that passes; one that is odd is asked for again, up to LOOKS times, and is final then."""
    for left in reversed(range(LOOKS)):
        answer = ask()
        try:
            require(answer)
        except OddAnswerError as error:
            if not left:
                raise error.final from error
        else:
            return answer
    raise AssertionError("unreachable")


def odd(store: Pages, prefix: str, what: str) -> OddAnswerError:
    """What it means that a listing is none."""
    told = f"the listing of {store.bucket} below {prefix!r} {what}"
    return OddAnswerError(told, ShardError(f"{told}: {ASK}"))


def endless(store: Pages, prefix: str, last: str) -> WorkerError:
    """What it means that page after page shows nothing."""
    return odd(store, prefix, f"shows {MOST_EMPTY} pages in a row without a key behind {last!r}").final
