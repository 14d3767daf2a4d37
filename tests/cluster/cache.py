"""Things made at most once: kept under a name that tells what they were made from."""

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shell import say

IGNORED = {"__pycache__"}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for others; the kernel lets go of it when a process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"… waiting for another run that holds {path}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cached(target: Path, make: Callable[[Path], None]) -> Path:
    """The target; if missing, made under another name and renamed, so a killed build leaves no half of it."""
    if target.exists():
        return target
    with locked(target.with_name(f".{target.name}.lock")):
        if not target.exists():
            partial = target.with_name(f".{target.name}.partial")
            remove(partial)
            make(partial)
            partial.rename(target)
    return target


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def digest_of(*parts: str | Path) -> str:
    """A short digest of texts and of files' contents (folders: every file in them, with its name)."""
    total = hashlib.sha256()
    for part in parts:
        for name, content in _contents(part):
            total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:12]


def _contents(part: str | Path) -> Iterator[tuple[str, bytes]]:
    if isinstance(part, str):
        yield "", part.encode()
    elif part.is_dir():
        for file in sorted(part.rglob("*")):
            if file.is_file() and not IGNORED.intersection(file.parts):
                yield str(file.relative_to(part)), file.read_bytes()
    else:
        yield part.name, part.read_bytes() if part.exists() else b""
