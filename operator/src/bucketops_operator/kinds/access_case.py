"""One call of S3Access's phase machine, and the objects and Secrets of the run that it asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bucketops_api.contract import RunSpec, resolved
from bucketops_api.names import staged_secret
from bucketops_api.v1alpha1.access import AccessSpec, AccessStatus
from bucketops_api.v1alpha1.common import Run
from bucketops_operator import conditions
from bucketops_operator.executor import Event, Manifest, ObservedRun, Resource, SecretChange
from bucketops_operator.kinds import runs
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings

LIVE = ("suspend", "trigger", "worker", "interval", "rotate", "keyOverlap", "deletionPolicy")
"""Fields that a new run does not begin for."""


@dataclass(frozen=True)
class Case:
    """One call of the machine."""

    resource: Resource
    spec: AccessSpec
    status: AccessStatus
    history: Sequence[ObservedRun]
    now: datetime
    settings: Settings
    events: tuple[Event, ...] = ()
    secrets: tuple[SecretChange, ...] = ()

    @property
    def run(self) -> Run | None:
        """The run that is under way."""
        return runs.current(self.status.runs)

    @property
    def digest(self) -> str:
        """Of what is to be granted."""
        return runs.digest(resolved(self.spec), LIVE)

    def judged(self, verdicts: conditions.Verdicts, **changes: object) -> Case:
        """The same with other conditions, and other fields of the status."""
        merged = conditions.merge(self.status.conditions, verdicts, self.resource.generation, self.now)
        return self.with_status(conditions=merged, **changes)

    def with_status(self, **changes: object) -> Case:
        """The same with other fields of the status."""
        return replace(self, status=self.status.model_copy(update=changes))

    def told(self, reason: str, message: str, *, warning: bool = False) -> Case:
        """The same with one more Event."""
        event = Event(reason, message, "Warning" if warning else "Normal")
        return replace(self, events=(*self.events, event))

    def changing(self, *changes: SecretChange) -> Case:
        """The same with changes of Secrets."""
        return replace(self, secrets=(*self.secrets, *changes))

    def ended(self, result: str, **changes: object) -> Case:
        """The same with its current run over."""
        last = self.status.runs[-1].model_copy(update={"result": result, "completed_at": self.now} | changes)
        return self.with_status(runs=[*self.status.runs[:-1], last])


def started(case: Case, phase: str) -> Case:
    """A new run, with the Secret that it needs."""
    begun = runs.start(case.resource, case.status.runs, phase, case.now, case.settings)
    return case.with_status(runs=begun).changing(*_secrets(case.spec, begun[-1]))


def _secrets(spec: AccessSpec, run: Run) -> Sequence[SecretChange]:
    """MinIO takes the pair that we make; AWS makes its own, which the Job puts into an empty Secret."""
    if run.phase == "revoke":
        return ()
    made = SecretChange("Make" if spec.provider == "MinIO" else "MakeEmpty", spec.credentials_secret.name)
    if run.phase == "rotate" and spec.provider == "MinIO":
        return (made, SecretChange("Stage", staged_secret(run.id)))
    return (made,)


def objects(case: Case, run: Run) -> Sequence[Manifest]:
    """The run's ConfigMaps and Job, as they should be now."""
    name = case.spec.credentials_secret.name
    staged = (staged_secret(run.id),) if run.phase == "rotate" and case.spec.provider == "MinIO" else ()
    spec = RunSpec(
        kind=case.resource.kind,
        phase=run.phase,
        namespace=case.resource.namespace,
        name=case.resource.name,
        run=run.id,
        secrets=(name, *staged),
        spec=resolved(case.spec),
    )
    return run_objects(
        case.resource,
        spec,
        parallelism=1,
        suspend=case.spec.suspend and not case.resource.deleting,
        limits=runs.limits(case.spec.worker, 1, None),
        settings=case.settings,
        api_token=case.spec.provider == "AWS",
    )
