"""A table whose rows this role may not see in full, or that no UPDATE reaches, is refused in words that help."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DatabaseError, UserError
from bucketops_jobs.migration import visibility
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.shards import Range
from support.avatars import LEGACY, MODERN, name
from support.database import Database
from support.driver import condition, message, phases, reason

pytestmark = pytest.mark.slow

TABLE = "CREATE TABLE avatars (id serial PRIMARY KEY, tenant int DEFAULT 1, path text NOT NULL);"
POLICY = "CREATE POLICY own ON avatars USING (tenant = 1);"
SECURED = TABLE + POLICY + "ALTER TABLE avatars ENABLE ROW LEVEL SECURITY;"
PARTITIONED = "CREATE TABLE avatars (id int PRIMARY KEY, path text) PARTITION BY RANGE (id);"


def refusal(database: Database, **reference: Any) -> UserError:
    with contextlib.closing(database.rows(**reference)) as rows, pytest.raises(UserError) as caught:
        visibility.require(rows, rows.tables[0])
    return caught.value


@pytest.mark.parametrize(
    ("ddl", "why", "words"),
    [
        (SECURED, Reason.ACCESS_DENIED, ("row level security", "ALTER ROLE {role} BYPASSRLS", "GRANT postgres TO")),
        (
            SECURED + "ALTER TABLE avatars OWNER TO {role}; ALTER TABLE avatars FORCE ROW LEVEL SECURITY",
            Reason.ACCESS_DENIED,
            ("BYPASSRLS", "NO FORCE ROW LEVEL SECURITY"),
        ),
        (
            TABLE + "CREATE POLICY all_see ON avatars FOR SELECT USING (true);"
            "CREATE POLICY few_write ON avatars FOR UPDATE USING (tenant = 1);"
            "ALTER TABLE avatars ENABLE ROW LEVEL SECURITY",
            Reason.ACCESS_DENIED,
            ("BYPASSRLS",),
        ),
        (
            "CREATE TABLE pictures (id serial PRIMARY KEY, path text); CREATE VIEW avatars AS SELECT * FROM pictures",
            Reason.INVALID_SPEC,
            ("is a view", "name the table"),
        ),
        (
            (
                "CREATE TABLE pictures (id serial, path text);"
                "CREATE VIEW avatars WITH (security_barrier) AS SELECT * FROM pictures WHERE id > 1"
            ),
            Reason.INVALID_SPEC,
            ("is a view",),
        ),
        (
            "CREATE MATERIALIZED VIEW avatars AS SELECT 1 AS id, 'image/a'::text AS path",
            Reason.INVALID_SPEC,
            ("materialized view",),
        ),
        (
            (
                "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
                "CREATE FOREIGN TABLE avatars (id int, path text) SERVER s"
            ),
            Reason.INVALID_SPEC,
            ("foreign table", "connect to that server"),
        ),
        (
            (
                "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
                "CREATE TABLE avatars (id int, path text) PARTITION BY LIST (id);"
                "CREATE FOREIGN TABLE far PARTITION OF avatars FOR VALUES IN (1) SERVER s"
            ),
            Reason.INVALID_SPEC,
            ("far", "another server"),
        ),
        (
            TABLE + "CREATE RULE journal AS ON UPDATE TO avatars DO INSTEAD NOTHING",
            Reason.INVALID_SPEC,
            ("DISABLE RULE journal",),
        ),
        (TABLE + "CREATE TABLE old () INHERITS (avatars)", Reason.INVALID_SPEC, ("old inherit from", "partitions")),
    ],
    ids=["rls", "forced", "policy-for-update", "view", "barrier", "matview", "foreign", "abroad", "rule", "heirs"],
)
def test_a_table_that_hides_rows_or_takes_no_update_is_refused(
    database: Database, ddl: str, why: Reason, words: tuple[str, ...]
) -> None:
    database.make(ddl.replace("{role}", database.role))
    refused = refusal(database)
    assert refused.reason is why, refused
    for word in words:
        assert word.replace("{role}", "***PGUSER***") in str(refused)


def test_a_single_partition_is_refused_and_the_whole_is_named(database: Database) -> None:
    database.make(PARTITIONED + "CREATE TABLE newest PARTITION OF avatars FOR VALUES FROM (1) TO (9)")
    assert "name the table avatars" in str(refusal(database, table="newest"))


@pytest.mark.parametrize("kind", ["heir", "heir of an heir"])
def test_a_table_that_inherits_its_paths_is_refused(database: Database, kind: str) -> None:
    """Rows of the other tables are read through the parent, and name the same objects."""
    between = "CREATE TABLE middle () INHERITS (base);" if kind != "heir" else ""
    parent = "middle" if between else "base"
    database.make(
        f"CREATE TABLE base (id serial, path text NOT NULL);{between}"
        f"CREATE TABLE avatars (PRIMARY KEY (id)) INHERITS ({parent})"
    )
    refused = refusal(database)
    assert refused.reason is Reason.INVALID_SPEC
    assert f"ALTER TABLE public.avatars NO INHERIT {parent}" in str(refused), refused
    database.sql(f"ALTER TABLE avatars NO INHERIT {parent}")
    with contextlib.closing(database.rows()) as rows:
        visibility.require(rows, rows.tables[0])


def test_a_table_that_inherits_other_columns_is_taken(database: Database) -> None:
    database.make(
        "CREATE TABLE stamped (at date); CREATE TABLE avatars (id int PRIMARY KEY, path text) INHERITS (stamped)"
    )
    with contextlib.closing(database.rows()) as rows:
        visibility.require(rows, rows.tables[0])


def test_a_role_whose_operators_are_not_postgresqls_is_refused(database: Database) -> None:
    database.make(TABLE)
    database.sql(f"CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO {database.role}")
    database.sql(f"ALTER ROLE {database.role} SET search_path = app, pg_catalog")
    assert "puts schema app before pg_catalog" in str(refusal(database))


def begin_sessions_with(database: Database, whose: str, setting: str) -> None:
    database.make(TABLE)
    named = whose.replace("{role}", database.role).replace("{name}", database.name)
    database.sql(f"ALTER {named} SET {setting}")


@pytest.mark.parametrize("whose", ["ROLE {role}", "DATABASE {name}"])
def test_sessions_in_which_no_trigger_and_no_foreign_key_acts_are_refused(database: Database, whose: str) -> None:
    """Tables that follow by ON UPDATE CASCADE would not, and name objects that are deleted."""
    begin_sessions_with(database, whose, "session_replication_role = replica")
    refused = refusal(database)
    assert refused.reason is Reason.DATABASE_REFUSED
    assert "RESET session_replication_role" in str(refused)


@pytest.mark.parametrize("whose", ["ROLE {role}", "DATABASE {name}"])
def test_sessions_that_only_read_are_refused(database: Database, whose: str) -> None:
    begin_sessions_with(database, whose, "default_transaction_read_only = on")
    refused = refusal(database)
    assert refused.reason is Reason.DATABASE_REFUSED
    assert "SET default_transaction_read_only = off" in str(refused)


@pytest.mark.parametrize(
    "ddl",
    [
        TABLE,
        SECURED + "ALTER TABLE avatars OWNER TO {role}",
        SECURED + "ALTER ROLE {role} BYPASSRLS",
        SECURED + "CREATE ROLE o_{role}; ALTER TABLE avatars OWNER TO o_{role}; GRANT o_{role} TO {role}",
        TABLE + POLICY,
        TABLE + "CREATE RULE journal AS ON UPDATE TO avatars DO ALSO NOTHING; ALTER TABLE avatars DISABLE RULE journal",
        PARTITIONED + "CREATE TABLE newest PARTITION OF avatars DEFAULT",
        TABLE.replace("TABLE", "UNLOGGED TABLE"),
    ],
    ids=["plain", "owner", "bypass", "member", "not-enabled", "disabled-rule", "partitioned", "unlogged"],
)
def test_a_table_whose_rows_are_all_seen_is_taken(database: Database, ddl: str) -> None:
    database.make(ddl.replace("{role}", database.role))
    with contextlib.closing(database.rows()) as rows:
        visibility.require(rows, rows.tables[0])


def test_rows_that_are_hidden_later_are_an_error_and_no_shorter_answer(database: Database) -> None:
    """`row_security` is off in every session: PostgreSQL refuses what it would have to filter."""
    database.make(TABLE, LEGACY + "a", LEGACY + "b")
    with contextlib.closing(database.rows()) as rows:
        assert len(list(rows.load(Range()))) == 2
        database.sql(POLICY + "ALTER TABLE avatars ENABLE ROW LEVEL SECURITY")
        for read in (_loaded, _named):
            with pytest.raises(UserError, match=r"row-level security.*BYPASSRLS"):
                read(rows)


def _loaded(rows: Rows) -> object:
    return list(rows.load(Range()))


def _named(rows: Rows) -> object:
    return rows.naming(["a"])


def test_a_migration_whose_role_sees_some_rows_only_deletes_nothing(lab: Any) -> None:
    """Public report: a policy by tenant; three of six objects were deleted though rows named them."""
    lab.world.seed(legacy=range(1, 7))
    lab.world.sql("CREATE POLICY even ON avatars USING (id % 2 = 0); ALTER TABLE avatars ENABLE ROW LEVEL SECURITY")
    driver = lab.drive(lab.spec())
    status = driver.finish()
    assert reason(status, "Stalled") == "AccessDenied", status
    assert "BYPASSRLS" in message(status, "Stalled")
    assert phases(status) == ["preflight"]
    assert len(lab.world.keys(lab.world.source)) == 6
    lab.world.sql(f"ALTER ROLE {lab.database['PGUSER']} BYPASSRLS")
    assert condition(driver.until(lambda status: condition(status, "Complete")), "Complete")
    assert lab.world.paths() == [MODERN + name(number) for number in range(1, 7)]


def test_a_role_that_may_only_read_from_now_on_is_named_in_mid_run(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    role, driver = lab.database["PGUSER"], lab.drive(lab.spec())
    driver.before("copy", lambda: lab.world.sql(f"ALTER ROLE {role} SET default_transaction_read_only = on"))
    status = driver.finish()
    assert reason(status, "Stalled") == "DatabaseRefused", status
    assert "default_transaction_read_only = off" in message(status, "Stalled")
    lab.world.sql(f"ALTER ROLE {role} RESET default_transaction_read_only")
    status = driver.until(lambda status: condition(status, "Complete"))
    assert not any(seen.get("rowOutcomes", {}).get("failed") for seen in driver.seen)


ALTERED = {
    "bytes": ("ALTER TABLE avatars ALTER path TYPE bytea USING convert_to(path, 'UTF8')", "is of type bytea"),
    "json": ("ALTER TABLE avatars ALTER path TYPE jsonb USING to_jsonb(path)", "is of type jsonb"),
    "array": ("ALTER TABLE avatars ALTER path TYPE text[] USING ARRAY[path]", "is of type text[]"),
    "heir": ("CREATE TABLE older () INHERITS (avatars)", "older inherit from public.avatars"),
    "rule": ("CREATE RULE never AS ON UPDATE TO avatars DO INSTEAD NOTHING", "DISABLE RULE never"),
}


@pytest.mark.parametrize("phase", ["copy", "delete"])
@pytest.mark.parametrize("how", ALTERED)
def test_a_table_that_is_altered_in_mid_run_stops_it_and_nothing_goes(lab: Any, how: str, phase: str) -> None:
    """Texts of another type are no paths: the last look would find no row, and the original of each would go."""
    lab.world.seed(legacy=range(1, 4))
    ddl, words = ALTERED[how]
    driver = lab.drive(lab.spec())
    driver.before(phase, lambda: lab.world.sql(ddl))
    status = driver.finish()
    assert reason(status, "Stalled") == "InvalidSpec", status
    assert words in message(status, "Stalled")
    assert len(lab.world.keys(lab.world.source)) == 3


@pytest.mark.parametrize("how", ["bytes", "json", "array"])
def test_no_look_takes_texts_of_another_type_for_paths(database: Database, how: str) -> None:
    """A worker that is under way meets it, too: right before it deletes, and in the last look of the audit."""
    database.make(TABLE, LEGACY + "a")
    with contextlib.closing(database.rows()) as rows:
        assert rows.naming(["a"]) == {"a"}
        database.sql(ALTERED[how][0])
        for look in (_named, _left_over):
            with pytest.raises(DatabaseError) as caught:
                look(rows)
            assert not caught.value.transient, caught.value


def _left_over(rows: Rows) -> object:
    return list(rows.leftover())
