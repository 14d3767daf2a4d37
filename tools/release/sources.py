"""What is released: the files that git knows, in a folder of their own, and the date of the last commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

EPOCH = "SOURCE_DATE_EPOCH"
"""Seconds since 1970 that every file of a release bears: https://reproducible-builds.org/specs/source-date-epoch/."""


def epoch(root: Path) -> int:
    """Return SOURCE_DATE_EPOCH, or the time of the last commit."""
    return int(os.environ.get(EPOCH) or _git(root, "log", "-1", "--format=%ct"))


def revision(root: Path) -> str:
    """Return the commit, with -dirty if files differ from it."""
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return _git(root, "rev-parse", "HEAD").strip() + ("-dirty" if changed else "")


def export(root: Path, into: Path) -> None:
    """Copy the files that git knows, as they are now; nothing else that lies about gets into a release."""
    for name in filter(None, _git(root, "ls-files", "-z").split("\0")):
        source, target = root / name, into / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout
