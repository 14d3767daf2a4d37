r"""Forms of keys that some servers store under another name, and answer for under this one. Pure.

A server that keeps objects as files folds `a//b` to `a/b` and takes `a/./b` for `a/b`; SeaweedFS turns `\` to `/` and
keeps no byte of `dir/`. HEAD and GET then believe in the name that was asked for; a listing shows the one that is
there, unless the prefix that is asked for has such a form itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_CHARACTERS = r"[A-Za-z0-9!_'()*=+@,;:$&~-]"
_SEGMENT = rf"(?:{_CHARACTERS}|[ .](?=[ .]*{_CHARACTERS}))+"
_PLAIN = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
"""Segments of ASCII that neither end in a dot or a space nor are empty: no server is known to change one."""

EMPTY_SEGMENT, DOTS, FOLDER, BACKSLASH = (
    "an empty segment (//)",
    "a segment of dots",
    "a slash at its end",
    "a backslash",
)
_FORMS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        EMPTY_SEGMENT: re.compile("^/|//"),
        DOTS: re.compile(r"(?:^|/)\.{1,2}(?:/|$)"),
        FOLDER: re.compile("/$"),
        BACKSLASH: re.compile(r"\\"),
    }
)
SAMPLES: Mapping[str, str] = MappingProxyType(
    {EMPTY_SEGMENT: "empty//segment", DOTS: "dots/./segment", FOLDER: "folder/", BACKSLASH: "back\\slash"}
)
"""A key of each form and of no other."""


def plain(key: str) -> bool:
    """Whether HEAD may be believed of a key: it has no form that any server is known to change."""
    return _PLAIN.fullmatch(key) is not None


def forms(key: str, size: int = 1) -> frozenset[str]:
    """Return the forms that a key of an object of so many bytes has, as the names of SAMPLES.

    A slash at the end is none where there is nothing to lose: that is how folders are marked.
    """
    return frozenset(name for name, pattern in _FORMS.items() if pattern.search(key) and (size or name != FOLDER))
