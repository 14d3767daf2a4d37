"""How keys are written in columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.migration.paths import Format

TEXT = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=12)
KEY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(before=TEXT, after=TEXT, key=KEY, quoted=st.booleans())
def test_what_is_written_is_read_again(before: str, after: str, key: str, *, quoted: bool) -> None:
    form = Format.parse(before + ("{key:url}" if quoted else "{key}") + after)
    assert form.read(form.write(key)) == key


@given(before=TEXT, key=KEY, other=KEY)
def test_a_format_that_says_so_sorts_as_its_keys_do(before: str, key: str, other: str) -> None:
    form = Format.parse(before + "{key}")
    assert form.in_key_order
    assert (form.write(key) < form.write(other)) == (key < other)


@pytest.mark.parametrize(
    ("form", "value", "key"),
    [
        ("https://legacy-url/{key}", "https://legacy-url/image/a.png", "image/a.png"),
        ("https://legacy-url/{key}", "https://other/image/a.png", None),
        ("{key}?v=1", "a.png", None),
        ("ab{key}ba", "aba", None),
        ("{key:url}", "a%20b%2Fc+d", "a b/c+d"),
        ("{key}", "a%20b", "a%20b"),
    ],
)
def test_what_a_value_names(form: str, value: str, key: str | None) -> None:
    assert Format.parse(form).read(value) == key


def test_slashes_stay_as_they_are_in_percent_encoding() -> None:
    assert Format.parse("/{key:url}").write("image/a b+c.png") == "/image/a%20b%2Bc.png"


@pytest.mark.parametrize("form", ["{key:url}", "{key}.png"])
def test_other_formats_do_not_sort_as_their_keys(form: str) -> None:
    assert not Format.parse(form).in_key_order
