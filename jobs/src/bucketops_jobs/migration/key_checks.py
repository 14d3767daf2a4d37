"""Whether a reference's key addresses exactly one row: refused before anything is copied, with what would help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bucketops_api.privileges.sql import typed
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.database import Session, queries
from bucketops_jobs.migration.tables import Table


@dataclass(frozen=True)
class Unique:
    """A unique index on columns of the key, and what keeps it from making rows unique."""

    name: str
    invalid: bool
    partial: bool
    deferrable: bool
    otherwise: bool
    """Whether it tells values apart that `=` takes for equal."""

    @property
    def flaw(self) -> str:
        """Why it does not count, or nothing."""
        return next(self._flaws(), "")

    def _flaws(self) -> Iterator[str]:
        if self.invalid:
            yield f"{self.name} is not valid, since it could not be built: REINDEX INDEX CONCURRENTLY {self.name}"
        if self.partial:
            yield f"{self.name} is unique for a part of the rows alone: name a key that is unique for all"
        if self.deferrable:
            yield f"{self.name} is unique at the end of a transaction alone (DEFERRABLE): name a key that always is"
        if self.otherwise:
            yield f"{self.name} tells values apart that = takes for equal (its collation or operator class is another)"


def require(session: Session, table: Table) -> None:
    """UserError unless the named columns are never null, unique together, and untouched by a rewrite."""
    keys = list(table.reference.keys)
    if table.reference.column in keys:
        raise _refusal(
            table,
            f"{typed(table.reference.column)} is a part of the key, so that a rewrite would make another row of it: "
            "name a unique key without it",
        )
    values = {"table": table.regclass, "keys": keys, "column": table.reference.column}
    _require_unique(table, [Unique(*row) for row in session.query("look at the indexes", queries()["unique"], values)])
    computed = [name for (name,) in session.query("look at the key", queries()["computed"], values)]
    if computed:
        raise _refusal(
            table,
            f"{_listed(computed)} of the key is computed from {typed(table.reference.column)}, so that a rewrite would "
            "make another row of it: name a unique key without it",
        )
    named = [name for (name,) in session.query("look at the key", queries()["named"], values)]
    if named:
        raise _refusal(
            table,
            f"{_listed(named)} of the key names an object of the database, and another text names it once it has "
            "another name or is gone: name a unique key without it",
        )
    nullable = [name for (name,) in session.query("look at the key", queries()["nullable"], values)]
    if nullable:
        remedies = ", ".join(f"ALTER COLUMN {typed(name)} SET NOT NULL" for name in nullable)
        raise _refusal(
            table,
            f"{_listed(nullable)} may be null, and a row without a key cannot be addressed: name the primary key in "
            f"key, or ALTER TABLE {table.typed} {remedies}",
        )


def _require_unique(table: Table, found: list[Unique]) -> None:
    if any(not index.flaw for index in found):
        return
    keys = table.reference.keys
    isnt, together = ("is not", "") if len(keys) == 1 else ("are not", " together")
    why = f" ({found[0].flaw})" if found else ""
    raise _refusal(
        table,
        f"{_listed(keys)} {isnt} unique{together}{why}: name the primary key in key, all of its columns if it has "
        "several, such as key: [id, created]",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(typed, names))


def _refusal(table: Table, words: str) -> UserError:
    return UserError(Reason.INVALID_SPEC, f"{table.name}: {words}")
