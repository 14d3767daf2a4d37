"""The words of a demo, around those of `bucketops run`."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bucketops.demo.seeding import Amounts
from bucketops.demo.site import Reader

_SHOWN = 5
"""Wrong reads that are told one by one."""


class Telling:
    """Says what is done, on standard output."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._console = Console(highlight=False, markup=False, soft_wrap=True)

    def started(self, folder: Path) -> None:
        """Both servers answer."""
        self._step(f"a real S3 server (SeaweedFS) and a real PostgreSQL on loopback, in {folder}")

    @contextmanager
    def seeding(self, amounts: Amounts) -> Iterator[Callable[[int], None]]:
        """While the website is filled; what is given back takes the number of objects that are there."""
        columns = (TextColumn("  filling the website"), BarColumn(), MofNCompleteColumn())
        total = amounts.legacy + amounts.modern
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as progress:
            task = progress.add_task("", total=total)
            yield lambda count: progress.update(task, completed=count)
        self._step(
            f"a website: {amounts.legacy:,} avatars in legacy-s3, {amounts.modern:,} in production-s3, and "
            f"{amounts.rows:,} rows that name them"
        )

    def command(self) -> None:
        """The command that does the work, and the reader beside it."""
        self._say("• a visitor reads random rows and their pictures from now on")
        self._say("• bucketops run -f s3migration.yaml --secret avatars-s3=s3.env --secret avatars-db=db.env\n")

    def end(self, reader: Reader) -> None:
        """What the visitor saw, and what to type next."""
        seconds = time.monotonic() - self._began
        self._say(f"\nThe visitor made {reader.reads:,} random reads meanwhile, {len(reader.wrong)} of them wrong.")
        for wrong in reader.wrong[:_SHOWN]:
            self._say(f"  {wrong}")
        self._say(f"All of it took {seconds:.0f} s; both servers have ended, and their data is gone.\n")
        program = _program()
        for line in (
            "What to type next:",
            f"  {program} policy S3Migration -f FILE   the least rights that your own migration needs",
            f"  {program} run -f FILE --secret …       run it from here; begin with mode: Plan",
            "  make demo ENGINE=kind   the same in Kubernetes with MinIO (needs Docker, kind, kubectl and helm)",
            "  make demo ENGINE=host   the same in a Kubernetes that is built here first (needs a Debian and root)",
        ):
            self._say(line)

    def _step(self, text: str) -> None:
        now = time.monotonic()
        self._say(f"• {text} ({now - self._last:.0f} s)")
        self._last = now

    def _say(self, text: str) -> None:
        self._console.print(text)
        self._console.file.flush()


def _program() -> str:
    """Return how this program is called from here."""
    found, mine = shutil.which("bucketops"), Path(sys.argv[0]).absolute()
    if found and Path(found).absolute() == mine:
        return "bucketops"
    here = Path.cwd()
    return shlex.quote(str(mine.relative_to(here) if mine.is_relative_to(here) else mine))
