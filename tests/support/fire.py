"""A migration under fire: an application that writes, readers that judge, faults at will, and its end judged."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from bucketops_operator.kinds import migration_order, runs
from support.avatars import LEGACY, MODERN, Reader, World, name, picture
from support.background import Background
from support.driver import Driver, condition, message, reason
from support.lab import Lab
from support.proxy import Answer, Proxy, Request

OBJECTS, CHUNK, WORKERS = 160, 10, 2
PHASES = {"copy": 40, "sweep": 3, "delete": 1}
"""By phase, before which of the requests that tell it a fault happens."""
IN_HAND = CHUNK * WORKERS
"""Objects that all workers have under way."""
GRACE = "3s"
AGAIN, PATIENCE = 0.3, 100
"""Seconds until the application tries again what the store refused, and how often it does."""


class Application(Background):
    """Uploads pictures and replaces them, as its rows name them; what fails it tries until it succeeds."""

    def __init__(self, world: World, first: int, pause: float = 0.04) -> None:
        super().__init__(self._run)
        self.world, self.pause, self.next = world, pause, first
        self.newest = dict.fromkeys(range(1, first), 0)
        self.replaced: set[int] = set()
        """Pictures that were written again at their legacy place: each may cost one copy more."""

    def _run(self) -> None:
        chance = random.Random(1)
        connection = psycopg2.connect(self.world.dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            while self.going(self.pause):
                if chance.random() < 0.3:
                    self._upload(cursor, self.next)
                else:
                    self._replace(cursor, chance.randrange(1, self.next))
        connection.close()

    def _upload(self, cursor: Any, number: int) -> None:
        """A new user: the picture first, then the row, in the legacy form."""
        path = LEGACY + name(number)
        if self._put(path, number, 0):
            self.newest[number], self.next = 0, number + 1
            cursor.execute("INSERT INTO avatars (path) VALUES (%s)", (path,))

    def _replace(self, cursor: Any, number: int) -> None:
        """Once each: a late write by a stale path and another by the new one would be a conflict, and rightly so."""
        if self.newest[number]:
            return
        cursor.execute("SELECT path FROM avatars WHERE path LIKE %s", (f"%/{name(number)}",))
        ((path,),) = cursor.fetchall()
        if path.startswith(LEGACY):
            self.replaced.add(number)
        self.newest[number] = 1
        for _ in range(PATIENCE):
            if self._put(path, number, 1):
                return
        raise AssertionError(f"{path}: the store does not come back")

    def _put(self, path: str, number: int, version: int) -> bool:
        bucket = self.world.source if path.startswith(LEGACY) else self.world.destination
        try:
            self.world.s3.put_object(Bucket=bucket, Key=path, Body=picture(number, version))
        except (ClientError, BotoCoreError):
            threading.Event().wait(AGAIN)
            return False
        return True


class Witness(Reader):
    """A reader for whom a store that does not answer is no evidence, and each version is right that was written."""

    def __init__(self, world: World, application: Application) -> None:
        super().__init__(world, threads=1, pause=0.01)
        self.application = application
        self.unanswered = 0

    def _read(self, cursor: Any, row: int) -> None:
        try:
            super()._read(cursor, row)
        except (BotoCoreError, ConnectionError):
            self.unanswered += 1

    def _get(self, path: str) -> str | None:
        wrong = super()._get(path)
        if wrong and wrong.endswith("another picture"):
            return None if self._newer(path) else wrong
        if wrong and re.search(r": 5\d\d$", wrong):
            raise ConnectionError(wrong)
        return wrong

    def _newer(self, path: str) -> bool:
        number = int(path.rsplit("-", 1)[1].removesuffix(".png"))
        bucket = self.world.source if path.startswith(LEGACY) else self.world.destination
        return self.application.newest[number] > 0 and self.world.body(bucket, path) == picture(number, 1)


class Copies:
    """How often each object was written to the production place by a worker."""

    def __init__(self, world: World) -> None:
        self._bucket, self.made = world.destination, Counter[str]()

    def __call__(self, request: Request, status: int) -> None:
        if request.method == "PUT" and request.bucket == self._bucket and request.key.startswith(MODERN):
            self.made[request.key] += status == 200


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
    witness: Witness
    strikes: list[Strike] = field(default_factory=list)
    beside: ExitStack = field(default_factory=ExitStack)
    """What goes on beside the migration."""

    @property
    def world(self) -> World:
        return self.lab.world

    def spec(self, **changes: Any) -> dict[str, Any]:
        """Small chunks, a short grace, both places through the proxy."""
        worker = {"parallelism": WORKERS, "shards": WORKERS, "concurrency": 8}
        spec = self.lab.spec(worker=worker, cleanup={"policy": "Delete", "grace": GRACE}, **changes)
        spec["database"]["batchSize"] = CHUNK
        spec["source"]["endpoint"] = spec["destination"]["endpoint"] = self.proxy.url
        return spec

    def drive(self, **changes: Any) -> Driver:
        """The application and its readers begin, and the migration."""
        self.beside.enter_context(self.application)
        self.beside.enter_context(self.witness)
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
        status, total = driver.status, len(self.application.newest)
        assert condition(status, "Complete"), status
        assert total > OBJECTS, "the application has written nothing"
        assert not [strike for strike in self.strikes if not strike.struck], "a fault was never there"
        self._expect_all(total)
        assert status["outcomes"]["moved"] == sum(status["outcomes"].values()) == total
        assert status["rowOutcomes"]["rewritten"] == sum(status["rowOutcomes"].values()) == total
        assert status["audit"]["after"]["danglingRows"] == 0
        percents = [status["progress"]["percent"] for status in driver.seen if "progress" in status]
        assert percents == sorted(percents)
        assert self.repeated() <= again, self.copies.made.most_common(50)

    def _expect_all(self, total: int) -> None:
        world = self.world
        assert self.witness.wrong == []
        assert self.witness.reads > 0
        assert world.keys(world.source) == {}
        assert set(world.keys(world.destination)) == {MODERN + name(number) for number in range(1, total + 1)}
        assert sorted(world.paths()) == sorted(MODERN + name(number) for number in range(1, total + 1))
        for number, newest in self.application.newest.items():
            assert world.body(world.destination, MODERN + name(number)) == picture(number, newest), number

    def repeated(self) -> int:
        """Copies beyond the first of an object, and beyond one for each picture that the application replaced."""
        replaced = {MODERN + name(number) for number in self.application.replaced}
        return sum(made - 1 - (key in replaced) for key, made in self.copies.made.items() if made > 1)


@contextmanager
def burning(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fire]:
    """A world with a migration that is about to begin; the operator waits for less than it does elsewhere."""
    monkeypatch.setattr(migration_order, "SWEEP_PAUSE", timedelta(seconds=0.5))
    monkeypatch.setattr(runs, "FIRST_RETRY", timedelta(seconds=1))
    lab.world.seed(legacy=range(1, OBJECTS + 1))
    copies, application = Copies(lab.world), Application(lab.world, OBJECTS + 1)
    with Proxy(lab.endpoint, after=copies) as proxy, ExitStack() as beside:
        yield Fire(lab, proxy, copies, application, Witness(lab.world, application), beside=beside)


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
