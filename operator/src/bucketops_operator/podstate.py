"""What one Job or one pod, as the API server lists it, says about itself; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from bucketops_api import names
from bucketops_api.contract import RunResult, UnknownResultError, read_result
from bucketops_api.reasons import Reason
from bucketops_operator import children, deaths
from bucketops_operator.executor import Manifest

State = Literal["Running", "Succeeded", "Failed"]

_ENDED = {"Succeeded", "Failed"}
_JOB_NAME = "batch.kubernetes.io/job-name"
_INDEX = "batch.kubernetes.io/job-completion-index"


def job_state(job: Manifest) -> State:
    """Read a Job's terminal conditions.

    `SuccessCriteriaMet` and `FailureTarget` come earlier, while pods still end, and are not terminal:
    https://kubernetes.io/docs/concepts/workloads/controllers/job/#termination-of-job-pods
    """
    for condition in job.get("status", {}).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] in {"Complete", "Failed"}:
            return "Succeeded" if condition["type"] == "Complete" else "Failed"
    return "Running"


def ended_at(job: Manifest) -> str | None:
    """Read when a Job came to its end, well or not."""
    ends = (c for c in job.get("status", {}).get("conditions") or () if c["type"] in {"Complete", "Failed"})
    return next((c.get("lastTransitionTime") for c in ends if c["status"] == "True"), None)


def job_of(pod: Manifest) -> str:
    """Read the name of the Job that made a pod."""
    return str(pod["metadata"].get("labels", {}).get(_JOB_NAME, ""))


def held(job: Manifest) -> bool:
    """Tell whether a Job may start no pod at present."""
    return bool(job["spec"].get("suspend")) or job["spec"].get("parallelism") == 0


def indexes(text: str) -> frozenset[int]:
    """Read a Job's list of indexes, such as `0-3,5`."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def controller(manifest: Manifest) -> str | None:
    """Find the uid of the object that controls this one."""
    return children.controller(manifest).get("uid")


def phase(pod: Manifest) -> str:
    """Read a pod's phase."""
    return str(pod.get("status", {}).get("phase", ""))


def unfinished(pod: Manifest) -> bool:
    """Tell whether a pod may still work; one that is being deleted may, until it is gone."""
    return phase(pod) not in _ENDED


def deleted(manifest: Manifest) -> bool:
    """Tell whether an object is being deleted."""
    return "deletionTimestamp" in manifest["metadata"]


def index(pod: Manifest) -> int:
    """Read which shard a pod works on; -1 for an annotation that is no number: somebody has edited it."""
    text = str((pod["metadata"].get("annotations") or {}).get(_INDEX, 0))
    return int(text) if text.isascii() and text.isdigit() else -1


def created(manifest: Manifest) -> datetime:
    """Read when an object was created."""
    return moment(manifest["metadata"].get("creationTimestamp"))


def moment(text: str | None) -> datetime:
    """Read a time of the API server; an absent one is long ago."""
    return datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)


def ended(pod: Manifest) -> Mapping[str, Any]:
    """Read how the worker container ended; empty when it has not, or when the kubelet never said."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        if container["name"] == names.WORKER_CONTAINER:
            return container.get("state", {}).get("terminated") or {}
    return {}


def restarts(pod: Manifest) -> tuple[int, str]:
    """Read how often the worker container was started again, and why it ended the last time, if not well."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        if container["name"] == names.WORKER_CONTAINER:
            state = container.get("state", {})
            end = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
            waits = "waiting" in state or "terminated" in state
            return int(container.get("restartCount", 0)), _told(end) if waits and end.get("exitCode") else ""
    return 0, ""


def _told(end: Mapping[str, Any]) -> str:
    try:
        found = read_result(str(end.get("message") or ""))
    except UnknownResultError:
        return deaths.of_container(end, {})
    return f"{found.reason}: {found.message}" if found.reason else found.message


def finished(pod: Manifest) -> datetime:
    """Read when the worker container ended."""
    return moment(ended(pod).get("finishedAt"))


def result(pod: Manifest) -> RunResult:
    """Read the result that the worker left; UnknownResultError says why there is none that can be read."""
    return read_result(str(ended(pod).get("message") or ""), _given_run(pod))


def explanation(pod: Manifest) -> RunResult:
    """Say why a pod failed: in the worker's own words, or else in those of the kubelet."""
    try:
        told = result(pod)
    except UnknownResultError:
        told = RunResult()
    if told.reason or told.message:
        return told
    words = deaths.of_container(ended(pod), pod.get("status", {}))
    return RunResult(reason=Reason.RUN_FAILED, message=f"pod {pod['metadata']['name']}: {words}")


def _given_run(pod: Manifest) -> str:
    """Read the digest of the run file that the pod was made for; '' where its template has none."""
    for container in pod.get("spec", {}).get("containers") or ():
        if container.get("name") == names.WORKER_CONTAINER:
            given = (one.get("value") for one in container.get("env") or () if one.get("name") == names.ENV_RUN_DIGEST)
            return str(next(given, None) or "")
    return ""
