"""A view as a block of lines for a terminal, or as one line for a log. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Column, Table
from rich.text import Text

from bucketops_operator.run.view import View
from bucketops_operator.run.words import Glyphs, packed

BAR_LEAST, BAR_MOST = 4, 60
"""Columns; a shorter bar says nothing."""
_GAPS = 6
"""Columns between and around the parts of the bar's line, the spinner among them."""
_STEPS_FROM = 60
"""Columns that a terminal needs for the phases in one line."""


@dataclass
class Drawing:
    """Draws views; it keeps the spinner, whose frames follow the clock."""

    glyphs: Glyphs
    _spinner: Spinner = field(init=False)

    def __post_init__(self) -> None:
        self._spinner = Spinner(self.glyphs.spinner, style="cyan")

    def block(self, view: View, seconds: float, width: int) -> RenderableType:
        """Return a bar, the numbers, and what is in the way; no line is longer than `width`."""
        lines: list[RenderableType] = [self._bar(view, seconds, width)]
        lines += [self._text(told) for told in packed((*view.numbers, *view.speed), self.glyphs.apart, width)]
        lines += [self._text(note.text, "yellow" if note.kind else "dim") for note in view.notes]
        if view.steps and width >= _STEPS_FROM:
            lines.append(self._steps(view))
        return Group(*lines)

    def _bar(self, view: View, seconds: float, width: int) -> RenderableType:
        """Return the line with the bar; in a narrow terminal first the bar goes, then the clock."""
        clock = f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
        percent = f"{view.fraction:4.0%}" if view.fraction is not None else "    "
        room = width - sum(map(len, (view.phase, percent, clock))) - _GAPS
        row: list[RenderableType] = [self._spinner, Text(self.glyphs.plain(view.phase), style="bold")]
        if room >= BAR_LEAST:
            row.append(_progress_bar(view.fraction, min(BAR_MOST, room), seconds))
        row += [Text(percent), *([Text(clock, style="dim")] if room >= 0 else [])]
        table = Table.grid(*(Column(no_wrap=True, overflow="crop") for _ in row), padding=(0, 1, 0, 0))
        table.add_row(*row)
        return table

    def _text(self, text: str, style: str = "") -> Text:
        return Text(self.glyphs.plain(text), style=style, overflow="fold")

    def _steps(self, view: View) -> Text:
        now = view.steps.index(view.phase) if view.phase in view.steps else -1
        styles = ("green" if n < now else "bold" if n == now else "dim" for n in range(len(view.steps)))
        parts = [Text(step, style=style) for step, style in zip(view.steps, styles, strict=True)]
        return Text(self.glyphs.then, style="dim").join(parts)


def line(view: View, glyphs: Glyphs) -> str:
    """Return a view in one line, for logs."""
    percent = f" {view.fraction:.0%}" if view.fraction is not None else ""
    told = ", ".join((*view.numbers, *view.speed))
    notes = "".join(f"; {note.text}" for note in view.notes)
    return glyphs.plain(f"{view.phase}{percent}{': ' if told else ''}{told}{notes}").replace("\n", " ")


def _progress_bar(fraction: float | None, width: int, seconds: float) -> ProgressBar:
    """Return the bar; it pulses while nobody knows how much there is."""
    if fraction is None:
        return ProgressBar(total=None, width=width, pulse=True, animation_time=seconds)
    return ProgressBar(total=1.0, completed=fraction, width=width)


EVERY_SECONDS, EVERY_PERCENT = 30.0, 10
"""A log has a line more when so much time is over, or so much more is done."""


@dataclass
class Changes:
    """Which views are worth a line of a log: another phase, another wait, a good deal more that is done."""

    _known: tuple[str, Sequence[str]] | None = None
    _numbers: tuple[str, ...] = ()
    _percent: int = 0
    _at: float = 0.0

    def worth(self, view: View, seconds: float) -> bool:
        """Return whether to write a line about a view, `seconds` after the begin."""
        known = view.phase, [note.kind for note in view.notes if note.kind]
        percent = round(100 * view.fraction) if view.fraction is not None else 0
        moved = view.numbers != self._numbers
        due = moved and (seconds - self._at >= EVERY_SECONDS or percent >= self._percent + EVERY_PERCENT)
        if known == self._known and not due:
            return False
        self._known, self._numbers, self._percent, self._at = known, view.numbers, percent, seconds
        return True


def stamp(now: datetime) -> str:
    """Return a time as logs have it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
