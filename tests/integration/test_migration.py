"""Whole migrations on real servers, through the local executor."""

from __future__ import annotations

from typing import Any

from support.avatars import LEGACY, MODERN, name, picture
from support.driver import condition, message


def test_a_migration_moves_every_object_and_rewrites_every_row(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 301), modern=range(1001, 1021))
    lab.world.insert([LEGACY + name(7)])  # a second row of one object
    native = lab.world.keys(lab.world.destination)
    status = lab.drive(lab.spec()).finish()
    assert condition(status, "Complete"), status
    assert lab.world.keys(lab.world.source) == {}
    moved = lab.world.keys(lab.world.destination)
    assert set(moved) == {MODERN + name(n) for n in (*range(1, 301), *range(1001, 1021))}
    assert {key: moved[key] for key in native} == native
    for number in (1, 7, 150, 300):
        assert lab.world.body(lab.world.destination, MODERN + name(number)) == picture(number)
    assert sum(path == MODERN + name(7) for path in lab.world.paths()) == 2
    assert not [path for path in lab.world.paths() if path.startswith(LEGACY)]
    assert status["outcomes"]["moved"] == 300
    assert status["rowOutcomes"]["rewritten"] == 301
    assert status["progress"]["percent"] == 100
    assert status["audit"]["after"] == {
        "legacyObjects": 0,
        "legacyRows": 0,
        "danglingRows": 0,
        "productionObjects": 320,
    }
    assert "moved" in message(status, "Complete")
