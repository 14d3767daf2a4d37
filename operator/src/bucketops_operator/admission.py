"""What a resource asks for beyond what the cluster's owner allows, and what becomes of it then. Pure.

The chart's ValidatingAdmissionPolicy says the same at admission; here it is said again for clusters without the policy,
and for resources that were admitted before the lists were shortened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bucketops_api import names
from bucketops_api.reasons import ConditionType, Reason
from bucketops_api.v1alpha1.pod_template import PROXIES
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator import conditions
from bucketops_operator.allowed import Allowed, endpoints, holds, holds_endpoint
from bucketops_operator.desired import Desired
from bucketops_operator.executor import Event, ObjectName, ObservedRun, Resource

_DEFAULT_ACCOUNT = "default"
"""Of every namespace; workers use it without a token when they name none."""


def refused(resource: Resource, history: Sequence[ObservedRun], now: datetime, allowed: Allowed) -> Desired | None:
    """Return what should be of a resource that asks for too much; None if it asks for nothing of the kind.

    No run begins. Those under way end by themselves; a schedule and the pods that hear events go, because they would
    work on for ever. A resource that is being deleted is let go, with a warning of what stays.
    """
    found = list(objections(resource, allowed))
    if not found:
        return None
    message = "; ".join(found)
    status = KINDS[resource.kind].status.model_validate(resource.status)
    told = any(c.type == ConditionType.STALLED and c.message == message for c in status.conditions)
    verdicts = conditions.stalled(Reason.INVALID_SPEC, message)
    status.conditions = conditions.merge(status.conditions, verdicts, resource.generation, now)
    status.observed_generation = resource.generation
    events = () if told else (Event(Reason.INVALID_SPEC, message, "Warning"),)
    if resource.deleting:
        stays = f"nothing was undone, because {message}"
        return Desired(status, events=(Event(Reason.RETAINED, stays, "Warning"),))
    return Desired(
        status,
        keep=frozenset(run.run for run in history),
        events=events,
        discard=_endless(resource),
        held=resource.held,
    )


def _endless(resource: Resource) -> Sequence[ObjectName]:
    """What works on for ever. The operator may have no right on StatefulSets, if no kind that has them is in use."""
    schedule = ObjectName("CronJob", names.schedule_name(resource.name))
    if "events" not in KINDS[resource.kind].spec.model_fields:
        return [schedule]
    return [schedule, ObjectName("StatefulSet", names.listener_name(resource.name))]


def objections(resource: Resource, allowed: Allowed) -> Iterable[str]:
    """Yield a sentence for each thing that is not allowed, with the field and the chart's value to change."""
    yield from _in_spec(resource.spec, resource.namespace, allowed)
    if resource.origin is not None:
        yield from _in_spec(resource.origin.resource.spec, resource.namespace, allowed)


def _in_spec(spec: Mapping[str, Any], namespace: str, allowed: Allowed) -> Iterable[str]:
    worker = _mapping(spec.get("worker"))
    template = _mapping(worker.get("template"))
    yield from _account(worker.get("serviceAccountName"), namespace, allowed)
    for field, name, known in _named(template, allowed):
        if not holds(known, name):
            yield _refusal(f"worker.template.{field}", name, _VALUES[field], known)
    for path, endpoint in (*endpoints(spec), *_proxies(template)):
        if not holds_endpoint(allowed.endpoints, endpoint):
            yield _refusal(path, endpoint, "endpoints", allowed.endpoints)


def _account(name: object, namespace: str, allowed: Allowed) -> Iterable[str]:
    known = allowed.service_accounts
    if name and name != _DEFAULT_ACCOUNT and not holds(known, str(name)) and not holds(known, f"{namespace}/{name}"):
        yield _refusal("worker.serviceAccountName", name, "serviceAccounts", known)


_VALUES = {
    "priorityClassName": "priorityClasses",
    "tolerations": "tolerations",
    "labels": "labels",
    "annotations": "annotations",
}
"""The chart's list for each of these fields."""


def _named(template: Mapping[str, Any], allowed: Allowed) -> Iterable[tuple[str, str, Sequence[str]]]:
    """What each field of the template names, beside the list that must hold it."""
    if priority := template.get("priorityClassName"):
        yield "priorityClassName", str(priority), allowed.priority_classes
    for toleration in _list(template.get("tolerations")):
        yield "tolerations", str(_mapping(toleration).get("key", "")), allowed.tolerations
    for key in _mapping(template.get("labels")):
        yield "labels", key, allowed.labels
    for key in _mapping(template.get("annotations")):
        yield "annotations", key, allowed.annotations


def _proxies(template: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Whoever names a proxy chooses whom the worker talks to: it counts as an endpoint."""
    for variable in map(_mapping, _list(template.get("env"))):
        if variable.get("name") in PROXIES:
            yield "worker.template.env", str(variable.get("value", ""))


def _refusal(field: str, value: object, name: str, known: Sequence[str]) -> str:
    listed = ", ".join(known) or "none"
    return f"spec.{field}: {str(value)[:256]!r} is not allowed here (chart value allowed.{name}: {listed})"


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
