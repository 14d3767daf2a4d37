"""Formats of references: braces hold the key; those of a path itself are written twice, and all others are refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bucketops_api.v1alpha1.migration import Reference
from bucketops_jobs.migration.paths import Format

BRACES, ONCE = "braces hold the key and nothing else", "write the key once"


def reference(**fields: str) -> Reference:
    return Reference.model_validate({"table": "avatars", "column": "path", **fields})


@pytest.mark.parametrize("field", ["format", "newFormat"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{key:foo}", BRACES),
        ("{key:url:relative}", BRACES),
        ("{KEY}", BRACES),
        ("{ key }", BRACES),
        ("{name}", BRACES),
        ("{}", BRACES),
        ("{prefix}{key}", BRACES),
        ("/{prefix", BRACES),
        ("{prefix{key}", BRACES),
        ("{key}}", BRACES),
        ("{{key}", BRACES),
        ("{{{key}}", BRACES),
        ("${key}{", BRACES),
        ("\\{{key}", BRACES),
        ("{{key}}", ONCE),
        ("{key}/{key}", ONCE),
        ("", ONCE),
        ("avatars/", ONCE),
    ],
)
def test_other_braces_are_refused_with_what_to_write(field: str, text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        reference(**{field: text})


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{{a}}/{key}", "{a}/k"),
        ("{{{key}}}", "{k}"),
        ("{key}{{", "k{"),
        ("}}{key:url}", "}k"),
        ("${key}", "$k"),
        ("\\{key}", "\\k"),
    ],
)
def test_a_brace_of_the_path_itself_is_written_twice(text: str, written: str) -> None:
    assert Format.parse(reference(format=text).format).write("k") == written


PIECES = st.lists(st.sampled_from(["{", "}", "{{", "}}", "key", "{key}", "{key:url}", "a"]), max_size=8).map("".join)


@given(st.text("{}key:urlativ/", max_size=24) | PIECES)
def test_what_is_admitted_can_be_read_and_nothing_else(text: str) -> None:
    try:
        format_ = reference(format=text).format
    except ValidationError:
        with pytest.raises(ValueError, match="no format"):
            Format.parse(text)
    else:
        form = Format.parse(format_)
        assert form.read(form.write("k")) == "k"
        assert len(re.findall(r"\{key", text)) >= 1
