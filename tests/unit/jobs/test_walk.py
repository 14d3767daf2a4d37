"""Listings of a walk: what is known of the keys beforehand is used, and costs no key."""

from __future__ import annotations

import pytest

from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.store import Page
from bucketops_jobs.s3.within import listing
from bucketops_jobs.shards import Range, spread

KEYS = [f"{number:04}" for number in range(5000)]


class Watched(FakeStore):
    """A store that remembers where its listings began."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server, "bucket")
        self.began: list[str] = []

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        if token is None:
            self.began.append(after)
        return super().page(prefix, after=after, token=token, limit=limit)


@pytest.fixture(scope="module")
def server() -> FakeServer:
    made = FakeServer()
    for key in KEYS:
        made.store("bucket").put(f"image/{key}", b"x", {})
    return made


def test_streams_begin_where_the_cuts_are_and_every_key_comes_once_in_order(server: FakeServer) -> None:
    store, cuts = Watched(server), ["1250", "2500", "not/there"]
    found = [key for key, _ in listing(store, "image/", Range(), streams=4, cuts=cuts)]
    assert found == KEYS
    assert {"image/1250", "image/2500"} <= set(store.began)


def test_cuts_outside_a_range_are_of_no_use_to_it(server: FakeServer) -> None:
    store = Watched(server)
    within = Range("1000", "2000")
    found = [key for key, _ in listing(store, "image/", within, streams=4, cuts=["0500", "1500", "3000"])]
    assert found == KEYS[1001:2001]
    assert not {"image/0500", "image/3000"} & set(store.began)


def test_a_few_of_many_keys_are_spread_evenly() -> None:
    assert spread(KEYS, 5) == ["0000", "1000", "2000", "3000", "4000"]
    assert spread(KEYS[:3], 5) == KEYS[:3]
    assert spread(KEYS, 0) == []
