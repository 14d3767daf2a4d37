"""Uploads at a steady rate by one user, and when another one could read what became of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bucketops_jobs.s3.store import Store

LOOK_SECONDS = 0.05
"""What is under way is looked at so often: a figure is too high by at most so much and one request, never too low."""
PATIENCE_SECONDS = 60.0
"""After the last upload."""
_THREADS = 8


@dataclass
class Arrival:
    """One upload; times are in seconds of a monotonic clock."""

    key: str
    uploaded: float
    missing: float
    """When it was last not there."""
    readable: float | None = None

    @property
    def seconds(self) -> float:
        """From the end of the upload to the answer of the first HEAD that found the clean picture."""
        return (self.readable or float("inf")) - self.uploaded


@dataclass(frozen=True)
class Upload:
    """What is put, and whether anything is to come of it."""

    key: str
    body: bytes
    clean: bool


def measured(
    uploads: Sequence[Upload], rate: float, source: Store, destination: Store, each_minute: Callable[[int], None]
) -> tuple[list[Arrival], float]:
    """All that are to become clean; and by how many seconds an upload began too late, at most."""
    watch = _Watch(destination)
    late = 0.0
    with ThreadPoolExecutor(_THREADS, "upload") as pool:
        tasks = []
        for number, (planned, upload) in enumerate(_paced(uploads, rate)):
            late = max(late, time.monotonic() - planned)
            tasks.append(pool.submit(_put, source, upload, watch))
            if number and not number % round(60 * rate):
                each_minute(number)
        for task in tasks:
            task.result()
    return watch.finish(), late


def _paced(uploads: Sequence[Upload], rate: float) -> Iterator[tuple[float, Upload]]:
    begin = time.monotonic()
    for number, upload in enumerate(uploads):
        planned = begin + number / rate
        time.sleep(max(0.0, planned - time.monotonic()))
        yield planned, upload


def _put(source: Store, upload: Upload, watch: _Watch) -> None:
    source.put(upload.key, upload.body, {"content-type": "image/jpeg"})
    if upload.clean:
        watch.add(upload.key)


class _Watch:
    """Looks for everything that is under way, again and again, in a thread of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._arrivals: list[Arrival] = []
        self._open: list[Arrival] = []
        self._lock = threading.Lock()
        self._until: float | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def add(self, key: str) -> None:
        """Its upload has just ended."""
        now = time.monotonic()
        arrival = Arrival(key, now, now)
        with self._lock:
            self._arrivals.append(arrival)
            self._open.append(arrival)

    def finish(self) -> list[Arrival]:
        """Wait for the last ones, as long as patience lasts."""
        self._until = time.monotonic() + PATIENCE_SECONDS
        self._thread.join()
        return self._arrivals

    def _run(self) -> None:
        with ThreadPoolExecutor(_THREADS, "look") as pool:
            while self._until is None or (self._open and time.monotonic() < self._until):
                begin = time.monotonic()
                with self._lock:
                    wanted = list(self._open)
                list(pool.map(self._look, wanted))
                with self._lock:
                    self._open = [arrival for arrival in self._open if arrival.readable is None]
                time.sleep(max(0.0, begin + LOOK_SECONDS - time.monotonic()))

    def _look(self, arrival: Arrival) -> None:
        began = time.monotonic()
        if self._store.head(arrival.key) is None:
            arrival.missing = began
        else:
            arrival.readable = time.monotonic()
