"""What every executor must do with a Job: completions, parallelism, backoff, exit codes, suspend.

The cluster's executor is put to the same test by another `executor` fixture.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bucketops_api.contract import Limits, RunSpec
from bucketops_api.v1alpha1.migration import MigrationStatus
from bucketops_operator.executor import Event, Executor, ObservedRun, Resource
from bucketops_operator.local import Local
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings
from support import scripted

Run = Callable[..., ObservedRun]


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[Executor]:
    local = Local(tmp_path, {}, backoff_seconds=0.05, run_worker=scripted.work)
    yield local
    local.close()


@pytest.fixture
def owner() -> Resource:
    return Resource("S3Migration", "default", "avatars", str(uuid.uuid4()), 1, {})


class Bench:
    """One run on an executor."""

    def __init__(self, executor: Executor, owner: Resource, script: dict[str, list[int]], **how: Any) -> None:
        self.executor, self.owner = executor, owner
        self.how = {"parallelism": 2, "suspend": False} | {
            k: how.pop(k) for k in ("parallelism", "suspend") if k in how
        }
        number = how.pop("number", 1)
        self.run = RunSpec(
            kind="S3Migration",
            phase="copy",
            namespace="default",
            name="avatars",
            run=f"avatars-{owner.uid[:8]}-{number}-copy",
            shards=how.pop("shards", 4),
            spec={"script": script, "seconds": how.pop("seconds", 0.05), "worker": {}},
        )
        self.apply()

    def apply(self, **changes: Any) -> None:
        self.how |= changes
        self.executor.apply(
            self.owner, run_objects(self.owner, self.run, limits=Limits(), settings=Settings(), **self.how)
        )

    def seen(self) -> ObservedRun:
        return next(run for run in self.executor.observe(self.owner) if run.run == self.run.run)

    def until(self, wanted: Callable[[ObservedRun], bool], seconds: float = 30) -> ObservedRun:
        deadline = time.monotonic() + seconds
        while not wanted(seen := self.seen()):
            assert time.monotonic() < deadline, seen
            time.sleep(0.01)
        return seen

    def ended(self) -> ObservedRun:
        return self.until(lambda seen: seen.state != "Running" and seen.pods == 0)


def test_every_shard_is_run_once_and_the_results_add_up(executor: Executor, owner: Resource) -> None:
    seen = Bench(executor, owner, {}).ended()
    assert (seen.state, seen.shards, seen.succeeded, seen.failed, seen.lost) == ("Succeeded", 4, 4, 0, 0)
    assert seen.result.counts == {"done": 4, "shard0": 1, "shard1": 1, "shard2": 1, "shard3": 1}
    assert seen.phase == "copy"


def test_never_more_at_once_than_the_parallelism(executor: Executor, owner: Resource) -> None:
    bench = Bench(executor, owner, {}, shards=6, seconds=0.1)
    most = 0
    while (seen := bench.seen()).state == "Running":
        most = max(most, seen.pods)
    assert most == 2


def test_the_parallelism_may_change_on_the_way(executor: Executor, owner: Resource) -> None:
    bench = Bench(executor, owner, {}, shards=8, seconds=0.3, parallelism=1)
    assert bench.until(lambda seen: seen.pods > 0).pods == 1
    bench.apply(parallelism=4)
    bench.until(lambda seen: seen.pods == 4)
    assert bench.ended().succeeded == 8


def test_a_shard_that_fails_is_tried_again(executor: Executor, owner: Resource) -> None:
    bench = Bench(executor, owner, {"1": [1, 137, 0]})
    seen = bench.ended()
    assert (seen.state, seen.succeeded) == ("Succeeded", 4)
    assert seen.result.counts["shard1"] == 1
    assert scripted.attempts[bench.run.run, 1] == 3


def test_a_shard_that_always_fails_is_given_up_and_others_go_on(executor: Executor, owner: Resource) -> None:
    seen = Bench(executor, owner, {"1": [1]}, seconds=0.0).ended()
    assert (seen.state, seen.succeeded, seen.failed) == ("Failed", 3, 1)
    assert seen.failure is not None
    assert "shard 1" in seen.failure.message


def test_exit_65_fails_the_shard_at_once_and_others_go_on(executor: Executor, owner: Resource) -> None:
    bench = Bench(executor, owner, {"0": [65]})
    seen = bench.ended()
    assert (seen.state, seen.succeeded, seen.failed) == ("Failed", 3, 1)
    assert scripted.attempts[bench.run.run, 0] == 1


def test_exit_64_fails_the_run_at_once(executor: Executor, owner: Resource) -> None:
    """Nothing is tried again, nothing new begins, and the user reads why."""
    bench = Bench(executor, owner, {"0": [64]}, shards=20, seconds=0.1)
    seen = bench.ended()
    assert seen.state == "Failed"
    assert seen.failure is not None
    assert "ends with 64" in seen.failure.message
    assert seen.succeeded < 19
    assert scripted.attempts[bench.run.run, 0] == 1


def test_suspend_ends_the_pods_and_resume_goes_on(executor: Executor, owner: Resource) -> None:
    """An interrupted attempt is no failure of the shard: more of them than the backoff limit allows are fine."""
    bench = Bench(executor, owner, {}, seconds=0.2, shards=2)
    for _ in range(8):
        bench.until(lambda seen: seen.pods == 2)
        bench.apply(suspend=True)
        held = bench.until(lambda seen: seen.pods == 0)
        assert (held.state, held.suspended) == ("Running", True)
        bench.apply(suspend=False)
    assert bench.ended().state == "Succeeded"


def test_a_run_that_is_born_suspended_does_not_begin(executor: Executor, owner: Resource) -> None:
    bench = Bench(executor, owner, {}, suspend=True)
    time.sleep(0.3)
    assert bench.seen().pods == 0
    assert not scripted.attempts[bench.run.run, 0]


def test_applying_again_changes_nothing(executor: Executor, owner: Resource) -> None:
    bench = Bench(executor, owner, {})
    bench.ended()
    bench.apply()
    time.sleep(0.1)
    assert bench.seen().state == "Succeeded"
    assert scripted.attempts[bench.run.run, 0] == 1


def test_runs_are_observed_in_the_order_of_their_numbers_and_by_their_owner(
    executor: Executor, owner: Resource
) -> None:
    benches = [Bench(executor, owner, {}, number=number, shards=1) for number in (10, 9, 11)]
    other = Resource("S3Migration", "default", "others", str(uuid.uuid4()), 1, {})
    Bench(executor, other, {}, number=1, shards=1)
    for bench in benches:
        bench.ended()
    assert [seen.run for seen in executor.observe(owner)] == [benches[n].run.run for n in (1, 0, 2)]


def test_removing_a_run_ends_its_pods(executor: Executor, owner: Resource) -> None:
    bench = Bench(executor, owner, {}, seconds=60)
    bench.until(lambda seen: seen.pods == 2)
    executor.remove(owner, {bench.run.run, "never-was-1-copy"})
    assert list(executor.observe(owner)) == []


def test_a_status_and_events_may_be_written_again(executor: Executor, owner: Resource) -> None:
    for _ in range(2):
        executor.write_status(owner, MigrationStatus())
        executor.emit(owner, [Event("Copying", "run has started")])


def test_the_real_worker_refuses_a_kind_it_does_not_know(tmp_path: Path, owner: Resource) -> None:
    """As a process: its exit code is 64, its result says why."""
    local = Local(tmp_path, {})
    run = RunSpec(
        kind="S3Nothing", phase="copy", namespace="default", name="x", run="x-1-copy", shards=1, spec={"worker": {}}
    )
    objects = run_objects(owner, run, parallelism=1, suspend=False, limits=Limits(), settings=Settings())
    local.apply(owner, objects)
    deadline = time.monotonic() + 30
    while (seen := local.observe(owner)[0]).pods and time.monotonic() < deadline:
        time.sleep(0.05)
    assert seen.state == "Failed"
    assert seen.failure is not None
    assert seen.failure.reason == "ContractMismatch"
    assert "S3Nothing" in seen.failure.message
