"""What the other end of a stream can show: colours, UTF-8, a live display.

NO_COLOR: https://no-color.org. CLICOLOR, CLICOLOR_FORCE: http://bixense.com/clicolors/. FORCE_COLOR, as others read it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from rich.console import Console

from bucketops_operator.run.words import ASCII, UNICODE, Glyphs

_COERCED = {"C.UTF-8", "C.utf8", "UTF-8"}
"""What Python puts into LC_CTYPE where the locale is C: https://peps.python.org/pep-0538/."""
_ENDLESS = 10_000
"""Columns of what is no terminal: its lines are searched by programs, and break nowhere."""
_BLANKS = re.compile(r" +$", re.MULTILINE)


def is_live(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether lines of a stream can be written over."""
    return stream.isatty() and environ.get("TERM", "").lower() not in {"", "dumb", "unknown"}


def glyphs_of(stream: TextIO, environ: Mapping[str, str] = os.environ) -> Glyphs:
    """Return the signs that a stream can show, by its encoding and the locale."""
    encoding = (getattr(stream, "encoding", "") or "utf-8").lower()
    named = [environ.get("LC_ALL"), environ.get("LC_CTYPE"), environ.get("LANG")]
    if not named[0] and named[1] in _COERCED:
        named[1] = ""
    locale = next(filter(None, named), "C").lower().replace("-", "")
    return UNICODE if "utf" in encoding and "utf8" in locale else ASCII


def console_of(stream: TextIO, environ: Mapping[str, str] = os.environ) -> Console:
    """Return a console that shows texts as they are: no markup, no words in colours of their own."""
    live, coloured = is_live(stream, environ), has_colours(stream, environ)
    file = Ascii(stream) if glyphs_of(stream, environ).ascii else Through(stream)
    if not stream.isatty():
        file = Unpadded(file)
    return _Console(
        file=file,  # type: ignore[arg-type]
        force_terminal=live or coloured,
        no_color=not coloured,
        width=None if stream.isatty() else _ENDLESS,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def has_colours(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a stream gets colours: what forbids them is stronger than what forces them."""

    def says(name: str) -> bool:
        return environ.get(name, "") not in {"", "0"}

    if environ.get("NO_COLOR"):
        return False
    if says("CLICOLOR_FORCE") or says("FORCE_COLOR"):
        return True
    return is_live(stream, environ) and environ.get("CLICOLOR", "1") != "0"


def complain(error: Exception) -> None:
    """Write what is wrong to stderr; it may quote a file, which is input."""
    sys.stderr.write(f"{glyphs_of(sys.stderr).plain(str(error))}\n")


class _Console(Console):
    """A console whose reader may go away: what is said then is heard by nobody, and the work goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        with suppress(OSError, ValueError):  # what is left in buffers would be an error at the end of the process
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)


class Through:
    """A stream behind another one; rich reads from `encoding` what it may write."""

    def __init__(self, stream: TextIO | Through) -> None:
        self._stream = stream
        self.encoding: str = stream.encoding

    def write(self, text: str) -> int:
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


class Ascii(Through):
    """Writes ASCII alone."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.encoding = "ascii"

    def write(self, text: str) -> int:
        return super().write(text.encode("ascii", "backslashreplace").decode())


class Unpadded(Through):
    """Ends each line where its words end: rich fills the lines of a block with blanks up to its longest."""

    def write(self, text: str) -> int:
        return super().write(_BLANKS.sub("", text))
