"""Listings that are none cost seconds, not minutes: the bucket, the place in it and what to do are said in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bucketops_jobs.errors import ShardError
from bucketops_jobs.retention.places import Current
from bucketops_jobs.retries import ODD_ATTEMPTS
from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.client import S3Store
from integration.test_http_hostile import PLACE, store_at
from integration.test_other_bytes import opened
from support import faulty
from support.driver import condition, message
from support.places import Place, migrating
from support.proxy import Proxy, Request
from support.raw_server import Asked, Piece, RawServer, answer

REMEDY = "ask who runs the server, or a proxy before it, to mend it, then set a new trigger"


def page(*keys: str, truncated: str = "true", token: str = "", count: str = "") -> bytes:
    """A page of a flat listing; `truncated` and `count` may be missing."""
    rows = "".join(
        f"<Contents><Key>{key}</Key><ETag>e</ETag><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified>"
        "</Contents>"
        for key in keys
    )
    said = f"<IsTruncated>{truncated}</IsTruncated>" if truncated else ""
    said += f"<KeyCount>{count}</KeyCount>" if count else ""
    said += f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult>{said}{rows}</ListBucketResult>".encode()


@dataclass(frozen=True)
class Odd:
    """What a server answers to the n-th request, and what is said of it."""

    script: Callable[[int], bytes]
    words: str
    asked: int
    """Requests, at most."""


ODD = {
    "no token": Odd(lambda _: page("p/a"), r"goes on \(IsTruncated\) and has no token", ODD_ATTEMPTS),
    "an empty token": Odd(
        lambda _: page("p/a").replace(b"<Contents>", b"<NextContinuationToken></NextContinuationToken><Contents>"),
        r"goes on \(IsTruncated\) and has no token",
        ODD_ATTEMPTS,
    ),
    "no word about its end": Odd(lambda _: page("p/a", truncated=""), "no listing", ODD_ATTEMPTS),
    "another count": Odd(
        lambda _: page("p/a", truncated="false", count="7"), r"says to have 7 keys \(KeyCount\) has 1", ODD_ATTEMPTS
    ),
    "a count that is none": Odd(lambda _: page("p/a", truncated="false", count="many"), "no listing", ODD_ATTEMPTS),
    "a page of HTML": Odd(lambda _: b"<html><body>Sign in</body></html>", "no listing, but html", ODD_ATTEMPTS),
    "nothing": Odd(lambda _: b"", "no listing", ODD_ATTEMPTS),
    "keys that go back": Odd(lambda n: page("p/b" if n == 1 else "p/a", token=f"t{n}"), "'p/a' behind 'p/b'", 4),
    "keys that go back in a page": Odd(lambda _: page("p/b", "p/a", truncated="false"), "'p/a' behind 'p/b'", 3),
    "the same keys again": Odd(lambda n: page("p/a", token=f"t{n}"), "'p/a' behind 'p/a'", 4),
    "the same token again": Odd(lambda n: page(f"p/a{n}", token="t"), "its token leads to itself", 4),
    "tokens in a circle": Odd(lambda n: page(token=f"t{n % 5}"), "shows nothing behind '', again and again", 12),
    "another prefix": Odd(lambda _: page("q/a", truncated="false"), "below 'p/' shows 'q/a'", 3),
}


@pytest.mark.parametrize("by", ["one stream", "streams"])
@pytest.mark.parametrize("what", ODD)
def test_an_odd_listing_is_found_at_once_and_said_in_words(what: str, by: str) -> None:
    odd = ODD[what]
    numbers = iter(range(1, 100))

    def script(_: Asked) -> Iterator[Piece]:
        yield answer(odd.script(next(numbers)))

    with RawServer(script) as server, store_at(server.url) as store, pytest.raises(ShardError) as raised:
        list(store.list_objects("p/") if by == "one stream" else ranges.in_order(store, "p/", most=2))
    assert re.search(odd.words, str(raised.value))
    assert "bucket" in str(raised.value)
    assert "'p/'" in str(raised.value)
    assert str(raised.value).endswith(REMEDY)
    assert len(server.requests) <= odd.asked


def test_what_is_odd_once_is_asked_again() -> None:
    answers = iter([page("p/a"), b"", page("p/b", "p/a", truncated="false"), page("p/a", truncated="false")])
    with RawServer(lambda _: [answer(next(answers))]) as server, store_at(server.url) as store:
        assert [entry.key for entry in store.list_objects("p/")] == ["p/a"]


def test_a_migration_says_within_seconds_that_a_listing_is_none(minio: str, tmp_path: Path) -> None:
    """It took minutes of pods that were started again, and ended without a word of what to do."""

    def body(request: Request, data: bytes) -> bytes:
        odd = faulty.is_listing(request) and b"<Key>image%2Fone</Key>" in data.replace(b"/one<", b"%2Fone<")
        return data.replace(b"<IsTruncated>false<", b"<IsTruncated>true<") if odd else data

    with Proxy(minio, body=body) as proxy:
        source, destination = Place("minio", minio, through=proxy.url).make(), Place("minio", minio).make()
        source.put("image/one")
        with migrating(tmp_path, source, destination) as driver:
            status = driver.finish(60)
    told = message(status, "Failed") + message(status, "Stalled") + message(status, "Degraded")
    assert not condition(status, "Complete")
    assert source.bucket in told
    assert REMEDY in told
    assert source.keys("image/") == {"one"}


def listed(store: S3Store) -> None:
    list(store.list_objects("image/"))


def foldered(store: S3Store) -> None:
    list(Current(store, PLACE).folders(""))


@pytest.mark.parametrize(
    ("key", "look"), [("image/b\x01c", listed), ("image/x\ufffdy", listed), ("b\x01c/d", foldered)]
)
def test_a_key_that_versitygw_cannot_list_is_named_with_what_helps(
    versitygw: str, tmp_path: Path, key: str, look: Callable[[S3Store], None]
) -> None:
    place = Place("versitygw", versitygw).make()
    for one in ("image/a", key, "image/z"):
        place.put(one, b"1")
    with opened(tmp_path, place, versitygw) as store, pytest.raises(ShardError) as raised:
        look(store)
    told = str(raised.value)
    assert place.bucket in told
    assert ascii(key.replace("\x01", "\ufffd").removesuffix("d")) in told
    if look is listed:
        assert "behind 'image/a'" in told
    assert "rename or delete that object where the server keeps it" in told
