"""Why a run does not get on, in one sentence for people; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bucketops_api import names
from bucketops_operator import podstate
from bucketops_operator.executor import Manifest

_PATIENCE = timedelta(seconds=30)
"""A pod may take so long to be created, scheduled and started before anybody is told."""
_STARTING = {"ContainerCreating", "PodInitializing"}


def hindrance(job: Manifest, pods: Sequence[Manifest], now: datetime) -> str:
    """Say what is in the way: Kueue, the scheduler, the image, or failures that are tried again; empty if nothing."""
    if podstate.job_state(job) != "Running":
        return ""
    queue = job["metadata"]["labels"].get(names.LABEL_QUEUE)
    if queue and job["spec"].get("suspend"):
        return f"waits until Kueue queue {queue} admits it"
    if podstate.held(job):
        return ""
    starting = [pod for pod in sorted(pods, key=podstate.index) if podstate.phase(pod) == "Pending"]
    for pod in starting:
        if why := _not_started(pod, now):
            return f"pod {pod['metadata']['name']}: {why}"
    return _failing(job, pods)


def without_pods(job: Manifest, pods: Sequence[Manifest], now: datetime) -> bool:
    """Tell whether a Job that should have pods has had none for a while: then only its Events say why."""
    started = job.get("status", {}).get("startTime")
    if pods or started is None or podstate.held(job) or podstate.job_state(job) != "Running":
        return False
    return now - podstate.moment(started) > _PATIENCE


def _not_started(pod: Manifest, now: datetime) -> str:
    late = now - podstate.created(pod) > _PATIENCE
    status = pod["status"]
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) == ("PodScheduled", "False") and late:
            return _sentence(condition)
    for container in status.get("containerStatuses") or ():
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting and (late or waiting.get("reason") not in _STARTING):
            return _sentence(waiting)
    return ""


def _failing(job: Manifest, pods: Sequence[Manifest]) -> str:
    """Name the first shard whose last pod failed and that is tried again; a pod that was told to end did not fail."""
    status = job.get("status", {})
    over = podstate.indexes(status.get("completedIndexes", "")) | podstate.indexes(status.get("failedIndexes", ""))
    newest = {podstate.index(pod): pod for pod in sorted(pods, key=podstate.created)}
    for index in sorted(newest.keys() - over):
        if podstate.phase(newest[index]) == "Failed" and not podstate.deleted(newest[index]):
            told = podstate.explanation(newest[index])
            return f"shard {index} is tried again: {': '.join(filter(None, (told.reason, told.message)))}"
    return ""


def _sentence(said: Manifest) -> str:
    return ": ".join(filter(None, (said.get("reason", ""), said.get("message", ""))))
