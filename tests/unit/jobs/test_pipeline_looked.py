"""What a sweep found settled, and the next one need not look into."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
