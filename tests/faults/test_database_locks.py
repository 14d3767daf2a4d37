"""The application holds rows, for long, in any order, in transactions older than the migration; replicas lag."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from support.application import Application, put
from support.avatars import LEGACY, MODERN, Reader, World, name, transaction
from support.background import Background
from support.driver import condition
from support.ending import expect_nothing_wrong, expect_the_right_end
from support.replica import Replica, replica_of
from support.servers import Server
from support.under_way import is_fenced, phase_is, waiting_for_locks

OBJECTS, CHUNK = 120, 20
NEWEST = dict.fromkeys(range(1, OBJECTS + 1), 0)
pytestmark = pytest.mark.usefixtures("quick_phases")


def spec_of(lab: Any, grace: str = "2s", **database: Any) -> dict[str, Any]:
    spec: dict[str, Any] = lab.spec(chunk=CHUNK, cleanup={"policy": "Delete", "grace": grace})
    spec["database"] |= database
    return spec


def test_who_waits_for_a_row_holds_no_other(lab: Any) -> None:
    """Two rows of a chunk are held; whoever waited for one with the other in hands would deadlock with the application.

    PostgreSQL would abort one of both, and it need not be the worker.
    """
    world = lab.world
    world.seed(legacy=NEWEST)
    with Reader(world, pause=0.01) as reader:
        with transaction(world) as first, transaction(world) as second:
            first.execute("SELECT FROM avatars WHERE id = 3 FOR UPDATE")
            second.execute("SELECT FROM avatars WHERE id = 30 FOR UPDATE")
            driver = lab.drive(spec_of(lab, lockTimeout="60s") | {"worker": {"shards": 1, "parallelism": 1}})
            driver.until(lambda _: waiting_for_locks(world) >= 1)
            first.connection.commit()
            driver.until(lambda _: world.paths()[2] == MODERN + name(3) or holds_a_row(world))
            driver.until(lambda _: waiting_for_locks(world) >= 1)
            time.sleep(1.5)  # deadlock_timeout is 1 s: it is the last to come that would be aborted
            second.execute("UPDATE avatars SET path = path WHERE id = 3")  # the opposite order
            second.connection.commit()
        status = driver.finish()
    expect_the_right_end(world, status, NEWEST)
    expect_nothing_wrong(reader)


def holds_a_row(world: World) -> bool:
    """Whether a worker has the row that it first waited for, and has not committed."""
    with transaction(world) as cursor:
        try:
            cursor.execute("SELECT FROM avatars WHERE id = 3 FOR UPDATE NOWAIT")
        except psycopg2.errors.LockNotAvailable:
            return True
    return False


class Holding(Background):
    """An application that holds some rows, in any order, for longer than the lock timeout; then some others."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__(self._run)
        self.world, self.seconds = world, seconds
        self.held = 0
        self.errors: list[str] = []

    def _run(self) -> None:
        chance = random.Random(1)
        while self.going():
            with transaction(self.world) as cursor:
                try:
                    for row in chance.sample(range(1, OBJECTS + 1), 12):
                        cursor.execute("UPDATE avatars SET path = path WHERE id = %s", (row,))
                        self.held += 1
                    self.going(self.seconds)
                    cursor.connection.commit()
                except psycopg2.Error as error:
                    self.errors.append(str(error))


def test_rows_that_are_held_for_longer_than_the_lock_timeout_again_and_again(lab: Any) -> None:
    """Nobody is waited for in vain, no transaction of the application fails, and no row is forgotten."""
    world = lab.world
    world.seed(legacy=NEWEST)
    with Reader(world, pause=0.01) as reader:
        with Holding(world, 0.4) as holding, Application(world, OBJECTS + 1, pause=0.02) as application:
            driver = lab.drive(spec_of(lab, lockTimeout="50ms"))
            status = driver.until(phase_is("sweep", 3))
        assert sum(run["pending"] for run in status["runs"]) > 0
        status = driver.finish()
    assert holding.held > 50
    assert holding.errors == []
    expect_the_right_end(world, status, application.newest)
    expect_nothing_wrong(reader)


def test_transactions_older_than_the_migration_that_commit_late(lab: Any) -> None:
    """One writes a legacy row anew, the other brings a new one, which nobody sees until the very end."""
    world, newest = lab.world, dict.fromkeys(range(1, OBJECTS + 2), 0)
    world.seed(legacy=NEWEST)
    world.put_legacy([OBJECTS + 1])
    with Reader(world, pause=0.01) as reader, transaction(world) as changes, transaction(world) as inserts:
        inserts.execute("INSERT INTO avatars (path) VALUES (%s)", (LEGACY + name(OBJECTS + 1),))
        put(world, LEGACY + name(7), 7, version=1)
        newest[7] = 1
        changes.execute("UPDATE avatars SET path = path WHERE id = 7")
        driver = lab.drive(spec_of(lab, lockTimeout="50ms"))
        driver.until(phase_is("sweep", 3))
        assert [path for path in world.paths() if path.startswith(LEGACY)] == [LEGACY + name(7)]
        changes.connection.commit()
        driver.until(is_fenced(world), 60)
        for _ in range(20):
            status = driver.step()
            time.sleep(0.05)
        assert status["runs"][-1]["phase"] == "delete"
        assert set(world.keys(world.source)) == {LEGACY + name(n) for n in newest}
        inserts.connection.commit()
        status = driver.finish()
    assert [run["phase"] for run in status["runs"]].count("delete") == 2
    expect_the_right_end(world, status, newest)
    expect_nothing_wrong(reader)


def test_the_last_transaction_to_begin_is_waited_for_too(lab: Any) -> None:
    """In a database where nothing else goes on: nobody has ended since it began."""
    world, newest = lab.world, dict.fromkeys(range(1, OBJECTS + 2), 0)
    world.seed(legacy=NEWEST)
    world.put_legacy([OBJECTS + 1])
    insert = "INSERT INTO avatars (path) VALUES (%s)"
    with Reader(world, pause=0.01) as reader, transaction(world) as last:
        driver = lab.drive(spec_of(lab))
        driver.before("delete", lambda: last.execute(insert, (LEGACY + name(OBJECTS + 1),)))
        driver.until(is_fenced(world), 60)
        assert set(world.keys(world.source)) == {LEGACY + name(n) for n in newest}
        last.connection.commit()
        status = driver.finish()
    expect_the_right_end(world, status, newest)
    expect_nothing_wrong(reader)


@pytest.fixture
def replica(postgres: Server) -> Iterator[Replica]:
    with replica_of(postgres.port) as replica:
        yield replica


def lag(world: World) -> float:
    world.sql("CREATE TABLE IF NOT EXISTS beats (at timestamptz)")
    world.sql("INSERT INTO beats VALUES (now())")
    ((seconds,),) = world.sql("SELECT coalesce(extract(epoch FROM max(replay_lag)), 0)::float FROM pg_stat_replication")
    return float(seconds)


def test_readers_of_a_replica_that_lags_are_never_sent_astray(
    lab: Any, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the copy and before the delete it falls behind: both wait for it, and go on."""
    world = lab.world
    world.seed(legacy=NEWEST)
    elsewhere = world.dsn.replace(f"port={lab.database['PGPORT']}", f"port={replica.port}")

    def hold() -> None:
        replica.hold()
        while lag(world) < 2:
            time.sleep(0.2)
        caplog.clear()

    def waits() -> bool:
        return "waits for a replica" in [record.message for record in caplog.records]

    driver = lab.drive(spec_of(lab, grace="5s", maxReplicationLag="1s"))
    driver.before("copy", hold).before("delete", hold)
    with Reader(world, pause=0.01, dsn=elsewhere) as reader:
        driver.until(lambda _: waits(), 60)
        assert set(world.paths()) == {LEGACY + name(n) for n in NEWEST}
        replica.go_on()
        driver.until(phase_is("delete"))
        driver.until(lambda _: waits(), 60)
        assert set(world.keys(world.source)) == {LEGACY + name(n) for n in NEWEST}
        replica.go_on()
        status = driver.finish()
    expect_the_right_end(world, status, NEWEST)
    expect_nothing_wrong(reader)
    assert condition(status, "Complete")
