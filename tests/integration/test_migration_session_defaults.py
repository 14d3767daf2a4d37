"""Whatever a role or a database has set for its sessions, a row is found again by its key."""

from __future__ import annotations

import contextlib

import pytest

from bucketops_jobs.migration.merge import Row, RowOutcome
from bucketops_jobs.migration.rewrite import Rewrite
from bucketops_jobs.shards import Range
from support.avatars import LEGACY, MODERN
from support.database import Database

ODD = {
    "DateStyle": "'SQL, DMY'",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "TimeZone": "'America/Caracas'",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "default_transaction_isolation": "serializable",
    "client_encoding": "LATIN1",
    "search_path": "''",
}
KEYS = {
    "timestamptz": ("'2026-02-01 03:04:05.678901+05:30'", "'infinity'"),
    "timestamp(3)": ("'2026-02-01 03:04:05.678'", "'-infinity'"),
    "tstzrange": (
        "'[2026-02-01 03:04:05.678901+05:30, 2026-03-01 00:00+00)'",
        "'(, 2026-10-25 01:30+02]'",
        "'[-infinity, infinity]'",
        "'(,)'",
        "'empty'",
    ),
    "date": ("'2026-02-01'", "'2026-01-02'", "'0044-03-15 BC'"),
    "interval": ("'-1 day +02:03:04'", "'1 year 2 mons -3 days'"),
    "float8": ("0.1", "0.10000000000000002", "1e-300", "'NaN'"),
    "real": ("1.1", "1.1000001"),
    "bytea": ("'\\x5c27ff00'", "'\\x'"),
    "text": ("E'\\\\'", "''''", "'%s'", "'50%'", "'{a,b}'", "E'a\\nb'", "'ü€'"),
    "uuid": ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",),
    "boolean": ("true", "false"),
}
DDL = "CREATE TABLE avatars (id {} PRIMARY KEY, path text NOT NULL)"


def settle(database: Database, settings: dict[str, str]) -> None:
    """The role has these defaults, and no others."""
    database.sql(f"ALTER ROLE {database.role} RESET ALL")
    for name, value in settings.items():
        database.sql(f"ALTER ROLE {database.role} SET {name} = {value}")


def loaded(database: Database) -> list[tuple[str, Row]]:
    with contextlib.closing(database.rows()) as rows:
        return list(rows.load(Range()))


@pytest.mark.parametrize("kind", KEYS)
def test_each_key_is_found_again_and_has_one_text_for_all_sessions(database: Database, kind: str) -> None:
    database.make(DDL.format(kind))
    for number, key in enumerate(KEYS[kind]):
        database.sql(f"INSERT INTO avatars VALUES ({key.replace('%', '%%')}, %s)", (f"{LEGACY}ü€ '\\{number}",))  # noqa: S608 - ours
    before = loaded(database)
    settle(database, ODD)
    assert loaded(database) == before
    assert len({row.pk for _, row in before}) == len(KEYS[kind])
    with contextlib.closing(database.rows()) as rows:
        wanted = [Rewrite(row, rows.new_value(row, key)) for key, row in before]
        assert rows.rewrite(wanted) == {row.id: RowOutcome.REWRITTEN for _, row in before}
        assert rows.current(row for _, row in before) == {w.row.id: w.new_value for w in wanted}
    stored = database.sql("SELECT path FROM avatars ORDER BY path")
    assert stored == [(f"{MODERN}ü€ '\\{number}",) for number in range(len(before))]


def test_an_applications_triggers_write_by_the_defaults_of_the_role(database: Database) -> None:
    """Their zone and their order of day and month are none of ours to change."""
    database.make(
        "CREATE TABLE avatars (id int PRIMARY KEY, path text, touched date, at timestamp);"
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.touched = ''01/02/2026''::date; NEW.at = ''2026-02-01 00:00:00+00''::timestamptz; RETURN NEW; END';"
        "CREATE TRIGGER touch BEFORE UPDATE ON avatars FOR EACH ROW EXECUTE FUNCTION touch();"
        "INSERT INTO avatars VALUES (1, 'image/a')"
    )
    settle(database, {"DateStyle": "'SQL, DMY'", "TimeZone": "'Asia/Kolkata'"})
    ((key, row),) = loaded(database)
    with contextlib.closing(database.rows()) as rows:
        assert rows.rewrite([Rewrite(row, rows.new_value(row, key))]) == {row.id: RowOutcome.REWRITTEN}
    found = database.sql("SELECT path, touched::text, at::text FROM avatars")
    assert found == [(f"{MODERN}a", "2026-02-01", "2026-02-01 05:30:00")]
