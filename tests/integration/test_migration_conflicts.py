"""Objects and rows that do not end well: they fail alone, they are named, and nothing says success."""

from __future__ import annotations

from typing import Any

import pytest

from support.avatars import LEGACY, MODERN, name, picture
from support.driver import condition, phases, reason

pytestmark = pytest.mark.slow


def conflicting(lab: Any) -> None:
    """Ten legacy pictures; at the place of the third stands another one that is not ours."""
    lab.world.seed(legacy=range(1, 11))
    lab.world.s3.put_object(Bucket=lab.world.destination, Key=MODERN + name(3), Body=b"a picture of somebody else")


def modern(lab: Any, number: int) -> bytes:
    return bytes(lab.world.body(lab.world.destination, MODERN + name(number)))


def test_a_conflict_is_reported_and_nothing_of_it_is_touched(lab: Any) -> None:
    conflicting(lab)
    status = lab.drive(lab.spec()).finish()
    assert reason(status, "Failed") == "PartiallyFailed"
    assert not condition(status, "Complete")
    assert modern(lab, 3) == b"a picture of somebody else"
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(3)}
    assert [path for path in lab.world.paths() if path.startswith(LEGACY)] == [LEGACY + name(3)]
    assert (status["outcomes"]["moved"], status["outcomes"]["conflict"]) == (9, 1)
    assert (status["rowOutcomes"]["rewritten"], status["rowOutcomes"]["failed"]) == (9, 1)
    assert [(s["key"], s["outcome"]) for s in status["samples"]] == [(name(3), "conflict")]
    assert phases(status)[-2:] == ["delete", "audit"]


def test_keep_destination_rewrites_the_row_to_what_is_there(lab: Any) -> None:
    conflicting(lab)
    status = lab.drive(lab.spec(onConflict="KeepDestination")).finish()
    assert condition(status, "Complete"), status
    assert modern(lab, 3) == b"a picture of somebody else"
    assert lab.world.paths()[2] == MODERN + name(3)
    assert status["outcomes"]["already"] == 1
    assert lab.world.keys(lab.world.source) == {}


def test_overwrite_replaces_it(lab: Any) -> None:
    conflicting(lab)
    status = lab.drive(lab.spec(onConflict="Overwrite")).finish()
    assert condition(status, "Complete"), status
    assert modern(lab, 3) == picture(3)
    assert status["outcomes"]["moved"] == 10


def test_a_refused_row_fails_alone(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 21))
    lab.world.sql("ALTER TABLE avatars ADD CHECK (id <> 7 OR path LIKE 'image/%')")
    status = lab.drive(lab.spec()).finish()
    assert reason(status, "Failed") == "PartiallyFailed", status
    assert [path for path in lab.world.paths() if path.startswith(LEGACY)] == [LEGACY + name(7)]
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(7)}
    assert (status["rowOutcomes"]["rewritten"], status["rowOutcomes"]["failed"]) == (19, 1)
    (sample,) = status["samples"]
    assert sample["key"] == name(7)
    assert "check constraint" in sample["message"]


def test_a_trigger_that_raises_fails_its_rows_alone(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 11))
    lab.world.sql(
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.id IN (2, 9) THEN RAISE 'avatar % is frozen', NEW.id; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER guard BEFORE UPDATE ON avatars FOR EACH ROW EXECUTE FUNCTION guard()"
    )
    status = lab.drive(lab.spec()).finish()
    assert reason(status, "Failed") == "PartiallyFailed", status
    assert status["rowOutcomes"]["failed"] == 2
    assert {sample["message"] for sample in status["samples"]} >= {"rewrite public.avatars.path: avatar 2 is frozen"}


def test_an_object_that_cannot_be_copied_fails_alone(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 11))
    driver = lab.drive(lab.spec())
    lab.forbid("s3:GetObject", f"{lab.world.source}/{LEGACY}{name(4)}")
    status = driver.finish()
    assert reason(status, "Failed") == "PartiallyFailed", status
    assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (9, 1)
    assert status["rowOutcomes"]["failed"] == 1
    assert LEGACY + name(4) in lab.world.keys(lab.world.source)
    assert lab.world.paths()[3] == LEGACY + name(4)


def test_what_failed_succeeds_after_it_was_mended(lab: Any) -> None:
    conflicting(lab)
    driver = lab.drive(lab.spec())
    assert reason(driver.finish(), "Failed") == "PartiallyFailed"
    lab.world.s3.delete_object(Bucket=lab.world.destination, Key=MODERN + name(3))
    driver.change(lab.spec(trigger="mended"))
    driver.step()
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 10
    assert status["lastTrigger"] == "mended"
    assert lab.world.keys(lab.world.source) == {}
