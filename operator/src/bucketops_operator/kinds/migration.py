"""The phase machine of S3Migration. Pure: spec, status, what exists and the time go in; what should be comes out.

preflight -> copy -> sweep (until a pass changes nothing) -> soak (sweeps go on) -> delete -> audit
In Plan mode: preflight -> plan. The status is the whole memory. One thing is not pure: the journal's key is made by
chance, once, and written down before it is used.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from bucketops_api.contract import resolved
from bucketops_api.reasons import OPEN_ENDS, Reason
from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.migration import MigrationSpec, MigrationStatus
from bucketops_operator import conditions, progress
from bucketops_operator.desired import Desired
from bucketops_operator.executor import Event, ObservedRun, Resource
from bucketops_operator.kinds import migration_results as results
from bucketops_operator.kinds import runs
from bucketops_operator.kinds.conclusion import conclusion
from bucketops_operator.kinds.migration_case import Case, objects
from bucketops_operator.kinds.migration_observed import observed, own_runs
from bucketops_operator.kinds.migration_order import (
    FINAL,
    GUARD_PAUSE,
    PHASES,
    SWEEP_PAUSE,
    delete_after,
    following,
    guard,
)
from bucketops_operator.kinds.migration_rollback import NotNowError, require_rest, spec_of
from bucketops_operator.settings import Settings

ORIGIN_LOOK = timedelta(seconds=10)
"""How often a rollback looks whether it may begin."""
LIVE = ("suspend", "trigger", "worker")


def desired(resource: Resource, history: Sequence[ObservedRun], now: datetime, settings: Settings) -> Desired:
    """What should be now."""
    status = MigrationStatus.model_validate(resource.status)
    status.observed_generation = resource.generation
    try:
        case = Case(resource, spec_of(resource), status, history, now, settings)
        _require_the_same(case)
        case = _begun(case)
    except ValidationError as error:
        return _invalid(resource, status, history, error, now)
    except NotNowError as error:
        return _not_now(resource, status, history, error, now)
    if case.status.journal_key != MigrationStatus.model_validate(resource.status).journal_key:
        return _noted(case)
    case = observed(_resumed(case))
    if runs.current(case.status.runs) is None and not case.spec.suspend:
        case = _next(case)
    if case.spec.suspend and not _terminal(case):
        case = case.suspended()
    return _answer(case)


def _invalid(
    resource: Resource, status: MigrationStatus, history: Sequence[ObservedRun], error: ValidationError, now: datetime
) -> Desired:
    """A spec that an older API server let in: nothing is started, nothing is stopped."""
    status.conditions = conditions.merge(status.conditions, conditions.invalid(error), resource.generation, now)
    return Desired(status, keep=frozenset(run.run for run in history))


def _not_now(
    resource: Resource, status: MigrationStatus, history: Sequence[ObservedRun], error: NotNowError, now: datetime
) -> Desired:
    """A rollback without the migration that it is about: nothing is started, nothing is stopped; told once."""
    message, before = str(error), status.conditions
    status.conditions = conditions.merge(before, conditions.stalled(error.reason, message), resource.generation, now)
    known = any(c.type == conditions.STALLED and c.message == message for c in before)
    events = () if known else (Event(error.reason, message, "Warning"),)
    return Desired(status, keep=frozenset(run.run for run in history), events=events, requeue=ORIGIN_LOOK)


def _noted(case: Case) -> Desired:
    """A new key is written down before anything is sealed with it: after a crash it would be another one."""
    return Desired(
        case.status, keep=frozenset(run.run for run in case.history), events=case.events, requeue=timedelta(0)
    )


def _require_the_same(case: Case) -> None:
    """NotNowError where a rollback would begin beside its migration, or go on with another one than it began with."""
    origin = case.resource.origin
    if origin is None or case.resource.spec.get("rollbackOf") is None:
        return
    if not case.status.spec_digest or _renewed(case):
        require_rest(origin)
    elif not _rests(case) and not _digest(case.spec).startswith(case.status.spec_digest.partition(".")[0]):
        raise NotNowError(
            Reason.INVALID_SPEC,
            f"the spec of {origin.resource.name} has changed since this rollback of it began: put it back as it was",
        )


def _renewed(case: Case) -> bool:
    """Whether a new run is about to begin."""
    known = (case.status.spec_digest, case.status.last_trigger)
    return _rests(case) and known != (_digest(case.spec), case.spec.trigger)


def _begun(case: Case) -> Case:
    """A new spec, or a new trigger, after a run has ended: begin from the start. `cleanup` may change on the way."""
    status, wanted = case.status, _digest(case.spec)
    work, _, _ = status.spec_digest.partition(".")
    same = wanted.startswith(f"{work}.")
    waits = _waits_for_guard(case) and same and status.last_trigger == case.spec.trigger
    if status.spec_digest and (waits or not _rests(case)):
        absorbed = wanted if same else status.spec_digest
        return replace(case, status=status.model_copy(update={"spec_digest": absorbed}))
    if (status.spec_digest, status.last_trigger) == (wanted, case.spec.trigger):
        return case
    fresh = MigrationStatus(
        observed_generation=status.observed_generation,
        conditions=status.conditions,
        runs=status.runs,
        first_run=runs.next_number(status.runs),
        spec_digest=wanted,
        last_trigger=case.spec.trigger,
        journal_key=_journal_key(case),
    )
    return replace(case, status=fresh).judged(conditions.working(Reason.PREFLIGHT, "begins"), phase="Pending")


def _journal_key(case: Case) -> str:
    """What the journal is sealed with, in all runs; a rollback has the key of the migration whose journal it works by.

    Nothing that is not kept seals anything: another process could not read it.
    """
    if case.resource.origin is not None:
        return MigrationStatus.model_validate(case.resource.origin.resource.status).journal_key
    return case.status.journal_key or (secrets.token_hex(32) if case.settings.keeps_status else "")


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


def _next(case: Case) -> Case:
    """Start the phase that comes next, if it is time."""
    own = own_runs(case)
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
    if over := _guarded(case, phase, last):
        return over
    return _start(case, phase) if phase else _soaking(case)


def _guarded(case: Case, phase: str | None, last: Run) -> Case | None:
    """The case while a guard keeps objects from being deleted; sweeps now and then see whether it still does."""
    message = guard(case.spec, case.status)
    rests = _waits_for_guard(case) and case.now - (last.completed_at or case.now) < GUARD_PAUSE
    if not message or not (phase == "delete" or rests):
        return None
    known = any(c.type == conditions.STALLED and c.message == message for c in case.status.conditions)
    stalled = case.judged(conditions.stalled(Reason.GUARD_EXCEEDED, message), phase="Soaking")
    return stalled if known else stalled.told(Reason.GUARD_EXCEEDED, message, warning=True)


def _waits_for_guard(case: Case) -> bool:
    return any(
        c.type == conditions.STALLED and c.status == "True" and c.reason == Reason.GUARD_EXCEEDED
        for c in case.status.conditions
    )


def _again(case: Case, last: Run) -> str:
    """The phase that failed; a delete only while the user still wants it, and no guard objects."""
    unwanted = case.spec.cleanup.policy == "Retain" or guard(case.spec, case.status)
    return "sweep" if last.phase == "delete" and unwanted else last.phase


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
    what = "production copies" if case.resource.spec.get("rollbackOf") else "legacy objects"
    message = f"{what} are deleted after {due.isoformat(timespec='seconds')}, if nobody writes there until then"
    return case.judged(conditions.working(Reason.SOAKING, message), phase="Soaking")


def _concluded(case: Case, last: Run) -> Case:
    """The last phase has ended: say how it all went, and what a person must look at all the same."""
    back = bool(case.resource.spec.get("rollbackOf"))
    verdict = results.verdict(case.status, last, back=back, guard=guard(case.spec, case.status))
    expected = back or "max_orphan_percent" in case.spec.cleanup.model_fields_set
    ends = results.open_ends(case.status, last, orphans=not expected)
    if ends:
        told = f"{verdict.message}; {ends.message}"
        verdict = conclusion(verdict.reason, told, well=verdict.well, phase=verdict.phase)
    progressed = progress.finished(case.status.progress, case.now) if verdict.well else case.status.progress
    ended = case.judged(verdict.conditions | _degraded(case, last, ends), phase=verdict.phase, progress=progressed)
    return ended.told(verdict.reason, verdict.message, warning=not verdict.well or ends is not None)


def _degraded(case: Case, last: Run, ends: conditions.Verdict | None) -> conditions.Verdicts:
    """The condition that stands beside `Complete`; what an earlier run has left there goes."""
    if ends and last.phase != "plan":
        return {conditions.DEGRADED: ends}
    known = (c.reason for c in case.status.conditions if c.type == conditions.DEGRADED)
    return {conditions.DEGRADED: conditions.Verdict("False", Reason.HEALTHY)} if set(known) & OPEN_ENDS else {}


def _resumed(case: Case) -> Case:
    """The user lets us go on."""
    run = runs.current(case.status.runs)
    name, reason = PHASES[run.phase] if run else ("Pending", Reason.RESUMED)
    return case if case.spec.suspend else case.resumed(name, reason)


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
