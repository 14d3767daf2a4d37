"""Parallel ranges against one stream, with latency added between client and server: `python -m bench.latency`.

Prints keys per second and the median ratio of interleaved rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.ours import Place as Where
from bench.ours import mount, open_store
from bench.servers import CREDENTIALS, STARTERS, serving
from bucketops_jobs.engine import Engine
from bucketops_jobs.limits import Pace
from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.store import Store
from support.toxics import delayed

PREFIX = "image/"


def one_stream(store: Store) -> Iterator[int]:
    yield sum(1 for _ in store.list_objects(PREFIX))


def in_order(store: Store) -> Iterator[int]:
    yield sum(1 for _ in ranges.in_order(store, PREFIX))


def any_order(store: Store) -> Iterator[int]:
    yield from map(len, ranges.each_page(store, PREFIX))


WAYS: dict[str, Callable[[Store], Iterator[int]]] = {
    "one stream": one_stream,
    "ranges in order": in_order,
    "ranges in any order": any_order,
}


def measure(store: Store, way: Callable[[Store], Iterator[int]], expected: int) -> tuple[float, float]:
    """Keys per second, and microseconds of our processor time per key."""
    begin, cpu = time.monotonic(), time.process_time()
    keys = sum(way(store))
    took, used = time.monotonic() - begin, time.process_time() - cpu
    if keys != expected:
        raise AssertionError(f"{keys} keys came of {expected}")
    return keys / took, used / keys * 1e6


def compare(name: str, folder: Path, arguments: argparse.Namespace) -> None:
    with serving(name, folder / name) as place:
        place.make("listing")
        place.seed("listing", PREFIX, arguments.objects)
        with (
            delayed(place.server.port, arguments.latency) as endpoint,
            Engine(Pace(64, None, threading.Event()), 64) as engine,
        ):
            mount(folder / f"secrets-of-{name}")
            store = open_store(
                Where("listing", PREFIX), endpoint, folder / f"secrets-of-{name}", engine, concurrency=64
            )
            samples: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
            for _ in range(arguments.rounds):
                for way, function in WAYS.items():
                    samples[way].append(measure(store, function, arguments.objects))
            store.close()
    for way, taken in samples.items():
        ratios = [ours[0] / single[0] for ours, single in zip(taken, samples["one stream"], strict=True)]
        rate, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        print(f"{name:10} {arguments.latency:4} ms  {way:20} {rate:9,.0f} keys/s {cpu:5.1f} µs/key"
              f"  ratio {statistics.median(ratios):.2f} ({spread})")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", action="append", choices=STARTERS)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--latency", type=int, default=100, help="milliseconds added to each answer; 0: no proxy")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    os.environ.update(CREDENTIALS)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        for name in arguments.server or STARTERS:
            compare(name, Path(folder), arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
