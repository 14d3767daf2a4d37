"""The objects of the run that a migration's phase machine asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bucketops_api.contract import Artifact, RunSpec, resolved
from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.migration import MigrationSpec, MigrationStatus
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_operator.executor import Manifest, Origin
from bucketops_operator.kinds import case, runs
from bucketops_operator.objects import run_objects

Case = case.Case[MigrationSpec, MigrationStatus]


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


def _is_known(origin: Origin | None) -> bool:
    """Whether somebody keeps the status of the migration that is rolled back: it was seen to rest, then."""
    return origin is not None and bool(origin.resource.status.get("conditions"))


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
        rollback_of=case.resource.spec.get("rollbackOf") or "",
        journal_key=case.status.journal_key,
        origin_rests=run.phase == "preflight" and _is_known(case.resource.origin),
        not_before=case.status.delete_after if run.phase == "delete" else None,
        spec=resolved(case.spec),
    )
