"""A process that keeps one server for as long as somebody holds the other end of its standard input.

    python keeper.py '{"command": [PROGRAM, ARGUMENT, …], "user": [UID, GID], "leftovers": [FILE, …]}'

The kernel closes that pipe however the holder ends, SIGKILL included, and on every system. Where it can (Linux), the
kernel also ends the server if the keeper itself is killed. Only the standard library, so that it starts at once.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

LOOK_SECONDS = 0.1
"""Between two looks whether the server has ended by itself."""
PATIENCE_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html: a change of the user clears it."""


def main() -> int:
    """Run the server until it ends or the pipe does; remove what it leaves; its exit code."""
    given, me = json.loads(sys.argv[1]), os.getpid()
    child = subprocess.Popen(  # noqa: S603 - our own servers
        given["command"],
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: _become(given["user"], me),  # noqa: PLW1509 - this process has one thread
    )
    while child.poll() is None and _is_held():
        pass
    code = _end(child)
    for file in given["leftovers"]:
        with suppress(OSError):
            os.unlink(file)  # noqa: PTH108 - pathlib would have to be imported
    return code


def _become(user: Sequence[int], parent: int) -> None:
    """Give up the rights of root, and ask the kernel to be ended with the parent."""
    if user:
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def _is_held() -> bool:
    ready, _, _ = select.select([0], [], [], LOOK_SECONDS)
    return not ready or bool(os.read(0, 1))


def _end(child: subprocess.Popen[bytes]) -> int:
    """SIGQUIT ends at once (PostgreSQL's immediate shutdown): nobody will ever read this data again."""
    if child.poll() is None:
        child.send_signal(signal.SIGQUIT)
    try:
        return child.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


if __name__ == "__main__":
    sys.exit(main())
