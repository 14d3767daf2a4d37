"""Holds a migration in the middle for as long as a test wants, however fast or slow the machine is."""

from __future__ import annotations

from bucketops_jobs.engine import UNDER_WAY
from support.avatars import MODERN, World

_INSTALL = """
DROP TABLE IF EXISTS gate;
CREATE TABLE gate (rewritten int NOT NULL);
INSERT INTO gate VALUES (0);
CREATE OR REPLACE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    WHILE (SELECT count(*) FROM avatars WHERE path LIKE '{modern}%') >= (SELECT rewritten FROM gate) LOOP
        PERFORM pg_sleep(0.05);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER gate BEFORE UPDATE ON avatars FOR EACH STATEMENT EXECUTE FUNCTION wait_at_the_gate();
"""


class Gate:
    """A trigger of the application's: an UPDATE waits while as many rows as are let through are rewritten already.

    Every worker has one chunk before it, copied and not yet committed, and others behind that; a little more than what
    was asked for is done: see `reach`. A killed worker's UPDATE goes on waiting, and is committed with nobody there to
    hear of it.
    """

    def __init__(self, world: World, *, objects: int, workers: int, chunk: int) -> None:
        self._world, self._objects, self._in_hand = world, objects, workers * chunk
        world.sql(_INSTALL.format(modern=MODERN))
        self._before = self._count()

    def reach(self, percent: int) -> None:
        """Let the status come to this percentage, and at most twice the chunks in hand beyond it; there it stays."""
        self._let(self._before + self._objects * percent // 100 + self._in_hand)

    def drain(self) -> None:
        """Let workers end what they have in hand that were told to stop; should they go on, they are held."""
        self._let(self._before + self.rewritten() + UNDER_WAY * self._in_hand)

    def hold(self) -> None:
        """Let nothing through from now on."""
        self._let(0)

    def waits(self) -> bool:
        """Whether somebody stands before it."""
        return self._world.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' LIMIT 1") != []

    def open(self) -> None:
        """Let everything through from now on."""
        self._let(2**31 - 1)

    def rewritten(self) -> int:
        """How many rows have been rewritten so far."""
        return self._count() - self._before

    def _let(self, rows: int) -> None:
        self._world.sql("UPDATE gate SET rewritten = %s", (rows,))

    def _count(self) -> int:
        ((count,),) = self._world.sql("SELECT count(*) FROM avatars WHERE path LIKE %s", (f"{MODERN}%",))
        return int(count)
