"""A window over the source: memory is bounded by one block, whatever the picture holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

from bucketops_jobs.exif.verdict import Refusal, RefusedError

BLOCK = 256 << 10  # bytes per read
HEAD = 4 << 10
TAIL = 16 << 10
"""Bytes; of a trailer, to name it and to find where a Samsung one begins."""
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Neither a stuffed FF 00, nor RST0 to RST7, nor a fill byte (T.81, B.1.1.2 and B.1.1.5)."""

Write = Callable[[memoryview | bytes], object]


class Reader:
    """Reads forward. With `end`, the bytes from there on do not exist."""

    def __init__(self, source: BinaryIO, max_bytes: int, end: int | None = None) -> None:
        self._source = source
        self._max = max_bytes
        self._end = end
        self._data = b""
        self._at = 0
        self.read = 0
        """Bytes taken from the source so far."""
        self.tail = b""
        """The last of them."""

    @property
    def position(self) -> int:
        """Offset in the source of the next byte."""
        return self.read - len(self._data) + self._at

    def peek(self, size: int) -> bytes:
        """Up to `size` bytes, which stay."""
        while len(self._data) - self._at < size and self._fill():
            pass
        return self._data[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes; RefusedError where the source ends before."""
        taken = self._data[self._at : self._at + size]
        if len(taken) < size and len(taken := self.peek(size)) < size:
            raise RefusedError(Refusal.TRUNCATED, f"the file ends inside a segment, at byte {self.read}")
        self._at += size
        return taken

    def payload(self) -> bytes:
        """What a segment holds. A length of 0 or 1 counts as empty, as in libjpeg; tables have to be longer anyway."""
        begin = self._at + 2
        size = int.from_bytes(self._data[self._at : begin]) - 2
        if 0 <= size <= len(self._data) - begin:  # nearly always
            self._at = begin + size
            return self._data[begin : self._at]
        return self.take(max(0, int.from_bytes(self.take(2)) - 2))

    def marker(self) -> tuple[int, int, int]:
        """The code of the next marker, how many bytes lay before it, and how many of these are no fill bytes."""
        if found := _MARKER.match(self._data, self._at):
            self._at += 2
            return found[0][1], 0, 0
        return self._search()

    def _search(self) -> tuple[int, int, int]:
        begin, garbage = self.position, 0
        while not (found := _MARKER.search(self._data, self._at)):
            garbage += self._pass(len(self._data) - self._data.endswith(b"\xff"))
            if not self._fill():
                raise RefusedError(Refusal.TRUNCATED, f"the file ends without an EOI marker, at byte {self.read}")
        garbage += self._pass(found.start())
        skipped = self.position - begin
        self._at += 2
        return found[0][1], skipped, garbage

    def _pass(self, end: int) -> int:
        garbage = len(self._data[self._at : end].rstrip(b"\xff"))
        self._at = end
        return garbage

    def scan(self, write: Write) -> bool:
        """Hand on entropy-coded bytes up to the next marker; False where the source ends first."""
        while True:
            view = memoryview(self._data)
            if found := _END_OF_SCAN.search(self._data, self._at):
                write(view[self._at : found.start()])
                self._at = found.start()
                return True
            end = len(self._data) - self._data.endswith(b"\xff")
            write(view[self._at : end])
            self._at = end
            if not self._fill():
                return False

    def rest(self) -> tuple[int, bytes]:
        """Read to the end: how many bytes there were, and the first of them."""
        head = self.peek(HEAD)
        size = len(self._data) - self._at
        self._at = len(self._data)
        while self._fill():
            size += len(self._data)
            self._at = len(self._data)
        return size, head

    def _fill(self) -> bool:
        """Read a block behind what is left; False at the end."""
        wanted = BLOCK if self._end is None else min(BLOCK, self._end - self.read)
        block = self._source.read(wanted)
        rest = self._data[self._at :]
        self._data, self._at = rest + block if rest else block, 0
        self.read += len(block)
        self.tail = (self.tail + block)[-TAIL:] if len(block) < TAIL else block[-TAIL:]
        if self.read > self._max:
            raise RefusedError(Refusal.TOO_LARGE, f"the file has more than {self._max} bytes")
        return bool(block)
