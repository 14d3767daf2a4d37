"""Whole rollbacks on real servers: what a migration moved comes back, and nothing else."""

from __future__ import annotations

from typing import Any

from support.avatars import LEGACY, MODERN, Reader, name, picture
from support.driver import Driver, condition, message


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


def test_readers_see_every_picture_all_the_while(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 101))
    migration = moved(lab)
    cleanup = {"policy": "Delete", "grace": "3s"}
    with Reader(lab.world) as reader:
        status = roll_back(lab, migration, {"cleanup": cleanup}).finish()
    assert condition(status, "Complete"), status
    assert reader.wrong == []
    assert reader.reads > 100
    assert lab.world.keys(lab.world.destination) == {}
    assert lab.world.body(lab.world.source, LEGACY + name(5)) == picture(5)
