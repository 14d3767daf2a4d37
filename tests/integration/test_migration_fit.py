"""Formats that do not fit the rows: refused with what the rows look like, and objects without rows kept by a guard."""

from __future__ import annotations

from typing import Any

import pytest

from support.avatars import LEGACY, MODERN, name
from support.driver import condition, message, reason

pytestmark = pytest.mark.slow

NONE_FITS = {
    "relative to the prefix": ("{}", "{key:relative}"),
    "leading slash": ("/image/{}", "/{key}"),
    "leading slash, relative": ("/{}", "/{key:relative}"),
    "a whole URL": ("https://cdn.example/image/{}", "https://cdn.example/{key}"),
    "percent-encoded": ("https://cdn/image/%61{}", "https://cdn/{key:url}"),
    "other case of the prefix": ("Image/{}", "Image/{key:relative}' with newFormat: '{key}"),
    "a version behind it": ("image/{}?v=3", "{key}?v=3"),
    "blanks behind it": ("image/{}  ", "{key}  "),
    "percent-encoded, no more": ("image/%61{}", "{key:url}"),
    "other case of the name": ("image/{}.PNG", ""),
    "with a signature": ("https://user:hunter2@cdn/image/{}?X-Amz-Signature=abcdef0123", ""),
}


def spell(lab: Any, how: str) -> None:
    """The application writes its paths in another way than {key}."""
    lab.world.sql("UPDATE avatars SET path = replace(%s, '{}', replace(path, 'image/', ''))", (how,))
    lab.world.sql("UPDATE avatars SET path = replace(path, '%%61a', '%%61')", ())


@pytest.mark.parametrize("case", NONE_FITS)
@pytest.mark.parametrize("mode", ["Plan", "Apply"])
def test_a_format_that_fits_no_row_is_refused_and_the_rows_are_shown(lab: Any, case: str, mode: str) -> None:
    how, fitting = NONE_FITS[case]
    lab.world.seed(legacy=range(1, 4))
    spell(lab, how)
    before = lab.world.paths()
    driver = lab.drive(lab.spec(mode=mode, filter={}))
    status = driver.finish()
    assert reason(status, "Stalled") == "InvalidSpec"
    told = message(status, "Stalled")
    assert "no row fits the format '{key}'" in told
    assert "-1.png" in told
    assert f"format: '{fitting}' would fit" in told if fitting else "write in format" in told
    assert "hunter2" not in told
    assert "abcdef0123" not in told
    assert lab.world.paths() == before
    assert len(lab.world.keys(lab.world.source)) == 3
    assert lab.world.keys(lab.world.destination) == {}
    claims = lab.world.s3.list_objects_v2(Bucket=lab.world.source, Prefix=".bucketops/claims/")
    assert "Contents" not in claims


def test_rows_that_differ_behind_the_key_are_shown_as_they_differ(lab: Any) -> None:
    """No single format fits them: each has a version of its own."""
    lab.world.seed(legacy=range(1, 4))
    lab.world.sql("UPDATE avatars SET path = path || '?v=' || id")
    status = lab.drive(lab.spec()).finish()
    assert reason(status, "Stalled") == "InvalidSpec"
    told = message(status, "Stalled")
    assert f"'{LEGACY}{name(1)}?v=1'" in told
    assert f"objects like '{LEGACY}{name(1)}'" in told
    assert "would fit 1 of 3 of these" in told


def test_keys_that_only_look_percent_encoded_are_no_reason_to_decode_them(lab: Any) -> None:
    lab.world.seed(legacy=[])
    for number in range(1, 4):
        lab.world.s3.put_object(Bucket=lab.world.source, Key=f"{LEGACY}a+%2B{number}.png", Body=b"picture")
    lab.world.insert([f"https://cdn/{LEGACY}a+%2B{number}.png" for number in range(1, 4)])
    spec = lab.spec(filter={})
    spec["database"]["references"][0]["format"] = "https://cdn/{key:url}"
    status = lab.drive(spec).finish()
    assert reason(status, "Stalled") == "InvalidSpec"
    assert "format: 'https://cdn/{key}' would fit" in message(status, "Stalled")
    assert len(lab.world.keys(lab.world.source)) == 3


def warned(driver: Any) -> str:
    return "; ".join(event.message for _, event in driver.local.events if event.reason == "PreflightWarning")


def test_some_rows_without_an_object_hold_nothing_up_and_are_warned_of(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    lab.world.sql("UPDATE avatars SET path = path || '?v=3' WHERE id = 3")
    lab.world.insert([LEGACY + name(60)])
    driver = lab.drive(lab.spec(mode="Plan", filter={}))
    planned = driver.finish()
    assert planned["rowOutcomes"]["missingSource"] == 2
    told = warned(driver)
    assert "rows that fit the format '{key}' and name no object: 2" in told
    assert f"'{LEGACY}{name(3)}?v=3'" in told
    driver.change(lab.spec(filter={}))
    driver.step()
    assert condition(driver.finish(), "Complete")


def test_rows_whose_objects_are_all_gone_are_told_and_stall_nothing(lab: Any) -> None:
    """There is nothing that could be moved or deleted by mistake."""
    lab.world.seed(legacy=[])
    lab.world.insert([LEGACY + name(n) for n in range(1, 4)])
    driver = lab.drive(lab.spec())
    status = driver.finish()
    assert condition(status, "Complete")
    assert status["rowOutcomes"]["missingSource"] == 3
    assert "name no object: 3" in warned(driver)


def test_what_a_first_run_has_told_stalls_no_second_one(lab: Any) -> None:
    """The object that the odd row means was moved: nothing new depends on how that row is read."""
    lab.world.seed(legacy=range(1, 4))
    lab.world.sql("UPDATE avatars SET path = path || '?v=3' WHERE id = 3")
    spec = lab.spec(cleanup={"policy": "Retain"}, filter={})
    driver = lab.drive(spec)
    assert condition(driver.finish(), "Complete")
    driver.change(spec | {"trigger": "again"})
    driver.step()
    assert condition(driver.finish(), "Complete")


def test_a_version_behind_the_key_beside_rows_of_the_new_form_is_refused(lab: Any) -> None:
    """Objects that only such rows mean would be deleted as orphans."""
    lab.world.seed(legacy=range(1, 4), modern=[7])
    lab.world.sql("UPDATE avatars SET path = path || '?v=3' WHERE id < 4")
    status = lab.drive(lab.spec(filter={})).finish()
    assert reason(status, "Stalled") == "InvalidSpec"
    assert "format: '{key}?v=3' would fit" in message(status, "Stalled")


def test_a_relative_format_fits_only_rows_that_name_an_object(lab: Any) -> None:
    """Any text could be a relative path."""
    lab.world.seed(legacy=range(1, 4))
    spec = lab.spec()
    spec["database"]["references"][0]["format"] = "{key:relative}"
    status = lab.drive(spec).finish()
    assert reason(status, "Stalled") == "InvalidSpec"
    assert "format: '{key}' would fit" in message(status, "Stalled")


def test_rows_of_the_new_form_do_not_hide_that_all_others_are_in_another(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4), modern=[7])
    spell(lab, "/image/{}")
    lab.world.sql("UPDATE avatars SET path = %s WHERE id = 4", (MODERN + name(7),))
    lab.world.sql("INSERT INTO avatars (path) VALUES ('default.png')")
    status = lab.drive(lab.spec()).finish()
    assert reason(status, "Stalled") == "InvalidSpec"
    assert "format: '/{key}' would fit" in message(status, "Stalled")


def test_other_paths_beside_those_of_the_new_form_hold_nothing_up(lab: Any) -> None:
    """A second run, of objects that came later: a row that names no legacy object is no sign of a wrong format."""
    lab.world.seed(legacy=[], modern=[7])
    lab.world.insert(["default.png", "https://elsewhere/image/1.png"])
    lab.world.put_legacy([1])
    assert condition(lab.drive(lab.spec()).finish(), "Complete")


@pytest.mark.parametrize("paths", [[], [""]])
def test_a_column_without_paths_fits_any_format(lab: Any, paths: list[str]) -> None:
    lab.world.seed(legacy=range(1, 4))
    lab.world.sql("CREATE TABLE thumbs (id int PRIMARY KEY, path text); INSERT INTO thumbs VALUES (1, NULL)")
    for path in paths:
        lab.world.sql("INSERT INTO thumbs VALUES (2, %s)", (path,))
    spec = lab.spec()
    spec["database"]["references"].append({"table": "thumbs", "column": "path"})
    assert condition(lab.drive(spec).finish(), "Complete")


def test_a_second_run_finds_the_rows_in_their_new_form(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    driver = lab.drive(lab.spec())
    assert condition(driver.finish(), "Complete")
    lab.world.put_legacy([9])
    driver.change(lab.spec(trigger="again"))
    driver.step()
    assert condition(driver.finish(), "Complete")


def test_paths_of_the_columns_own_in_another_form_are_warned_of(lab: Any) -> None:
    """And of a table that was never analyzed; those that fit are no news."""
    lab.world.seed(legacy=range(1, 5), modern=[7])
    lab.world.sql("UPDATE avatars SET path = '/' || path WHERE id = 4")
    driver = lab.drive(lab.spec(mode="Plan"))
    assert condition(driver.finish(), "Complete")
    told = warned(driver)
    assert f"public.avatars.path holds paths such as '/{LEGACY}{name(4)}'" in told
    assert name(1) not in told
    assert name(7) not in told


def test_above_the_guard_objects_that_no_row_names_are_not_deleted(lab: Any) -> None:
    """Plan says it, Apply stalls before it deletes anything, and goes on where it stood once the guard is raised."""
    lab.world.seed(legacy=range(1, 8))
    lab.world.put_legacy(range(11, 14))
    cleanup = {"policy": "Delete", "grace": "1s", "maxOrphanPercent": 20}
    driver = lab.drive(lab.spec(mode="Plan", cleanup=cleanup))
    planned = driver.finish()
    assert planned["orphans"] == 3
    assert "GuardExceeded" in message(planned, "Complete")
    driver.change(lab.spec(cleanup=cleanup))
    driver.step()
    status = driver.finish()
    assert reason(status, "Stalled") == "GuardExceeded"
    assert "3 of 10 moved objects (30 %) have no row" in message(status, "Stalled")
    assert len(lab.world.keys(lab.world.source)) == 10
    driver.change(lab.spec(cleanup=cleanup | {"maxOrphanPercent": 30}))
    driver.step()
    assert condition(driver.finish(), "Complete")
    assert lab.world.keys(lab.world.source) == {}
    assert lab.world.paths() == [MODERN + name(n) for n in range(1, 8)]
