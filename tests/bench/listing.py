"""The listing of one flat prefix, and how a million keys get there once and stay for the next run."""

from __future__ import annotations

import fcntl
import random
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import seeds
from bench.contenders import CONTENDERS, Command, Task
from bench.servers import Place, serving

BUCKET, PREFIX = "keys", "image/"
READ = 50


class Listing:
    """All keys of a flat prefix, counted and not kept."""

    unit = "keys"

    def __init__(self, place: Place, amount: int, *, endpoint: str = "") -> None:
        self.title = f"list {amount:,} keys of one flat prefix on {place.name}"
        self.amount, self.timeout = amount, 60 + amount / 500
        self.endpoint, self.server = endpoint or place.endpoint, place.server.process.pid

    def reset(self) -> None:
        """A listing leaves nothing behind."""

    def command(self, contender: str) -> Command:
        return CONTENDERS[contender].list(Task(self.endpoint, f"{BUCKET}/{PREFIX}"))

    def verify(self, output: str) -> None:
        numbers = re.findall(r"\d+", output)
        assert str(self.amount) in numbers, f"not {self.amount} keys: {output[-500:]}"


@contextmanager
def listed(name: str, cache: Path, amount: int) -> Iterator[Place]:
    """A server with `amount` keys in a flat prefix. What lies on disk is kept: the next run starts at once."""
    folder = cache / f"list-{name}-{amount}"
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "seeded"
        if not done.exists():
            shutil.rmtree(folder)
        with serving(name, folder) as place:
            if not done.exists():
                _fill(place, amount)
            if name != "gofakes3":  # which forgets everything
                done.touch()
            yield place


def _fill(place: Place, amount: int) -> None:
    begin = time.monotonic()
    place.make(BUCKET)
    place.seed(BUCKET, PREFIX, amount)
    rate = amount / (time.monotonic() - begin)
    print(f"seeded {amount:,} keys on {place.name}, {rate:,.0f} a second", file=sys.stderr)
    for number in random.sample(range(amount), min(READ, amount)):
        answer = place.s3.get_object(Bucket=BUCKET, Key=PREFIX + seeds.name(number))
        with answer["Body"] as body:
            assert body.read() == seeds.BODIES[number % seeds.VARIANTS], f"{number} is not what was seeded"
        assert answer["ETag"].strip('"') == seeds.ETAGS[number % seeds.VARIANTS], f"{number} has another ETag"
