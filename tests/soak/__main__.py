"""`make soak`: an hour of migrations under random faults, two at a time, beside an application that works on.

Each migration ends in the right state: nothing lost, no row that dangled at any moment, a clean audit. Every fault is a
line of the log. The same seed draws the same faults, at other moments.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bucketops_operator.kinds import migration_order, runs
from soak.faults import FAULTS, Fault, Scene, Site, make
from support import driver as driving
from support.application import Application
from support.avatars import Reader
from support.background import Background
from support.driver import condition
from support.ending import Copies, expect_the_right_end
from support.lab import Lab, laboratory
from support.mortal import Mortal
from support.mortal_store import MortalStore
from support.proxy import Proxy
from support.relay import Relay
from support.under_way import phase_is

OBJECTS, CHUNK, WORKERS = 600, 10, 2
AT_ONCE = 2
"""Faults."""
PAUSE = (0.5, 6.0)
"""Seconds between two faults."""
PATIENCE = 900.0
"""Seconds that one migration may take."""


@dataclass
class Log:
    """What is printed, and counted in the end."""

    began: float = field(default_factory=time.monotonic)
    round: int = 0
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By fault and phase."""
    totals: Counter[str] = field(default_factory=Counter)

    def say(self, words: str) -> None:
        passed = timedelta(seconds=int(time.monotonic() - self.began))
        print(f"{passed} {self.round:3} {words}", flush=True)

    def end(self) -> None:
        """The table, and what all rounds came to."""
        phases = list(dict.fromkeys(phase for _, phase in self.faults))
        print("\n| fault |", " | ".join(phases), "|\n|---|" + "---|" * len(phases))
        for fault in sorted({fault for fault, _ in self.faults}):
            print(f"| {fault} |", " | ".join(str(self.faults[fault, phase] or "") for phase in phases), "|")
        print("\n" + ", ".join(f"{count:,} {what}" for what, count in self.totals.items()))


class Chaos(Background):
    """One fault after the other, none of them twice at once."""

    def __init__(self, scene: Scene, log: Log) -> None:
        super().__init__(*[self._run] * AT_ONCE)
        self._scene, self._log, self._busy = scene, log, set[Fault]()
        self.count = 0

    def _run(self) -> None:
        while self.going(self._scene.chance.uniform(*PAUSE)):
            fault = self._scene.chance.choice([fault for fault in FAULTS if fault not in self._busy])
            self._busy.add(fault)
            name, phase = fault.__name__.replace("_", " "), phase_of(self._scene.driver.status)
            told = make(fault, self._scene)
            self._log.say(f"{phase:9} {name} {told}")
            self._log.faults[name, phase] += 1
            self.count += 1
            self._busy.discard(fault)


def phase_of(status: dict[str, Any]) -> str:
    return str(next((run["phase"] for run in reversed(status.get("runs", ()))), "begin"))


@contextmanager
def servers() -> Iterator[Site]:
    """PostgreSQL's folder becomes its user's, and nobody else's."""
    with (
        TemporaryDirectory(prefix="bucketops-minio-") as one,
        TemporaryDirectory(prefix="bucketops-postgres-") as other,
    ):
        store, database = MortalStore(Path(one)), Mortal(Path(other))
        try:
            with Relay(database.port) as address:
                yield Site(store, database, address)
        finally:
            database.stop()
            store.stop()


def migrate(root: Path, site: Site, log: Log, chance: random.Random) -> None:
    """One migration from the beginning to its end, in a world of its own."""
    with laboratory(site.store.url, site.address.port, root) as lab:
        world, copies = lab.world, Copies(lab.world.destination)
        world.seed(legacy=range(1, OBJECTS + 1))
        application, reader = Application(world, OBJECTS + 1, pause=0.05), Reader(world, pause=0.005)
        with Proxy(lab.endpoint, after=copies) as proxy, reader:
            driver = lab.drive(spec_of(lab, proxy.url), processes=True)
            scene = Scene(site, proxy, lab, driver, chance)
            proxy.rule, proxy.body = scene.answer, scene.body
            with Chaos(scene, log) as chaos:
                with application:
                    driver.until(phase_is("sweep", 2), PATIENCE)
                status = driver.until(over, PATIENCE)
            expect_the_right_end(world, status, application.newest, rows=len(application.newest))
            repeated = copies.repeated(application)
            assert copies.made >= len(application.newest), "copies are not counted"
        assert repeated <= CHUNK * WORKERS * chaos.count, copies.of.most_common(20)
        assert reader.wrong == [], reader.wrong
    told = {"migrations": 1, "objects": len(application.newest), "reads": reader.reads, "faults": chaos.count}
    told |= {"pictures replaced": sum(application.newest.values()), "copies repeated": repeated}
    log.say(f"complete  clean audit, no wrong read; {', '.join(f'{count} {what}' for what, count in told.items())}")
    log.totals.update(told)


def spec_of(lab: Lab, endpoint: str) -> dict[str, Any]:
    worker = {"parallelism": WORKERS, "shards": 2 * WORKERS, "concurrency": 8}
    return lab.spec(endpoint=endpoint, chunk=CHUNK, worker=worker, cleanup={"policy": "Delete", "grace": "3s"})


def over(status: dict[str, Any]) -> bool:
    """Held up it may be while something is away, and goes on by itself; failed never."""
    assert not condition(status, "Failed"), status
    return condition(status, "Complete")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    driving.BACKOFF_SECONDS = 0.2
    migration_order.SWEEP_PAUSE = timedelta(seconds=1)
    runs.FIRST_RETRY = timedelta(seconds=2)
    log, chance = Log(), random.Random(asked.seed)
    log.say(f"begin     {asked.minutes:g} minutes, seed {asked.seed}")
    with TemporaryDirectory(prefix="bucketops-soak-") as folder, servers() as site:
        while time.monotonic() - log.began < asked.minutes * 60:
            log.round += 1
            migrate(Path(folder) / f"round-{log.round}", site, log, chance)
    log.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
