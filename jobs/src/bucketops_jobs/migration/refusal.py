"""Whether a database refused a connection, whatever language it speaks: by SQLSTATE.

psycopg2 does not tell the SQLSTATE of a connection that failed, only the server's sentence in the server's language. So
a second try asks again, with libpq told to give codes instead of sentences.
"""

from __future__ import annotations

import ctypes
import re
import select
import time
from collections.abc import Mapping
from typing import Any

import psycopg2
from psycopg2 import _psycopg, extensions

_CODES_ALONE = 3
"""PQERRORS_SQLSTATE: https://www.postgresql.org/docs/current/libpq-control.html#LIBPQ-PQSETERRORVERBOSITY."""
_CODE = re.compile(r"  ([0-9A-Z]{5})$", re.MULTILINE)
_FOR_THE_USER = ("22", "28", "3D", "42")
"""Classes: a wrong parameter, a wrong role or password, no such database, no right."""
_REFUSED = (
    "no password supplied", "does not support SSL", "oot certificate", "certificate verify failed",
    "does not match host name", "unsupported startup parameter", "no such database", "no such user",
    "authentication failed", "could not match",
)  # fmt: skip
"""Sentences of libpq, for which a worker sets no locale, and of pgbouncer, which has one language and one code."""
_UNHEARD = (
    "Connection refused", "timeout expired", "could not translate host name", "unreachable", "No route to host",
    "closed the connection", "reset by peer",
)  # fmt: skip
"""Of libpq too: nobody has answered."""


def is_final(text: str, parameters: Mapping[str, Any], seconds: float) -> bool:
    """Whether a connection that failed with this text will fail until somebody changes the Secret or the database."""
    if any(words in text for words in _REFUSED):
        return True
    return not any(words in text for words in _UNHEARD) and _code(parameters, seconds).startswith(_FOR_THE_USER)


def _code(parameters: Mapping[str, Any], seconds: float) -> str:
    """The SQLSTATE of a refusal; empty where nobody answers, or where all is well by now."""
    try:
        connection = psycopg2.connect(**parameters, async_=1)
        try:
            _verbosity()(connection.pgconn_ptr, _CODES_ALONE)
            _finish(connection, time.monotonic() + seconds)
        finally:
            connection.close()
    except psycopg2.Error as error:
        codes = _CODE.findall(str(error))
        return codes[-1] if codes else ""
    return ""


def _verbosity() -> Any:  # noqa: ANN401 - a function of C
    function = ctypes.CDLL(_psycopg.__file__).PQsetErrorVerbosity
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_int], ctypes.c_int
    return function


def _finish(connection: extensions.connection, deadline: float) -> None:
    """Connect; psycopg2.Error where that fails, or is not over in time."""
    while (state := connection.poll()) != extensions.POLL_OK:
        ends = [connection.fileno()]
        ready = select.select(
            *((ends, []) if state == extensions.POLL_READ else ([], ends)), [], max(0.0, deadline - time.monotonic())
        )
        if not any(ready):
            raise psycopg2.OperationalError("no answer in time")
