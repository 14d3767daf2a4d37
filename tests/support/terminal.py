"""A command in a terminal of its own, as a person has it: what it shows, keys that are typed, another size."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from types import TracebackType
from typing import Self

CTRL_C = b"\x03"
_ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
_PATIENCE = 120.0
"""Seconds until a test that waits for what never comes is ended."""


class Terminal:
    """Runs a command; `raw` is all that it has written, `text` the same without what moves the cursor or colours."""

    def __init__(self, command: list[str], *, columns: int = 80, rows: int = 40, **environment: str) -> None:
        self._master, slave = pty.openpty()
        self.resize(columns, rows)
        kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - so that Ctrl-C is a signal
            env={**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
        )
        os.close(slave)
        self.raw = self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size, as dragging a window's edge does."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until what it has shown matches."""
        deadline = time.monotonic() + _PATIENCE
        while (found := re.search(pattern, self.text)) is None:
            assert time.monotonic() < deadline, f"{pattern!r} never came: {self.text[-3000:]}"
            assert self._read() or re.search(pattern, self.text), f"{pattern!r} never came: {self.text[-3000:]}"
        return found

    def screen(self) -> list[str]:
        """Return the lines as they stand, with their colours: what was written over is gone.

        It knows what rich's live display writes: the cursor goes up line by line, each of which is erased.
        """
        lines = [""]
        for part in re.split(r"(\x1b\[1A|\x1b\[2K|\r\n|\r|\n)", self.raw):
            if part == "\x1b[1A":
                lines = lines[:-1] or [""]
            elif part == "\x1b[2K":
                lines[-1] = ""
            elif part == "\r\n":
                lines.append("")
            elif part not in {"\r", "\n"}:
                lines[-1] += part
        return [re.sub(r"\x1b\[[?0-9;]*[a-ln-zA-Z]", "", line) for line in lines]

    def end(self) -> int:
        """Wait for the end of the command and return its exit code."""
        while self._read():
            pass
        return self.process.wait(_PATIENCE)

    def _read(self) -> bool:
        """Take in what there is; False at the end."""
        if not select.select([self._master], [], [], 1.0)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # as Linux ends a terminal whose last user has gone
            return False
        self.raw += self._decoder.decode(data)
        self.text = _ESCAPE.sub("", self.raw)
        return bool(data)
