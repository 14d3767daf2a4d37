"""The database restarts, fails over, loses commits and connections: nothing is lost, no row dangles at any moment."""

from __future__ import annotations

import logging
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from bucketops_api import names
from bucketops_jobs.migration import connection, database
from bucketops_operator.run.speed import Speed
from bucketops_operator.run.view import observe
from support import driver as driving
from support.application import Application
from support.avatars import LEGACY, MODERN, Reader, cursor_of, name
from support.driver import Driver, condition
from support.ending import Copies, expect_nothing_wrong, expect_the_right_end
from support.faulty import Cutting
from support.gate import Gate
from support.lab import Lab, laboratory
from support.mortal import Mortal, standby_of
from support.pooler import pooled
from support.proxy import Proxy
from support.relay import Cut, Relay
from support.under_way import is_fenced, phase_is

OBJECTS, CHUNK, WORKERS = 120, 10, 2
GRACE = "2s"
pytestmark = pytest.mark.usefixtures("quick_phases")


@pytest.fixture(scope="module")
def server() -> Iterator[Mortal]:
    with tempfile.TemporaryDirectory(prefix="bucketops-postgres-") as folder:
        mortal = Mortal(Path(folder))
        yield mortal
        mortal.stop()


@dataclass
class Scene:
    """A world whose database may die; everybody reaches it by one address."""

    lab: Lab
    server: Mortal
    address: Relay

    def restart(self, *, down: float = 0.0) -> None:
        self.server.die()
        time.sleep(down)
        self.server.live()


@pytest.fixture
def scene(minio: str, server: Mortal, tmp_path: Path) -> Iterator[Scene]:
    server.live()
    with Relay(server.port) as address, laboratory(minio, address.port, tmp_path) as lab:
        lab.world.seed(legacy=range(1, OBJECTS + 1))
        yield Scene(lab, server, address)


@pytest.fixture
def gate(scene: Scene) -> Iterator[Gate]:
    """Open in the end, whatever happened: nobody can kill a thread that waits."""
    gate = Gate(scene.lab.world, objects=OBJECTS, workers=WORKERS, chunk=CHUNK)
    yield gate
    scene.server.live()
    scene.address.turn(scene.server.port)
    gate.open()


def spec_of(lab: Lab, endpoint: str = "", **database: Any) -> dict[str, Any]:
    spec = lab.spec(endpoint=endpoint, chunk=CHUNK, cleanup={"policy": "Delete", "grace": GRACE})
    spec["database"] |= database
    return spec


def expect_nobody_noticed(reader: Reader, driver: Driver) -> None:
    expect_nothing_wrong(reader)
    assert not any(condition(status, "Stalled") for status in driver.seen)


def test_restarts_in_mid_copy_and_in_mid_sweep(scene: Scene, gate: Gate) -> None:
    world = scene.lab.world
    with Reader(world, pause=0.01) as reader:
        with Application(world, OBJECTS + 1, pause=0.02) as application:
            driver = scene.lab.drive(spec_of(scene.lab))
            for percent in (20, 50):
                gate.reach(percent)
                driver.until(lambda _, least=percent: gate.rewritten() >= OBJECTS * least // 100)
                scene.restart()
            driver.before("sweep", gate.hold)
            gate.open()
            driver.until(lambda status: phase_is("sweep")(status) and gate.waits())
            scene.restart()
            gate.open()
            driver.until(phase_is("sweep", 2))
        status = driver.finish()
    expect_the_right_end(world, status, application.newest)
    expect_nobody_noticed(reader, driver)


def test_an_outage_that_outlasts_the_workers_patience_is_gone_through_by_new_attempts(
    scene: Scene, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And is nobody's to mend: no condition says that the user must act."""
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    monkeypatch.setattr(database, "ATTEMPTS", 1)
    monkeypatch.setattr(driving, "BACKOFF_SECONDS", 0.2)
    world = scene.lab.world
    with Reader(world, pause=0.01) as reader:
        driver = scene.lab.drive(spec_of(scene.lab))
        gate.reach(30)
        driver.until(lambda _: gate.rewritten() >= OBJECTS * 3 // 10)
        scene.server.die()
        driver.until(lambda _: len(retried(caplog)) > WORKERS, 60)
        scene.server.live()
        gate.open()
        status = driver.finish()
    expect_the_right_end(world, status, dict.fromkeys(range(1, OBJECTS + 1), 0))
    expect_nobody_noticed(reader, driver)


def test_a_wait_for_the_database_is_shown_while_it_lasts_and_since_when(scene: Scene, gate: Gate) -> None:
    driver = scene.lab.drive(spec_of(scene.lab))
    gate.reach(30)
    driver.until(lambda _: gate.rewritten() >= OBJECTS * 3 // 10)
    before = datetime.now(UTC)
    scene.server.die()
    status = driver.until(lambda status: condition(status, "Degraded"), 60)
    assert driving.reason(status, "Degraded") == "DatabaseUnreachable"
    words = driving.message(status, "Degraded")
    since = re.search(r"waits for the database, which does not answer, since (\S+) \(\d of \d workers\)", words)
    assert since, words
    assert before - timedelta(seconds=1) <= datetime.fromisoformat(since[1]) <= datetime.now(UTC)
    assert words in driving.message(status, "Reconciling")
    shown = observe(driver.resource, status, driver.local.observed[driver.resource.uid], Speed(), datetime.now(UTC))
    assert any(note.kind == "database" for note in shown.notes)
    scene.server.live()
    gate.open()
    status = driver.finish()
    assert (condition(status, "Complete"), condition(status, "Degraded")) == (True, False)


def retried(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Ends of attempts that another one follows."""
    return [record for record in caplog.records if getattr(record, "exit", None) == names.EXIT_RETRY]


def test_a_failover_that_loses_commits_brings_legacy_rows_back_and_they_are_found(scene: Scene, gate: Gate) -> None:
    """The standby has not heard of half the copy: its rows name legacy objects, whose journal says `rewritten`."""
    world = scene.lab.world
    copies = Copies(world.destination)
    with standby_of(scene.server) as standby, Proxy(scene.lab.endpoint, after=copies) as proxy:
        with Reader(world, pause=0.01) as reader:
            with Application(world, OBJECTS + 1, pause=0.02) as application:
                driver = scene.lab.drive(spec_of(scene.lab, proxy.url))
                gate.reach(20)
                driver.until(lambda _: gate.rewritten() >= OBJECTS // 5)
                standby.hears_no_more()
                gate.reach(60)
                driver.until(lambda _: gate.rewritten() >= OBJECTS * 3 // 5)
                before = gate.rewritten()
                standby.take_over(scene.address)
                lost = before - gate.rewritten()
                gate.open()
                driver.until(phase_is("sweep", 2))
            status = driver.finish()
        assert lost >= OBJECTS // 5
        expect_the_right_end(world, status, application.newest, rows=len(world.paths()))
        expect_nobody_noticed(reader, driver)
        assert copies.made <= len(application.newest) + len(application.replaced)
        assert len(world.paths()) >= OBJECTS


def test_a_failover_right_before_the_deletion_deletes_nothing_that_a_row_names_again(scene: Scene) -> None:
    """The worker waits for a transaction of the old primary, which dies with it; the new one knows no rewritten row.

    Its numbers are lower than those that the worker waits for, and nobody else would count them up.
    """
    world = scene.lab.world
    legacy = {LEGACY + name(n) for n in range(1, OBJECTS + 1)}
    with standby_of(scene.server) as standby, Reader(world, pause=0.01) as reader:
        driver = scene.lab.drive(spec_of(scene.lab))
        standby.hears_no_more()
        open_transaction = psycopg2.connect(world.dsn)
        driver.before("delete", lambda: open_transaction.cursor().execute("CREATE TABLE something (id int)"))
        driver.until(is_fenced(world), 60)
        assert set(world.paths()) == {MODERN + name(n) for n in range(1, OBJECTS + 1)}
        assert set(world.keys(world.source)) == legacy
        standby.take_over(scene.address)
        open_transaction.close()
        assert set(world.paths()) == legacy
        status = driver.finish(60)
        assert [(run["phase"], run["changed"]) for run in status["runs"] if run["phase"] == "delete"] == [
            ("delete", 0),
            ("delete", OBJECTS),
        ]
        expect_the_right_end(world, status, dict.fromkeys(range(1, OBJECTS + 1), 0))
        expect_nobody_noticed(reader, driver)


class Knocks:
    """Counts how often a worker begins a conversation with the database."""

    def __init__(self, words: bytes = b"user\0role_") -> None:
        self.count, self.words = 0, words

    def __call__(self, said: bytes) -> None:
        self.count += self.words in said


def test_a_replica_is_never_taken_for_the_primary(scene: Scene) -> None:
    """After a failover the address may lead to one for a while. It has not heard of the newest legacy row."""
    world, newest = scene.lab.world, range(1, OBJECTS + 2)
    world.put_legacy([newest[-1]])
    knocks = Knocks()
    with standby_of(scene.server) as standby, Reader(world, pause=0.01) as reader:
        driver = scene.lab.drive(spec_of(scene.lab))

        def lead_astray() -> None:
            standby.hears_no_more()
            world.insert([LEGACY + name(newest[-1])])
            scene.address.rule = knocks
            scene.address.turn(standby.port)

        driver.before("delete", lead_astray)
        driver.until(lambda _: knocks.count > WORKERS, 60)
        assert set(world.keys(world.source)) == {LEGACY + name(n) for n in newest}
        scene.address.turn(scene.server.port)
        status = driver.finish()
        expect_the_right_end(world, status, dict.fromkeys(newest, 0))
        expect_nobody_noticed(reader, driver)


def test_an_audit_believes_no_replica(scene: Scene) -> None:
    """One that has not heard of the migration would name as many dangling rows as there are."""
    world = scene.lab.world
    knocks = Knocks()
    with standby_of(scene.server) as standby:
        driver = scene.lab.drive(spec_of(scene.lab))
        standby.hears_no_more()

        def lead_astray() -> None:
            scene.address.rule = knocks
            scene.address.turn(standby.port)

        driver.before("audit", lead_astray)
        driver.until(lambda _: knocks.count > WORKERS, 60)
        scene.address.turn(scene.server.port)
        status = driver.finish()
    expect_the_right_end(world, status, dict.fromkeys(range(1, OBJECTS + 1), 0))


def test_a_replica_behind_a_pool_is_never_taken_for_the_primary(scene: Scene) -> None:
    """The pool goes on where the address leads, and nobody connects anew: each transaction looks for itself."""
    world, newest = scene.lab.world, range(1, OBJECTS + 2)
    world.put_legacy([newest[-1]])
    with standby_of(scene.server) as standby, tempfile.TemporaryDirectory(prefix="bucketops-pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        with pooled(Path(folder) / "pool", scene.lab.database, mode="transaction", size=8) as database:
            driver = scene.lab.drive(spec_of(scene.lab), secrets={"avatars-db": database})
            knocks = Knocks(b"pg_is_in_recovery")  # of the pool's connections there need not be a new one

            def lead_astray() -> None:
                standby.hears_no_more()
                world.insert([LEGACY + name(newest[-1])])
                scene.address.rule = knocks
                scene.address.turn(standby.port)

            driver.before("delete", lead_astray)
            driver.until(lambda _: knocks.count > WORKERS, 60)
            assert set(world.keys(world.source)) == {LEGACY + name(n) for n in newest}
            scene.address.turn(scene.server.port)
            status = driver.finish()
    expect_the_right_end(world, status, dict.fromkeys(newest, 0))


def test_a_database_that_takes_no_writes_for_a_while_fails_no_row(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """As a primary that has just been demoted, while connections to it are still open."""
    caplog.set_level(logging.INFO)
    world = scene.lab.world

    def take_writes(answer: str) -> None:
        with cursor_of(world.dsn) as cursor:
            cursor.execute(f"ALTER SYSTEM SET default_transaction_read_only = {answer}")
            cursor.execute("SELECT pg_reload_conf()")

    with Reader(world, pause=0.01) as reader:
        driver = scene.lab.drive(spec_of(scene.lab))
        try:
            driver.before("copy", lambda: take_writes("on"))
            refused = "again: rewrite public.avatars.path: cannot execute"
            driver.until(lambda _: any(told.startswith(refused) for told in caplog.messages), 60)
        finally:
            take_writes("off")
        status = driver.finish()
    expect_the_right_end(world, status, dict.fromkeys(range(1, OBJECTS + 1), 0))
    assert not any(status.get("rowOutcomes", {}).get("failed") for status in driver.seen)
    expect_nobody_noticed(reader, driver)


def test_a_commit_whose_answer_is_lost_is_looked_up_and_never_assumed(scene: Scene) -> None:
    world = scene.lab.world
    scene.address.rule = cutting = Cutting()
    with Reader(world, pause=0.01) as reader:
        with Application(world, OBJECTS + 1, pause=0.02) as application:
            driver = scene.lab.drive(spec_of(scene.lab))
            driver.until(phase_is("sweep", 2))
        status = driver.finish()
    assert min(cutting.cuts[cut] for cut in Cut) >= 2
    expect_the_right_end(world, status, application.newest)
    expect_nobody_noticed(reader, driver)
