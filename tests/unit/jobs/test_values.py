"""Ranges of keys as ranges of a column's values, in the order of the C collation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.migration.database import queries
from bucketops_jobs.migration.paths import Format
from bucketops_jobs.migration.tables import value_range
from bucketops_jobs.shards import Range

# What PostgreSQL holds in a text, but for the last code point, which stands for the end.
KEY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\U0010ffff"), max_size=8)
FORM = st.sampled_from(["{key}", "https://host/{key}", "{key}?v=1", "/{key:url}", "x{key:url}y"])


@given(form=FORM, prefix=st.sampled_from(["", "image/", "ü b/"]), key=KEY, after=KEY, until=st.none() | KEY)
def test_no_row_of_a_range_is_missed(form: str, prefix: str, key: str, after: str, until: str | None) -> None:
    """The query may find more (the worker looks again), never less."""
    within = Range(after, until)
    made = Format.parse(form)
    low, high = value_range(made, prefix, within)
    if key in within:
        assert low <= made.write(prefix + key) < high


@given(key=KEY, after=KEY, until=st.none() | KEY)
def test_a_plain_range_finds_hardly_more(key: str, after: str, until: str | None) -> None:
    """But for its lower end, which is the last key of the range before."""
    low, high = value_range(Format.parse("{key}"), "image/", Range(after, until))
    if low <= "image/" + key < high:
        assert key in Range(after, until) or key == after


def test_other_spellings_of_a_prefix_lie_within_the_range() -> None:
    low, high = value_range(Format.parse("/{key:url}"), "image/", Range())
    assert low <= "/%69mage/a.png" < high


def test_every_statement_is_found_by_its_name() -> None:
    names = {"describe", "unique", "privileges", "load", "naming", "rewrite", "rewrite_waiting", "values", "mark"}
    assert names <= set(queries())
    assert all(text.strip() for text in queries().values())
