"""Workers and operators die at any moment: the end is the same, and progress never falls."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from bucketops_operator.kinds import runs
from support.avatars import LEGACY, MODERN, name, picture
from support.driver import Driver, condition
from support.gate import Gate
from support.proxy import Answer, Hold, Proxy, Request

pytestmark = pytest.mark.slow

WORKER = {"parallelism": 2, "shards": 2, "concurrency": 8}
KILLS = (5, 36, 67)
"""Rows of a hundred. The gate lets through up to twenty more than it was asked for, and the UPDATEs that the dead leave
behind are another ten: the next kill is further off, so that only the living come there.
"""


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


@pytest.fixture
def gate(lab: Any) -> Gate:
    """A hundred legacy avatars, two workers with chunks of five."""
    lab.world.seed(legacy=range(1, 101))
    return Gate(lab.world, objects=100, workers=2, chunk=5)


def spec_of(lab: Any, **changes: Any) -> dict[str, Any]:
    return lab.spec(chunk=5, worker=WORKER, **changes)


def test_workers_killed_in_the_middle_of_copy_and_delete(lab: Any, gate: Gate) -> None:
    """The second delete is held until its worker is dead, and the one of the next attempt too."""
    deletes = Hold(lambda request: request.method == "POST" and request.bucket == lab.world.source)
    deletes.let(1)  # the preflight's, which tries whether the server takes such lists
    with Proxy(lab.endpoint, rule=deletes) as proxy:
        driver = lab.drive(spec_of(lab, endpoint=proxy.url), processes=True)
        for percent in KILLS:
            gate.reach(percent)
            driver.until(lambda _, least=percent: gate.rewritten() >= least)
            driver.kill_workers()
        gate.open()
        deletes.let(2)
        for came in (3, 4):
            driver.until(lambda _, least=came: deletes.came >= least)
            driver.kill_workers()
        deletes.let(10**6)
        expect_the_right_end(lab, driver.finish(), 100)
    never_falls(driver)


def test_an_operator_that_forgot_everything_goes_on_from_the_journal(lab: Any, gate: Gate) -> None:
    """The resource is deleted and applied anew in mid-copy, cut into another number of shards."""
    driver = lab.drive(spec_of(lab), processes=True)
    gate.reach(20)
    driver.until(lambda _: gate.rewritten() >= 20)
    driver.local.close()
    copied = lab.world.keys(lab.world.destination)
    assert 20 <= len(copied) < 100
    gate.open()
    again = lab.drive(lab.spec(worker=WORKER | {"shards": 5}))
    status = again.finish()
    expect_the_right_end(lab, status, 100)
    now = lab.world.keys(lab.world.destination)
    assert {key: now[key] for key in copied} == copied


def test_suspend_stops_at_a_safe_point_and_resume_goes_on(lab: Any, gate: Gate) -> None:
    driver = lab.drive(spec_of(lab))
    gate.reach(20)
    driver.until(lambda _: gate.rewritten() >= 20)
    driver.change(spec_of(lab, suspend=True))
    driver.step()
    gate.drain()
    driver.until(lambda status: condition(status, "Suspended") and driver.local.observe(driver.resource)[-1].pods == 0)
    gate.open()
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


def test_a_picture_replaced_between_the_commit_and_its_record_is_no_conflict(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker breaks off there. The newer picture stays, and so does the original: nobody knows if it was copied."""
    monkeypatch.setattr(runs, "FIRST_RETRY", timedelta(seconds=1))
    world = lab.world
    world.seed(legacy=range(1, 11))
    replaced: list[str] = []

    def break_off(request: Request) -> Answer | None:
        if replaced or request.method != "PUT" or not request.key.endswith(".done"):
            return None
        replaced.extend(path for path in world.paths() if path.startswith(MODERN))
        number = int(replaced[0].removeprefix(f"{MODERN}avatar-").removesuffix(".png"))
        world.s3.put_object(Bucket=world.destination, Key=replaced[0], Body=picture(number, 1))
        return Answer(403, b"<Error><Code>AccessDenied</Code><Message>not now</Message></Error>")

    with Proxy(lab.endpoint, rule=break_off) as proxy:
        driver = lab.drive(lab.spec(endpoint=proxy.url, worker=WORKER | {"parallelism": 1, "shards": 1}))
        driver.until(lambda status: condition(status, "Stalled"))
        driver.until(lambda status: not condition(status, "Stalled"))
        status = driver.finish()
    assert condition(status, "Complete"), status
    number = int(replaced[0].removeprefix(f"{MODERN}avatar-").removesuffix(".png"))
    assert world.body(world.destination, replaced[0]) == picture(number, 1)
    assert world.keys(world.source) == {}
    assert status["outcomes"]["moved"] == 10
    assert status["rowOutcomes"]["rewritten"] == 10


def test_the_status_written_late_or_never_changes_nothing(lab: Any) -> None:
    """Every second reconcile dies before it writes the status."""
    lab.world.seed(legacy=range(1, 31))
    driver = lab.drive(lab.spec())
    write = driver.local.write_status
    calls = iter(range(10**6))
    driver.local.write_status = lambda owner, status: write(owner, status) if next(calls) % 2 else None
    expect_the_right_end(lab, driver.finish(), 30)
