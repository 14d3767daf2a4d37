"""The references of a spec as tables of the database: their identifiers, and which values a range of keys has."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1 import migration as api
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.database import Session, queries
from bucketops_jobs.migration.paths import Format
from bucketops_jobs.shards import Range

HIGHEST = "\U0010ffff"
"""Sorts after every character in the C collation of a UTF8 database."""
LOWEST = "\x01"
"""Sorts before every other character that PostgreSQL can hold: a text and this is the text's successor."""


@dataclass(frozen=True)
class Table:
    """One reference of the spec, resolved against the catalog."""

    index: int
    reference: api.Reference
    key_type: str
    width: int | None
    row_estimate: int
    old: Format
    new: Format

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.reference.schema_}.{self.reference.table}.{self.reference.column}"

    @property
    def regclass(self) -> str:
        """As to_regclass() reads it."""
        return _regclass(self.reference)

    def statement(self, query: str) -> sql.Composed:
        """One of the queries with this table's identifiers."""
        ref = self.reference
        return sql.SQL(queries()[query]).format(
            table=sql.Identifier(ref.schema_, ref.table),
            key=sql.Identifier(ref.key),
            column=sql.Identifier(ref.column),
            key_type=sql.SQL(self.key_type),
        )


def describe(session: Session, index: int, ref: api.Reference) -> Table:
    """The table of a reference; UserError where it, or one of its columns, does not exist."""
    values = {"table": _regclass(ref), "key": ref.key, "column": ref.column}
    found = session.query(f"look for {values['table']}", queries()["describe"], values)
    if not found:
        raise UserError(
            Reason.TABLE_NOT_FOUND,
            f"table {values['table']} with columns {ref.key} and {ref.column} does not exist, or this role may not "
            "see it: mend spec.database.references",
        )
    key_type, width, _, estimate = found[0]
    old, new = Format.parse(ref.format), Format.parse(ref.written_format)
    return Table(index, ref, key_type, width, max(0, estimate), old, new)


def value_range(form: Format, prefix: str, within: Range) -> tuple[str, str]:
    """[low, high) of the column's values for a range of keys; wider where values do not sort as keys do."""
    if form.quoted:  # one key has several percent-encodings
        return form.before, form.before + HIGHEST
    start = form.before + prefix
    if not form.in_key_order:
        return start, start + HIGHEST
    return start + within.after, start + (HIGHEST if within.until is None else within.until + LOWEST)


def _regclass(ref: api.Reference) -> str:
    quoted = (part.replace('"', '""') for part in (ref.schema_, ref.table))
    return ".".join(f'"{part}"' for part in quoted)
