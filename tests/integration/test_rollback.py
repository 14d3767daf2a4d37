"""Whole rollbacks on real servers: what a migration moved comes back, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from support import faulty
from support.avatars import LEGACY, MODERN, Reader, name, picture
from support.driver import Driver, condition, ended, message
from support.ending import expect_nothing_wrong
from support.proxy import Proxy

pytestmark = pytest.mark.slow


def roll_back(lab: Any, migration: Driver, spec: dict[str, Any] | None = None) -> Driver:
    """A rollback of a migration, in the same world and by the same operator."""
    driver: Driver = lab.drive({"rollbackOf": "avatars"} | (spec or {}), "undo", origin=migration)
    return driver


def moved(lab: Any, **changes: Any) -> Driver:
    driver: Driver = lab.drive(lab.spec(**changes))
    status = driver.finish()
    assert condition(status, "Complete"), status
    return driver


def test_everything_that_was_moved_comes_back_and_nothing_else(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 41), modern=range(1001, 1011))
    lab.world.insert([LEGACY + name(7)])  # a second row of one object
    before = (lab.world.paths(), sorted(lab.world.keys(lab.world.source)), lab.world.keys(lab.world.destination))
    migration = moved(lab)
    lab.world.put_modern([2001])
    lab.world.insert([MODERN + name(2001)])
    native = {key: lab.world.keys(lab.world.destination)[key] for key in [*before[2], MODERN + name(2001)]}
    status = roll_back(lab, migration).finish()
    assert condition(status, "Complete"), status
    assert message(status, "Complete") == "40 objects copied back, 0 were there already, 41 rows rewritten"
    assert lab.world.paths() == [*before[0], MODERN + name(2001)]
    assert sorted(lab.world.keys(lab.world.source)) == before[1]
    assert lab.world.keys(lab.world.destination) == native
    assert status["outcomes"]["moved"] == sum(status["outcomes"].values()) == 40
    assert status["rowOutcomes"]["rewritten"] == sum(status["rowOutcomes"].values()) == 41
    assert status["audit"]["after"] == {
        "legacyObjects": 40, "legacyRows": 41, "danglingRows": 0, "productionObjects": 11,
    }  # fmt: skip


def test_what_does_not_come_back_as_it_was_stays_where_it_is(lab: Any) -> None:
    """The listing shows another size of what was copied back: its row and its object stay at the production place."""
    lab.world.seed(legacy=range(1, 6))
    shown, begun = faulty.Shown(LEGACY + name(3), faulty.another_size), list[bool]()
    with Proxy(lab.endpoint, body=lambda request, body: shown(request, body) if begun else body) as proxy:
        migration = moved(lab, endpoint=proxy.url)
        begun.append(True)
        status = roll_back(lab, migration).finish(120)
    assert condition(status, "Failed"), status
    assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (4, 1)
    assert set(lab.world.keys(lab.world.destination)) == {MODERN + name(3)}
    assert MODERN + name(3) in lab.world.paths()


def test_readers_see_every_picture_all_the_while(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 101))
    migration = moved(lab)
    cleanup = {"policy": "Delete", "grace": "3s"}
    with Reader(lab.world) as reader:
        status = roll_back(lab, migration, {"cleanup": cleanup}).finish()
    assert condition(status, "Complete"), status
    expect_nothing_wrong(reader, reads=100)
    assert lab.world.keys(lab.world.destination) == {}
    assert lab.world.body(lab.world.source, LEGACY + name(5)) == picture(5)


def test_what_the_application_changed_since_comes_back_with_it(lab: Any) -> None:
    """A newer picture under the new key, one deleted, one row turned to another picture, one row more."""
    world = lab.world
    world.seed(legacy=range(1, 11))
    migration = moved(lab)
    world.s3.put_object(Bucket=world.destination, Key=MODERN + name(3), Body=picture(3, 1))
    world.sql("DELETE FROM avatars WHERE id = 4")
    world.s3.delete_object(Bucket=world.destination, Key=MODERN + name(4))
    world.put_modern([2001])
    world.sql("UPDATE avatars SET path = %s WHERE id = 5", (MODERN + name(2001),))
    world.insert([MODERN + name(6)])  # the application's own row of an object that was moved
    status = roll_back(lab, migration).finish()
    assert condition(status, "Complete"), status
    assert world.body(world.source, LEGACY + name(3)) == picture(3, 1)
    assert sorted(world.keys(world.source)) == sorted(LEGACY + name(n) for n in range(1, 11) if n != 4)
    assert sorted(world.keys(world.destination)) == sorted([MODERN + name(2001), MODERN + name(6)])
    expected = [LEGACY + name(n) for n in range(1, 11) if n != 4] + [MODERN + name(6)]
    expected[3] = MODERN + name(2001)
    assert world.paths() == expected
    assert status["outcomes"] == {
        "moved": 9, "already": 0, "conflict": 0, "changedByApp": 1, "ignored": 0, "failed": 0,
    }  # fmt: skip
    assert status["rowOutcomes"]["rewritten"] == 8
    assert status["rowOutcomes"]["changedByApp"] == 2


def test_legacy_objects_that_were_retained_are_not_copied_again(lab: Any) -> None:
    """Where both places have been written since, nothing is touched and it is reported."""
    world = lab.world
    world.seed(legacy=range(1, 11))
    migration = moved(lab, cleanup={"policy": "Retain"})
    legacy = world.keys(world.source)
    world.s3.put_object(Bucket=world.destination, Key=MODERN + name(3), Body=picture(3, 1))
    world.s3.put_object(Bucket=world.source, Key=LEGACY + name(4), Body=picture(4, 1))
    for place, prefix, version in ((world.source, LEGACY, 1), (world.destination, MODERN, 2)):
        world.s3.put_object(Bucket=place, Key=prefix + name(5), Body=picture(5, version))
    status = roll_back(lab, migration).finish()
    assert condition(status, "Failed"), status
    assert status["outcomes"]["conflict"] == 1
    assert status["outcomes"]["already"] == 8
    assert status["outcomes"]["moved"] == 1
    assert "written both places" in status["samples"][0]["message"]
    assert world.paths() == [(MODERN if n == 5 else LEGACY) + name(n) for n in range(1, 11)]
    now = world.keys(world.source)
    assert {key for key in legacy if now[key] != legacy[key]} == {LEGACY + name(n) for n in (3, 4, 5)}
    assert world.body(world.source, LEGACY + name(3)) == picture(3, 1)
    assert world.body(world.source, LEGACY + name(4)) == picture(4, 1)
    assert world.body(world.source, LEGACY + name(5)) == picture(5, 1)
    assert len(world.keys(world.destination)) == 10, "the migration retained, so its rollback does"


def test_what_stood_at_the_new_place_before_the_migration_stays_there(lab: Any) -> None:
    world = lab.world
    world.seed(legacy=range(1, 6))
    world.put_modern([2])
    before = world.keys(world.destination)
    migration = moved(lab)
    status = roll_back(lab, migration).finish()
    assert condition(status, "Complete"), status
    assert world.keys(world.destination) == before
    assert sorted(world.keys(world.source)) == [LEGACY + name(n) for n in range(1, 6)]
    assert world.paths() == [LEGACY + name(n) for n in range(1, 6)]


def test_what_was_brought_back_can_be_moved_and_brought_back_again(lab: Any) -> None:
    """Orphans too, of which no row says that they are wanted."""
    world = lab.world
    world.seed(legacy=range(1, 11))
    world.put_legacy([11])
    migration = moved(lab)
    undo = roll_back(lab, migration)
    assert condition(undo.finish(), "Complete")
    migration.change(migration.resource.spec | {"trigger": "again"})
    status = migration.until(lambda status: len(status["runs"]) > 6 and ended(status))
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 11
    assert world.paths() == [MODERN + name(n) for n in range(1, 11)]
    assert world.keys(world.source) == {}
    undo.change(undo.resource.spec | {"trigger": "again"})
    first = len(undo.status["runs"])
    status = undo.until(lambda status: len(status["runs"]) > first and ended(status))
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 11
    assert world.paths() == [LEGACY + name(n) for n in range(1, 11)]
    assert sorted(world.keys(world.source)) == sorted(LEGACY + name(n) for n in range(1, 12))
    assert world.keys(world.destination) == {}


def test_urls_come_back_in_their_old_form(lab: Any) -> None:
    world = lab.world
    world.seed(legacy=[])
    world.put_legacy([1, 2])
    world.insert([f"https://legacy-url/{LEGACY}{name(n)}?v=1" for n in (1, 2)])
    spec = lab.spec()
    spec["database"]["references"][0] |= {
        "format": "https://legacy-url/{key}?v=1", "newFormat": "https://cdn.example/{key:url}",
    }  # fmt: skip
    migration = lab.drive(spec)
    assert condition(migration.finish(), "Complete")
    assert world.paths() == [f"https://cdn.example/{MODERN}{name(n)}" for n in (1, 2)]
    status = roll_back(lab, migration).finish()
    assert condition(status, "Complete"), status
    assert world.paths() == [f"https://legacy-url/{LEGACY}{name(n)}?v=1" for n in (1, 2)]
    assert world.keys(world.destination) == {}


def test_without_a_database_the_objects_come_back(lab: Any) -> None:
    world = lab.world
    world.seed(legacy=range(1, 6))
    spec = lab.spec()
    del spec["database"]
    migration = lab.drive(spec)
    assert condition(migration.finish(), "Complete")
    status = roll_back(lab, migration).finish()
    assert condition(status, "Complete"), status
    assert sorted(world.keys(world.source)) == [LEGACY + name(n) for n in range(1, 6)]
    assert world.keys(world.destination) == {}


def test_a_plan_of_a_rollback_changes_nothing_and_foretells_it(lab: Any) -> None:
    world = lab.world
    world.seed(legacy=range(1, 11), modern=[1001])
    migration = moved(lab)
    before = (world.paths(), world.keys(world.source), world.keys(world.destination))
    status = roll_back(lab, migration, {"mode": "Plan"}).finish()
    assert status["phase"] == "Planned"
    assert message(status, "Complete").startswith("10 objects would be copied back, 0 are in conflict")
    assert status["rowOutcomes"]["rewritten"] == 10
    assert (world.paths(), world.keys(world.source), world.keys(world.destination)) == before
