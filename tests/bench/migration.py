"""A migration with its rows rewritten, looked at again by its sweep, against programs that copy and do nothing else."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg2.extras import execute_values

from bench import report
from bench.objects import LEGACY, MODERN, Copy
from bench.options import Options
from bench.ratios import paired, rotated, spread
from bench.rounds import measured
from bench.servers import Place as Server
from bench.servers import serving
from bucketops_api.privileges.migration import sql_grants
from bucketops_api.v1alpha1.migration import MigrationSpec
from support.avatars import cursor_of
from support.driver import condition, driving, ended
from support.places import Place, user_of_both
from support.servers import dsn_of, start_postgres

ROLE = "mover"
OURS = ("Check", "Strict")
"""Values of `guard`."""
CONCURRENCY = 128
"""Of each of two workers; together as many as s5cmd, the number that either is fastest with."""
SECONDS = 3600.0
LOOK_SECONDS = 0.5
"""Between two looks of the operator, which shares the cores here. Like `bucketops run` it sees at once that a worker
has ended.
"""


@dataclass
class World:
    """A server with objects, and a database with a row for each."""

    server: Server
    copies: Copy
    postgres: int
    """Its port."""
    folder: Path

    def rows(self) -> None:
        """All rows as before a migration."""
        paths = [(LEGACY + name,) for name in self.copies.names()]
        with cursor_of(dsn_of(self.postgres)) as cursor:
            cursor.execute("DROP TABLE IF EXISTS avatars")
            cursor.execute("CREATE TABLE avatars (id serial PRIMARY KEY, path text NOT NULL)")
            execute_values(cursor, "INSERT INTO avatars (path) VALUES %s", paths, page_size=1000)
            cursor.execute("VACUUM ANALYZE avatars")


def run(options: Options, per_folder: int | None = None) -> list[dict[str, Any]]:
    """Seconds from the first worker of the copy to the end of the sweep; of the others, of the whole program.

    Without `per_folder` all objects lie in one flat folder.
    """
    amount, peers, rounds = options.objects, options.peers, options.rounds
    folders = [f"{number:04d}/" for number in range(amount // per_folder)] if per_folder else [""]
    rates: dict[str, dict[int, float]] = {contender: {} for contender in (*OURS, *peers)}
    with tempfile.TemporaryDirectory(prefix="bucketops-bench-") as data:
        Path(data).chmod(0o755)
        postgres = start_postgres(Path(data))
        try:
            with cursor_of(dsn_of(postgres.port)) as cursor:
                cursor.execute(f"CREATE ROLE {ROLE} LOGIN")
            for number in range(rounds):
                for contender in rotated(list(rates), number):
                    own = options.folder / f"{number}-{contender}"
                    with _world(options.server, amount, folders, postgres.port, own) as world:
                        wall = _wall(world, contender, number)
                    rates[contender][number] = amount / wall
                    print(f"  round {number + 1}/{rounds} {contender}: {amount / wall:,.0f}", file=sys.stderr)
        finally:
            postgres.stop()
    where = f"{len(folders)} folders" if len(folders) > 1 else "one folder"
    return [_told(f"{amount:,} objects and rows in {where} on {options.server}, {rounds} rounds", rates, peers)]


@contextmanager
def _world(name: str, amount: int, folders: Sequence[str], postgres: int, folder: Path) -> Iterator[World]:
    """With a fresh server, whose folder stays for now: see Place.drop."""
    with serving(name, folder) as server:
        yield World(server, Copy(server, amount, folders=folders), postgres, folder)


def _wall(world: World, contender: str, number: int) -> float:
    """Seconds. All call as one user with a migration's rights: nobody checks root's, which spares versitygw much."""
    world.copies.reset()
    source = Place(world.server.name, world.copies.endpoint, world.copies.source)
    destination = Place(world.server.name, world.copies.endpoint, world.copies.target)
    wanted = _spec(source, destination, contender if contender in OURS else OURS[0])
    who = user_of_both(source, MigrationSpec.model_validate(wanted)).secret()
    return _migrated(world, wanted, who) if contender in OURS else measured(world.copies, contender, number, who).wall


def _migrated(world: World, wanted: dict[str, Any], who: dict[str, str]) -> float:
    """Seconds of copy and sweep, which did all there was to do."""
    world.rows()
    model = MigrationSpec.model_validate(wanted)
    assert model.database is not None, "it is in the spec"
    with cursor_of(dsn_of(world.postgres)) as cursor:
        cursor.execute("\n".join(sql_grants(model.database, ROLE)))
    given = {"one": who}
    given["db"] = {"PGHOST": "127.0.0.1", "PGPORT": str(world.postgres), "PGUSER": ROLE, "PGDATABASE": "postgres"}
    began: dict[str, float] = {}
    name = world.copies.target
    with driving(world.folder / name, given, wanted, name, processes=True) as driver:
        driver.pause = LOOK_SECONDS

        def watched(status: dict[str, Any]) -> bool:
            for run in status.get("runs", ())[-1:]:
                began.setdefault(run["phase"], time.monotonic())
            return ended(status)

        status = driver.until(watched, SECONDS)
    end = time.monotonic()
    moved, rewritten = status["outcomes"].get("moved"), status["rowOutcomes"].get("rewritten")
    if not condition(status, "Complete") or (moved, rewritten) != (world.copies.amount, world.copies.amount):
        raise SystemExit(f"not complete: {status}")
    world.copies.verify("")
    after = [when for when in began.values() if when > began["sweep"]]
    return min([*after, end]) - began["copy"]


def _spec(source: Place, destination: Place, guard: str) -> dict[str, Any]:
    return {
        "mode": "Apply",
        "source": source.ref(LEGACY, "one"),
        "destination": destination.ref(MODERN, "one"),
        "database": {
            "credentials": {"secretRef": {"name": "db"}},
            "references": [{"table": "avatars", "key": "id", "column": "path"}],
        },
        "guard": guard,
        "cleanup": {"policy": "Retain"},
        "worker": {"parallelism": 2, "shards": 2, "concurrency": CONCURRENCY},
    }


def _told(title: str, rates: dict[str, dict[int, float]], peers: Sequence[str]) -> dict[str, Any]:
    heads = ("", "objects/s", *(f"rate / {peer}'s" for peer in peers))
    rows = [
        (name, spread(list(found.values())), *(paired(found, rates[peer]) if name in OURS else "" for peer in peers))
        for name, found in rates.items()
    ]
    report.table(f"copied and rewritten, or only copied: {title}", heads, rows)
    return {"title": title, "heads": heads, "rows": rows}
