"""Paths are told apart byte by byte, however a column compares; one that cannot hold them is refused in words."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import columns
from bucketops_jobs.migration import rows as rows_of_a_migration
from bucketops_jobs.shards import ranges
from support.avatars import LEGACY, MODERN, name
from support.database import Database
from support.driver import Driver, condition, message, reason

TABLE = "CREATE TABLE avatars (id serial PRIMARY KEY, path {});"
BLIND = "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false);"
COMPARED = {
    "text": TABLE.format("text"),
    "citext": "CREATE EXTENSION citext;" + TABLE.format("citext"),
    "domain over citext": "CREATE EXTENSION citext; CREATE DOMAIN d AS citext;" + TABLE.format("d"),
    "nondeterministic": BLIND + TABLE.format("text COLLATE blind"),
    "domain with a collation": BLIND + "CREATE DOMAIN d AS varchar(99) COLLATE blind;" + TABLE.format("d"),
    "of a language": TABLE.format('varchar COLLATE "und-x-icu"'),
}
KEYS = ("A0", "M1", "Z2", "_", "a0", "m1", "z2", "\u00e9", "e\u0301", "\U0010ffff", "\U0010ffff\U0010ffff!")


@pytest.mark.parametrize("ddl", COMPARED.values(), ids=list(COMPARED))
def test_every_row_lies_in_one_shard_and_is_found_by_its_own_path_alone(database: Database, ddl: str) -> None:
    """Public reports: keys that differ in case were one value, and rows lay in no shard at all."""
    database.make(ddl, *(LEGACY + key for key in KEYS))
    shards = ranges(("M1", "_", "m1", "z2"))
    with contextlib.closing(database.rows()) as rows:
        columns.require(rows, rows.tables[0])
        found = [key for within in shards for key, _ in rows.load(within)]
        assert found == sorted(KEYS)
        assert sorted(key for key, _ in rows.leftover()) == sorted(KEYS)
        assert rows.naming([*KEYS, "a1", "M0"]) == set(KEYS)
        assert rows.naming(["m2", "É", "Ff", "AO"]) == set()


@pytest.mark.parametrize(
    ("ddl", "words"),
    [
        (TABLE.format("char(20)"), ("character(20)", "drops blanks", "ALTER COLUMN path TYPE text")),
        (TABLE.format("name"), ("of type name", "longer than 63 bytes", "TYPE text")),
        ("CREATE DOMAIN d AS char(20);" + TABLE.format("d"), ("character(20)", "drops blanks")),
        (
            TABLE.format("jsonb"),
            ("of type jsonb", "a column, or a table,", "one path per row", "a trigger writes back"),
        ),
        (TABLE.format("json"), ("of type json", "one path per row", "a generated column takes no value")),
        (TABLE.format("text[]"), ("of type text[]", "several paths in one value", "name a table that holds one path")),
        ("CREATE DOMAIN d AS text[];" + TABLE.format("d"), ("of type text[]", "name a table")),
        ("CREATE TYPE c AS (path text, width int);" + TABLE.format("c"), ("of type c,", "within a larger value")),
        (TABLE.format("uuid"), ("of type uuid:", "ALTER COLUMN path TYPE text USING path::text")),
        (TABLE.format("text GENERATED ALWAYS AS ('image/x') STORED"), ("generated column", "computed from")),
    ],
    ids=["char", "name", "domain", "jsonb", "json", "array", "domain-array", "composite", "uuid", "generated"],
)
def test_a_column_that_keeps_no_path_as_it_is_written_is_refused(
    database: Database, ddl: str, words: tuple[str, ...]
) -> None:
    database.make(ddl)
    with contextlib.closing(database.rows()) as rows, pytest.raises(UserError) as caught:
        columns.require(rows, rows.tables[0])
    assert caught.value.reason is Reason.INVALID_SPEC
    for word in words:
        assert word in str(caught.value)


ALTERED = {
    "bytea": TABLE.format("bytea"),
    "enum": "CREATE TYPE e AS ENUM ('image/a.png');" + TABLE.format("e DEFAULT 'image/a.png'"),
    "domain over bytea": "CREATE DOMAIN d AS bytea;" + TABLE.format("d"),
    "char": TABLE.format("char(11)"),
    "name": TABLE.format("name"),
}


@pytest.mark.parametrize("ddl", ALTERED.values(), ids=list(ALTERED))
def test_the_statement_that_is_named_makes_a_column_of_paths(database: Database, ddl: str) -> None:
    """It is executed as it is printed; bytes would else become the text of their hexadecimal digits."""
    database.make(ddl, LEGACY + "a.png")
    with contextlib.closing(database.rows()) as rows, pytest.raises(UserError) as caught:
        columns.require(rows, rows.tables[0])
    database.sql(str(caught.value).rpartition(": ")[2])
    with contextlib.closing(database.rows()) as rows:
        columns.require(rows, rows.tables[0])
        assert [key for key, _ in rows.load(ranges(())[0])] == ["a.png"]


def test_a_plan_says_what_a_domain_will_refuse(lab: Any) -> None:
    lab.world.seed(legacy=[1])
    lab.world.sql("CREATE DOMAIN old AS text CHECK (VALUE LIKE 'image/%'); ALTER TABLE avatars ALTER path TYPE old")
    driver: Driver = lab.drive(lab.spec(mode="Plan"))
    assert condition(driver.finish(), "Complete")
    told = "; ".join(event.message for _, event in driver.local.events if event.reason == "PreflightWarning")
    assert "rows of public.avatars.path would fail" in told
    assert "change the domain" in told
    driver = lab.drive(lab.spec(), name="others")
    assert reason(driver.finish(), "Failed") == "PartiallyFailed"
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(1)}


def test_a_citext_column_is_migrated_to_the_last_row(lab: Any) -> None:
    """Public report: 12 of 48 rows were left legacy, and Retain said Complete."""
    keys = [f"{letter}{number}.png" for number in range(4) for letter in "AMZamz"]
    lab.world.seed(legacy=[])
    lab.world.sql("CREATE EXTENSION citext; ALTER TABLE avatars ALTER path TYPE citext")
    for key in keys:
        lab.world.s3.put_object(Bucket=lab.world.source, Key=LEGACY + key, Body=key.encode())
    lab.world.insert([LEGACY + key for key in keys])
    worker = {"parallelism": 2, "shards": 4, "concurrency": 8}
    status = lab.drive(lab.spec(filter={}, worker=worker)).finish()
    assert condition(status, "Complete"), status
    assert lab.world.paths() == [MODERN + key for key in keys]
    assert set(lab.world.keys(lab.world.destination)) == {MODERN + key for key in keys}
    assert lab.world.keys(lab.world.source) == {}


def test_rows_that_no_shard_has_seen_are_found_in_the_end_and_nothing_is_complete(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever hides them: here the ranges are broken on purpose."""
    lab.world.seed(legacy=range(1, 10))
    whole = rows_of_a_migration.value_ranges

    def broken(*given: Any) -> list[tuple[str, str]]:
        return [
            (low, min(high, LEGACY + "avatar-6") if low.startswith(LEGACY) else high) for low, high in whole(*given)
        ]

    monkeypatch.setattr(rows_of_a_migration, "value_ranges", broken)
    status = lab.drive(lab.spec(cleanup={"policy": "Retain"})).finish()
    assert reason(status, "Failed") == "AuditFailed", status
    assert "4 faults" in message(status, "Failed")
    assert f"{name(7)}: row 7 of public.avatars.path still names the legacy object" in message(status, "Failed")
