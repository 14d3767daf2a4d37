"""Whether the formats of a spec fit the rows: one that fits none of them would leave every row to a deleted object.

Values of rows are shown to people, so that they see what to write; what could be a signature or a password is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import ItemError, UserError
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.merge import Item
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.migration.tables import Table, limits
from bucketops_jobs.migration.value_ranges import outside, value_ranges
from bucketops_jobs.shards import Range

_CHARACTERS = 120
_USER = re.compile(r"(?<=://)[^/@]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_SHORT_QUERY = re.compile(r"\?(v|ver|version|rev|t|ts)=[0-9.]{1,12}")
"""A version, and no secret."""


@dataclass
class Fit:
    """What a walk over everything has shown of the formats."""

    references: set[int] = field(default_factory=set)
    """Those that at least one row fits."""
    legacy: set[int] = field(default_factory=set)
    """Those by which at least one row names the legacy place."""
    objects: bool = False
    """Whether there is anything to move."""

    def add(self, tables: Sequence[Table], item: Item, *, concerns: bool) -> None:
        """Take in an item. Any text fits a format of relative paths, so there an object must be named."""
        self.objects = self.objects or (concerns and item.source is not None)
        known = item.source is not None or item.destination is not None or item.entry is not None
        for row in item.rows:
            if known or not tables[row.reference].form(legacy=row.legacy).format.relative:
                self.references.add(row.reference)
                if row.legacy or row.stays:
                    self.legacy.add(row.reference)


def require(context: Context, rows: Rows, fit: Fit) -> None:
    """UserError where rows of a reference are there and none of them is written as its format says.

    Where some have the new form already, the others count only if they name legacy objects that are there.
    """
    if not fit.objects or context.goes_back:
        return
    for table in rows.tables:
        examples = [] if table.index in fit.legacy else _examples(rows, table)
        if table.index in fit.references:
            examples = [value for value in examples if _format_of(context, value)]
        if examples:
            fitting = next(filter(None, (_format_of(context, example) for example in examples)), "")
            advice = f"format: {fitting!r} would fit" if fitting else "write in format how the key stands in the column"
            raise UserError(
                Reason.INVALID_SPEC,
                f"{table.name}: no row fits the format {table.reference.format!r}, which names objects as "
                f"{table.old.write('…')!r}; rows look like {_shown(examples)}: {advice}",
            )


def warnings(context: Context, rows: Rows) -> Iterator[str]:
    """Columns of the spec that hold legacy paths in other forms too: nobody would rewrite those rows."""
    prefix = context.spec.source.prefix
    columns = {table.column: table for table in rows.tables}
    for table in columns.values() if prefix and not context.goes_back else ():
        found = _others(rows, table, prefix)
        if found:
            formats = ", ".join(repr(one.reference.format) for one in rows.tables if one.column == table.column)
            yield (
                f"{table.name} holds paths such as {_shown(found)}, which do not fit "
                f"{formats}: they are not rewritten, and an object that only they name is moved, and deleted where "
                "cleanup.policy is Delete: add a reference with their format"
            )


def _examples(rows: Rows, table: Table) -> list[str]:
    """A few values that are in no form of the column: such that hold the legacy prefix, if there are any."""
    return _others(rows, table, table.old.prefix) or _others(rows, table, "") or _any(rows, table)


def _others(rows: Rows, table: Table, part: str) -> list[str]:
    forms = [form for one in rows.tables if one.column == table.column for form in (one.old, one.new)]
    ranges = outside([values for form in forms for values in value_ranges(form, Range())])
    values = {"part": part} | limits(ranges)
    return [value for (value,) in rows.query(f"sample {table.name}", table.statement("others", ranges), values)]


def _any(rows: Rows, table: Table) -> list[str]:
    return [value for (value,) in rows.query(f"sample {table.name}", table.statement("examples"), {})]


def _shown(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(repr(masked(value)) for value in values))


def masked(value: str) -> str:
    """A value of a row as people may see it: without user, query (unless it is a version) and end, if it is long."""
    without_user = _USER.sub("…@", value)
    query = _QUERY.search(without_user)
    if query and not _SHORT_QUERY.fullmatch(query[0]):
        without_user = without_user[: query.start() + 1] + "…"
    return without_user if len(without_user) <= _CHARACTERS else without_user[:_CHARACTERS] + "…"


def _format_of(context: Context, value: str) -> str:
    """A format by which a value names an object that is there, or nothing."""
    prefix = context.spec.source.prefix
    shown = masked(value)
    if shown != value or not set("{}").isdisjoint(value):
        return ""
    before, found, key = value.partition(prefix) if prefix else ("", "", "")
    slash = "/" if value.startswith("/") else ""
    ways = [(before, key, "key")] if found else []
    for start, written, placeholder in (*ways, (slash, value.removeprefix("/"), "key:relative")):
        for read, encoded in ((written, ""), (unquote(written), ":url")):
            if _exists(context, prefix + read):
                return f"{start}{{{placeholder}{encoded}}}"
    return ""


def _exists(context: Context, key: str) -> bool:
    try:
        return context.source.head(key) is not None
    except ItemError:
        return False
