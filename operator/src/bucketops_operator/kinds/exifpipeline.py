"""ExifPipeline: sweeps by the machine of all scheduled kinds, and the pods that hear events beside them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from bucketops_api import counts, names
from bucketops_api.contract import SAMPLES, RunResult, RunSpec, resolved
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Condition
from bucketops_api.v1alpha1.exifpipeline import LastSweep, Listeners, PipelineSpec, PipelineStatus
from bucketops_operator import conditions, progress
from bucketops_operator.desired import Desired
from bucketops_operator.executor import Manifest, ObjectName, ObservedRun, Resource
from bucketops_operator.kinds import pipeline_gaps, pipeline_overdue, runs
from bucketops_operator.kinds.conclusion import Conclusion, conclusion
from bucketops_operator.kinds.pipeline_counts import folded
from bucketops_operator.kinds.scheduled import Machine
from bucketops_operator.listeners import listener_objects
from bucketops_operator.objects import limits_name
from bucketops_operator.settings import Settings


@dataclass(frozen=True)
class Pipeline:
    """What ExifPipeline says of its sweeps.

    `quarantines`: what cannot be made clean is counted as that. `hears`: there are events, so that what a sweep writes
    later than the first was missed by them.
    """

    quarantines: bool = True
    hears: bool = False
    phase = "sweep"
    spec = PipelineSpec
    status = PipelineStatus

    def doing(self, _spec: PipelineSpec) -> tuple[str, Reason]:
        """The phase for people, and the reason of its conditions."""
        return "Sweeping", Reason.SWEEPING

    def counted(self, status: PipelineStatus, found: Mapping[str, int], now: datetime) -> PipelineStatus:
        """The progress of a sweep under way; each counts from zero."""
        total, done = found.get("total", 0), found.get(counts.DONE, 0)
        begun = status.progress
        if begun.percent >= progress.COMPLETE or _another(status):
            begun = begun.model_copy(update={"percent": 0, "objects_total": 0, "objects_done": 0, "updated_at": None})
        advanced = progress.advance(begun, total=total, done=done, bytes_done=found.get("bytesWritten", 0), now=now)
        return status.model_copy(update={"progress": advanced})

    def finished(self, status: PipelineStatus, result: RunResult, now: datetime) -> PipelineStatus:
        """What a sweep did joins what the listeners did; what it saw of refusals replaces what was known of them."""
        found, facts = result.counts, dict(result.facts)
        swept = self.counted(status, found, now)
        refused = found.get(counts.REFUSED, 0) + found.get("stillRefused", 0)
        repaired = found.get("processed", 0) + found.get(counts.DELETED, 0)
        later = status.last_sweep is not None and not status.first_run
        missed = self.hears and (later or status.sweep_since is not None)
        done = swept.progress
        known = {
            "processed": done.processed + found.get("processed", 0),
            "deleted": done.deleted + found.get(counts.DELETED, 0),
            "failed": done.failed + found.get("failed", 0),
            "unwritten": done.unwritten + found.get(counts.UNWRITTEN, 0),
            "repaired": done.repaired + (repaired if missed else 0),
            "conflicts": found.get("conflicts", 0),
            "skipped": 0 if self.quarantines else refused,
            "quarantined": refused if self.quarantines else 0,
        }
        last = LastSweep(
            completed_at=now,
            repaired=repaired,
            pictures=found.get("pictures", 0),
            failed=found.get("failed", 0),
        )
        return swept.model_copy(
            update={
                "progress": done.model_copy(update=known),
                "last_sweep": last,
                "records": facts.pop("records", status.records),
                "capabilities": runs.capabilities(facts) or status.capabilities,
                "samples": list(result.samples[:SAMPLES]),
            }
        )

    def verdict(self, _spec: PipelineSpec, _status: PipelineStatus, result: RunResult) -> Conclusion:
        """Nothing says success while a picture that should be clean is not."""
        found = result.counts
        message = (
            f"{found.get('pictures', 0)} pictures: {found.get('processed', 0)} saved, {found.get('current', 0)} were "
            f"there already, {found.get('refused', 0) + found.get('stillRefused', 0)} cannot be made clean, "
            f"{found.get('deleted', 0)} deleted after their source"
        )
        failed, conflicts = found.get("failed", 0), found.get("conflicts", 0)
        if failed or conflicts:
            message += (
                f"; {failed} failed and {conflicts} are in conflict, see status.samples; the next sweep tries again"
            )
            return conclusion(Reason.PARTIALLY_FAILED, message, well=False)
        return conclusion(Reason.SUCCEEDED, message)

    def final(self, reason: Reason) -> bool:
        """Deletions above the guard stay above it until somebody looks."""
        return reason == Reason.GUARD_EXCEEDED

    def begins(self, spec: PipelineSpec) -> bool:
        """What is already in the source is done at once."""
        return spec.sweep.on_start

    def pods(self, spec: PipelineSpec) -> tuple[int, int]:
        """`auto`: a shard for each pod. Only a sweep of one shard can tell what share of all would be deleted."""
        worker = spec.worker
        if spec.on_source_delete == "Delete" and spec.schedule is None:
            return 1, 1
        shards = worker.parallelism if worker.shards == "auto" else int(worker.shards)
        return shards, worker.parallelism


def _another(status: PipelineStatus) -> bool:
    """Whether an earlier sweep is shown. Counts that fall do not say so: pods end before their results are in."""
    known = (*status.runs, *(status.scheduled.runs if status.scheduled else ()))
    shown = status.progress.updated_at
    return shown is None or any(run.started_at > shown for run in known)


def _quarantines(spec: PipelineSpec) -> bool:
    return spec.on_not_jpeg == "Quarantine"


def desired(resource: Resource, history: Sequence[ObservedRun], now: datetime, settings: Settings) -> Desired:
    """What should be now: the sweeps', and the listeners'."""
    try:
        spec = PipelineSpec.model_validate(resource.spec)
    except ValidationError:
        return Machine(Pipeline()).desired(resource, history, now, settings)
    begun = pipeline_gaps.begun(spec, resource, now)
    prepared = replace(resource, status={**resource.status, **begun})
    work = Pipeline(_quarantines(spec), hears=spec.events is not None)
    sweeps = Machine(work, more=lambda status: {"changed_since": status.sweep_since})
    answer = sweeps.desired(prepared, history, now, settings)
    status = answer.status
    if not isinstance(status, PipelineStatus):
        return answer
    status = _heard(spec, status, resource, now, settings)
    status = status.model_copy(update={"sweep_overdue_at": pipeline_overdue.overdue_at(spec, status, resource, now)})
    status = status.model_copy(update={"conditions": _judged(spec, status, resource, now)})
    return replace(
        answer,
        status=_named(spec, status),
        objects=(*_listeners(resource, spec, settings), *answer.objects),
        discard=(*answer.discard, *_silenced(resource, spec)),
        requeue=_soon(spec, answer, settings),
    )


def _heard(
    spec: PipelineSpec, status: PipelineStatus, resource: Resource, now: datetime, settings: Settings
) -> PipelineStatus:
    """The counts of the pods that hear events: as often as a status may be written, and when one begins or ceases."""
    listening = sum(bool(pod.counts.get(counts.LISTENING)) for pod in resource.replicas)
    wanted = spec.replicas if spec.events and not spec.suspend else 0
    changed = listening != status.listeners.listening
    status = status.model_copy(update={"listeners": Listeners(wanted=wanted, listening=listening)})
    due = status.heard_at is None or now - status.heard_at >= timedelta(seconds=settings.status_seconds)
    if not due and not changed:
        return status
    status = status.model_copy(update={"missed_since": pipeline_gaps.missed_since(spec, status, resource)})
    replicas = spec.replicas if spec.events else 0
    return folded(status, resource.replicas, now, wanted=replicas, quarantines=_quarantines(spec))


def _judged(spec: PipelineSpec, status: PipelineStatus, resource: Resource, now: datetime) -> list[Condition]:
    """A sweep of a schedule is nothing to wait for; a listener that is not there is."""
    known = status.conditions
    if spec.suspend or conditions.is_true(known, conditions.STALLED) or status.first_run or not _goes_on(spec):
        return known
    heard = status.listeners
    if heard.listening < heard.wanted:
        why = next((f": {pod.name}: {pod.why}" for pod in resource.replicas if pod.why), "")
        message = f"{heard.listening} of {heard.wanted} pods hear events{why}"
        verdicts = conditions.working(Reason.IN_PROGRESS, message)
    else:
        swept = status.last_sweep
        message = f"{heard.listening} pods hear events" if heard.wanted else f"swept at {spec.schedule}"
        message += f"; the last sweep repaired {swept.repaired}" if swept else ""
        verdicts = conditions.complete(Reason.RUNNING, message) | {
            conditions.COMPLETE: conditions.Verdict("False", Reason.RUNNING, "a pipeline goes on")
        }
    return conditions.merge(known, verdicts, resource.generation, now)


def _named(spec: PipelineSpec, status: PipelineStatus) -> PipelineStatus:
    ready = conditions.is_true(status.conditions, conditions.READY) and _goes_on(spec)
    return status.model_copy(update={"phase": "Running"}) if ready else status


def _goes_on(spec: PipelineSpec) -> bool:
    """Whether anything comes after the sweep at the start."""
    return spec.events is not None or spec.schedule is not None


def _listeners(resource: Resource, spec: PipelineSpec, settings: Settings) -> Sequence[Manifest]:
    if spec.events is None:
        return ()
    calm = spec.model_copy(update={"suspend": False, "trigger": ""})
    run = RunSpec(
        kind=resource.kind,
        phase="listen",
        namespace=resource.namespace,
        name=resource.name,
        run=names.listener_name(resource.name),
        shards=spec.replicas,
        spec=resolved(calm),
    )
    limits = runs.limits(spec.worker, spec.replicas, None)
    return listener_objects(resource, run, suspend=spec.suspend, limits=limits, settings=settings)


def _silenced(resource: Resource, spec: PipelineSpec) -> Sequence[ObjectName]:
    """Without events nobody listens any more."""
    before = resource.status.get("listeners") or {}
    if spec.events is not None or not (before.get("wanted") or resource.replicas):
        return ()
    name = names.listener_name(resource.name)
    return (
        ObjectName("StatefulSet", name),
        ObjectName("Service", name),
        ObjectName("ConfigMap", name),
        ObjectName("ConfigMap", limits_name(name)),
    )


def _soon(spec: PipelineSpec, answer: Desired, settings: Settings) -> timedelta | None:
    """Listeners are looked at as often as a status is written."""
    if spec.events is None or spec.suspend:
        return answer.requeue
    every = timedelta(seconds=settings.status_seconds)
    return min(every, answer.requeue) if answer.requeue else every
