"""Listings of real servers, by one stream and by many: the same objects."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.s3.pages import parse, quick, thorough
from bucketops_jobs.s3.store import Store
from support.avatars import s3_client
from support.identities import Identity, gateway_user, store_rights, store_user
from support.proxy import Answer, Proxy, Request
from support.recordings import KEYS, REQUESTS, raw
from support.servers import ADMIN, PASSWORD

SERVERS = ["minio", pytest.param("versitygw", marks=pytest.mark.slow)]


@pytest.fixture(params=SERVERS)
def endpoint(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def bucket(endpoint: str) -> str:
    name = f"listing-{secrets.token_hex(4)}"
    s3_client(endpoint, ADMIN, PASSWORD).create_bucket(Bucket=name)
    return name


def opened(bucket: str, endpoint: str, root: Path, user: Identity) -> Store:
    folder = root / "secrets" / "user"
    folder.mkdir(parents=True)
    for key, value in user.secret().items():
        (folder / key).write_text(value)
    return connect(place(bucket, endpoint), root, Pace(16, None, threading.Event()))


def place(bucket: str, endpoint: str) -> BucketRef:
    return BucketRef.model_validate(
        {"bucket": bucket, "endpoint": endpoint, "credentials": {"secretRef": {"name": "user"}}}
    )


@pytest.fixture
def user(bucket: str, endpoint: str, request: pytest.FixtureRequest) -> Identity:
    """Who may what a store does, in this bucket alone."""
    make = gateway_user if request.node.callspec.params["endpoint"] == "versitygw" else store_user
    return make(endpoint, Identity(ADMIN, PASSWORD), store_rights(place(bucket, endpoint)))


@pytest.fixture
def store(bucket: str, endpoint: str, user: Identity, tmp_path: Path) -> Iterator[Store]:
    made = opened(bucket, endpoint, tmp_path, user)
    yield made
    made.close()


def fill(store: Store, keys: list[str]) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b"", {}), keys))


@pytest.mark.parametrize("kind", REQUESTS)
def test_pages_of_servers_as_they_are_now_are_read_alike_by_both_ways(endpoint: str, bucket: str, kind: str) -> None:
    client = s3_client(endpoint, ADMIN, PASSWORD)
    for key in KEYS:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    body = raw(client, **{"Bucket": bucket, "Prefix": "p/"} | REQUESTS[kind])
    page = parse(body)
    assert [entry.key for entry in page.objects] == {"first": KEYS[:5], "plain": KEYS[:9], "empty": []}.get(kind, KEYS)
    assert thorough(body) == page
    assert quick(body) in (page, None)


def test_many_streams_see_what_one_sees(store: Store) -> None:
    """Cut at bounds, so that several ranges are at work from the first page on."""
    keys = sorted(f"image/avatar-{n}.png" for n in range(2500))
    fill(store, [*keys, "image/.bucketops/claim", "imagf"])
    bounds = [keys[700], "image/avatar-19", "image/b", "nowhere"]
    one = list(store.list_objects("image/"))
    assert [entry.key for entry in one] == keys
    assert list(ranges.in_order(store, "image/", bounds=bounds)) == one
    pages = list(ranges.each_page(store, "image/", bounds=bounds))
    assert sorted(entry for page in pages for entry in page) == one
    within = list(ranges.in_order(store, "image/", after=keys[10], until=keys[2000], bounds=bounds))
    assert within == one[11:2001]


def test_streams_go_on_by_token_alone_and_survive_a_busy_server(
    endpoint: str, bucket: str, user: Identity, tmp_path: Path
) -> None:
    """Start-after together with a token: versitygw would begin anew. Some answers are SlowDown."""
    paths: list[str] = []

    def rule(request: Request) -> Answer | None:
        if request.method == "GET":
            paths.append(request.path)
            return Answer(503) if len(paths) % 5 == 2 else None
        return None

    with Proxy(endpoint, rule) as proxy:
        store = opened(bucket, proxy.url, tmp_path, user)
        keys = sorted(f"k{n}" for n in range(3100))
        fill(store, keys)
        assert [entry.key for entry in ranges.in_order(store, "k", bounds=["k2"])] == keys
        store.close()
    assert any("continuation-token" in path for path in paths)
    assert not any("continuation-token" in path and "start-after" in path for path in paths)
