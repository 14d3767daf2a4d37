"""Whole migrations on real servers: what becomes of objects and rows."""

from __future__ import annotations

from typing import Any

from support.avatars import LEGACY, MODERN, Reader, name, picture
from support.driver import condition, message, phases
from support.ending import expect_nothing_wrong


def test_a_migration_moves_every_object_and_rewrites_every_row(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 101), modern=range(1001, 1021))
    lab.world.insert([LEGACY + name(7)])  # a second row of one object
    native = lab.world.keys(lab.world.destination)
    status = lab.drive(lab.spec()).finish()
    assert condition(status, "Complete"), status
    assert phases(status) == ["preflight", "copy", "sweep", "delete", "audit"]
    assert lab.world.keys(lab.world.source) == {}
    moved = lab.world.keys(lab.world.destination)
    assert set(moved) == {MODERN + name(n) for n in (*range(1, 101), *range(1001, 1021))}
    assert {key: moved[key] for key in native} == native
    for number in (1, 7, 50, 100):
        assert lab.world.body(lab.world.destination, MODERN + name(number)) == picture(number)
    assert sum(path == MODERN + name(7) for path in lab.world.paths()) == 2
    assert not [path for path in lab.world.paths() if path.startswith(LEGACY)]
    assert status["outcomes"]["moved"] == 100
    assert status["rowOutcomes"]["rewritten"] == 101
    assert status["progress"]["percent"] == 100
    census = {"legacyObjects": 0, "legacyRows": 0, "danglingRows": 0, "productionObjects": 120}
    assert status["audit"]["after"] == census
    assert "moved" in message(status, "Complete")


def test_readers_see_every_picture_all_the_while(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 1001))
    driver = lab.drive(lab.spec(cleanup={"policy": "Delete", "grace": "2s"}))
    with Reader(lab.world) as reader:
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 1000
    expect_nothing_wrong(reader, reads=100)


def test_headers_and_metadata_travel_with_the_object(lab: Any) -> None:
    lab.world.seed(legacy=[])
    lab.world.put_legacy([1], CacheControl="max-age=60", ContentLanguage="de", Tagging="kind=avatar")
    assert condition(lab.drive(lab.spec()).finish(), "Complete")
    found = lab.world.s3.head_object(Bucket=lab.world.destination, Key=MODERN + name(1))
    assert (found["ContentType"], found["CacheControl"], found["ContentLanguage"]) == ("image/png", "max-age=60", "de")
    assert found["Metadata"] == {"avatar": "1"}
    tags = lab.world.s3.get_object_tagging(Bucket=lab.world.destination, Key=MODERN + name(1))["TagSet"]
    assert tags == [{"Key": "kind", "Value": "avatar"}]


def test_equal_content_at_the_destination_is_not_copied_again(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 11))
    lab.world.put_modern(range(1, 6))
    before = lab.world.keys(lab.world.destination)
    status = lab.drive(lab.spec()).finish()
    assert condition(status, "Complete"), status
    after = lab.world.keys(lab.world.destination)
    assert {key: after[key] for key in before} == before
    assert (status["outcomes"]["already"], status["outcomes"]["moved"]) == (5, 5)
    assert status["rowOutcomes"]["rewritten"] == 10


def test_rows_without_a_legacy_object_are_healed_or_named(lab: Any) -> None:
    """A row whose production object is there is healed; one without any object stays, and was so before."""
    lab.world.seed(legacy=range(1, 6))
    lab.world.put_modern([50])
    lab.world.insert([LEGACY + name(50), LEGACY + name(60), MODERN + name(70)])
    status = lab.drive(lab.spec()).finish()
    assert condition(status, "Complete"), status
    assert status["rowOutcomes"]["healed"] == 1
    assert status["rowOutcomes"]["missingSource"] == 1
    assert lab.world.paths()[5:] == [MODERN + name(50), LEGACY + name(60), MODERN + name(70)]
    assert status["audit"]["before"]["danglingRows"] == 3
    assert status["audit"]["after"]["danglingRows"] == 2
    assert [(s["key"], s["outcome"]) for s in status["samples"]] == [(name(60), "missingSource")]


def test_retain_moves_everything_and_deletes_nothing(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 11))
    before = lab.world.keys(lab.world.source)
    status = lab.drive(lab.spec(cleanup={"policy": "Retain"})).finish()
    assert condition(status, "Complete"), status
    assert phases(status) == ["preflight", "copy", "sweep", "audit"]
    assert lab.world.keys(lab.world.source) == before
    assert len(lab.world.keys(lab.world.destination)) == 10


def test_orphans_are_moved_unless_the_user_leaves_them(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    lab.world.put_legacy(range(6, 9))
    status = lab.drive(lab.spec(orphans="Ignore")).finish()
    assert condition(status, "Complete"), status
    assert (status["outcomes"]["moved"], status["outcomes"]["ignored"]) == (5, 3)
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(n) for n in range(6, 9)}


def test_without_a_database_objects_move_and_nothing_else(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 11))
    spec = lab.spec()
    del spec["database"]
    status = lab.drive(spec).finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 10
    assert lab.world.paths() == [LEGACY + name(n) for n in range(1, 11)]


def test_the_filter_leaves_everything_else_alone(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    lab.world.s3.put_object(Bucket=lab.world.source, Key="image/logo.svg", Body=b"logo")
    lab.world.insert(["image/logo.svg"])
    status = lab.drive(lab.spec(filter={"include": ["avatar-*.png"], "exclude": ["*-3.png"]})).finish()
    assert condition(status, "Complete"), status
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(3), "image/logo.svg"}
    assert {LEGACY + name(3), "image/logo.svg"} <= set(lab.world.paths())
    assert status["progress"]["objectsTotal"] == 4


def test_check_looks_and_then_copies_where_the_user_wants_it_so(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    status = lab.drive(lab.spec(guard="Check")).finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 5
    assert status["capabilities"]["copy"]


def test_an_empty_world_is_done_at_once(lab: Any) -> None:
    lab.world.seed(legacy=[])
    status = lab.drive(lab.spec()).finish()
    assert condition(status, "Complete"), status
    assert status["progress"]["percent"] == 100
