"""Whether a column holds paths as they are written, and takes rewritten ones; found before anything is copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg2 import sql

from bucketops_api.privileges.sql import typed
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DatabaseError, UserError
from bucketops_jobs.migration.database import Session, queries
from bucketops_jobs.migration.tables import Table

_TEXTS = {"text", "varchar", "citext"}
"""Types that keep every character. All of them, and domains over them, are compared as text in the collation "C"."""
_WHY = {
    "bpchar": "which drops blanks at the end",
    "name": "which cuts whatever is longer than 63 bytes",
}


@dataclass(frozen=True)
class Column:
    """What the catalog says of a column."""

    name: str
    """Of its type, beneath all domains."""
    written: str
    """The same as it is written in SQL."""
    generated: bool
    domain: str | None
    """As it is written in SQL."""


def require(session: Session, table: Table) -> None:
    """UserError where a column cannot hold rewritten paths, whatever they are."""
    found = _column(session, table)
    ref = table.reference
    if found.name not in _TEXTS:
        why = f", {_WHY[found.name]}" if found.name in _WHY else ""
        raise UserError(
            Reason.INVALID_SPEC,
            f"{table.name} is of type {found.written}{why}: paths are rewritten in columns of type text, varchar and "
            f"citext, and of domains over them: ALTER TABLE {table.typed} ALTER COLUMN {typed(ref.column)} TYPE text",
        )
    if found.generated:
        raise UserError(
            Reason.INVALID_SPEC,
            f"{table.name} is a generated column, which takes no value: name the column that it is computed from",
        )


def _column(session: Session, table: Table) -> Column:
    values = {"table": table.regclass, "column": table.reference.column}
    return Column(*session.query(f"look at {table.name}", queries()["column"], values)[0])


def warnings(session: Session, table: Table) -> Iterator[str]:
    """What a domain says of one rewritten path: its rows would fail, each with these words."""
    found = _column(session, table)
    if found.domain is None or table.stays:
        return
    for (value,) in session.query(f"read {table.name}", table.statement("sample"), {"start": table.old.start}):
        key = table.old.read(value)
        if key is None:
            continue
        new = table.new.write(key)
        cast = sql.SQL(queries()["cast"]).format(domain=sql.SQL(found.domain.replace("%", "%%")))
        try:
            session.query(f"try {table.name}", cast, {"value": new})
        except DatabaseError as error:
            yield f"rows of {table.name} would fail: {error}, for paths such as {new!r}; change the domain"
