"""The key of a migration's journal: made once, written down before it is used, the same in every run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bucketops_api.contract import RunSpec
from bucketops_operator.desired import Desired
from bucketops_operator.executor import Origin
from bucketops_operator.kinds.migration import desired
from bucketops_operator.settings import from_environment
from support.simulation import SETTINGS, Simulation

KEEPS = replace(SETTINGS, keeps_status=True)


class Kept(Simulation):
    """As in a cluster, where statuses are kept."""

    def desire(self) -> Desired:
        return desired(replace(self.resource, status=self.status), list(self.jobs.values()), self.now, KEEPS)


def run_spec(answer: Desired) -> RunSpec:
    data = next(m["data"] for m in answer.objects if m["kind"] == "ConfigMap" and "run.json" in m["data"])
    return RunSpec.model_validate_json(data["run.json"])


def begun() -> Simulation:
    sim = Kept()
    sim.step()
    return sim


def test_the_key_is_written_down_before_anything_is_started() -> None:
    sim = Kept()
    assert len(sim.status["journalKey"]) == 64
    assert sim.answer.objects == ()
    assert sim.answer.requeue is not None
    assert not sim.answer.requeue
    sim.step()
    assert sim.phase == "preflight"
    assert run_spec(sim.answer).journal_key == sim.status["journalKey"]


def test_each_migration_has_a_key_of_its_own() -> None:
    assert begun().status["journalKey"] != begun().status["journalKey"]


def test_all_runs_have_the_same_key_also_after_a_new_trigger_and_another_spec() -> None:
    sim = begun()
    key = sim.status["journalKey"]
    for phase in ("copy", "sweep", "delete", "audit"):
        assert run_spec(sim.until(phase).answer).journal_key == key
    sim.end()
    sim.change(trigger="again")
    assert (sim.phase, run_spec(sim.answer).journal_key) == ("preflight", key)
    sim.until("audit").end()
    sim.change(verify="Content")
    assert (sim.phase, run_spec(sim.answer).journal_key) == ("preflight", key)


def test_a_rollback_has_the_key_of_its_migration() -> None:
    migration = begun().until("audit").end()
    resource: Any = replace(migration.resource, status=migration.status)
    plain = replace(resource, name="undo", uid="uid-2", spec={"rollbackOf": "avatars"}, status={})
    undo = replace(plain, origin=Origin(resource))
    first = desired(undo, [], migration.now, KEEPS).status.model_dump(mode="json", by_alias=True, exclude_none=True)
    answer = desired(replace(undo, status=first), [], migration.now, KEEPS)
    assert run_spec(answer).journal_key == migration.status["journalKey"]


def test_a_status_that_is_not_kept_holds_no_key() -> None:
    """As with `bucketops run`: what is sealed with a key that nobody knows any more could not be read again."""
    assert run_spec(Simulation().answer).journal_key == ""


def test_in_a_cluster_statuses_are_kept() -> None:
    assert from_environment({}).keeps_status
