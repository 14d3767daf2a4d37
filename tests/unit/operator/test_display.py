"""What people see of `bucketops run`: a live block on a terminal, a line per change elsewhere."""

from __future__ import annotations

import io
import os
import pty
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bucketops_api import counts
from bucketops_api.contract import RunResult
from bucketops_operator.executor import Event, ObservedRun, Resource
from bucketops_operator.run import terminal
from bucketops_operator.run.display import Display
from bucketops_operator.run.drawing import EVERY_SECONDS, Changes, Drawing, line
from bucketops_operator.run.speed import WINDOW, Speed
from bucketops_operator.run.view import Note, View, observe
from bucketops_operator.run.words import ASCII, UNICODE, duration, packed

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MIGRATION = Resource("S3Migration", "default", "avatars", "1", 1, {"mode": "Apply", "cleanup": {"policy": "Delete"}})
RETENTION = Resource("S3Retention", "default", "old", "2", 1, {})
COPY = {"id": "avatars-2-copy", "phase": "copy", "result": "Running", "startedAt": NOW.isoformat()}
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def status(phase: str = "Copying", **more: Any) -> dict[str, Any]:
    progress = {"objectsTotal": 1000, "objectsDone": 300, "objectsCopied": 420, "rowsUpdated": 310}
    return {"phase": phase, "progress": progress, "runs": [COPY], **more}


def running(live: Mapping[str, int] | None = None, **more: Any) -> list[ObservedRun]:
    return [
        ObservedRun(run="avatars-2-copy", phase="copy", state="Running", shards=2, active=2, live=live or {}, **more)
    ]


def told(status: dict[str, Any], runs: Sequence[ObservedRun], speed: Speed | None = None) -> View:
    return observe(MIGRATION, status, runs, speed or Speed(), NOW)


def notes(view: View) -> list[str]:
    return [note.text for note in view.notes]


def condition(type_: str, message: str) -> dict[str, Any]:
    return {"conditions": [{"type": type_, "status": "True", "message": message}]}


def test_the_bar_counts_what_is_copied_before_its_chunk_is_done() -> None:
    view = told(status(), running())
    assert view.fraction == 0.42
    assert view.numbers == ("420 of 1,000 objects copied", "310 rows rewritten")


def test_a_rate_and_an_estimate_follow_from_the_last_seconds() -> None:
    speed = Speed()
    early = status() | {"progress": status()["progress"] | {"objectsDone": 200, "objectsCopied": 220, "bytesDone": 0}}
    observe(MIGRATION, early, running(), speed, NOW - timedelta(seconds=4))
    view = told(status() | {"progress": status()["progress"] | {"bytesDone": 4_000_000}}, running(), speed)
    assert view.speed == ("50/s", "1.0 MB/s", "12 s left")


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 10**9)), min_size=1, max_size=50))
def test_no_rate_is_negative_and_its_window_is_bounded(looks: list[tuple[float, int]]) -> None:
    speed, seconds = Speed(), 0.0
    for more, value in looks:
        seconds += more
        speed.look("run", seconds, {"objects": value})
        assert speed.of("objects") >= 0
    speed.look("run", seconds + 2 * WINDOW, {"objects": looks[-1][1]})
    speed.look("run", seconds + 3 * WINDOW, {"objects": looks[-1][1]})
    assert speed.of("objects") == 0


def test_another_run_has_a_rate_of_its_own() -> None:
    speed = Speed()
    speed.look("a", 0, {"objects": 0})
    speed.look("a", 5, {"objects": 500})
    speed.look("b", 6, {"objects": 0})
    assert speed.of("objects") == 0


def test_what_workers_wait_for_is_told_with_how_long() -> None:
    since = int(NOW.timestamp()) - 12
    view = told(status(), running({counts.waits("database", since): 1, counts.waits("store", since + 5): 2}))
    assert notes(view) == [
        "the database has not answered for 12 s (1 of 2 workers wait)",
        "the store has answered nothing but errors for 7 s (2 of 2 workers wait)",
    ]


def test_the_grace_is_told_with_what_is_left_of_it() -> None:
    soaking = status("Soaking", deleteAfter=(NOW + timedelta(seconds=14.5)).isoformat())
    soaking["runs"] = [COPY | {"result": "Succeeded"}]
    soaking |= condition("Reconciling", "legacy objects are deleted after 2026, if nobody writes there until then")
    assert notes(told(soaking, [])) == ["waiting for the grace: 15 s left, then what was moved is deleted"]


def test_slow_down_and_what_was_sent_again_are_told() -> None:
    speed = Speed()
    observe(MIGRATION, status(), running(), speed, NOW - timedelta(seconds=2))
    live = {counts.REQUESTS: 80, counts.THROTTLES: 20, counts.RETRIES: 1234}
    assert notes(told(status(), running(live), speed)) == [
        "the store answers SlowDown to 10 of 50 requests a second: fewer are sent at once",
        "1,234 requests were sent again after an error",
    ]


@pytest.mark.parametrize(
    ("type_", "message", "shown"),
    [
        ("Degraded", "sweep avatars-3 still changed 5 objects", "sweep avatars-3 still changed 5 objects"),
        ("Reconciling", "shard 0 is tried again: killed by SIGKILL", "shard 0 is tried again: killed by SIGKILL"),
        ("Reconciling", "run a-1-copy: 1 of 4 shards are done", ""),
        ("Reconciling", "begins", ""),
        ("Ready", "well", ""),
    ],
)
def test_what_else_is_in_the_way_is_shown(type_: str, message: str, shown: str) -> None:
    assert notes(told(status() | condition(type_, message), running())) == list(filter(None, [shown]))


@pytest.mark.parametrize(
    ("phase", "found", "words"),
    [
        ("preflight", {"total": 1500}, ("1,500 objects found",)),
        ("sweep", {"objects/moved": 400, "objects/ignored": 100}, ("500 of 1,000 objects looked at again",)),
        ("delete", {"deleted": 250}, ("250 of 1,000 objects deleted",)),
        ("audit", {"objects/moved": 999}, ("999 of 1,000 objects audited",)),
        ("preflight", {}, ()),
    ],
)
def test_each_phase_has_numbers_of_its_own(phase: str, found: dict[str, int], words: tuple[str, ...]) -> None:
    run = COPY | {"id": f"avatars-2-{phase}", "phase": phase}
    seen = ObservedRun(run=run["id"], phase=phase, state="Running", shards=1, active=1, live=found)
    assert told(status() | {"runs": [run]}, [seen]).numbers == words


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
VIEWS = st.builds(
    View,
    phase=st.sampled_from(["Copying", "Preflight", "Suspended", "Sweeping"]),
    steps=st.sampled_from([(), ("Preflight", "Copying", "Sweeping", "Soaking", "Deleting", "Auditing")]),
    fraction=st.none() | st.floats(0, 1),
    numbers=st.lists(WORDS, max_size=3).map(tuple),
    speed=st.lists(WORDS, max_size=3).map(tuple),
    notes=st.lists(st.builds(Note, WORDS, WORDS), max_size=3).map(tuple),
)


@given(VIEWS, st.integers(20, 160), st.integers(0, 10**6), st.booleans())
def test_no_line_is_longer_than_the_terminal_is_wide(view: View, width: int, seconds: int, plain: bool) -> None:
    glyphs = ASCII if plain else UNICODE
    stream = io.StringIO()
    file: Any = terminal.Ascii(stream) if plain else stream
    console = Console(file=file, width=width, force_terminal=True, color_system=None, markup=False, emoji=False)
    console.print(Drawing(glyphs).block(view, seconds, width))
    shown = ESCAPE.sub("", stream.getvalue())
    assert all(cell_len(row) <= width for row in shown.split("\n"))
    assert all(c.isprintable() for c in shown.replace("\n", ""))
    assert shown.isascii() or not plain


@given(VIEWS)
def test_a_log_line_is_one_line_without_signs_that_play_tricks(view: View) -> None:
    assert all(c.isprintable() for c in line(view, UNICODE))
    assert line(view, ASCII).isascii()


@given(st.lists(st.text("ab c", min_size=1, max_size=12), max_size=8), st.integers(1, 40))
def test_parts_are_packed_and_never_broken(parts: list[str], width: int) -> None:
    rows = packed(parts, " - ", width)
    assert " - ".join(rows) == " - ".join(parts)
    assert all(len(row) <= width or row in parts for row in rows)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (12.9, "12 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (273600, "3 d 4 h"),
        (-3, "0 s"),
    ],
)
def test_times_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_log_has_a_line_per_change_and_none_for_each_look() -> None:
    changes, view = Changes(), View("Copying", fraction=0.42, numbers=("420",))
    assert changes.worth(view, 0)
    assert not changes.worth(view, 100)
    little = View("Copying", fraction=0.43, numbers=("430",))
    assert not changes.worth(little, 1)
    assert changes.worth(little, EVERY_SECONDS)
    assert changes.worth(View("Copying", fraction=0.53, numbers=("530",)), EVERY_SECONDS + 1)
    assert changes.worth(View("Sweeping"), EVERY_SECONDS + 2)
    waits = View("Sweeping", notes=(Note("database", "for 1 s"),))
    assert changes.worth(waits, EVERY_SECONDS + 3)
    assert not changes.worth(View("Sweeping", notes=(Note("database", "for 2 s"),)), EVERY_SECONDS + 4)
    assert changes.worth(View("Sweeping"), EVERY_SECONDS + 5)


def test_elsewhere_each_change_is_one_line_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    file = io.StringIO()
    with Display(file, MIGRATION) as shown:
        for _ in range(3):
            shown.show(status(), running())
    (only,) = file.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ Copying 42%: 420 of 1,000 objects copied, 310 .*", only)


def test_a_warning_that_comes_twice_is_told_once() -> None:
    file = io.StringIO()
    with Display(file, MIGRATION) as shown:
        for _ in range(2):
            shown.tell(Event("PreflightWarning", "mind this", "Warning"), {})
    assert file.getvalue().count("mind this") == 1


HOSTILE = "a [/red] [bold]key[/bold] \x1b[2J\x1b]0;title\x07 \u202egnp.exe :smiley:"


def test_what_stands_in_a_bucket_plays_no_tricks_on_a_terminal() -> None:
    """Markup of rich would be taken out, or end the run with an error; escapes would clear the screen."""
    file = io.StringIO()
    with Display(file, MIGRATION) as shown:
        shown.tell(Event("PreflightWarning", HOSTILE, "Warning"), {})
    said = file.getvalue().partition("PreflightWarning: ")[2]
    assert "[/red] [bold]key[/bold]" in said
    assert ":smiley:" in said
    assert all(c.isprintable() or c == "\n" for c in said)


class Gone(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_stream_that_nobody_reads_any_more_ends_no_work() -> None:
    with Display(Gone(), MIGRATION) as shown:
        shown.show(status(), running())
        shown.say("a word")


def seen_on(master: int, end: str) -> str:
    """All that was written to a terminal, which hands it on in pieces, up to a last word."""
    seen = b""
    while end.encode() not in seen:
        seen += os.read(master, 1 << 16)
    return seen.decode()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "LC_ALL", "LC_CTYPE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", "LANG": "en_US.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def on_a_terminal() -> str:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as end:
        with Display(end, MIGRATION) as shown:
            shown.tell(Event("Copying", "run avatars-2-copy has started"), {})
            shown.tell(Event("PreflightWarning", "mind this", "Warning"), {})
            shown.show(status(), running())
        end.write("THE END")
        end.flush()
        seen = seen_on(master, "THE END")
    os.close(master)
    return seen


@pytest.mark.usefixtures("screen")
def test_a_terminal_shows_a_bar_with_percent_and_the_phases() -> None:
    seen = ESCAPE.sub("", on_a_terminal())
    assert re.search(r"Copying ━+.* +42% 0:00:0\d", seen), seen
    assert "Preflight → Copying → Sweeping → Soaking → Deleting → Auditing" in seen
    assert "PreflightWarning: mind this" in seen
    assert "has started" not in seen


def test_no_color_means_no_colour(screen: pytest.MonkeyPatch) -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9][;m]")
    assert coloured.search(on_a_terminal())
    screen.setenv("NO_COLOR", "1")
    assert not coloured.search(on_a_terminal())


def test_a_dumb_terminal_gets_plain_lines(screen: pytest.MonkeyPatch) -> None:
    screen.setenv("TERM", "dumb")
    seen = on_a_terminal()
    assert not ESCAPE.search(seen)
    assert "Copying 42%: 420 of 1,000 objects copied" in seen


def test_without_utf_8_all_is_ascii(screen: pytest.MonkeyPatch) -> None:
    screen.setenv("LANG", "C")
    screen.setenv("LC_CTYPE", "C.UTF-8")  # as Python sets it then
    assert on_a_terminal().isascii()


TTY = {"TERM": "xterm", "LANG": "C.UTF-8"}


@pytest.mark.parametrize(
    ("environ", "tty", "coloured", "live"),
    [
        (TTY, True, True, True),
        (TTY, False, False, False),
        (TTY | {"NO_COLOR": "1"}, True, False, True),
        (TTY | {"NO_COLOR": ""}, True, True, True),
        (TTY | {"CLICOLOR": "0"}, True, False, True),
        (TTY | {"CLICOLOR_FORCE": "1"}, False, True, False),
        (TTY | {"FORCE_COLOR": "1"}, False, True, False),
        (TTY | {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False, False),
        (TTY | {"TERM": "dumb"}, True, False, False),
        ({"LANG": "C.UTF-8"}, True, False, False),
    ],
)
def test_colours_and_liveness_follow_the_conventions(
    environ: dict[str, str], tty: bool, coloured: bool, live: bool
) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: tty  # type: ignore[method-assign]
    assert (terminal.has_colours(stream, environ), terminal.is_live(stream, environ)) == (coloured, live)


@pytest.mark.parametrize(
    ("environ", "encoding", "unicode"),
    [
        ({"LANG": "de_DE.UTF-8"}, "utf-8", True),
        ({"LANG": "C.utf8"}, "utf-8", True),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, "utf-8", False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "utf-8", False),
        ({"LANG": "", "LC_CTYPE": "en_US.UTF-8"}, "utf-8", True),
        ({"LANG": "de_DE.UTF-8"}, "iso-8859-1", False),
        ({}, "utf-8", False),
    ],
)
def test_signs_beyond_ascii_need_an_encoding_and_a_locale(
    environ: dict[str, str], encoding: str, unicode: bool
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert (terminal.glyphs_of(stream, environ) is UNICODE) == unicode


def test_a_run_that_went_well_is_told_with_what_it_did_and_how_long_it_took() -> None:
    file = io.StringIO()
    done = COPY | {"result": "Succeeded", "completedAt": (NOW + timedelta(seconds=24)).isoformat()}
    seen = ObservedRun(
        run=COPY["id"], phase="copy", state="Succeeded", shards=2, succeeded=2, result=RunResult(counts={"done": 1000})
    )
    with Display(file, MIGRATION) as shown:
        for _ in range(2):
            shown.tell_ended(status("Sweeping", runs=[done]), [seen])
    assert file.getvalue().count("copy: 420 of 1,000 objects copied, 310 rows rewritten, 24 s") == 1


@pytest.mark.usefixtures("screen")
def test_what_ends_a_run_is_told_by_its_end_alone_on_a_terminal() -> None:
    ended = status() | condition("Stalled", "a table is missing")
    file = io.StringIO()
    for live in (False, True):
        file.isatty = lambda live=live: live  # type: ignore[method-assign]
        with Display(file, MIGRATION) as shown:
            shown.tell(Event("TableNotFound", "a table is missing", "Warning"), ended)
    assert file.getvalue().count("a table is missing") == 1
