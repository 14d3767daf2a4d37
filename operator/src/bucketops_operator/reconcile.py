"""Observe -> desired -> apply the difference -> one status write -> Events. The same for every kind and executor.

A crash after any line is harmless: names of runs follow from the status, so the next call does the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bucketops_api.reasons import Reason
from bucketops_operator import statuses
from bucketops_operator.admission import refused
from bucketops_operator.desired import Desired
from bucketops_operator.errors import NamespaceEndsError
from bucketops_operator.executor import Event, Executor, ObservedRun, Origin, Resource
from bucketops_operator.kinds import access, exifpipeline, migration, retention
from bucketops_operator.settings import Settings

Machine = Callable[[Resource, Sequence[ObservedRun], datetime, Settings], Desired]

MACHINES: Mapping[str, Machine] = {
    "ExifPipeline": exifpipeline.desired,
    "S3Access": access.desired,
    "S3Migration": migration.desired,
    "S3Retention": retention.desired,
}
_AT_ONCE = timedelta(0)
LISTENING = frozenset({"ExifPipeline"})
"""Kinds with pods that hear events."""


def reconcile(resource: Resource, executor: Executor, now: datetime, settings: Settings) -> Desired:
    """Bring one resource a step nearer to what its spec says; `now` is timezone-aware."""
    statuses.known(resource)
    resource, observed = _with_origin(resource, executor), executor.observe(resource)
    if resource.kind in LISTENING:
        resource = replace(resource, replicas=executor.replicas(resource))
    desired = _desired(resource, observed, now, settings)
    executor.let_go(resource, [run for run in observed if run.stranded])
    executor.remove(resource, [run for run in observed if run.run not in desired.keep])
    if desired.held and not resource.held:
        resource = executor.hold(resource)
    changes = ((change.name, executor.change_secret(resource, change)) for change in desired.secrets)
    if made := {name: uid for name, uid in changes if uid}:
        return _remembered(resource, executor, desired, made)
    if resource.held and not desired.held:
        return _released(resource, executor, desired)
    try:
        executor.apply(resource, desired.objects)
    except NamespaceEndsError as error:
        if not resource.deleting:
            raise
        left = Event(Reason.RETAINED, f"{error.message}: nothing can be undone there any more", "Warning")
        executor.emit(resource, [left])
        return _released(resource, executor, desired)
    executor.discard(resource, desired.discard)
    if _differs(resource, desired):
        executor.write_status(resource, desired.status)
    executor.emit(resource, desired.events)
    return desired


def _desired(resource: Resource, observed: Sequence[ObservedRun], now: datetime, settings: Settings) -> Desired:
    not_allowed = refused(resource, observed, now, settings.allowed)
    return not_allowed or MACHINES[resource.kind](resource, observed, now, settings)


def _with_origin(resource: Resource, executor: Executor) -> Resource:
    name = resource.spec.get("rollbackOf")
    found = executor.get(resource.kind, resource.namespace, str(name)) if name else None
    if found is None:
        return resource
    return replace(resource, origin=Origin(found, sum(run.pods for run in executor.observe(found))))


def _remembered(resource: Resource, executor: Executor, desired: Desired, made: Mapping[str, str]) -> Desired:
    """Write down the uids of Secrets that were made before anything uses them; the objects come with the next call."""
    known = dict(getattr(desired.status, "secret_uids", {}))
    status = desired.status.model_copy(update={"secret_uids": {**known, **made}})
    executor.write_status(resource, status)
    executor.emit(resource, desired.events)
    return replace(desired, status=status, requeue=_AT_ONCE)


def _released(resource: Resource, executor: Executor, desired: Desired) -> Desired:
    """Nothing holds the resource any more; one that was being deleted is gone with that."""
    if not resource.deleting and _differs(resource, desired):
        executor.write_status(resource, desired.status)
    executor.emit(resource, desired.events)
    executor.release(resource)
    return desired


def _differs(resource: Resource, desired: Desired) -> bool:
    return desired.status.model_dump(mode="json", by_alias=True, exclude_none=True) != dict(resource.status)
