"""Ranges of keys as ranges of a column's values, in the order of the C collation."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.migration.database import queries
from bucketops_jobs.migration.paths import Form, Format
from bucketops_jobs.migration.value_ranges import Values, outside, value_ranges
from bucketops_jobs.shards import Range

KEY = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text("ab%é\ufffd\U0010ffff", max_size=6)
FORMAT = st.sampled_from(
    ["{key}", "https://host/{key}", "{key}?v=1", "/{key:url}", "x{key:url}y", "{key:relative}", "/m/{key:relative:url}"]
)
PREFIX = st.sampled_from(["", "image/", "ü b/"])
RANGE = st.builds(Range, KEY, st.none() | KEY)
SPELLED = st.text("%0123456789aAbBcCdDeEfF/éü\ufffd", max_size=12)


def held(value: str, ranges: list[Values]) -> bool:
    return any(low <= value < high for low, high in ranges)


@given(format_=FORMAT, prefix=PREFIX, key=KEY.filter(lambda key: "\0" not in key), within=RANGE)
def test_no_row_of_a_range_is_missed(format_: str, prefix: str, key: str, within: Range) -> None:
    """The query may find more (the worker looks again), never less."""
    form = Form(Format.parse(format_), prefix)
    if key in within:
        assert held(form.write(key), value_ranges(form, within))


@given(data=st.data(), prefix=PREFIX, key=KEY.filter(lambda key: "\0" not in key), within=RANGE)
def test_no_spelling_of_a_key_of_a_range_is_missed(data: st.DataObject, prefix: str, key: str, within: Range) -> None:
    """Each character as it is or escaped, in capitals or not: what is read as a key of the range lies within it."""
    form = Form(Format.parse("/{key:url}"), prefix)

    def spelled(character: str) -> str:
        escaped = quote(character.encode(), safe="")
        escaped = escaped if escaped != character else f"%{ord(character):02X}"
        return data.draw(st.sampled_from([character, escaped, escaped.lower(), escaped.swapcase()]))

    value = "/" + "".join(map(spelled, prefix + key))
    found = form.read(value)
    if found is not None and found in within:
        assert held(value, value_ranges(form, within))


@given(prefix=st.sampled_from(["", "a/"]), inner=SPELLED, within=RANGE)
def test_no_value_that_is_read_as_a_key_of_a_range_is_missed(prefix: str, inner: str, within: Range) -> None:
    """Whatever is written there: escapes that are none, bytes that are no UTF-8."""
    form = Form(Format.parse("/{key:url}"), prefix)
    for value in ("/" + inner, f"/{prefix}{inner}"):
        found = form.read(value)
        if found is not None and found in within:
            assert held(value, value_ranges(form, within)), (value, found)


@given(key=KEY, after=KEY, until=st.none() | KEY)
def test_a_plain_range_finds_hardly_more(key: str, after: str, until: str | None) -> None:
    """But for its lower end, which is the last key of the range before."""
    if "\0" in key + after + (until or ""):
        return
    form = Form(Format.parse("{key}"), "image/")
    if held("image/" + key, value_ranges(form, Range(after, until))):
        assert key in Range(after, until) or key == after


@pytest.mark.parametrize("format_", ["/{key:url}", "/{key:relative:url}", "/{key}?v=2"])
def test_a_range_finds_hardly_more_of_what_is_written_as_usual(format_: str) -> None:
    """What a chunk of a large table reads: names of any script, blanks, and keys that are numbered."""
    form = Form(Format.parse(format_), "my images/")
    for stem in ("avatar-", "Мои фото/", "a b/c d/", "日本/"):
        keys = [f"{stem}{number:06d}.png" for number in range(0, 300_000, 7)]
        ranges = value_ranges(form, Range(keys[10_000], keys[10_999]))
        found = [key for key in keys if held(form.write(key), ranges)]
        assert len(found) <= 1000 + 1
        assert not held("/avatar/new-picture-1.png", ranges)
        assert len(ranges) <= 150


@given(value=KEY, ranges=st.lists(st.tuples(KEY, KEY)))
def test_a_value_is_in_one_of_some_ranges_or_outside_them(value: str, ranges: list[Values]) -> None:
    ranges = [(low, high) for low, high in ranges if low < high]
    assert held(value, ranges) is not held(value, outside(ranges))


def test_other_spellings_of_a_prefix_lie_within_the_range() -> None:
    ranges = value_ranges(Form(Format.parse("/{key:url}"), "image/"), Range())
    assert held("/%69mage/a.png", ranges)
    assert not held("/avatar/a.png", ranges)


def test_every_statement_is_found_by_its_name() -> None:
    names = {"describe", "unique", "privileges", "load", "naming", "rewrite", "rewrite_waiting", "values", "mark"}
    assert names <= set(queries())
    assert all(text.strip() for text in queries().values())
