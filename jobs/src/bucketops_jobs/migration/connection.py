"""The connection to PostgreSQL: where from, and what its errors mean. database.py and tables.py know psycopg2 too."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import errorcodes, errors, extensions

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.migration import Database
from bucketops_jobs.errors import DatabaseError, DatabaseUnreachableError, UserError
from bucketops_jobs.s3.identity import ca_file, secret

CONNECT_SECONDS = 5
ATTEMPTS = 4
_URLS = ("DATABASE_URL", "uri")
_FIELDS = {
    "host": ("PGHOST", "host"),
    "port": ("PGPORT", "port"),
    "user": ("PGUSER", "username"),
    "password": ("PGPASSWORD", "password"),
    "dbname": ("PGDATABASE", "dbname"),
}
_TRANSIENT = {
    errorcodes.LOCK_NOT_AVAILABLE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.QUERY_CANCELED,
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.ADMIN_SHUTDOWN,
    errorcodes.CRASH_SHUTDOWN,
    errorcodes.CANNOT_CONNECT_NOW,
    errorcodes.READ_ONLY_SQL_TRANSACTION,
}
_PRIMARY = "primary"
"""What a replica says is late, and after a failover the old address may be one:
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS"""


def parameters(database: Database, root: Path) -> dict[str, Any]:
    """Libpq's parameters from the mounted Secret; UserError names what is missing."""
    name = database.credentials.secret_ref.name
    found = secret(root, name)
    common = {"sslmode": database.ssl_mode, "connect_timeout": CONNECT_SECONDS, "application_name": "bucketops"}
    common["target_session_attrs"] = _PRIMARY
    if database.ca_bundle:
        common["sslrootcert"] = str(ca_file(database.ca_bundle, root))
    if url := next((found[key] for key in _URLS if found.get(key)), None):
        return {"dsn": url, **common}
    given = {field: found[key] for field, keys in _FIELDS.items() for key in keys if found.get(key)}
    missing = [keys[0] for field, keys in _FIELDS.items() if field not in given and field in {"host", "user", "dbname"}]
    if missing:
        what = f"has no {', '.join(missing)}" if found else "does not exist"
        raise UserError(
            Reason.CREDENTIALS_MISSING,
            f"Secret {name} (database) {what}: create it with DATABASE_URL, or PGHOST, PGUSER, PGPASSWORD, PGDATABASE",
        )
    return given | common


def connect(database: Database, root: Path) -> extensions.connection:
    """A connection to the primary, in autocommit mode.

    UserError when the server refuses, DatabaseUnreachableError when none answers that can write.
    """
    wanted = parameters(database, root)
    for attempt in range(ATTEMPTS):
        try:
            connection: extensions.connection = psycopg2.connect(**wanted)
        except psycopg2.OperationalError as error:
            text = str(error).strip().replace("\n", " ")
            if _refused(text):
                raise UserError(Reason.DATABASE_REFUSED, f"the database refused the connection: {text}") from error
            if attempt == ATTEMPTS - 1:
                raise DatabaseUnreachableError(
                    f"the database cannot be reached: {text}; mend the Secret's host and port (of the primary)"
                ) from error
            time.sleep(2**attempt / 2)
            continue
        connection.autocommit = True
        return connection
    raise AssertionError("unreachable")


def _refused(text: str) -> bool:
    refusals = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied", "no password")
    return any(part in text for part in refusals)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """psycopg2's errors as DatabaseError, in one place."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise UserError(Reason.ACCESS_DENIED, f"{what}: {_text(error)}: {_remedy(_text(error))}") from error
    except psycopg2.Error as error:
        lost = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
        transient = error.pgcode in _TRANSIENT or (lost and error.pgcode is None)
        locked = error.pgcode == errorcodes.LOCK_NOT_AVAILABLE
        raise DatabaseError(f"{what}: {_text(error)}", transient=transient, locked=locked) from error


def _remedy(text: str) -> str:
    schema = re.search(r"permission denied for schema (\S+)", text)
    if schema:
        return f"GRANT USAGE ON SCHEMA {schema[1]} to this role"
    return "`bucketops policy S3Migration -f FILE --part database` prints the GRANTs"


def _text(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
