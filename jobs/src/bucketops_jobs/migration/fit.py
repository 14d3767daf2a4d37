"""Whether the formats of a spec fit the rows: one that fits none of them would leave every row to a deleted object.

A row fits if it names an object that is there (or was, as the journal says): many a text can be read as a key.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import ItemError, UserError
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.lookup import listed
from bucketops_jobs.migration.merge import Item
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.migration.spellings import Spelling, masked, spellings
from bucketops_jobs.migration.tables import Table, limits
from bucketops_jobs.migration.value_ranges import outside, value_ranges
from bucketops_jobs.s3.store import Store
from bucketops_jobs.shards import Range, Sampler, spread

_KEPT = 16
_SHOWN = 3


def _sampler() -> Sampler:
    return Sampler([], most=_KEPT)


@dataclass
class Fit:
    """What a walk over everything has shown of the formats."""

    references: set[int] = field(default_factory=set)
    """Those that at least one row fits."""
    legacy: set[int] = field(default_factory=set)
    """Those by which at least one row names an object of the legacy place."""
    objects: Sampler = field(default_factory=_sampler)
    """Keys of what there is to move."""
    lost: defaultdict[int, Sampler] = field(default_factory=partial(defaultdict, _sampler))
    """By reference, values that are read as a key of the legacy place, and name no object."""

    def add(self, item: Item, *, concerns: bool) -> None:
        """Take in an item."""
        if concerns and item.source is not None:
            self.objects.add(item.key)
        known = item.source is not None or item.destination is not None or item.entry is not None
        for row in item.rows:
            if known:
                self.references.add(row.reference)
                if row.legacy or row.stays:
                    self.legacy.add(row.reference)
            elif row.legacy:
                self.lost[row.reference].add(row.value)


def require(context: Context, rows: Rows, fit: Fit) -> None:
    """UserError where rows of a reference are there and none of them names an object by its format.

    Where some have the new form already, the others count only if they name legacy objects that are still to be moved.
    """
    if not fit.objects.seen or context.goes_back:
        return
    for table in rows.tables:
        if table.index not in fit.legacy:
            examples = _examples(rows, table, fit)
            if table.index in fit.references:
                examples = [value for value in examples if _spelling_of(context, value, _is_to_be_moved)]
            if examples:
                raise UserError(Reason.INVALID_SPEC, _refusal(context, table, fit, examples))


def _refusal(context: Context, table: Table, fit: Fit, examples: Sequence[str]) -> str:
    names = f"no row fits the format {table.reference.format!r}, which names objects as {table.old.write('…')!r}"
    advice = _advice(context, table, examples) or "write in format how the key stands in the column"
    if table.index in fit.lost:
        names = f"no row fits the format {table.reference.format!r} and names an object that is there"
        advice += "; if the objects of these rows are gone, correct the rows or leave the reference out"
    objects = _shown([context.source_key(key) for key in fit.objects.keys])
    return f"{table.name}: {names}; rows look like {_shown(examples)}, objects like {objects}: {advice}"


def _advice(context: Context, table: Table, examples: Sequence[str]) -> str:
    """Return the format that fits most of the examples, in words, or nothing."""
    found = Counter(
        (way.format, way.new_format) for value in examples if (way := _spelling_of(context, value, _is_there))
    )
    if not found:
        return ""
    ((text, new), count), *_ = found.most_common(1)
    wanted = f"format: {text!r}"
    if new and not table.reference.new_format:
        wanted += f" with newFormat: {new!r}"
    return f"{wanted} would fit" + (f" {count} of {len(examples)} of these" if count < len(examples) else "")


def warnings(context: Context, rows: Rows, fit: Fit) -> Iterator[str]:
    """Rows that nobody would rewrite: they hold legacy paths in other forms too, or name no object."""
    if context.goes_back:
        return
    for table in rows.tables:
        if table.index in fit.lost:
            yield _lost(context, table, fit.lost[table.index])
    prefix = context.spec.source.prefix
    columns = {table.column: table for table in rows.tables}
    for table in columns.values() if prefix else ():
        found = _others(rows, table, prefix)
        if found:
            formats = ", ".join(repr(one.reference.format) for one in rows.tables if one.column == table.column)
            yield (
                f"{table.name} holds paths such as {_shown(found)}, which do not fit "
                f"{formats}: they are not rewritten, and an object that only they name is moved, and deleted where "
                "cleanup.policy is Delete: add a reference with their format"
            )


def _lost(context: Context, table: Table, lost: Sampler) -> str:
    advice = _advice(context, table, lost.keys)
    return (
        f"{table.name}: rows that fit the format {table.reference.format!r} and name no object: {lost.seen}, such as "
        f"{_shown(lost.keys)}: they stay as they are (missingSource), and an object that they mean otherwise is moved, "
        "and deleted where cleanup.policy is Delete" + (f": {advice}" if advice else "")
    )


def _examples(rows: Rows, table: Table, fit: Fit) -> list[str]:
    """Return a few values that name no object by the column's forms, those that hold the legacy prefix first."""
    lost = fit.lost[table.index].keys if table.index in fit.lost else []
    return [*lost, *_others(rows, table, table.old.prefix)] or _others(rows, table, "") or _any(rows, table)


def _others(rows: Rows, table: Table, part: str) -> list[str]:
    forms = [form for one in rows.tables if one.column == table.column for form in (one.old, one.new)]
    ranges = outside([values for form in forms for values in value_ranges(form, Range())])
    values = {"part": part} | limits(ranges)
    return [value for (value,) in rows.query(f"sample {table.name}", table.statement("others", ranges), values)]


def _any(rows: Rows, table: Table) -> list[str]:
    return [value for (value,) in rows.query(f"sample {table.name}", table.statement("examples"), {})]


def _shown(values: Sequence[str]) -> str:
    return ", ".join(repr(value) for value in spread(list(dict.fromkeys(map(masked, values))), _SHOWN))


def _spelling_of(context: Context, value: str, holds: Callable[[Context, str], bool]) -> Spelling | None:
    """Return the first way to read a value by which it names an object for which something holds."""
    ways = spellings(value, context.spec.source.prefix)
    return next((way for way in ways if holds(context, way.key)), None)


def _is_there(context: Context, key: str) -> bool:
    return _shows(context.source, context.spec.source.prefix, key)


def _is_to_be_moved(context: Context, key: str) -> bool:
    """Whether an object is there that no run has moved: what one has, it has told of."""
    return _is_there(context, key) and not _shows(context.destination, context.spec.destination.prefix, key)


def _shows(store: Store, prefix: str, key: str) -> bool:
    """Whether a listing shows a key: HEAD believes too much where a server folds names."""
    try:
        return listed(store, prefix, key) is not None
    except ItemError:
        return False
