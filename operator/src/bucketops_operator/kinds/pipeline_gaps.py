"""Events that were missed because a pod did not listen for a while, and the sweep that makes them good. Pure.

MinIO keeps nothing for who does not listen, nor for who has no room. A pod says so once it hears everything again, so
that the sweep begins after that. A webhook's sender may keep nothing either, and what was accepted goes with its pod.
Queues keep whatever was not done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bucketops_api import counts
from bucketops_api.v1alpha1.exifpipeline import CountedReplica, PipelineSpec, PipelineStatus
from bucketops_operator.executor import ObservedReplica, Resource
from bucketops_operator.kinds import runs

CALM = timedelta(seconds=30)
"""At least, between a sweep and the next one for what was missed: a server that comes and goes is not listed always."""


def begins(before: CountedReplica | None, pod: ObservedReplica) -> bool:
    """Whether a pod has begun anew and does not listen yet: what is known of it stays as it was until it does."""
    known = before is not None and before.incarnation == pod.incarnation
    return not known and not pod.counts.get(counts.LISTENING)


def hears(pod: ObservedReplica) -> bool:
    """Whether it misses nothing now: since then is how far back a sweep of what was missed must look."""
    return bool(pod.counts.get(counts.LISTENING)) and not pod.counts.get(counts.DROPPING)


def missed_since(spec: PipelineSpec, status: PipelineStatus, resource: Resource) -> datetime | None:
    """Since when events may have been missed that no sweep has been started for; None: nothing was missed."""
    if spec.events is None or spec.events.sqs is not None or spec.schedule is None:
        return None
    known = {one.pod: one for one in status.counted}
    found = [one.seen_at for pod in resource.replicas if (one := known.get(pod.name)) and _was_deaf(one, pod)]
    since = [when for when in (status.missed_since, *found) if when is not None]
    return min(since, default=None)


def _was_deaf(before: CountedReplica, pod: ObservedReplica) -> bool:
    if not pod.counts or begins(before, pod):
        return False
    return before.incarnation != pod.incarnation or pod.counts.get(counts.GAPS, 0) > before.counts.get(counts.GAPS, 0)


def begun(spec: PipelineSpec, resource: Resource, now: datetime) -> Mapping[str, Any]:
    """What changes in the status, as JSON, when a sweep of what was missed begins; that of a new spec goes before."""
    status = PipelineStatus.model_validate(resource.status)
    changed = status.observed_generation != resource.generation
    if status.first_run and not changed:
        return {}
    rests = not status.first_run and not spec.suspend and not runs.current(status.runs)
    swept = status.last_sweep
    calm = swept is not None and now - swept.completed_at >= CALM
    if status.missed_since is None or changed or not rests or not calm:
        return {"sweepSince": None}
    since = status.missed_since.isoformat()
    return {"firstRun": runs.next_number(status.runs), "missedSince": None, "sweepSince": since}
