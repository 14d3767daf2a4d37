"""What a pooler between us and the database must be able to do: keep a transaction on one connection."""

from __future__ import annotations

from psycopg2 import sql

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DatabaseError, UserError
from bucketops_jobs.migration.connection import translated
from bucketops_jobs.migration.database import Session

_TRIES = 3
_PROCESS = sql.SQL("SELECT pg_backend_pid()")


def require_transactions(session: Session) -> None:
    """Raise UserError where single statements are answered and no transaction ever is: a pool in statement mode."""
    for _ in range(_TRIES):
        if _keeps_a_transaction(session):
            return
        session.query("look for a pooler", _PROCESS)  # raises where it is the database that does not answer
    raise UserError(
        Reason.DATABASE_REFUSED,
        "the database answers single statements and no transaction of several: the Secret seems to name a pooler in "
        "statement mode: set pool_mode = transaction (or session) for this database, or name the database itself",
    )


def _keeps_a_transaction(session: Session) -> bool:
    try:
        with translated("begin a transaction"), session.snapshot() as stream:
            processes = {process for _ in range(2) for (process,) in stream(_PROCESS, {})}
    except DatabaseError:
        session.close()
        return False
    return len(processes) == 1
