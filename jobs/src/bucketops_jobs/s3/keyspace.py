"""Where to cut a range of keys of which only the beginning is known. Pure arithmetic on strings.

A key is read as a number: its characters are digits, and the base is the characters that the keys seen so far are made
of (the alphabet, sorted). Cuts need not be keys and may be wrong: a bad cut costs balance, never a key.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import takewhile

DIGITS = 200
"""Characters of a key that count, at most, beyond what the keys of a range share."""
_LAST = "\U0010ffff"
_SURROGATES = range(0xD800, 0xE000)
"""Code points that are no characters."""


def alphabet(keys: Iterable[str], prefix: str) -> str:
    """The characters that the keys have beyond the prefix."""
    return "".join(sorted(set().union(*(key[len(prefix) :] for key in keys))))


def ceiling(prefix: str, until: str | None) -> str:
    """A string above all keys of a range that ends at `until`, or with the prefix."""
    return prefix + _LAST if until is None else until


def middle(low: str, high: str, letters: str) -> str | None:
    """A short string about halfway between two others, strictly; None where there is none."""
    scale = _Scale(low, high, letters)
    return scale.between(low, (scale.number(low) + scale.number(high)) // 2, high)


def beyond(page: tuple[str, str], times: int, at: str, high: str, letters: str) -> str | None:
    """A string between `at` and `high`, as far beyond `at` as so many pages like this one (first, last key) reach."""
    first, last = page
    scale = _Scale(first, high, letters, len(last))
    step = scale.number(last) - scale.number(first)
    return scale.between(at, min(scale.number(at) + times * step, scale.number(high)), high)


def rest(shown: tuple[str, str], at: str, high: str, letters: str) -> float:
    """How many times as far it is from `at` to `high` as from the first to the last key shown."""
    first, last = shown
    scale = _Scale(first, high, letters, len(last))
    step = scale.number(last) - scale.number(first)
    return (scale.number(high) - scale.number(at)) / max(step, 1)


def shallower(first: str, last: str, high: str) -> str | None:
    """Past all keys that share half of what `first` and `last` share beyond their common part with `high`.

    Halving the depth finds where keys branch at all, when halving the distance has met nothing but emptiness.
    """
    top, local = len(_common(last, high)), len(_common(first, last))
    for depth in range((top + local + 1) // 2, top, -1):
        cut = last[: depth - 1] + _next_character(last[depth - 1])
        if last < cut < high:
            return cut
    return None


class _Scale:
    """Numbers of the keys of a range. A character that is no letter counts as the next one that is."""

    def __init__(self, low: str, high: str, letters: str, longest: int = 0) -> None:
        self._common = _common(low, high)
        self._letters = letters + _next_character(letters[-1]) if letters else _LAST
        self._base = len(self._letters) + 1
        self._digits = min(DIGITS, max(longest, len(low)) + 2 - len(self._common))

    def number(self, key: str) -> int:
        """Of the characters beyond the common part; 0 stands for the end of the key."""
        value = 0
        rest = key[len(self._common) : len(self._common) + self._digits]
        for character in rest:
            value = value * self._base + min(bisect_left(self._letters, character) + 1, len(self._letters))
        return int(value * self._base ** (self._digits - len(rest)))

    def between(self, low: str, number: int, high: str) -> str | None:
        """The shortest beginning of a number's key that lies strictly between two keys, and one character more."""
        text = self._common + self._text(number)
        for end in range(len(self._common) + 1, len(text) + 1):
            if low < text[:end] < high:
                longer = text[: end + 1]
                return longer if longer < high else text[:end]
        return None

    def _text(self, number: int) -> str:
        digits = []
        for _ in range(self._digits):
            number, digit = divmod(number, self._base)
            digits.append(digit)
        text = ""
        for digit in reversed(digits):
            if not digit:
                break
            text += self._letters[digit - 1]
        return text


def _common(one: str, other: str) -> str:
    """What two strings begin with alike."""
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _next_character(character: str) -> str:
    """By code point."""
    point = ord(character) + 1
    return chr(_SURROGATES.stop if point in _SURROGATES else min(point, ord(_LAST)))
