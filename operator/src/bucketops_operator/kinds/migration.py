"""The phase machine of S3Migration. Pure: spec, status, what exists and the time go in; what should be comes out.

preflight -> copy -> sweep (until a pass changes nothing) -> soak (sweeps go on) -> delete -> audit
In Plan mode: preflight -> plan. The status is the whole memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from bucketops_api.contract import resolved
from bucketops_api.names import run_number
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.migration import MigrationSpec, MigrationStatus
from bucketops_operator import conditions, progress
from bucketops_operator.desired import Desired
from bucketops_operator.executor import ObservedRun, Resource
from bucketops_operator.kinds import migration_results as results
from bucketops_operator.kinds import runs
from bucketops_operator.kinds.migration_case import Case, objects
from bucketops_operator.kinds.migration_order import FINAL, SWEEP_PAUSE, delete_after, following
from bucketops_operator.settings import Settings

LIVE = ("suspend", "trigger", "worker")
PHASES = {
    "preflight": ("Preflight", Reason.PREFLIGHT),
    "plan": ("Preflight", Reason.PLANNING),
    "copy": ("Copying", Reason.COPYING),
    "sweep": ("Sweeping", Reason.SWEEPING),
    "delete": ("Deleting", Reason.DELETING),
    "audit": ("Auditing", Reason.AUDITING),
}


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
    status.conditions = conditions.merge(status.conditions, conditions.invalid(error), resource.generation, now)
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
    return _watched(case) if run.phase == "sweep" else case


def _watched(case: Case) -> Case:
    """Name an application that goes on writing legacy paths; the first sweep mends what came during the copy."""
    sweeps = [run for run in _own_runs(case) if run.phase == "sweep"]
    last = sweeps[-1]
    if not (last.changed or last.pending):
        return case.judged({conditions.DEGRADED: conditions.Verdict("False", Reason.HEALTHY)})
    if len(sweeps) == 1:
        return case
    message = (
        f"sweep {last.id} still changed {last.changed} objects and rows and left {last.pending} pending: if the "
        "application writes legacy paths, let it write the new form; the grace begins anew with each of its writes"
    )
    known = conditions.is_true(case.status.conditions, conditions.DEGRADED)
    named = case.judged({conditions.DEGRADED: conditions.Verdict("True", Reason.APPLICATION_STILL_WRITES, message)})
    return named if known else named.told(Reason.APPLICATION_STILL_WRITES, message, warning=True)


def _own_runs(case: Case) -> list[Run]:
    """The runs of this work: the list remembers those of earlier ones too."""
    return [run for run in case.status.runs if run_number(run.id) >= case.status.first_run]


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
    own = _own_runs(case)
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
        objects=objects(case, run) if run else (),
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
