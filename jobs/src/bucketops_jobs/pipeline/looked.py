"""What a sweep has looked into and found settled, by a fingerprint of both ETags.

Dates alone say nothing of the last hour, since clocks differ and uploads take their time. Without this, a sweep every
five minutes would look a dozen times into each new picture. A pair of which either ETag is another one has another
fingerprint; so an outdated set only costs requests.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b

from bucketops_jobs.errors import NotFoundError
from bucketops_jobs.pipeline.context import Context

MOST = 1_000_000
"""Fingerprints of eight bytes each; what comes after them is looked into again."""
_NAME = "looked.bin"
_SIZE = 8


class Looked:
    """Asks what the last sweep left, takes in what this one leaves."""

    def __init__(self, rules: str, known: Iterable[int] = (), most: int = MOST) -> None:
        self._rules, self._most = rules, most
        self._known = array("Q", sorted(known))
        self._next = array("Q")

    def knows(self, key: str, source: str, destination: str) -> bool:
        """Whether these two ETags were found settled; then the next sweep is told so as well."""
        wanted = self._fingerprint(key, source, destination)
        at = bisect_left(self._known, wanted)
        found = at < len(self._known) and self._known[at] == wanted
        if found:
            self._take(wanted)
        return found

    def add(self, key: str, source: str, destination: str) -> None:
        """These two were found settled."""
        self._take(self._fingerprint(key, source, destination))

    def encode(self) -> bytes:
        """For `decode`, in the next sweep."""
        return _little(self._next).tobytes()

    @classmethod
    def decode(cls, rules: str, data: bytes) -> Looked:
        """What is damaged at its end loses that end."""
        known = array("Q", data[: len(data) - len(data) % _SIZE])
        return cls(rules, _little(known))

    def _take(self, fingerprint: int) -> None:
        if len(self._next) < self._most:
            self._next.append(fingerprint)

    def _fingerprint(self, *parts: str) -> int:
        text = "\0".join((self._rules, *parts)).encode()
        return int.from_bytes(blake2b(text, digest_size=_SIZE).digest(), "big")


def read(context: Context) -> Looked:
    """What the last sweep left; nothing, if there was none."""
    try:
        with context.destination.get(context.records.folder + _NAME).body as body:
            return Looked.decode(context.rules.strip, body.read())
    except NotFoundError:
        return Looked(context.rules.strip)


def write(context: Context, looked: Looked) -> None:
    """Leave it to the next sweep."""
    headers = {"content-type": "application/octet-stream"}
    context.destination.put(context.records.folder + _NAME, looked.encode(), headers)


def _little(numbers: array[int]) -> array[int]:
    """The same on every machine."""
    if sys.byteorder == "big":
        numbers = array("Q", numbers)
        numbers.byteswap()
    return numbers
