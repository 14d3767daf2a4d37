"""What the pods that hear events have counted, folded into a status that outlives them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from bucketops_api import counts
from bucketops_api.v1alpha1.exifpipeline import CountedReplica, PipelineStatus
from bucketops_operator.executor import ObservedReplica
from bucketops_operator.kinds import pipeline_gaps

ADDED = {
    "processed": "processed",
    "failed": "failed",
    "conflicts": "conflicts",
    counts.REFUSED: "quarantined",
    counts.UNWRITTEN: "unwritten",
    counts.DROPPED: "dropped",
    counts.GAPS: "gaps",
}
"""The counts of a pod that add up, and what they are called in the status."""


def folded(
    status: PipelineStatus, replicas: Sequence[ObservedReplica], now: datetime, *, wanted: int, quarantines: bool
) -> PipelineStatus:
    """Each pod's counts since the last look; those of one that began anew, from zero.

    What is known of a pod that is gone stays as long as so many are `wanted` that it comes again.
    """
    known = {one.pod: one for one in status.counted}
    fresh: dict[str, int] = {}
    there = {pod.name for pod in replicas}
    kept = [one for one in status.counted if one.pod not in there and _ordinal(one.pod) < wanted]
    for pod in replicas:
        before = known.get(pod.name)
        if not pod.counts or pipeline_gaps.begins(before, pod):  # it does not answer now; what is known of it stays
            kept += [before] if before else []
            continue
        seen = {name: pod.counts.get(name, 0) for name in ADDED}
        begun = before.counts if before and before.incarnation == pod.incarnation else {}
        fresh = counts.add(fresh, {name: max(0, seen[name] - begun.get(name, 0)) for name in ADDED})
        asked = pod.seen_at or now
        seen_at = asked if before is None or pipeline_gaps.hears(pod) else before.seen_at
        kept.append(CountedReplica(pod=pod.name, incarnation=pod.incarnation, counts=seen, seen_at=seen_at))
    done = status.progress
    names = ADDED if quarantines else {**ADDED, counts.REFUSED: "skipped"}
    added = {name: getattr(done, name) + fresh.get(count, 0) for count, name in names.items()}
    changes = {"progress": done.model_copy(update={**added, **_now(replicas)}), "counted": kept, "heard_at": now}
    return status.model_copy(update=changes)


def _ordinal(pod: str) -> float:
    """Return the number of a StatefulSet's pod; one that has none is beyond all that are wanted."""
    number = pod.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() else math.inf


def _now(replicas: Sequence[ObservedReplica]) -> Mapping[str, int]:
    """What is so at this moment: the backlog adds up, the oldest is the oldest of all."""
    whole: dict[str, int] = {}
    for pod in replicas:
        whole = counts.add(whole, dict(pod.counts))
    return {
        "pending": whole.get(counts.EVENTS_PENDING, 0),
        "oldest_pending_seconds": max((pod.counts.get(counts.OLDEST_PENDING, 0) for pod in replicas), default=0),
        "latency_p50_ms": counts.quantile(whole, 0.5),
        "latency_p99_ms": counts.quantile(whole, 0.99),
    }
