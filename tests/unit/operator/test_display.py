"""What people see of `bucketops run`: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import os
import pty
import re

import pytest

from bucketops_operator.run.display import Display

STATUS = {
    "phase": "Copying",
    "progress": {"percent": 42, "objectsDone": 420, "objectsTotal": 1000, "objectsPerSecond": 60, "etaSeconds": 10},
}


def shown_on(master: int, end: str) -> str:
    """All that was written to a terminal, which hands it on in pieces, up to a last word."""
    seen = b""
    while end.encode() not in seen:
        seen += os.read(master, 1 << 16)
    return seen.decode()


def test_a_terminal_shows_a_bar_with_percent_rate_and_eta(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        with Display(terminal) as shown:
            shown.show(STATUS)
            shown.say("Copying: run avatars-2-copy has started")
        terminal.flush()
        seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown_on(master, "10 s left"))
    os.close(master)
    assert re.search(r"Copying +━+.* 42% 420 of 1000 objects, 60/s, 10 s left", seen), seen
    assert "run avatars-2-copy has started" in seen


def test_elsewhere_each_change_is_one_line() -> None:
    file = io.StringIO()
    with Display(file) as shown:
        for _ in range(3):
            shown.show(STATUS)
    assert file.getvalue().splitlines() == ["Copying     42 %  420 of 1000 objects, 60/s, 10 s left"]


def with_condition(type_: str, message: str) -> dict[str, object]:
    return {**STATUS, "conditions": [{"type": type_, "status": "True", "message": message}]}


@pytest.mark.parametrize(
    ("type_", "message", "shown"),
    [
        ("Degraded", "waits for the database, since 12:00", "waits for the database, since 12:00"),
        ("Reconciling", "run a-1-copy: 1 of 4 shards are done; waits for replicas", "waits for replicas"),
        ("Reconciling", "shard 0 is tried again: killed by SIGKILL", "shard 0 is tried again: killed by SIGKILL"),
        ("Reconciling", "run a-1-copy: 1 of 4 shards are done", ""),
        ("Reconciling", "begins", ""),
        ("Ready", "well", ""),
    ],
)
def test_what_is_in_the_way_is_shown(type_: str, message: str, shown: str) -> None:
    stream = io.StringIO()
    with Display(stream) as display:
        display.show(with_condition(type_, message))
    line = stream.getvalue().strip()
    assert line.endswith(f"10 s left  {shown}" if shown else "10 s left")
