"""Libpq's parameters, and those of frameworks in the same strings: which are taken, which mean nothing here.

Everything else is refused: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from __future__ import annotations

import re

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
UNVERIFIED = frozenset(MODES[:3])
"""A server is talked to without TLS where its certificate is refused; `require` verifies once a CA is named."""
"""The values of sslmode, from the weakest to the strongest."""
SYSTEM = "system"
"""As sslrootcert: the authorities of the system, for verify-full alone."""

_ANY, _NUMBER, _SWITCH, _WANTED = r"[^\0]+", r"[0-9]{1,8}", r"[01]", r"disable|prefer|require"
_NAME = r"[A-Za-z0-9._-]+"
_HOST = rf"(?:{_NAME}|[0-9A-Fa-f:.]+(?:%{_NAME})?|[/@][A-Za-z0-9._/-]+)?"
TAKEN = {
    "host": rf"{_HOST}(?:,{_HOST})*",
    "hostaddr": r"[0-9A-Fa-f:.]+(?:,[0-9A-Fa-f:.]+)*",
    "port": r"[0-9]{0,5}(?:,[0-9]{0,5})*",
    "user": _ANY,
    "password": _ANY,
    "dbname": _ANY,
    "channel_binding": _WANTED,
    "connect_timeout": _NUMBER,
    "gssencmode": _WANTED,
    "keepalives": _SWITCH,
    "keepalives_count": _NUMBER,
    "keepalives_idle": _NUMBER,
    "keepalives_interval": _NUMBER,
    "krbsrvname": _NAME,
    "load_balance_hosts": r"disable|random",
    "require_auth": r"!?[a-z0-9-]+(?:,!?[a-z0-9-]+)*",
    "requirepeer": _NAME,
    "ssl_max_protocol_version": r"TLSv1(?:\.[123])?",
    "ssl_min_protocol_version": r"TLSv1(?:\.[123])?",
    "sslcertmode": r"disable|allow|require",
    "sslcompression": _SWITCH,
    "sslnegotiation": r"postgres|direct",
    "sslpassword": _ANY,
    "sslsni": _SWITCH,
    "tcp_user_timeout": _NUMBER,
}
"""Handed to libpq, with what their values look like."""
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
"""Paths for libpq, keys of the same Secret for us: a Secret's author reads no file of the worker."""
_WRITES = r"any|primary|read-write|master|preferprimary"
HARMLESS = {"target_session_attrs": _WRITES, "targetServerType": _WRITES, "readOnly": r"false", "tcpKeepAlive": r"\w+"}
"""Mean nothing here with these values."""
SCHEMAS = frozenset({"schema", "currentSchema", "search_path"})
"""A reference names its own."""
IGNORED = frozenset(
    """
    application_name fallback_application_name client_encoding ApplicationName encoding charset serverVersion
    pgbouncer connection_limit pool_timeout socket_timeout connectTimeout loginTimeout socketTimeout timeout pool
    pool_size pool_max_conns pool_min_conns pool_max_conn_lifetime pool_max_conn_idle_time max_overflow pool_recycle
    pool_pre_ping pool_health_check_period conn_max_age checkout_timeout idle_timeout reaping_frequency
    command_timeout prepared_statements prepareThreshold preparedStatementCacheQueries prepared_statement_cache_size
    preparedStatementCacheSizeMiB prepared_statement_name_func statement_cache_size statement_cache_capacity
    description_cache_capacity default_query_exec_mode binary_parameters max_cached_statement_lifetime
    max_cacheable_statement_size advisory_locks async_fallback reWriteBatchedInserts defaultRowFetchSize stringtype
    binaryTransfer assumeMinServerVersion loadBalanceHosts hostRecheckSeconds preferQueryMode autosave
    uselibpqcompat
    """.split()  # noqa: SIM905 - sixty names read better so
)
"""Of frameworks and their pools: they change neither where we connect, nor as whom, nor how safely."""
VARIABLES = {f"PG{name}": field for name, field in {
    "HOST": "host", "HOSTADDR": "hostaddr", "PORT": "port", "DATABASE": "dbname", "USER": "user",
    "PASSWORD": "password", "PASSFILE": "passfile", "REQUIREAUTH": "require_auth", "CHANNELBINDING": "channel_binding",
    "SERVICE": "service", "SERVICEFILE": "servicefile", "SYSCONFDIR": "servicefile", "OPTIONS": "options",
    "APPNAME": "application_name", "SSLMODE": "sslmode", "REQUIRESSL": "requiressl", "SSLCOMPRESSION": "sslcompression",
    "SSLCERT": "sslcert", "SSLKEY": "sslkey", "SSLCERTMODE": "sslcertmode", "SSLROOTCERT": "sslrootcert",
    "SSLCRL": "sslcrl", "SSLCRLDIR": "sslcrldir", "SSLSNI": "sslsni", "SSLNEGOTIATION": "sslnegotiation",
    "REQUIREPEER": "requirepeer", "SSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
    "SSLMAXPROTOCOLVERSION": "ssl_max_protocol_version", "GSSENCMODE": "gssencmode", "KRBSRVNAME": "krbsrvname",
    "GSSLIB": "gsslib", "GSSDELEGATION": "gssdelegation", "CONNECT_TIMEOUT": "connect_timeout",
    "CLIENTENCODING": "client_encoding", "TARGETSESSIONATTRS": "target_session_attrs",
    "LOADBALANCEHOSTS": "load_balance_hosts",
}.items()}  # fmt: skip
"""https://www.postgresql.org/docs/current/libpq-envars.html; PGTZ and the like change nothing that is read here."""
PLAIN = {"host": "host", "port": "port", "username": "user", "user": "user", "password": "password"}
PLAIN |= {"dbname": "dbname"} | {name: name for name in ("sslmode", *FILES)}
"""Keys of a Secret as operators of databases write them."""


def fits(name: str, value: str) -> bool:
    """Whether a value looks as libpq wants it, so that libpq has nothing to say of it."""
    return re.fullmatch(TAKEN[name], value, flags=re.DOTALL) is not None


def matches(name: str, value: str) -> bool:
    """Whether a parameter of frameworks has one of the values that mean nothing here."""
    return re.fullmatch(HARMLESS[name], value) is not None
