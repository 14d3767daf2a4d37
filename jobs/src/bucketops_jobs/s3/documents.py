"""An XML answer of S3 -> its fields and rows. Pure, and bounded: an answer is input.

No tree is built of it, so that its memory is that of its text. AWS writes control characters of keys as references
(`&#x1;`), which XML 1.0 forbids and parsers refuse: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from xml.parsers import expat

MOST_ELEMENTS = 100_000
"""Of one answer; a page of 1,000 versions with their owners has a tenth."""
MOST_LEVELS = 10
_TEXT, _ROW = 2, 3
"""Levels below the root (which is 1) of a field, and of a field in a row."""
_REFERENCE = re.compile("&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,8}));")
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets."""
_PRIVATE = range(0xF0000, 0x10FF00, 0x100)
"""Beginnings of blocks of code points that nobody has given a meaning."""


class UnreadableError(ValueError):
    """The answer is no document of S3."""


@dataclass(frozen=True)
class Document:
    """An answer of two levels."""

    root: str
    fields: dict[str, str]
    """What stands right below the root; of several the last."""
    rows: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """By tag, the elements with fields of their own."""


def read(body: bytes, within: str = "") -> Document:
    """Read an answer, or one element of it; UnreadableError when it is none, or not a whole one."""
    try:
        return _Reader(within).read(body)
    except expat.ExpatError as error:
        told = error
    text = body.decode(errors="replace")
    if not (FORBIDDEN.search(text) or any(_forbidden(match) for match in _REFERENCE.finditer(text))):
        raise UnreadableError(str(told)) from told
    return _with_control_characters(text, within)


def _with_control_characters(text: str, within: str) -> Document:
    """The same where characters stand that XML forbids: others take their places for a while."""
    used = {ord(sign) >> 8 for sign in text} | {_code(match) >> 8 for match in _REFERENCE.finditer(text)}
    base = next(start for start in _PRIVATE if start >> 8 not in used)

    def moved(code: int) -> str:
        return chr(base + (code if code < 0x20 else code & 0xFF))  # noqa: PLR2004 - U+FFFE and U+FFFF

    text = _REFERENCE.sub(lambda match: moved(_code(match)) if _forbidden(match) else match[0], text)
    text = FORBIDDEN.sub(lambda match: moved(ord(match[0])), text)
    try:
        found = _Reader(within).read(text.encode(errors="replace"))
    except expat.ExpatError as error:
        raise UnreadableError(str(error)) from error
    back = {base + code: chr(code) for code in range(0x20)} | {base + 0xFE: "\ufffe", base + 0xFF: "\uffff"}
    return Document(found.root, _back(found.fields, back), {
        tag: [_back(row, back) for row in rows] for tag, rows in found.rows.items()
    })  # fmt: skip


def _back(fields: dict[str, str], table: dict[int, str]) -> dict[str, str]:
    return {name: value.translate(table) for name, value in fields.items()}


def _code(match: re.Match[str]) -> int:
    return int(match[1], 16) if match[1] else int(match[2])


def _forbidden(match: re.Match[str]) -> bool:
    return ((code := _code(match)) < 0x20 and code not in {9, 10, 13}) or code in {0xFFFE, 0xFFFF}  # noqa: PLR2004 - see FORBIDDEN


class _Reader:
    """One pass of expat."""

    def __init__(self, within: str) -> None:
        self._within, self._above = within, 0
        self._path: list[str] = []
        self._elements = 0
        self._text: list[str] = []
        self._root = ""
        self._fields: dict[str, str] = {}
        self._rows: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        self._row: dict[str, str] = {}

    def read(self, body: bytes) -> Document:
        """What the handlers have gathered; ExpatError, UnreadableError."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.Parse(body, True)  # noqa: FBT003 - the last piece, as expat has it
        return Document(self._root, self._fields, dict(self._rows))

    def _start(self, tag: str, _: dict[str, str]) -> None:
        if self._path and self._path[-1] == self._within:
            self._above = len(self._path) - 1
        self._path.append(tag.rpartition(":")[2])
        self._elements += 1
        if self._elements > MOST_ELEMENTS or len(self._path) > MOST_LEVELS:
            raise UnreadableError("the answer has more elements than any of S3's")
        self._text.clear()

    def _end(self, _: str) -> None:
        level, tag = len(self._path) - self._above, self._path.pop()
        if level == _ROW:
            self._row[tag] = "".join(self._text)
        elif level == _TEXT and self._row:
            self._rows[tag].append(self._row)
            self._row = {}
        elif level == _TEXT:
            self._fields[tag] = "".join(self._text)
        elif level == 1:
            self._root = tag
        self._text.clear()


def _refuse_doctype(*_: object) -> None:
    """S3 declares none, and its entities could grow without measure."""
    raise UnreadableError("the answer declares entities")
