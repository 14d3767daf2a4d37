"""The phase machine of every kind whose work is one phase: once now, by a schedule, or both. Pure.

Without a schedule a new spec or a new trigger starts one run. With one a CronJob starts them, and a new trigger starts
one run beside it: the CronJob is held until that run has ended, and that run waits for the one under way.
`status.firstRun` is the number of the first run that works on what is open, 0 while nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias

from pydantic import ValidationError

from bucketops_api import counts, names
from bucketops_api.contract import RunResult, RunSpec, resolved
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Run, ScheduleStatus, Shard
from bucketops_operator import conditions, progress
from bucketops_operator.desired import Desired
from bucketops_operator.executor import Manifest, ObjectName, ObservedRun, Resource
from bucketops_operator.kinds import case as shared
from bucketops_operator.kinds import runs, schedule
from bucketops_operator.kinds.conclusion import Conclusion, conclusion
from bucketops_operator.kinds.waits import waits
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings

LIVE = ("suspend", "trigger", "worker", "schedule", "jitter", "history")
"""Fields of a spec that ask for no new run when they change."""


_UNKNOWN = "what it has done stands in its report, among the records; the next run goes on from there"
Spec: TypeAlias = Any
"""The kind's own spec: a Scheduled with a `worker`."""
KindStatus: TypeAlias = Any
"""The kind's own status: with a `progress` and a `scheduled`, and 0 as the default of `first_run`."""
Case: TypeAlias = shared.Case[Any, Any]


class Work(Protocol):
    """What a kind says of its phase."""

    phase: str
    spec: type[Spec]
    status: type[KindStatus]

    def doing(self, spec: Spec) -> tuple[str, Reason]:
        """The phase for people, and the reason of its conditions, while a run works."""

    def counted(self, status: KindStatus, found: Mapping[str, int], now: datetime) -> KindStatus:
        """The status with what the counts of a run under way say."""

    def finished(self, status: KindStatus, result: RunResult, now: datetime) -> KindStatus:
        """The status after a run, whether it went well or was refused."""

    def verdict(self, spec: Spec, status: KindStatus, result: RunResult) -> Conclusion:
        """How a run that came to its end went."""

    def final(self, reason: Reason) -> bool:
        """Whether a refusal ends the work: another try would be refused as well."""

    def begins(self, spec: Spec) -> bool:
        """Whether a new spec asks for a run of its own though there is a schedule."""

    def pods(self, spec: Spec) -> tuple[int, int]:
        """How many shards a run of its own has, and how many pods at once; a scheduled one has one."""


@dataclass(frozen=True)
class Machine:
    """The machine of one kind. `more`: what else the RunSpec of a run of our own says, by the status."""

    work: Work
    more: Callable[[KindStatus], Mapping[str, Any]] = lambda _: {}

    def desired(self, resource: Resource, history: Sequence[ObservedRun], now: datetime, settings: Settings) -> Desired:
        """What should be now."""
        status = self.work.status.model_validate(resource.status)
        status.observed_generation = resource.generation
        try:
            spec = self.work.spec.model_validate(resource.spec)
        except ValidationError as error:
            status.conditions = conditions.merge(status.conditions, conditions.invalid(error), resource.generation, now)
            return Desired(status, keep=frozenset(run.run for run in history))
        case: Case = shared.Case(resource, spec, status, history, now, settings)
        for step in (self._resumed, self._begun, self._own, self._scheduled, self._next, self._held):
            case = step(case)
        return self._answer(case)

    def _resumed(self, case: Case) -> Case:
        return case if case.spec.suspend else case.resumed("Pending", Reason.RESUMED)

    def _begun(self, case: Case) -> Case:
        """New work, if none is under way: a new spec or trigger; with a schedule a trigger alone."""
        status, spec = case.status, case.spec
        if runs.current(status.runs):
            return case
        scheduled = self._waits(case)
        wanted = "" if scheduled else runs.digest(resolved(spec), LIVE)
        asked = {"spec_digest": wanted, "last_trigger": spec.trigger}
        triggered = spec.trigger not in {"", status.last_trigger}
        if not triggered and (scheduled or status.spec_digest == wanted):
            return case if _open(case) else case.noted(**asked)
        begun = case.noted(first_run=runs.next_number(status.runs), shards=Shard(), **asked)
        return begun.judged(conditions.working(self.work.doing(spec)[1], "begins"), phase="Pending")

    def _waits(self, case: Case) -> bool:
        """Whether the next run of the schedule is soon enough, for new work and for what could not be done."""
        return bool(case.spec.schedule) and not self.work.begins(case.spec)

    def _own(self, case: Case) -> Case:
        """Fold what the run that we started shows into the status."""
        run = runs.current(case.status.runs)
        seen = runs.observed(run, case.history)
        if run is None or seen is None:
            return case
        if not runs.ended(seen):
            return self._working(case, seen)
        if seen.state == "Succeeded" and seen.lost:
            failed = runs.failed(case.status.runs, case.now)
            message, verdicts = runs.unknown(seen, failed, self.work.doing(case.spec)[1])
            return case.judged(verdicts, runs=failed).told(Reason.RESULT_UNKNOWN, message, warning=True)
        ended = self._told(case, seen, seen.result if seen.state == "Succeeded" else seen.failure or RunResult())
        final = conditions.is_true(ended.status.conditions, conditions.FAILED) or seen.state == "Succeeded"
        update = {"result": seen.state, "completed_at": case.now}
        return ended.noted(
            runs=[*case.status.runs[:-1], run.model_copy(update=update)],
            first_run=0 if final else case.status.first_run,
        )

    def _scheduled(self, case: Case) -> Case:
        """Fold what the schedule's Jobs show; while our own run works, its numbers are the ones that are shown."""
        if case.spec.schedule is None and not schedule.observed(case.history):
            return case.noted(scheduled=None)
        known = case.status.scheduled or ScheduleStatus(oldest_generation=case.resource.generation)
        for seen in schedule.fresh(known, case.history):
            case = self._told(case, seen, seen.result if seen.state == "Succeeded" else seen.failure or RunResult())
        folded = schedule.folded(known, case.history, case.now, case.settings)
        used = schedule.in_use(case.history, case.resource.generation)
        case = case.noted(scheduled=folded.model_copy(update={"oldest_generation": min(used)}))
        running = schedule.active(case.history)
        if running and not runs.current(case.status.runs):
            return self._working(case, running)
        return case if running or _open(case) or case.spec.suspend else _idle(case)

    def _working(self, case: Case, seen: ObservedRun) -> Case:
        """A run is under way; its numbers move at most as often as the settings say."""
        shards = Shard(total=seen.shards, active=seen.active, succeeded=seen.succeeded, failed=seen.failed)
        every = timedelta(seconds=case.settings.status_seconds)
        if progress.is_due(case.status.progress, case.now, every):
            found = counts.add(seen.result.counts, dict(seen.live))
            case = replace(case, status=self.work.counted(case.status, found, case.now))
        if case.spec.suspend:
            return case.noted(shards=shards)
        phase, reason = self.work.doing(case.spec)
        message = seen.waiting or "; ".join(filter(None, (f"run {seen.run} is under way", waits(seen))))
        return case.judged(conditions.working(reason, message), phase=phase, shards=shards)

    def _told(self, case: Case, seen: ObservedRun, result: RunResult) -> Case:
        """A run has ended: say how it went."""
        if seen.state == "Succeeded" and seen.lost:
            message = f"run {seen.run} has ended, and its result is unknown: {seen.unknown or 'its pod is gone'}"
            return self._concluded(case, conclusion(Reason.RESULT_UNKNOWN, f"{message}; {_UNKNOWN}", well=False))
        shards = Shard(total=seen.shards, succeeded=seen.succeeded, failed=seen.failed)
        after = replace(case, status=self.work.finished(case.status, result, case.now)).noted(shards=shards)
        if seen.state == "Succeeded":
            return self._concluded(after, self.work.verdict(case.spec, after.status, result))
        reason, message = runs.reason_of(result.reason), result.message or f"run {seen.run} failed"
        if self._waits(case) or seen.run_spec or self.work.final(reason):
            return self._concluded(after, conclusion(reason, message, well=False))
        return after.judged(conditions.stalled(reason, message)).told(reason, message, warning=True)

    def _concluded(self, case: Case, how: Conclusion) -> Case:
        progressed = progress.finished(case.status.progress, case.now) if how.well else case.status.progress
        ended = case.judged(how.conditions, phase=how.phase, progress=progressed)
        return ended.told(how.reason, how.message, warning=not how.well)

    def _next(self, case: Case) -> Case:
        """Start our own run, if there is work and nothing else works."""
        if not _open(case) or runs.current(case.status.runs) or case.spec.suspend or schedule.active(case.history):
            return case
        own = [run for run in case.status.runs if names.run_number(run.id) >= case.status.first_run]
        if own and case.now < runs.retry_at(own):
            return case
        started = runs.start(case.resource, case.status.runs, self.work.phase, case.now, case.settings)
        phase, reason = self.work.doing(case.spec)
        message = f"run {started[-1].id} has started"
        return case.judged(conditions.working(reason, message), phase=phase, runs=started).told(reason, message)

    def _held(self, case: Case) -> Case:
        busy = _open(case) or case.spec.schedule is not None
        return case.suspended() if case.spec.suspend and busy else case

    def _answer(self, case: Case) -> Desired:
        run = runs.current(case.status.runs)
        own = [known.id for known in case.status.runs]
        return Desired(
            status=case.status,
            objects=(*self._schedule_objects(case), *(self._run_objects(case, run) if run else ())),
            keep=frozenset([*own, *(seen.run for seen in schedule.observed(case.history))]),
            events=case.events,
            requeue=_requeue(case, run),
            discard=_discarded(case),
        )

    def _schedule_objects(self, case: Case) -> Sequence[Manifest]:
        """The CronJob stands before our own run, so that it is held before that begins."""
        spec = case.spec
        pauses = schedule.pauses(case.history, suspend=spec.suspend)
        if spec.schedule is None:
            return pauses
        held = spec.suspend or _open(case)
        wanted = schedule.objects(case.resource, spec, spec.worker, self.work.phase, case.settings, suspend=held)
        return (*wanted, *pauses)

    def _run_objects(self, case: Case, run: Run) -> Sequence[Manifest]:
        shards, parallelism = self.work.pods(case.spec)
        spec = RunSpec(
            kind=case.resource.kind,
            phase=run.phase,
            namespace=case.resource.namespace,
            name=case.resource.name,
            run=run.id,
            shards=shards,
            spec=resolved(case.spec),
            **self.more(case.status),
        )
        seen = runs.observed(run, case.history)
        return run_objects(
            case.resource,
            spec,
            parallelism=parallelism,
            suspend=case.spec.suspend,
            limits=runs.limits(case.spec.worker, shards, seen),
            settings=case.settings,
        )


def _idle(case: Case) -> Case:
    """A schedule between its runs: how the last one ended stays to be seen, unless something else was said since."""
    known = case.status.conditions
    if case.spec.schedule is None or any(conditions.is_true(known, c) for c in (conditions.READY, conditions.FAILED)):
        return case
    message = f"runs at {case.spec.schedule} ({case.spec.time_zone}); set a trigger for a run now"
    verdicts = conditions.working(Reason.SCHEDULED, message) | {
        conditions.READY: conditions.Verdict("True", Reason.SCHEDULED, message),
        conditions.RECONCILING: conditions.Verdict("False", Reason.SCHEDULED, message),
    }
    return case.judged(verdicts, phase="Scheduled")


def _open(case: Case) -> bool:
    """Whether work of our own has begun and not come to its end."""
    return bool(case.status.first_run)


def _discarded(case: Case) -> Sequence[ObjectName]:
    """Without a schedule its CronJob goes; RunSpecs go once nobody mounts them."""
    before = case.resource.status.get("scheduled")
    if before is None:
        return ()
    oldest = int(before.get("oldestGeneration", case.resource.generation))
    if case.spec.schedule is None:
        cron_job = ObjectName("CronJob", names.schedule_name(case.resource.name))
        return (cron_job, *schedule.leftovers(case.resource, oldest, set()))
    return schedule.leftovers(case.resource, oldest, schedule.in_use(case.history, case.resource.generation))


def _requeue(case: Case, run: Run | None) -> timedelta | None:
    if run is not None or schedule.active(case.history):
        return None if case.spec.suspend else timedelta(seconds=case.settings.status_seconds)
    if not _open(case) or case.spec.suspend:
        return None
    return max(timedelta(seconds=1), runs.retry_at(case.status.runs) - case.now)
