"""What one Job or one pod, as the API server lists it, says about itself; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ValidationError

from bucketops_api import names
from bucketops_api.contract import RunResult
from bucketops_api.reasons import Reason
from bucketops_operator import children
from bucketops_operator.executor import Manifest

State = Literal["Running", "Succeeded", "Failed"]

_LAST_WORDS = 500
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
        found = RunResult.model_validate_json(end.get("message", ""))
    except ValidationError:
        return f"exit code {end['exitCode']}; see its log"
    return f"{found.reason}: {found.message}" if found.reason else found.message


def finished(pod: Manifest) -> datetime:
    """Read when the worker container ended."""
    return moment(ended(pod).get("finishedAt"))


def result(pod: Manifest) -> RunResult | None:
    """Read the result that the worker left; None for one that is absent, cut short or of another version."""
    try:
        return RunResult.model_validate_json(ended(pod).get("message", ""))
    except ValidationError:
        return None


def explanation(pod: Manifest) -> RunResult:
    """Say why a pod failed: in the worker's own words, or else in those of the kubelet."""
    told = result(pod)
    if told is not None and (told.reason or told.message):
        return told
    return RunResult(reason=Reason.RUN_FAILED, message=f"pod {pod['metadata']['name']}: {_words(pod)}")


def _words(pod: Manifest) -> str:
    status, end = pod.get("status", {}), ended(pod)
    if end.get("reason") == "OOMKilled":
        return "OOMKilled: raise worker.template.resources.limits.memory, or lower worker.concurrency"
    if message := end.get("message", "").strip():
        return str(message[-_LAST_WORDS:])
    if not end:
        return f"{status.get('reason', 'Failed')}: {status.get('message', 'the pod ended without a result')}"
    return f"exit code {end['exitCode']} without a result; see its log"
