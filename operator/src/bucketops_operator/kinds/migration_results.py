"""What a migration's runs say, folded into its status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel

from bucketops_api import counts
from bucketops_api.contract import FAULTS, SAMPLES, RunResult
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Run, Shard
from bucketops_api.v1alpha1.migration import (
    Audit,
    Census,
    MigrationStatus,
    Outcomes,
    PlanRef,
    RowOutcomes,
)
from bucketops_operator import conditions, progress
from bucketops_operator.executor import ObservedRun
from bucketops_operator.kinds import runs
from bucketops_operator.kinds.conclusion import Conclusion, conclusion

TOTAL = "total"
CENSUS = "census/"
LAST_LEGACY_WRITE = "lastLegacyWrite"
_COUNTED = {"copy", "sweep", "plan", "audit"}
"""Phases that walk over every object and count each in its outcome."""
LEFTOVER = "audit/leftover"
_FAILED = (f"{counts.OBJECTS}failed", f"{counts.OBJECTS}conflict", f"{counts.ROWS}failed")
_WRONG = ("audit/dangling", "audit/unfinished", "audit/undeleted")

M = TypeVar("M", bound=BaseModel)


def live(status: MigrationStatus, run: Run, seen: ObservedRun, now: datetime, every: timedelta) -> MigrationStatus:
    """The status while a run works; its numbers move at most once in `every`."""
    shards = Shard(total=seen.shards, active=seen.active, succeeded=seen.succeeded, failed=seen.failed)
    if progress.is_due(status.progress, now, every):
        status = _counted(status, run, counts.add(seen.result.counts, dict(seen.live)), now)
    return status.model_copy(update={"shards": shards})


def finished(status: MigrationStatus, run: Run, seen: ObservedRun, now: datetime) -> MigrationStatus:
    """The status after a run has succeeded."""
    found = seen.result.counts
    ended = run.model_copy(
        update={
            "result": "Succeeded",
            "completed_at": now,
            "changed": found.get(counts.CHANGED, 0),
            "pending": found.get(counts.PENDING, 0) + _faults(found),
        }
    )
    shards = Shard(total=seen.shards, succeeded=seen.succeeded, failed=seen.failed)
    changes: dict[str, object] = {"runs": [*status.runs[:-1], ended], "shards": shards}
    changes |= _marks(status, seen.result)
    if run.phase == "preflight":
        changes |= _plan(seen.result)
    if run.phase in _COUNTED:
        changes |= _exact(seen.result)
    if run.phase == "audit":
        changes["audit"] = Audit(before=status.audit.before, after=_model(Census, found, CENSUS))
    return _counted(status, run, found, now).model_copy(update=changes)


def _faults(found: Mapping[str, int]) -> int:
    """What the audit found wrong; legacy rows that are left count where nothing else says why."""
    left = 0 if _excused(found) else found.get(LEFTOVER, 0)
    return sum(found.get(name, 0) for name in _WRONG) or left


def _excused(found: Mapping[str, int]) -> frozenset[str]:
    """Outcomes of samples that say nothing new: rows of what failed still name legacy objects."""
    return frozenset({"leftover"} if any(found.get(name, 0) for name in _FAILED) else ())


def verdict(status: MigrationStatus, last: Run, *, back: bool = False, guard: str = "") -> Conclusion:
    """How a migration, or a rollback (`back`), has ended; `guard` is what would keep a planned one from deleting.

    The audit's findings and the outcomes decide; nothing says success while anything failed.
    """
    outcomes, rows = status.outcomes, status.row_outcomes
    if last.phase == "plan":
        would = "be copied back" if back else "move"
        message = f"{outcomes.moved} objects would {would}, {outcomes.conflict} are in conflict"
        message += "; set mode: Apply to begin"
        if guard:
            message += f"; it would move them and then stall ({Reason.GUARD_EXCEEDED}) before it deletes: {guard}"
        return conclusion(Reason.PLANNED, message, phase="Planned")
    found = [sample for sample in status.samples if sample.outcome in FAULTS]
    if last.pending:
        named = "; ".join(f"{sample.key}: {sample.message}" for sample in found)
        return conclusion(Reason.AUDIT_FAILED, f"the audit found {last.pending} faults: {named}", well=False)
    if outcomes.failed or outcomes.conflict or rows.failed:
        message = (
            f"{outcomes.failed} objects and {rows.failed} rows failed, {outcomes.conflict} objects are in conflict"
        )
        return conclusion(Reason.PARTIALLY_FAILED, f"{message}; see status.samples and the records", well=False)
    moved = "copied back" if back else "moved"
    message = f"{outcomes.moved} objects {moved}, {outcomes.already} were there already"
    message += f", {rows.rewritten} rows rewritten"
    if status.not_kept:
        message += f"; {status.not_kept} copies lack a property of their originals: see status.samples and the records"
    return conclusion(Reason.SUCCEEDED, message)


def open_ends(status: MigrationStatus, last: Run, *, orphans: bool) -> conditions.Verdict | None:
    """Return what a person must look at though the work is done, None if there is nothing.

    Rows whose object neither place has, and (`orphans`) moved objects that no row names.
    """
    found = []
    if lost := status.row_outcomes.missing_source:
        words = (
            f"rows without an object: {lost} (missingSource: neither place has what they name): restore the object, or "
            "correct the row, as the report in the records names it"
        )
        found.append((Reason.ROWS_WITHOUT_OBJECT, words))
    if orphans and status.orphans:
        objects = "objects that would move" if last.phase == "plan" else "moved objects"
        words = (
            f"{objects} without a row: {status.orphans}: see that no reference and no format is missing; if they are "
            "meant, say how many are with cleanup.maxOrphanPercent"
        )
        found.append((Reason.OBJECTS_WITHOUT_ROW, words))
    return conditions.Verdict("True", found[0][0], "; ".join(words for _, words in found)) if found else None


def _marks(status: MigrationStatus, result: RunResult) -> dict[str, object]:
    """The newest legacy write, as the workers' clocks tell it: they wait for the end of the grace by the same ones."""
    found = [when for when in (result.marks.get(LAST_LEGACY_WRITE), status.last_legacy_write) if when]
    return {"last_legacy_write": max(found)} if found else {}


def _plan(result: RunResult) -> dict[str, object]:
    """What the preflight found; its shard count and records stand among the facts."""
    facts = dict(result.facts)
    shards, where = int(facts.pop("shards", "1")), facts.pop("records", "")
    artifact = result.plan
    return {
        "plan": PlanRef(key=artifact.key, sha256=artifact.sha256, shards=shards) if artifact else None,
        "plan_hash": artifact.sha256 if artifact else "",
        "records": where,
        "capabilities": runs.capabilities(facts),
        "audit": Audit(before=_model(Census, result.counts, CENSUS)),
    }


def _exact(result: RunResult) -> dict[str, object]:
    """A complete walk counts every object and row once, whatever happened to earlier attempts."""
    return {
        "outcomes": _model(Outcomes, result.counts, counts.OBJECTS),
        "row_outcomes": _model(RowOutcomes, result.counts, counts.ROWS),
        "samples": [sample for sample in result.samples if sample.outcome not in _excused(result.counts)][:SAMPLES],
        "not_kept": result.counts.get(counts.NOT_KEPT, 0),
        "orphans": result.counts.get(counts.ORPHANS, 0),
    }


def _counted(status: MigrationStatus, run: Run, so_far: Mapping[str, int], now: datetime) -> MigrationStatus:
    """Live numbers; each is the larger of what was known and what is seen, since a restarted worker counts anew."""
    if run.phase == "plan":
        return status
    known = status.progress
    shown = so_far if run.phase == "copy" else {}
    advanced = progress.advance(
        known,
        total=so_far.get(TOTAL, 0),
        done=shown.get(counts.DONE, 0),
        ahead=shown.get(counts.AHEAD, 0),
        bytes_done=shown.get(counts.BYTES, 0) + shown.get(counts.AHEAD_BYTES, 0),
        now=now,
    )
    copied = min(advanced.objects_total, max(known.reached, shown.get(counts.DONE, 0) + shown.get(counts.AHEAD, 0)))
    rows = so_far.get(f"{counts.ROWS}rewritten", 0) + so_far.get(f"{counts.ROWS}healed", 0)
    moved = {
        "objects_copied": max(copied, advanced.objects_done),
        "rows_updated": max(known.rows_updated, rows),
        "objects_deleted": max(known.objects_deleted, so_far.get(counts.DELETED, 0)),
    }
    changes: dict[str, object] = {"progress": advanced.model_copy(update=moved)}
    if run.phase == "copy":
        changes["outcomes"] = _larger(status.outcomes, _model(Outcomes, so_far, counts.OBJECTS))
        changes["row_outcomes"] = _larger(status.row_outcomes, _model(RowOutcomes, so_far, counts.ROWS))
    return status.model_copy(update=changes)


def _larger(known: M, seen: M) -> M:
    fields = type(known).model_fields
    return known.model_copy(update={name: max(getattr(known, name), getattr(seen, name)) for name in fields})


def _model(model: type[M], so_far: Mapping[str, int], prefix: str) -> M:
    """Counts with a prefix as a model of the status."""
    return model.model_validate(
        {name.removeprefix(prefix): amount for name, amount in so_far.items() if name.startswith(prefix)}
    )
