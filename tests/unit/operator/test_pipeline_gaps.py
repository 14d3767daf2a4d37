"""A pod that did not listen for a while has missed events: a sweep of what changed since makes them good."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bucketops_api import counts
from bucketops_api.contract import RunSpec
from bucketops_operator.executor import ObservedReplica
from bucketops_operator.kinds.pipeline_gaps import CALM

from .test_pipeline_machine import World


def ready(**spec: Any) -> World:
    """The first sweep has ended some time ago, and two pods listen."""
    world = World(**spec)
    world.end()
    world.listen(0, 0)
    world.step(CALM.total_seconds())
    return world


def sweeps(world: World) -> int:
    return len(world.jobs)


def run_spec(world: World) -> RunSpec:
    """Of the sweep under way."""
    name = world.find("Job")["metadata"]["name"]
    found = next(m for m in world.answer.objects if m["kind"] == "ConfigMap" and m["metadata"]["name"] == name)
    return RunSpec.model_validate_json(found["data"]["run.json"])


def test_a_stream_that_was_lost_is_followed_by_a_sweep_of_what_changed_since() -> None:
    world = ready()
    heard = datetime.fromisoformat(world.status["counted"][0]["seenAt"])
    world.step(60)
    world.listen(0, 0, **{counts.GAPS: 1})
    world.step()
    assert sweeps(world) == 2
    assert run_spec(world).changed_since == heard + timedelta(seconds=60)
    world.end(processed=1)
    world.step(CALM.total_seconds())
    world.step()
    assert sweeps(world) == 2
    assert (world.status.get("missedSince"), world.status.get("sweepSince")) == (None, None)
    assert world.condition("Ready")[0] == "True"


def test_a_pod_that_was_killed_right_after_it_began_to_listen_was_noted_before() -> None:
    """What is shown as listening is remembered as such in the same status."""
    world = World()
    world.end()
    world.pods = [ObservedReplica(f"pod-{n}", "1", {counts.LISTENING: 1}) for n in range(2)]
    world.step(0.01)
    assert world.condition("Ready")[0] == "True"
    world.pods = []
    world.step(CALM.total_seconds())
    world.listen(0, 0, incarnation="2")
    world.step()
    assert sweeps(world) == 2


def test_the_gap_begins_where_a_pod_was_last_heard_of_however_long_it_is_silent() -> None:
    world = ready()
    last = datetime.fromisoformat(world.status["counted"][0]["seenAt"])
    world.pods = []
    world.step(3600)
    world.listen(0, 0, incarnation="2")
    world.step()
    assert run_spec(world).changed_since == last


def test_the_gap_begins_where_a_pod_was_asked_not_where_its_answer_was_looked_at() -> None:
    """Workers are read beside the reconcile loop: an answer may be older than the look that uses it."""
    world = ready()
    asked = world.now - timedelta(seconds=4)
    world.pods = [replace(pod, seen_at=asked) for pod in world.pods]
    world.step(5)
    world.pods = []
    world.step(60)
    world.listen(0, 0, incarnation="2")
    world.step()
    assert run_spec(world).changed_since == asked


def test_a_pod_with_another_name_than_a_replicas_breaks_nothing() -> None:
    world = ready()
    world.pods = [*world.pods, ObservedReplica("pod-debug", "1", {counts.LISTENING: 1, "processed": 0})]
    world.step()
    world.pods = world.pods[:2]
    world.step()
    assert [one["pod"] for one in world.status["counted"]] == ["pod-0", "pod-1"]


def test_what_arrives_while_it_is_suspended_is_made_good_when_it_goes_on() -> None:
    world = ready()
    last = datetime.fromisoformat(world.status["counted"][0]["seenAt"])
    world.pods = []
    world.change(suspend=True)
    world.step(3600)
    assert sweeps(world) == 1
    world.change(suspend=False)
    world.listen(0, 0, incarnation="2")
    world.step()
    assert run_spec(world).changed_since == last


def test_pods_that_nobody_wants_any_more_are_forgotten() -> None:
    world = ready()
    world.pods = world.pods[:1]
    world.change(replicas=1)
    assert [one["pod"] for one in world.status["counted"]] == ["pod-0"]


def test_the_sweep_begins_only_after_the_pod_listens_again() -> None:
    """Else what arrives between both would be nobody's."""
    world = ready()
    world.pods = [ObservedReplica(f"pod-{n}", "2", {counts.LISTENING: 0, "processed": 0}) for n in range(2)]
    world.step()
    world.step()
    assert sweeps(world) == 1
    world.listen(0, 0, incarnation="2")
    world.step()
    assert sweeps(world) == 2


def test_a_gap_during_that_sweep_is_followed_by_another_one_after_a_while() -> None:
    world = ready()
    world.listen(0, 0, **{counts.GAPS: 1})
    world.step()
    world.listen(0, 0, **{counts.GAPS: 2})
    world.end()
    world.step()
    assert sweeps(world) == 2
    assert world.status["missedSince"]
    world.step(CALM.total_seconds())
    assert sweeps(world) == 3


def test_a_sweep_of_a_new_spec_looks_into_everything() -> None:
    world = ready()
    world.listen(0, 0, **{counts.GAPS: 1})
    world.change(trigger="now")
    assert run_spec(world).changed_since is None


def test_a_new_spec_takes_the_place_of_a_sweep_that_is_to_be_tried_again() -> None:
    world = ready()
    world.listen(0, 0, **{counts.GAPS: 1})
    world.step()
    assert run_spec(world).changed_since
    world.end(state="Failed", reason="AccessDenied")
    world.change(strip={"orientation": "Drop"})
    world.step(600)
    assert run_spec(world).changed_since is None


@pytest.mark.parametrize(
    "spec",
    [
        {"events": {"sqs": {"queueUrl": "https://sqs.x/1/q"}}},
        {"sweep": {"schedule": ""}},
    ],
)
def test_queues_keep_what_was_not_done_and_without_a_schedule_nothing_sweeps_by_itself(spec: dict[str, Any]) -> None:
    world = ready(**spec)
    world.listen(0, 0, incarnation="2", **{counts.GAPS: 1})
    world.step(600)
    assert sweeps(world) == 1


def test_what_a_webhook_had_accepted_went_with_its_pod() -> None:
    """And not every sender tries again what nobody answered."""
    world = ready(events={"webhook": {"secretRef": {"name": "hook"}}})
    world.listen(0, 0, incarnation="2")
    world.step()
    assert sweeps(world) == 2


def test_the_gap_of_a_pod_that_runs_and_does_not_listen_begins_where_it_last_did() -> None:
    """However long the stream is lost: its counts are still read."""
    world = ready()
    last = datetime.fromisoformat(world.status["counted"][0]["seenAt"])
    for _ in range(5):
        world.listen(0, 0, **{counts.LISTENING: 0})
        world.step(3600)
    assert sweeps(world) == 1
    world.listen(0, 0, **{counts.GAPS: 1})
    world.step()
    assert run_spec(world).changed_since == last


def test_events_without_room_are_followed_by_one_sweep_that_looks_back_to_the_first_of_them() -> None:
    world = ready()
    last = datetime.fromisoformat(world.status["counted"][0]["seenAt"])
    for dropped in (10, 500, 900):
        world.listen(0, 0, **{counts.DROPPING: 1, counts.DROPPED: dropped})
        world.step(3600)
    assert sweeps(world) == 1
    world.listen(0, 0, **{counts.DROPPED: 900, counts.GAPS: 1})
    world.step()
    assert run_spec(world).changed_since == last
    world.end()
    for _ in range(3):
        world.listen(0, 0, **{counts.DROPPED: 900, counts.GAPS: 1})
        world.step(CALM.total_seconds())
    assert sweeps(world) == 2
    assert (world.status["progress"]["dropped"], world.status["progress"]["gaps"]) == (2 * 900, 2)


def test_new_pods_and_those_that_only_did_not_answer_have_missed_nothing() -> None:
    world = ready()
    world.pods = [replace(pod, counts={}) for pod in world.pods]
    world.step()
    world.listen(0, 0, 0)
    world.step(600)
    assert sweeps(world) == 1
