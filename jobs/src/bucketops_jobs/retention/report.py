"""The plan and the report: a line per folder with its age, objects, bytes, verdict and the rule that decided it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from bucketops_jobs.errors import ItemError, UserError
from bucketops_jobs.records import DAMAGED, Records
from bucketops_jobs.retention import guards
from bucketops_jobs.retention.folders import Outcome, Plan, Verdict
from bucketops_jobs.retention.guards import Identity
from bucketops_jobs.retention.removal import Removed

KEPT = 100
"""Plans, and as many reports."""
MOST_LINES, MOST_TEXT = 1_000_000, 64 << 20
"""Folders of a plan that can be approved, and characters of the names of those that go: what is larger is not read."""
PLANS, REPORTS = "plans/", "reports/"
Line = dict[str, Any]


def line(verdict: Verdict, outcome: Outcome, now: datetime, message: str = "") -> Line:
    """One folder as people and programs read it."""
    folder, date, known = verdict.folder, verdict.date, guards.identity(verdict.folder)
    return {
        "folder": folder.path,
        "verdict": outcome,
        "rule": verdict.rule,
        "date": date.isoformat() if date else None,
        "ageDays": round((now - date).total_seconds() / 86400, 2) if date else None,
        "newest": folder.newest.isoformat(),
        "objects": folder.objects,
        "bytes": folder.bytes,
    } | {
        name: value
        for name, value in (
            ("group", verdict.group),
            ("rules", list(verdict.rules[1:])),
            ("empty", folder.current and not folder.content),
            ("was", known[1:] if folder.was else None),
            ("message", message),
        )
        if value
    }


def planned(plan: Plan, now: datetime) -> Iterator[Line]:
    """What would become of each folder."""
    for verdict in plan.verdicts:
        yield line(verdict, Outcome.PLANNED if verdict.delete else Outcome.KEPT, now)


def done(plan: Plan, removed: Iterable[Removed], now: datetime) -> Iterator[Line]:
    """What became of each folder."""
    ends: Mapping[str, Removed] = {one.verdict.folder.path: one for one in removed}
    for verdict in plan.verdicts:
        end = ends.get(verdict.folder.path)
        yield line(verdict, end.outcome, now, end.message) if end else line(verdict, Outcome.KEPT, now)


def write(records: Records, below: str, digest: str, lines: Iterable[Line], now: datetime) -> str:
    """Write one, forget the oldest, and answer the key."""
    name = f"{below}{now:%Y%m%dT%H%M%SZ}-{digest}.ndjson.gz"
    records.write_lines(name, lines)
    keys = list(records.keys(below))
    records.store.remove(keys[: max(0, len(keys) - KEPT)])
    return records.folder + name


def approved(records: Records, digest: str) -> frozenset[Identity] | None:
    """The folders of a plan that was approved; None if no such plan is among the records as it was written.

    Whoever may write to the bucket may write plans too: one counts only if its folders make the hash that was approved.
    """
    keys = [key for key in records.keys(PLANS) if key.endswith(f"-{digest}.ndjson.gz")] if digest else []
    for key in keys[-KEPT:]:
        try:
            going = frozenset(_going(records.read_lines(key)))
            if guards.digest(going) == digest:
                return going
        except (ItemError, UserError, *DAMAGED):
            continue
    return None


def _going(lines: Iterable[Line]) -> Iterator[Identity]:
    """The folders that a plan removes, as they were then; of one that had been begun, as it was when it was whole.

    ValueError for a plan larger than any of ours: a file of 128 MiB can unpack into more lines than a worker can hold.
    """
    room = MOST_TEXT
    for number, one in enumerate(lines):
        if one["verdict"] == Outcome.PLANNED:
            newest, objects, size = one.get("was") or (one["newest"], one["objects"], one["bytes"])
            room -= len(one["folder"]) + len(newest)
            yield one["folder"], newest, int(objects), int(size)
        if number >= MOST_LINES or room < 0:
            raise ValueError(
                f"a plan of more than {MOST_LINES} folders or {MOST_TEXT >> 20} MiB of names: none of ours"
            )
