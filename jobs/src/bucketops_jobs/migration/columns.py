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
    "enum": "which holds no values but its own",
    "bytea": "which holds bytes, compared in another way than paths",
    "array": "which holds several paths in one value",
    "composite": "which holds a path within a larger value",
    "json": "which holds a path within a larger value",
    "jsonb": "which holds a path within a larger value",
    "hstore": "which holds a path within a larger value",
    "xml": "which holds a path within a larger value",
}
_WITHIN = {"array", "composite", "json", "jsonb", "hstore", "xml"}
_APART = (
    "name {where} that holds one path per row, as text, and that the application reads (or whose changes a trigger "
    "writes back); a generated column takes no value. With no such {what}, leave the reference out only if no path in "
    "{column} names an object of the prefix"
)


@dataclass(frozen=True)
class Column:
    """What the catalog says of a column."""

    name: str
    """Of its type, beneath all domains."""
    kind: str
    """array, composite, enum, or the type's name."""
    written: str
    """The same as it is written in SQL."""
    generated: bool
    domain: str | None
    """As it is written in SQL."""


def require(session: Session, table: Table) -> None:
    """UserError where a column cannot hold rewritten paths, whatever they are."""
    found = _column(session, table)
    if found.name not in _TEXTS:
        why = f", {_WHY[found.kind]}" if found.kind in _WHY else ""
        raise UserError(
            Reason.INVALID_SPEC,
            f"{table.name} is of type {found.written}{why}: paths are rewritten in columns of type text, varchar and "
            f"citext, and of domains over them: {_remedy(found, table)}",
        )
    if found.generated:
        raise UserError(
            Reason.INVALID_SPEC,
            f"{table.name} is a generated column, which takes no value: name the column that it is computed from",
        )


def _remedy(found: Column, table: Table) -> str:
    """Return what helps: another type, or a place of its own for each path that stands within a value."""
    column = typed(table.reference.column)
    if found.kind in _WITHIN:
        where, what = ("a table", "table") if found.kind == "array" else ("a column, or a table,", "column")
        return _APART.format(where=where, what=what, column=column)
    value = f"convert_from({column}, 'UTF8')" if found.kind == "bytea" else f"{column}::text"
    return f"ALTER TABLE {table.typed} ALTER COLUMN {column} TYPE text USING {value}"


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
