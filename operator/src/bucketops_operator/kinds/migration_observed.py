"""What the current run of a migration shows, folded into its status: it works, it has failed, it has ended. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bucketops_api.names import run_number
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Run
from bucketops_operator import conditions
from bucketops_operator.executor import ObservedRun
from bucketops_operator.kinds import migration_results as results
from bucketops_operator.kinds import runs
from bucketops_operator.kinds.migration_case import Case
from bucketops_operator.kinds.migration_order import PHASES
from bucketops_operator.kinds.waits import DATABASE, WAITS_FOR
from bucketops_operator.kinds.waits import waits as waiting


def observed(case: Case) -> Case:
    """The case with what its current run shows, folded into the status."""
    run = runs.current(case.status.runs)
    seen = runs.observed(run, case.history)
    if run is None or seen is None:
        return case
    if not runs.ended(seen):
        every = timedelta(seconds=case.settings.status_seconds)
        return _works_on(replace(case, status=results.live(case.status, run, seen, case.now, every)), run, seen)
    case = _unreachable(case, "")
    if seen.state == "Failed":
        return _run_failed(case, run, seen)
    if seen.lost:
        failed = runs.failed(case.status.runs, case.now)
        message, verdicts = runs.unknown(seen, failed, PHASES[run.phase][1])
        return case.judged(verdicts, runs=failed).told(Reason.RESULT_UNKNOWN, message, warning=True)
    case = replace(case, status=results.finished(case.status, run, seen, case.now))
    if run.phase == "preflight" and seen.result.message:
        return case.told(Reason.PREFLIGHT_WARNING, seen.result.message, warning=True)
    return _watched(case) if run.phase == "sweep" else case


def _watched(case: Case) -> Case:
    """Name an application that goes on writing legacy paths; the first sweep mends what came during the copy."""
    sweeps = [run for run in own_runs(case) if run.phase == "sweep"]
    last = sweeps[-1]
    if not (last.changed or last.pending):
        return case.judged({conditions.DEGRADED: conditions.Verdict("False", Reason.HEALTHY)})
    if len(sweeps) == 1:
        return case
    old, new = ("new", "legacy") if case.resource.spec.get("rollbackOf") else ("legacy", "new")
    message = (
        f"sweep {last.id} still changed {last.changed} objects and rows and left {last.pending} pending: if the "
        f"application writes {old} paths, let it write the {new} form; the grace begins anew with each of its writes"
    )
    known = conditions.is_true(case.status.conditions, conditions.DEGRADED)
    named = case.judged({conditions.DEGRADED: conditions.Verdict("True", Reason.APPLICATION_STILL_WRITES, message)})
    return named if known else named.told(Reason.APPLICATION_STILL_WRITES, message, warning=True)


def own_runs(case: Case) -> list[Run]:
    """The runs of this work: the list remembers those of earlier ones too."""
    return [run for run in case.status.runs if run_number(run.id) >= case.status.first_run]


def _works_on(case: Case, run: Run, seen: ObservedRun) -> Case:
    if case.spec.suspend:
        return case
    message = seen.waiting or f"run {run.id}: {seen.succeeded} of {seen.shards} shards are done"
    waits = waiting(seen)
    if waits and not seen.waiting:
        message += f"; {waits}"
    return _unreachable(case.judged(conditions.working(PHASES[run.phase][1], message)), waits)


def _unreachable(case: Case, waits: str) -> Case:
    """Degraded while the database does not answer, told once; it is as it was before when it answers again."""
    known = next((c for c in case.status.conditions if c.type == conditions.DEGRADED), None)
    already = known is not None and known.reason == Reason.DATABASE_UNREACHABLE and known.status == "True"
    if WAITS_FOR[DATABASE] in waits:
        verdict = conditions.Verdict("True", Reason.DATABASE_UNREACHABLE, waits)
        degraded = case.judged({conditions.DEGRADED: verdict})
        return degraded if already else degraded.told(Reason.DATABASE_UNREACHABLE, waits, warning=True)
    return case.judged({conditions.DEGRADED: conditions.Verdict("False", Reason.HEALTHY)}) if already else case


def _run_failed(case: Case, run: Run, seen: ObservedRun) -> Case:
    failure = seen.failure
    reason = runs.reason_of(failure.reason if failure else "")
    message = (failure.message if failure else "") or f"run {run.id} failed"
    ended = case.noted(runs=runs.failed(case.status.runs, case.now))
    return ended.judged(conditions.stalled(reason, message)).told(reason, message, warning=True)
