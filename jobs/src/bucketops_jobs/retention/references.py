"""Which folders an object names: a manifest, a pointer, a redirect. In doubt a folder is named. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus

from bucketops_jobs.retention.names import composed

_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|(["/\\bfnrt]))')
_LEVELS = 3
"""JSON in a string of JSON is escaped twice."""
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def named(names: Iterable[str], text: str) -> set[str]:
    """The names that stand in a text, whether plain, percent-encoded, as JSON escapes them, or as HTML does.

    `deploy1` does not stand in `deploy10`, nor `12` in `2012`; apart from that nothing need surround it.
    """
    wanted, found = set(names), set[str]()
    for reading in _readings(text):
        found |= {name for name in wanted - found if _stands(name, reading)}
    return found


def _stands(name: str, text: str) -> bool:
    r"""Escapes end in a letter or digit (`%2F`, `\n`), so what precedes a name says little; what follows says more."""
    plain = composed(name)
    if plain not in text:
        return False
    before = r"(?<![0-9])" if plain[:1].isdigit() else ""
    after = r"(?![0-9A-Za-z])" if plain[-1:].isalnum() else ""
    return re.search(before + re.escape(plain) + after, text) is not None


def _readings(text: str) -> Iterator[str]:
    """The text in each way in which it may be meant, one at a time: it may have 16 MiB."""
    for _ in range(_LEVELS + 1):
        for marked in dict.fromkeys((text, html.unescape(text))):
            for plain in dict.fromkeys((marked, unquote(marked), unquote_plus(marked))):
                yield composed(plain)
        before, text = text, _unescaped(text)
        if text == before:
            return


def _unescaped(text: str) -> str:
    """The text without JSON's escapes, wherever they stand: in a document, a line of one, a script.

    https://www.rfc-editor.org/rfc/rfc8259#section-7. No parser: what it refuses (lines, depth, long numbers) may name
    the live folder all the same.
    """
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _SHORT.get(found[2], found[2]), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
