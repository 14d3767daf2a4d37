"""What the database makes of a rewritten path is looked at in the same transaction: stored as written, or undone."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg2
import pytest

from bucketops_jobs.migration.merge import RowOutcome
from bucketops_jobs.migration.rewrite import Rewrite, Verdict
from bucketops_jobs.shards import Range
from support.avatars import LEGACY, MODERN, name
from support.database import Database, trigger
from support.driver import condition, message, phases

pytestmark = pytest.mark.slow

TABLE = "CREATE TABLE avatars (id serial PRIMARY KEY, path text NOT NULL);"
CITEXT = "CREATE EXTENSION citext; CREATE TABLE avatars (id serial PRIMARY KEY, path citext NOT NULL);"
CASE_BLIND = (
    "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
    "CREATE TABLE avatars (id serial PRIMARY KEY, path text COLLATE blind NOT NULL);"
)


RESTORES = "UPDATE avatars SET path = OLD.path WHERE id = NEW.id AND path <> OLD.path; RETURN NULL;"
DEFERRED = "AFTER UPDATE ON avatars DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (pg_trigger_depth() = 0)"
AFTER = "AFTER UPDATE ON avatars FOR EACH ROW WHEN (pg_trigger_depth() = 0)"


def rewritten(database: Database, *, to: str = MODERN) -> list[Verdict]:
    """What became of each row, in the order of their keys."""
    with contextlib.closing(database.rows(destination=to)) as rows:
        wanted = [Rewrite(row, rows.new_value(row, key)) for key, row in rows.load(Range())]
        verdicts = rows.rewrite(wanted)
        return [verdicts[w.row.id] for w in sorted(wanted, key=lambda w: int(w.row.pk))]


@pytest.mark.parametrize(
    ("ddl", "words"),
    [
        (trigger("NEW.path := OLD.path; RETURN NEW;"), ("would keep its old path", "triggers (keeper)")),
        (trigger("RETURN OLD;"), ("would keep its old path", "triggers (keeper)")),
        (trigger("RETURN NULL;"), ("would keep its old path", "triggers (keeper)")),
        (trigger(RESTORES, AFTER), ("would keep its old path", "triggers (keeper)")),
        (trigger(RESTORES, DEFERRED, "CONSTRAINT TRIGGER"), ("would keep its old path", "triggers (keeper)")),
        (trigger("NEW.path := upper(NEW.path); RETURN NEW;"), ("'AVATAR/BB' instead of 'avatar/bb'", "disable them")),
        (trigger("DELETE FROM avatars WHERE id = NEW.id; RETURN NULL;", AFTER), ("would be gone",)),
        (trigger("RAISE 'paths never change';"), ("paths never change",)),
        (trigger("RAISE 'too late';", DEFERRED, "CONSTRAINT TRIGGER"), ("too late",)),
        (trigger("RAISE insufficient_privilege USING MESSAGE = 'not you';"), ("not you",)),
        ("ALTER TABLE avatars ADD CHECK (path <> 'avatar/bb');", ("violates check constraint",)),
        ("ALTER TABLE avatars ADD UNIQUE (path); INSERT INTO avatars VALUES (9, 'avatar/bb');", ("duplicate key",)),
        ("ALTER TABLE avatars ALTER path TYPE varchar(8);", ("too long for type",)),
    ],
    ids=[
        *("keeps", "returns-old", "cancels", "restores-afterwards", "restores-at-commit", "alters", "deletes"),
        *("raises", "raises-at-commit", "denies", "check", "unique", "short"),
    ],
)
def test_a_row_that_is_not_stored_as_written_fails_alone_and_stays(
    database: Database, ddl: str, words: tuple[str, ...]
) -> None:
    """The one row that offends; its neighbours are rewritten, and nobody waits for it."""
    only = ddl.replace("FOR EACH ROW WHEN (", "FOR EACH ROW WHEN (NEW.id = 2 AND ")
    only = only.replace("FOR EACH ROW EXECUTE", "FOR EACH ROW WHEN (NEW.id = 2) EXECUTE")
    database.make(TABLE, LEGACY + "a", LEGACY + "bb", LEGACY + "c")
    database.sql(only)
    database.sql(f"GRANT DELETE ON avatars TO {database.role}")
    first, second, third, *_ = rewritten(database)
    assert (first, third) == (RowOutcome.REWRITTEN, RowOutcome.REWRITTEN)
    assert isinstance(second, str), second
    assert not isinstance(second, RowOutcome)
    for word in words:
        assert word in second
    assert database.paths()[:3] == [MODERN + "a", LEGACY + "bb", MODERN + "c"]


def test_blanks_that_a_short_column_drops_silently_are_noticed(database: Database) -> None:
    """PostgreSQL cuts blanks that are too many without an error, and the path would name another object."""
    database.make("CREATE TABLE avatars (id serial PRIMARY KEY, path varchar(8))", LEGACY + "a ")
    (verdict,) = rewritten(database)
    assert "'avatar/a' instead of 'avatar/a '" in str(verdict)
    assert "type of path" in str(verdict)
    assert database.paths() == [LEGACY + "a "]


def test_a_trigger_that_minds_its_own_business_is_no_obstacle(database: Database) -> None:
    database.make(TABLE, LEGACY + "a", LEGACY + "b")
    database.sql("ALTER TABLE avatars ADD changed timestamptz")
    database.sql(trigger("NEW.changed := now(); RETURN NEW;"))
    assert rewritten(database) == [RowOutcome.REWRITTEN] * 2
    assert database.paths() == [MODERN + "a", MODERN + "b"]


def test_a_row_that_somebody_holds_is_not_taken_for_one_that_a_trigger_keeps(database: Database) -> None:
    database.make(TABLE, LEGACY + "a", LEGACY + "b")
    database.sql(trigger("NEW.path := OLD.path; RETURN NEW;"))
    with contextlib.closing(
        psycopg2.connect(host="127.0.0.1", port=database.port, user="postgres", dbname=database.name)
    ) as other:
        other.cursor().execute("SELECT FROM avatars WHERE id = 1 FOR UPDATE")
        held, kept = rewritten(database)
    assert held is None
    assert "would keep its old path" in str(kept)


@pytest.mark.parametrize("ddl", [CITEXT, CASE_BLIND], ids=["citext", "nondeterministic"])
def test_a_swap_compares_byte_by_byte_whatever_the_column_thinks_is_equal(database: Database, ddl: str) -> None:
    """The application has written another key, which differs in case alone, since the row was read."""
    database.make(ddl, LEGACY + "a")
    with contextlib.closing(database.rows()) as rows:
        ((key, row),) = rows.load(Range())
        database.sql("UPDATE avatars SET path = 'image/A'")
        assert rows.rewrite([Rewrite(row, rows.new_value(row, key))]) == {row.id: RowOutcome.CHANGED_BY_APP}
    assert database.paths() == [LEGACY + "A"]


def test_a_right_that_a_trigger_lacks_is_nobody_rows_fault(database: Database) -> None:
    """The run stops, the table is named, and no row counts as failed."""
    database.make(TABLE, LEGACY + "a", LEGACY + "b")
    database.sql("CREATE TABLE audit_log (at timestamptz)")
    database.sql(trigger("INSERT INTO audit_log VALUES (now()); RETURN NEW;"))
    with pytest.raises(Exception, match="permission denied for table audit_log"):
        rewritten(database)


@pytest.mark.parametrize(
    "body",
    ["NEW.path := OLD.path; RETURN NEW;", "RETURN NULL;", "NEW.path := upper(NEW.path); RETURN NEW;"],
    ids=["keeps", "cancels", "alters"],
)
def test_a_run_ends_with_the_trigger_named_and_every_original_in_its_place(lab: Any, body: str) -> None:
    """Public report: such rows were counted as rewritten, or swept for ever, and the application was blamed."""
    lab.world.seed(legacy=range(1, 5))
    lab.world.sql(trigger(body).replace("FOR EACH ROW", "FOR EACH ROW WHEN (OLD.id < 4)"))
    driver = lab.drive(lab.spec())
    status = driver.finish()
    assert condition(status, "Failed"), status
    assert "3 rows failed" in message(status, "Failed")
    assert phases(status) == ["preflight", "copy", "sweep", "delete", "audit"]
    assert any("keeper" in sample["message"] for sample in status["samples"])
    assert lab.world.paths() == [LEGACY + name(1), LEGACY + name(2), LEGACY + name(3), MODERN + name(4)]
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(n) for n in (1, 2, 3)}
    assert not any(condition(seen, "Degraded") for seen in driver.seen)


VERSIONS = "INSERT INTO avatars (path) VALUES (OLD.path); RETURN NULL;"
"""A row for each version: what the UPDATE replaces comes back as a row of its own."""


@pytest.mark.parametrize(
    ("ddl", "row"),
    [
        (trigger(VERSIONS, "AFTER UPDATE ON avatars FOR EACH ROW"), "of public.avatars.path hold"),
        (
            trigger(
                "BEGIN " + VERSIONS.replace("RETURN NULL;", "") + " EXCEPTION WHEN others THEN NULL; END; RETURN NULL;",
                DEFERRED,
                "CONSTRAINT TRIGGER",
            ),
            "of public.avatars.path hold",
        ),
        (
            trigger("UPDATE other SET path = '/' || OLD.path WHERE id = 7; RETURN NULL;", AFTER),
            "row 7 of public.other.path hold",
        ),
    ],
    ids=["versions", "versions-at-commit", "another-reference"],
)
def test_a_row_whose_update_makes_another_row_legacy_fails_and_is_undone(
    database: Database, ddl: str, row: str
) -> None:
    only = ddl.replace("FOR EACH ROW WHEN (", "FOR EACH ROW WHEN (NEW.id = 2 AND ")
    only = only.replace("FOR EACH ROW EXECUTE", "FOR EACH ROW WHEN (NEW.id = 2) EXECUTE")
    database.make(TABLE, LEGACY + "a", LEGACY + "bb", LEGACY + "c")
    database.sql("CREATE TABLE other (id int PRIMARY KEY, path text); INSERT INTO other VALUES (7, '/avatar/bb')")
    database.sql(only)
    database.sql(f"GRANT INSERT ON avatars TO {database.role}; GRANT SELECT, UPDATE ON other TO {database.role}")
    database.sql(f"GRANT USAGE ON avatars_id_seq TO {database.role}")
    other = {"table": "other", "key": "id", "column": "path", "format": "/{key}"}
    with contextlib.closing(database.rows(beside=[other])) as rows:
        wanted = [Rewrite(row, rows.new_value(row, key)) for key, row in rows.load(Range()) if row.legacy]
        verdicts = rows.rewrite(wanted)
    assert verdicts["0:1"] is verdicts["0:3"] is RowOutcome.REWRITTEN
    said = str(verdicts["0:2"])
    assert (row in said, "triggers (keeper)" in said, "old path" in said) == (True, True, True), said
    assert database.paths() == [MODERN + "a", LEGACY + "bb", MODERN + "c"]
    assert database.sql("SELECT path FROM other") == [("/avatar/bb",)]


def test_a_legacy_row_that_was_there_before_is_no_trigger_s_doing(database: Database) -> None:
    database.make(TABLE, LEGACY + "a", LEGACY + "a")
    database.sql(trigger("RETURN NULL;", AFTER))
    with contextlib.closing(database.rows()) as rows:
        (key, row), _ = rows.load(Range())
        assert rows.rewrite([Rewrite(row, rows.new_value(row, key))]) == {row.id: RowOutcome.REWRITTEN}


def test_a_run_ends_though_each_rewrite_brings_a_legacy_row(lab: Any) -> None:
    """It was swept for ever, and the application was blamed."""
    lab.world.seed(legacy=range(1, 4))
    lab.world.sql(
        trigger(VERSIONS.replace("avatars", "public.avatars"), AFTER).replace("plpgsql", "plpgsql SECURITY DEFINER")
    )
    driver = lab.drive(lab.spec())
    status = driver.finish(120)
    assert condition(status, "Failed"), status
    assert "3 rows failed" in message(status, "Failed")
    assert any("keeper" in sample["message"] for sample in status["samples"])
    assert lab.world.paths() == [LEGACY + name(n) for n in (1, 2, 3)]
    assert not any(condition(seen, "Degraded") for seen in driver.seen)


@pytest.mark.parametrize(
    ("setting", "type_", "keys"),
    [
        ("extra_float_digits = -10", "float8", ("0.1", "0.10000000000000003", "2.2250738585072014e-308")),
        ("datestyle = 'SQL, DMY'", "timestamptz", ("2026-10-25 00:30+00", "2026-10-25 01:30:00.000001+00")),
        ("intervalstyle = 'iso_8601'", "interval", ("-1 mon +2 days -03:00:00.000001", "1 year")),
        ("client_encoding = 'LATIN1'", "text", ("日本", "é")),
        ("client_encoding = 'SQL_ASCII'", "text", ("日本", "é")),
    ],
    ids=["digits", "dates", "intervals", "latin", "ascii"],
)
def test_keys_are_told_whole_whatever_the_role_prefers(
    database: Database, setting: str, type_: str, keys: tuple[str, ...]
) -> None:
    """A key that is shown shortened addresses no row, or another one: that was swept for ever."""
    database.make(f"CREATE TABLE avatars (id {type_} PRIMARY KEY, path text NOT NULL)")
    for number, key in enumerate(keys):
        database.sql("INSERT INTO avatars VALUES (%s, %s)", (key, f"image/é日{number}"))
    database.sql(f"ALTER ROLE {database.role} SET {setting}; ALTER ROLE {database.role} SET timezone = 'Asia/Kolkata'")
    with contextlib.closing(database.rows()) as rows:
        verdicts = rows.rewrite([Rewrite(row, rows.new_value(row, key)) for key, row in rows.load(Range())])
    assert list(verdicts.values()) == [RowOutcome.REWRITTEN] * len(keys)
    assert sorted(database.paths()) == [f"avatar/é日{number}" for number in range(len(keys))]
