"""What a sweep found settled, and the next one need not look into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.pipeline import plan, sweep
from bucketops_jobs.pipeline.looked import Looked

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PAIRS = st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=30, unique=True)


@given(PAIRS, PAIRS)
def test_the_next_sweep_knows_exactly_what_was_found_settled(
    settled: list[tuple[str, str, str]], others: list[tuple[str, str, str]]
) -> None:
    before = Looked("rules")
    for pair in settled:
        before.add(*pair)
    after = Looked.decode("rules", before.encode())
    for pair in settled + others:
        assert after.knows(*pair) == (pair in settled)


def test_what_is_known_is_passed_on_as_long_as_somebody_asks() -> None:
    first = Looked("rules")
    first.add("a", "1", "2")
    first.add("b", "1", "2")
    second = Looked.decode("rules", first.encode())
    assert second.knows("a", "1", "2")
    third = Looked.decode("rules", second.encode())
    assert third.knows("a", "1", "2")
    assert not third.knows("b", "1", "2")


def test_another_etag_or_other_rules_are_looked_into() -> None:
    before = Looked("rules")
    before.add("a", "1", "2")
    data = before.encode()
    assert not Looked.decode("rules", data).knows("a", "9", "2")
    assert not Looked.decode("rules", data).knows("a", "1", "9")
    assert not Looked.decode("others", data).knows("a", "1", "2")


def test_no_more_are_kept_than_fit_and_a_damaged_end_is_no_error() -> None:
    looked = Looked("rules", most=2)
    for number in range(3):
        looked.add(str(number), "1", "2")
    assert len(looked.encode()) == 16
    rest = Looked.decode("rules", looked.encode()[:-3])
    assert [rest.knows(str(number), "1", "2") for number in range(3)] == [True, False, False]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(JSON, JSON, JSON)
def test_whatever_somebody_writes_among_the_records_is_a_record_or_none(
    one: object, two: object, three: object
) -> None:
    known = sweep.swept({"began": one, "verified": two, "rules": three})
    assert known is None or known.began.tzinfo is not None
    made = plan.parsed({"bounds": one, "total": two})
    assert made is None or (list(made.bounds) == sorted(made.bounds, key=str.encode) and 0 <= made.total <= plan.MOST)


@pytest.mark.parametrize("began", ["2026-01-01T00:00:00", "soon", None, 3, ["2026-01-01T00:00:00+00:00"]])
def test_a_sweep_at_no_time_of_this_world_is_none(began: object) -> None:
    assert sweep.swept({"began": began, "verified": began, "rules": "r"}) is None


@pytest.mark.parametrize(
    "found", [{}, {"bounds": ["b", "a"], "total": 1}, {"bounds": [], "total": 10**30}, {"bounds": [1], "total": 1}]
)
def test_shards_that_nobody_would_cut_are_no_plan(found: dict[str, object]) -> None:
    assert plan.parsed(found) is None
    assert plan.parsed({"bounds": ["a", "b"], "total": 7}) == plan.Plan(("a", "b"), 7)
