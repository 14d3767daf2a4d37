"""One attempt of one shard on this machine: a process of its own, or a thread of this one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from bucketops_api import names
from bucketops_api.contract import RunResult, UnknownResultError, read_result, run_digest
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_operator import deaths
from bucketops_operator.scrape import live_counts

_TAIL = 16 << 10  # bytes of a log
_FIRST_LOOK_SECONDS, _LOOK_SECONDS = 0.5, 0.2
"""From the start of a worker until it is asked for its counts, and between two times.

At its start it has none, and to be asked makes that longer (bucketops_jobs.exposition).
"""


class Counted(Protocol):
    """Something that counts while it works."""

    def live(self) -> Mapping[str, int]:
        """Return what would be read of the metrics that a process serves."""


RunWorker = Callable[[Path, int, threading.Event, Callable[[Counted], None]], tuple[int, RunResult]]
"""Runs the shard of this number from the files below a folder until told to stop; answers exit code and result.

It hands over what it counts with before it begins.
"""
WORKERS = "bucketops.workers"
"""Group of entry points; `thread` is a RunWorker. The operator knows the workers by it alone."""


def thread_worker() -> RunWorker:
    """The worker as a function, for runs in one process."""
    (found,) = entry_points(group=WORKERS, name="thread")
    worker: RunWorker = found.load()
    return worker


class Attempt(Protocol):
    """What the interpreter of a Job needs of a pod."""

    @property
    def pid(self) -> int | None:
        """Of the process, where it is one."""

    def ended(self) -> int | None:
        """The exit code, or None while it works."""

    def result(self) -> RunResult:
        """Return what it had to say; to be asked once it has ended.

        UnknownResultError: it ended well and left nothing that can be read.
        """

    def live(self) -> Mapping[str, int]:
        """Its counts so far."""

    def stop(self) -> None:
        """Ask it to stop, as SIGTERM does."""

    def kill(self) -> None:
        """End it at once, and wait for its end."""


class ProcessAttempt:
    """`python -m bucketops_jobs` as a process; `stem` names its files: <stem>.log, <stem>.result."""

    def __init__(self, root: Path, index: int, stem: Path) -> None:
        self._root, self._index, self._stem, self._port = root, index, stem, free_port()
        self._live: Mapping[str, int] = {}
        self._look_at = time.monotonic() + _FIRST_LOOK_SECONDS
        with self._file("log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bucketops_jobs"],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment(root),
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def ended(self) -> int | None:
        return self._process.poll()

    def result(self) -> RunResult:
        try:
            return read_result(self._left(), run_digest((self._root / names.RUN_FILE).read_text()))
        except UnknownResultError:
            if self._process.returncode == names.EXIT_DONE:
                raise
        words = deaths.of_process(self._process.returncode, self._log())
        return RunResult(reason=Reason.RUN_FAILED, message=f"shard {self._index}: {words}")

    def _left(self) -> str:
        try:
            return self._file("result").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def _log(self) -> str:
        """The end of the log."""
        with self._file("log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
            return MASK.text(log.read().decode(errors="replace"))

    def live(self) -> Mapping[str, int]:
        if time.monotonic() >= self._look_at:
            self._live = live_counts(["127.0.0.1"], self._port)
            self._look_at = time.monotonic() + _LOOK_SECONDS
        return self._live

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _environment(self, root: Path) -> dict[str, str]:
        """Nothing of ours that a pod would not have: no libpq or AWS variables."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PG"))}
        return kept | {
            names.ENV_ROOT: str(root),
            names.ENV_INDEX: str(self._index),
            names.ENV_RESULT: str(self._file("result")),
            names.ENV_METRICS_PORT: str(self._port),
            names.ENV_LISTEN: "127.0.0.1",
            names.ENV_PARENT: str(os.getpid()),
        }

    def _file(self, kind: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{kind}")


class ThreadAttempt:
    """The same worker as a thread: no start-up to pay for. Nobody can kill it, so `kill` waits for a safe point."""

    pid: int | None = None

    def __init__(self, root: Path, index: int, run_worker: RunWorker) -> None:
        self._answer: tuple[int, RunResult] = (names.EXIT_RETRY, RunResult(reason=Reason.RUN_FAILED))
        self._stop = threading.Event()
        self._counted: Counted | None = None
        self._thread = threading.Thread(target=self._run, args=(root, index, run_worker), daemon=True)
        self._thread.start()

    def _run(self, root: Path, index: int, run_worker: RunWorker) -> None:
        self._answer = run_worker(root, index, self._stop, self._watch)

    def _watch(self, counted: Counted) -> None:
        self._counted = counted

    def ended(self) -> int | None:
        return None if self._thread.is_alive() else self._answer[0]

    def result(self) -> RunResult:
        return self._answer[1]

    def live(self) -> Mapping[str, int]:
        return self._counted.live() if self._counted else {}

    def stop(self) -> None:
        self._stop.set()

    def kill(self) -> None:
        self._stop.set()
        self._thread.join()


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now; somebody else may be faster to take it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
