"""A server of this machine that ends with this process, on ports that nobody else has."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bucketops.demo import keeper
from bucketops.demo.errors import DemoError
from bucketops.demo.users import User

TRIES = 5
"""So often a server is started on other ports, if it does not come up on the first ones."""
UP_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_LOG_BYTES = 1500
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Of our environment: a server must not find settings of the user's (PGDATA, WEED_…, AWS_…)."""


class Server:
    """A running server. `stop` ends it, and so does the end of this process, whatever ends it."""

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        *,
        hold: int,
        user: User = (),
        environment: Mapping[str, str] | None = None,
        leftovers: Sequence[str] = (),
    ) -> None:
        self.log = folder / "log"
        mine = {name: os.environ[name] for name in _KEPT if name in os.environ}
        given = {"command": [str(part) for part in command], "user": user, "leftovers": leftovers}
        with self.log.open("ab") as log:
            self._keeper = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", keeper.__file__, json.dumps(given)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=mine | {"HOME": str(folder), "TMPDIR": str(folder)} | dict(environment or {}),
                start_new_session=True,  # Ctrl-C of the terminal is ours alone
                pass_fds=(hold,),
            )

    @property
    def keeper(self) -> int:
        """The process that keeps it."""
        return self._keeper.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended by itself."""
        return self._keeper.poll() is None

    def let_go(self) -> None:
        """Begin to end it, without waiting."""
        if self._keeper.stdin:
            self._keeper.stdin.close()

    def stop(self) -> None:
        """End it, and wait for its end."""
        self.let_go()
        self._keeper.wait()

    def is_up(self, answers: Callable[[], bool]) -> bool:
        """Wait until it answers; False if it has ended instead, or does not come up."""
        deadline = time.monotonic() + UP_SECONDS
        while not answers():
            if not self.runs or time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return self.runs


class Servers:
    """Starts servers; all of them end with the `with`. They hold a lock for as long as they run."""

    def __init__(self, lock: int) -> None:
        self._lock, self._guard = lock, threading.Lock()
        self._all: list[Server] | None = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            ended, self._all = self._all or [], None
        for server in ended:
            server.let_go()
        for server in ended:
            server.stop()

    def start(self, command: Sequence[str | Path], folder: Path, **options: Any) -> Server:  # noqa: ANN401 - of Server
        """Start one; DemoError when all have been told to end."""
        with self._guard:
            if self._all is None:
                raise DemoError("the demo has ended")
            server = Server(command, folder, hold=self._lock, **options)
            self._all.append(server)
        return server


def on_free_ports(name: str, count: int, start: Callable[[Sequence[int]], tuple[Server, Callable[[], bool]]]) -> Server:
    """Return a server that answers. `start` gets ports, and returns a server and whether it answers.

    Somebody else may take a port after we have looked at it: then others are tried. DemoError: it does not come up.
    """
    log = ""
    for _ in range(TRIES):
        server, answers = start(free_ports(count))
        if server.is_up(answers):
            return server
        server.stop()
        log = _end_of(server.log)
        if "No space left" in log:
            break
    raise DemoError(f"{name} does not come up; the end of its log:\n{log}")


def free_ports(count: int) -> list[int]:
    """Return so many different TCP ports of loopback that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_BYTES:]
