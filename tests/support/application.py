"""An application that works on while its pictures are moved."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import psycopg2

from support.avatars import LEGACY, MODERN, World, cursor_of, name, picture
from support.background import Background


def put(world: World, path: str, number: int, version: int) -> None:
    bucket = world.source if path.startswith(LEGACY) else world.destination
    world.s3.put_object(Bucket=bucket, Key=path, Body=picture(number, version))


class Application(Background):
    """Uploads, replaces and reads pictures as its rows name them; it is told what the newest version is.

    It connects anew when the database goes away.
    """

    def __init__(self, world: World, first: int, pause: float = 0.01) -> None:
        super().__init__(self._run)
        self.world, self.pause, self.next = world, pause, first
        self.newest: dict[int, int] = dict.fromkeys(range(1, first), 0)
        """By the number of each picture."""

    @property
    def replaced(self) -> int:
        """How many pictures were written a second time."""
        return sum(self.newest.values())

    def _run(self) -> None:
        chance = random.Random(1)
        while self.going(self.pause):
            with suppress(psycopg2.OperationalError, psycopg2.InterfaceError), cursor_of(self.world.dsn) as cursor:
                while self.going(self.pause):
                    if chance.random() < 0.3:
                        self._upload(cursor)
                    else:
                        self._replace(cursor, chance.randrange(1, self.next))

    def _upload(self, cursor: Any) -> None:
        """A new user: the picture first, then the row, in the legacy form."""
        number, self.next = self.next, self.next + 1
        put(self.world, LEGACY + name(number), number, 0)
        self.newest[number] = 0
        cursor.execute("INSERT INTO avatars (path) VALUES (%s)", (LEGACY + name(number),))

    def _replace(self, cursor: Any, number: int) -> None:
        """Once each: a late write by a stale path and another by the new one would be a conflict, and rightly so."""
        if self.newest[number]:
            return
        cursor.execute("SELECT path FROM avatars WHERE path IN %s", ((LEGACY + name(number), MODERN + name(number)),))
        if found := cursor.fetchone():
            put(self.world, found[0], number, self.newest[number] + 1)
            self.newest[number] += 1
