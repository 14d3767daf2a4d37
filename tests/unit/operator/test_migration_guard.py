"""cleanup.maxOrphanPercent: nothing is deleted while too many of the moved objects have no row that names them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bucketops_api.v1alpha1.migration import MigrationRequest, MigrationSpec, MigrationStatus
from bucketops_operator.kinds.migration_order import guard
from support.simulation import COUNTS, MOVED, Simulation, spec

DATABASE = {
    "credentials": {"secretRef": {"name": "avatars-db"}},
    "references": [{"table": "avatars", "column": "path"}],
}
THREE_OF_TEN = MOVED | {"orphans": 3}


def simulation(most: int | None = 20, **changes: Any) -> Simulation:
    guard = {} if most is None else {"maxOrphanPercent": most}
    return Simulation(database=DATABASE, cleanup={"policy": "Delete", "grace": "1h"} | guard, **changes)


def swept(sim: Simulation, counts: dict[str, int]) -> Simulation:
    """Until the grace is over; each sweep counts so."""
    sim.until("sweep")
    for _ in range(200):
        if sim.phase != "sweep" or sim.condition("Stalled").startswith("True"):
            return sim
        if sim.status["runs"][-1]["result"] == "Running":
            sim.end(counts)
        else:
            sim.step(seconds=60)
    raise AssertionError(sim.status)


def test_above_the_guard_nothing_is_deleted_and_the_message_says_what_to_do() -> None:
    sim = swept(simulation(), THREE_OF_TEN)
    assert sim.condition("Stalled") == "True GuardExceeded"
    assert sim.status["orphans"] == 3
    assert "3 of 10 moved objects (30 %) have no row that names them" in sim.message("Stalled")
    assert sim.events.count("GuardExceeded") == 1
    sim.step(seconds=599)
    assert sim.phase == "sweep"
    assert sim.events.count("GuardExceeded") == 1


@pytest.mark.parametrize("most", [30, 100, None])
def test_at_the_guard_and_by_default_objects_are_deleted(most: int | None) -> None:
    assert swept(simulation(most), THREE_OF_TEN).phase == "delete"


def test_a_guard_that_is_raised_acts_at_once_and_begins_nothing_anew() -> None:
    sim = swept(simulation(), THREE_OF_TEN)
    sim.change(cleanup={"policy": "Delete", "grace": "1h", "maxOrphanPercent": 30})
    assert sim.phase == "delete"
    assert [run["phase"] for run in sim.status["runs"]].count("preflight") == 1
    assert sim.condition("Stalled").startswith("False")


def test_a_guard_is_looked_at_again_by_itself() -> None:
    """Somebody has added rows."""
    sim = swept(simulation(), THREE_OF_TEN)
    sim.step(seconds=601)
    assert sim.status["phase"] == "Sweeping"
    sim.end(MOVED | {"orphans": 1})
    assert sim.phase == "delete"


def test_a_new_reference_begins_anew_though_a_guard_holds() -> None:
    sim = swept(simulation(), THREE_OF_TEN)
    sim.change(database=DATABASE | {"references": [*DATABASE["references"], {"table": "thumbs", "column": "path"}]})
    assert sim.phase == "preflight"


def test_a_failed_delete_is_not_done_again_above_the_guard() -> None:
    """The guard was lowered while a delete was under way; its next attempt is a sweep."""
    sim = swept(simulation(30), THREE_OF_TEN)
    sim.change(cleanup={"policy": "Delete", "grace": "1h", "maxOrphanPercent": 20})
    assert sim.phase == "delete"
    sim.fail("EndpointUnreachable")
    sim.step(seconds=60)
    assert sim.phase == "sweep"
    assert swept(sim, THREE_OF_TEN).condition("Stalled") == "True GuardExceeded"


def test_a_plan_says_what_the_guard_would_refuse() -> None:
    sim = simulation(mode="Plan").end(COUNTS["preflight"])
    sim.end(THREE_OF_TEN)
    assert sim.condition("Complete") == "True Planned"
    assert "GuardExceeded" in sim.message("Complete")
    assert "30 %" in sim.message("Complete")


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_plan_that_no_guard_objects_to_does_not_speak_of_it(policy: str) -> None:
    cleanup = {"policy": policy, "maxOrphanPercent": 30 if policy == "Delete" else 0}
    sim = Simulation(mode="Plan", database=DATABASE, cleanup=cleanup).end(COUNTS["preflight"])
    sim.end(THREE_OF_TEN)
    assert "GuardExceeded" not in sim.message("Complete")


def test_without_a_database_there_is_nothing_to_count() -> None:
    with pytest.raises(ValidationError, match="name the database, or leave it out"):
        MigrationRequest.model_validate(spec(cleanup={"policy": "Delete", "maxOrphanPercent": 10}))


def test_objects_without_a_row_beside_none_that_moved_are_above_every_guard() -> None:
    told = MigrationSpec.model_validate(spec(database=DATABASE, cleanup={"policy": "Delete", "maxOrphanPercent": 20}))
    assert guard(told, MigrationStatus(orphans=3)).startswith("3 of 0 moved objects")
    assert not guard(told, MigrationStatus())
