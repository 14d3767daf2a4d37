"""When a rollback begins, and why it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bucketops_api.contract import RunSpec
from bucketops_operator.executor import Origin, Resource
from support.simulation import COUNTS, Simulation, spec

RESTS = {"conditions": [{"type": "Complete", "status": "True", "reason": "Succeeded",
                         "lastTransitionTime": "2026-01-01T00:00:00Z"}]}  # fmt: skip
WORKS = {"phase": "Copying", "conditions": [{"type": "Reconciling", "status": "True", "reason": "Copying",
                                             "lastTransitionTime": "2026-01-01T00:00:00Z"}]}  # fmt: skip
STOPPED = {"phase": "Suspended", "conditions": [{"type": "Suspended", "status": "True", "reason": "Suspended",
                                                 "lastTransitionTime": "2026-01-01T00:00:00Z"}]}  # fmt: skip


def origin(status: dict[str, Any], *, pods: int = 0, **changes: Any) -> Origin:
    return Origin(Resource("S3Migration", "default", "avatars", "uid-0", 1, spec(**changes), status), pods)


class Undo(Simulation):
    """A rollback of `avatars`."""

    def __init__(self, origin: Origin | None, **fields: Any) -> None:
        self._origin, self._fields = origin, fields
        super().__init__()

    def step(self, **options: Any) -> Any:
        plain = {"rollbackOf": "avatars"} | self._fields
        self.resource = replace(self.resource, name="undo", spec=plain, origin=self._origin)
        return super().step(**options)

    def sees(self, origin: Origin | None) -> Undo:
        self._origin = origin
        self.step()
        return self

    def message(self, type_: str) -> str:
        return next(str(c.get("message")) for c in self.status["conditions"] if c["type"] == type_)

    @property
    def run_spec(self) -> RunSpec:
        data = next(m["data"] for m in self.answer.objects if m["kind"] == "ConfigMap" and "run.json" in m["data"])
        return RunSpec.model_validate_json(data["run.json"])


def test_it_works_for_the_migration_the_other_way_round() -> None:
    run = Undo(origin(RESTS)).run_spec
    assert (run.name, run.rollback_of, run.origin_rests) == ("undo", "avatars", True)
    assert (run.spec["source"]["bucket"], run.spec["destination"]["bucket"]) == ("production-s3", "legacy-s3")


def test_it_goes_through_all_phases_and_says_what_it_did() -> None:
    sim = Undo(origin(RESTS)).until("audit").end(COUNTS["audit"])
    assert sim.condition("Complete") == "True Succeeded"
    assert sim.message("Complete").startswith("10 objects copied back")


@pytest.mark.parametrize(
    ("what", "reason", "words"),
    [
        (None, "InvalidSpec", "which rollbackOf names, does not exist: mend the name, or apply that migration again"),
        (origin(WORKS), "Claimed", "avatars is at work (phase Copying): set spec.suspend: true on it"),
        (origin(STOPPED, pods=1), "Claimed", "avatars is at work (phase Suspended)"),
    ],
    ids=["there is none", "it works", "its last pod has not ended"],
)
def test_it_is_refused_in_clear_words_told_once_and_begins_when_it_may(
    what: Origin | None, reason: str, words: str
) -> None:
    sim = Undo(what)
    assert sim.condition("Stalled") == f"True {reason}"
    assert words in sim.message("Stalled")
    assert sim.answer.requeue is not None
    sim.sees(what)
    assert sim.events == [reason]
    assert not sim.jobs
    sim.sees(origin(STOPPED))
    assert sim.phase == "preflight"


def test_a_rollback_of_a_rollback_is_refused_and_says_what_to_do_instead() -> None:
    other = replace(origin(RESTS).resource, spec={"rollbackOf": "original"})
    sim = Undo(Origin(other))
    assert "set a new trigger on original, the migration that it rolled back" in sim.message("Stalled")


def test_it_waits_for_its_migration_to_come_back_and_touches_nothing_meanwhile() -> None:
    sim = Undo(origin(RESTS)).until("copy")
    before = dict(sim.jobs)
    sim.sees(None)
    assert sim.jobs == before
    assert not sim.answer.objects
    assert sim.condition("Stalled") == "True InvalidSpec"
    sim.sees(origin(RESTS))
    assert sim.condition("Stalled") == "False InProgress"
    assert sim.phase == "copy"


def test_a_migration_that_was_changed_meanwhile_is_not_gone_on_with() -> None:
    sim = Undo(origin(RESTS)).until("copy")
    sim.sees(origin(RESTS, destination={"bucket": "elsewhere", "prefix": "avatar/"}))
    assert "has changed since this rollback of it began: put it back as it was" in sim.message("Stalled")
    assert not sim.answer.objects


def test_a_rollback_that_has_ended_stays_ended_while_its_migration_works_again() -> None:
    sim = Undo(origin(RESTS)).until("audit").end(COUNTS["audit"])
    sim.sees(origin(WORKS))
    assert sim.condition("Complete") == "True Succeeded"
