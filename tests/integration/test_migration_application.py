"""An application that works on while its pictures are moved: nothing of what it writes is lost or undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.application import Application, put
from support.avatars import LEGACY, MODERN, World, name, picture, transaction
from support.driver import condition
from support.proxy import Proxy, Request
from support.under_way import waiting_for_locks

pytestmark = pytest.mark.slow


def last_run(phase: str, result: str) -> Any:
    return lambda status: (status["runs"][-1]["phase"], status["runs"][-1]["result"]) == (phase, result)


def test_a_newer_legacy_picture_is_moved_too(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 21))
    driver = lab.drive(lab.spec())
    driver.before("sweep", lambda: put(lab.world, LEGACY + name(5), 5, version=1))
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert lab.world.body(lab.world.destination, MODERN + name(5)) == picture(5, 1)
    assert status["outcomes"]["moved"] == 20


def test_a_newer_modern_picture_is_not_undone(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 21))
    driver = lab.drive(lab.spec())
    driver.before("sweep", lambda: put(lab.world, MODERN + name(5), 5, version=1))
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert lab.world.body(lab.world.destination, MODERN + name(5)) == picture(5, 1)
    assert lab.world.keys(lab.world.source) == {}


def test_a_picture_that_was_written_on_both_sides_is_a_conflict(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 11))
    driver = lab.drive(lab.spec())

    def both() -> None:
        put(lab.world, LEGACY + name(5), 5, version=1)
        put(lab.world, MODERN + name(5), 5, version=2)

    status = driver.before("sweep", both).finish()
    assert condition(status, "Failed"), status
    assert status["outcomes"]["conflict"] == 1
    assert lab.world.body(lab.world.source, LEGACY + name(5)) == picture(5, 1)
    assert lab.world.body(lab.world.destination, MODERN + name(5)) == picture(5, 2)


def test_a_picture_that_the_application_deleted_is_not_brought_back(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 11))
    driver = lab.drive(lab.spec())

    def delete() -> None:
        lab.world.sql("DELETE FROM avatars WHERE path = %s", (MODERN + name(5),))
        lab.world.s3.delete_object(Bucket=lab.world.destination, Key=MODERN + name(5))

    status = driver.before("sweep", delete).finish()
    assert condition(status, "Complete"), status
    assert MODERN + name(5) not in lab.world.keys(lab.world.destination)
    assert status["outcomes"]["changedByApp"] == 1


def test_a_legacy_row_that_comes_before_the_delete_keeps_its_object_and_is_rewritten(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 11))
    driver = lab.drive(lab.spec())
    status = driver.before("delete", lambda: lab.world.insert([LEGACY + name(5)])).finish()
    assert condition(status, "Complete"), status
    assert lab.world.paths()[-1] == MODERN + name(5)
    assert [run["phase"] for run in status["runs"]].count("delete") == 2
    assert status["rowOutcomes"]["rewritten"] == 11


@contextmanager
def held(world: World, row: int) -> Iterator[None]:
    """Another transaction holds the row."""
    with transaction(world) as cursor:
        cursor.execute("SELECT FROM avatars WHERE id = %s FOR UPDATE", (row,))
        yield


def test_a_locked_row_is_rewritten_after_its_release(lab: Any) -> None:
    """Others are not kept waiting: the copy ends while the row is held. Nothing is deleted meanwhile."""
    lab.world.seed(legacy=range(1, 21))
    with held(lab.world, 7):
        driver = lab.drive(lab.spec())
        driver.until(last_run("copy", "Running"))
        status = driver.until(lambda status: [run["phase"] for run in status["runs"]][-1] == "sweep")
        assert [path for path in lab.world.paths() if path.startswith(LEGACY)] == [LEGACY + name(7)]
        assert status["runs"][1]["pending"] == 1
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["rowOutcomes"]["rewritten"] == 20


def test_a_row_that_is_held_for_less_than_the_lock_timeout_is_waited_for(lab: Any) -> None:
    """Its holder lets go when somebody waits for it: the same walk rewrites it, and nothing is left pending."""
    lab.world.seed(legacy=range(1, 21))
    spec = lab.spec()
    spec["database"]["lockTimeout"] = "30s"
    with held(lab.world, 7):
        driver = lab.drive(spec)
        driver.until(lambda _: waiting_for_locks(lab.world) == 1)
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert [(run["phase"], run["pending"]) for run in status["runs"]][1] == ("copy", 0)
    assert status["rowOutcomes"]["rewritten"] == 20


ELSEWHERE = "https://pictures.example.org/7.png"


def expect_left_alone(world: World, status: dict[str, Any], row: int) -> None:
    """Of 20 rows the application's is as it left it; the others are rewritten."""
    assert condition(status, "Complete"), status
    assert world.paths() == [ELSEWHERE if number == row else MODERN + name(number) for number in range(1, 21)]
    outcomes = {outcome: count for outcome, count in status["rowOutcomes"].items() if count}
    assert outcomes == {"rewritten": 19, "changedByApp": 1}
    assert status["outcomes"]["moved"] == 20


def test_a_row_that_changed_since_it_was_read_is_left_alone(lab: Any) -> None:
    """The application lets it name something else while the objects of its chunk are copied."""
    lab.world.seed(legacy=range(1, 21))
    one_shard = {"parallelism": 1, "shards": 1, "concurrency": 8}
    copied: list[str] = []

    def change(request: Request) -> None:
        if request.method == "PUT" and f"/{lab.world.destination}/{MODERN}avatar-" in request.path:
            copied.append(request.path)
            lab.world.sql("UPDATE avatars SET path = %s WHERE id = 7", (ELSEWHERE,))

    with Proxy(lab.endpoint, rule=change) as proxy:
        status = lab.drive(lab.spec(endpoint=proxy.url, worker=one_shard)).finish()
    assert copied
    expect_left_alone(lab.world, status, 7)


def test_a_row_that_changed_while_it_was_waited_for_is_left_alone(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 21))
    spec = lab.spec()
    spec["database"]["lockTimeout"] = "30s"
    with transaction(lab.world) as cursor:
        cursor.execute("UPDATE avatars SET path = %s WHERE id = 7", (ELSEWHERE,))
        driver = lab.drive(spec)
        driver.until(lambda _: waiting_for_locks(lab.world) == 1)
        cursor.connection.commit()
    expect_left_alone(lab.world, driver.finish(), 7)


def test_copies_go_on_while_a_chunk_waits_for_a_row(lab: Any) -> None:
    """One worker has four chunks under way; the row is of the first."""
    lab.world.seed(legacy=range(1, 41))
    spec = lab.spec(chunk=10, worker={"parallelism": 1, "shards": 1, "concurrency": 8})
    spec["database"]["lockTimeout"] = "60s"
    ((first,),) = lab.world.sql('SELECT id FROM avatars ORDER BY path COLLATE "C" LIMIT 1')
    with held(lab.world, first):
        driver = lab.drive(spec)
        driver.until(lambda _: len(lab.world.keys(lab.world.destination)) == 40, 30)
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["rowOutcomes"]["rewritten"] == 40


def test_a_busy_application_loses_nothing(lab: Any) -> None:
    """It writes the legacy form until well into the migration; in the end every row names its newest picture."""
    lab.world.seed(legacy=range(1, 151))
    driver = lab.drive(lab.spec(chunk=10, cleanup={"policy": "Delete", "grace": "3s"}))
    with Application(lab.world, first=151) as application:
        driver.until(lambda status: [run["phase"] for run in status["runs"]].count("sweep") >= 2)
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert lab.world.keys(lab.world.source) == {}
    for number, path in enumerate(lab.world.paths(), 1):
        assert path == MODERN + name(number)
        assert lab.world.body(lab.world.destination, path) == picture(number, application.newest[number]), path
    assert status["outcomes"]["moved"] == len(application.newest)
    assert application.next > 151
