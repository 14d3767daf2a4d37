"""Workers and operators die at any moment: the end is the same, and progress never falls."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from support.avatars import LEGACY, MODERN, name
from support.driver import Driver, condition

WORKER = {"parallelism": 2, "shards": 2, "concurrency": 8}


def expect_the_right_end(lab: Any, status: dict[str, Any], count: int) -> None:
    """The end state of a migration of so many objects."""
    assert condition(status, "Complete"), status
    assert lab.world.keys(lab.world.source) == {}
    assert set(lab.world.keys(lab.world.destination)) == {MODERN + name(n) for n in range(1, count + 1)}
    assert lab.world.paths() == [MODERN + name(n) for n in range(1, count + 1)]
    assert status["outcomes"]["moved"] == sum(status["outcomes"].values()) == count
    assert status["rowOutcomes"]["rewritten"] == sum(status["rowOutcomes"].values()) == count
    assert status["audit"]["after"]["productionObjects"] == count


def never_falls(driver: Driver) -> None:
    percents = [status["progress"]["percent"] for status in driver.seen if "progress" in status]
    assert percents == sorted(percents)


def kill_workers(driver: Driver, phase: str, times: int) -> int:
    """SIGKILL all workers of a phase so many times, each time in the middle of their work; how many died."""
    driver.until(lambda status: status["runs"][-1]["phase"] == phase)
    run, killed = driver.status["runs"][-1]["id"], 0
    for attempt in range(times):
        driver.until(lambda _: bool(driver.local.processes(run)) or driver.status["runs"][-1]["id"] != run, 60)
        time.sleep(0.9 + 0.3 * attempt)
        if driver.status["runs"][-1]["id"] != run:
            break
        for pid in driver.local.processes(run):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def slow(lab: Any, rate: int) -> dict[str, Any]:
    spec: dict[str, Any] = lab.spec(worker=WORKER | {"requestsPerSecond": rate})
    spec["database"]["batchSize"] = 10
    return spec


def test_workers_killed_in_the_middle_of_copy_and_delete(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 101))
    driver = lab.drive(slow(lab, 120), processes=True)
    assert kill_workers(driver, "copy", 3)
    assert kill_workers(driver, "delete", 2)
    expect_the_right_end(lab, driver.finish(), 100)
    never_falls(driver)


def test_an_operator_that_forgot_everything_goes_on_from_the_journal(lab: Any) -> None:
    """The resource is deleted and applied anew in mid-copy, cut into another number of shards."""
    lab.world.seed(legacy=range(1, 101))
    driver = lab.drive(slow(lab, 200))
    driver.until(lambda _: len(lab.world.keys(lab.world.destination)) >= 20)
    driver.local.close()
    copied = lab.world.keys(lab.world.destination)
    assert len(copied) < 100
    again = lab.drive(lab.spec(worker=WORKER | {"shards": 5}))
    status = again.finish()
    expect_the_right_end(lab, status, 100)
    now = lab.world.keys(lab.world.destination)
    assert {key: now[key] for key in copied} == copied


def test_suspend_stops_at_a_safe_point_and_resume_goes_on(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 101))
    driver = lab.drive(slow(lab, 150))
    driver.until(lambda _: len(lab.world.keys(lab.world.destination)) >= 20)
    driver.change(slow(lab, 150) | {"suspend": True})
    driver.until(lambda status: condition(status, "Suspended") and driver.local.observe(driver.resource)[-1].pods == 0)
    held = lab.world.keys(lab.world.destination)
    assert 20 <= len(held) < 100
    time.sleep(1)
    driver.step()
    assert lab.world.keys(lab.world.destination) == held
    assert [path.startswith(LEGACY) for path in lab.world.paths()].count(True) >= 100 - len(held)
    driver.change(lab.spec())
    driver.step()
    expect_the_right_end(lab, driver.finish(), 100)
    never_falls(driver)


def test_the_status_written_late_or_never_changes_nothing(lab: Any) -> None:
    """Every second reconcile dies before it writes the status."""
    lab.world.seed(legacy=range(1, 31))
    driver = lab.drive(lab.spec())
    write = driver.local.write_status
    calls = iter(range(10**6))
    driver.local.write_status = lambda owner, status: write(owner, status) if next(calls) % 2 else None
    expect_the_right_end(lab, driver.finish(), 30)
