"""How old a folder is, and which of two is the newer one. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from bucketops_api.v1alpha1.retention import FolderRules
from bucketops_jobs.retention.folders import Folder

_ISO = re.compile(
    r"(\d{4})-?(\d{2})-?(\d{2})(?:[T_ -]?(\d{2})[:-]?(\d{2})(?:[:-]?(\d{2})(?:[.,]\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?"
)
_EPOCH = re.compile(r"\d{10}|\d{13}")
_SECONDS_DIGITS = 10
_END_OF_DAY = (23, 59, 59)
"""Of a name with a date alone, the end of that day counts: it is never taken for older than it is."""


@dataclass(frozen=True, slots=True)
class Aged:
    """A folder, the date from which its age counts, and what sorts it among others: the greater, the newer."""

    folder: Folder
    date: datetime
    order: tuple[Any, ...]


def dater(rules: FolderRules, time_zone: str) -> Callable[[Folder], Aged | None]:
    """How these rules date a folder; None for one whose age cannot be told. Ties go by path, the greater is newer.

    One that is half deleted has the date that it had when it was whole.
    """
    zone, pattern = ZoneInfo(time_zone), re.compile(rules.name_pattern)

    def by_name(folder: Folder) -> Aged | None:
        found = pattern.search(folder.path)
        groups = found.groupdict() if found else {}
        if when := parse_time(groups.get("time") or "", zone):
            return Aged(folder, when, (when, folder.path))
        version = version_key(groups.get("version") or "")
        return Aged(folder, folder.whole.last, (version, folder.path)) if version and not groups.get("time") else None

    def by_date(date: Callable[[Folder], datetime | None]) -> Callable[[Folder], Aged | None]:
        def aged(folder: Folder) -> Aged | None:
            when = date(folder.whole)
            return Aged(folder, when, (when, folder.path)) if when else None

        return aged

    return {
        "newest": by_date(lambda folder: folder.last),
        "oldest": by_date(lambda folder: folder.first),
        "marker": by_date(lambda folder: folder.marker),
        "name": by_name,
    }[rules.age]


def parse_time(text: str, zone: tzinfo) -> datetime | None:
    """An ISO date (with `-`, `_` or nothing where a key can hold no colon) or an epoch in s or ms; None if neither.

    A time without an offset is one of `zone`.
    """
    if _EPOCH.fullmatch(text):
        seconds = int(text) if len(text) == _SECONDS_DIGITS else int(text) / 1000
        return datetime.fromtimestamp(seconds, UTC)
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, offset = found.groups()
    clock = (int(hour), int(minute), int(second or 0)) if hour else _END_OF_DAY
    try:
        moment = datetime(int(year), int(month), int(day), *clock, tzinfo=zone)
        return datetime.fromisoformat(f"{moment:%Y-%m-%dT%H:%M:%S}{offset}") if offset else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def version_key(text: str) -> tuple[Any, ...]:
    """What sorts versions as https://semver.org/#spec-item-11 does, of any number of parts; empty if it is none."""
    found = re.fullmatch(r"v?(\d+(?:\.\d+)*)(?:-([^+]*))?(?:\+.*)?", text)
    if found is None:
        return ()
    release = [int(part) for part in found[1].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    pre = found[2]
    parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in (pre or "").split("."))
    return tuple(release), pre is None, parts
