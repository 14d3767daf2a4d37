"""Paths that read as legacy ones once they are rewritten: they would be rewritten twice, and name another picture."""

from __future__ import annotations

from typing import Any

import pytest

from support.avatars import LEGACY
from support.driver import Driver, condition, message

BELOW = "image/"
"""What stands below the legacy prefix and looks like it."""


def spec(lab: Any, **changes: Any) -> dict[str, Any]:
    """To the root of the other bucket: a new path is the key below the legacy prefix."""
    found: dict[str, Any] = lab.spec(filter={}, **changes)
    found["destination"]["prefix"] = ""
    return found


def put(lab: Any, *keys: str) -> None:
    for key in keys:
        lab.world.s3.put_object(Bucket=lab.world.source, Key=LEGACY + key, Body=key.encode())
    lab.world.insert([LEGACY + key for key in keys])


def shown(lab: Any) -> list[bytes]:
    """What each row shows of the place that it names."""
    world = lab.world
    return [world.body(world.destination, path) for path in world.paths()]


def expect_refused(driver: Driver, *words: str) -> None:
    driver.until(lambda status: condition(status, "Stalled"))
    said = message(driver.status, "Stalled")
    assert all(word in said for word in words), said


@pytest.mark.parametrize("mode", ["Plan", "Apply"])
def test_a_new_path_that_reads_as_a_legacy_one_is_refused_before_a_row_is_rewritten(lab: Any, mode: str) -> None:
    """`image/image/a` would become `image/a`, and then `a`, which is another picture."""
    lab.world.seed(legacy=[])
    put(lab, "a", BELOW + "a")
    driver = lab.drive(spec(lab, mode=mode))
    expect_refused(driver, "'image/image/a'", "'image/a'", "another destination prefix", "filter")
    assert lab.world.paths() == ["image/a", "image/image/a"]
    assert lab.world.keys(lab.world.destination) == {}


def test_a_row_that_may_mean_an_object_of_either_place_is_refused(lab: Any) -> None:
    lab.world.seed(legacy=[])
    put(lab, "a")
    lab.world.s3.put_object(Bucket=lab.world.destination, Key="image/b", Body=b"the application's own")
    lab.world.insert(["image/b"])
    driver = lab.drive(spec(lab))
    expect_refused(driver, "'image/b'", "both places")
    assert lab.world.paths() == ["image/a", "image/b"]


def test_such_a_path_that_comes_later_fails_alone(lab: Any) -> None:
    lab.world.seed(legacy=[])
    put(lab, "a")
    driver = lab.drive(spec(lab))
    driver.local.before["copy"] = lambda: put(lab, BELOW + "a")
    status = driver.finish()
    assert condition(status, "Failed"), status
    assert lab.world.paths() == ["a", "image/image/a"]
    assert lab.world.body(lab.world.source, "image/image/a") == b"image/a"
    assert any("'image/a'" in sample["message"] for sample in status["samples"]), status["samples"]


def test_what_the_filter_leaves_out_is_no_obstacle(lab: Any) -> None:
    lab.world.seed(legacy=[])
    put(lab, "a", BELOW + "a")
    status = lab.drive(spec(lab) | {"filter": {"exclude": ["image/*"]}}).finish()
    assert condition(status, "Complete"), status
    assert lab.world.paths() == ["a", "image/image/a"]


def test_the_root_of_a_bucket_is_a_place_like_any_other_there_and_back(lab: Any) -> None:
    lab.world.seed(legacy=[])
    put(lab, "a", "b/c")
    migration = lab.drive(spec(lab))
    status = migration.finish()
    assert condition(status, "Complete"), status
    assert (lab.world.paths(), shown(lab)) == (["a", "b/c"], [b"a", b"b/c"])
    status = lab.drive({"rollbackOf": "avatars"}, "undo", origin=migration).finish()
    assert condition(status, "Complete"), status
    assert lab.world.paths() == ["image/a", "image/b/c"]
    assert status["rowOutcomes"]["rewritten"] == 2
    assert lab.world.keys(lab.world.destination) == {}
