"""Files that hold secrets: nobody else can read them, and nothing that stands in their way is followed."""

from __future__ import annotations

import os
from pathlib import Path

_MODE = 0o600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def create(file: Path, text: str) -> None:
    """Write a file that does not exist yet; FileExistsError for whatever stands there, links included."""
    descriptor = os.open(file, _NEW, _MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())


def replace(file: Path, text: str) -> None:
    """Write a file in place of what stands there; after a crash it holds the old text or the new one.

    A link at its name is replaced, and what it leads to stays as it is.
    """
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    create(fresh, text)
    fresh.replace(file)
