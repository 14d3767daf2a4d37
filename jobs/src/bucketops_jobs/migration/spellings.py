"""Values of rows as people may see them, and the formats by which a value could name an object. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from bucketops_jobs.migration.paths import Form, Format, literally

_CHARACTERS = 120
_USER = re.compile(r"(?<=://)[^/@]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_SHORT_QUERY = re.compile(r"\?(v|ver|version|rev|t|ts)=[0-9.]{1,12}\s*")
"""A version, and no secret."""
_BEHIND = re.compile(r"(?:[?#].*|\s+)\Z", re.DOTALL)
"""What is no part of a key, perhaps: a query, a fragment, blanks."""
_ROOT = re.compile(r"(?:(?:[a-z][a-z0-9+.-]*:)?//[^/]*)?/?", re.IGNORECASE)
"""Scheme and host, or a slash, or nothing."""


class Spelling(NamedTuple):
    """A format by which a value names a key below the prefix."""

    format: str
    new_format: str
    """To be written with it, where paths of the new prefix would not be written as they should; else empty."""
    key: str
    """Relative to the prefix."""


def masked(value: str) -> str:
    """Return a value without user, query (unless it is a version) and, if it is long, its end."""
    without_user = _USER.sub("…@", value)
    query = _QUERY.search(without_user)
    if query and not _SHORT_QUERY.fullmatch(query[0]):
        without_user = without_user[: query.start() + 1] + "…"
    return without_user if len(without_user) <= _CHARACTERS else without_user[:_CHARACTERS] + "…"


def spellings(value: str, prefix: str) -> Iterator[Spelling]:
    """Yield each way in which a value could name an object, the likeliest first; none where its format would tell all.

    Whether there is such an object is not known here.
    """
    if masked(value) != value:
        return
    behind = _BEHIND.search(value)
    for after in ("", behind[0]) if behind else ("",):
        body = value.removesuffix(after)
        for before, placeholder, new_format in (*_below(body, prefix), *_from_the_root(body, prefix)):
            for encoded in ("", ":url"):
                text = f"{literally(before)}{{{placeholder}{encoded}}}{literally(after)}"
                key = Form(Format.parse(text), prefix).read(value)
                if key is not None:
                    yield Spelling(text, new_format, key)


def _below(body: str, prefix: str) -> Iterator[tuple[str, str, str]]:
    """Where the prefix begins, or, in another case, ends: what stands before, the placeholder, the new format."""
    if not prefix:
        return
    for stem in dict.fromkeys((prefix, quote(prefix))):
        for found in re.finditer(re.escape(stem), body):
            yield body[: found.start()], "key", ""
    for found in re.finditer(re.escape(prefix), body, re.IGNORECASE):
        if found[0] != prefix:
            yield body[: found.end()], "key:relative", literally(body[: found.start()]) + "{key}"


def _from_the_root(body: str, prefix: str) -> Iterator[tuple[str, str, str]]:
    """The whole path as what stands below the prefix."""
    root = _ROOT.match(body)
    yield root[0] if root else "", "key:relative" if prefix else "key", ""
