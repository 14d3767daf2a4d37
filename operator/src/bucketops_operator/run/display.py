"""What people see while a run works: a bar with rate and ETA on a terminal, a line per change elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TextIO

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

Status = Mapping[str, Any]
_RUN = "run "
"""How a message begins that says how far a run is; what it waits for follows."""
_GETS_ON = ("begins", "spec.suspend is")
"""How messages begin that say nothing of a wait."""


class Display:
    """Shows a status; `say` tells one Event."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description:10}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[numbers]}"),
            TextColumn("{task.fields[waiting]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("Pending", total=100, numbers="", waiting="")
        self._last = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, status: Status) -> None:
        """The status as it is now."""
        progress = status.get("progress", {})
        phase, numbers = str(status.get("phase", "Pending")), describe(progress)
        self._bar.update(self._task, description=phase, completed=progress.get("percent", 0), numbers=numbers)
        self._bar.update(self._task, waiting=waiting(status))
        line = "  ".join(filter(None, (f"{phase:10} {progress.get('percent', 0):3} %", numbers, waiting(status))))
        if not self._console.is_terminal and line != self._last:
            self._console.print(line, soft_wrap=True)
        self._last = line

    def say(self, text: str) -> None:
        """One sentence above the bar."""
        self._console.print(text, soft_wrap=True)


def waiting(status: Status) -> str:
    """What is in the way of the work: a database that does not answer, a shard that is tried again."""
    held = {c["type"]: c.get("message", "") for c in status.get("conditions", ()) if c["status"] == "True"}
    found = str(held.get("Degraded") or held.get("Reconciling") or "")
    if found.startswith(_RUN):
        return found.partition("; ")[2]
    return "" if found.startswith(_GETS_ON) else found


def describe(progress: Mapping[str, Any]) -> str:
    """Numbers of a progress in words; some kinds have none."""
    if not progress:
        return ""
    parts = [f"{progress.get('objectsDone', 0)} of {progress.get('objectsTotal', 0)} objects"]
    if progress.get("objectsDeleted"):
        parts.append(f"{progress['objectsDeleted']} deleted")
    if progress.get("objectsPerSecond"):
        parts.append(f"{progress['objectsPerSecond']}/s")
    if progress.get("etaSeconds"):
        parts.append(f"{progress['etaSeconds']} s left")
    return ", ".join(parts)


def result(status: Status, form: str, stream: TextIO) -> None:
    """The final status, for programs (json, yaml) or people (table)."""
    if form == "json":
        stream.write(json.dumps(status, indent=2) + "\n")
    elif form == "yaml":
        stream.write(yaml.safe_dump(dict(status), sort_keys=False))
    else:
        Console(file=stream, highlight=False).print(_table(status))


def _table(status: Status) -> Table:
    table = Table(box=None, show_header=False)
    for section in ("outcomes", "rowOutcomes", "removal"):
        for name, amount in status.get(section, {}).items():
            table.add_row(section, name, str(amount))
    for when, census in status.get("audit", {}).items():
        for name, amount in census.items():
            table.add_row(f"audit {when}", name, str(amount))
    if report := status.get("report"):
        table.add_row("report", report)
    _access(table, status)
    for sample in status.get("samples", ()):
        table.add_row(f"{sample['outcome']}", sample["key"], sample.get("message", ""))
    return table


def _access(table: Table, status: Status) -> None:
    for place in status.get("access", ()):
        for call, expected in place["expected"].items():
            where = f"{place['bucket']}/{place.get('prefix', '')}"
            table.add_row(where, call, f"{expected.lower()} {place['seen'][call]}")
