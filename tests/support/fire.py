"""A migration under fire: an application that writes, readers that judge, faults at will, and its end judged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from bucketops_jobs.migration.chunk import COPYING
from bucketops_operator.kinds import migration_order, runs
from support.application import Application
from support.avatars import MODERN, Reader, World
from support.driver import Driver, condition, message, reason
from support.ending import Copies, expect_nothing_wrong, expect_the_right_end
from support.lab import Lab
from support.proxy import Answer, Proxy, Request

OBJECTS, CHUNK, WORKERS = 160, 10, 2
PHASES = {"copy": 40, "sweep": 3, "delete": 1}
"""By phase, before which of the requests that tell it a fault happens."""
IN_HAND = COPYING * CHUNK * WORKERS
"""Objects that all workers may be copying at once."""
GRACE = "3s"


class Strike:
    """A rule: before the n-th request that matches is passed on, something is done; once."""

    def __init__(self, matches: Callable[[Request], object], number: int, action: Callable[[], object]) -> None:
        self._matches, self._left, self._action = matches, number, action
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer | None:
        if self._matches(request):
            with self._lock:
                self._left -= 1
                now = self._left == 0
            if now:
                self._action()
        return None

    @property
    def struck(self) -> bool:
        return self._left <= 0


@dataclass
class Fire:
    """One world with a migration in it, through a proxy."""

    lab: Lab
    proxy: Proxy
    copies: Copies
    application: Application
    reader: Reader
    strikes: list[Strike] = field(default_factory=list)
    beside: ExitStack = field(default_factory=ExitStack)
    """What goes on beside the migration."""

    @property
    def world(self) -> World:
        return self.lab.world

    def spec(self, **changes: Any) -> dict[str, Any]:
        """Small chunks, a short grace, both places through the proxy."""
        worker = {"parallelism": WORKERS, "shards": WORKERS, "concurrency": 8}
        cleanup = {"policy": "Delete", "grace": GRACE}
        return self.lab.spec(endpoint=self.proxy.url, chunk=CHUNK, worker=worker, cleanup=cleanup, **changes)

    def drive(self, **changes: Any) -> Driver:
        """The application and its readers begin, and the migration."""
        self.beside.enter_context(self.application)
        self.beside.enter_context(self.reader)
        driver = self.lab.drive(self.spec(**changes))
        driver.pause = 0.2
        return driver

    def strike(self, driver: Driver, phase: str, number: int, action: Callable[[], object]) -> Strike:
        """Do something once in the middle of a phase: before its n-th request that tells the phase."""
        made = Strike(MATCHES[phase](self.world), number, action)
        self.strikes.append(made)
        before = self.proxy.rule

        def arm() -> None:
            self.proxy.rule = lambda request: made(request) or before(request)

        driver.before(phase, arm)
        return made

    def finish(self, driver: Driver) -> dict[str, Any]:
        """The application writes until the second sweep; then to the end, or until the run is held up."""
        status = driver.until(lambda status: sweeps(status) > 1 or condition(status, "Stalled"))
        if sweeps(status) > 1:
            self.application.__exit__()
            status = driver.finish()
        return status

    def hold(self, driver: Driver, reason_: str) -> str:
        """Wait until the run is held up for a reason; what it says to the user. No object has failed by then."""
        status = self.finish(driver)
        assert reason(status, "Stalled") == reason_, status
        assert status["outcomes"]["failed"] == 0
        return message(status, "Stalled")

    def go_on(self, driver: Driver) -> None:
        """The user has mended it, and touched nothing else: the run goes on by itself."""
        driver.until(lambda status: not condition(status, "Stalled"))

    def expect_the_right_end(self, driver: Driver, *, again: int = 0) -> None:
        """Nothing lost, undone or dangling at any moment; at most so many copies made again."""
        self.beside.close()
        expect_the_right_end(self.world, driver.status, self.application.newest)
        assert len(self.application.newest) > OBJECTS, "the application has written nothing"
        assert not [strike for strike in self.strikes if not strike.struck], "a fault was never there"
        expect_nothing_wrong(self.reader, reads=0)
        percents = [status["progress"]["percent"] for status in driver.seen if "progress" in status]
        assert percents == sorted(percents)
        assert self.copies.repeated(self.application) <= again, self.copies.of.most_common(50)


@contextmanager
def burning(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fire]:
    """A world with a migration that is about to begin; the operator waits for less than it does elsewhere."""
    monkeypatch.setattr(migration_order, "SWEEP_PAUSE", timedelta(seconds=0.5))
    monkeypatch.setattr(runs, "FIRST_RETRY", timedelta(seconds=1))
    lab.world.seed(legacy=range(1, OBJECTS + 1))
    copies, application = Copies(lab.world.destination), Application(lab.world, OBJECTS + 1, pause=0.04)
    reader = Reader(lab.world, threads=1, pause=0.01)
    with Proxy(lab.endpoint, after=copies) as proxy, ExitStack() as beside:
        yield Fire(lab, proxy, copies, application, reader, beside=beside)


def sweeps(status: dict[str, Any]) -> int:
    return [run["phase"] for run in status.get("runs", ())].count("sweep")


def _writes(world: World) -> Callable[[Request], object]:
    return lambda request: request.method == "PUT" and request.bucket == world.destination and MODERN in request.key


def _lists(world: World) -> Callable[[Request], object]:
    return lambda request: request.method == "GET" and request.bucket == world.source and "list-type" in request.path


def _deletes(world: World) -> Callable[[Request], object]:
    return lambda request: request.method in {"POST", "DELETE"} and request.bucket == world.source


MATCHES = {"copy": _writes, "sweep": _lists, "delete": _deletes}
"""By phase, the requests that tell it: a copy's writes, a sweep's listings, the deletions."""
