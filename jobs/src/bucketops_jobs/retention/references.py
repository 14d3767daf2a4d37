"""Which folders an object names: a manifest, a pointer, a redirect. In doubt a folder is named. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote


def named(names: Iterable[str], text: str) -> set[str]:
    """The names that stand in a text, whether plain, percent-encoded or escaped as JSON does it.

    `deploy1` does not stand in `deploy10`, nor `12` in `2012`; apart from that nothing need surround it.
    """
    texts = list(_readings(text))
    return {name for name in names if any(_stands(name, reading) for reading in texts)}


def _stands(name: str, text: str) -> bool:
    r"""Escapes end in a letter or digit (`%2F`, `\n`), so what precedes a name says little; what follows says more."""
    plain = unicodedata.normalize("NFC", name)
    if plain not in text:
        return False
    before = r"(?<![0-9])" if plain[:1].isdigit() else ""
    after = r"(?![0-9A-Za-z])" if plain[-1:].isalnum() else ""
    return re.search(before + re.escape(plain) + after, text) is not None


def _readings(text: str) -> Iterator[str]:
    whole = (text, *_strings(text))
    for reading in dict.fromkeys((*whole, *map(unquote, whole))):
        yield unicodedata.normalize("NFC", reading)


def _strings(text: str) -> Iterator[str]:
    """Every string and number of a JSON document; nothing where it is none."""
    try:
        nodes = [json.loads(text)]
    except ValueError:
        return
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            nodes += [*node.keys(), *node.values()]
        elif isinstance(node, list):
            nodes += node
        elif node is not None:
            yield str(node)
