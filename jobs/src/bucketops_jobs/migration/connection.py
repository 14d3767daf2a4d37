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

from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.migration import Database
from bucketops_jobs.errors import DatabaseError, DatabaseReadOnlyError, DatabaseUnreachableError, UserError
from bucketops_jobs.migration import database_secret, libpq, refusal
from bucketops_jobs.migration.transaction import REPLICA
from bucketops_jobs.s3.identity import ca_file, secret

CONNECT_SECONDS = 5
_OLD_LIBPQ = (
    f"libpq {extensions.libpq_version() // 10_000} of this worker does not know all parameters that the database's "
    "Secret names: leave out those that are newer"
)
ATTEMPTS = 4
_LEARNED = {"PGHOST": "host", "PGUSER": "user", "PGDATABASE": "dbname", "PGPASSWORD": "password"}
"""What stands within a URL is no more to be read than the URL."""
_TRANSIENT = {
    errorcodes.LOCK_NOT_AVAILABLE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.QUERY_CANCELED,
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.ADMIN_SHUTDOWN,
    errorcodes.CRASH_SHUTDOWN,
    errorcodes.CANNOT_CONNECT_NOW,
}
_CONNECTION = "08"
"""The class of what became of a connection, which poolers give to all that they say themselves."""
_PRIMARY = "primary"
"""What a replica says is late, and after a failover the old address may be one:
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS"""


_RAISED = "exec_stmt_raise"
"""Where PL/pgSQL says what a trigger has to say: that is about a row, whatever its code, and no right is missing."""


def parameters(database: Database, root: Path) -> dict[str, Any]:
    """Return libpq's parameters by the mounted Secret and the spec; UserError names what is missing or wrong."""
    found = secret(root, database.credentials.secret_ref.name)
    ca = ca_file(database.ca_bundle, root) if database.ca_bundle else None
    common = {"connect_timeout": str(CONNECT_SECONDS), "target_session_attrs": _PRIMARY}
    wanted = common | database_secret.parameters(found, root, database, ca)
    MASK.learn({key: str(wanted[field]) for key, field in _LEARNED.items() if field in wanted})
    return wanted


def unverified(database: Database, root: Path) -> Iterator[str]:
    """Yield a warning where a CA is named and a mode, of the spec or the Secret, that no CA matters to."""
    wanted = parameters(database, root)
    if "sslrootcert" in wanted and wanted["sslmode"] in libpq.UNVERIFIED:
        yield (
            f"the database's CA is named, and with sslmode {wanted['sslmode']} no certificate is verified: set "
            "sslMode: verify-full, or leave the mode out in the spec and in the Secret"
        )


def connect(database: Database, root: Path) -> extensions.connection:
    """A connection to the primary, in autocommit mode.

    UserError when the server refuses, DatabaseUnreachableError when none answers that can write.
    """
    wanted = parameters(database, root)
    for attempt in range(ATTEMPTS):
        try:
            connection: extensions.connection = psycopg2.connect(**wanted, client_encoding="UTF8")
        except psycopg2.OperationalError as error:
            text = str(error).strip().replace("\n", " ")
            if refusal.is_final(text, wanted, CONNECT_SECONDS):
                raise UserError(
                    Reason.DATABASE_REFUSED, f"the database refused the connection: {text}{_hint(text)}"
                ) from error
            if attempt == ATTEMPTS - 1:
                raise DatabaseUnreachableError(
                    f"the database cannot be reached: {text}; mend the Secret's host and port (of the primary)"
                ) from error
            time.sleep(2**attempt / 2)
            continue
        except psycopg2.ProgrammingError:  # its text may hold a value
            raise UserError(Reason.INVALID_SPEC, _OLD_LIBPQ) from None
        connection.autocommit = True
        return connection
    raise AssertionError("unreachable")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """psycopg2's errors as DatabaseError, in one place."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        if error.diag.source_function == _RAISED:
            raise DatabaseError(f"{what}: {_text(error)}") from error
        raise UserError(Reason.ACCESS_DENIED, f"{what}: {_text(error)}: {_remedy(_text(error))}") from error
    except errors.ReadOnlySqlTransaction as error:
        raise DatabaseReadOnlyError(f"{what}: {_text(error)}") from error
    except psycopg2.Error as error:
        if REPLICA in str(error):
            raise DatabaseUnreachableError(f"{what}: a replica answered: name the primary in the Secret") from error
        lost = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) and error.pgcode is None
        transient = lost or error.pgcode in _TRANSIENT or (error.pgcode or "").startswith(_CONNECTION)
        locked = error.pgcode == errorcodes.LOCK_NOT_AVAILABLE
        raise DatabaseError(f"{what}: {_text(error)}", transient=transient, locked=locked) from error


def _hint(text: str) -> str:
    """What helps where libpq does not trust a certificate; it speaks the worker's language, which is English."""
    if "does not match host name" in text:
        return "; name the host as the certificate does, or set spec.database.sslMode: verify-ca"
    return "; name the server's CA in spec.database.caBundle" if "certificate" in text else ""


def _remedy(text: str) -> str:
    schema = re.search(r"permission denied for schema (\S+)", text)
    if schema:
        return f"GRANT USAGE ON SCHEMA {schema[1]} to this role"
    if "row-level security" in text:
        return "this role must see every row: ALTER ROLE … BYPASSRLS, or GRANT it the role that owns the table"
    return "`bucketops policy S3Migration -f FILE --part database` prints the GRANTs"


def _text(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
