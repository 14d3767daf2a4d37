"""Which values of a column may name keys of a range, as ranges that an index on the column can serve. Pure.

Values are compared as PostgreSQL's collation "C" does in a UTF8 database, which is the order of code points. A range
may hold more values than are wanted, since each is read again, and never fewer.

A percent-encoded key has many spellings: any character may be written as it is or as its bytes in hexadecimal, in
capitals or not. All spellings of one prefix are the usual one (as `Form.write` has it) and those that first differ from
it at some character; each of these begins with a text of its own, so they are a few ranges.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from bucketops_jobs.migration.paths import Form
from bucketops_jobs.shards import Range

HIGHEST = "\U0010ffff" * 257
"""Sorts after every key, be it of the highest characters alone: a key has 1,024 bytes at most."""
LOWEST = "\x01"
"""Sorts before every other character that PostgreSQL can hold: a text and this is the text's successor."""
Values = tuple[str, str]
"""From the first (inclusive) to the last (exclusive)."""

_DEPTH = 8
"""Characters after which two ends of a range are no longer told apart: hardly any key lies between."""
_UNREADABLE = "\ufffd"
"""What bytes that are no UTF-8 are read as."""
_ESCAPE, _AFTER_ESCAPE = "%", "&"
_NOT_ASCII, _LAST_BYTE = 0x80, 0xFF
_SURROGATES = range(0xD800, 0xE000)
_LAST_CHARACTER = 0x10FFFF


def value_ranges(form: Form, within: Range) -> list[Values]:
    """Return disjoint ranges, in order, that hold every value that names a key of a range of relative keys."""
    found = _spelled(form, within) if form.format.quoted else _plain(form, within)
    return _merged((_holdable_low(low), _holdable_high(high)) for low, high in found)


def outside(ranges: Iterable[Values]) -> list[Values]:
    """Return the ranges that hold every other value."""
    low, found = "", []
    for first, last in _merged(iter(ranges)):
        found.append((low, first))
        low = last
    return [values for values in [*found, (low, HIGHEST)] if values[0] < values[1]]


def _plain(form: Form, within: Range) -> Iterator[Values]:
    start, after = form.format.before + form.stem, form.format.after
    if within.until is None:
        yield start + within.after, _end(start)
        return
    yield start + within.after, start + within.until + after + LOWEST
    if after:  # a key that the last key begins with may sort behind it
        for length in range(len(within.until)):
            yield _only(start + within.until[:length] + after)


def _spelled(form: Form, within: Range) -> Iterator[Values]:
    node = form.format.before
    for character in form.stem:
        yield from _other_spellings(node, character)
        node += quote(character, safe="/")
    yield from _between(_Node(node, form.format.after, _DEPTH), within.after, within.until)


@dataclass(frozen=True)
class _Node:
    """All values that begin with a text, in the usual spelling, and what stands after the key."""

    text: str
    after: str
    depth: int

    def child(self, character: str, *, deeper: bool) -> _Node:
        return _Node(self.text + quote(character, safe="/"), self.after, self.depth - int(deeper))


def _between(node: _Node, low: str, high: str | None) -> Iterator[Values]:
    """Spellings of what follows a node: more than `low` (or all, if it is empty), and `high` at most (None: all)."""
    if node.depth == 0 or (not low and high is None):
        yield _block(node.text)
        return
    if not low or high == "":
        yield _only(node.text + node.after)  # nothing follows
    if high == "":
        return
    first, last = low[:1], high[:1] if high is not None else ""
    if first == last:
        yield from _other_spellings(node.text, first)
        yield from _between(node.child(first, deeper=False), low[1:], (high or "")[1:])
        return
    yield from _characters(node.text, first, last)
    if first:
        yield from _other_spellings(node.text, first)
        yield from _bytes_beside(node.text, first, above=True)
        yield from _between(node.child(first, deeper=True), low[1:], None)
    if last:
        yield from _other_spellings(node.text, last)
        yield from _bytes_beside(node.text, last, above=False)
        yield from _between(node.child(last, deeper=True), "", (high or "")[1:])


def _characters(node: str, first: str, last: str) -> Iterator[Values]:
    """Values that go on with a character between two, both exclusive, in any spelling; an empty one is no limit."""
    low = node + _next(first) if first else node
    high = node + last if last else _end(node)
    yield low, min(high, node + _ESCAPE)
    yield max(low, node + _AFTER_ESCAPE), high
    if first < _ESCAPE and (not last or last > _ESCAPE):
        yield _block(node + _ESCAPE)  # one that escapes nothing stands for itself
        return
    from_byte = _first_byte(first) + 1 if first else 0
    if first < _UNREADABLE and (not last or last > _UNREADABLE):
        yield _bytes(node, min(from_byte, _NOT_ASCII), _LAST_BYTE)
    yield _bytes(node, from_byte, _first_byte(last) - 1 if last else _LAST_BYTE)


def _other_spellings(node: str, character: str) -> Iterator[Values]:
    """Values that go on with this character, but not as it is usually spelled."""
    usual = quote(character, safe="/")
    if usual != character:
        yield _block(node + character)
    if character == _UNREADABLE:
        yield _bytes(node, _NOT_ASCII, _LAST_BYTE)
        return
    for byte in character.encode():
        spelled = f"%{byte:02X}"
        for other in _in_any_case(spelled):
            if other != spelled or usual == character:
                yield _block(node + other)
        node += spelled


def _bytes_beside(node: str, character: str, *, above: bool) -> Iterator[Values]:
    """Values that share the first bytes of a character that has several, and then have a higher one, or a lower one."""
    encoded = character.encode()
    for number, byte in enumerate(encoded):
        if number:
            yield _bytes(node, byte + 1, _LAST_BYTE) if above else _bytes(node, 0, byte - 1)
        node += f"%{byte:02X}"


def _bytes(node: str, first: int, last: int) -> Values:
    """Values that go on with an escaped byte from the first to the last; capitals sort before small letters."""
    if first > last:
        return node, node
    return f"{node}%{first:02X}", _end(f"{node}%{last:02x}")


def _in_any_case(spelled: str) -> set[str]:
    return {"".join(letters) for letters in itertools.product(*((c.upper(), c.lower()) for c in spelled))}


def _first_byte(character: str) -> int:
    return character.encode()[0]


def _block(text: str) -> Values:
    """All values that begin with a text."""
    return text, _end(text)


def _only(text: str) -> Values:
    return text, text + LOWEST


def _end(text: str) -> str:
    """The least text that sorts after all that begin with this one."""
    while text and ord(text[-1]) == _LAST_CHARACTER:
        text = text[:-1]
    return text[:-1] + _next(text[-1]) if text else HIGHEST


def _next(character: str) -> str:
    """The next character that PostgreSQL can hold; more of them after the last."""
    code = ord(character) + 1
    if code > _LAST_CHARACTER:
        return HIGHEST
    return chr(_SURROGATES.stop if code in _SURROGATES else code)


def _holdable_low(text: str) -> str:
    """PostgreSQL holds no NUL; a text that ends before it sorts before."""
    return text.split("\0", maxsplit=1)[0]


def _holdable_high(text: str) -> str:
    head, nul, _ = text.partition("\0")
    return head + LOWEST if nul else text


def _merged(found: Iterator[Values]) -> list[Values]:
    merged: list[Values] = []
    for low, high in sorted(values for values in found if values[0] < values[1]):
        if merged and low <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], high)
        else:
            merged.append((low, high))
    return merged
