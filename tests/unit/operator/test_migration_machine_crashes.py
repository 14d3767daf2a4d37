"""The operator may die at any point: the same observations give the same answer, and never two runs at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.simulation import COUNTS, MOVED, Simulation

pytestmark = pytest.mark.slow

CHANGES: dict[str, Callable[[Simulation], dict[str, Any]]] = {
    "suspend": lambda _: {"suspend": True},
    "resume": lambda _: {"suspend": False},
    "retain": lambda _: {"cleanup": {"policy": "Retain"}},
    "trigger": lambda sim: {"trigger": str(sim.now)},
}
ENDS: dict[str, Callable[[Simulation], object]] = {
    "end": lambda sim: sim.end(COUNTS[sim.phase]),
    "busy": lambda sim: sim.end(MOVED | {"changed": 1, "pending": 1}),
    "lingers": lambda sim: sim.see(state="Succeeded", active=0, pods=1, succeeded=sim.job.shards),
    "fail": lambda sim: sim.fail(),
    "lost": lambda sim: sim.see(state="Succeeded", active=0, pods=0, lost=1),
    "vanish": lambda sim: sim.jobs.pop(sim.ids[-1]),
}


def take(sim: Simulation, step: str) -> None:
    """What may happen between two reconciles; whatever needs a run that works waits for one."""
    works = bool(sim.status["runs"]) and sim.ids[-1] in sim.jobs and sim.status["runs"][-1]["result"] == "Running"
    if step in CHANGES:
        sim.change(**CHANGES[step](sim))
    elif step in ENDS and works:
        ENDS[step](sim)
    sim.step(seconds=20, crash=step == "crash")
    sim.step()


STEPS = st.lists(st.sampled_from(("wait", "crash", *CHANGES, *ENDS)), max_size=40)


@settings(max_examples=300)
@given(STEPS)
def test_replaying_an_observation_gives_the_same_answer(steps: list[str]) -> None:
    sim = Simulation()
    for step in steps:
        take(sim, step)
        one, other = sim.desire(), sim.desire()
        assert one == other


@settings(max_examples=300)
@given(STEPS)
def test_a_status_that_was_written_is_a_fixed_point(steps: list[str]) -> None:
    """Reading back what was written, at the same moment, changes nothing and tells nothing again."""
    sim = Simulation()
    for step in steps:
        take(sim, step)
        sim.step()
        before, told = sim.status, len(sim.events)
        sim.step()
        assert (sim.status, len(sim.events)) == (before, told)


@settings(max_examples=300)
@given(STEPS)
def test_never_two_runs_at_once_and_progress_never_falls(steps: list[str]) -> None:
    """That a run only begins without pods of another is asserted where the simulation creates Jobs."""
    sim = Simulation()
    percent, first = 0, sim.status["firstRun"]
    for step in steps:
        take(sim, step)
        assert sum(run["result"] == "Running" for run in sim.status["runs"]) <= 1
        numbers = [int(run.rsplit("-", 2)[1]) for run in sim.ids]
        assert numbers == sorted(set(numbers))
        if sim.status["firstRun"] == first:
            assert sim.status["progress"]["percent"] >= percent
        percent, first = sim.status["progress"]["percent"], sim.status["firstRun"]
