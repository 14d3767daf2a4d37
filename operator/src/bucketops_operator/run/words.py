"""Numbers, times and foreign texts as people read them in a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Glyphs:
    """Signs that a terminal can show."""

    done: str = "✓"
    failed: str = "✗"
    warning: str = "!"
    apart: str = " · "
    then: str = " → "
    spinner: str = "dots"
    ascii: bool = False

    def plain(self, text: str) -> str:
        """Return a text whose characters each show one sign: what could play tricks on a terminal is escaped.

        Keys, paths and messages of servers are input. Without UTF-8 everything beyond ASCII is escaped as well.
        """
        if self.ascii:
            text = text.translate(_IN_ASCII).encode("ascii", "backslashreplace").decode()
        return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


_IN_ASCII = str.maketrans({"…": "...", "·": "-", "→": "->"})
UNICODE = Glyphs()
ASCII = Glyphs("ok", "x", "!", " - ", " > ", "line", ascii=True)


def duration(seconds: float) -> str:
    """Return seconds as `12 s`, `3 min 5 s`, `2 h 10 min` or `3 d 4 h`."""
    whole = max(0, int(seconds))
    for unit, name, lower, lesser in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // lower
            return f"{whole // unit} {name}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def number(amount: float) -> str:
    """Return a whole number with commas between thousands."""
    return f"{round(amount):,}"


def packed(parts: Sequence[str], apart: str, width: int) -> list[str]:
    """Return the parts in as few lines as hold them, broken between parts alone; a longer part is a line of its own."""
    lines: list[str] = []
    for part in parts:
        if lines and cell_len(lines[-1]) + cell_len(apart) + cell_len(part) <= width:
            lines[-1] += apart + part
        else:
            lines.append(part)
    return lines


def rate(amount: float) -> str:
    """Return what happens in a second; below ten with a decimal."""
    return f"{amount:.1f}" if amount < 10 else number(amount)  # noqa: PLR2004 - one more digit says nothing
