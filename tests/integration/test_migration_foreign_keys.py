"""Columns of paths that reference each other: what follows by ON UPDATE CASCADE is our doing, and counts as that."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg2
import pytest

from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import foreign_keys
from bucketops_jobs.migration.merge import RowOutcome
from bucketops_jobs.migration.rewrite import Rewrite, Verdict
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.shards import Range
from support.avatars import LEGACY, MODERN, name
from support.database import Database, trigger
from support.driver import condition, message, reason

PICTURES = "CREATE TABLE pictures (id serial PRIMARY KEY, path text NOT NULL UNIQUE);"
AVATARS = (
    "CREATE TABLE avatars (id serial PRIMARY KEY,"
    " path text NOT NULL CONSTRAINT shows REFERENCES pictures (path) ON UPDATE {action});"
)
FOLLOWS = PICTURES + AVATARS.format(action="CASCADE")
BESIDE = {"table": "pictures", "key": "id", "column": "path"}
PATHS = ("a", "bb", "c")


def made(database: Database, ddl: str = FOLLOWS) -> None:
    database.sql(ddl)
    for path in PATHS:
        database.sql("INSERT INTO pictures (path) VALUES (%s)", (LEGACY + path,))
        database.sql("INSERT INTO avatars (path) VALUES (%s)", (LEGACY + path,))
    database.sql(f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {database.role}")


def rewritten(rows: Rows) -> dict[str, Verdict]:
    """By row, the avatars' (reference 0) and the pictures' (reference 1); the followers come first in the spec."""
    return rows.rewrite([Rewrite(row, rows.new_value(row, key)) for key, row in rows.load(Range()) if row.legacy])


def test_rows_that_follow_are_rewritten_and_nobody_is_blamed(database: Database) -> None:
    made(database)
    with contextlib.closing(database.rows(beside=[BESIDE])) as rows:
        assert set(rewritten(rows).values()) == {RowOutcome.REWRITTEN}
    assert database.paths() == [MODERN + path for path in PATHS]


@pytest.mark.parametrize("between", ["", "CREATE TABLE links (path text PRIMARY KEY REFERENCES pictures (path) {c});"])
def test_rows_follow_through_tables_that_nobody_names_and_within_one_table(database: Database, between: str) -> None:
    cascade = "ON UPDATE CASCADE"
    target = "links" if between else "pictures"
    database.sql(PICTURES + between.format(c=cascade))
    database.sql(f"CREATE TABLE avatars (id int PRIMARY KEY, path text REFERENCES {target} (path) {cascade})")
    for number, path in enumerate(PATHS):
        for table in dict.fromkeys(("pictures", target)):
            database.sql(f"INSERT INTO {table} (path) VALUES (%s)", (LEGACY + path,))  # noqa: S608 - our own names
        database.sql("INSERT INTO avatars VALUES (%s, %s)", (number, LEGACY + path))
    database.sql(f"GRANT SELECT, UPDATE ON pictures, avatars TO {database.role}")
    with contextlib.closing(database.rows(beside=[BESIDE])) as rows:
        assert set(rewritten(rows).values()) == {RowOutcome.REWRITTEN}


def test_a_row_follows_another_one_of_its_own_table(database: Database) -> None:
    database.sql(
        "CREATE TABLE avatars (id serial PRIMARY KEY, path text UNIQUE,"
        " first text REFERENCES avatars (path) ON UPDATE CASCADE)"
    )
    database.sql("INSERT INTO avatars (path, first) VALUES ('image/a', 'image/a'), ('image/b', 'image/a')")
    database.sql(f"GRANT SELECT, UPDATE ON avatars TO {database.role}")
    with contextlib.closing(database.rows(column="first", beside=[BESIDE | {"table": "avatars"}])) as rows:
        assert set(rewritten(rows).values()) == {RowOutcome.REWRITTEN}
    assert database.sql("SELECT path, first FROM avatars ORDER BY id") == [
        ("avatar/a", "avatar/a"),
        ("avatar/b", "avatar/a"),
    ]


def test_a_row_whose_leader_fails_fails_with_it_in_words(database: Database) -> None:
    made(database)
    database.sql("ALTER TABLE pictures ADD CHECK (path <> 'avatar/bb')")
    with contextlib.closing(database.rows(beside=[BESIDE])) as rows:
        verdicts = rewritten(rows)
    assert "row 2 follows row 2 of public.pictures.path, which failed" in str(verdicts["0:2"])
    assert "violates check constraint" in str(verdicts["0:2"])
    assert [verdicts[f"0:{n}"] for n in (1, 3)] == [RowOutcome.REWRITTEN] * 2
    assert database.paths() == [MODERN + "a", LEGACY + "bb", MODERN + "c"]


def test_a_row_whose_leader_is_held_waits_with_it(database: Database) -> None:
    made(database)
    with contextlib.closing(
        psycopg2.connect(host="127.0.0.1", port=database.port, user="postgres", dbname=database.name)
    ) as other:
        other.cursor().execute("SELECT FROM pictures WHERE id = 2 FOR UPDATE")
        with contextlib.closing(database.rows(beside=[BESIDE])) as rows:
            verdicts = rewritten(rows)
            assert verdicts["0:2"] is verdicts["1:2"] is None
            other.rollback()
            assert set(rewritten(rows).values()) == {RowOutcome.REWRITTEN}


def test_a_follower_that_its_trigger_keeps_fails_itself(database: Database) -> None:
    """PostgreSQL lets a BEFORE trigger break a foreign key, without a word."""
    made(database)
    database.sql(trigger("RETURN NULL;").replace("FOR EACH ROW", "FOR EACH ROW WHEN (NEW.id = 2)"))
    with contextlib.closing(database.rows(beside=[BESIDE])) as rows:
        verdicts = rewritten(rows)
    assert "would keep its old path" in str(verdicts.pop("0:2"))
    assert set(verdicts.values()) == {RowOutcome.REWRITTEN}


def test_a_trigger_of_a_table_that_follows_is_looked_at_too(database: Database) -> None:
    """By its doing another row holds the old path: that would be swept for ever."""
    made(database)
    keeps = trigger(
        "INSERT INTO pictures (path) VALUES (OLD.path); RETURN NULL;", "AFTER UPDATE ON avatars FOR EACH ROW"
    )
    database.sql(
        keeps.replace("FOR EACH ROW", "FOR EACH ROW WHEN (NEW.id = 2)").replace("plpgsql", "plpgsql SECURITY DEFINER")
    )
    with contextlib.closing(database.rows(beside=[BESIDE])) as rows:
        verdicts = rewritten(rows)
    assert "hold the old path 'image/bb'" in str(verdicts.pop("1:2"))
    assert "row 2 follows row 2 of public.pictures.path, which failed" in str(verdicts.pop("0:2"))
    assert set(verdicts.values()) == {RowOutcome.REWRITTEN}
    assert database.sql("SELECT count(*) FROM pictures") == [(3,)]


@pytest.mark.parametrize(
    ("ddl", "avatars", "words"),
    [
        (PICTURES + AVATARS.format(action="SET NULL"), {}, "ON UPDATE SET NULL, so each rewrite would take its value"),
        (PICTURES + AVATARS.format(action="SET DEFAULT"), {}, "make constraint shows of public.avatars ON UPDATE CASC"),
        (FOLLOWS, {"newFormat": "/{key}"}, "write the same format and newFormat for both"),
        (
            PICTURES + "CREATE TABLE avatars (shown text PRIMARY KEY REFERENCES pictures (path) ON UPDATE CASCADE,"
            " path text)",
            {"key": "shown"},
            "shown of the key follows a rewritten path",
        ),
    ],
    ids=["null", "default", "formats", "key"],
)
def test_what_a_rewrite_would_break_is_refused(
    database: Database, ddl: str, avatars: dict[str, str], words: str
) -> None:
    database.sql(ddl)
    with (
        contextlib.closing(database.rows(beside=[BESIDE], **avatars)) as rows,
        pytest.raises(UserError, match=words),
    ):
        foreign_keys.require(rows.foreign_keys, rows.tables, rows.leaders)


def test_a_column_that_nobody_named_does_not_lose_its_value(lab: Any) -> None:
    """Each rewrite would have set it to null, and the run would have been Complete."""
    lab.world.seed(legacy=range(1, 3))
    lab.world.sql("ALTER TABLE avatars ADD UNIQUE (path)")
    lab.world.sql("CREATE TABLE users (avatar varchar(255) REFERENCES avatars (path) ON UPDATE SET NULL)")
    lab.world.sql("INSERT INTO users SELECT path FROM avatars")
    status = lab.drive(lab.spec()).finish()
    assert reason(status, "Stalled") == "InvalidSpec", status
    assert "public.users.avatar references public.avatars.path ON UPDATE SET NULL" in message(status, "Stalled")
    assert lab.world.sql("SELECT count(avatar) FROM users") == [(2,)]


def test_what_would_make_rows_fail_is_warned_of(database: Database) -> None:
    database.sql(PICTURES + AVATARS.format(action="RESTRICT"))
    with contextlib.closing(database.rows(beside=[BESIDE])) as rows:
        (words,) = foreign_keys.warnings(rows.foreign_keys, rows.tables)
    assert "rows of public.pictures.path that public.avatars.path references would fail" in words
    with contextlib.closing(database.rows()) as rows:
        (words,) = foreign_keys.warnings(rows.foreign_keys, rows.tables)
    assert "add a reference to public.pictures.path" in words


def test_partitions_that_reference_and_are_referenced_count_as_their_tables(database: Database) -> None:
    database.sql(
        "CREATE TABLE pictures (id int, path text, PRIMARY KEY (path)) PARTITION BY HASH (path);"
        "CREATE TABLE p0 PARTITION OF pictures FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "CREATE TABLE avatars (id int PRIMARY KEY, path text REFERENCES pictures (path) ON UPDATE CASCADE)"
        " PARTITION BY LIST (id); CREATE TABLE a0 PARTITION OF avatars DEFAULT;"
    )
    with contextlib.closing(database.rows(beside=[BESIDE])) as rows:
        assert rows.leaders == {0: ("public", "pictures", "path")}


def test_a_run_over_tables_that_follow_each_other_counts_rewritten_rows_alone(lab: Any) -> None:
    """Seen: the rows that followed counted as changedByApp, and the application was blamed."""
    world, amount = lab.world, 5
    world.make_buckets()
    world.put_legacy(range(1, amount + 1))
    world.sql(FOLLOWS)
    for number in range(1, amount + 1):
        for table in ("pictures", "avatars"):
            world.sql(f"INSERT INTO {table} (path) VALUES (%s)", (LEGACY + name(number),))  # noqa: S608 - our own names
    spec = lab.spec(chunk=2)
    spec["database"]["references"].append(BESIDE)
    driver = lab.drive(spec)
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["rowOutcomes"] == {
        **dict.fromkeys(("healed", "missingSource", "changedByApp", "failed"), 0),
        "rewritten": 2 * amount,
    }
    assert not any(condition(seen, "Degraded") for seen in driver.seen)
    assert world.paths() == [MODERN + name(number) for number in range(1, amount + 1)]
    assert world.keys(world.source) == {}
