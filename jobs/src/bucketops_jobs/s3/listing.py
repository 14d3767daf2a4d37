"""Listings over a store's pages: keys increase, records are left out, nothing is silently missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from bucketops_api import names
from bucketops_jobs.errors import TransientError
from bucketops_jobs.s3.store import Object, Page


class Pages(Protocol):
    """What a listing needs of a store."""

    @property
    def bucket(self) -> str: ...

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page: ...


def list_objects(store: Pages, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
    """Objects below `prefix` in key order, strictly after `after` and up to `until`, without records."""
    last = ""
    for entry in (entry for page in pages(store, prefix, after) for entry in page.objects):
        if entry.key <= last:
            raise TransientError(f"the listing of {store.bucket} is out of order at {entry.key!r}")
        last = entry.key
        if until is not None and entry.key > until:
            return
        if not is_record(entry.key):
            yield entry


def pages(store: Pages, prefix: str, after: str = "") -> Iterator[Page]:
    """Start-after opens a listing, the token goes on."""
    page = store.page(prefix, after=after)
    yield page
    while page.token:
        page = store.page(prefix, token=page.token)
        yield page


def is_record(key: str) -> bool:
    """Whether a key lies under a `.bucketops/` folder: ours, in no listing, count, rule or audit."""
    return key.startswith(names.RECORDS_FOLDER) or f"/{names.RECORDS_FOLDER}" in key
