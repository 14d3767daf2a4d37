"""What a sweep has looked into and need not look into again, by a fingerprint of all ETags at a key.

Dates alone say nothing of the last hour, since clocks differ and uploads take their time. Without this, a sweep every
five minutes would look a dozen times into each new picture. A key of which any ETag is another one, or none, has
another fingerprint, and so it has under other rules; so an outdated set only costs requests.

Dates say neither that something that no pipeline made stands in a picture's place: these are remembered however old
they are, so that each sweep counts all of them.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from bucketops_jobs.errors import NotFoundError
from bucketops_jobs.pipeline.context import Context

MOST = 1_000_000
"""Fingerprints of eight bytes each; what comes after them is looked into again."""
_SETTLED, _CONFLICTS = "looked.bin", "conflicts.bin"
_SIZE = 8


class Looked:
    """Asks what the last sweep left, takes in what this one leaves."""

    def __init__(self, rules: str, known: Iterable[int] = (), most: int = MOST) -> None:
        self._rules, self._most = rules, most
        self._known = array("Q", sorted(known))
        self._next = array("Q")

    def knows(self, *key_and_etags: str) -> bool:
        """Whether these ETags were found there; then the next sweep is told so as well."""
        wanted = self._fingerprint(*key_and_etags)
        at = bisect_left(self._known, wanted)
        found = at < len(self._known) and self._known[at] == wanted
        if found:
            self._take(wanted)
        return found

    def add(self, *key_and_etags: str) -> None:
        """These were found."""
        self._take(self._fingerprint(*key_and_etags))

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


@dataclass(frozen=True)
class Memory:
    """What is settled, and what is in conflict."""

    settled: Looked
    conflicts: Looked


def read(context: Context) -> Memory:
    """What the last sweep left; nothing, if there was none."""
    return Memory(_read(context, _SETTLED), _read(context, _CONFLICTS))


def write(context: Context, memory: Memory) -> None:
    """Leave it to the next sweep."""
    headers = {"content-type": "application/octet-stream"}
    for name, looked in ((_SETTLED, memory.settled), (_CONFLICTS, memory.conflicts)):
        context.destination.put(context.records.folder + name, looked.encode(), headers)


def _read(context: Context, name: str) -> Looked:
    try:
        with context.destination.get(context.records.folder + name).body as body:
            return Looked.decode(context.rules.all, body.read(MOST * _SIZE))
    except NotFoundError:
        return Looked(context.rules.all)


def _little(numbers: array[int]) -> array[int]:
    """The same on every machine."""
    if sys.byteorder == "big":
        numbers = array("Q", numbers)
        numbers.byteswap()
    return numbers
