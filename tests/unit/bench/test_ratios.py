"""The statistics of the benchmarks."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ratios import Spread, paired, rotated, short, spread

RATES = st.lists(st.floats(1, 1e6), min_size=1, max_size=30)


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    assert spread([5, 1, 4, 2, 3]) == Spread(2, 3, 4)
    assert spread([7]) == Spread(7, 7, 7)


def test_no_measurements_are_no_number() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


@given(RATES)
def test_the_median_lies_between_the_quartiles(values: list[float]) -> None:
    found = spread(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is twice as slow in one round, for both, changes no ratio."""
    ours, theirs = {0: 200.0, 1: 100.0, 2: 400.0}, {0: 100.0, 1: 50.0, 2: 200.0}
    assert paired(ours, theirs) == Spread(2, 2, 2)


def test_a_round_that_one_of_them_has_not_played_does_not_count() -> None:
    assert paired({0: 3.0, 1: 8.0}, {1: 4.0, 2: 1.0}) == Spread(2, 2, 2)


@given(st.dictionaries(st.integers(0, 20), st.floats(1, 1e3), min_size=1), st.floats(0.1, 10))
def test_a_constant_advantage_is_found_whatever_the_noise(theirs: dict[int, float], factor: float) -> None:
    ours = {number: rate * factor for number, rate in theirs.items()}
    assert paired(ours, theirs).median == pytest.approx(factor)


def test_each_contender_is_first_in_some_round_and_followed_by_each_neighbour() -> None:
    names = ["a", "b", "c"]
    orders = [rotated(names, number) for number in range(6)]
    assert all(sorted(order) == names for order in orders)
    assert {order[0] for order in orders} == set(names)
    followers = {pair for order in orders for pair in itertools.pairwise(order)}
    assert len(followers) == 6


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (0.98765, "0.988"), (0.0, "0")]
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert short(value) == text
