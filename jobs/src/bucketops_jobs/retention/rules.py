"""Which folders stay, and by which rule: a union of keeps AND age. Pure; Plan and Apply both ask this function.

The keep rules are those of `restic forget`
(https://restic.readthedocs.io/en/stable/060_forget.html#removing-snapshots-according-to-a-policy): each looks at all
folders of a group by itself, newest first; a calendar rule keeps the newest of each period that has any, and the oldest
folder of all while it has periods left.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from bucketops_api.v1alpha1.retention import KeepRules, RetentionSpec
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.retention.ages import Aged, dater
from bucketops_jobs.retention.folders import Folder, Plan, Verdict
from bucketops_jobs.retention.names import matching

BEGUN = "begun by an earlier run: finished"
REMNANT = "deleted before: old versions are all that is left"
EMPTY = "no deployment: no object in it has content"
BEYOND = "beyond every keep rule"

Kept = Mapping[str, Sequence[str]]
"""By path, the rules that keep a folder."""


def plan(folders: Iterable[Folder], spec: RetentionSpec, now: datetime) -> Plan:
    """A verdict on each folder. `now` is the store's time."""
    by_path = {folder.path: folder for folder in sorted(folders, key=lambda folder: folder.path)}
    date, group = dater(spec.folders, spec.time_zone), grouper(spec.folders.group_by)
    aged = {path: date(folder) for path, folder in by_path.items()}
    kept = _kept_by_rank([a for a in aged.values() if a and _counts(a.folder)], group, spec)
    protected = _protection(spec)

    def judge(folder: Folder) -> Verdict:
        when = aged[folder.path]
        reasons = [*protected(folder), *kept.get(folder.path, ()), *_too_young(folder, when, spec, now)]
        return Verdict(
            folder,
            delete=not reasons,
            rules=tuple(reasons) or (_condemned(folder, spec),),
            group=group(folder.path),
            date=when.date if when else None,
        )

    return Plan([judge(folder) for folder in by_path.values()])


def grouper(pattern: str) -> Callable[[str], str]:
    """The group of a path: what the pattern's first group matches there; '' without a match."""
    compiled = re.compile(pattern) if pattern else None

    def group(path: str) -> str:
        found = compiled.search(path) if compiled else None
        return (found[1] or "") if found else ""

    return group


def glob(globs: Sequence[str]) -> Callable[[Folder], str | None]:
    """The first glob that matches a folder's path or its last segment."""
    each = [(text, matching([text])) for text in globs]

    def match(folder: Folder) -> str | None:
        return next((text for text, matches in each if matches(folder.path)), None)

    return match


def _counts(folder: Folder) -> bool:
    """Whether a folder is one that can be kept: a part of one is none, nor is what was deleted or holds no content."""
    return folder.deployed and not folder.begun


def _protection(spec: RetentionSpec) -> Callable[[Folder], Iterator[str]]:
    """What the user says of this very folder."""
    named = glob(spec.keep.names)

    def protected(folder: Folder) -> Iterator[str]:
        if found := named(folder):
            yield f"name {found}"
        if folder.pinned:
            yield f"marker {spec.keep.marker_key}"
        yield from (f"referenced by {key}" for key in folder.referenced_by)

    return protected


def _kept_by_rank(aged: Sequence[Aged], group: Callable[[str], str], spec: RetentionSpec) -> Kept:
    groups: dict[str, list[Aged]] = defaultdict(list)
    for one in aged:
        groups[group(one.folder.path)].append(one)
    kept: dict[str, list[str]] = defaultdict(list)
    for members in groups.values():
        for path, rule in (*_last(members, spec.keep.last), *_calendar(members, spec.keep, ZoneInfo(spec.time_zone))):
            kept[path].append(rule)
    return kept


def _last(members: Sequence[Aged], count: int) -> Iterator[tuple[str, str]]:
    newest_first = sorted(members, key=lambda one: one.order, reverse=True)
    for rank, one in enumerate(newest_first[:count], start=1):
        yield one.folder.path, f"last {rank} of {count}"


_PERIODS: Mapping[str, str] = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}


def _calendar(members: Sequence[Aged], keep: KeepRules, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    """Calendar rules go by date, even where versions order the folders."""
    newest_first = sorted(members, key=lambda one: (one.date, one.folder.path), reverse=True)
    for name, form in _PERIODS.items():
        count, seen = getattr(keep, name), set[str]()
        for one in newest_first:
            period = _in_zone(one.date, zone).strftime(form)
            if len(seen) < count and period not in seen:
                seen.add(period)
                yield one.folder.path, f"{name} {period}"
        if newest_first and len(seen) < count:
            yield newest_first[-1].folder.path, f"{name}: the oldest, with {count - len(seen)} left to keep"


def _in_zone(date: datetime, zone: ZoneInfo) -> datetime:
    """Return a date as it is there; as it is elsewhere, where the year would be 0 or 10000: names can say any."""
    try:
        return date.astimezone(zone)
    except OverflowError:
        return date


def _too_young(folder: Folder, aged: Aged | None, spec: RetentionSpec, now: datetime) -> Iterator[str]:
    """Whatever a name or a marker says, what was written lately is young."""
    if now - max(folder.newest, aged.date if aged else folder.newest) < parse_duration(spec.guards.min_age):
        yield f"younger than guards.minAge {spec.guards.min_age}"
    date = aged.date if aged and folder.current else folder.whole.newest
    if not aged and folder.current and not folder.begun:
        yield f"age unknown: folders.age is {spec.folders.age}, and it has none"
    elif spec.delete.older_than and now - date <= parse_duration(spec.delete.older_than):
        yield f"not older than {spec.delete.older_than}"


def _condemned(folder: Folder, spec: RetentionSpec) -> str:
    if folder.begun:
        return BEGUN
    if not folder.current:
        return REMNANT
    if not folder.content:
        return f"{EMPTY}, older than {spec.delete.older_than}" if spec.delete.older_than else EMPTY
    return f"older than {spec.delete.older_than}, {BEYOND}" if spec.delete.older_than else BEYOND
