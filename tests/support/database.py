"""A database and a role of its own for one test, as a worker meets it: no store, no run, so each takes milliseconds."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.v1alpha1 import migration as api
from bucketops_jobs.migration.rows import Rows
from support.avatars import LEGACY, MODERN, cursor_of
from support.servers import Server, dsn_of


def trigger(body: str, when: str = "BEFORE UPDATE ON avatars FOR EACH ROW", kind: str = "TRIGGER") -> str:
    """A trigger `keeper` that does this."""
    return (
        f"CREATE FUNCTION keeper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE {kind} keeper {when} EXECUTE FUNCTION keeper();"
    )


@dataclass
class Database:
    """An administrator's view of it, and a worker's."""

    port: int
    name: str
    role: str
    root: Path

    def sql(self, statement: str, values: Any = None) -> list[Any]:
        """As the administrator."""
        with cursor_of(dsn_of(self.port, self.name)) as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def make(self, ddl: str, *paths: str) -> None:
        """A table `avatars`, with rows for these paths, and every right on it for the role."""
        self.sql(ddl)
        for path in paths:
            self.sql("INSERT INTO avatars (path) VALUES (%s)", (path,))
        self.sql(f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {self.role}")

    def rows(
        self, *, source: str = LEGACY, destination: str = MODERN, beside: Sequence[Any] = (), **reference: Any
    ) -> Rows:
        """As a worker sees the rows, over a connection of its own."""
        spec = {
            "credentials": {"secretRef": {"name": "db"}},
            "references": [{"table": "avatars", "key": "id", "column": "path"} | reference, *beside],
        }
        folder = self.root / names.SECRETS_DIR / "db"
        folder.mkdir(parents=True, exist_ok=True)
        told = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": self.role, "PGDATABASE": self.name}
        for key, value in told.items():
            (folder / key).write_text(value)
        return Rows(api.Database.model_validate(spec), self.root, source, destination)

    def paths(self) -> list[str]:
        return [path for (path,) in self.sql("SELECT path::text FROM avatars ORDER BY id")]


@pytest.fixture
def database(postgres: Server, tmp_path: Path) -> Database:
    token = secrets.token_hex(4)
    with cursor_of(dsn_of(postgres.port)) as cursor:
        cursor.execute(f"CREATE DATABASE db_{token}")
        cursor.execute(f"CREATE ROLE role_{token} LOGIN")
    return Database(postgres.port, f"db_{token}", f"role_{token}", tmp_path)
