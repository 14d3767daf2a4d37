"""One flat prefix listed by several streams at once, as many as the server rewards.

A stream pages through a range by token. Where the ranges are cut: keyspace.py; who lists what: partition.py; how many
streams there are: growth.py. This file has the threads.
"""

from __future__ import annotations

import threading
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence

from bucketops_jobs.s3.growth import Growth
from bucketops_jobs.s3.listing import MOST_EMPTY, Pages, endless, looked, odd, without_records
from bucketops_jobs.s3.partition import Part, Partition
from bucketops_jobs.s3.store import Object, Page

MOST_STREAMS = 32


def in_order(
    store: Pages,
    prefix: str,
    *,
    after: str = "",
    until: str | None = None,
    bounds: Sequence[str] = (),
    most: int = MOST_STREAMS,
) -> Iterator[Object]:
    """As Store.list_objects, by up to `most` streams, which keep a few pages each ahead of the consumer.

    `bounds`: keys where ranges may begin, from a database, a sample or the last run; the rest is found by looking.
    """
    listing = _Listing(store, Partition(prefix, after, until, bounds, ordered=True), Growth(most))
    for objects in listing.pages(after, until):
        yield from without_records(objects)


def each_page(
    store: Pages,
    prefix: str,
    *,
    after: str = "",
    until: str | None = None,
    bounds: Sequence[str] = (),
    most: int = MOST_STREAMS,
) -> Iterator[list[Object]]:
    """The same objects, a page at a time and in any order of pages: each exactly once, as fast as they come."""
    listing = _Listing(store, Partition(prefix, after, until, bounds, ordered=False), Growth(most))
    return map(without_records, listing.pages(after, until))


def walks(token: str) -> bool:
    """Whether a token leads on in a walk of MinIO's, which goes through the whole folder for each range anew.

    It decodes to `KEY[minio_cache:v2,id:...]` (MinIO's cmd/metacache-marker.go).
    """
    try:
        return b"[minio_cache:" in b64decode(token, validate=True)
    except ValueError:
        return False


class _Listing:
    """The streams of one listing, and the pages that they bring. A consumer may stop at any page."""

    def __init__(self, store: Pages, partition: Partition, growth: Growth) -> None:
        self._store, self._partition, self._growth = store, partition, growth
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)
        """Streams wait here for something to list."""
        self._filled = threading.Condition(self._lock)
        """The consumer waits here for a page."""
        self._streams = 0
        self._stopped = False
        self._error: BaseException | None = None

    def pages(self, after: str, until: str | None) -> Iterator[list[Object]]:
        """Every page once; then the ranges are known to cover all."""
        try:
            with self._lock:
                self._hire()
            while (objects := self._take()) is not None:
                yield objects
            self._partition.require_complete(after, until)
        finally:
            with self._lock:
                self._stopped = True
                self._free.notify_all()

    def _take(self) -> list[Object] | None:
        with self._lock:
            while (objects := self._partition.take()) is None:
                if self._error is not None:
                    raise self._error
                if self._partition.over:
                    return None
                self._filled.wait()
            self._free.notify()
            return objects

    def _hire(self) -> None:
        """As many threads as there are streams; those that turn out to be too many end."""
        while self._streams < self._growth.streams:
            threading.Thread(target=self._stream, args=(self._streams,), name=f"list-{self._streams}").start()
            self._streams += 1

    def _stream(self, number: int) -> None:
        try:
            while (part := self._next(number)) is not None:
                self._arrived(part, self._page(part))
        except BaseException as error:  # noqa: BLE001 - raised where the pages are consumed
            with self._lock:
                self._error = self._error or error
                self._stopped = True
                self._filled.notify()
                self._free.notify_all()

    def _next(self, number: int) -> Part | None:
        with self._lock:
            part = None
            while not self._stopped and number < self._growth.streams:
                part = self._partition.next_part(self._growth.streams)
                if part is not None:
                    break
                self._free.wait()
            self._free.notify()  # there may be more to do, for another than the one that was woken
            return part

    def _page(self, part: Part) -> Page:
        """Start-after opens a range, the token goes on: never both."""
        prefix, last = self._partition.prefix, part.last or part.after
        page = looked(self._store, prefix, part.token, part.after, last)
        if not page.objects and page.token in part.hollow:
            what = f"does not go on: it shows nothing behind {last!r}, again and again"
            raise odd(self._store, prefix, what).final
        if len(part.hollow) >= MOST_EMPTY:
            raise endless(self._store, prefix, last)
        return page

    def _arrived(self, part: Part, page: Page) -> None:
        with self._lock:
            if page.token is not None and walks(page.token):
                self._growth.stay()
                self._partition.unite()
            keys = self._partition.arrived(part, page)
            self._growth.arrived(time.monotonic(), keys)
            self._hire()
            self._filled.notify()
