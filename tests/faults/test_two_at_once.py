"""Two workers at one shard: a pod that did not die while its replacement works, and one that wakes up long after."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bucketops_api import names
from bucketops_jobs.migration import delete
from bucketops_operator.local_worker import ProcessAttempt
from support.application import put
from support.avatars import LEGACY, MODERN, Reader, name
from support.cluster import wait_for
from support.ending import Copies, expect_nothing_wrong, expect_the_right_end
from support.gate import Gate
from support.processes import Worker, workers
from support.proxy import Answer, Hold, Proxy, Request

OBJECTS, CHUNK = 100, 10
NEWEST = dict.fromkeys(range(1, OBJECTS + 1), 0)
pytestmark = pytest.mark.usefixtures("quick_phases")


def spec_of(lab: Any, proxy: Proxy, grace: str = "2s") -> dict[str, Any]:
    """One shard."""
    worker = {"parallelism": 1, "shards": 1, "concurrency": 8}
    return lab.spec(endpoint=proxy.url, chunk=CHUNK, worker=worker, cleanup={"policy": "Delete", "grace": grace})


def at_work(lab: Any, phase: str) -> Worker:
    (worker,) = (each for each in workers(lab.root) if each.phase == phase)
    return worker


@contextmanager
def replacement(worker: Worker) -> Iterator[ProcessAttempt]:
    """Another process at the same shard of the same run."""
    attempt = ProcessAttempt(worker.root, worker.shard, worker.root / "replacement")
    try:
        yield attempt
    finally:
        attempt.kill()


def test_two_workers_that_copy_one_shard_do_everything_once(lab: Any) -> None:
    """Conditional copies and compare-and-swap keep them apart; each journals in a segment of its own."""
    lab.world.seed(legacy=NEWEST)
    gate = Gate(lab.world, objects=OBJECTS, workers=1, chunk=CHUNK)
    copies = Copies(lab.world.destination)
    with Proxy(lab.endpoint, after=copies) as proxy, Reader(lab.world, pause=0.02) as reader:
        driver = lab.drive(spec_of(lab, proxy), processes=True)
        gate.reach(20)
        driver.until(lambda _: gate.rewritten() >= OBJECTS // 5)
        with replacement(at_work(lab, "copy")) as other:
            driver.until(lambda _: both_wait(lab))
            gate.open()
            driver.until(lambda _: other.ended() is not None)
            assert other.ended() == names.EXIT_DONE
        status = driver.finish()
    expect_the_right_end(lab.world, status, NEWEST)
    assert copies.made == OBJECTS
    expect_nothing_wrong(reader)


def both_wait(lab: Any) -> bool:
    """Whether two workers have copied a chunk and are about to rewrite its rows."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    return bool(lab.world.sql(waits) == [(2,)])


def test_two_workers_that_delete_one_shard_delete_nothing_but_what_may_go(lab: Any) -> None:
    lab.world.seed(legacy=NEWEST)
    deletions = Hold(lambda request: request.method == "POST" and request.bucket == lab.world.source)
    deletions.let(1)  # the preflight's
    with Proxy(lab.endpoint, rule=deletions) as proxy, Reader(lab.world, pause=0.02) as reader:
        driver = lab.drive(spec_of(lab, proxy), processes=True)
        driver.until(lambda _: deletions.came == 2)
        with replacement(at_work(lab, "delete")) as other:
            driver.until(lambda _: deletions.came == 3)
            deletions.let(10**6)
            driver.until(lambda _: other.ended() is not None)
            assert other.ended() == names.EXIT_DONE
        status = driver.finish()
    expect_the_right_end(lab.world, status, NEWEST)
    assert status["progress"]["objectsDeleted"] == OBJECTS
    expect_nothing_wrong(reader)


LOOKS = 2
"""Listings of the copies by a worker that deletes: its walk, and its last look before it deletes."""


class Looks(Hold):
    """Holds what comes after the first of them."""

    def __init__(self, bucket: str) -> None:
        super().__init__(lambda request: self.armed and request.bucket == bucket and "prefix=avatar" in request.path)
        self.armed = False
        self.let(LOOKS - 1)

    def arm(self) -> None:
        self.armed = True


MINUTE = 60.0
"""Of sleep: longer than evidence is good for, than a request may take and than a free connection is kept."""


def test_a_worker_that_wakes_up_in_mid_delete_deletes_nothing_on_old_evidence(lab: Any) -> None:
    """It was about to delete. Its replacement did, and the application came back with a newer picture under that key.

    This server knows no conditional delete: only the time can tell.
    """
    world, newest = lab.world, NEWEST | {5: 1}
    world.seed(legacy=NEWEST)
    looks = Looks(world.destination)
    with Proxy(lab.endpoint, rule=looks) as proxy, Reader(world, pause=0.02) as reader:
        driver = lab.drive(spec_of(lab, proxy), processes=True)
        driver.before("delete", looks.arm)
        driver.until(lambda _: looks.came >= LOOKS)
        sleeper, slept = at_work(lab, "delete"), time.monotonic()
        os.kill(sleeper.pid, signal.SIGSTOP)
        looks.let(10**6)
        with replacement(sleeper) as other:
            wait_for("the replacement ends", lambda: other.ended() == names.EXIT_DONE)
        assert world.keys(world.source) == {}
        put(world, LEGACY + name(5), 5, version=1)
        world.sql("UPDATE avatars SET path = %s WHERE path = %s", (LEGACY + name(5), MODERN + name(5)))
        assert MINUTE > delete.FRESH_SECONDS
        time.sleep(max(0.0, slept + MINUTE - time.monotonic()))
        os.kill(sleeper.pid, signal.SIGCONT)
        status = driver.finish()
    expect_the_right_end(world, status, newest)
    assert [run["phase"] for run in status["runs"]].count("delete") == 2
    expect_nothing_wrong(reader)


def test_a_deletion_that_the_store_puts_off_is_not_sent_again_on_old_evidence(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application comes back while the request waits for its next try."""
    monkeypatch.setattr(delete, "FRESH_SECONDS", 0.5)
    world, newest = lab.world, NEWEST | {5: 1}
    world.seed(legacy=NEWEST)
    busy = Busy(lab, since=2)
    with Proxy(lab.endpoint, rule=busy) as proxy, Reader(world, pause=0.02) as reader:
        driver = lab.drive(spec_of(lab, proxy))
        status = driver.finish()
    assert busy.refused
    expect_the_right_end(world, status, newest)
    expect_nothing_wrong(reader)


class Busy:
    """A store that answers 503 to the first deletion until its evidence is old; the application writes meanwhile."""

    def __init__(self, lab: Any, since: int) -> None:
        self.lab, self.since = lab, since
        self.came = self.refused = 0
        self.began = 0.0

    def __call__(self, request: Request) -> Answer | None:
        if request.method != "POST" or request.bucket != self.lab.world.source:
            return None
        self.came += 1
        if self.came < self.since:
            return None
        if not self.refused:
            put(self.lab.world, LEGACY + name(5), 5, version=1)
            change = "UPDATE avatars SET path = %s WHERE path = %s"
            self.lab.world.sql(change, (LEGACY + name(5), MODERN + name(5)))
            self.began = time.monotonic()
        if time.monotonic() - self.began > delete.FRESH_SECONDS:
            return None
        self.refused += 1
        return Answer(503, b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
