"""Statements on one connection: in transactions of their own, or in one snapshot. They stand in queries.sql."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
from psycopg2 import extensions, sql

from bucketops_api.v1alpha1 import migration as api
from bucketops_jobs.errors import DatabaseError, DatabaseUnreachableError
from bucketops_jobs.migration import transaction
from bucketops_jobs.migration.connection import connect, translated, unverified
from bucketops_jobs.migration.waits import Waits

log = logging.getLogger(__name__)
T = TypeVar("T")

Stream = Callable[[sql.Composable, dict[str, Any]], Iterator[tuple[Any, ...]]]
"""The rows that a statement answers, as they come: more than fit in memory."""

Ask = Callable[..., list[Any]]
"""Runs a statement with its values, and returns the rows that it answers."""

FETCH = 10_000  # rows per round trip
_CURSOR = "bucketops_rows"
FENCE_LOOK = 0.1  # seconds
FENCE_PATIENCE = 10.0  # seconds
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
        self._settings = transaction.settings(database)
        self._connection: extensions.connection | None = None
        self._lock = threading.RLock()
        """Of the connection: a statement at a time."""
        self.waits = Waits()
        self._answered = False
        """Whether the server ever has: one that never did is not waited for."""

    def warnings(self) -> Iterator[str]:
        """Yield what people should know of the connection."""
        yield from unverified(self.database, self._root)

    def query(self, what: str, statement: sql.Composable | str, values: dict[str, Any] | None = None) -> list[Any]:
        """Run one statement in its own transaction; again on a new connection when the server went away."""

        def run() -> list[Any]:
            with self._lock, self._open().cursor() as cursor:
                cursor.execute(transaction.alone(statement, self._settings), values)
                return cursor.fetchall() if cursor.description else []

        return self.retried(what, run)

    def transaction(self, what: str, run: Callable[[Ask], T]) -> T:
        """The answer of `run`, whose statements are one transaction: committed, or undone where it raises."""

        def once() -> T:
            with self._lock, self._open().cursor() as cursor:

                def ask(statement: sql.Composable | str, values: dict[str, Any] | None = None) -> list[Any]:
                    cursor.execute(statement, values)
                    return cursor.fetchall() if cursor.description else []

                try:
                    cursor.execute(transaction.begin(self._settings))
                    answer = run(ask)
                    cursor.execute("COMMIT TRANSACTION")
                except BaseException:
                    self._roll_back(cursor)
                    raise
                return answer

        return self.retried(what, once)

    def retried(self, what: str, run: Callable[[], T]) -> T:
        """The answer of `run`, called again on a new connection when the server went away."""
        with ExitStack() as waiting:
            for attempt in range(ATTEMPTS):
                try:
                    with translated(what):
                        return run()
                except DatabaseError as error:
                    never = isinstance(error, DatabaseUnreachableError) and not self._answered
                    if never or not error.transient or error.locked or attempt == ATTEMPTS - 1:
                        raise
                    log.info("again: %s", error)
                    if attempt == 0:
                        waiting.enter_context(self.waits.on("database"))
                    self.close()
                    time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _open(self) -> extensions.connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.database, self._root)
            self._answered = True
        return self._connection

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def snapshot(self, *, patient: bool = False) -> Iterator[Stream]:
        """Read several statements from one snapshot, in a short transaction; nobody else asks meanwhile.

        `patient`: a statement may take as long as it takes, where no index serves it.

        BEGIN and ROLLBACK are sent as statements: psycopg2 would set the session's defaults, which stay.
        """
        with self._lock:
            connection = self._open()
            with connection.cursor() as cursor:
                try:
                    patience = {"statement_timeout": "0"} if patient else {}
                    cursor.execute(transaction.snapshot(self._settings | patience))
                    yield partial(_streamed, cursor)
                finally:
                    self._roll_back(cursor)

    def _roll_back(self, cursor: Any) -> None:  # noqa: ANN401 - psycopg2 has no types
        """End the transaction; where that fails the connection goes, and an error before is the one that is told."""
        try:
            cursor.execute("ROLLBACK")
        except psycopg2.Error:
            self.close()

    def fence(self, require_going: Callable[[], None]) -> None:
        """Wait until every transaction that has written anything by now has ended: that is then to be seen.

        `require_going` raises when the worker is told to stop: without the wait there is no evidence. Where another
        server answers (a restart, a failover), what was open at the first has ended, and other numbers count.
        """
        horizon, server = self._numbered("mark")
        oldest, answers = self._numbered("oldest")
        began, told = time.monotonic(), False
        with self.waits.on("transactions"):
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


def _streamed(cursor: Any, statement: sql.Composable, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - psycopg2 has no types
    """The rows of one statement, so many per round trip; within a transaction, and gone with it."""
    cursor.execute(sql.SQL("DECLARE {} NO SCROLL CURSOR FOR ").format(sql.Identifier(_CURSOR)) + statement, values)
    fetch = sql.SQL("FETCH FORWARD {} FROM {}").format(sql.Literal(FETCH), sql.Identifier(_CURSOR))
    cursor.execute(fetch)
    while rows := cursor.fetchall():
        yield from rows
        cursor.execute(fetch)
    cursor.execute(sql.SQL("CLOSE {}").format(sql.Identifier(_CURSOR)))
