"""When three sweeps of a schedule will have been due since the last one that came to its end. Pure.

A sweep that never ends, fails at once or is never started leaves no other trace that all have in common.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from bucketops_api.v1alpha1.exifpipeline import PipelineSpec, PipelineStatus
from bucketops_operator.executor import Resource

MISSED = 3
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax"""


def overdue_at(spec: PipelineSpec, status: PipelineStatus, resource: Resource, now: datetime) -> datetime | None:
    """None while no sweep is due by a schedule. It is counted anew from each sweep, and from each change of the spec.

    The schedule is held while a sweep of our own works, which may take long: as long as it gets on, nothing is overdue.
    """
    if spec.schedule is None or spec.suspend:
        return None
    before = PipelineStatus.model_validate(resource.status)
    swept = status.last_sweep != before.last_sweep
    gets_on = bool(status.first_run) and status.progress.objects_done != before.progress.objects_done
    changed = before.observed_generation != resource.generation
    if before.sweep_overdue_at is None or swept or gets_on or changed:
        return due(spec.schedule, spec.time_zone, now, MISSED)
    return before.sweep_overdue_at


def due(schedule: str, time_zone: str, now: datetime, number: int) -> datetime | None:
    """The time of the so-manieth run of a cron expression after `now`; None if there is none."""
    expression = _MACROS.get(schedule, schedule).replace("?", "*")
    try:
        times = CronSim(expression, now.astimezone(ZoneInfo(time_zone)))
    except CronSimError:
        return None
    found = list(islice(times, number))
    return found[-1].astimezone(now.tzinfo) if len(found) == number else None
