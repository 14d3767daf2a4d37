"""What is listed decides: HEAD answers for names that the server keeps under others."""

from __future__ import annotations

import string
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import ItemError
from bucketops_jobs.migration.lookup import listed, lookup, seen
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.keyforms import SAMPLES, forms, plain
from bucketops_jobs.s3.store import Object

FAR = 10**6


class Folding(FakeStore):
    """HEAD folds names as file systems do; the listing shows what there is."""

    asked = 0

    def head(self, key: str) -> Object | None:
        Folding.asked += 1
        if "/./" in key:
            raise ItemError(f"head {key!r}: 400")
        found = super().head(key.replace("//", "/"))
        return found._replace(key=key) if found else None


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(Pace(4, None, threading.Event()), 4) as made:
        yield made


@pytest.fixture
def store() -> Folding:
    server = FakeServer()
    for key in ("a/b", "plain"):
        server.store("b").put(f"p/{key}", key.encode(), {})
    Folding.asked = 0
    return Folding(server, "b")


def test_a_name_that_head_believes_in_is_not_there_if_it_is_not_listed(store: Folding, engine: Engine) -> None:
    keys = ["a/./b", "a//b", "a/b", "plain"]
    expected = {key: seen(store.head(f"p/{key.replace('/./', '/')}")) for key in keys}
    found = lookup(engine, store, "p/", keys, span=FAR, expected=expected)
    assert sorted(found) == ["a/b", "plain"]


def test_what_is_as_expected_costs_one_request_and_no_listing(
    store: Folding, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {"plain": seen(FakeStore.head(store, "p/plain")), "none": None}
    monkeypatch.setattr(store, "page", None)
    assert list(lookup(engine, store, "p/", ["none", "plain"], span=FAR, expected=expected)) == ["plain"]
    assert Folding.asked == 2


def test_what_is_not_as_expected_is_what_the_listing_shows(
    store: Folding, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A HEAD that is behind, or of another object, decides nothing."""
    there = FakeStore.head(store, "p/plain")
    monkeypatch.setattr(store, "head", lambda _: there._replace(etag="0" * 32) if there else None)
    found = lookup(engine, store, "p/", ["plain"], span=FAR, expected={"plain": None})
    assert found == {"plain": there}


def test_a_single_key_is_listed_among_its_neighbours() -> None:
    store = FakeServer().store("b")
    keys = ["", "a", "a ", "a!", "a~~~", "ab", "a\ue000", "a/", "z", "~"]
    for key in keys:
        store.put(f"p/{key}", b"x", {})
    for key in keys:
        found = listed(store, "p/", key)
        assert found is not None
        assert found.key == f"p/{key}"
    assert listed(store, "p/", "b") is None


@given(st.text(string.ascii_letters + string.digits + "./\\~ é-", max_size=12))
def test_plain_keys_have_no_form_that_a_server_changes(key: str) -> None:
    segments = key.split("/")
    odd = "" in segments or "\\" in key or not key.isascii() or any(s.endswith((".", " ")) for s in segments)
    assert plain(key) is not odd
    assert not (plain(key) and forms(key))


def test_each_form_has_a_sample_of_its_own() -> None:
    for name, key in SAMPLES.items():
        assert forms(f"folder/{key}") == {name}
    assert forms("/x") == forms("a//b")
    assert forms("../x") == forms("x/.")
    assert plain(".bucketops/x-1.json")
