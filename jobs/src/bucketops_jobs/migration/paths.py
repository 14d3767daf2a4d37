"""How a key is written in a column: `{key}`, `https://host/{key}`, `{key:url}`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

_PLAIN, _QUOTED = "{key}", "{key:url}"


@dataclass(frozen=True)
class Format:
    """One format of a reference, cut into what stands before and after the key."""

    before: str
    after: str
    quoted: bool

    @classmethod
    def parse(cls, text: str) -> Format:
        """Read a format; it holds the key exactly once (the API's models see to it)."""
        quoted = _QUOTED in text
        before, after = text.split(_QUOTED if quoted else _PLAIN)
        return cls(before, after, quoted)

    def write(self, key: str) -> str:
        """The column's value for a key. Percent-encoding leaves '/' as it is, as browsers write paths."""
        return f"{self.before}{quote(key, safe='/') if self.quoted else key}{self.after}"

    def read(self, value: str) -> str | None:
        """The key that a value names, or None if it is not written in this format."""
        if not (value.startswith(self.before) and value.endswith(self.after)):
            return None
        if len(value) < len(self.before) + len(self.after):
            return None
        inner = value[len(self.before) : len(value) - len(self.after)]
        return unquote(inner) if self.quoted else inner

    @property
    def in_key_order(self) -> bool:
        """Whether values sort as their keys do, so that a range of keys is a range of values."""
        return not self.quoted and not self.after
