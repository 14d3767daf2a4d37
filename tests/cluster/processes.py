"""Long-running programs without systemd: one pid file and one log file each.

A pid file also holds the time at which the process started: a number that another process
has by now, after a reboot or after many others, is never taken for ours.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from settings import LOGS, RUN
from shell import ClusterError

PIDS = RUN / "pids"


def start(name: str, *command: str | Path) -> None:
    """Start a program in a session of its own, unless it runs already."""
    if alive(name):
        return
    LOGS.mkdir(parents=True, exist_ok=True)
    PIDS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{name}.log"
    if path.exists():
        path.rename(path.with_suffix(".log.old"))
    with path.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    (PIDS / name).write_text(f"{process.pid} {_started(process.pid)}\n")


def alive(name: str) -> bool:
    return _pid(name) is not None


def stop(name: str, patience: float = 5) -> None:
    """End a program: kindly first, then by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience
        if (pid := _pid(name)) is not None:
            os.kill(pid, number)
        while alive(name) and time.monotonic() < deadline:
            time.sleep(0.05)
    if alive(name):
        raise ClusterError(f"{name} (pid {_pid(name)}) cannot be ended")
    (PIDS / name).unlink(missing_ok=True)


def kill(name: str) -> None:
    """End a program at once, as a crash would."""
    if (pid := _pid(name)) is not None:
        os.kill(pid, signal.SIGKILL)
    while alive(name):
        time.sleep(0.05)


def log_end(name: str, lines: int = 15) -> str:
    log = LOGS / f"{name}.log"
    return "\n".join([f"the end of {log}:", *log.read_text(errors="replace").splitlines()[-lines:]])


def _pid(name: str) -> int | None:
    try:
        pid, started = (PIDS / name).read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if _started(int(pid)) == started else None


def _started(pid: int) -> str | None:
    """When the process started, in clock ticks since boot; None if it is dead, a zombie too."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else fields[18]
