"""Source and destination of a picture, on a store that folds names."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from bucketops_jobs.errors import ItemError
from bucketops_jobs.pipeline.marks import Mark
from bucketops_jobs.pipeline.object_views import Views
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.store import ANYTHING, Described, Expect, Object

MARK = Mark("1" * 32, "rules", "a/b", "3")


class Folding(FakeStore):
    """PUT and HEAD fold names, as versitygw does; the listing shows what there is."""

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, str], expect: Expect = ANYTHING) -> str:
        return super().put(key.replace("//", "/"), body, headers, expect)

    def head(self, key: str) -> Object | None:
        found = super().head(key.replace("//", "/"))
        return found._replace(key=key) if found else None

    def describe(self, key: str) -> Described | None:
        found = super().describe(key.replace("//", "/"))
        return found._replace(object=found.object._replace(key=key)) if found else None


@pytest.fixture
def store() -> Folding:
    store = Folding(FakeServer({"b": {}}), "b")
    store.put("p/a/b.jpg", b"abc", MARK.headers())
    return store


@pytest.fixture
def views(store: Folding) -> Views:
    place = SimpleNamespace(prefix="p/")
    context: Any = SimpleNamespace(
        source=store,
        destination=store,
        spec=SimpleNamespace(source=place, destination=place),
        source_key=lambda key: f"p/{key}",
        destination_key=lambda key: f"p/{key}",
    )
    return Views(context)


def test_a_name_that_is_not_listed_is_not_there(views: Views) -> None:
    assert views.source("a/b.jpg") is not None
    assert views.source("a//b.jpg") is None
    assert views.destination("a/b.jpg") is not None
    assert views.destination("a//b.jpg") is None


def test_nothing_is_written_under_another_name(views: Views, store: Folding) -> None:
    views.require_name("a/b.jpg")
    with pytest.raises(ItemError, match="under another name"):
        views.require_name("a//b.jpg")
    assert list(store.keys("")) == ["p/a/b.jpg"], "the probe leaves nothing"


@pytest.mark.parametrize(
    ("body", "kept", "mark"),
    [
        pytest.param(b"abc", True, MARK, id="as it was written"),
        pytest.param(b"newer", False, Mark("2" * 32, "rules", "a/b", "5"), id="another pod was faster"),
        pytest.param(b"theirs", False, None, id="somebody else wrote"),
        pytest.param(b"ab", None, MARK, id="a byte less"),
        pytest.param(b"abd", None, MARK, id="another byte"),
        pytest.param(b"abc", None, None, id="without its metadata"),
        pytest.param(None, None, None, id="nothing"),
    ],
)
def test_what_was_written_is_what_must_be_there(
    views: Views, store: Folding, body: bytes | None, kept: bool | None, mark: Mark | None
) -> None:
    store.remove(["p/a/b.jpg"])
    if body is not None:
        store.put("p/a/b.jpg", body, mark.headers() if mark else {})
    if kept is None:
        with pytest.raises(ItemError):
            views.require_kept("a/b.jpg", io.BytesIO(b"abc"), MARK)
    else:
        assert views.require_kept("a/b.jpg", io.BytesIO(b"abc"), MARK) is kept
