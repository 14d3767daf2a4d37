"""The references of a spec as tables of the database: their identifiers, their keys, and the forms of their values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from bucketops_api.privileges.sql import quoted, typed
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1 import migration as api
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.database import Session, queries
from bucketops_jobs.migration.paths import Form, Format
from bucketops_jobs.migration.value_ranges import Values

_IN_RANGE = '({column}::text COLLATE "C" >= {low} AND {column}::text COLLATE "C" < {high})'
_TEXT = "{value}::text"
_INSTANT = (
    "CASE WHEN isfinite({value}) AND {value} >= '0001-01-01 00:00:00+00' "
    "THEN ({value} AT TIME ZONE 'UTC')::text || '+00' ELSE {value}::text END"
)
"""A point in time as the same text in every TimeZone."""
_ENDS = {end: _INSTANT.replace("{value}", f"{end}({{value}})") for end in ("lower", "upper")}
_PERIOD = (
    "CASE WHEN isempty({value}) THEN 'empty' ELSE"
    " CASE WHEN lower_inc({value}) THEN '[' ELSE '(' END"
    f""" || coalesce('"' || {_ENDS["lower"]} || '"', '') || ',' || coalesce('"' || {_ENDS["upper"]} || '"', '')"""
    " || CASE WHEN upper_inc({value}) THEN ']' ELSE ')' END END"
)
"""A tstzrange, which the keys of temporal tables have, with both ends told in UTC."""


@dataclass(frozen=True)
class Table:
    """One reference of the spec, resolved against the catalog."""

    index: int
    reference: api.Reference
    key_types: tuple[str, ...]
    """Of the columns of the key, as they are written in SQL."""
    column_type: str
    """Beneath its domains."""
    width: int | None
    old: Form
    new: Form

    @property
    def name(self) -> str:
        """As people write it."""
        return typed(self.reference.schema_, self.reference.table, self.reference.column)

    @property
    def typed(self) -> str:
        """The table alone, as it can be typed."""
        return typed(self.reference.schema_, self.reference.table)

    @property
    def regclass(self) -> str:
        """As to_regclass() reads it."""
        return f"{quoted(self.reference.schema_)}.{quoted(self.reference.table)}"

    @property
    def column(self) -> tuple[str, str, str]:
        """The schema, the table and the column."""
        return self.reference.schema_, self.reference.table, self.reference.column

    @property
    def stays(self) -> bool:
        """Whether a row has the same value for both places: it names the one that the application looks into."""
        return self.old.format == self.new.format and self.old.format.relative

    def form(self, *, legacy: bool) -> Form:
        """How the keys of a place are written."""
        return self.old if legacy else self.new

    def statement(self, query: str, within: Sequence[Values] = ()) -> sql.Composed:
        """Return one of the queries with this table's identifiers, and with the ranges that a value may lie in.

        It is executed with values, `limits(within)` among them: a percent sign in an identifier is doubled.
        """
        keys, names = self.reference.keys, [f"k{n}" for n in range(len(self.reference.keys))]
        column = _identifier(self.reference.column)
        return sql.SQL(queries()[query]).format(
            table=sql.SQL(".").join(map(_identifier, (self.reference.schema_, self.reference.table))),
            column=column,
            within=_within(column, len(within)),
            keys=_each(self._texts("t.{key}"), keys, names),
            key_names=_each("{name}", keys, names),
            key_arrays=_each("{array}::text[]", keys, names),
            key_values=_each("w.{name}::{type} AS {name}", keys, names, self.key_types),
            same_as_wanted=_each("t.{key} = wanted.{name}", keys, names, join=" AND "),
            held_keys=_each("t.{key} AS {name}", keys, names),
            keys_held=_each(self._texts("held.{name}"), keys, names),
            key_order=_each("t.{key}", keys, names),
            same_as_held=_each("t.{key} = held.{name}", keys, names, join=" AND "),
        )

    def _texts(self, value: str) -> list[str]:
        """How each column of the key becomes a text, which the journal knows the row by."""
        return [_as_text(type_).replace("{value}", value) for type_ in self.key_types]

    def pk(self, key: Sequence[str]) -> str:
        """The primary key as one text: of one column its value, of several a JSON list of theirs."""
        return key[0] if len(key) == 1 else json.dumps(list(key), ensure_ascii=False)

    def key_arrays(self, pks: Iterable[str]) -> dict[str, Any]:
        """Primary keys as the values of a statement: an array per column."""
        columns = len(self.reference.keys)
        keys = [[pk] if columns == 1 else json.loads(pk) for pk in pks]
        return {f"k{number}": [key[number] for key in keys] for number in range(columns)}


def _as_text(type_: str) -> str:
    if type_ == "tstzrange":
        return f"({_PERIOD})"
    return _INSTANT if type_.startswith("timestamp") and type_.endswith("with time zone") else _TEXT


def limits(within: Sequence[Values]) -> dict[str, Any]:
    """The values of a statement that looks into ranges."""
    return {
        f"{end}{n}": value for n, ends in enumerate(within) for end, value in zip(("low", "high"), ends, strict=True)
    }


def describe(session: Session, index: int, ref: api.Reference, source_prefix: str, destination_prefix: str) -> Table:
    """The table of a reference; UserError where it, or one of its columns, does not exist."""
    table, columns = typed(ref.schema_, ref.table), (*ref.keys, ref.column)
    values = {"table": f"{quoted(ref.schema_)}.{quoted(ref.table)}", "columns": list(columns)}
    found = {
        name: (type_, width) for name, type_, width in session.query(f"look for {table}", queries()["describe"], values)
    }
    missing = [name for name in columns if name not in found]
    if missing:
        raise UserError(
            Reason.TABLE_NOT_FOUND,
            f"table {table} with {_columns(missing)} does not exist, or this role may not see it: mend "
            "spec.database.references",
        )
    old, new = Format.parse(ref.format), Format.parse(ref.written_format)
    return Table(
        index,
        ref,
        key_types=tuple(found[name][0] for name in ref.keys),
        column_type=found[ref.column][0],
        width=found[ref.column][1],
        old=Form(old, source_prefix),
        new=Form(new, destination_prefix),
    )


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' * (len(names) > 1)} {' and '.join(map(typed, names))}"


def _within(column: sql.Composable, amount: int) -> sql.Composable:
    ranges = [
        sql.SQL(_IN_RANGE).format(column=column, low=sql.Placeholder(f"low{n}"), high=sql.Placeholder(f"high{n}"))
        for n in range(amount)
    ]
    return sql.SQL(" OR ").join(ranges) if ranges else sql.SQL("false")


def _each(
    template: str | Sequence[str],
    keys: Sequence[str],
    names: Sequence[str],
    types: Sequence[str] = (),
    *,
    join: str = ", ",
) -> sql.Composed:
    """A part of a statement for each column of the key."""
    templates = [template] * len(keys) if isinstance(template, str) else template
    kinds = types or [""] * len(keys)
    return sql.SQL(join).join(
        sql.SQL(one).format(
            key=_identifier(key), name=sql.SQL(name), array=sql.Placeholder(name), type=_literally(type_)
        )
        for one, key, name, type_ in zip(templates, keys, names, kinds, strict=True)
    )


def _identifier(name: str) -> sql.SQL:
    return _literally(quoted(name))


def _literally(text: str) -> sql.SQL:
    """A part of a statement that is executed with values, where a percent sign is written twice."""
    return sql.SQL(text.replace("%", "%%"))
