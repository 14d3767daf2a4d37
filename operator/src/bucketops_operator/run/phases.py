"""How far each phase of each kind is, in numbers and words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bucketops_api import counts
from bucketops_operator.run.words import number

Status = Mapping[str, Any]
Counts = Mapping[str, int]
FOUND = "objects found"


@dataclass(frozen=True)
class Far:
    """How far a phase is. `total` 0: nobody knows yet."""

    done: int
    total: int
    what: str
    more: tuple[str, ...] = ()

    @property
    def fraction(self) -> float | None:
        """Return the share that is done."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def words(self) -> tuple[str, ...]:
        """Return the numbers with what they count."""
        share = f"{number(self.done)} of {number(self.total)}" if self.total else number(self.done)
        return (f"{share} {self.what}", *self.more)


def far(kind: str, phase: str, found: Counts, status: Status) -> Far | None:
    """Return how far a phase is, by the counts of its workers and the status; None where nothing is counted."""
    of = _PHASES.get((kind, phase))
    return of(found, status) if of else None


def steps(kind: str, spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the phases that the work goes through, as the status calls them; empty if there is one."""
    if kind != "S3Migration" or (spec.get("mode", "Plan") != "Apply" and not spec.get("rollbackOf")):
        return ()
    deletes = (spec.get("cleanup") or {}).get("policy") == "Delete"
    end = ("Soaking", "Deleting", "Auditing") if deletes else ("Auditing",)
    return ("Preflight", "Copying", "Sweeping", *end)


def _preflight(found: Counts, _: Status) -> Far | None:
    if not found.get("total"):
        return None
    return Far(found.get("total", 0), 0, FOUND)


def _copy(_: Counts, status: Status) -> Far:
    progress = status.get("progress", {})
    rows = progress.get("rowsUpdated", 0)
    more = (f"{number(rows)} rows rewritten",) if rows else ()
    copied = max(progress.get("objectsCopied", 0), progress.get("objectsDone", 0))
    return Far(copied, progress.get("objectsTotal", 0), "objects copied", more)


def _looked(what: str) -> Callable[[Counts, Status], Far]:
    """Each object is counted in one outcome when a walk has looked at it."""

    def of(found: Counts, status: Status) -> Far:
        looked = sum(amount for name, amount in found.items() if name.startswith(counts.OBJECTS))
        return Far(looked, max(looked, _total(status)), what)

    return of


def _total(status: Status) -> int:
    return int(status.get("progress", {}).get("objectsTotal", 0))


def _delete(found: Counts, status: Status) -> Far:
    return Far(found.get(counts.DELETED, 0), _total(status), "objects deleted")


def _retain(found: Counts, status: Status) -> Far:
    if status.get("phase") in {"Planning", "Planned"}:
        return Far(found.get("total", 0), 0, "objects would go")
    return Far(found.get(counts.DONE, 0), found.get("total", 0), "objects deleted")


def _pictures(found: Counts, _: Status) -> Far:
    saved = found.get("processed", 0)
    more = (f"{number(saved)} saved",) if saved else ()
    return Far(found.get(counts.DONE, 0), found.get("total", 0), "pictures looked at", more)


_PHASES: Mapping[tuple[str, str], Callable[[Counts, Status], Far | None]] = {
    ("S3Migration", "preflight"): _preflight,
    ("S3Migration", "plan"): _looked("objects planned"),
    ("S3Migration", "copy"): _copy,
    ("S3Migration", "sweep"): _looked("objects looked at again"),
    ("S3Migration", "delete"): _delete,
    ("S3Migration", "audit"): _looked("objects audited"),
    ("S3Retention", "retain"): _retain,
    ("ExifPipeline", "sweep"): _pictures,
}
