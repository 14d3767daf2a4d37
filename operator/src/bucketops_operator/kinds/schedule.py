"""A resource's schedule: its CronJob as it should be, and what its Jobs show. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bucketops_api import names
from bucketops_api.contract import RunSpec, resolved
from bucketops_api.v1alpha1.common import Run, Scheduled, ScheduleStatus
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_api.v1alpha1.worker import SingleWorker
from bucketops_operator.executor import Manifest, ObjectName, ObservedRun, Resource
from bucketops_operator.kinds import runs
from bucketops_operator.objects import limits_name, paused, schedule_objects
from bucketops_operator.settings import Settings


def observed(history: Sequence[ObservedRun]) -> list[ObservedRun]:
    """The runs that the schedule started, in their order."""
    return [seen for seen in history if seen.run_spec]


def active(history: Sequence[ObservedRun]) -> ObservedRun | None:
    """One that is under way, or whose pods still end."""
    return next((seen for seen in observed(history) if not runs.ended(seen)), None)


def fresh(known: ScheduleStatus, history: Sequence[ObservedRun]) -> list[ObservedRun]:
    """Those that have ended and were not yet known to."""
    told = {run.id for run in known.runs if run.result != "Running"}
    return [seen for seen in observed(history) if runs.ended(seen) and seen.run not in told]


def folded(known: ScheduleStatus, history: Sequence[ObservedRun], now: datetime, settings: Settings) -> ScheduleStatus:
    """What is known of the schedule after a look at its Jobs. Those that are gone keep what was known of them."""
    by_id = {run.id: run for run in known.runs}
    by_id |= {seen.run: _run(seen, now, settings) for seen in observed(history)}
    in_order = sorted(by_id.values(), key=lambda run: names.run_number(run.id))
    return known.model_copy(update={"runs": in_order[-runs.KEPT :]})


def _run(seen: ObservedRun, now: datetime, settings: Settings) -> Run:
    over = runs.ended(seen)
    return Run(
        id=seen.run,
        phase=seen.phase,
        started_at=seen.started or now,
        completed_at=(seen.ended or now) if over else None,
        result=("Failed" if seen.lost else seen.state) if over else "Running",
        image=settings.image,
        generation=names.schedule_generation(seen.run_spec),
    )


def objects(
    resource: Resource, spec: Scheduled, worker: SingleWorker, phase: str, settings: Settings, *, suspend: bool
) -> Sequence[Manifest]:
    """The CronJob and what it mounts, as they should be now."""
    run = RunSpec(
        kind=resource.kind,
        phase=phase,
        namespace=resource.namespace,
        name=resource.name,
        run=names.schedule_spec_name(resource.name, resource.generation),
        jitter_seconds=parse_duration(spec.jitter).total_seconds(),
        spec=resolved(spec),
    )
    return schedule_objects(
        resource, run, spec, suspend=suspend, limits=runs.limits(worker, 1, None), settings=settings
    )


def pauses(history: Sequence[ObservedRun], *, suspend: bool) -> Sequence[Manifest]:
    """What makes a run under way hold, or go on."""
    running = [seen for seen in observed(history) if seen.state == "Running" and seen.suspended != suspend]
    return [paused(seen.run, suspend=suspend) for seen in running]


def in_use(history: Sequence[ObservedRun], generation: int) -> set[int]:
    """The generations whose RunSpec a Job may still mount."""
    working = {names.schedule_generation(seen.run_spec) for seen in observed(history) if not runs.ended(seen)}
    return {generation, *working}


def leftovers(resource: Resource, oldest: int, used: set[int]) -> list[ObjectName]:
    """The RunSpecs, with their limits, that nobody mounts any more."""
    unused = [generation for generation in range(oldest, resource.generation + 1) if generation not in used]
    found = (names.schedule_spec_name(resource.name, generation) for generation in unused)
    return [ObjectName("ConfigMap", name) for spec in found for name in (spec, limits_name(spec))]
