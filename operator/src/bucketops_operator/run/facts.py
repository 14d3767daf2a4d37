"""The numbers that a person wants of a resource when its run has ended, as tables of text. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rich import filesize

from bucketops_operator.executor import Resource
from bucketops_operator.run.words import duration, number, rate

Status = Mapping[str, Any]
Row = tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """A table: its first column says what, the others have a head each."""

    heads: Sequence[str]
    rows: Sequence[Row]
    justify: Literal["left", "right"] = "right"


def facts_of(resource: Resource, status: Status) -> list[Facts]:
    """Return the tables of a kind that have something in them."""
    return [facts for facts in _KINDS[resource.kind](resource.spec, status) if facts.rows]


def _migration(spec: Status, status: Status) -> Iterator[Facts]:
    audit = status.get("audit", {})
    before, after = audit.get("before"), audit.get("after")
    if before and after:
        yield Facts(("before", "after"), [_census(spec, field, before, after) for field in _census_fields(spec)])
    objects, rows = status.get("outcomes", {}), status.get("rowOutcomes", {})
    others = [amount for found in (objects, rows) for name, amount in found.items() if name not in _AS_MEANT]
    if any(others) or not after:
        would = _WOULD if status.get("phase") == "Planned" else {}
        yield Facts(("",), [*_counted(objects, _OBJECTS | would), *_counted(rows, _ROWS | would)])


_CENSUS = {
    "legacyObjects": ("objects in {}", "source"),
    "productionObjects": ("objects in {}", "destination"),
    "legacyRows": ("rows with a legacy path", ""),
    "danglingRows": ("rows that name no object", ""),
}
_AS_MEANT = {"moved", "already", "rewritten"}
"""Outcomes that the sentence about the run has."""
_OBJECTS = {
    "moved": "objects moved",
    "already": "objects that were there already",
    "conflict": "objects in conflict",
    "changedByApp": "objects that the application changed meanwhile",
    "ignored": "objects left out, since no row names them",
    "failed": "objects that failed",
}
_ROWS = {
    "rewritten": "rows rewritten",
    "healed": "rows rewritten to a copy that was there already",
    "missingSource": "rows that name no object anywhere",
    "changedByApp": "rows that the application changed meanwhile",
    "failed": "rows that failed",
}
_WOULD = {"moved": "objects that would move", "rewritten": "rows that would be rewritten"}


def _census_fields(spec: Status) -> list[str]:
    rows = "database" in spec or "rollbackOf" in spec
    return [field for field in _CENSUS if rows or not field.endswith("Rows")]


def _census(spec: Status, field: str, before: Mapping[str, int], after: Mapping[str, int]) -> Row:
    words, side = _CENSUS[field]
    ref = spec.get(side) or {}
    where = f"{ref['bucket']}/{ref.get('prefix', '')}" if "bucket" in ref else f"the {side}"
    return words.format(where), number(before.get(field, 0)), number(after.get(field, 0))


def _counted(found: Mapping[str, int], words: Mapping[str, str]) -> Iterator[Row]:
    for field, label in words.items():
        if amount := found.get(field, 0):
            yield label, number(amount)


def speed(status: Status) -> str:
    """Return how fast a migration's copy run was; empty where there was none."""
    run = next((run for run in status.get("runs", ()) if run["phase"] == "copy" and run.get("completedAt")), None)
    done, size = status.get("progress", {}).get("objectsDone", 0), status.get("progress", {}).get("bytesDone", 0)
    if run is None or not done:
        return ""
    seconds = (datetime.fromisoformat(run["completedAt"]) - datetime.fromisoformat(run["startedAt"])).total_seconds()
    if seconds < 1:
        return f"{number(done)} objects in less than a second"
    fast = f"{rate(done / seconds)} objects and {filesize.decimal(int(size / seconds))} a second"
    return f"{number(done)} objects in {duration(seconds)}: {fast}"


def _retention(_: Status, status: Status) -> Iterator[Facts]:
    done, going = status.get("progress", {}), status.get("removal", {})
    rows: list[Row] = [("folders in scope", number(done.get("foldersSeen", 0)))]
    rows.append(("folders kept", number(done.get("foldersKept", 0))))
    if status.get("phase") == "Planned":
        size = f"{number(going.get('objects', 0))} objects, {filesize.decimal(going.get('bytes', 0))}"
        rows.append(("folders that would go", f"{number(going.get('folders', 0))} ({size})"))
    else:
        rows += _counted(done, _FOLDERS)
        rows.append(("bytes freed", filesize.decimal(done.get("bytesFreed", 0))))
    yield Facts(("",), rows if done.get("foldersSeen") else [])


_FOLDERS = {
    "foldersDeleted": "folders deleted",
    "foldersSkipped": "folders skipped, since they received an object after the plan",
    "foldersFailed": "folders that failed",
    "objectsDeleted": "objects deleted",
    "objectsFailed": "objects that failed",
}


def _pipeline(_: Status, status: Status) -> Iterator[Facts]:
    progress, sweep = status.get("progress", {}), status.get("lastSweep") or {}
    found = [("pictures in the source", number(sweep["pictures"]))] if "pictures" in sweep else []
    yield Facts(("",), [*found, *_counted(progress, _PICTURES)])


_PICTURES = {
    "processed": "clean pictures written",
    "skipped": "pictures that cannot be made clean, left out",
    "quarantined": "pictures that cannot be made clean, written down",
    "conflicts": "pictures whose place holds what no pipeline made",
    "failed": "tries that failed",
    "deleted": "clean pictures deleted after their source",
}


def _access(_: Status, status: Status) -> Iterator[Facts]:
    places = [_place(place) for place in status.get("access", ())]
    yield Facts(("may", "may not", "tried"), places, justify="left")
    key = [("key", status["accessKeyId"])] if status.get("accessKeyId") else []
    yield Facts(("",), key, justify="left")


def _place(place: Mapping[str, Any]) -> Row:
    may = [call for call, expected in place["expected"].items() if expected == "Allowed"]
    may_not = [call for call, expected in place["expected"].items() if expected != "Allowed"]
    where = f"{place.get('bucket') or 'a bucket without a grant'}/{place.get('prefix', '')}"
    wrong = (
        "" if place.get("asExpected") else ": " + ", ".join(f"{call} {seen}" for call, seen in place["seen"].items())
    )
    return (
        where,
        ", ".join(may) or "nothing",
        ", ".join(may_not),
        f"{'as granted' if not wrong else 'not as granted'}{wrong}",
    )


_KINDS: Mapping[str, Callable[[Status, Status], Iterator[Facts]]] = {
    "S3Migration": _migration,
    "S3Retention": _retention,
    "ExifPipeline": _pipeline,
    "S3Access": _access,
}
