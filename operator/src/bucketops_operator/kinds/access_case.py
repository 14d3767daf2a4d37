"""One call of S3Access's phase machine, and the objects and Secrets of the run that it asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from bucketops_api.contract import RunSpec, resolved
from bucketops_api.names import secret_mark, staged_secret
from bucketops_api.v1alpha1.access import AccessSpec, AccessStatus
from bucketops_api.v1alpha1.common import NameRef, Run
from bucketops_operator import conditions
from bucketops_operator.executor import Event, Manifest, ObservedRun, Resource, SecretChange
from bucketops_operator.kinds import runs
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings

ChangeAction = Literal["Make", "MakeEmpty", "Stage", "Promote", "Drop"]
_NO_ACCOUNT = {None, "default"}
"""Of these nobody has allowed a token: only an account that the chart's values name brings one along."""
MADE = "Made"
"""What the worker says of a credentials Secret that was made here."""
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

    @property
    def secret_name(self) -> str:
        """The credentials Secret of the run that is or was the last: what the spec says by now is for the next one."""
        return self.status.secret_name or self.spec.credentials_secret.name

    def change(self, action: ChangeAction, name: str, staged: str = "") -> SecretChange:
        """A change of a Secret, with the uid that is known of it, and the mark of one that is made."""
        endpoint = self.spec.admin.endpoint
        mark = secret_mark(self.resource.kind, self.resource.namespace, self.resource.name, endpoint)
        return SecretChange(action, name, staged, self.status.secret_uids.get(name, ""), mark)

    def without_staged(self, run: Run) -> Case:
        """The same after a rotation: the Secret that it had made for the new key goes, and its uid is forgotten."""
        name = staged_secret(run.id)
        if run.phase != "rotate" or name not in self.status.secret_uids:
            return self
        uids = {known: uid for known, uid in self.status.secret_uids.items() if known != name}
        return self.changing(self.change("Drop", name)).with_status(secret_uids=uids)

    def ended(self, result: str, **changes: object) -> Case:
        """The same with its current run over."""
        last = self.status.runs[-1].model_copy(update={"result": result, "completed_at": self.now} | changes)
        return self.with_status(runs=[*self.status.runs[:-1], last])


def started(case: Case, phase: str) -> Case:
    """A new run, with the Secret that it needs. A revocation is about the Secret of the runs before it."""
    begun = runs.start(case.resource, case.status.runs, phase, case.now, case.settings)
    name = case.secret_name if phase == "revoke" else case.spec.credentials_secret.name
    uids = {known: uid for known, uid in case.status.secret_uids.items() if known == name}
    case = case.with_status(runs=begun, secret_name=name, secret_uids=uids)
    return case.changing(*_secrets(case, begun[-1]))


def _secrets(case: Case, run: Run) -> Sequence[SecretChange]:
    """MinIO takes the pair that we make; AWS makes its own, which the Job puts into an empty Secret."""
    if run.phase == "revoke":
        return ()
    ours = case.spec.provider == "MinIO"
    made = case.change("Make" if ours else "MakeEmpty", case.secret_name)
    if run.phase == "rotate" and ours and case.status.secret == MADE:
        return (made, case.change("Stage", staged_secret(run.id)))
    return (made,)


def objects(case: Case, run: Run) -> Sequence[Manifest]:
    """The run's ConfigMaps and Job, as they should be now."""
    name = case.secret_name
    staged = tuple(known for known in (staged_secret(run.id),) if known in case.status.secret_uids)
    spec = RunSpec(
        kind=case.resource.kind,
        phase=run.phase,
        namespace=case.resource.namespace,
        name=case.resource.name,
        run=run.id,
        secrets=(name, *staged),
        secret_uid=case.status.secret_uids.get(name, ""),
        spec=resolved(case.spec.model_copy(update={"credentials_secret": NameRef(name=name)})),
    )
    return run_objects(
        case.resource,
        spec,
        parallelism=1,
        suspend=case.spec.suspend and not case.resource.deleting,
        limits=runs.limits(case.spec.worker, 1, None),
        settings=case.settings,
        api_token=case.spec.provider == "AWS" and case.spec.worker.service_account_name not in _NO_ACCOUNT,
    )
