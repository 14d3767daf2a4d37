"""Running commands and telling the user what goes on.

Everything said here goes to stderr: stdout is kept for what a command is asked for (a path, a tag).
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from settings import CACHE

COMMAND_LOGS = CACHE / "logs"
HEARTBEAT_SECONDS = 60


class ClusterError(Exception):
    """Something that the user has to know, in words to be shown as they are."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Tell in one line what was done and how long it took; in long steps, that it still goes on."""
    start, done = time.monotonic(), threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            say(f"  … {what}: {time.monotonic() - start:.0f} s so far")

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    except BaseException:
        say(f"✗ {what}: failed after {time.monotonic() - start:.1f} s")
        raise
    else:
        say(f"✓ {what} ({time.monotonic() - start:.1f} s)")
    finally:
        done.set()


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> str:
    """The command's standard output; its errors go to a log file, whose end is shown if it fails."""
    name = Path(command[0]).name
    COMMAND_LOGS.mkdir(parents=True, exist_ok=True)
    log = COMMAND_LOGS / f"{name}.log"
    with log.open("a+b") as stderr:
        line = " ".join(map(str, command))
        stderr.write(f"\n{time.strftime('%F %T')} $ {line}\n".encode())
        stderr.flush()
        begin = stderr.tell()
        try:
            result = subprocess.run(
                command,
                check=False,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                cwd=cwd,
                timeout=timeout,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        except FileNotFoundError:
            raise ClusterError(f"{name}: no such program") from None
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{line}: not done after {timeout:.0f} s, see {log}") from None
        if result.returncode:
            stderr.write(result.stdout)
            stderr.flush()
            stderr.seek(begin)
            last = stderr.read().decode(errors="replace").splitlines()[-20:]
            raise ClusterError("\n".join([f"{line}: exit code {result.returncode}, see {log}", *last]))
    return result.stdout.decode(errors="replace")


def succeeds(*command: str | Path, env: Mapping[str, str] | None = None) -> bool:
    """Whether the command works, for questions where a no is as good an answer as a yes."""
    try:
        run(*command, env=env, timeout=30)
    except ClusterError:
        return False
    return True


def wait_until(what: str, seconds: float, ready: Callable[[], bool]) -> None:
    """Poll a condition; name it if it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not so after {seconds:.0f} s")
        time.sleep(0.2)


def unmount_below(*folders: Path) -> None:
    """Unmount everything in the folders, the innermost first."""
    points = [Path(line.split()[1]) for line in Path("/proc/mounts").read_text().splitlines()]
    for point in reversed(points):
        if any(point.is_relative_to(folder) for folder in folders):
            run("umount", "--lazy", point)
