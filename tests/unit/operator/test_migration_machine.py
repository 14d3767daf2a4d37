"""The phase machine of S3Migration, transition by transition."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bucketops_api.contract import RunResult
from bucketops_api.v1alpha1.common import Sample
from bucketops_operator.kinds.migration_order import SWEEP_PAUSE
from bucketops_operator.run.command import exit_code
from support.simulation import COUNTS, MOVED, START, Simulation

DELETE = {"policy": "Delete", "grace": "1h"}
PAUSE = SWEEP_PAUSE.total_seconds()


def test_a_new_resource_begins_with_the_preflight() -> None:
    sim = Simulation()
    assert sim.ids == ["avatars-1-preflight"]
    assert sim.status["phase"] == "Preflight"
    assert sim.condition("Reconciling") == "True Preflight"
    assert sim.status["observedGeneration"] == 1


def test_apply_goes_through_all_phases_in_order() -> None:
    sim = Simulation(cleanup={"policy": "Delete", "grace": "20s"}).until("audit").end(COUNTS["audit"])
    assert [run["phase"] for run in sim.status["runs"]] == ["preflight", "copy", "sweep", "sweep", "delete", "audit"]
    assert sim.status["phase"] == "Succeeded"
    assert (sim.condition("Complete"), sim.condition("Failed")) == ("True Succeeded", "False Succeeded")
    assert sim.status["progress"]["percent"] == 100
    assert sim.answer.requeue is None


def test_plan_mode_ends_after_the_plan() -> None:
    sim = Simulation(mode="Plan").end(COUNTS["preflight"])
    assert sim.phase == "plan"
    sim.end(COUNTS["plan"])
    assert sim.status["phase"] == "Planned"
    assert sim.condition("Complete") == "True Planned"
    assert sim.status["planHash"] == "0" * 64
    assert sim.status["outcomes"]["moved"] == 10


def test_later_phases_have_as_many_shards_as_the_plan_says() -> None:
    assert Simulation().until("copy").job.shards == 3


def test_the_next_phase_waits_for_the_last_pod_of_the_one_before() -> None:
    sim = Simulation().until("copy")
    sim.see(state="Succeeded", active=0, pods=1, succeeded=3, result=RunResult(counts=MOVED))
    assert sim.phase == "copy"
    sim.see(pods=0)
    assert sim.phase == "sweep"


def test_a_job_that_vanished_is_created_again_under_its_name() -> None:
    sim = Simulation().until("copy")
    del sim.jobs[sim.ids[-1]]
    sim.step()
    assert list(sim.jobs)[-1] == sim.ids[-1]


def test_sweeps_go_on_while_they_change_something_with_a_pause_between() -> None:
    sim = Simulation().until("sweep").end(MOVED | {"changed": 1})
    assert sim.status["runs"][-1]["result"] == "Succeeded"
    sim.step(seconds=PAUSE - 1)
    assert len(sim.ids) == 3
    sim.step(seconds=1)
    assert [run["phase"] for run in sim.status["runs"][2:]] == ["sweep", "sweep"]


def test_pending_rows_ask_for_another_sweep() -> None:
    sim = Simulation(cleanup={"policy": "Retain"}).until("sweep").end(MOVED | {"pending": 1})
    sim.step(seconds=PAUSE)
    assert sim.phase == "sweep"
    assert sim.status["runs"][-1]["result"] == "Running"


def test_an_application_that_goes_on_writing_legacy_paths_is_named_until_it_stops() -> None:
    """The first sweep mends what came during the copy, so it names nobody."""
    sim = Simulation().until("sweep").end(MOVED | {"changed": 5})
    assert "Degraded" not in conditions(sim)
    sim.step(seconds=PAUSE)
    sim.end(MOVED | {"changed": 2, "pending": 1})
    assert conditions(sim)["Degraded"] == "True"
    assert sim.events.count("ApplicationStillWrites") == 1
    sim.step(seconds=PAUSE)
    sim.end(MOVED)
    assert conditions(sim)["Degraded"] == "False"


def conditions(sim: Simulation) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in sim.status["conditions"]}


def test_retain_goes_from_the_sweep_to_the_audit() -> None:
    sim = Simulation(cleanup={"policy": "Retain"}).until("sweep").end(MOVED)
    assert sim.phase == "audit"
    assert "deleteAfter" not in sim.status


def written(seconds: float) -> dict[str, Any]:
    return {"marks": {"lastLegacyWrite": START + timedelta(seconds=seconds)}}


def test_the_grace_counts_from_the_last_legacy_write() -> None:
    sim = Simulation().until("copy").end(COUNTS["copy"], **written(60))
    sim.end(MOVED, **written(100))
    assert sim.status["phase"] == "Soaking"
    assert sim.status["deleteAfter"] == "2026-01-01T01:01:40Z"


def test_nothing_is_deleted_before_the_grace_is_over() -> None:
    sim = Simulation().until("copy").end(COUNTS["copy"], **written(0))
    sim.end(MOVED)
    while sim.now < START + timedelta(hours=1):
        assert sim.phase == "sweep"
        if sim.status["runs"][-1]["result"] == "Running":
            sim.end(MOVED)
        sim.step(seconds=30)
    sim.until("delete")
    assert sim.now < START + timedelta(hours=1, minutes=11)
    run = next(m for m in sim.answer.objects if "run.json" in m.get("data", {}))
    assert '"notBefore": "2026-01-01T01:00:00Z"' in run["data"]["run.json"]


def test_the_soak_looks_again_every_quarter_of_the_grace_up_to_ten_minutes() -> None:
    sim = Simulation().until("sweep").end(MOVED, **written(0))
    sim.step(seconds=599)
    assert sim.status["phase"] == "Soaking"
    sim.step(seconds=1)
    assert sim.status["phase"] == "Sweeping"


def test_a_legacy_write_seen_in_the_soak_begins_the_grace_anew() -> None:
    sim = Simulation().until("sweep").end(MOVED, **written(0))
    sim.step(seconds=600)
    sim.end(MOVED | {"changed": 1}, **written(600))
    sim.step(seconds=PAUSE)
    sim.end(MOVED)
    assert sim.status["deleteAfter"] == "2026-01-01T01:10:00Z"


def test_what_the_delete_had_to_leave_goes_back_to_the_sweep() -> None:
    sim = Simulation().until("delete").end({"deleted": 9, "pending": 1}, **written(7200))
    assert sim.phase == "sweep"
    sim.end(MOVED)
    assert sim.status["phase"] == "Soaking"
    assert sim.status["deleteAfter"] == "2026-01-01T03:00:00Z"


def test_a_delete_that_leaves_nothing_is_followed_by_the_audit() -> None:
    assert Simulation().until("delete").end(COUNTS["delete"]).phase == "audit"


def test_a_failed_run_stalls_with_the_workers_reason_and_message() -> None:
    sim = Simulation().until("copy").fail("AccessDenied", "mend the policy")
    assert sim.condition("Stalled") == "True AccessDenied"
    assert sim.condition("Reconciling") == "False AccessDenied"
    assert sim.message("Stalled") == "mend the policy"
    assert sim.condition("Failed").startswith("False")
    assert sim.events[-1] == "AccessDenied"


def test_an_unknown_reason_becomes_one_of_the_closed_list() -> None:
    assert Simulation().fail("NobodyKnows").condition("Stalled") == "True RunFailed"


def test_a_stalled_phase_is_tried_again_after_30_s_then_after_twice_as_long() -> None:
    sim = Simulation().until("copy").fail()
    for pause in (30, 60, 120):
        runs = len(sim.ids)
        sim.step(seconds=pause - 1)
        assert len(sim.ids) == runs
        sim.step(seconds=1)
        assert (len(sim.ids), sim.phase) == (runs + 1, "copy")
        assert sim.condition("Stalled").startswith("False")
        sim.fail()


def test_a_stalled_resource_begins_anew_when_its_spec_changes() -> None:
    sim = Simulation().until("copy").fail().change(guard="Check")
    assert sim.ids[-1] == "avatars-3-preflight"


def test_lost_results_are_a_failed_run_that_is_done_again() -> None:
    sim = Simulation().until("copy").see(state="Succeeded", active=0, pods=0, succeeded=3, lost=1)
    assert sim.status["runs"][-1]["result"] == "Failed"
    reconciling = next(c for c in sim.status["conditions"] if c["type"] == "Reconciling")
    assert "the result of run avatars-2-copy is unknown" in reconciling["message"]
    sim.step(seconds=30)
    assert sim.ids[-1] == "avatars-3-copy"


def test_a_run_that_failed_is_told_of_though_results_of_other_shards_are_lost() -> None:
    said = RunResult(reason="AccessDenied", message="not allowed")
    sim = Simulation().until("copy").see(state="Failed", active=0, pods=0, failed=1, lost=1, failure=said)
    assert sim.condition("Stalled") == "True AccessDenied"


def test_a_failed_delete_is_not_done_again_once_the_user_retains() -> None:
    sim = Simulation().until("delete").see(state="Succeeded", active=0, pods=0, succeeded=3, lost=1)
    sim.change(cleanup={"policy": "Retain"})
    sim.step(seconds=30)
    assert sim.phase == "sweep"


def test_suspend_holds_the_job_and_says_so() -> None:
    sim = Simulation().until("copy").change(suspend=True)
    assert sim.job.suspended
    assert sim.condition("Suspended") == "True Suspended"
    assert sim.status["phase"] == "Suspended"
    assert sim.answer.requeue is None


def test_nothing_new_starts_while_suspended() -> None:
    sim = Simulation().until("copy").change(suspend=True).end(COUNTS["copy"])
    assert sim.phase == "copy"
    sim.step(seconds=3600)
    assert sim.phase == "copy"


def test_resume_goes_on_with_the_same_run() -> None:
    sim = Simulation().until("copy").change(suspend=True).change(suspend=False)
    assert sim.ids[-1] == "avatars-2-copy"
    assert not sim.job.suspended
    assert sim.condition("Suspended") == "False NotSuspended"
    assert sim.status["phase"] == "Copying"


def test_a_resource_that_is_born_suspended_does_nothing() -> None:
    sim = Simulation(suspend=True)
    assert not sim.jobs
    assert sim.condition("Suspended") == "True Suspended"
    assert sim.change(suspend=False).phase == "preflight"


def test_suspend_after_the_end_changes_nothing() -> None:
    sim = Simulation().until("audit").end(COUNTS["audit"]).change(suspend=True)
    assert sim.status["phase"] == "Succeeded"


def test_a_finished_work_rests() -> None:
    sim = Simulation().until("audit").end(COUNTS["audit"])
    before, runs = sim.status["conditions"], sim.ids
    sim.step(seconds=86_400)
    assert (sim.status["conditions"], sim.ids) == (before, runs)


def test_a_new_spec_after_the_end_begins_anew_with_a_fresh_status() -> None:
    sim = Simulation(mode="Plan").until("plan").end(COUNTS["plan"]).change(mode="Apply")
    assert sim.ids[-1] == "avatars-3-preflight"
    assert sim.status["progress"]["percent"] == 0
    assert sim.status["outcomes"]["moved"] == 0
    assert sim.until("copy").ids[-1] == "avatars-4-copy"


@pytest.mark.parametrize("live", [{"worker": {"parallelism": 2}}, {"suspend": False}])
def test_live_fields_after_the_end_begin_nothing(live: dict[str, Any]) -> None:
    sim = Simulation().until("audit").end(COUNTS["audit"])
    runs = sim.ids
    assert sim.change(**live).ids == runs


def test_a_trigger_after_the_end_begins_anew_and_is_echoed() -> None:
    sim = Simulation().until("audit").end(COUNTS["audit"])
    last = sim.ids[-1]
    sim.change(trigger="again")
    assert sim.status["lastTrigger"] == "again"
    assert (sim.phase, sim.ids[-2]) == ("preflight", last)


def test_a_trigger_in_mid_run_is_taken_up_after_the_end() -> None:
    sim = Simulation(mode="Plan").change(trigger="again").until("plan").end(COUNTS["plan"])
    assert sim.status["phase"] == "Planned"
    sim.step()
    assert sim.ids[-1] == "avatars-3-preflight"


def test_cleanup_changed_in_mid_run_is_taken_over_without_a_new_run() -> None:
    sim = Simulation(cleanup={"policy": "Retain"}).until("copy").change(cleanup=DELETE)
    assert sim.until("delete").ids[0] == "avatars-1-preflight"
    sim.until("audit").end(COUNTS["audit"])
    runs = sim.ids
    sim.step(seconds=60)
    assert sim.ids == runs


def test_a_shorter_grace_in_the_soak_counts_at_once() -> None:
    sim = Simulation().until("sweep").end(MOVED, **written(0))
    sim.change(cleanup={"policy": "Delete", "grace": "1s"}).step(seconds=2)
    assert sim.phase == "delete"


def test_other_changes_in_mid_run_are_a_new_run_after_the_end() -> None:
    sim = Simulation().until("copy").change(verify="Content")
    assert sim.ids[-1] == "avatars-2-copy"
    sim.until("audit").end(COUNTS["audit"]).step()
    assert sim.phase == "preflight"


def test_percent_never_falls_and_is_100_only_at_the_end() -> None:
    sim = Simulation().until("copy")
    percents = []
    for live in ({"done": 4}, {"done": 9}, {"done": 2}, {}, {"done": 10}):
        sim.see(live=live)
        sim.step(seconds=2)
        percents.append(sim.status["progress"]["percent"])
    assert percents == [40, 90, 90, 90, 99]
    sim.until("audit")
    assert sim.status["progress"]["percent"] == 99
    assert sim.end(COUNTS["audit"]).status["progress"]["percent"] == 100


def test_the_audit_failed_names_what_it_found() -> None:
    faults = (
        Sample(key="k1", outcome="dangling", message="row 1 names avatar/k1, which does not exist"),
        Sample(key="k2", outcome="unfinished", message="row 2 names the legacy object"),
    )
    sim = Simulation().until("audit").end(MOVED | {"audit/dangling": 1, "audit/unfinished": 1}, samples=faults)
    assert sim.condition("Failed") == "True AuditFailed"
    assert sim.condition("Complete").startswith("False")
    assert sim.condition("Stalled").startswith("True")
    for name in ("k1", "k2", "avatar/k1"):
        assert name in sim.message("Failed")
    assert [sample["key"] for sample in sim.status["samples"]] == ["k1", "k2"]
    assert sim.status["progress"]["percent"] < 100


@pytest.mark.parametrize("wrong", ["objects/failed", "objects/conflict", "rows/failed"])
def test_nothing_says_success_while_anything_failed(wrong: str) -> None:
    sim = Simulation().until("audit").end(MOVED | {wrong: 1})
    assert sim.condition("Failed") == "True PartiallyFailed"
    assert sim.condition("Complete").startswith("False")
    assert sim.status["phase"] == "Failed"


def test_the_audits_counts_are_the_status_outcomes() -> None:
    found = MOVED | {"rows/missingSource": 2, "objects/already": 3, "census/productionObjects": 15}
    sim = Simulation().until("audit").end(found)
    assert sim.status["outcomes"] == dict.fromkeys(sim.status["outcomes"], 0) | {"moved": 10, "already": 3}
    assert sim.status["rowOutcomes"]["missingSource"] == 2
    assert sim.status["audit"]["before"]["legacyObjects"] == 10
    assert sim.status["audit"]["after"]["productionObjects"] == 15


def test_an_invalid_spec_stalls_and_leaves_what_runs_alone() -> None:
    sim = Simulation().until("copy").change(destination={"bucket": "legacy-s3", "prefix": "image/new/"})
    assert sim.condition("Stalled") == "True InvalidSpec"
    assert "overlap" in sim.message("Stalled")
    assert "avatars-2-copy" in sim.jobs


def test_preflight_warnings_are_told_once() -> None:
    sim = Simulation().end(COUNTS["preflight"], reason="PreflightWarning", message="somebody writes there")
    sim.step()
    assert sim.events.count("PreflightWarning") == 1


def test_each_transition_is_one_event() -> None:
    sim = Simulation(cleanup={"policy": "Retain"}).until("audit").end(COUNTS["audit"])
    sim.step()
    assert sim.events == ["Preflight", "Copying", "Sweeping", "Auditing", "Succeeded"]


def test_the_status_remembers_ten_runs() -> None:
    sim = Simulation().until("sweep")
    for _ in range(12):
        sim.end(MOVED | {"changed": 1}).step(seconds=PAUSE)
    assert len(sim.ids) == 10
    assert set(sim.jobs) <= set(sim.ids)


SINCE = {"now/waits/database/1767225600": 1, "now/waits/database/1767225660": 2, "now/waits/replicas/1767225600": 1}


def told(sim: Simulation, type_: str) -> str:
    return next((str(c["message"]) for c in sim.status["conditions"] if c["type"] == type_), "")


def test_what_workers_wait_for_is_shown_and_since_when() -> None:
    sim = Simulation().until("copy").see(active=4, live=SINCE)
    words = "waits for the database, which does not answer, since 2026-01-01T00:00:00+00:00 (3 of 4 workers)"
    assert words in told(sim, "Reconciling")
    assert "waits for replicas of the database" in told(sim, "Reconciling")
    assert sim.condition("Degraded") == "True DatabaseUnreachable"
    assert told(sim, "Degraded").startswith(words)
    events = sim.events.count("DatabaseUnreachable")
    sim.see(active=4, live=SINCE)
    assert sim.events.count("DatabaseUnreachable") == events == 1
    sim.see(active=4, live={})
    assert sim.condition("Degraded") == "False Healthy"


def test_a_wait_that_ends_with_its_run_does_not_stay() -> None:
    sim = Simulation().until("copy").see(active=4, live=SINCE)
    sim.see(state="Succeeded", active=0, pods=0, succeeded=4, live={}, result=RunResult(counts=MOVED))
    assert sim.condition("Degraded") == "False Healthy"


@pytest.mark.parametrize("name", ["now/waits/database/soon", "now/waits/database/", "now/waits/x/99999999999", "now/x"])
def test_odd_waits_are_not_shown(name: str) -> None:
    sim = Simulation().until("copy").see(active=4, live={name: 1})
    assert "waits" not in told(sim, "Reconciling")


def ended_with(counts: dict[str, int], **changes: Any) -> Simulation:
    sim = Simulation(**changes).until("audit")
    return sim.end({"objects/moved": 10} | counts)


@pytest.mark.parametrize(
    ("counts", "reason", "words"),
    [
        ({"rows/missingSource": 3}, "RowsWithoutObject", "rows without an object: 3"),
        ({"orphans": 2}, "ObjectsWithoutRow", "moved objects without a row: 2"),
        ({"rows/missingSource": 3, "orphans": 2}, "RowsWithoutObject", "moved objects without a row: 2"),
    ],
)
def test_what_a_person_must_know_is_in_message_condition_and_exit_code(
    counts: dict[str, int], reason: str, words: str
) -> None:
    sim = ended_with(counts)
    assert (sim.condition("Complete"), sim.condition("Degraded")) == ("True Succeeded", f"True {reason}")
    for type_ in ("Ready", "Complete", "Degraded"):
        assert words in told(sim, type_)
    assert exit_code(sim.status) == 1


def test_without_open_ends_the_exit_code_is_0() -> None:
    sim = ended_with({})
    assert not sim.condition("Degraded").startswith("True")
    assert exit_code(sim.status) == 0


def test_objects_without_a_row_that_the_spec_expects_are_no_open_end() -> None:
    sim = ended_with(
        {"orphans": 2},
        cleanup={"policy": "Delete", "grace": "20s", "maxOrphanPercent": 50},
        database={
            "credentials": {"secretRef": {"name": "avatars-db"}},
            "references": [{"table": "avatars", "column": "path"}],
        },
    )
    assert exit_code(sim.status) == 0


def test_a_plan_tells_what_would_be_left_open_and_ends_well() -> None:
    sim = Simulation(mode="Plan").end(COUNTS["preflight"])
    sim.end({"objects/moved": 10, "orphans": 2, "rows/missingSource": 1})
    assert "objects that would move without a row: 2" in told(sim, "Complete")
    assert "rows without an object: 1" in told(sim, "Complete")
    assert exit_code(sim.status) == 0


def test_what_was_left_open_once_does_not_stand_beside_the_next_end() -> None:
    sim = ended_with({"orphans": 2}).change(trigger="again")
    sim.until("audit").end({"objects/already": 10})
    assert (sim.condition("Degraded"), exit_code(sim.status)) == ("False Healthy", 0)


@pytest.mark.parametrize(("failed", "reason"), [({}, "AuditFailed"), ({"rows/failed": 1}, "PartiallyFailed")])
def test_a_legacy_row_that_is_left_is_never_complete(failed: dict[str, int], reason: str) -> None:
    """It is the audit's own finding where nothing else says why; rows of what failed are known."""
    left = Sample(key="a", outcome="leftover", message="row 1 still names the legacy object")
    sim = Simulation(cleanup={"policy": "Retain"}).until("audit")
    sim.end(COUNTS["audit"] | {"audit/leftover": 1} | failed, samples=(left,))
    assert sim.condition("Complete") == f"False {reason}"
    assert [sample["outcome"] for sample in sim.status["samples"]] == ([] if failed else ["leftover"])
