"""Log lines: JSON for machines, text for people, the same fields in both."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from bucketops_api.logs import Formatter


def record(*, failed: bool = False) -> logging.LogRecord:
    error = None
    if failed:
        try:
            Path("/nowhere/at/all").read_bytes()
        except OSError:
            error = sys.exc_info()
    made = logging.LogRecord("bucketops", logging.INFO, __file__, 1, "shard %s is done …", (3,), error)
    made.created = 1_767_225_600.25
    made.run, made.counts = "avatars-2-copy", {"moved": 7}
    return made


def test_a_line_of_json_has_time_level_logger_message_and_the_extra_fields() -> None:
    assert json.loads(Formatter(text=False).format(record())) == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "bucketops",
        "message": "shard 3 is done …",
        "run": "avatars-2-copy",
        "counts": {"moved": 7},
    }


def test_a_traceback_is_one_field_of_one_line() -> None:
    line = Formatter(text=False).format(record(failed=True))
    assert "\n" not in line
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at/all'" in json.loads(line)["trace"]


def test_text_is_one_line_for_people_and_the_traceback_follows_it() -> None:
    first, *trace = Formatter(text=True).format(record(failed=True)).splitlines()
    assert first == "2026-01-01T00:00:00.250Z INFO    shard 3 is done … run=avatars-2-copy counts={'moved': 7}"
    assert trace[-1] == "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at/all'"


def test_a_field_that_is_no_json_is_told_as_text() -> None:
    made = record()
    made.when = {1, 2}
    assert json.loads(Formatter(text=False).format(made))["when"] == "{1, 2}"
