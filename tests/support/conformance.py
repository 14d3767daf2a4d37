"""What every executor must do with a Job: completions, parallelism, backoff, exit codes, suspend.

Each executor's test module gives a `place` and takes these tests over by importing them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bucketops_api.contract import Limits, RunSpec
from bucketops_api.v1alpha1.migration import MigrationStatus
from bucketops_operator.executor import Event, Executor, ObservedRun, Resource
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings


@dataclass(frozen=True)
class Place:
    """An executor with a scripted worker, and how fast things go there."""

    executor: Executor
    owner: Resource
    new_owner: Callable[[str], Resource]
    attempts: Callable[[str, int], int]
    """How often a run's shard was begun."""
    settings: Settings
    beat: float
    """Seconds that a short attempt takes."""
    limit: int
    """Retries of one shard."""
    patience: float
    """Seconds until a wait is given up."""


class Bench:
    """One run on an executor."""

    def __init__(
        self, place: Place, script: dict[str, list[int]], *, owner: Resource | None = None, **how: Any
    ) -> None:
        self.place, self.executor, self.owner = place, place.executor, owner or place.owner
        self.how = {"parallelism": 2, "suspend": False} | {
            k: how.pop(k) for k in ("parallelism", "suspend") if k in how
        }
        number = how.pop("number", 1)
        self.run = RunSpec(
            kind="S3Migration",
            phase="copy",
            namespace=self.owner.namespace,
            name=self.owner.name,
            run=f"{self.owner.name}-{self.owner.uid[:8]}-{number}-copy",
            shards=how.pop("shards", 4),
            spec={"script": script, "seconds": how.pop("beats", 1) * place.beat, "worker": {}},
        )
        self.apply()

    def apply(self, **changes: Any) -> None:
        self.how |= changes
        self.executor.apply(
            self.owner, run_objects(self.owner, self.run, limits=Limits(), settings=self.place.settings, **self.how)
        )

    def seen(self) -> ObservedRun:
        return next(run for run in self.executor.observe(self.owner) if run.run == self.run.run)

    def until(self, wanted: Callable[[ObservedRun], bool]) -> ObservedRun:
        deadline = time.monotonic() + self.place.patience
        while not wanted(seen := self.seen()):
            assert time.monotonic() < deadline, seen
            time.sleep(self.place.beat / 5)
        return seen

    def attempts(self, shard: int) -> int:
        return self.place.attempts(self.run.run, shard)

    def ended(self) -> ObservedRun:
        return self.until(lambda seen: seen.state != "Running" and seen.pods == 0)


def test_every_shard_is_run_once_and_the_results_add_up(place: Place) -> None:
    seen = Bench(place, {}).ended()
    assert (seen.state, seen.shards, seen.succeeded, seen.failed, seen.lost) == ("Succeeded", 4, 4, 0, 0)
    assert seen.result.counts == {"done": 4, "shard0": 1, "shard1": 1, "shard2": 1, "shard3": 1}
    assert seen.phase == "copy"


def test_never_more_at_once_than_the_parallelism(place: Place) -> None:
    bench = Bench(place, {}, shards=6, beats=2)
    most = 0
    while (seen := bench.seen()).state == "Running":
        most = max(most, seen.pods)
    assert most == 2


def test_the_parallelism_may_change_on_the_way(place: Place) -> None:
    bench = Bench(place, {}, shards=8, beats=6, parallelism=1)
    assert bench.until(lambda seen: seen.pods > 0).pods == 1
    bench.apply(parallelism=4)
    bench.until(lambda seen: seen.pods == 4)
    assert bench.ended().succeeded == 8


def test_a_shard_that_fails_is_tried_again(place: Place) -> None:
    bench = Bench(place, {"1": [1, 137, 0]})
    seen = bench.ended()
    assert (seen.state, seen.succeeded) == ("Succeeded", 4)
    assert seen.result.counts["shard1"] == 1
    assert bench.attempts(1) == 3


def test_a_shard_that_always_fails_is_given_up_and_others_go_on(place: Place) -> None:
    seen = Bench(place, {"1": [1]}).ended()
    assert (seen.state, seen.succeeded, seen.failed) == ("Failed", 3, 1)
    assert seen.failure is not None
    assert "shard 1" in seen.failure.message


def test_exit_65_fails_the_shard_at_once_and_others_go_on(place: Place) -> None:
    bench = Bench(place, {"0": [65]})
    seen = bench.ended()
    assert (seen.state, seen.succeeded, seen.failed) == ("Failed", 3, 1)
    assert bench.attempts(0) == 1


def test_exit_64_fails_the_run_at_once(place: Place) -> None:
    """Nothing is tried again, nothing new begins, and the user reads why."""
    bench = Bench(place, {"0": [64]}, shards=20, beats=2)
    seen = bench.ended()
    assert seen.state == "Failed"
    assert seen.failure is not None
    assert "ends with 64" in seen.failure.message
    assert seen.succeeded < 19
    assert bench.attempts(0) == 1


def test_suspend_ends_the_pods_and_resume_goes_on(place: Place) -> None:
    """An interrupted attempt is no failure of the shard: more of them than the backoff limit allows are fine."""
    bench = Bench(place, {}, beats=20, shards=2)
    for _ in range(place.limit + 2):
        bench.until(lambda seen: seen.pods == 2)
        bench.apply(suspend=True)
        held = bench.until(lambda seen: seen.pods == 0)
        assert (held.state, held.suspended) == ("Running", True)
        bench.apply(suspend=False)
    assert bench.ended().state == "Succeeded"


def test_a_run_that_is_born_suspended_does_not_begin(place: Place) -> None:
    bench = Bench(place, {}, suspend=True)
    time.sleep(6 * place.beat)
    assert bench.seen().pods == 0
    assert not bench.attempts(0)


def test_applying_again_changes_nothing(place: Place) -> None:
    bench = Bench(place, {})
    bench.ended()
    bench.apply()
    time.sleep(2 * place.beat)
    assert bench.seen().state == "Succeeded"
    assert bench.attempts(0) == 1


def test_runs_are_observed_in_the_order_of_their_numbers_and_by_their_owner(place: Place) -> None:
    benches = [Bench(place, {}, number=number, shards=1) for number in (10, 9, 11)]
    Bench(place, {}, owner=place.new_owner("others"), number=1, shards=1)
    for bench in benches:
        bench.ended()
    assert [seen.run for seen in place.executor.observe(place.owner)] == [benches[n].run.run for n in (1, 0, 2)]


def test_removing_a_run_ends_its_pods(place: Place) -> None:
    bench = Bench(place, {}, beats=1200)
    seen = bench.until(lambda seen: seen.pods == 2)
    place.executor.remove(place.owner, [seen, replace(seen, run="never-was-1-copy")])
    assert list(place.executor.observe(place.owner)) == []


def test_a_status_and_events_may_be_written_again(place: Place) -> None:
    for _ in range(2):
        owner = place.new_owner("told")
        place.executor.write_status(owner, MigrationStatus())
        place.executor.emit(owner, [Event("Copying", "run has started")])
        assert list(place.executor.observe(owner)) == []
