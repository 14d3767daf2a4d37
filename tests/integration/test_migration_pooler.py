"""A migration through pgbouncer: nothing of it stays on a server connection, and nobody else is told to wait less."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from support.avatars import MODERN, cursor_of, name
from support.background import Background
from support.driver import condition, message, reason
from support.pooler import client, every_connection, pooled

pytestmark = pytest.mark.slow

POOL = 4
OBJECTS = 60
HELD_SECONDS = 1.5
"""Longer than the lockTimeout of the migration."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to pgbouncer's user, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="bucketops-pgbouncer-") as found:
        Path(found).chmod(0o755)
        yield Path(found)


class Application(Background):
    """Shares the pool: two clients want one row that a third one holds for long, again and again."""

    def __init__(self, lab: Any, database: dict[str, str]) -> None:
        super().__init__(self._want, self._want, self._hold)
        self.database, self.dsn = database, lab.world.dsn
        self.done, self.errors = 0, list[str]()

    def _want(self) -> None:
        with closing(client(self.database)) as connection, connection.cursor() as cursor:
            while self.going(0.02):
                try:
                    cursor.execute("UPDATE work SET state = state + 1 WHERE id = 1")
                    self.done += 1
                except psycopg2.Error as error:
                    self.errors.append(f"{error.pgcode}: {error}")

    def _hold(self) -> None:
        while self.going(0.1):
            with cursor_of(self.dsn) as cursor:
                cursor.execute("BEGIN")
                cursor.execute("SELECT FROM work WHERE id = 1 FOR UPDATE")
                self.going(HELD_SECONDS)
                cursor.execute("ROLLBACK")


@contextmanager
def shared(lab: Any, folder: Path) -> Iterator[tuple[dict[str, str], Application]]:
    """A pool, and an application at work in it."""
    lab.world.seed(legacy=range(1, OBJECTS + 1))
    lab.world.sql("CREATE TABLE work (id int PRIMARY KEY, state int)")
    lab.world.sql("INSERT INTO work VALUES (1, 0)")
    lab.world.sql(f"ALTER ROLE {lab.database['PGUSER']} SET DateStyle = 'German'")  # drivers change that one
    lab.world.sql(f"GRANT SELECT, UPDATE ON work TO {lab.database['PGUSER']}")
    with pooled(folder / "pool", lab.database, mode="transaction", size=POOL) as database:
        before = every_connection(database, POOL)
        with Application(lab, database) as application:
            yield database, application
        after = every_connection(database, POOL)
        assert {pid: after[pid] for pid in before} == before  # the same connections, with the settings they had


def test_a_migration_through_a_pool_leaves_no_setting_behind_and_cancels_nobody(lab: Any, folder: Path) -> None:
    with shared(lab, folder) as (database, application):
        status = lab.drive(lab.spec(chunk=10), secrets={"avatars-db": database}).finish()
        worked_before = application.done
        deadline = time.monotonic() + 60
        while application.done < worked_before + 5 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert condition(status, "Complete"), status
    assert lab.world.paths() == [MODERN + name(number) for number in range(1, OBJECTS + 1)]
    assert application.errors == []
    assert application.done > worked_before


def test_a_row_that_is_held_is_waited_for_no_longer_than_lock_timeout_through_a_pool(lab: Any, folder: Path) -> None:
    """The settings are there where they are wanted, whichever connection the pool chose."""
    lab.world.seed(legacy=range(1, 4))
    with pooled(folder / "pool", lab.database, mode="transaction", size=POOL) as database:
        ours = lab.drive(lab.spec(worker={"shards": 1}), secrets={"avatars-db": database})
        holder = psycopg2.connect(lab.world.dsn)
        with closing(holder), holder.cursor() as cursor:
            cursor.execute("SELECT FROM avatars WHERE id = 2 FOR UPDATE")
            ours.until(lambda status: any(run["phase"] == "sweep" for run in status.get("runs", ())))
        assert condition(ours.finish(), "Complete")


def test_a_pool_in_statement_mode_is_refused_in_words(lab: Any, folder: Path) -> None:
    lab.world.seed(legacy=range(1, 4))
    with pooled(folder / "pool", lab.database, mode="statement", size=POOL) as database:
        status = lab.drive(lab.spec(), secrets={"avatars-db": database}).finish()
    assert reason(status, "Stalled") == "DatabaseRefused", status
    assert "statement mode" in message(status, "Stalled")
    assert [run["phase"] for run in status["runs"]] == ["preflight"]


def test_a_pool_in_session_mode_serves_as_well(lab: Any, folder: Path) -> None:
    lab.world.seed(legacy=range(1, 4))
    with pooled(folder / "pool", lab.database, mode="session", size=POOL) as database:
        status = lab.drive(lab.spec(), secrets={"avatars-db": database}).finish()
    assert condition(status, "Complete"), status
