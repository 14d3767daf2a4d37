"""The folder of one `bucketops run`, Secrets and all: gone at its end, or after a SIGKILL at the next start.

A run (or a demo) holds a lock on its folder; the kernel releases it however the process ends (https://man7.org/linux/man-pages/
man2/flock.2.html). A folder that nobody holds is what a dead run left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "bucketops-run-"


@contextmanager
def workspace() -> Iterator[Path]:
    """A fresh folder that only this user can read; what dead runs of this user left behind is removed first."""
    with locked_folder(PREFIX, Path(tempfile.gettempdir())) as (folder, _):
        yield folder


@contextmanager
def locked_folder(prefix: str, parent: Path) -> Iterator[tuple[Path, int]]:
    """The same below `parent`, named by `prefix`; a process that inherits the lock holds the folder."""
    for folder in parent.glob(f"{prefix}*"):
        _remove_if_dead(folder)
    folder, lock = _fresh(prefix, parent)
    try:
        yield folder, lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _fresh(prefix: str, parent: Path) -> tuple[Path, int]:
    """A folder, locked. Another run may have taken it for a leftover right before the lock: then a new one."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):
            lock = _open(folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_if_dead(folder: Path) -> None:
    with suppress(OSError):  # in use, another user's, or gone meanwhile
        lock = _open(folder)
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
