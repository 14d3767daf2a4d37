"""The list of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.worker import Worker
from bucketops_operator.executor import ObservedRun, Resource
from bucketops_operator.kinds import runs
from bucketops_operator.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RESOURCE = Resource("S3Migration", "default", "avatars", "uid-1", 7, {})


def started(count: int, *, result: str = "Succeeded") -> list[Run]:
    made: list[Run] = []
    for _ in range(count):
        made = runs.start(RESOURCE, made, "sweep", NOW, Settings(image="image:1"))
        made[-1] = made[-1].model_copy(update={"result": result, "completed_at": NOW})
    return made


def test_runs_are_numbered_on_and_the_last_ten_are_kept() -> None:
    made = started(12)
    assert [run.id for run in made] == [f"avatars-{number}-sweep" for number in range(3, 13)]


def test_a_run_says_its_image_and_its_generation() -> None:
    (run,) = started(1)
    assert (run.image, run.generation, run.started_at) == ("image:1", 7, NOW)


def test_the_same_list_gives_the_same_name() -> None:
    known = started(3)
    one, other = (runs.start(RESOURCE, known, "copy", NOW, Settings()) for _ in range(2))
    assert one == other


def test_the_current_run_is_the_one_that_has_not_ended() -> None:
    assert runs.current([]) is None
    assert runs.current(started(2)) is None
    assert runs.current(started(2, result="Running")) is not None


@pytest.mark.parametrize(
    ("state", "pods", "over"),
    [("Running", 0, False), ("Succeeded", 1, False), ("Succeeded", 0, True), ("Failed", 2, False), ("Failed", 0, True)],
)
def test_a_run_is_over_when_none_of_its_pods_can_write(state: str, pods: int, over: bool) -> None:
    assert runs.ended(ObservedRun("r", "copy", state, 1, pods=pods)) == over  # type: ignore[arg-type]


@pytest.mark.parametrize(("failures", "seconds"), [(1, 30), (2, 60), (3, 120), (7, 1800), (10, 1800)])
def test_pauses_double_up_to_half_an_hour(failures: int, seconds: int) -> None:
    assert runs.retry_at(started(failures, result="Failed")) == NOW + timedelta(seconds=seconds)


def test_only_failures_in_a_row_count() -> None:
    assert runs.retry_at([*started(5, result="Failed"), *started(1), *started(1, result="Failed")]) == NOW + timedelta(
        seconds=30
    )


def test_live_fields_are_no_part_of_the_digest() -> None:
    one, other = {"a": 1, "suspend": True}, {"suspend": False, "a": 1}
    assert runs.digest(one, ("suspend",)) == runs.digest(other, ("suspend",))
    assert runs.digest(one, ()) != runs.digest(other, ())


def test_rates_are_shared_by_the_pods_that_may_work() -> None:
    worker = Worker(parallelism=4, requests_per_second=100, bytes_per_second="10Mi")
    limits = runs.limits(worker, 16, None, 2.5)
    assert (limits.requests_per_second, limits.bytes_per_second) == (25, 10 * 2**20 / 4)
    assert limits.max_replication_lag_seconds == 2.5
    assert runs.limits(worker, 1, None).requests_per_second == 100
    assert runs.limits(Worker(), 4, None).requests_per_second is None


@pytest.mark.parametrize(
    ("active", "ended", "share"),
    [(0, 0, 25), (2, 0, 25), (4, 10, 25), (4, 12, 25), (2, 14, 50), (1, 15, 100), (0, 16, 100), (8, 0, 12.5)],
)
def test_no_pod_gets_more_than_its_share_while_others_start(active: int, ended: int, share: float) -> None:
    """16 shards, 4 at once: not even while none has started yet, nor while more than that still end."""
    worker = Worker(parallelism=4, requests_per_second=100)
    seen = ObservedRun("r", "copy", "Running", 16, active=active, succeeded=ended // 2, failed=ended - ended // 2)
    assert runs.limits(worker, 16, seen).requests_per_second == share
