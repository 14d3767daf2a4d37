"""An application that works on while its pictures are moved."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import Any

import psycopg2
from botocore.exceptions import BotoCoreError, ClientError

from support.avatars import LEGACY, MODERN, World, cursor_of, name, picture
from support.background import Background

AGAIN, PATIENCE = 0.3, 600
"""Seconds until the application tries again what the store refused, and how often it does."""


def put(world: World, path: str, number: int, version: int) -> None:
    bucket = world.source if path.startswith(LEGACY) else world.destination
    world.s3.put_object(Bucket=bucket, Key=path, Body=picture(number, version))


def paths_of(number: int) -> tuple[str, str]:
    """Where the picture may be."""
    return LEGACY + name(number), MODERN + name(number)


class Application(Background):
    """Uploads, replaces and reads pictures as its rows name them; it is told what the newest version is.

    It tries again what the store refuses, connects anew when the database goes away, and writes the row that it owes
    before anything else.
    """

    def __init__(self, world: World, first: int, pause: float = 0.01) -> None:
        super().__init__(self._run)
        self.world, self.pause, self.next = world, pause, first
        self.newest: dict[int, int] = dict.fromkeys(range(1, first), 0)
        """By the number of each picture."""
        self.replaced: set[int] = set()
        """Pictures that were written again at their legacy place: each may cost one copy more."""
        self._owed: int | None = None
        """A picture whose row may not be there."""

    def _run(self) -> None:
        chance = random.Random(1)
        while self.going(self.pause) or self._owed:
            with suppress(psycopg2.OperationalError, psycopg2.InterfaceError), cursor_of(self.world.dsn) as cursor:
                self._name(cursor)
                while self.going(self.pause):
                    if chance.random() < 0.3:
                        self._upload(cursor)
                    else:
                        self._replace(cursor, chance.randrange(1, self.next))

    def _upload(self, cursor: Any) -> None:
        """A new user: the picture first, then the row, in the legacy form."""
        number, self.next = self.next, self.next + 1
        self._put(LEGACY + name(number), number, 0)
        self.newest[number], self._owed = 0, number
        self._name(cursor)

    def _name(self, cursor: Any) -> None:
        """Nobody knows whether a commit arrived whose answer did not: the row is written where there is none."""
        if self._owed:
            cursor.execute(
                "INSERT INTO avatars (path) SELECT %s WHERE NOT EXISTS (SELECT FROM avatars WHERE path IN %s)",
                (LEGACY + name(self._owed), paths_of(self._owed)),
            )
            self._owed = None

    def _replace(self, cursor: Any, number: int) -> None:
        """Once each: a late write by a stale path and another by the new one would be a conflict, and rightly so."""
        if self.newest[number]:
            return
        cursor.execute("SELECT path FROM avatars WHERE path IN %s", (paths_of(number),))
        if found := cursor.fetchone():
            if found[0].startswith(LEGACY):
                self.replaced.add(number)
            self.newest[number] = 1
            self._put(found[0], number, 1)

    def _put(self, path: str, number: int, version: int) -> None:
        for _ in range(PATIENCE):
            try:
                return put(self.world, path, number, version)
            except (ClientError, BotoCoreError):
                time.sleep(AGAIN)
        raise AssertionError(f"{path}: the store does not come back")
