"""Worker processes of a test, found as anybody else finds processes."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from bucketops_api import names


@dataclass(frozen=True)
class Worker:
    """A process that works at one shard of one run."""

    pid: int
    root: Path
    """Where the run's files lie."""
    shard: int

    @property
    def phase(self) -> str:
        return self.root.name.rpartition("-")[2]

    def signal(self, number: signal.Signals) -> bool:
        """Whether it still lived."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False


def workers(folder: Path) -> list[Worker]:
    """Those whose files, or whose temporary folder, lie below this one."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            command = (proc / "cmdline").read_bytes()
            lines = (proc / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        environment = dict(line.split("=", 1) for line in lines if "=" in line)
        places = (environment.get(name, "") for name in (names.ENV_ROOT, "TMPDIR"))
        if b"bucketops_jobs" in command and any(place.startswith(str(folder)) for place in places):
            root, shard = Path(environment[names.ENV_ROOT]), int(environment[names.ENV_INDEX])
            found.append(Worker(int(proc.name), root, shard))
    return found
