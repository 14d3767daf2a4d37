"""Keys in their order are looked up in the pages of one listing: the same answers as one by one, by fewer requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.errors import ShardError
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.forward import Forward
from bucketops_jobs.s3.store import Page

PREFIX = "image/"


class Counting(FakeStore):
    """Pages of three keys, counted."""

    asked = 0

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        self.asked += 1
        assert not (after and token)
        return super().page(prefix, after=after, token=token, limit=min(limit, 3))


def store_of(keys: set[str], kind: type[Counting] = Counting) -> Counting:
    store = kind(FakeServer({"b": {}}), "b")
    for key in keys:
        store.put(PREFIX + key, b"x", {})
    return store


KEYS = st.text(alphabet="ab/.!~é\U0010ffff", max_size=4)


@given(there=st.sets(KEYS, max_size=20), wanted=st.lists(KEYS, max_size=30))
def test_it_finds_what_is_there_by_no_more_requests_than_keys_or_pages(there: set[str], wanted: list[str]) -> None:
    store = store_of(there)
    forward = Forward(store, PREFIX)
    found = [key for key in sorted(wanted) if forward.find(key) is not None]
    assert found == [key for key in sorted(wanted) if key in there]
    assert store.asked <= len(there) // 3 + 1 + len(set(wanted))
    if all(key in there for key in wanted):
        assert store.asked <= len(there) // 3 + 1


def test_a_hundred_thousand_keys_between_a_few_objects_cost_a_page_each() -> None:
    """Seen: one LIST for each row whose object is missing."""
    store = store_of({f"{number:06d}x" for number in range(0, 100_000, 10_000)})
    forward = Forward(store, PREFIX)
    assert [forward.find(f"{number:06d}") for number in range(100_000)] == [None] * 100_000
    assert store.asked <= 10


def test_what_is_too_long_for_a_key_is_asked_of_nobody() -> None:
    store = store_of({"a"})
    assert Forward(store, PREFIX).find("a" * 5000) is None
    assert store.asked == 0


def test_a_key_behind_is_an_error_and_never_absence() -> None:
    forward = Forward(store_of({"a", "b"}), PREFIX)
    assert forward.find("b") is not None
    with pytest.raises(ValueError, match="has gone by"):
        forward.find("a")


def test_records_are_in_no_answer() -> None:
    assert Forward(store_of({".bucketops/x"}), PREFIX).find(".bucketops/x") is None


class Backwards(Counting):
    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        page = super().page(prefix, after=after, token=token, limit=limit)
        return Page(page.objects[::-1], page.token)


def test_a_listing_out_of_order_is_believed_in_nothing() -> None:
    with pytest.raises(ShardError, match="out of order"):
        Forward(store_of({"a", "b"}, Backwards), PREFIX).find("a")
