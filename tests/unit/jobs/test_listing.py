"""One stream of pages: checked, cut, without records, the next page on its way while one is consumed."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.errors import ShardError
from bucketops_jobs.s3 import listing
from bucketops_jobs.s3.fake import FakeServer
from bucketops_jobs.s3.store import Object, Page


class Scripted:
    """Answers pages by their tokens, and notes what was asked."""

    bucket = "bucket"

    def __init__(self, *pages: list[str]) -> None:
        self.pages, self.asked = pages, list[tuple[str, str | None]]()

    def page(self, _prefix: str, *, after: str = "", token: str | None = None, **_: int) -> Page:
        self.asked.append((after, token))
        number = int(token or 0)
        objects = [Object(key, "", 0, datetime(2026, 1, 1, tzinfo=UTC)) for key in self.pages[number]]
        return Page(objects, str(number + 1) if number + 1 < len(self.pages) else None)


def keys(store: listing.Pages, prefix: str = "", after: str = "", until: str | None = None) -> list[str]:
    return [entry.key for entry in listing.list_objects(store, prefix, after=after, until=until)]


def test_start_after_opens_a_listing_and_the_token_goes_on() -> None:
    store = Scripted(["b"], ["c"], ["d"])
    assert keys(store, after="a") == ["b", "c", "d"]
    assert store.asked == [("a", None), ("", "1"), ("", "2")]


def test_empty_pages_are_skipped() -> None:
    assert keys(Scripted([], ["a"], [], [], ["b"], [])) == ["a", "b"]


def test_nothing_is_asked_beyond_the_end_of_the_range() -> None:
    store = Scripted(["a", "b"], ["c", "d"], ["e"], ["f"])
    assert keys(store, until="c") == ["a", "b", "c"]
    assert len(store.asked) == 2


def test_the_next_page_is_on_its_way_while_one_is_consumed() -> None:
    store = Scripted(["a"], ["b"], ["c"])
    shown = listing.list_objects(store, "")
    assert next(shown).key == "a"
    limit = time.monotonic() + 30
    while len(store.asked) < 2:
        assert time.monotonic() < limit
    time.sleep(0.05)
    assert len(store.asked) == 2, "one page ahead, not more"


def test_a_consumer_that_stops_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    shown = listing.list_objects(Scripted(["a"], ["b"], ["c"]), "")
    next(shown)
    shown.close()  # type: ignore[attr-defined]
    limit = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize(
    "pages", [(["b", "a"],), (["a", "a"],), (["a"], ["a"]), (["b"], ["a"]), (["a", "c", "b", "d"],)]
)
def test_keys_that_do_not_increase_are_no_listing(pages: tuple[list[str], ...]) -> None:
    with pytest.raises(ShardError, match="out of order"):
        keys(Scripted(*pages))


def test_a_server_that_ignores_start_after_is_not_believed() -> None:
    with pytest.raises(ShardError, match="out of order"):
        keys(Scripted(["a", "b", "c"]), after="b")


def test_a_server_that_ignores_the_prefix_is_not_believed() -> None:
    with pytest.raises(ShardError, match="below 'p/'"):
        keys(Scripted(["p/a", "q/b"]), "p/")


def test_a_token_that_is_repeated_is_not_followed_for_ever() -> None:
    store = Scripted()
    store.page = lambda *_, **__: Page([], "same")  # type: ignore[method-assign]
    with pytest.raises(ShardError, match="does not go on"):
        keys(store)


def test_records_are_left_out() -> None:
    names = [".bucketops/x", "a/.bucketops/y", "b.bucketops/z", "c"]
    assert keys(Scripted(names)) == ["b.bucketops/z", "c"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_the_order_of_code_points_is_that_of_utf_8(names: list[str]) -> None:
    assert sorted(names) == sorted(names, key=str.encode)


def test_the_fake_pages_as_a_server_does() -> None:
    store = FakeServer().store("bucket")
    for n in range(2100):
        store.put(f"k{n:04d}", b"", {})
    assert keys(store, "k", "k0005", "k2050") == [f"k{n:04d}" for n in range(6, 2051)]
