"""Jobs and pods of the API server as the phase machines see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bucketops_api import names
from bucketops_operator.executor import ObservedRun
from bucketops_operator.hindrance import without_pods
from bucketops_operator.observed import observed_run
from bucketops_operator.podstate import indexes

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = "avatars-2-copy"


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def job(*conditions: str, **changes: Any) -> dict[str, Any]:
    status = {"conditions": [{"type": kind, "status": "True", "message": f"it is {kind}"} for kind in conditions]}
    status |= {"startTime": at(-60)} | changes.pop("status", {})
    spec = {"completions": 4, "parallelism": 2, "suspend": False} | changes
    labels = {names.LABEL_PHASE: "copy"} | ({names.LABEL_QUEUE: "night"} if changes.pop("queue", False) else {})
    return {"metadata": {"name": RUN, "uid": "job-1", "labels": labels}, "spec": spec, "status": status}


def pod(
    phase: str, index: int = 0, *, message: str = "", code: int | None = None, when: float = 0, **changes: Any
) -> dict[str, Any]:
    ended = {"exitCode": code, "message": message, "finishedAt": at(when), "reason": changes.pop("reason", "Error")}
    state = {"terminated": ended} if code is not None else changes.pop("state", {"running": {}})
    return {
        "metadata": {
            "name": f"{RUN}-{index}-abcde",
            "creationTimestamp": at(when - 60),
            "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
            "ownerReferences": [{"uid": changes.pop("job", "job-1"), "controller": True}],
        },
        "status": {"phase": phase, "containerStatuses": [{"name": "worker", "state": state}]} | changes,
    }


def seen(job: dict[str, Any], *pods: dict[str, Any]) -> ObservedRun:
    return observed_run(job, pods, {}, NOW)


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ((), "Running"),
        (("Suspended",), "Running"),
        (("SuccessCriteriaMet",), "Running"),
        (("FailureTarget",), "Running"),
        (("SuccessCriteriaMet", "Complete"), "Succeeded"),
        (("FailureTarget", "Failed"), "Failed"),
    ],
)
def test_a_job_has_ended_only_by_its_terminal_conditions(conditions: tuple[str, ...], state: str) -> None:
    assert seen(job(*conditions)).state == state


@pytest.mark.parametrize(("text", "expected"), [("", set()), ("3", {3}), ("0-2,5", {0, 1, 2, 5}), ("1,3-4", {1, 3, 4})])
def test_lists_of_indexes_are_read_as_the_job_controller_writes_them(text: str, expected: set[int]) -> None:
    assert indexes(text) == expected


def test_results_of_shards_add_up_each_by_its_last_pod() -> None:
    run = seen(
        job("Complete", status={"completedIndexes": "0-1"}),
        pod("Succeeded", 0, code=0, message='{"counts": {"bytes": 5}}', when=-20),
        pod("Succeeded", 0, code=0, message='{"counts": {"bytes": 7}}', when=-10),
        pod("Succeeded", 1, code=0, message='{"counts": {"bytes": 100}}'),
    )
    assert (run.result.counts, run.lost) == ({"bytes": 107}, 0)


@pytest.mark.parametrize("message", ["", "Traceback …", '{"version": 2}', '{"counts": '])
def test_a_result_that_cannot_be_read_is_counted_as_lost(message: str) -> None:
    run = seen(job(status={"completedIndexes": "0,2"}), pod("Succeeded", 0, code=0, message=message))
    assert (run.succeeded, run.lost) == (2, 2)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "pod avatars-2-copy-0-abcde: it left no result"),
        ('{"counts": ', "the result that it left is cut short"),
        ('{"version": 2}', "of a version that this operator does not know"),
        ('{"runSha256": "other"}', "that of another run"),
    ],
)
def test_why_a_result_is_unknown_is_said(message: str, words: str) -> None:
    env = [{"name": names.ENV_RUN_DIGEST, "value": "this"}]
    made = pod("Succeeded", 0, code=0, message=message) | {"spec": {"containers": [{"name": "worker", "env": env}]}}
    run = seen(job("Complete", status={"completedIndexes": "0"}), made)
    assert run.unknown.startswith("shard 0: pod ")
    assert words in run.unknown


def test_a_result_that_went_with_its_pod_is_unknown() -> None:
    run = seen(job("Complete", status={"completedIndexes": "0-2"}), pod("Succeeded", 1, code=0, message="{}"))
    assert (run.lost, run.unknown) == (2, "shard 0: its pod is gone (and 1 more shards)")


def test_a_pod_counts_until_it_has_ended_even_one_of_an_older_job() -> None:
    run = seen(
        job(),
        pod("Running", 0),
        pod("Pending", 1),
        pod("Failed", 2, code=1),
        pod("Succeeded", 3, code=0),
        pod("Running", 3, job="older"),
    )
    assert run.pods == 3


def test_the_result_of_an_older_job_does_not_count() -> None:
    run = seen(job(), pod("Succeeded", 0, code=0, message='{"counts": {"bytes": 5}}', job="older"))
    assert run.result.counts == {}


def test_the_result_of_a_shard_that_will_run_again_does_not_count() -> None:
    run = seen(job(suspend=True), pod("Succeeded", 0, code=0, message='{"counts": {"bytes": 5}}'))
    assert run.result.counts == {}


def test_what_the_user_must_change_explains_a_failure_best_then_a_hopeless_shard_then_the_latest() -> None:
    pods = [
        pod("Failed", 0, code=1, message='{"reason": "Latest"}', when=0),
        pod("Failed", 1, code=1, message='{"reason": "Old"}', when=-50),
    ]
    explained = []
    for code, reason in ((None, ""), (65, "Shard"), (64, "User")):
        if code:
            pods.append(pod("Failed", 2, code=code, message=f'{{"reason": "{reason}"}}', when=-90))
        failure = seen(job("Failed"), *pods).failure
        explained.append(failure.reason if failure else None)
    assert explained == ["Latest", "Shard", "User"]


def test_a_worker_that_left_no_result_is_quoted() -> None:
    failure = seen(job("Failed"), pod("Failed", 0, code=1, message="x" * 600 + "the end")).failure
    assert failure is not None
    assert failure.reason == "RunFailed"
    assert failure.message.endswith("the end")
    assert len(failure.message) < 600


def test_a_worker_without_memory_tells_what_to_raise() -> None:
    failure = seen(job("Failed"), pod("Failed", 0, code=137, reason="OOMKilled")).failure
    assert failure is not None
    assert "limits.memory" in failure.message


def test_a_pod_that_was_evicted_is_explained_by_the_kubelet() -> None:
    evicted = pod("Failed", 0, state={}) | {"status": {"phase": "Failed", "reason": "Evicted", "message": "disk full"}}
    failure = seen(job("Failed"), evicted).failure
    assert failure is not None
    assert "Evicted: disk full" in failure.message


def test_a_failed_job_without_pods_is_explained_by_its_condition() -> None:
    failure = seen(job("Failed")).failure
    assert failure is not None
    assert failure.message == "it is Failed"


def test_no_failure_is_told_while_the_job_runs() -> None:
    assert seen(job(), pod("Failed", 0, code=1)).failure is None


def test_an_image_that_cannot_be_pulled_is_told_at_once() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    assert seen(job(), pod("Pending", 0, state=waiting, when=60)).waiting.endswith("ImagePullBackOff: no such image")


def test_a_pod_that_no_node_takes_is_told_after_a_while() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    young, old = (pod("Pending", 0, state={}, when=when, conditions=[condition]) for when in (50, 0))
    assert seen(job(), young).waiting == ""
    assert seen(job(), old).waiting.endswith("Unschedulable: 0/1 nodes")


def test_a_shard_that_fails_and_is_tried_again_is_told_until_its_next_pod_runs() -> None:
    failed = pod("Failed", 1, code=1, message='{"reason": "EndpointUnreachable", "message": "refused"}', when=-30)
    assert seen(job(), failed).waiting == "shard 1 is tried again: EndpointUnreachable, refused".replace(", ", ": ")
    assert seen(job(), failed, pod("Running", 1, when=0)).waiting == ""
    assert seen(job(status={"failedIndexes": "1"}), failed).waiting == ""


def test_a_pod_that_was_told_to_end_is_no_failure() -> None:
    ended = pod("Failed", 1, code=1)
    ended["metadata"]["deletionTimestamp"] = at(0)
    assert seen(job(), ended).waiting == ""
    assert seen(job(suspend=True), pod("Failed", 1, code=1)).waiting == ""


def test_a_job_that_kueue_holds_back_is_told() -> None:
    held = job(suspend=True)
    held["metadata"]["labels"][names.LABEL_QUEUE] = "night"
    assert "night" in seen(held).waiting


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"suspend": True}, False), ({"parallelism": 0}, False), ({"status": {"startTime": at(-5)}}, False)],
)
def test_events_are_asked_only_when_pods_should_be_there_and_are_not(
    changes: dict[str, Any], *, expected: bool
) -> None:
    assert without_pods(job(**changes), [], NOW) is expected
    assert without_pods(job(**changes), [pod("Pending")], NOW) is False


def test_a_run_whose_pods_somebody_else_deletes_is_stranded() -> None:
    deleted = pod("Failed")
    deleted["metadata"]["deletionTimestamp"] = at(0)
    assert seen(job(), deleted).stranded
    assert not seen(job(), deleted, pod("Running", 1)).stranded
    assert not seen(job()).stranded
    assert not seen(job(suspend=True), deleted).stranded
    assert not seen(job("Complete"), deleted).stranded
