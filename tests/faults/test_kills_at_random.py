"""Workers die at random points of every phase, dozens of times, beside an application that works on.

The points are drawn from a seed, which is printed: BUCKETOPS_KILL_SEED=… draws them again.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.application import Application
from support.avatars import Reader
from support.driver import condition
from support.ending import Copies, expect_nothing_wrong, expect_the_right_end
from support.processes import workers
from support.proxy import Proxy, Request

OBJECTS, CHUNK, SHARDS = 120, 5, 4
SEED = int(os.environ.get("BUCKETOPS_KILL_SEED", random.randrange(10**6)))
KILLS = dict.fromkeys(("preflight", "copy", "sweep", "delete", "audit"), 20)
"""By phase, all that there are but `plan`, which writes nothing."""
MOST = 6
"""Deaths that a Job bears of one shard (objects.ATTEMPTS). One more, and the phase is begun anew, which takes long …"""
ALONE = {"preflight"}
"""… so that is for the phase that has one shard alone, and could not die so often otherwise."""
GAP = 8
"""Requests between two deaths, at most."""


class Sniper:
    """Kills some worker right before a request reaches the server, or right after it was served."""

    def __init__(self, folder: Path, copies: Copies) -> None:
        self.folder, self.copies = folder, copies
        self.kills: Counter[str] = Counter()
        self._chance = random.Random(SEED)
        self._deaths: Counter[tuple[str, int]] = Counter()
        self._left, self._before = self._chance.randint(1, GAP), True
        self._lock = threading.Lock()

    def rule(self, _: Request) -> None:
        """Before."""
        with self._lock:
            self._left -= 1
            if self._left <= 0 and self._before:
                self._shoot()

    def after(self, request: Request, status: int) -> None:
        """After."""
        self.copies(request, status)
        with self._lock:
            if self._left <= 0:
                self._shoot()

    def _shoot(self) -> None:
        targets = [
            worker for worker in workers(self.folder) if self._may_die(worker.phase, worker.root.name, worker.shard)
        ]
        if targets:
            victim = self._chance.choice(sorted(targets, key=lambda worker: worker.shard))
            if victim.signal(signal.SIGKILL):
                self.kills[victim.phase] += 1
                self._deaths[victim.root.name, victim.shard] += 1
        self._left, self._before = self._chance.randint(1, GAP), self._chance.random() < 0.5

    def _may_die(self, phase: str, run: str, shard: int) -> bool:
        return self.kills[phase] < KILLS[phase] and self._deaths[run, shard] < MOST + (phase in ALONE)


@pytest.mark.usefixtures("quick_phases")
def test_twenty_deaths_at_random_points_of_each_phase(lab: Any) -> None:
    print(f"BUCKETOPS_KILL_SEED={SEED}")
    world, copies = lab.world, Copies(lab.world.destination)
    world.seed(legacy=range(1, OBJECTS + 1))
    sniper = Sniper(lab.root, copies)
    with Proxy(lab.endpoint, rule=sniper.rule, after=sniper.after) as proxy, Reader(world, pause=0.02) as reader:
        worker = {"parallelism": 2, "shards": SHARDS, "concurrency": 8}
        cleanup = {"policy": "Delete", "grace": "2s"}
        spec = lab.spec(endpoint=proxy.url, chunk=CHUNK, worker=worker, cleanup=cleanup)
        with Application(world, OBJECTS + 1, pause=0.1) as application:
            driver = lab.drive(spec, processes=True)
            driver.until(lambda _: sniper.kills["sweep"] >= KILLS["sweep"])
        status = driver.finish()
    expect_the_right_end(world, status, application.newest)
    assert sniper.kills == KILLS
    in_flight = sniper.kills["copy"] + sniper.kills["sweep"]
    assert copies.made <= len(application.newest) + len(application.replaced) + CHUNK * in_flight
    percents = [status["progress"]["percent"] for status in driver.seen if "progress" in status]
    assert percents == sorted(percents)
    assert {status["runs"][-1]["phase"] for status in driver.seen if condition(status, "Stalled")} == ALONE
    expect_nothing_wrong(reader)
