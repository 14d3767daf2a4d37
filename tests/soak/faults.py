"""The faults of the soak run, each a function that makes one and ends when it is over; what it answers is logged."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg2

from support.access import ROOT
from support.avatars import cursor_of
from support.driver import Driver
from support.faulty import Bursts, Cutting, Pages, Slow, Sometimes, error, is_copy
from support.identities import admin_client
from support.lab import Lab
from support.mortal import Mortal
from support.mortal_store import MortalStore
from support.processes import Worker, workers
from support.proxy import Answer, Proxy, Request, Rule
from support.relay import Relay

SHARE = 0.1
"""Of the requests that fail while some do."""


@dataclass
class Site:
    """The servers, which serve one migration after the other."""

    store: MortalStore
    database: Mortal
    address: Relay
    """Of the database."""


@dataclass
class Scene:
    """What a fault may hurt."""

    site: Site
    proxy: Proxy
    lab: Lab
    driver: Driver
    chance: random.Random
    rules: list[Rule] = field(default_factory=list)
    pages: list[Pages] = field(default_factory=list)

    def answer(self, request: Request) -> Answer | None:
        """The proxy's rule: the first that has something to say."""
        return next((own for rule in list(self.rules) if (own := rule(request))), None)

    def body(self, request: Request, data: bytes) -> bytes:
        """The proxy's bodies."""
        for pages in list(self.pages):
            data = pages(request, data)
        return data

    @contextmanager
    def ruled(self, rule: Rule) -> Iterator[None]:
        self.rules.append(rule)
        yield
        self.rules.remove(rule)

    def wait(self, least: float, most: float) -> str:
        """Some seconds by chance; answers how many."""
        seconds = self.chance.uniform(least, most)
        time.sleep(seconds)
        return f"{seconds:.1f} s"

    def workers(self) -> list[Worker]:
        return workers(self.lab.root)


def store_dies(scene: Scene) -> str:
    scene.site.store.restart()
    return ""


def store_freezes(scene: Scene) -> str:
    seconds = scene.chance.uniform(0.5, 6)
    scene.site.store.freeze(seconds)
    time.sleep(seconds)
    return f"{seconds:.1f} s"


def store_throttles(scene: Scene) -> str:
    with scene.ruled(Bursts(every=1, length=0.5)):
        return scene.wait(2, 6)


def store_fails(scene: Scene) -> str:
    with scene.ruled(Sometimes(scene.chance, SHARE, Answer(500, error("InternalError")))):
        return scene.wait(2, 6)


def store_hangs_up(scene: Scene) -> str:
    with scene.ruled(Sometimes(scene.chance, SHARE, Answer(cut=True))):
        return scene.wait(2, 6)


def store_fails_in_a_200(scene: Scene) -> str:
    with scene.ruled(Sometimes(scene.chance, 2 * SHARE, Answer(200, error("InternalError")), is_copy)):
        return scene.wait(2, 6)


def store_is_slow(scene: Scene) -> str:
    with scene.ruled(Slow(scene.chance, 0.5, 1e6)):
        return scene.wait(2, 6)


def listings_are_damaged(scene: Scene) -> str:
    pages = Pages(every=3)
    scene.pages.append(pages)
    scene.wait(3, 8)
    scene.pages.remove(pages)
    return ", ".join(f"{count} {what.strip('_')}" for what, count in pages.damaged.items())


def key_is_replaced(scene: Scene) -> str:
    """And the old one revoked at once; a worker reads the new one when it is refused."""
    old, lab, driver = scene.lab.user, scene.lab, scene.driver
    for name, data in lab.secrets(dict(driver.resource.spec)).items():
        driver.local.rotate(driver.resource, name, data)
    admin_client(lab.endpoint, ROOT).user_remove(old.name)
    return ""


def database_dies(scene: Scene) -> str:
    scene.site.database.die()
    down = scene.wait(0, 4)
    scene.site.database.live()
    return down


def connections_are_cut(scene: Scene) -> str:
    scene.site.address.cut()
    return ""


def commits_are_cut(scene: Scene) -> str:
    scene.site.address.rule = cutting = Cutting()
    scene.wait(3, 8)
    scene.site.address.rule = lambda _: None
    return ", ".join(f"{count} {cut.name.lower()}" for cut, count in cutting.cuts.items())


def wire_stalls(scene: Scene) -> str:
    scene.site.address.stall()
    seconds = scene.wait(0.5, 4)
    scene.site.address.go_on()
    return seconds


def rows_are_held(scene: Scene) -> str:
    with cursor_of(scene.lab.world.dsn) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT id FROM avatars ORDER BY random() LIMIT 20 FOR UPDATE SKIP LOCKED")
        return f"{len(cursor.fetchall())} for {scene.wait(1, 5)}"


def transaction_stays_open(scene: Scene) -> str:
    with cursor_of(scene.lab.world.dsn) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT pg_current_xact_id()")
        return scene.wait(3, 10)


def worker_dies(scene: Scene) -> str:
    found = scene.workers()
    if not found:
        return "nobody there"
    victim = scene.chance.choice(found)
    victim.signal(signal.SIGKILL)
    return f"{victim.phase} {victim.shard}"


def workers_die(scene: Scene) -> str:
    return f"{sum(worker.signal(signal.SIGKILL) for worker in scene.workers())} of them"


def worker_sleeps(scene: Scene) -> str:
    found = scene.workers()
    if not found:
        return "nobody there"
    sleeper = scene.chance.choice(found)
    sleeper.signal(signal.SIGSTOP)
    seconds = scene.wait(1, 12)
    sleeper.signal(signal.SIGCONT)
    return f"{sleeper.phase} {sleeper.shard}, {seconds}"


Fault = Callable[[Scene], str]
FAULTS: tuple[Fault, ...] = (
    store_dies,
    store_freezes,
    store_throttles,
    store_fails,
    store_hangs_up,
    store_fails_in_a_200,
    store_is_slow,
    listings_are_damaged,
    key_is_replaced,
    database_dies,
    connections_are_cut,
    commits_are_cut,
    wire_stalls,
    rows_are_held,
    transaction_stays_open,
    worker_dies,
    workers_die,
    worker_sleeps,
)


def make(fault: Fault, scene: Scene) -> str:
    """One of them; a database that another fault has taken away is what this is about."""
    with suppress(psycopg2.OperationalError, psycopg2.InterfaceError):
        return fault(scene)
    return "the database was away"
