"""Dates as servers tell them -> times that can be compared and reckoned with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9000, 1, 1, tzinfo=UTC)
"""Later times leave no room for a grace; no status takes them either."""


def listed(texts: Sequence[str]) -> list[datetime]:
    """The times of a listing (ISO 8601); ValueError where one is none, names no zone, or lies beyond the calendar."""
    times = list(map(datetime.fromisoformat, texts))
    try:
        if max(times, default=_BEGIN) < _END:
            return times
    except TypeError:
        pass  # one that names no zone compares with no other
    wrong = next(text for text, time in zip(texts, times, strict=True) if time.tzinfo is None or time >= _END)
    raise ValueError(f"{wrong!r} is no time with a zone before the year {_END.year} (LastModified)")


def http(text: str) -> datetime:
    """The time of a header, in UTC where it names no zone; ValueError where it is none.

    https://www.rfc-editor.org/rfc/rfc9110#name-date-time-formats
    """
    time = parsedate_to_datetime(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
