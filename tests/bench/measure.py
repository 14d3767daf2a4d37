"""One run of a program: wall time, the processor time and the memory of its whole process tree."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Usage:
    """What a run took: seconds, and peak resident memory in MiB."""

    wall: float
    cpu: float
    memory: float
    output: str


class ProgramFailedError(Exception):
    """A program ended with an error; the message holds what it printed."""


def run(command: Sequence[str | Path], environment: Mapping[str, str], timeout: float) -> Usage:
    """Run to the end; ProgramFailedError if its exit code is not 0 or it takes longer than `timeout` seconds."""
    begin = time.monotonic()
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    killer = threading.Timer(timeout, process.kill)
    killer.start()
    assert process.stdout is not None, "a pipe"
    with _memory(process.pid) as peak, process.stdout as stdout:
        output = stdout.read()
        # wait4 counts the descendants that the process itself has waited for.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
    killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        line = " ".join(map(str, command))
        raise ProgramFailedError(f"{line}: exit code {process.returncode} after {wall:.1f} s\n{output[-2000:]}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, peak[0], output)


def cpu_of(pid: int) -> float:
    """User and system seconds of a running process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def _memory(pid: int) -> Iterator[list[float]]:
    """The peak in MiB, sampled: ru_maxrss would count what the parent held when it forked."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], sum(_peak(each) for each in tree(pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield peak
    done.set()
    watcher.join()


def tree(pid: int) -> Iterator[int]:
    """A process and its living descendants."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def _peak(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
