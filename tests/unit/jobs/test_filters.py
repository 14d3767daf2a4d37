"""Globs as `aws s3` reads them."""

from __future__ import annotations

import pytest

from bucketops_api.v1alpha1.common import Filter
from bucketops_jobs.s3.filters import matcher


@pytest.mark.parametrize(
    ("include", "exclude", "key", "matches"),
    [
        pytest.param([], [], "anything/at all", True, id="no rule lets everything through"),
        pytest.param(["avatar-*.png"], [], "avatar-1.png", True, id="a star is any run of characters"),
        pytest.param(["avatar-*.png"], [], "avatar-a/b.png", True, id="slashes included"),
        pytest.param(["*.png"], [], "a\nb.png", True, id="newlines included"),
        pytest.param(["avatar-*.png"], [], "x/avatar-1.png", False, id="the whole key has to match"),
        pytest.param(["a?c"], [], "abc", True, id="a question mark is one character"),
        pytest.param(["a?c"], [], "ac", False, id="and not none"),
        pytest.param(["[ab]*"], [], "b1", True, id="a set"),
        pytest.param(["[!ab]*"], [], "b1", False, id="a set of what is not meant"),
        pytest.param(["a.c"], [], "abc", False, id="a dot is a dot"),
        pytest.param(["x", "a*"], [], "abc", True, id="any include will do"),
        pytest.param(["a*"], ["*b*"], "abc", False, id="an exclude wins"),
        pytest.param([], ["*.tmp"], "a.tmp", False, id="an exclude alone"),
        pytest.param(["A*"], [], "abc", False, id="case counts"),
    ],
)
def test_globs(include: list[str], exclude: list[str], key: str, matches: bool) -> None:
    assert matcher(Filter(include=include, exclude=exclude))(key) == matches
