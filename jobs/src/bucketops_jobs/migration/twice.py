"""Paths that can be read twice: as a new path of one object, and as the legacy path of another.

`image/image/a` moves to the root of a bucket and is named `image/a` there, which reads as the legacy path of `a`: the
next sweep would rewrite it again, and the row would name another picture. Where new paths can look so, each is
looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.merge import Item, Row
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.migration.tables import Table

AT_ONCE = 1000
_REMEDY = "choose another destination prefix or a newFormat that tells both places apart"


def why_not(rows: Rows, row: Row, key: str) -> str:
    """Why a legacy row of a key cannot be rewritten: its new path would be read as a legacy one. Empty if it can."""
    if not rows.readers[row.reference]:
        return ""
    table = rows.tables[row.reference]
    written = table.new.write(key)
    if (other := _legacy(rows, table, written)) is None:
        return ""
    return (
        f"{table.name}: {table.old.write(key)!r} would become {written!r}, which is the legacy path of {other!r} too: "
        f"{_REMEDY}, or leave such keys out with filter"
    )


def _legacy(rows: Rows, table: Table, value: str) -> str | None:
    """The relative key that a new path of a reference names when it is read as a legacy one."""
    keys = (other.old.read(value) for other in rows.readers[table.index])
    return next((key for key in keys if key is not None), None)


class Doubles:
    """What a walk over everything has shown of such paths; a bounded number of them is held."""

    def __init__(self, rows: Rows | None) -> None:
        self._rows = rows
        self._asked = [table for table in rows.tables if rows.readers[table.index]] if rows else []
        self._natives: list[str] = []
        self._found = ""

    def add(self, item: Item, *, concerns: bool) -> None:
        """Take in an item: its rows are rewritten if it concerns us, and what the destination has may be named by rows.

        Rows of both kinds are read as legacy ones.
        """
        if not self._asked or self._rows is None or self._found:
            return
        legacy = item.legacy if concerns else ()
        self._found = next(filter(None, (why_not(self._rows, row, item.key) for row in legacy)), "")
        if item.destination is not None and "\0" not in item.key:
            self._natives.append(item.key)
        if len(self._natives) == AT_ONCE:
            self._look()

    def _look(self) -> None:
        """Ask for rows that name objects of the destination by paths that are legacy paths too."""
        if self._rows is not None and self._natives and not self._found:
            self._found = next(self._named(self._rows), "")
        self._natives.clear()

    def _named(self, rows: Rows) -> Iterator[str]:
        for table in self._asked:
            written = map(table.new.write, self._natives)
            values = {value: other for value in written if (other := _legacy(rows, table, value)) is not None}
            statement = table.statement("naming")
            for (value,) in rows.query(f"read {table.name}", statement, {"values": list(values)}) if values else ():
                yield (
                    f"{table.name}: a row holds {value!r}, which names objects of both places (of the legacy place "
                    f"{table.old.write(values[value])!r}), and both may be meant: {_REMEDY}"
                )

    def require_none(self) -> None:
        """UserError with an example, if there is any."""
        self._look()
        if self._found:
            raise UserError(Reason.OVERLAP, self._found)
