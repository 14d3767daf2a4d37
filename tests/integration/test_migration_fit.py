"""Formats that do not fit the rows: refused with what the rows look like, and objects without rows kept by a guard."""

from __future__ import annotations

from typing import Any

import pytest

from support.avatars import LEGACY, MODERN, name
from support.driver import condition, message, reason

NONE_FITS = {
    "relative to the prefix": ("{}", "{key:relative}"),
    "leading slash": ("/image/{}", "/{key}"),
    "leading slash, relative": ("/{}", "/{key:relative}"),
    "a whole URL": ("https://cdn.example/image/{}", "https://cdn.example/{key}"),
    "percent-encoded": ("https://cdn/image/%61{}", "https://cdn/{key:url}"),
    "other case of the prefix": ("Image/{}", ""),
    "with a signature": ("https://user:hunter2@cdn/image/{}?X-Amz-Signature=abcdef0123", ""),
}


def spell(lab: Any, how: str) -> None:
    """The application writes its paths in another way than {key}."""
    lab.world.sql("UPDATE avatars SET path = replace(%s, '{}', replace(path, 'image/', ''))", (how,))
    lab.world.sql("UPDATE avatars SET path = replace(path, '%%61a', '%%61')", ())


@pytest.mark.parametrize("mode", ["Plan", "Apply"])
@pytest.mark.parametrize("case", NONE_FITS)
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
    assert f"format: {fitting!r} would fit" in told if fitting else "write in format" in told
    assert "hunter2" not in told
    assert "abcdef0123" not in told
    assert lab.world.paths() == before
    assert len(lab.world.keys(lab.world.source)) == 3
    assert lab.world.keys(lab.world.destination) == {}
    claims = lab.world.s3.list_objects_v2(Bucket=lab.world.source, Prefix=".bucketops/claims/")
    assert "Contents" not in claims


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
    told = "; ".join(event.message for _, event in driver.local.events if event.reason == "PreflightWarning")
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
