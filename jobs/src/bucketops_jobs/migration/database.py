"""Statements on one connection: in transactions of their own, or in one snapshot. They stand in queries.sql."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from psycopg2 import extensions, sql

from bucketops_api.v1alpha1 import migration as api
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.errors import DatabaseError, DatabaseUnreachableError
from bucketops_jobs.migration.connection import connect, translated

log = logging.getLogger(__name__)
T = TypeVar("T")

Stream = Callable[[sql.Composable, dict[str, Any]], Iterator[tuple[Any, ...]]]
"""The rows that a statement answers, as they come: more than fit in memory."""

FETCH = 10_000  # rows per round trip
FENCE_LOOK = 0.1  # seconds
FENCE_PATIENCE = 10.0  # seconds
STATEMENT_TIMEOUT = "60s"
ATTEMPTS = 6


@cache
def queries() -> dict[str, str]:
    """The statements of queries.sql by name."""
    text = resources.files(__package__).joinpath("queries.sql").read_text()
    parts = re.split(r"^-- (\w+): .*\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


class Session:
    """One connection to the database of a migration, opened anew when the server went away; safe for threads."""

    def __init__(self, database: api.Database, root: Path) -> None:
        self.database = database
        self._root = root
        self._connection: extensions.connection | None = None
        self._lock = threading.RLock()
        """Of the connection: a statement at a time."""
        self._answered = False
        """Whether the server ever has: one that never did is not waited for."""

    def query(self, what: str, statement: sql.Composable | str, values: dict[str, Any] | None = None) -> list[Any]:
        """Run one statement in its own transaction; again on a new connection when the server went away."""

        def run() -> list[Any]:
            with self._lock, self._open().cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

        return self.retried(what, run)

    def retried(self, what: str, run: Callable[[], T]) -> T:
        """The answer of `run`, called again on a new connection when the server went away."""
        for attempt in range(ATTEMPTS):
            try:
                with translated(what):
                    return run()
            except DatabaseError as error:
                never = isinstance(error, DatabaseUnreachableError) and not self._answered
                if never or not error.transient or error.locked or attempt == ATTEMPTS - 1:
                    raise
                log.info("again: %s", error)
                self.close()
                time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _open(self) -> extensions.connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.database, self._root)
            self._answered = True
            lock_ms = int(parse_duration(self.database.lock_timeout).total_seconds() * 1000)
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{lock_ms}ms",))
                cursor.execute("SELECT set_config('statement_timeout', %s, false)", (STATEMENT_TIMEOUT,))
        return self._connection

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def snapshot(self) -> Iterator[Stream]:
        """Read several statements from one snapshot, in a short transaction; nobody else asks meanwhile."""
        with self._lock:
            connection = self._open()
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)

            def stream(statement: sql.Composable, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
                with connection.cursor(name="bucketops_rows") as cursor:
                    cursor.itersize = FETCH
                    cursor.execute(statement, values)
                    yield from cursor

            try:
                yield stream
            finally:
                if not connection.closed:
                    connection.rollback()
                    connection.set_session(isolation_level="default", readonly="default", autocommit=True)

    def fence(self, require_going: Callable[[], None]) -> None:
        """Wait until every transaction that has written anything by now has ended: that is then to be seen.

        `require_going` raises when the worker is told to stop: without the wait there is no evidence. Where another
        server answers (a restart, a failover), what was open at the first has ended, and other numbers count.
        """
        horizon, server = self._numbered("mark")
        oldest, answers = self._numbered("oldest")
        began, told = time.monotonic(), False
        while answers != server or oldest < horizon:
            require_going()
            if answers != server:
                horizon, server = self._numbered("mark")
            time.sleep(FENCE_LOOK)
            oldest, answers = self._numbered("oldest")
            if not told and time.monotonic() - began > FENCE_PATIENCE:
                log.warning("waits for a transaction that is open in the database: it may still write legacy paths")
                told = True

    def _numbered(self, which: str) -> tuple[int, str]:
        """The number of a transaction, and the server that counts so."""
        number, server = self.query("look for open transactions", queries()[which])[0]
        return number, server

    def lag(self) -> float | None:
        """Seconds that the furthest replica is behind; None where this role may not see it."""
        _, hidden, seconds = self.query("read the replication lag", queries()["lag"])[0]
        return None if hidden else float(seconds)
