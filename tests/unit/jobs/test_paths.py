"""How keys are written in columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.migration.paths import Form, Format, literally

TEXT = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.text("{}ke:", max_size=6))
KEY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


PLACEHOLDER = st.sampled_from(["{key}", "{key:url}", "{key:relative}", "{key:relative:url}"])


@given(before=TEXT, after=TEXT, key=KEY, placeholder=PLACEHOLDER)
def test_what_is_written_is_read_again(before: str, after: str, key: str, placeholder: str) -> None:
    form = Format.parse(literally(before) + placeholder + literally(after))
    assert form.read(form.write(key)) == key
    assert (form.before, form.after) == (before, after)


@pytest.mark.parametrize(
    ("form", "value", "key"),
    [
        ("https://legacy-url/{key}", "https://legacy-url/image/a.png", "image/a.png"),
        ("https://legacy-url/{key}", "https://other/image/a.png", None),
        ("{key}?v=1", "a.png", None),
        ("ab{key}ba", "aba", None),
        ("{key:url}", "a%20b%2Fc+d", "a b/c+d"),
        ("{key}", "a%20b", "a%20b"),
        ("{key}", "image/{a}", "image/{a}"),
        ("{{a}}/{key}", "{a}/b", "b"),
        ("{{{key}}}", "{b}", "b"),
        ("{{key}}{key}{{key}}", "{key}b{key}", "b"),
    ],
)
def test_what_a_value_names(form: str, value: str, key: str | None) -> None:
    assert Format.parse(form).read(value) == key


def test_slashes_stay_as_they_are_in_percent_encoding() -> None:
    assert Format.parse("/{key:url}").write("image/a b+c.png") == "/image/a%20b%2Bc.png"


def test_a_relative_format_names_keys_below_the_prefix() -> None:
    form = Form(Format.parse("/media/{key:relative}"), "image/")
    assert form.write("a.png") == "/media/a.png"
    assert form.read("/media/a.png") == "a.png"
    assert form.read("/media/") is None  # an application writes it for "no picture"


def test_a_format_names_no_key_outside_the_prefix() -> None:
    form = Form(Format.parse("{key}"), "image/")
    assert form.read("image/a.png") == "a.png"
    assert form.read("avatar/a.png") is None
