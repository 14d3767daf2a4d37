"""The website of the examples: pictures in two buckets, rows that name them, and readers who look at both."""

from __future__ import annotations

import hashlib
import random
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2

from bucketops.demo.background import Background

LEGACY, MODERN = "image/", "avatar/"
SHORTEST_GRACE = 2.0
"""Seconds: of the migrations that somebody reads beside."""
TWICE = 10
"""Avatars that two rows name."""
Fetch = Callable[[str], bytes]
"""Returns the picture of a path; WrongError: there is none; ConnectionError: nobody answers."""
Connect = Callable[[], Any]
"""Returns a connection to the database."""


class WrongError(Exception):
    """The website names a picture that the store does not show."""


def picture(number: int, version: int = 0) -> bytes:
    """Return a valid PNG of one pixel's colour with bytes of its own for each number."""
    seed = hashlib.sha256(f"{number}/{version}".encode()).digest()
    rows = b"".join(b"\0" + bytes(seed[:3]) * 8 for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    text = b"Comment\0" + f"avatar {number} version {version} {seed.hex()}".encode()
    chunks = ((b"IHDR", header), (b"tEXt", text), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def shows(body: bytes, number: int) -> bool:
    """Whether this is a whole picture of that avatar, of whatever version."""
    found = re.search(rb"avatar (\d+) version (\d+) ", body)
    return found is not None and body == picture(number, int(found[2]))


def name(number: int) -> str:
    """Return the file name of an avatar."""
    return f"avatar-{number}.png"


@dataclass(frozen=True)
class Amounts:
    """How much the website has."""

    legacy: int
    modern: int

    @property
    def twice(self) -> int:
        """Avatars that two rows name."""
        return min(TWICE, self.legacy)

    @property
    def rows(self) -> int:
        """Rows in the table."""
        return self.legacy + self.modern + self.twice

    def paths(self) -> Iterator[str]:
        """Return what the rows name."""
        legacy = [LEGACY + name(number) for number in range(1, self.legacy + 1)]
        yield from legacy
        yield from (MODERN + name(number) for number in self._modern)
        yield from legacy[: self.twice]

    def objects(self) -> Iterator[tuple[str, int]]:
        """Return path and number of each picture."""
        yield from ((LEGACY + name(number), number) for number in range(1, self.legacy + 1))
        yield from ((MODERN + name(number), number) for number in self._modern)

    @property
    def _modern(self) -> range:
        return range(self.legacy + 1, self.legacy + self.modern + 1)


class Reader(Background):
    """A reader of the website: picks random rows all the while and GETs the picture named there.

    It connects anew when the database goes away; a store that does not answer is no evidence.
    """

    def __init__(self, connect: Connect, fetch: Fetch, rows: int, *, threads: int, pause: float) -> None:
        super().__init__(*(partial(self._run, number) for number in range(threads)))
        self._connect, self._fetch, self._rows, self._pause = connect, fetch, rows, pause
        self.reads = self.unanswered = 0
        self.wrong: list[str] = []

    def _run(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - no secret
        while self.going(self._pause):
            with suppress(psycopg2.OperationalError, psycopg2.InterfaceError), closing(self._connect()) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while self.going(self._pause):
                        self._read(cursor, chance.randint(1, self._rows))

    def _read(self, cursor: Any, row: int) -> None:  # noqa: ANN401 - psycopg2 has no types
        """No second chance: what a row names at the moment of the read is there, and is this row's picture.

        For as long as the grace lasts, which is what it is for: a read that a busy machine held up for longer than the
        shortest grace is no evidence.
        """
        began = time.monotonic()
        cursor.execute("SELECT path FROM avatars WHERE id = %s", (row,))
        found = cursor.fetchone()
        if found is None:
            return
        try:
            wrong = self._wrong(found[0])
        except ConnectionError:
            self.unanswered += 1
            return
        if time.monotonic() - began < SHORTEST_GRACE:
            self.reads += 1
            self.wrong += [f"row {row}: {wrong}"] if wrong else []

    def _wrong(self, path: str) -> str | None:
        try:
            body = self._fetch(path)
        except WrongError as error:
            return f"{path}: {error}"
        number = int(path.rsplit("-", 1)[1].removesuffix(".png"))
        return None if shows(body, number) else f"{path}: another picture"
