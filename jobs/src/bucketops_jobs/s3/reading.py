"""Objects that are too large to be held in memory: read in ranges, each a request of its own with its own retries."""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from bucketops_jobs.errors import ItemError, PreconditionFailedError, TransientError
from bucketops_jobs.s3 import wire
from bucketops_jobs.s3.connection import WHOLE
from bucketops_jobs.s3.store import Object
from bucketops_jobs.s3.wire import Response

_PARTIAL = 206
Fetch = Callable[[int, int], bytes]
"""Given the first byte and a number of bytes, these bytes."""


class Ranges(io.RawIOBase):
    """An object as a stream of `size` bytes, at most WHOLE of which are in memory.

    `took` is given all of them in order; what it raises at the end is raised before the last of them are handed out.
    """

    def __init__(self, fetch: Fetch, size: int, took: Callable[[bytes, bool], None]) -> None:
        super().__init__()
        self._fetch, self._size, self._took = fetch, size, took
        self._position = 0
        self._held = memoryview(b"")

    def readable(self) -> bool:
        """Of io."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever can be written to
        """Of io; a WorkerError of the request."""
        if not self._held and self._position < self._size:
            data = self._fetch(self._position, min(WHOLE, self._size - self._position))
            self._position += len(data)
            self._took(data, self._position == self._size)
            self._held = memoryview(data)
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


def stream(fetch: Fetch, size: int, took: Callable[[bytes, bool], None]) -> BinaryIO:
    """An object to be read from its beginning to its end; `took` as Ranges has it."""
    return cast("BinaryIO", io.BufferedReader(Ranges(fetch, size, took), 1 << 20))


def spooled(fetch: Fetch, first: int, size: int, in_memory: int) -> tuple[BinaryIO, str]:
    """Some bytes of an object, in a file if they are many; and their MD5 as Content-MD5 has it."""
    spool: Any = tempfile.TemporaryFile() if size > in_memory else io.BytesIO()  # noqa: SIM115 - the caller closes it
    hasher = hashlib.md5(usedforsecurity=False)
    try:
        for start in range(first, first + size, WHOLE):
            data = fetch(start, min(WHOLE, first + size - start))
            hasher.update(data)
            spool.write(data)
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return cast("BinaryIO", spool), base64.b64encode(hasher.digest()).decode()


def exactly(entry: Object, first: int, size: int) -> Callable[[Response], bytes]:
    """Reads the answer to a GET of a span; PreconditionFailedError where the object is another one by now.

    A server that knows no ranges sends the whole object: https://www.rfc-editor.org/rfc/rfc9110#section-14.2.
    """

    def read(answer: Response) -> bytes:
        etag = wire.bare(answer.header("etag"))
        if etag != entry.etag:
            raise PreconditionFailedError(f"get {entry.key!r}: its ETag is {etag}, not {entry.etag}")
        if answer.status != _PARTIAL and (first, size) != (0, entry.size):
            raise ItemError(
                f"get {entry.key!r}: the server cannot read a part of an object, and it is too large for memory"
            )
        expected = f"bytes {first}-{first + size - 1}"
        came = answer.header("content-range").partition("/")[0] or expected
        if len(answer.body) != size or came != expected:
            raise TransientError(f"get {entry.key!r}: {len(answer.body)} bytes came ({came[:100]}) for {expected}")
        return answer.body

    return read
