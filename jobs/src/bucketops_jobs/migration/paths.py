"""How a key is written in a column: `{key}`, `https://host/{key}`, `{key:url}`, `/media/{key:relative}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

_LITERAL = r"((?:[^{}]|\{\{|\}\})*)"
_FORMAT = re.compile(rf"{_LITERAL}\{{key(:relative)?(:url)?\}}{_LITERAL}")


def literally(text: str) -> str:
    """Return how a text is written within a format: its braces twice."""
    return text.replace("{", "{{").replace("}", "}}")


@dataclass(frozen=True)
class Format:
    """A format of a reference, cut into what stands before and after the key."""

    before: str
    after: str
    quoted: bool = False
    """Whether the key is percent-encoded."""
    relative: bool = False
    """Whether it is the key below the prefix, and not the whole key."""

    @classmethod
    def parse(cls, text: str) -> Format:
        """Read a format; it holds the key exactly once (the API's models see to it). ValueError for any other."""
        found = _FORMAT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no format: the key stands in it once, other braces twice")
        before, relative, quoted, after = found.groups()
        return cls(_plain(before), _plain(after), quoted is not None, relative is not None)

    def write(self, key: str) -> str:
        """Return the column's value for a key. Percent-encoding leaves '/' as it is, as browsers write paths."""
        return f"{self.before}{quote(key, safe='/') if self.quoted else key}{self.after}"

    def read(self, value: str) -> str | None:
        """Return the key that a value names, or None if it is not written in this format."""
        if not (value.startswith(self.before) and value.endswith(self.after)):
            return None
        if len(value) < len(self.before) + len(self.after):
            return None
        inner = value[len(self.before) : len(value) - len(self.after)]
        return unquote(inner) if self.quoted else inner


def _plain(literal: str) -> str:
    return literal.replace("{{", "{").replace("}}", "}")


@dataclass(frozen=True)
class Form:
    """A format of keys below one prefix. What it writes and reads are keys relative to that prefix."""

    format: Format
    prefix: str

    @property
    def stem(self) -> str:
        """What a written key begins with, before it is encoded."""
        return "" if self.format.relative else self.prefix

    @property
    def start(self) -> str:
        """What every value begins with that names a key below the prefix, however it is spelled."""
        return self.format.before + ("" if self.format.quoted else self.stem)

    def may_read(self, other: Form) -> bool:
        """Return whether a value that another form writes may be one of this form, by what both begin with."""
        one, two = self.start, other.start
        return one.startswith(two) or two.startswith(one)

    def write(self, key: str) -> str:
        """Return the column's value for a relative key."""
        return self.format.write(self.stem + key)

    def read(self, value: str) -> str | None:
        """Return the relative key that a value names, or None if it names nothing below the prefix.

        A relative path that is empty names nothing: applications write it for "no picture".
        """
        key = self.format.read(value)
        if key is None or not key.startswith(self.stem) or (self.format.relative and not key):
            return None
        return key.removeprefix(self.stem)
