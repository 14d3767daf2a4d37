"""Keys in their order looked up in a listing: a request answers for as many of them as its page spans."""

from __future__ import annotations

from bucketops_jobs.s3.listing import next_page, without_records
from bucketops_jobs.s3.store import LONGEST_KEY, Object, Page, Store

_FIRST, _SURROGATES = "!", range(0xD800, 0xE000)


class Forward:
    """Finds objects of ascending keys, relative to a prefix, and never asks for a page behind the last one.

    It sends no more requests than there are keys, nor many more than the listing has pages. What it knows of a page is
    as old as the request for it.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix
        self._page: Page | None = None
        self._shown: dict[str, Object] = {}
        """Of the page, by their whole keys."""
        self._last = ""

    def find(self, key: str) -> Object | None:
        """Return the object of a key as a listing below the prefix shows it, or None.

        Never by the key as a prefix: a server that folds names shows what it is asked for. What is too long for a key
        names no object, and nobody is asked for it.
        """
        name = self._prefix + key
        if len(name.encode(errors="surrogatepass")) > LONGEST_KEY:
            return None
        if name < self._last:
            raise ValueError(f"{name!r} is asked for after {self._last!r}: its page has gone by")
        self._last = name
        while not self._spans(name):
            start = before(key)
            self._turn(self._prefix + start if start else "")
        return self._shown.get(name)

    def _spans(self, name: str) -> bool:
        page = self._page
        return page is not None and (page.token is None or (bool(page.objects) and name <= page.objects[-1].key))

    def _turn(self, start: str) -> None:
        """Go on to the next page, or to the one that begins at `start` where that lies further ahead."""
        page = self._page
        goes_on = page is not None and page.objects and page.objects[-1].key >= start
        opened = page if page is not None and goes_on else Page([], None)
        self._page = next_page(self._store, self._prefix, opened, after=start)
        self._shown = {entry.key: entry for entry in without_records(self._page.objects)}


def before(key: str) -> str:
    """Return a string close below a key; what lies between is listed too. Control characters are none to begin at.

    Of a folder's own key: below its name without the slash, which is how SeaweedFS orders folders.
    """
    key = key.rstrip("/") or key
    if not key or key[-1] <= _FIRST:
        return key[:-1]
    last = ord(key[-1]) - 1
    return f"{key[:-1]}{chr(last if last not in _SURROGATES else _SURROGATES.start - 1)}~~"
