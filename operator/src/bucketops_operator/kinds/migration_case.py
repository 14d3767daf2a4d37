"""One call of the migration's phase machine, and the objects of the run that it asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bucketops_api.contract import Artifact, RunSpec, resolved
from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.migration import MigrationSpec, MigrationStatus
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_operator import conditions
from bucketops_operator.executor import Event, Manifest, ObservedRun, Resource
from bucketops_operator.kinds import runs
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings


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


def objects(case: Case, run: Run) -> Sequence[Manifest]:
    """The run's ConfigMaps and Job, as they should be now."""
    spec, work = case.spec, _run_spec(case, run)
    return run_objects(
        case.resource,
        work,
        parallelism=spec.worker.parallelism,
        suspend=spec.suspend,
        limits=runs.limits(spec.worker, work.shards, runs.observed(run, case.history), _lag(spec)),
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
