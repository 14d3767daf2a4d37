"""Globs on the key below the prefix, as `aws s3` and s5cmd read them: `*` is any run of characters, `/` included."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable

from bucketops_api.v1alpha1.common import Filter


def matcher(rules: Filter) -> Callable[[str], bool]:
    """Whether a relative key is in scope: any include (or none given), and no exclude."""
    include, exclude = any_of(rules.include), any_of(rules.exclude)

    def matches(key: str) -> bool:
        return (include(key) or not rules.include) and not exclude(key)

    return matches


def any_of(globs: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text matches at least one glob."""
    pattern = re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)")
    return lambda text: pattern.match(text) is not None
