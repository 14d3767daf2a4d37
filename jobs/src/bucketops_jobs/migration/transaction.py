"""What each transaction sets for itself, and nothing beyond it: behind a pooler the next one is somebody else's.

A pooler in transaction mode hands the same server connection to others afterwards, so nothing may be set for a
session: https://www.pgbouncer.org/features.html#sql-feature-map-for-pooling-modes
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg2 import sql

from bucketops_api import names
from bucketops_api.v1alpha1.migration import Database
from bucketops_api.v1alpha1.scalars import parse_duration

STATEMENT_TIMEOUT = "60s"
REPLICA = "bucketops: a replica"
"""No value of any setting: PostgreSQL refuses it, and says it in its error whatever its language is."""
_SET = "SELECT set_config({name}, CASE WHEN pg_is_in_recovery() THEN {replica} ELSE {value} END, true);\n"


def settings(database: Database) -> dict[str, str]:
    """Return the settings of every transaction by name. The one list: what is not in it keeps the role's value."""
    lock_milliseconds = int(parse_duration(database.lock_timeout).total_seconds() * 1000)
    return {
        "lock_timeout": f"{lock_milliseconds}ms",
        "statement_timeout": STATEMENT_TIMEOUT,
        "row_security": "off",  # rows that a policy hides are an error, and no shorter answer
        "extra_float_digits": "1",  # keys are told as texts: every digit of them, whatever the role prefers
        "DateStyle": "ISO",  # triggers keep the order of day and month, and TimeZone, of the role
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "application_name": names.MANAGER,  # as a parameter of the connection it stays with pgbouncer's
    }


def alone(statement: sql.Composable | str, wanted: Mapping[str, str]) -> sql.Composed:
    """Return a statement as a transaction of its own, with its settings, in one message.

    The statements of one message are one transaction, and each has the whole statement_timeout:
    https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
    """
    return _local(wanted) + (sql.SQL(statement) if isinstance(statement, str) else statement)


def begin(wanted: Mapping[str, str]) -> sql.Composed:
    """Return what begins a transaction of several statements, with its settings.

    A stricter isolation, by default of the role, would fail where a row was waited for.
    """
    return sql.SQL("BEGIN ISOLATION LEVEL READ COMMITTED;\n") + _local(wanted)


def snapshot(wanted: Mapping[str, str]) -> sql.Composed:
    """Return what begins a transaction that reads one snapshot, with its settings."""
    return sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n") + _local(wanted)


def _local(wanted: Mapping[str, str]) -> sql.Composed:
    """Settings until the end of the transaction; a replica refuses them, whichever server a pooler has chosen."""
    return sql.Composed(
        sql.SQL(_SET).format(name=sql.Literal(name), replica=sql.Literal(REPLICA), value=sql.Literal(value))
        for name, value in wanted.items()
    )
