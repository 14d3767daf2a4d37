"""What a start costs: each worker until it first calls a server, each command until its end, the operator's imports.

CPU is user and system time of the process. The server takes connections and says nothing: whoever calls is killed then.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import report
from bench.measure import cpu_of, tree
from bench.programs import BASE, Program, programs
from bench.ratios import paired, rotated, spread

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Sample:
    """One start; seconds."""

    start: str
    round: int
    cpu: float
    wall: float


def run(rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Every start once a round, in an order that changes."""
    with _server() as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        starts = programs(endpoint, folder)
        samples = [
            _sample(name, number, starts[name], server)
            for number in range(-1, rounds)  # before the first round the files get into the page cache
            for name in rotated(list(starts), max(number, 0))
        ]
    samples = [sample for sample in samples if sample.round >= 0]
    rows = [_row(name, samples) for name in starts]
    report.table(f"starts: {rounds} rounds", ("", "CPU s", "wall s", "CPU: times python's own"), rows)
    return [{"title": "starts", "rows": rows, "samples": samples}]


@contextmanager
def _server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_SECONDS)
        yield server


def _sample(name: str, number: int, program: Program, server: socket.socket) -> Sample:
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            program.command,
            env={**os.environ, **program.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        called, of_children = _killed_at_its_call(process.pid, server) if program.calls else (0.0, 0.0)
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.perf_counter()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != (-signal.SIGKILL if called else 0):
            output.seek(0)
            raise SystemExit(f"{name}: exit code {process.returncode}\n{output.read().decode()[-2000:]}")
    return Sample(name, number, usage.ru_utime + usage.ru_stime + of_children, (called or ended) - begin)


def _killed_at_its_call(pid: int, server: socket.socket) -> tuple[float, float]:
    """When a process or a child of it has called, 0 if none has; and the CPU seconds of its children."""
    called = 0.0
    with suppress(TimeoutError):
        server.accept()[0].close()
        called = time.perf_counter()
    children = list(tree(pid))[1:]
    used = sum(map(cpu_of, children))
    for each in (pid, *children):
        os.kill(each, signal.SIGKILL)
    server.settimeout(0)
    with suppress(BlockingIOError):  # further connections of theirs
        while True:
            server.accept()[0].close()
    server.settimeout(TIMEOUT_SECONDS)
    return called, used


def _row(name: str, samples: Sequence[Sample]) -> tuple[object, ...]:
    def by_round(who: str) -> dict[int, float]:
        return {sample.round: sample.cpu for sample in samples if sample.start == who}

    wall = [sample.wall for sample in samples if sample.start == name]
    ratio = None if name == BASE else paired(by_round(name), by_round(BASE))
    return name, spread(list(by_round(name).values())), spread(wall), ratio
