"""The few properties of an XMP packet that are looked at. A packet that is no XML has none.

Expat reads it, with namespaces; a document type, the door to entities that grow without end, ends the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

SIGNATURE = b"http://ns.adobe.com/xap/1.0/\x00"
HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
CONTAINER = "http://ns.google.com/photos/1.0/container/"
ITEM = "http://ns.google.com/photos/1.0/container/item/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LI, _CONTAINER_ITEM = f"{RDF} li", f"{CONTAINER} Item"
_MOST_VALUES = 8
"""Of one property; more would be dropped anyway."""


@dataclass
class Properties:
    """By their local names; a list's values in order."""

    gain_map: dict[str, list[str]] = field(default_factory=dict)
    items: list[dict[str, str]] = field(default_factory=list)
    """Of the container's directory, in the order of the pictures in the file."""


class _DoctypeError(Exception):
    pass


def read(payload: bytes) -> Properties:
    """The properties of the payload of an XMP segment."""
    reader = _Reader()
    parser = expat.ParserCreate("utf-8", " ")
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(payload.removeprefix(SIGNATURE).strip(b"\x00 \r\n\t"), True)  # noqa: FBT003 - expat's own: the last
    except (expat.ExpatError, _DoctypeError, ValueError):
        return Properties()
    return reader.found


def _refuse(*_: object) -> None:
    raise _DoctypeError


class _Reader:
    def __init__(self) -> None:
        self.found = Properties()
        self._open: list[str] = []
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        self._text = []
        if name == _CONTAINER_ITEM:
            self.found.items.append({})
        for key, value in attributes.items():
            self._property(key, value)

    def text(self, text: str) -> None:
        self._text.append(text)

    def end(self, name: str) -> None:
        self._open.pop()
        value = "".join(self._text).strip()
        self._text = []
        if value:
            owner = self._open[-2] if name == _LI and len(self._open) > 1 else name  # property > Seq > li
            self._property(owner, value)

    def _property(self, name: str, value: str) -> None:
        space, _, local = name.rpartition(" ")
        if space == HDRGM:
            values = self.found.gain_map.setdefault(local, [])
            if len(values) < _MOST_VALUES:
                values.append(value)
        elif space == ITEM and self.found.items:
            self.found.items[-1][local] = value
