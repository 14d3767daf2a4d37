"""Connection strings as people and frameworks write them, read into libpq's parameters. Pure.

The rule: a URL is read as libpq reads it, and what could be read in two ways is refused: user and password are
percent-encoded. No part of the text is ever in a message: what looks like a parameter may be half of a password.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

_URL = re.compile(r"(?:jdbc:)?([a-z][a-z0-9+_.-]*)://(.*)", re.DOTALL | re.IGNORECASE)
_SCHEME = re.compile(r"(?:postgres|postgresql|pgsql|postgis)(?:\+[a-z0-9_]+)?")
_HOST = r"\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9._-]+)?\]|(?:[A-Za-z0-9._-]|%2[fF]|%40)*"
_ADDRESS = re.compile(rf"({_HOST})(?::([0-9]{{0,5}}))?")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_QUOTED, _BARE = r"'((?:[^'\\]|\\.)*)'", r"((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?"
_PAIR = re.compile(rf"\s*([A-Za-z_]\w*)\s*=\s*(?:{_QUOTED}|{_BARE})(?=\s|$)", re.DOTALL)
_ESCAPE = (
    "in a URL, user and password are percent-encoded: write % as %25, @ as %40, / as %2F, ? as %3F, # as %23, a blank "
    "as %20"
)
_FORMS = "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_SECRET = {"password", "sslpassword"}


class DsnError(ValueError):
    """The text cannot be read; the message says what is wrong and holds no part of the text."""


class Parameter(NamedTuple):
    """One parameter of a connection string."""

    name: str
    value: str
    said: str
    """How a message calls it; not by its name where that may be a part of a password."""


def parse(text: str) -> list[Parameter]:
    """Return the parameters of a URL, or of a list of keyword=value; DsnError says what to write instead."""
    url = _URL.fullmatch(text)
    found = list(_url(url[1].lower(), url[2]) if url else _keywords(text))
    seen: set[str] = set()
    for parameter in found:
        if parameter.name in seen:
            raise DsnError(f"{parameter.said} stands there twice: leave one out")
        seen.add(parameter.name)
    return found


def _url(scheme: str, rest: str) -> Iterator[Parameter]:
    if not _SCHEME.fullmatch(scheme):
        schemes = "postgresql://, postgres://, postgresql+DRIVER:// and jdbc:postgresql://"
        raise DsnError(f"its scheme is none of {schemes}: {_FORMS}")
    if _BLANK.search(rest):
        raise DsnError(f"it holds a blank: {_ESCAPE}")
    if _BROKEN.search(rest):
        raise DsnError(f"a % in it begins no percent-encoding: {_ESCAPE}")
    who, at, where = rest.rpartition("@")
    if "@" in who or "/" in who or "?" in who or "#" in where:
        raise DsnError(f"an @, /, ? or # in its user or password makes it ambiguous: {_ESCAPE}")
    place, _, query = where.partition("?")
    yield from _who(who) if at else ()
    yield from _where(place)
    yield from _query(query)


def _who(text: str) -> Iterator[Parameter]:
    user, _, password = text.partition(":")
    yield from _given("user", _decoded(user))
    yield from _given("password", _decoded(password))


def _where(text: str) -> Iterator[Parameter]:
    addresses, _, database = text.partition("/")
    found = [_ADDRESS.fullmatch(address) for address in addresses.split(",")]
    if not all(found) or (len(found) > 1 and not all(match[1] for match in found if match)):
        raise DsnError(f"what stands for its host or its port is none: {_FORMS}; {_ESCAPE}")
    hosts, ports = zip(*(match.groups(default="") for match in found if match), strict=True)
    if any(hosts):
        yield Parameter("host", ",".join(_decoded(host).strip("[]") for host in hosts), "host")
    if any(ports):
        yield Parameter("port", ",".join(ports), "port")
    yield from _given("dbname", _decoded(database))


def _given(name: str, value: str) -> Iterator[Parameter]:
    if value:
        yield Parameter(name, value, name)


def _query(text: str) -> Iterator[Parameter]:
    """The parameters behind the question mark. With a password among them, its & may have cut it in two."""
    parts = [part.split("=") for part in text.split("&") if part]
    unsure = any(_decoded(part[0]) in _SECRET for part in parts)
    for number, part in enumerate(parts, 1):
        if len(part) != 2:  # noqa: PLR2004 - a name and a value
            raise DsnError(f"parameter {number} of its query is no NAME=VALUE: write & as %26 and = as %3D in a value")
        name = _decoded(part[0])
        yield Parameter(name, _decoded(part[1]), _said(name, number, "its query", unsure=unsure))


def _keywords(text: str) -> Iterator[Parameter]:
    """Libpq's other form. What stands behind an unquoted password with blanks looks like keywords."""
    at, number = 0, 0
    while text[at:].strip():
        pair = _PAIR.match(text, at)
        if pair is None:
            raise DsnError(
                f"it is no URL and no list of keyword=value: {_FORMS}, or put values with blanks between quotes: '…'"
            )
        at, number = pair.end(), number + 1
        value = re.sub(r"\\(.)", r"\1", pair[2] if pair[2] is not None else pair[3] or "", flags=re.DOTALL)
        yield Parameter(pair[1], value, _said(pair[1], number, "the list", unsure=True))


def _said(name: str, number: int, where: str, *, unsure: bool) -> str:
    plain = not unsure and re.fullmatch(r"[A-Za-z][\w.-]{0,40}", name)
    return name if plain else f"parameter {number} of {where}"


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise DsnError(f"its percent-encoding is not that of UTF-8: {_ESCAPE}") from None
