"""How an object is cut into parts."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.s3.multipart import (
    LARGEST_PART,
    MOST_PARTS,
    SMALLEST_PART,
    original_part_size,
    part_size,
    spans,
    whole_etag,
)
from bucketops_jobs.s3.store import Object

MIB = 1 << 20
MOST = 5 << 40
"""Bytes of the largest object."""


def source(size: int, count: int | str) -> Object:
    return Object("k", f"{'0' * 32}-{count}", size, datetime(2026, 1, 1, tzinfo=UTC))


@given(st.integers(1, MOST), st.sampled_from([8 * MIB, 128 * MIB]))
def test_any_size_fits_into_ten_thousand_parts_that_servers_take(size: int, usual: int) -> None:
    each = part_size(size, usual)
    assert -(-size // each) <= MOST_PARTS
    assert SMALLEST_PART <= usual <= each <= LARGEST_PART


@given(st.integers(1, 100 * MIB), st.integers(5 * MIB, 20 * MIB))
def test_parts_cover_every_byte_once(size: int, each: int) -> None:
    parts = spans(size, each)
    assert list(parts) == list(range(1, len(parts) + 1))
    ends = [first + count for first, count in parts.values()]
    assert [first for first, _ in parts.values()] == [0, *ends[:-1]]
    assert ends[-1] == size
    assert all(count == each for _, count in list(parts.values())[:-1])


@given(st.integers(SMALLEST_PART, 20 * MIB), st.integers(1, 50), st.integers(1, 5 * MIB))
def test_the_originals_parts_are_had_again(each: int, count: int, last: int) -> None:
    size = (count - 1) * each + last
    first = each if count > 1 else size
    found = original_part_size(source(size, count), first, LARGEST_PART)
    assert found == first
    assert len(spans(size, first)) == count


@pytest.mark.parametrize(
    ("entry", "first", "most"),
    [
        pytest.param(source(10 * MIB, 2)._replace(etag="0" * 32), 5 * MIB, LARGEST_PART, id="one upload"),
        pytest.param(source(10 * MIB, "x"), 5 * MIB, LARGEST_PART, id="no number"),
        pytest.param(source(10 * MIB, 3), 5 * MIB, LARGEST_PART, id="parts were not equal"),
        pytest.param(source(10 * MIB, 2), 0, LARGEST_PART, id="the server does not tell"),
        pytest.param(source(4 * MIB, 2), 3 * MIB, LARGEST_PART, id="parts too small to be had again"),
        pytest.param(source(20 * MIB, 2), 10 * MIB, 8 * MIB, id="parts too large to pass through"),
        pytest.param(source(20_000, 20_000), 1, LARGEST_PART, id="too many"),
    ],
)
def test_otherwise_they_are_cut_anew(entry: Object, first: int, most: int) -> None:
    assert original_part_size(entry, first, most) is None


def test_an_etag_is_made_of_the_parts_md5s_and_of_nothing_else() -> None:
    one, two = (hashlib.md5(data, usedforsecurity=False) for data in (b"one", b"two"))
    joined = hashlib.md5(one.digest() + two.digest(), usedforsecurity=False).hexdigest()
    assert whole_etag({2: two.hexdigest(), 1: one.hexdigest()}) == f"{joined}-2"
    assert whole_etag({1: "no MD5"}) == ""
