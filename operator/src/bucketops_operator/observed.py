"""A Job and its pods as the API server lists them -> a run as the phase machines see it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from bucketops_api import names
from bucketops_api.contract import RunResult, UnknownResultError, total
from bucketops_api.reasons import Reason
from bucketops_operator import podstate
from bucketops_operator.executor import Manifest, ObservedRun
from bucketops_operator.hindrance import hindrance


def observed_run(job: Manifest, pods: Sequence[Manifest], live: Mapping[str, int], now: datetime) -> ObservedRun:
    """Read a run from its Job and from the pods that carry its label; `live` are the counts of the running ones.

    Pods of an older Job of the same name count as pods, for they may still work; their results do not count. Nor does
    that of a pod which ended well while the Job was being suspended: the Job controller runs its shard again.
    """
    status, state = job.get("status", {}), podstate.job_state(job)
    own = [pod for pod in pods if podstate.controller(pod) == job["metadata"]["uid"]]
    completed = podstate.indexes(status.get("completedIndexes", ""))
    results, unread = _results(pod for pod in own if podstate.index(pod) in completed)
    return ObservedRun(
        run=job["metadata"]["name"],
        uid=job["metadata"]["uid"],
        phase=job["metadata"]["labels"].get(names.LABEL_PHASE, ""),
        state=state,
        shards=job["spec"].get("completions") or 1,
        active=status.get("active", 0),
        succeeded=len(completed),
        failed=len(podstate.indexes(status.get("failedIndexes", ""))),
        pods=sum(podstate.unfinished(pod) for pod in pods),
        suspended=podstate.held(job),
        result=total(results[index] for index in sorted(results)),
        failure=_failure(job, own) if state == "Failed" else None,
        live=live,
        waiting=hindrance(job, own, now),
        stranded=state == "Running" and not podstate.held(job) and bool(own) and all(map(podstate.deleted, own)),
        lost=len(completed - results.keys()),
        unknown=_unknown(completed - results.keys(), unread),
        run_spec=_run_spec(job),
        started=_time(status.get("startTime")),
        ended=_time(podstate.ended_at(job)),
    )


def _run_spec(job: Manifest) -> str:
    """Only the Jobs of a schedule bear another name than their RunSpec."""
    run_spec = str(job["metadata"]["labels"].get(names.LABEL_RUN, ""))
    return "" if run_spec == names.label_value(job["metadata"]["name"]) else run_spec


def _time(text: str | None) -> datetime | None:
    return podstate.moment(text) if text else None


def _results(pods: Iterable[Manifest]) -> tuple[dict[int, RunResult], dict[int, str]]:
    """Take one result per shard, and why of others there is none.

    Two pods may have succeeded for one shard: the Job controller does not rule it out. The last one counts.
    """
    read: dict[int, RunResult] = {}
    unread: dict[int, str] = {}
    succeeded = (pod for pod in pods if podstate.phase(pod) == "Succeeded")
    for pod in sorted(succeeded, key=podstate.finished):
        try:
            read[podstate.index(pod)] = podstate.result(pod)
        except UnknownResultError as error:
            unread[podstate.index(pod)] = f"pod {pod['metadata']['name']}: {error}"
    return read, unread


def _unknown(lost: AbstractSet[int], unread: Mapping[int, str]) -> str:
    """Say why results of shards that have succeeded cannot be read; '' where all can."""
    if not lost:
        return ""
    first = min(lost & unread.keys(), default=min(lost))
    why = unread.get(first, "its pod is gone")
    return f"shard {first}: {why}" + (f" (and {len(lost) - 1} more shards)" if len(lost) > 1 else "")


def _failure(job: Manifest, pods: Iterable[Manifest]) -> RunResult:
    """Take the best explanation: what the user must change, else a shard that cannot succeed, else the latest."""
    failed = [pod for pod in pods if podstate.phase(pod) == "Failed"]
    if failed:
        return podstate.explanation(max(failed, key=lambda pod: (_rank(pod), podstate.finished(pod))))
    conditions = job.get("status", {}).get("conditions") or ()
    message = next((c.get("message", "") for c in conditions if c["type"] == "Failed"), "")
    return RunResult(reason=Reason.RUN_FAILED, message=message)


def _rank(pod: Manifest) -> int:
    return {names.EXIT_USER: 2, names.EXIT_SHARD: 1}.get(podstate.ended(pod).get("exitCode", 0), 0)
