"""Values of rows as people may see them, and as they could be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.migration.paths import Form, Format
from bucketops_jobs.migration.spellings import masked, spellings


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("image/a.png", "image/a.png"),
        ("image/a.png?v=3", "image/a.png?v=3"),
        ("image/a.png?v=3  ", "image/a.png?v=3  "),
        ("https://user:pass@host/a.png", "https://…@host/a.png"),
        ("https://host/a.png?X-Amz-Signature=abc", "https://host/a.png?…"),
        ("https://host/a.png?token=12345abc", "https://host/a.png?…"),
        ("https://host/a.png#access_token=abc", "https://host/a.png#…"),
        ("x" * 500, "x" * 120 + "…"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(value: str, shown: str) -> None:
    assert masked(value) == shown


@pytest.mark.parametrize(
    ("value", "format_", "new_format", "key"),
    [
        ("image/a.png", "{key}", "", "a.png"),
        ("image/a%20b.png", "{key:url}", "", "a b.png"),
        ("image/a.png?v=3", "{key}?v=3", "", "a.png"),
        ("image/a.png  ", "{key}  ", "", "a.png"),
        ("https://cdn/x/image/a.png", "https://cdn/x/{key}", "", "a.png"),
        ("https://cdn/image/image/a.png", "https://cdn/image/{key}", "", "a.png"),
        ("//cdn/a.png", "//cdn/{key:relative}", "", "a.png"),
        ("/a.png?v=1", "/{key:relative}?v=1", "", "a.png"),
        ("a%2Eb", "{key:relative:url}", "", "a.b"),
        ("/IMAGE/a.png", "/IMAGE/{key:relative}", "/{key}", "a.png"),
        ("image/{key}", "{key}", "", "{key}"),
        ("/{a}}/image/b", "/{{a}}}}/{key}", "", "b"),
        ("{a}/IMAGE/b", "{{a}}/IMAGE/{key:relative}", "{{a}}/{key}", "b"),
    ],
)
def test_a_value_is_read_in_each_way_that_is_used(value: str, format_: str, new_format: str, key: str) -> None:
    assert (format_, new_format, key) in list(spellings(value, "image/"))


@pytest.mark.parametrize("value", ["https://u:p@h/image/a.png", "image/a.png?X-Amz-Signature=ab", "x" * 200])
def test_no_format_is_made_of_what_may_be_a_secret(value: str) -> None:
    assert list(spellings(value, "image/")) == []


def test_without_a_prefix_the_whole_path_is_the_key() -> None:
    assert ("https://cdn/{key}", "", "a.png") in list(spellings("https://cdn/a.png", ""))


_TEXT = st.text(st.sampled_from("iImMaAgGeE/%2041 ?v=.#{}"), max_size=12)


@given(value=_TEXT, prefix=st.sampled_from(["", "image/", "a/", "%20"]))
def test_whatever_is_proposed_reads_the_value_as_that_key(value: str, prefix: str) -> None:
    for way in spellings(value, prefix):
        assert Form(Format.parse(way.format), prefix).read(value) == way.key
