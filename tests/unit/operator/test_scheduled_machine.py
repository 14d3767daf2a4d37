"""The phase machine of the kinds with one phase, as S3Retention has it: once now, by a schedule, by a trigger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.contract import RunResult
from bucketops_api.reasons import Reason
from bucketops_operator.desired import Desired
from bucketops_operator.executor import ObservedRun, Resource
from bucketops_operator.kinds.retention import desired
from bucketops_operator.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(status_seconds=1)
DONE = {
    "foldersSeen": 12,
    "foldersKept": 5,
    "foldersDeleted": 7,
    "deleted": 70,
    "bytesFreed": 700,
    "total": 70,
    "done": 70,
}
NIGHTLY = {"schedule": "0 3 * * *"}


class Scheduled:
    """One S3Retention and what exists of it; the CronJob starts a run when a test says so."""

    def __init__(self, **spec: Any) -> None:
        plain = {"mode": "Apply", "bucket": {"bucket": "deployments"}}
        self.resource = Resource("S3Retention", "default", "web", "uid-1", 1, plain | spec)
        self.now, self.minute = START, 29_000_000
        self.jobs: dict[str, ObservedRun] = {}
        self.cron_job: dict[str, Any] | None = None
        self.config_maps: set[str] = set()
        self.status: dict[str, Any] = {}
        self.events: list[str] = []
        self.answer: Desired = self.step()

    def step(self, *, seconds: float = 0, crash: bool = False) -> Desired:
        """One reconcile, as reconcile.py does it; `crash`: the operator dies before it writes the status."""
        self.now += timedelta(seconds=seconds)
        resource = replace(self.resource, status=self.status)
        answer = desired(resource, list(self.jobs.values()), self.now, SETTINGS)
        self.jobs = {name: job for name, job in self.jobs.items() if name in answer.keep}
        for manifest in answer.objects:
            self._apply(manifest)
        for kind, name in answer.discard:
            self.config_maps.discard(name)
            self.cron_job = None if kind == "CronJob" else self.cron_job
        if not crash:
            self.status = answer.status.model_dump(mode="json", by_alias=True, exclude_none=True)
            self.events += [event.reason for event in answer.events]
            self.answer = answer
        return answer

    def _apply(self, manifest: Any) -> None:
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "CronJob":
            self.cron_job = manifest["spec"]
        elif manifest["kind"] == "ConfigMap":
            self.config_maps.add(name)
        elif name in self.jobs:
            self.jobs[name] = replace(self.jobs[name], suspended=manifest["spec"]["suspend"])
        elif "template" in manifest["spec"]:
            assert not any(job.pods for job in self.jobs.values()), "two runs at once"
            self.jobs[name] = ObservedRun(name, "retain", "Running", 1, active=1, pods=1)

    def change(self, **spec: Any) -> Scheduled:
        merged = {k: v for k, v in (dict(self.resource.spec) | spec).items() if v is not None}
        self.resource = replace(self.resource, spec=merged, generation=self.resource.generation + 1)
        self.step()
        return self

    def fire(self) -> str:
        """What the CronJob controller does at the scheduled minute."""
        assert self.cron_job is not None
        if self.cron_job["suspend"] or any(job.run_spec and job.state == "Running" for job in self.jobs.values()):
            return ""
        self.minute += 1
        name = f"web-scheduled-{self.minute}"
        mounted = self.cron_job["jobTemplate"]["spec"]["template"]["spec"]["volumes"][1]["configMap"]["name"]
        self.jobs[name] = ObservedRun(
            name, "retain", "Running", 1, active=1, pods=1, run_spec=mounted, started=self.now
        )
        return name

    def end(self, run: str = "", result: RunResult | None = None, **changes: Any) -> Scheduled:
        """A run ends well, or as told."""
        run = run or self.status["runs"][-1]["id"]
        result = result or RunResult(counts=DONE, facts={"planHash": "a" * 64, "report": "r", "versioning": "Off"})
        how: dict[str, Any] = {"state": "Succeeded", "active": 0, "pods": 0, "result": result, "ended": self.now}
        self.jobs[run] = replace(self.jobs[run], **(how | changes))
        self.step()
        return self

    def fail(self, reason: str, run: str = "") -> Scheduled:
        said = RunResult(reason=reason, message="words", facts={"planHash": "b" * 64}, counts={"foldersSeen": 9})
        return self.end(run, RunResult(), state="Failed", failure=said)

    def condition(self, type_: str) -> str:
        return next((f"{c['status']} {c['reason']}" for c in self.status["conditions"] if c["type"] == type_), "")

    @property
    def ids(self) -> list[str]:
        return [run["id"] for run in self.status["runs"]]

    @property
    def scheduled(self) -> list[str]:
        return [f"{run['id']} {run['result']}" for run in self.status["scheduled"]["runs"]]


def test_without_a_schedule_it_is_one_run_now() -> None:
    sim = Scheduled()
    assert (sim.ids, sim.status["phase"], sim.condition("Reconciling")) == (
        ["web-1-retain"],
        "Deleting",
        "True Deleting",
    )
    sim.end()
    assert (sim.status["phase"], sim.condition("Complete"), sim.condition("Ready")) == (
        "Succeeded", "True Succeeded", "True Succeeded",
    )  # fmt: skip
    assert sim.status["progress"]["foldersDeleted"] == 7
    assert sim.status["progress"]["percent"] == 100
    assert (sim.status["planHash"], sim.status["report"], sim.status["capabilities"]) == (
        "a" * 64, "r", {"versioning": "Off"},
    )  # fmt: skip
    sim.step(seconds=3600)
    assert (sim.ids, sim.answer.requeue, sim.cron_job) == (["web-1-retain"], None, None)


@pytest.mark.parametrize("change", [{"trigger": "again"}, {"keep": {"last": 3}}, {"approvePlan": "a" * 64}])
def test_a_new_spec_or_trigger_is_another_run(change: dict[str, Any]) -> None:
    assert Scheduled().end().change(**change).ids == ["web-1-retain", "web-2-retain"]


@pytest.mark.parametrize("change", [{"worker": {"concurrency": 3}}, {"suspend": False}, {"jitter": "5m"}])
def test_what_changes_no_verdict_starts_nothing(change: dict[str, Any]) -> None:
    assert Scheduled().end().change(**change).ids == ["web-1-retain"]


def test_a_spec_changed_on_the_way_is_a_run_afterwards() -> None:
    sim = Scheduled().change(keep={"last": 9})
    assert sim.ids == ["web-1-retain"]
    sim.end()
    sim.step()
    assert sim.ids == ["web-1-retain", "web-2-retain"]


def test_plan_mode_says_what_would_go() -> None:
    counted = {"foldersSeen": 12, "foldersKept": 5, "removal/folders": 7, "removal/objects": 70, "removal/bytes": 700}
    sim = Scheduled(mode="Plan").end(result=RunResult(counts=counted, facts={"planHash": "c" * 64}))
    assert (sim.status["phase"], sim.condition("Complete")) == ("Planned", "True Planned")
    assert sim.status["removal"] == {"folders": 7, "objects": 70, "bytes": 700}
    message = next(c["message"] for c in sim.status["conditions"] if c["type"] == "Complete")
    assert message.startswith("7 of 12 folders would go (70 objects, 700 bytes), by plan cccc")


def test_a_guard_ends_the_work_until_somebody_changes_something() -> None:
    sim = Scheduled().fail("GuardExceeded")
    assert (sim.status["phase"], sim.condition("Failed")) == ("Failed", "True GuardExceeded")
    assert sim.status["planHash"] == "b" * 64
    sim.step(seconds=86400)
    assert sim.ids == ["web-1-retain"]
    assert sim.change(approvePlan="b" * 64).ids == ["web-1-retain", "web-2-retain"]


def test_other_failures_stall_and_are_tried_again() -> None:
    sim = Scheduled().fail("ReferenceInvalid")
    assert sim.condition("Stalled") == "True ReferenceInvalid"
    sim.step(seconds=29)
    assert sim.ids == ["web-1-retain"]
    sim.step(seconds=2)
    assert sim.ids == ["web-1-retain", "web-2-retain"]


def test_a_spec_that_mends_a_stalled_run_is_tried_at_once() -> None:
    assert Scheduled().fail("ReferenceInvalid").change(keep={"last": 7}).ids == ["web-1-retain", "web-2-retain"]


def test_objects_that_could_not_be_deleted_fail_the_run() -> None:
    sim = Scheduled().end(result=RunResult(counts=DONE | {"foldersFailed": 1, "objectsFailed": 3}))
    assert sim.condition("Failed") == "True PartiallyFailed"
    assert sim.condition("Ready") == "False PartiallyFailed"


def test_a_lost_result_is_another_run() -> None:
    sim = Scheduled().end(lost=1, unknown="shard 0: its pod is gone", result=RunResult())
    assert sim.status["runs"][0]["result"] == "Failed"
    assert (sim.condition("Complete"), sim.condition("Stalled")) == ("False InProgress", "False InProgress")
    assert message(sim, "Reconciling").startswith("the result of run web-1-retain is unknown: shard 0: its pod is gone")
    assert sim.events[-1] == "ResultUnknown"
    sim.step(seconds=31)
    assert sim.ids[-1] == "web-2-retain"


def test_results_that_are_unknown_again_and_again_call_people() -> None:
    sim = Scheduled()
    for _ in range(3):
        assert sim.condition("Stalled") != "True ResultUnknown"
        sim.end(lost=1, unknown="shard 0: it left no result", result=RunResult())
        sim.step(seconds=0 if sim.condition("Stalled").startswith("True") else 300)
    assert sim.condition("Stalled") == "True ResultUnknown"
    sim.step(seconds=3600)
    assert sim.ids[-1] == "web-4-retain"


def test_a_scheduled_run_whose_result_is_unknown_has_not_gone_well() -> None:
    sim = Scheduled(**NIGHTLY)
    name = sim.fire()
    sim.step()
    sim.end(name, RunResult(), lost=1, unknown="shard 0: its pod is gone")
    assert (sim.condition("Complete"), sim.condition("Failed")) == ("False ResultUnknown", "True ResultUnknown")
    assert "its result is unknown: shard 0: its pod is gone" in message(sim, "Failed")
    assert sim.scheduled == [f"{name} Failed"]
    assert sim.status["phase"] == "Failed"


def message(sim: Scheduled, type_: str) -> str:
    return next(str(c["message"]) for c in sim.status["conditions"] if c["type"] == type_)


def test_with_a_schedule_nothing_runs_before_its_time() -> None:
    sim = Scheduled(**NIGHTLY, timeZone="Europe/Paris", jitter="5m", history={"succeeded": 7})
    assert sim.status["runs"] == []
    assert (sim.status["phase"], sim.condition("Ready"), sim.condition("Reconciling")) == (
        "Scheduled", "True Scheduled", "False Scheduled",
    )  # fmt: skip
    assert sim.cron_job is not None
    wanted = {"schedule": "0 3 * * *", "timeZone": "Europe/Paris", "concurrencyPolicy": "Forbid", "suspend": False}
    assert {name: sim.cron_job[name] for name in wanted} == wanted
    assert (sim.cron_job["successfulJobsHistoryLimit"], sim.cron_job["failedJobsHistoryLimit"]) == (7, 3)


def test_the_schedules_runs_are_told_of() -> None:
    sim = Scheduled(**NIGHTLY)
    run = sim.fire()
    sim.step()
    assert (sim.scheduled, sim.status["phase"]) == ([f"{run} Running"], "Deleting")
    sim.end(run)
    assert (sim.scheduled, sim.status["phase"]) == ([f"{run} Succeeded"], "Succeeded")
    assert sim.events.count("Succeeded") == 1
    sim.step(seconds=60)
    assert (sim.events.count("Succeeded"), sim.condition("Complete")) == (1, "True Succeeded")


def test_several_runs_while_the_operator_was_down_are_told_of_in_order() -> None:
    sim = Scheduled(**NIGHTLY)
    first = sim.fire()
    said = RunResult(reason="GuardExceeded", message="words")
    sim.jobs[first] = replace(sim.jobs[first], state="Failed", pods=0, active=0, failure=said)
    second = sim.fire()
    sim.end(second)
    assert sim.scheduled == [f"{first} Failed", f"{second} Succeeded"]
    assert sim.events == ["GuardExceeded", "Succeeded"]
    assert sim.condition("Complete") == "True Succeeded"


def test_a_scheduled_run_that_fails_is_not_tried_again_before_its_time() -> None:
    sim = Scheduled(**NIGHTLY)
    run = sim.fire()
    sim.fail("ReferenceInvalid", run)
    assert sim.condition("Failed") == "True ReferenceInvalid"
    sim.step(seconds=86400)
    assert sim.ids == []
    assert sim.condition("Failed") == "True ReferenceInvalid"


def test_history_that_kubernetes_forgot_is_still_known() -> None:
    sim = Scheduled(**NIGHTLY)
    run = sim.fire()
    sim.end(run)
    del sim.jobs[run]
    sim.step()
    assert sim.scheduled == [f"{run} Succeeded"]


def test_a_trigger_holds_the_schedule_and_runs_now() -> None:
    sim = Scheduled(**NIGHTLY).change(trigger="now")
    assert sim.ids == ["web-1-retain"]
    assert sim.cron_job is not None
    assert sim.cron_job["suspend"] is True
    assert sim.fire() == ""
    sim.end()
    assert sim.cron_job["suspend"] is False
    assert sim.condition("Complete") == "True Succeeded"


def test_a_trigger_waits_for_the_scheduled_run() -> None:
    sim = Scheduled(**NIGHTLY)
    run = sim.fire()
    sim.change(trigger="now")
    assert sim.ids == []
    assert sim.answer.requeue is not None
    sim.jobs[run] = replace(sim.jobs[run], state="Succeeded", active=0)
    sim.step()
    assert sim.ids == [], "its pod still ends"
    sim.end(run)
    assert sim.ids == ["web-1-retain"]
    assert sim.status["phase"] == "Deleting"


def test_a_triggered_run_that_fails_gives_the_schedule_free() -> None:
    sim = Scheduled(**NIGHTLY).change(trigger="now").fail("CredentialsMissing")
    assert sim.cron_job is not None
    assert sim.cron_job["suspend"] is False
    assert sim.condition("Failed") == "True CredentialsMissing"


def test_the_same_trigger_is_no_new_one() -> None:
    sim = Scheduled(**NIGHTLY).change(trigger="now").end().change(keep={"last": 2})
    assert sim.ids == ["web-1-retain"]
    assert sim.change(trigger="later").ids == ["web-1-retain", "web-2-retain"]


def test_each_generation_has_its_run_spec_and_a_run_keeps_its_own() -> None:
    sim = Scheduled(**NIGHTLY)
    run = sim.fire()
    sim.change(keep={"last": 2}).change(keep={"last": 3})
    own = {name for name in sim.config_maps if not name.endswith("-limits")}
    assert own == {"web-scheduled-g1", "web-scheduled-g3"}
    sim.end(run)
    sim.step()
    assert sim.config_maps == {"web-scheduled-g3", "web-scheduled-g3-limits"}


def test_taking_the_schedule_away_takes_the_cron_job_and_is_one_run_now() -> None:
    sim = Scheduled(**NIGHTLY)
    run = sim.fire()
    sim.end(run)
    del sim.jobs[run]
    sim.change(schedule=None)
    assert sim.cron_job is None
    assert "scheduled" not in sim.status
    assert sim.ids == ["web-1-retain"]
    assert sim.config_maps == {"web-1-retain", "web-1-retain-limits"}


def test_suspend_holds_the_schedule_and_the_run_under_way() -> None:
    sim = Scheduled(**NIGHTLY)
    run = sim.fire()
    sim.step()
    sim.change(suspend=True)
    assert sim.jobs[run].suspended is True
    assert sim.cron_job is not None
    assert (sim.cron_job["suspend"], sim.condition("Suspended")) == (True, "True Suspended")
    before = dict(sim.status)
    sim.step(seconds=60)
    assert {**sim.status, "progress": 0} == {**before, "progress": 0}
    sim.change(suspend=False)
    assert sim.jobs[run].suspended is False
    assert (sim.cron_job["suspend"], sim.condition("Reconciling")) == (False, "True Deleting")


def test_a_suspended_run_now_goes_on_when_it_may() -> None:
    sim = Scheduled().change(suspend=True)
    assert sim.jobs["web-1-retain"].suspended is True
    assert sim.status["phase"] == "Suspended"
    sim.change(suspend=False).end()
    assert sim.condition("Complete") == "True Succeeded"


def test_a_crash_before_the_status_is_written_does_the_same_again() -> None:
    sim = Scheduled(**NIGHTLY)
    sim.resource = replace(sim.resource, spec={**sim.resource.spec, "trigger": "now"}, generation=2)
    sim.step(crash=True)
    sim.step()
    assert list(sim.jobs) == ["web-1-retain"]
    sim.resource = replace(sim.resource, spec={k: v for k, v in sim.resource.spec.items() if k != "schedule"})
    sim.step(crash=True)
    sim.end()
    assert sim.cron_job is None


def test_a_wrong_spec_stops_nothing_and_is_named() -> None:
    sim = Scheduled(**NIGHTLY)
    run = sim.fire()
    sim.change(folders={"age": "marker"})
    assert sim.condition("Stalled") == "True InvalidSpec"
    assert run in sim.jobs
    sim.change(folders=None)
    assert sim.condition("Stalled") == "False InProgress"


def test_names_of_schedules_can_be_told_apart_and_fit() -> None:
    assert names.run_number("web-scheduled-29000001") == 29_000_001
    assert names.run_number("web-scheduled-1-retain") == 1
    long = names.schedule_name("x" * 200)
    assert len(long) + len("-29000001") <= 52
    assert names.schedule_generation(names.schedule_spec_name("a-g7", 12)) == 12


def test_every_reason_of_a_worker_is_one_of_the_closed_list() -> None:
    sim = Scheduled().fail("NoSuchReason")
    assert sim.condition("Stalled") == f"True {Reason.RUN_FAILED}"


def test_a_plan_that_apply_would_refuse_says_so_and_how_to_go_on() -> None:
    sim = Scheduled(mode="Plan")
    told = "8 of 10 folders would go (80 %), guards.maxDeletePercent is 50. Read the plan"
    sim.end(result=RunResult(counts=DONE, facts={"planHash": "a" * 64, "refusal": told, "versioning": "Off"}))
    (message,) = [c["message"] for c in sim.status["conditions"] if c["type"] == "Complete"]
    assert f"Apply would refuse it (GuardExceeded): {told}" in message
    assert "set mode: Apply" not in message
    assert sim.status["capabilities"] == {"versioning": "Off"}
