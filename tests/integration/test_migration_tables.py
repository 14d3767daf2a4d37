"""Tables as applications have them: composite keys, partitions, odd names, relative paths; and keys that are none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import sql

from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import index_check, key_checks
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.migration.tables import Table, limits
from bucketops_jobs.migration.value_ranges import value_ranges
from bucketops_jobs.shards import Range
from support.avatars import LEGACY, MODERN, cursor_of, name
from support.driver import condition, message, reason

pytestmark = pytest.mark.slow

Refs = list[dict[str, Any]]
BY_YEAR = """
CREATE TABLE pictures (id serial, created date NOT NULL, path text, PRIMARY KEY (id, created))
PARTITION BY RANGE (created);
CREATE TABLE pictures_20 PARTITION OF pictures FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
CREATE TABLE pictures_25 PARTITION OF pictures FOR VALUES FROM ('2025-01-01') TO ('2030-01-01');
INSERT INTO pictures (created, path) SELECT date '2024-12-20' + n, 'image/avatar-' || n || '.png'
FROM generate_series(1, 30) n;
"""
BY_TENANT = """
CREATE TABLE pictures (tenant text, id int, path text, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
CREATE TABLE pictures_a PARTITION OF pictures FOR VALUES IN ('a, "b"', 'ü');
CREATE TABLE pictures_rest PARTITION OF pictures DEFAULT;
INSERT INTO pictures SELECT (array['a, "b"', 'ü', 'x'])[1 + n % 3], n % 10, 'image/avatar-' || n || '.png'
FROM generate_series(1, 30) n;
"""


def references(spec: dict[str, Any], refs: Refs) -> dict[str, Any]:
    spec["database"]["references"] = refs
    return spec


def moved(lab: Any, table: str = "pictures") -> set[str]:
    assert lab.world.keys(lab.world.source) == {}
    return {path for (path,) in lab.world.sql(f"SELECT path FROM {table}")}  # noqa: S608 - our own table


@pytest.mark.parametrize(("table", "key"), [(BY_YEAR, ["id", "created"]), (BY_TENANT, ["id", "tenant"])])
def test_partitioned_tables_with_composite_keys_there_and_back(lab: Any, table: str, key: list[str]) -> None:
    """Each row is addressed by its whole key; a rollback rewrites the rows that the journal names, and no others."""
    lab.world.seed(legacy=range(1, 31))
    lab.world.sql(f"DROP TABLE avatars; {table}")
    spec = references(lab.spec(filter={}), [{"table": "pictures", "key": key, "column": "path"}])
    driver = lab.drive(spec)
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["rowOutcomes"]["rewritten"] == 30
    assert moved(lab) == {MODERN + name(n) for n in range(1, 31)}
    lab.world.sql("UPDATE pictures SET path = 'elsewhere' WHERE path = 'avatar/avatar-7.png'")
    back = lab.drive({"rollbackOf": "avatars"}, "avatars-back", origin=driver).finish()
    assert condition(back, "Complete"), back
    assert back["rowOutcomes"]["rewritten"] == 29
    assert {path for (path,) in lab.world.sql("SELECT path FROM pictures")} == {
        "elsewhere",
        *(LEGACY + name(n) for n in range(1, 31) if n != 7),
    }


def test_names_of_any_kind(lab: Any) -> None:
    """Capitals, reserved words, quotes, dots, blanks and percent signs, in every statement that a migration asks."""
    lab.world.seed(legacy=range(1, 4))
    lab.world.sql(
        'CREATE SCHEMA "My App 100%"; CREATE DOMAIN "My App 100%"."k%d" AS int;'
        'CREATE TABLE "My App 100%"."us.er%s ""x"" " ("Order %%" "My App 100%"."k%d", "select" int, "pa%(th)s" text,'
        ' PRIMARY KEY ("Order %%", "select")); INSERT INTO "My App 100%"."us.er%s ""x"" "'
        " SELECT n, n, 'image/avatar-' || n || '.png' FROM generate_series(1, 3) n"
    )
    ref = {"schema": "My App 100%", "table": 'us.er%s "x" ', "key": ["Order %%", "select"], "column": "pa%(th)s"}
    status = lab.drive(references(lab.spec(filter={}), [ref])).finish()
    assert condition(status, "Complete"), status
    assert status["rowOutcomes"]["rewritten"] == 3
    found = lab.world.sql('SELECT "pa%(th)s" FROM "My App 100%"."us.er%s ""x"" " ORDER BY 1')
    assert found == [(MODERN + name(n),) for n in range(1, 4)]


def test_messages_name_tables_as_they_can_be_typed(lab: Any) -> None:
    lab.world.seed(legacy=[1])
    lab.world.sql('CREATE TABLE "User" ("Order" int PRIMARY KEY, "select" text)')
    lab.grants = False
    ref = {"table": "User", "key": "Order", "column": "select"}
    status = lab.drive(references(lab.spec(), [ref])).finish()
    assert reason(status, "Stalled") == "AccessDenied"
    assert 'GRANT SELECT ("Order", "select"), UPDATE ("select") ON public."User"' in message(status, "Stalled")


@pytest.mark.parametrize(
    ("format_", "stored"),
    [("{key:relative}", "{}"), ("/media/{key:relative}", "/media/{}"), ("/{key}", "/image/{}")],
    ids=["Django", "GitLab", "leading slash"],
)
def test_paths_as_frameworks_store_them(lab: Any, format_: str, stored: str) -> None:
    """What stands below the prefix stays as it is, and names its object before, during and after the migration."""
    lab.world.seed(legacy=range(1, 7))
    lab.world.sql("UPDATE avatars SET path = replace(path, 'image/', replace(%s, '{}', ''))", (stored,))
    lab.world.insert([""])  # an application that writes it for "no picture"
    spec = references(lab.spec(filter={}), [{"table": "avatars", "column": "path", "format": format_}])
    status = lab.drive(spec).finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 6
    assert status["audit"]["after"]["danglingRows"] == 0
    new = stored if "relative" in format_ else "/avatar/{}"
    assert lab.world.paths() == [*(new.format(name(n)) for n in range(1, 7)), ""]
    assert set(lab.world.keys(lab.world.destination)) == {MODERN + name(n) for n in range(1, 7)}


def test_relative_paths_become_urls_and_come_back(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    lab.world.sql("UPDATE avatars SET path = replace(path, 'image/', '/media/')")
    ref = {
        "table": "avatars",
        "column": "path",
        "format": "/media/{key:relative}",
        "newFormat": "https://cdn/{key:url}",
    }
    driver = lab.drive(references(lab.spec(filter={}), [ref]))
    assert condition(driver.finish(), "Complete")
    assert lab.world.paths() == [f"https://cdn/avatar/{name(n)}" for n in range(1, 4)]
    assert condition(lab.drive({"rollbackOf": "avatars"}, "avatars-back", origin=driver).finish(), "Complete")
    assert lab.world.paths() == [f"/media/{name(n)}" for n in range(1, 4)]


def test_a_relative_path_that_would_look_legacy_again_is_refused(lab: Any) -> None:
    lab.world.seed(legacy=[1])
    ref = {"table": "avatars", "column": "path", "format": "{key:relative}", "newFormat": "{key}"}
    status = lab.drive(references(lab.spec(), [ref])).finish()
    assert reason(status, "Stalled") == "Overlap"
    assert "let both formats be {key:relative}" in message(status, "Stalled")


def test_a_column_with_two_formats_has_two_references(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 5))
    lab.world.sql("UPDATE avatars SET path = '/' || path WHERE id > 2")
    refs = [{"table": "avatars", "column": "path", "format": form} for form in ("{key}", "/{key}")]
    status = lab.drive(references(lab.spec(filter={}), refs)).finish()
    assert condition(status, "Complete"), status
    assert lab.world.paths() == [MODERN + name(1), MODERN + name(2), "/" + MODERN + name(3), "/" + MODERN + name(4)]


def test_two_references_that_read_the_same_paths_are_refused(lab: Any) -> None:
    lab.world.seed(legacy=[1])
    refs = [{"table": "avatars", "column": "path", "format": form} for form in ("{key}", "{key:url}")]
    status = lab.drive(references(lab.spec(), refs)).finish()
    assert reason(status, "Stalled") == "InvalidSpec"
    assert "leave one of them out" in message(status, "Stalled")


@contextmanager
def rows_of(lab: Any, root: Path, *refs: dict[str, Any]) -> Iterator[Rows]:
    """The rows as a worker has them, with an administrator's rights."""
    database = {"credentials": {"secretRef": {"name": "db"}}, "references": list(refs)}
    spec = MigrationSpec.model_validate(lab.spec() | {"database": database})
    folder = root / "secrets" / "db"
    folder.mkdir(parents=True, exist_ok=True)
    for field, value in (lab.database | {"PGUSER": "postgres"}).items():
        (folder / field).write_text(value)
    assert spec.database is not None
    rows = Rows(spec.database, root, LEGACY, MODERN)
    try:
        yield rows
    finally:
        rows.close()


NO_KEYS = {
    "nullable": ("CREATE TABLE t (id int UNIQUE, path text)", "id", "id may be null"),
    "null is one value": ("CREATE TABLE t (id int UNIQUE NULLS NOT DISTINCT, path text)", "id", "id may be null"),
    "not unique": ("CREATE TABLE t (id int NOT NULL, path text)", "id", "id is not unique"),
    "a part of the key": ("CREATE TABLE t (id int, n int, path text, PRIMARY KEY (id, n))", "id", "such as key: [id"),
    "a part of the rows": (
        "CREATE TABLE t (id int NOT NULL, path text); CREATE UNIQUE INDEX ON t (id) WHERE id > 0",
        "id",
        "for a part of the rows",
    ),
    "an expression": (
        "CREATE TABLE t (id text NOT NULL, path text); CREATE UNIQUE INDEX ON t (lower(id))",
        "id",
        "id is not unique",
    ),
    "deferrable": ("CREATE TABLE t (id int NOT NULL UNIQUE DEFERRABLE, path text)", "id", "DEFERRABLE"),
    "not valid": (
        """CREATE TABLE t (id int NOT NULL, path text); CREATE UNIQUE INDEX ON t (id);
        UPDATE pg_index SET indisvalid = false WHERE indrelid = 't'::regclass""",
        "id",
        "REINDEX INDEX",
    ),
    "another equality": (
        """CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE t (id text COLLATE ci NOT NULL, path text); CREATE UNIQUE INDEX ON t (id COLLATE "C")""",
        "id",
        "takes for equal",
    ),
    "unique in each partition": (
        """CREATE TABLE t (id int NOT NULL, day date NOT NULL, path text) PARTITION BY RANGE (day);
        CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
        CREATE UNIQUE INDEX ON t1 (id)""",
        "id",
        "id is not unique",
    ),
    "not in every partition": (
        """CREATE TABLE t (id int NOT NULL, path text) PARTITION BY RANGE (id);
        CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (9); CREATE UNIQUE INDEX ON ONLY t (id)""",
        "id",
        "REINDEX INDEX",
    ),
    "the path itself": ("CREATE TABLE t (path text PRIMARY KEY)", "path", "name a unique key without it"),
    "computed from the path": (
        "CREATE TABLE t (id text GENERATED ALWAYS AS (md5(path)) STORED PRIMARY KEY, n int, path text NOT NULL)",
        "id",
        "id of the key is computed from path",
    ),
    "the name of a table": (
        "CREATE TABLE t (id regclass PRIMARY KEY, path text NOT NULL)",
        "id",
        "id of the key names an object of the database",
    ),
    "the partition of the path": (
        "CREATE TABLE t (id int, path text, PRIMARY KEY (id, path)) PARTITION BY RANGE (path)",
        ["id", "path"],
        "name a unique key without it",
    ),
}


@pytest.mark.parametrize("case", NO_KEYS)
def test_what_does_not_address_one_row_is_no_key(lab: Any, tmp_path: Path, case: str) -> None:
    ddl, key, words = NO_KEYS[case]
    lab.world.sql(ddl)
    ref = {"table": "t", "key": key, "column": "path"}
    with rows_of(lab, tmp_path, ref) as rows, pytest.raises(UserError) as caught:
        key_checks.require(rows, rows.tables[0])
    assert caught.value.reason == "InvalidSpec"
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("ddl", "key"),
    [
        ("CREATE TABLE t (id int PRIMARY KEY, path text)", ["id"]),
        ("CREATE TABLE t (id int NOT NULL UNIQUE DEFERRABLE, path text); CREATE UNIQUE INDEX ON t (id)", "id"),
        ("CREATE TABLE t (id int NOT NULL, n int, path text); CREATE UNIQUE INDEX ON t (id) INCLUDE (n)", "id"),
        ("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, path text)", ["n", "id"]),
        ("CREATE TABLE t (id varchar(9) PRIMARY KEY, path text)", "id"),
        ("CREATE TABLE t (n int, id int GENERATED ALWAYS AS (n * 2) STORED PRIMARY KEY, path text)", "id"),
        ("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, path text)", "id"),
    ],
)
def test_what_addresses_one_row_is_a_key(lab: Any, tmp_path: Path, ddl: str, key: str | list[str]) -> None:
    lab.world.sql(ddl)
    with rows_of(lab, tmp_path, {"table": "t", "key": key, "column": "path"}) as rows:
        key_checks.require(rows, rows.tables[0])


MILLION = """
CREATE UNLOGGED TABLE t (id bigint PRIMARY KEY, path text);
INSERT INTO t SELECT n, %s || 'avatar/avatar-' || lpad(n::text, 9, '0') || '.png' FROM generate_series(1, 1000000) n;
"""
MILLION_IN_PARTS = """
CREATE TABLE t (id bigint, day int, path text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE UNLOGGED TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (1);
CREATE UNLOGGED TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (2);
INSERT INTO t SELECT n, n %% 2, %s || 'avatar/avatar-' || lpad(n::text, 9, '0') || '.png'
FROM generate_series(1, 1000000) n;
"""
KEYS = [f"avatar-{n:09d}.png" for n in range(500_000, 501_000)]


@pytest.mark.parametrize(
    ("format_", "table"),
    [("{key}", MILLION), ("/{key:url}", MILLION), ("/{key:url}", MILLION_IN_PARTS)],
    ids=["plain", "percent-encoded", "partitioned"],
)
def test_the_last_look_before_a_deletion_searches_an_index_of_a_million_rows(
    lab: Any, tmp_path: Path, format_: str, table: str
) -> None:
    """The one that the preflight asks for; no chunk reads a whole table."""
    ref = {"table": "t", "key": ["id", "day"] if "PARTITION" in table else "id", "column": "path", "format": format_}
    lab.world.sql(table, (format_.partition("{")[0],))
    with rows_of(lab, tmp_path, ref) as rows:
        with pytest.raises(UserError) as caught:
            index_check.require(rows, rows.tables[0])
        assert caught.value.reason == "IndexMissing"
        for command in str(caught.value).partition("run: ")[2].split("; "):
            with cursor_of(lab.world.dsn) as cursor:
                cursor.execute(command)
        lab.world.sql("ANALYZE t")
        index_check.require(rows, rows.tables[0])
        before = scans(lab)
        lab.world.sql("UPDATE t SET path = replace(path, 'avatar/', 'image/') WHERE id IN (500001, 500900, 900000)")
        scans_after(lab, before)
        before = scans(lab)
        assert rows.naming(KEYS) == {KEYS[1], KEYS[900]}
        assert explained(rows, rows.tables[0]) == []
        assert len(list(rows.load(Range(KEYS[0], KEYS[-1])))) == 999
    sequential, searched = scans_after(lab, before)
    assert sequential == 0
    assert searched > 0


def test_an_index_that_has_the_paths_behind_another_column_is_none(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_check, "SCAN_ROWS", 1000)
    lab.world.sql(
        """CREATE TABLE t (id int PRIMARY KEY, tenant int, path text); CREATE INDEX ON t (tenant, path COLLATE "C");
        INSERT INTO t SELECT n, n, 'image/' || n FROM generate_series(1, 5000) n; ANALYZE t"""
    )
    with rows_of(lab, tmp_path, {"table": "t", "column": "path"}) as rows:
        with pytest.raises(UserError, match=r'CREATE INDEX CONCURRENTLY ON public.t .path COLLATE "C".'):
            index_check.require(rows, rows.tables[0])
        lab.world.sql('CREATE INDEX ON t (path COLLATE "C", tenant)')
        index_check.require(rows, rows.tables[0])


@pytest.mark.parametrize("type_", ["text", "varchar(99)", "citext", "shown"])
def test_the_index_that_the_message_names_serves(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, type_: str
) -> None:
    monkeypatch.setattr(index_check, "SCAN_ROWS", 1000)
    lab.world.sql("CREATE EXTENSION citext; CREATE DOMAIN shown AS text CHECK (value <> 'x')")
    lab.world.sql(f"CREATE TABLE t (id int PRIMARY KEY, path {type_})")
    lab.world.sql("INSERT INTO t SELECT n, 'image/' || n FROM generate_series(1, 5000) n; ANALYZE t")
    with rows_of(lab, tmp_path, {"table": "t", "column": "path"}) as rows:
        with pytest.raises(UserError) as caught:
            index_check.require(rows, rows.tables[0])
        with cursor_of(lab.world.dsn) as cursor:
            cursor.execute(str(caught.value).partition("run: ")[2])
        index_check.require(rows, rows.tables[0])


def explained(rows: Rows, table: Table) -> list[str]:
    """Tables that the last look reads as a whole."""
    if table.old.format.quoted:
        ranges = value_ranges(table.old, Range(KEYS[0][:-1], KEYS[-1]))
        statement, values = table.statement("load", ranges), limits(ranges)
    else:
        statement, values = table.statement("naming"), {"values": [table.old.write(key) for key in KEYS]}
    ((plan,),) = rows.query("explain", sql.SQL("EXPLAIN (VERBOSE, FORMAT JSON) ") + statement, values)
    return list(index_check.unserved(plan[0]["Plan"], index_check.leading(rows, table)))


def scans(lab: Any) -> tuple[int, int]:
    """How often tables were read as a whole, and how often an index was searched, by sessions that have ended."""
    found = lab.world.sql("SELECT sum(seq_scan)::int, sum(coalesce(idx_scan, 0))::int FROM pg_stat_user_tables")
    return found[0]


def scans_after(lab: Any, before: tuple[int, int]) -> tuple[int, int]:
    """The scans since then; a session that ends tells its own, a moment later."""
    wait_until(lambda: scans(lab)[1] > before[1])
    now = scans(lab)
    return now[0] - before[0], now[1] - before[1]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
