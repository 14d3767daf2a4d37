"""The words of a demo, around the display of `bucketops run`; tests/demo.py has them for Kubernetes."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from bucketops.demo.site import Amounts, Reader
from bucketops_operator.executor import Resource
from bucketops_operator.run import terminal
from bucketops_operator.run.command import exit_code
from bucketops_operator.run.summary import Summary, ending
from bucketops_operator.run.words import duration, number

_SHOWN = 5
"""Wrong reads that are told one by one."""


class Telling:
    """Says what is done, on standard output."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._console, self._glyphs = terminal.console_of(sys.stdout), terminal.glyphs_of(sys.stdout)

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """Show what is done, as long as it takes; say what was done, and how long it took."""
        began = time.monotonic()
        with self._console.status(doing, spinner=self._glyphs.spinner):
            yield
        self._done(done, began)

    @contextmanager
    def seeding(self, amounts: Amounts) -> Iterator[Callable[[int], None]]:
        """While the website is filled; what is given back takes the number of objects that are there."""
        began, live = time.monotonic(), terminal.is_live(sys.stdout)
        columns = (SpinnerColumn(self._glyphs.spinner), TextColumn("website"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console, transient=True, disable=not live) as progress:
            task = progress.add_task("", total=amounts.legacy + amounts.modern)
            yield lambda count: progress.update(task, completed=count)
        words = f"{number(amounts.legacy)} avatars in legacy-s3, {number(amounts.modern)} in production-s3"
        self._done(f"website: {words}, {number(amounts.rows)} rows", began)

    def _done(self, text: str, began: float) -> None:
        line = Text(f"{self._glyphs.done} ", style="green")
        line.append(f"{text}, {duration(time.monotonic() - began)}", style="default")
        self._print(line)

    def end(self, resource: Resource, status: Mapping[str, Any], seconds: float, reader: Reader) -> int:
        """Say what came of the migration and what its reader saw; the exit code."""
        code = exit_code(status)
        end = ending(status, open_ends=bool(code))
        Summary(self._console, self._glyphs).result(resource, status, end, seconds)
        self.say(
            f"\nA visitor of the website read {number(reader.reads)} random pictures meanwhile, "
            f"{number(len(reader.wrong))} of them wrong."
        )
        for wrong in reader.wrong[:_SHOWN]:
            self.say(f"  {wrong}")
        return code or int(bool(reader.wrong))

    def what_next(self, lines: Sequence[tuple[str, str]]) -> None:
        """Say what to type next: commands, and what each does."""
        self.say("\nWhat to type next:")
        for command, purpose in lines:
            self.say(f"  {command}\n      {purpose}")

    def say(self, text: str) -> None:
        """Say one sentence, or more of them."""
        self._print(Text(self._glyphs.plain(text)))

    def _print(self, text: Text) -> None:
        self._console.print(text)
        self._console.file.flush()


def program() -> str:
    """Return how this program is called from here."""
    found, mine = shutil.which("bucketops"), Path(sys.argv[0]).absolute()
    if found and Path(found).absolute() == mine:
        return "bucketops"
    here = Path.cwd()
    return shlex.quote(str(mine.relative_to(here) if mine.is_relative_to(here) else mine))
