"""ExifPipeline's machine: listeners beside sweeps, counts that outlive pods."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from bucketops_api import counts, names
from bucketops_api.contract import RunResult, RunSpec
from bucketops_api.reasons import Reason
from bucketops_operator.desired import Desired
from bucketops_operator.executor import ObservedReplica, ObservedRun, Resource
from bucketops_operator.kinds.exifpipeline import desired
from bucketops_operator.kinds.pipeline_overdue import due
from bucketops_operator.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(status_seconds=1)
PLAIN: dict[str, Any] = {
    "source": {"bucket": "bucket-a"},
    "destination": {"bucket": "bucket-b"},
    "quarantine": {"bucket": "bucket-q"},
    "events": {"minio": {}},
}


class World:
    """One ExifPipeline and what exists of it."""

    def __init__(self, **spec: Any) -> None:
        self.resource = Resource("ExifPipeline", "default", "pictures", "uid-1", 1, PLAIN | spec)
        self.now, self.status = START, {}
        self.jobs: dict[str, ObservedRun] = {}
        self.pods: list[ObservedReplica] = []
        self.answer = self.step()

    def step(self, seconds: float = 1) -> Desired:
        self.now += timedelta(seconds=seconds)
        resource = replace(self.resource, status=self.status, replicas=self.pods)
        self.answer = desired(resource, list(self.jobs.values()), self.now, SETTINGS)
        for manifest in self.answer.objects:
            name = manifest["metadata"]["name"]
            if manifest["kind"] == "Job" and name not in self.jobs:
                shards = manifest["spec"]["completions"]
                self.jobs[name] = ObservedRun(name, "sweep", "Running", shards, active=shards, pods=shards)
        self.status = self.answer.status.model_dump(mode="json", by_alias=True, exclude_none=True)
        return self.answer

    def change(self, **spec: Any) -> Desired:
        spec = {name: value for name, value in (dict(self.resource.spec) | spec).items() if value is not None}
        self.resource = replace(self.resource, spec=spec, generation=self.resource.generation + 1)
        return self.step()

    def end(self, state: Literal["Succeeded", "Failed"] = "Succeeded", reason: str = "", **found: int) -> Desired:
        """The sweep under way ends."""
        name = next(name for name, job in self.jobs.items() if job.state == "Running")
        job = self.jobs[name]
        self.jobs[name] = replace(
            job,
            state=state,
            active=0,
            pods=0,
            succeeded=job.shards if state == "Succeeded" else 0,
            result=RunResult(counts=found),
            failure=RunResult(reason=reason, message="why") if state == "Failed" else None,
        )
        return self.step()

    def work(self, **live: int) -> Desired:
        """The pods of the sweep under way have counted so much."""
        name = next(name for name, job in self.jobs.items() if job.state == "Running")
        self.jobs[name] = replace(self.jobs[name], live=live)
        return self.step()

    def listen(self, *processed: int, incarnation: str = "1", **more: int) -> Desired:
        self.pods = [
            ObservedReplica(f"pod-{n}", incarnation, {counts.LISTENING: 1, "processed": amount, **more})
            for n, amount in enumerate(processed)
        ]
        return self.step()

    def find(self, kind: str) -> dict[str, Any]:
        return next(dict(manifest) for manifest in self.answer.objects if manifest["kind"] == kind)

    def kinds(self) -> set[str]:
        return {manifest["kind"] for manifest in self.answer.objects}

    def condition(self, type_: str) -> tuple[str, str]:
        return next((c["status"], c["reason"]) for c in self.status["conditions"] if c["type"] == type_)


def test_a_new_pipeline_listens_and_sweeps_in_shards_while_its_schedule_is_held() -> None:
    world = World(worker={"parallelism": 3})
    assert world.kinds() == {"ConfigMap", "Service", "StatefulSet", "CronJob", "Job"}
    job = world.find("Job")["spec"]
    assert (job["completions"], job["parallelism"]) == (3, 3)
    assert world.find("CronJob")["spec"]["suspend"] is True
    assert world.find("CronJob")["spec"]["jobTemplate"]["spec"]["completions"] == 1


def test_it_is_ready_when_the_first_sweep_has_ended_and_all_pods_listen() -> None:
    world = World()
    world.listen(0)
    assert world.condition("Ready")[0] == "False"
    world.end(pictures=3, processed=3, done=3, total=3)
    assert world.condition("Ready")[0] == "False"
    world.listen(0, 0)
    assert (world.condition("Ready"), world.status["phase"]) == (("True", "Running"), "Running")
    assert world.condition("Complete")[0] == "False"
    assert world.status["lastSweep"]["repaired"] == 3
    assert world.find("CronJob")["spec"]["suspend"] is False


def test_a_first_sweep_that_was_refused_is_tried_again_and_nobody_calls_it_ready_before() -> None:
    """The Secret may come later than the pipeline: its schedule would let all that is there wait."""
    world = World()
    world.end(state="Failed", reason=Reason.CREDENTIALS_MISSING)
    world.listen(0, 0)
    assert (world.condition("Stalled"), world.condition("Ready")[0]) == (("True", "CredentialsMissing"), "False")
    world.step(60)
    world.end(pictures=3)
    assert (world.condition("Stalled")[0], world.condition("Ready")[0]) == ("False", "True")
    assert len(world.jobs) == 2


def test_a_scheduled_sweep_leaves_it_ready() -> None:
    world = World()
    world.end(pictures=3)
    world.listen(0, 0)
    spec = f"{names.schedule_name('pictures')}-g1"
    job = ObservedRun(
        "pictures-scheduled-29000000", "sweep", "Running", 1, active=1, pods=1, run_spec=spec, started=world.now
    )
    world.jobs[job.run] = job
    world.step()
    assert world.condition("Ready") == ("True", "Running")
    world.jobs[job.run] = replace(
        job, state="Succeeded", active=0, pods=0, succeeded=1, ended=world.now,
        result=RunResult(counts={"processed": 2, "pictures": 5}),
    )  # fmt: skip
    world.step()
    assert world.status["lastSweep"]["repaired"] == 2
    assert world.condition("Ready") == ("True", "Running")


def test_the_percentage_of_a_sweep_never_falls_and_each_sweep_counts_from_zero() -> None:
    """A pod's counts go with it, before its result is in."""
    world = World()
    world.work(total=100, done=60)
    assert world.status["progress"]["percent"] == 60
    world.work(done=30)
    world.work()
    assert (world.status["progress"]["percent"], world.status["progress"]["objectsTotal"]) == (60, 100)
    world.end(total=100, done=100)
    assert world.status["progress"]["percent"] == 100
    world.change(trigger="again")
    world.step()
    world.work(total=50, done=10)
    assert (world.status["progress"]["percent"], world.status["progress"]["objectsTotal"]) == (20, 50)
    world.end(state="Failed", reason=Reason.ACCESS_DENIED)
    world.step(600)
    world.work(total=50, done=5)
    assert world.status["progress"]["percent"] == 10


def test_counts_outlive_pods_that_begin_anew() -> None:
    world = World()
    world.end(pictures=3, processed=3, refused=1)
    world.listen(5, 2)
    world.listen(6, 2)
    assert world.status["progress"]["processed"] == 3 + 8
    world.listen(1, 2, incarnation="2")
    assert world.status["progress"]["processed"] == 3 + 8 + 3
    world.pods = [ObservedReplica("pod-0", "2", {})]
    world.step()
    world.listen(2, 2, incarnation="2", refused=1)
    assert world.status["progress"]["processed"] == 3 + 8 + 3 + 1
    assert world.status["progress"]["quarantined"] == 1 + 2


def test_backlog_and_latency_are_those_of_all_pods() -> None:
    world = World()
    world.listen(
        0,
        0,
        **{counts.EVENTS_PENDING: 4, counts.OLDEST_PENDING: 7, f"{counts.LATENCY}{counts.LATENCY_BOUNDS_MS[10]}": 50},
    )
    found = world.status["progress"]
    assert (found["pending"], found["oldestPendingSeconds"], found["latencyP50Ms"]) == (8, 7, 93)


def test_another_number_of_replicas_rolls_the_pods_and_sweeps_again() -> None:
    world = World()
    world.end()
    world.listen(0, 0)
    before = world.find("StatefulSet")["spec"]
    world.change(replicas=3)
    after = world.find("StatefulSet")["spec"]
    assert (before["replicas"], after["replicas"]) == (2, 3)
    assert before["template"]["metadata"]["annotations"] != after["template"]["metadata"]["annotations"]
    assert "Job" in world.kinds()


def test_a_trigger_sweeps_and_leaves_the_listeners_alone() -> None:
    world = World()
    world.end()
    before = world.find("StatefulSet")
    world.change(trigger="now")
    assert world.find("StatefulSet") == before
    assert "Job" in world.kinds()


def test_suspended_nobody_listens_and_nothing_is_forgotten() -> None:
    world = World()
    world.change(suspend=True)
    assert world.find("StatefulSet")["spec"]["replicas"] == 0
    assert world.find("Job")["spec"]["suspend"] is True
    world.change(suspend=False)
    assert world.find("StatefulSet")["spec"]["replicas"] == 2


def test_a_sweep_that_was_refused_is_said_so() -> None:
    world = World()
    name = next(iter(world.jobs))
    failure = RunResult(reason="GuardExceeded", message="3 of 4")
    world.jobs[name] = replace(world.jobs[name], state="Failed", active=0, pods=0, failed=1, failure=failure)
    world.listen(0, 0)
    assert world.condition("Ready") == ("False", "GuardExceeded")
    assert world.condition("Stalled")[0] == "True"


def test_a_listener_that_cannot_begin_says_why() -> None:
    world = World()
    world.end()
    world.pods = [ObservedReplica("pictures-events-0", why="CredentialsMissing: Secret x does not exist")]
    world.step()
    message = next(c["message"] for c in world.status["conditions"] if c["type"] == "Ready")
    assert message == "0 of 2 pods hear events: pictures-events-0: CredentialsMissing: Secret x does not exist"


def test_without_events_nobody_listens_and_what_listened_goes() -> None:
    world = World()
    world.listen(0, 0)
    answer = world.change(events=None)
    assert "StatefulSet" not in world.kinds()
    assert {discarded.kind for discarded in answer.discard} == {"StatefulSet", "Service", "ConfigMap"}


def test_once_without_events_and_schedule_is_complete() -> None:
    world = World(events=None, sweep={"schedule": ""}, onNotJpeg="Skip")
    world.end(pictures=2, processed=2)
    assert world.condition("Complete")[0] == "True"
    assert "CronJob" not in world.kinds()


def scheduled(world: World, minute: int, **found: int) -> None:
    """A sweep of the schedule comes to its end."""
    spec = f"{names.schedule_name('pictures')}-g{world.resource.generation}"
    run = f"pictures-scheduled-{29000000 + minute}"
    world.jobs[run] = ObservedRun(
        run, "sweep", "Succeeded", 1, succeeded=1, run_spec=spec, started=world.now, ended=world.now,
        result=RunResult(counts=found),
    )  # fmt: skip
    world.step()


def test_what_sweeps_do_after_the_first_was_missed_by_the_events() -> None:
    world = World()
    world.end(pictures=500, processed=500)
    world.listen(0, 0)
    assert world.status["progress"]["repaired"] == 0
    scheduled(world, 1, processed=2, deleted=1, pictures=502)
    scheduled(world, 2, pictures=502)
    assert (world.status["progress"]["repaired"], world.status["lastSweep"]["repaired"]) == (3, 0)
    world.step(60)
    world.listen(0, 0, **{counts.GAPS: 1})
    world.step()
    world.end(processed=4)
    assert world.status["progress"]["repaired"] == 7


def test_a_first_sweep_by_the_schedule_repairs_nothing_either() -> None:
    world = World(sweep={"onStart": False})
    world.listen(0, 0)
    scheduled(world, 1, processed=500)
    scheduled(world, 2, processed=1)
    assert world.status["progress"]["repaired"] == 1


def test_without_events_a_sweep_repairs_nothing() -> None:
    world = World(events=None)
    world.end(processed=5)
    scheduled(world, 1, processed=2)
    assert world.status["progress"]["repaired"] == 0


def test_refusals_that_could_not_be_written_are_counted_by_pods_and_sweeps() -> None:
    world = World()
    world.end(failed=2, refusalsUnwritten=2)
    world.listen(0, 0, refusalsUnwritten=1, failed=1)
    found = world.status["progress"]
    assert (found["unwritten"], found["failed"]) == (4, 4)


def overdue(world: World) -> timedelta | None:
    when = world.status.get("sweepOverdueAt")
    return datetime.fromisoformat(when) - START if when else None


def test_a_sweep_is_overdue_once_three_were_due_since_the_last_one() -> None:
    world = World(sweep={"schedule": "*/5 * * * *"})
    assert overdue(world) == timedelta(minutes=15)
    world.end(pictures=1)
    world.step(60)
    assert overdue(world) == timedelta(minutes=15)
    world.step(600)
    scheduled(world, 1, pictures=1)
    assert overdue(world) == timedelta(minutes=25)
    world.change(suspend=True)
    assert overdue(world) is None
    world.step(3600)
    world.change(suspend=False)
    assert overdue(world) == timedelta(minutes=85)
    world.change(sweep={"schedule": "0 3 * * *", "timeZone": "Europe/Paris"})
    assert overdue(world) == timedelta(days=2, hours=2)
    world.change(sweep={"schedule": ""})
    assert overdue(world) is None


def test_a_long_sweep_of_our_own_is_overdue_only_when_it_does_not_get_on() -> None:
    """The schedule is held meanwhile."""
    world = World(sweep={"schedule": "*/5 * * * *"})
    world.step(3600)
    world.work(total=1000, done=10)
    assert overdue(world) == timedelta(hours=1, minutes=15)
    world.step(3600)
    world.work(total=1000, done=10)
    assert overdue(world) == timedelta(hours=1, minutes=15)


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        ("@hourly", timedelta(hours=1)),
        ("@weekly", timedelta(days=3)),
        ("*/10 ? * * ?", timedelta(minutes=10)),
        ("0 8 * JAN MON-FRI", timedelta(hours=8)),
        ("0 0 31 2 *", None),
        ("99 * * * *", None),
    ],
)
def test_schedules_are_read_as_kubernetes_reads_them(schedule: str, first: timedelta | None) -> None:
    found = due(schedule, "Etc/UTC", START, 1)
    assert (found and found - START) == first


def test_the_listeners_run_spec_is_their_share_and_their_labels_are_no_runs() -> None:
    world = World(replicas=4)
    name = names.listener_name("pictures")
    data = next(m for m in world.answer.objects if m["metadata"]["name"] == name and m["kind"] == "ConfigMap")["data"]
    run = RunSpec.model_validate_json(data["run.json"])
    assert (run.phase, run.shards) == ("listen", 4)
    template = world.find("StatefulSet")["spec"]["template"]
    assert names.LABEL_RUN not in template["metadata"]["labels"]
    assert template["spec"]["restartPolicy"] == "Always"
