"""Which phase of a migration comes after which, and when. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.migration import MigrationSpec, MigrationStatus
from bucketops_api.v1alpha1.scalars import parse_duration

GUARD_PAUSE = timedelta(minutes=10)
"""Between two sweeps while a guard keeps objects from being deleted: somebody may have added rows."""
SWEEP_PAUSE = timedelta(seconds=5)
"""Between two sweeps while the application keeps changing things."""
FINAL = {"plan", "audit"}
"""Phases after which the work is done."""
PHASES = {
    "preflight": ("Preflight", Reason.PREFLIGHT),
    "plan": ("Preflight", Reason.PLANNING),
    "copy": ("Copying", Reason.COPYING),
    "sweep": ("Sweeping", Reason.SWEEPING),
    "delete": ("Deleting", Reason.DELETING),
    "audit": ("Auditing", Reason.AUDITING),
}
"""By phase, its name in the status and the reason while it works."""


def following(spec: MigrationSpec, status: MigrationStatus, last: Run, now: datetime) -> str | None:
    """The phase after a run that succeeded; None: not yet."""
    if last.phase == "preflight":
        return "plan" if spec.mode == "Plan" else "copy"
    if last.phase == "copy":
        return "sweep"
    ended = last.completed_at or now
    unsettled = last.changed or last.pending
    if last.phase == "delete":
        return "sweep" if last.pending else "audit"
    if unsettled:
        return "sweep" if now >= ended + SWEEP_PAUSE else None
    if spec.cleanup.policy == "Retain":
        return "audit"
    return _soak(spec, status, last, now)


def _soak(spec: MigrationSpec, status: MigrationStatus, last: Run, now: datetime) -> str | None:
    """Delete when the grace is over and the last sweep, which found nothing, began after that or is fresh."""
    due, every = delete_after(spec, status, last), sweep_every(spec)
    since = now - (last.completed_at or now)
    if since >= every:
        return "sweep"
    return "delete" if now >= due else None


def guard(spec: MigrationSpec, status: MigrationStatus) -> str:
    """What keeps objects from being deleted, and what to do; nothing where they may be.

    The counts are those of the last walk over everything.
    """
    moved, most = status.outcomes.moved + status.outcomes.already, spec.cleanup.max_orphan_percent
    if spec.cleanup.policy == "Retain" or spec.database is None or status.orphans * 100 <= most * moved:
        return ""
    share = status.orphans * 100 / max(1, moved)
    return (
        f"{status.orphans} of {moved} moved objects ({share:.3g} %) have no row that names "
        f"them, cleanup.maxOrphanPercent is {most}, so nothing is deleted: name every column and every format of paths "
        "in spec.database.references, or raise cleanup.maxOrphanPercent"
    )


def delete_after(spec: MigrationSpec, status: MigrationStatus, last: Run) -> datetime:
    """The grace counts from the last legacy write seen, which is at least the preflight's start."""
    written = status.last_legacy_write or last.started_at
    return written + parse_duration(spec.cleanup.grace)


def sweep_every(spec: MigrationSpec) -> timedelta:
    """How often the soak looks again: a quarter of the grace, from 10 s to 10 min."""
    return min(timedelta(minutes=10), max(timedelta(seconds=10), parse_duration(spec.cleanup.grace) / 4))
