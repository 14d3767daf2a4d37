"""Globs of a spec against names of folders, letter by letter as people read them. Pure.

`é` may be one code point or two (https://unicode.org/reports/tr15/): a spec has the first as a rule, and folders that
were uploaded from macOS the second. A rule that protects a folder must not fail for what nobody can see.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable

from bucketops_jobs.s3.filters import any_of

_FORMS = ("NFC", "NFD")


def matching(globs: Iterable[str]) -> Callable[[str], bool]:
    """Return whether a folder's path, or its last segment, matches at least one glob."""
    matches = any_of(map(composed, globs))

    def match(path: str) -> bool:
        text = composed(path)
        return matches(text) or matches(text.rpartition("/")[2])

    return match


def composed(text: str) -> str:
    """Return a text in the one form in which texts that read alike are equal."""
    return unicodedata.normalize("NFC", text)


def spellings(name: str) -> frozenset[str]:
    """Return the keys under which an object of this name may have been uploaded."""
    return frozenset({name, *(unicodedata.normalize(form, name) for form in _FORMS)})  # type: ignore[arg-type]
