"""What this role and its sessions cannot see, or cannot write: found before anything is copied, and named.

A row that the role does not see may name an object that would be deleted, so a table is refused unless all of its rows
are seen: https://www.postgresql.org/docs/current/ddl-rowsecurity.html, …/ddl-inherit.html, …/sql-createrule.html.
"""

from __future__ import annotations

from dataclasses import dataclass

from bucketops_api.privileges.sql import typed as quoted
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.database import Session, queries
from bucketops_jobs.migration.tables import Table

_KINDS = {
    "v": "a view: name the table whose rows it shows",
    "m": "a materialized view: name the table that it is made of",
    "f": "a foreign table, whose rows lie on another server: connect to that server and name the table there",
}
_CATALOG, _TEMPORARY = "pg_catalog", "pg_temp"
_ORIGIN = "origin"
"""Of session_replication_role: triggers and foreign keys act."""


@dataclass(frozen=True)
class Relation:
    """What the catalog says of a table, for the role that asks."""

    kind: str
    """`pg_class.relkind`: r is a table, p a partitioned one."""
    persistence: str
    owner: str
    hides: bool
    """Whether row level security is active for this role."""
    forced: bool
    """Whether it is active for the owner too."""
    root: str | None
    """The partitioned table that this is a partition of."""
    heirs: list[str] | None
    """Tables that inherit from this one."""
    ancestors: list[str] | None
    """Tables that this one inherits its paths from."""
    abroad: list[str] | None
    """Partitions that are foreign tables."""
    rules: list[str] | None
    """ON UPDATE."""


def require(session: Session, table: Table) -> None:
    """UserError where rows of a table may be hidden from this role, or where no UPDATE reaches them."""
    role = require_session(session)
    found = require_whole(session, table)
    _require_all_rows(table, found, role)


def require_whole(session: Session, table: Table) -> Relation:
    """What the catalog says of a table; UserError where it is not the whole of its rows, or takes no UPDATE."""
    values = {"table": table.regclass, "column": table.reference.column}
    found = Relation(*session.query(f"look at {table.name}", queries()["relation"], values)[0])
    _require_a_table(table, found)
    return found


def require_session(session: Session) -> str:
    """The name of the role; UserError where its sessions write nothing, act otherwise, or take others' operators."""
    role, path, in_recovery, read_only, acts = session.query("look at the session", queries()["session"])[0]
    first = next((schema for schema in path if not schema.startswith(_TEMPORARY)), _CATALOG)
    if first != _CATALOG:
        raise UserError(
            Reason.DATABASE_REFUSED,
            f"the search_path of role {role} puts schema {first} before {_CATALOG}, so that operators of {first} could "
            f"decide what is equal: ALTER ROLE {quoted(role)} SET search_path without {_CATALOG} in it",
        )
    if read_only == "on" and not in_recovery:
        raise UserError(
            Reason.DATABASE_REFUSED,
            f"sessions of role {role} are read-only, and no path can be rewritten: ALTER ROLE {quoted(role)} SET "
            "default_transaction_read_only = off (or where the server, the database or the Secret sets it)",
        )
    if acts != _ORIGIN:
        raise UserError(
            Reason.DATABASE_REFUSED,
            f"sessions of role {role} have session_replication_role = {acts}, so that no trigger and no foreign key "
            f"acts, and rows that should follow a rewrite would not: ALTER ROLE {quoted(role)} RESET "
            "session_replication_role (or where the server, the database or the Secret sets it)",
        )
    return str(role)


def _require_a_table(table: Table, found: Relation) -> None:
    name = table.typed
    if found.kind not in {"r", "p"}:
        what = _KINDS.get(found.kind, "no table: name the table that holds the rows")
        raise UserError(Reason.INVALID_SPEC, f"{name} is {what}")
    if found.persistence == "t":
        raise UserError(Reason.INVALID_SPEC, f"{name} is a temporary table, which other sessions do not see")
    if found.root is not None:
        raise UserError(
            Reason.INVALID_SPEC,
            f"{name} is a partition of {found.root}, whose other partitions may name the same objects: name the table "
            f"{found.root}",
        )
    if found.heirs:
        raise UserError(
            Reason.INVALID_SPEC,
            f"{', '.join(found.heirs)} inherit from {name}: a key is unique in each of these tables alone, and a "
            "rewrite could reach the wrong row; make them partitions of one table",
        )
    if found.ancestors:
        raise UserError(
            Reason.INVALID_SPEC,
            f"{name} inherits its paths from {found.ancestors[0]}, whose own rows and other heirs may name the same "
            f"objects: ALTER TABLE {name} NO INHERIT {found.ancestors[0]} and give each of these tables a reference, "
            "or make them partitions of one table",
        )
    if found.abroad:
        raise UserError(
            Reason.INVALID_SPEC, f"partitions of {name} lie on another server ({', '.join(found.abroad)}): detach them"
        )
    if found.rules:
        rules = ", ".join(found.rules)
        raise UserError(
            Reason.INVALID_SPEC,
            f"{name} has rules ON UPDATE ({rules}), which put something else in place of a rewrite: "
            f"ALTER TABLE {name} DISABLE RULE {quoted(found.rules[0])} for the time of the migration",
        )


def _require_all_rows(table: Table, found: Relation, role: str) -> None:
    if not found.hides:
        return
    name = table.typed
    other = f"GRANT {quoted(found.owner)} TO {quoted(role)}"
    if found.forced:
        other = f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY and {other}"
    raise UserError(
        Reason.ACCESS_DENIED,
        f"row level security of {name} may hide rows from role {role}, and an object that a hidden row names would be "
        f"deleted: ALTER ROLE {quoted(role)} BYPASSRLS (or {other})",
    )
