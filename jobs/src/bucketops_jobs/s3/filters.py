"""Globs on the key below the prefix, as `aws s3` and s5cmd read them: `*` is any run of characters, `/` included."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable

from bucketops_api.v1alpha1.common import Filter


def matcher(rules: Filter) -> Callable[[str], bool]:
    """Whether a relative key is in scope: any include (or none given), and no exclude."""
    include, exclude = _any(rules.include), _any(rules.exclude)

    def matches(key: str) -> bool:
        return (include is None or include.match(key) is not None) and (exclude is None or not exclude.match(key))

    return matches


def _any(globs: Iterable[str]) -> re.Pattern[str] | None:
    patterns = [fnmatch.translate(glob) for glob in globs]
    return re.compile("|".join(patterns)) if patterns else None
