"""What people see while a run works: a live block on a terminal, a line per change elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TextIO

from rich.cells import cell_len
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from bucketops_api.reasons import Reason
from bucketops_operator.executor import Event, ObservedRun, Resource
from bucketops_operator.run import terminal
from bucketops_operator.run.drawing import Changes, Drawing, line, stamp
from bucketops_operator.run.speed import Speed
from bucketops_operator.run.view import View, ended, observe

Status = Mapping[str, Any]
_STARTED = "has started"
"""How messages end that the block shows better."""
_ENDS = {"Complete", "Failed", "Stalled"}
"""Conditions that end a run."""


class Display:
    """Shows how a resource's work goes. A stream that nobody reads any more ends no work."""

    def __init__(self, stream: TextIO, resource: Resource) -> None:
        self._resource = resource
        self._console, self._glyphs = terminal.console_of(stream), terminal.glyphs_of(stream)
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True) if terminal.is_live(stream) else None
        )
        self._drawing, self._changes, self._speed = Drawing(self._glyphs), Changes(), Speed()
        self._began = time.monotonic()
        self._said: set[str] = set()
        self._ended: set[str] = set()
        """Runs whose end has been told."""
        self._drawn: list[int] = []
        """Columns of each line that was drawn last."""

    @property
    def live(self) -> bool:
        """Whether this is a terminal whose lines can be written over."""
        return self._live is not None

    def __enter__(self) -> Self:
        with suppress(OSError):
            if self._live:
                self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            if self._live:
                self._live.stop()

    def show(self, status: Status, runs: Sequence[ObservedRun] = ()) -> None:
        """Show how it stands now."""
        now = datetime.now(UTC)
        view, seconds = observe(self._resource, status, runs, self._speed, now), time.monotonic() - self._began
        with suppress(OSError):
            if self._live:
                self._draw(self._live, view, seconds)
            elif (view.notes or (view.numbers and view.fraction != 0)) and self._changes.worth(view, seconds):
                self._print(f"{stamp(now)} {line(view, self._glyphs)}")

    def tell_ended(self, status: Status, runs: Sequence[ObservedRun]) -> None:
        """Say of each run that has gone well how long it took."""
        for run in status.get("runs", ()):
            if run["result"] == "Succeeded" and run["id"] not in self._ended:
                self._ended.add(run["id"])
                found = next((dict(seen.result.counts) for seen in runs if seen.run == run["id"]), {})
                self.say(ended(self._resource.kind, run, found, status, self._glyphs), style="green")

    def tell(self, event: Event, status: Status) -> None:
        """Say what an Event says, once, above the block; not what the end of the run says again on a terminal."""
        text = f"{event.reason}: {event.message}"
        ends = [c["message"] for c in status.get("conditions", ()) if c["type"] in _ENDS and c["status"] == "True"]
        shown = self._live and (event.message.endswith(_STARTED) or event.message in ends)
        if text in self._said or shown or event.reason == Reason.SUSPENDED:
            return
        self._said.add(text)
        self.say(text, style="yellow" if event.type == "Warning" else "")

    def say(self, text: str, *, style: str = "") -> None:
        """Say one sentence."""
        text = self._glyphs.plain(text)
        with suppress(OSError):
            if self._live:
                self._console.print(Text(text, style=style), overflow="fold")
            else:
                self._print(f"{stamp(datetime.now(UTC))} {text}", style)

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text.replace("\n", " "), style=style), soft_wrap=True)
        self._console.file.flush()

    def _draw(self, live: Live, view: View, seconds: float) -> None:
        block = self._drawing.block(view, seconds, self._console.width)
        self._erase_wrapped(self._console.width)
        live.update(block, refresh=True)
        rows = self._console.render_lines(block, pad=False)
        self._drawn = [sum(cell_len(part.text) for part in row) for row in rows]

    def _erase_wrapped(self, width: int) -> None:
        """Erase the lines that a terminal has made of longer ones since it is narrower; rich erases the others."""
        more = sum(max(0, math.ceil(drawn / width) - 1) for drawn in self._drawn)
        if more:
            up = [(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)]
            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up * more))
