"""From counts to progress: totals that never fall, a rate, an estimate of what is left. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

from bucketops_api.v1alpha1.common import Progress

COMPLETE = 100
UNFINISHED = 99
"""Percent, at most, before the whole work is complete."""
_SMOOTHING = 0.5

P = TypeVar("P", bound=Progress)


def advance(progress: P, *, total: int, done: int, bytes_done: int, now: datetime, ahead: int = 0) -> P:
    """Progress at `now`, from counts that may have begun anew after a restart.

    `ahead`: objects that are half done, which count half in percent; rate and estimate are about what was begun.
    """
    total = max(total, progress.objects_total)
    done = min(total, max(done, progress.objects_done))
    reached = min(total, max(done + ahead, progress.reached))
    rate = _rate(progress, reached, now) if done < total else 0
    left = total - reached
    return progress.model_copy(
        update={
            "objects_total": total,
            "objects_done": done,
            "bytes_done": max(bytes_done, progress.bytes_done),
            "percent": max(progress.percent, min(UNFINISHED, 50 * (done + reached) // total if total else 0)),
            "objects_per_second": rate,
            "eta_seconds": left // rate if rate and left else None,
            "updated_at": now,
        }
    )


def is_due(progress: Progress, now: datetime, every: timedelta) -> bool:
    """Whether progress is to be read again: a status that is written too often burdens the API server."""
    return progress.updated_at is None or now - progress.updated_at >= every


def finished(progress: P, now: datetime) -> P:
    """Everything is done and has been looked at again."""
    rest = {"percent": COMPLETE, "objects_per_second": 0, "eta_seconds": None, "updated_at": now}
    return progress.model_copy(update=rest)


def _rate(progress: Progress, reached: int, now: datetime) -> int:
    """Objects per second since the last look, smoothed."""
    if progress.updated_at is None:
        return 0
    seconds = (now - progress.updated_at).total_seconds()
    if seconds <= 0:
        return progress.objects_per_second
    fresh = (reached - progress.reached) / seconds
    if not progress.objects_per_second:
        return round(fresh)
    return round(_SMOOTHING * fresh + (1 - _SMOOTHING) * progress.objects_per_second)
