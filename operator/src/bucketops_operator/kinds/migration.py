"""The phase machine of S3Migration. Pure: spec, status, what exists and the time go in; what should be comes out.

preflight -> copy -> sweep (until a pass changes nothing) -> soak (sweeps go on) -> delete -> audit
In Plan mode: preflight -> plan. The status is the whole memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from bucketops_api.contract import Artifact, RunSpec, resolved
from bucketops_api.names import run_number
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.migration import MigrationSpec, MigrationStatus
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_operator import conditions, progress
from bucketops_operator.desired import Desired
from bucketops_operator.executor import Event, Manifest, ObservedRun, Resource
from bucketops_operator.kinds import migration_results as results
from bucketops_operator.kinds import runs
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings

LIVE = ("suspend", "trigger", "worker")
SWEEP_PAUSE = timedelta(seconds=5)
"""Between two sweeps while the application keeps changing things."""
FINAL = {"plan", "audit"}
PHASES = {
    "preflight": ("Preflight", Reason.PREFLIGHT),
    "plan": ("Preflight", Reason.PLANNING),
    "copy": ("Copying", Reason.COPYING),
    "sweep": ("Sweeping", Reason.SWEEPING),
    "delete": ("Deleting", Reason.DELETING),
    "audit": ("Auditing", Reason.AUDITING),
}


@dataclass(frozen=True)
class Case:
    """One call of the machine."""

    resource: Resource
    spec: MigrationSpec
    status: MigrationStatus
    history: Sequence[ObservedRun]
    now: datetime
    settings: Settings
    events: tuple[Event, ...] = ()

    def judged(self, verdicts: conditions.Verdicts, **changes: object) -> Case:
        """The same with other conditions, and other fields of the status."""
        merged = conditions.merge(self.status.conditions, verdicts, self.resource.generation, self.now)
        return replace(self, status=self.status.model_copy(update={"conditions": merged, **changes}))

    def told(self, reason: str, message: str, *, warning: bool = False) -> Case:
        """The same with one more Event."""
        event = Event(reason, message, "Warning" if warning else "Normal")
        return replace(self, events=(*self.events, event))


def desired(resource: Resource, history: Sequence[ObservedRun], now: datetime, settings: Settings) -> Desired:
    """What should be now."""
    status = MigrationStatus.model_validate(resource.status)
    status.observed_generation = resource.generation
    try:
        spec = MigrationSpec.model_validate(resource.spec)
    except ValidationError as error:
        return _invalid(resource, status, history, error, now)
    case = _begun(Case(resource, spec, status, history, now, settings))
    case = _observed(_resumed(case))
    if runs.current(case.status.runs) is None and not spec.suspend:
        case = _next(case)
    if spec.suspend and not _terminal(case):
        case = _suspended(case)
    return _answer(case)


def _invalid(
    resource: Resource, status: MigrationStatus, history: Sequence[ObservedRun], error: ValidationError, now: datetime
) -> Desired:
    """A spec that an older API server let in: nothing is started, nothing is stopped."""
    first = error.errors()[0]
    message = f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}"
    status.conditions = conditions.merge(
        status.conditions, conditions.stalled(Reason.INVALID_SPEC, message), resource.generation, now
    )
    return Desired(status, keep=frozenset(run.run for run in history))


def _begun(case: Case) -> Case:
    """A new spec, or a new trigger, after a run has ended: begin from the start. `cleanup` may change on the way."""
    status, wanted = case.status, _digest(case.spec)
    if status.spec_digest and not _rests(case):
        work, _, _ = status.spec_digest.partition(".")
        absorbed = wanted if wanted.startswith(f"{work}.") else status.spec_digest
        return replace(case, status=status.model_copy(update={"spec_digest": absorbed}))
    if (status.spec_digest, status.last_trigger) == (wanted, case.spec.trigger):
        return case
    fresh = MigrationStatus(
        observed_generation=status.observed_generation,
        conditions=status.conditions,
        runs=status.runs,
        first_run=run_number(status.runs[-1].id) + 1 if status.runs else 1,
        spec_digest=wanted,
        last_trigger=case.spec.trigger,
    )
    return replace(case, status=fresh).judged(conditions.working(Reason.PREFLIGHT, "begins"), phase="Pending")


def _digest(spec: MigrationSpec) -> str:
    """What the work is, and how it ends: two digests with a dot between."""
    whole = resolved(spec)
    return f"{runs.digest(whole, (*LIVE, 'cleanup'))}.{runs.digest(whole['cleanup'], ())}"


def _rests(case: Case) -> bool:
    """Whether nothing is under way: the run has ended, or it waits for the user."""
    held = conditions.is_true(case.status.conditions, conditions.STALLED)
    return runs.current(case.status.runs) is None and (held or _terminal(case))


def _terminal(case: Case) -> bool:
    """Whether this work is done, well or not."""
    return any(conditions.is_true(case.status.conditions, type_) for type_ in (conditions.COMPLETE, conditions.FAILED))


def _observed(case: Case) -> Case:
    """Fold what the current run shows into the status."""
    run = runs.current(case.status.runs)
    seen = runs.observed(run, case.history)
    if run is None or seen is None:
        return case
    if not runs.ended(seen):
        every = timedelta(seconds=case.settings.status_seconds)
        return _works_on(replace(case, status=results.live(case.status, run, seen, case.now, every)), run, seen)
    if seen.lost:  # a shard's result went with its pod: the phase is done again, which changes nothing
        return replace(case, status=results.failed(case.status, run, case.now))
    if seen.state == "Failed":
        return _run_failed(case, run, seen)
    case = replace(case, status=results.finished(case.status, run, seen, case.now))
    if run.phase == "preflight" and seen.result.message:
        return case.told(Reason.PREFLIGHT_WARNING, seen.result.message, warning=True)
    return case


def _works_on(case: Case, run: Run, seen: ObservedRun) -> Case:
    if case.spec.suspend:
        return case
    message = seen.waiting or f"run {run.id}: {seen.succeeded} of {seen.shards} shards are done"
    return case.judged(conditions.working(PHASES[run.phase][1], message))


def _run_failed(case: Case, run: Run, seen: ObservedRun) -> Case:
    failure = seen.failure
    reason = results.reason_of(failure.reason if failure else "")
    message = (failure.message if failure else "") or f"run {run.id} failed"
    ended = replace(case, status=results.failed(case.status, run, case.now))
    return ended.judged(conditions.stalled(reason, message)).told(reason, message, warning=True)


def _next(case: Case) -> Case:
    """Start the phase that comes next, if it is time."""
    own = [run for run in case.status.runs if run_number(run.id) >= case.status.first_run]
    last = own[-1] if own else None
    if last is None:
        return _start(case, "preflight")
    if last.result == "Failed":
        return _start(case, _again(case, last)) if case.now >= runs.retry_at(own) else case
    if last.phase in FINAL:
        return case if _terminal(case) else _concluded(case, last)
    phase = following(case.spec, case.status, last, case.now)
    if case.spec.cleanup.policy == "Delete" and last.phase == "sweep":
        due = delete_after(case.spec, case.status, last)
        case = replace(case, status=case.status.model_copy(update={"delete_after": due}))
    return _start(case, phase) if phase else _soaking(case)


def _again(case: Case, last: Run) -> str:
    """The phase that failed; a delete only while the user still wants it."""
    retained = last.phase == "delete" and case.spec.cleanup.policy == "Retain"
    return "sweep" if retained else last.phase


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


def delete_after(spec: MigrationSpec, status: MigrationStatus, last: Run) -> datetime:
    """The grace counts from the last legacy write seen, which is at least the preflight's start."""
    written = status.last_legacy_write or last.started_at
    return written + parse_duration(spec.cleanup.grace)


def sweep_every(spec: MigrationSpec) -> timedelta:
    """How often the soak looks again: a quarter of the grace, from 10 s to 10 min."""
    return min(timedelta(minutes=10), max(timedelta(seconds=10), parse_duration(spec.cleanup.grace) / 4))


def _start(case: Case, phase: str) -> Case:
    name, reason = PHASES[phase]
    started = runs.start(case.resource, case.status.runs, phase, case.now, case.settings)
    message = f"run {started[-1].id} has started"
    verdicts = conditions.working(reason, message)
    return case.judged(verdicts, phase=name, runs=started).told(reason, message)


def _soaking(case: Case) -> Case:
    """Between two sweeps."""
    last = case.status.runs[-1]
    if last.changed or last.pending:
        return case
    due = case.status.delete_after or case.now
    message = f"legacy objects are deleted after {due.isoformat(timespec='seconds')}, if nobody writes there until then"
    return case.judged(conditions.working(Reason.SOAKING, message), phase="Soaking")


def _concluded(case: Case, last: Run) -> Case:
    """The last phase has ended: say how it all went."""
    verdict = results.verdict(case.status, last)
    progressed = progress.finished(case.status.progress, case.now) if verdict.well else case.status.progress
    ended = case.judged(verdict.conditions, phase=verdict.phase, progress=progressed)
    return ended.told(verdict.reason, verdict.message, warning=not verdict.well)


def _resumed(case: Case) -> Case:
    """The user lets us go on."""
    run = runs.current(case.status.runs)
    if case.spec.suspend or not conditions.is_true(case.status.conditions, conditions.SUSPENDED):
        return case
    name, reason = PHASES[run.phase] if run else ("Pending", Reason.RESUMED)
    message = "spec.suspend is false: the work goes on"
    return case.judged(conditions.working(reason, message), phase=name).told(Reason.RESUMED, message)


def _suspended(case: Case) -> Case:
    message = "spec.suspend is true: all progress is kept; set it to false to go on"
    already = conditions.is_true(case.status.conditions, conditions.SUSPENDED)
    held = case.judged(conditions.suspended(message), phase="Suspended")
    return held if already else held.told(Reason.SUSPENDED, message)


def _answer(case: Case) -> Desired:
    run = runs.current(case.status.runs)
    return Desired(
        status=case.status,
        objects=_objects(case, run) if run else (),
        keep=frozenset(known.id for known in case.status.runs),
        events=case.events,
        requeue=_requeue(case, run),
    )


def _requeue(case: Case, run: Run | None) -> timedelta | None:
    if case.spec.suspend or (run is None and _terminal(case)):
        return None
    if run is not None:
        return timedelta(seconds=case.settings.status_seconds)
    last = case.status.runs[-1]
    if last.result == "Failed":
        return max(timedelta(seconds=1), runs.retry_at(case.status.runs) - case.now)
    return timedelta(seconds=min(case.settings.status_seconds, SWEEP_PAUSE.total_seconds()))


def _objects(case: Case, run: Run) -> Sequence[Manifest]:
    spec, seen = case.spec, runs.observed(run, case.history)
    return run_objects(
        case.resource,
        _run_spec(case, run),
        parallelism=spec.worker.parallelism,
        suspend=spec.suspend,
        limits=runs.limits(spec.worker, seen.active if seen else spec.worker.parallelism, _lag(spec)),
        settings=case.settings,
    )


def _lag(spec: MigrationSpec) -> float | None:
    most = spec.database.max_replication_lag if spec.database else None
    return parse_duration(most).total_seconds() if most else None


def _run_spec(case: Case, run: Run) -> RunSpec:
    plan = case.status.plan if run.phase != "preflight" else None
    return RunSpec(
        kind=case.resource.kind,
        phase=run.phase,
        namespace=case.resource.namespace,
        name=case.resource.name,
        run=run.id,
        shards=plan.shards if plan else 1,
        plan=Artifact(key=plan.key, sha256=plan.sha256) if plan else None,
        not_before=case.status.delete_after if run.phase == "delete" else None,
        spec=resolved(case.spec),
    )
