"""The store protocol: the same cases on the fake and on a real server."""

from __future__ import annotations

import hashlib
import io
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import ItemError, NotFoundError, PreconditionFailedError, ShardError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.capabilities import probe
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.s3.fake import FakeServer
from bucketops_jobs.s3.store import ABSENT, Copy, Expect, Object, Store
from support.avatars import s3_client
from support.identities import Identity, anybody, gateway_user, store_rights, store_user
from support.servers import ADMIN, PASSWORD

KEYS = ["a b", "a+b", "a%20b", "a/b", "ü", "日本/語", "🙂", "q?x=1&y=2", "~'()!*", "%", "A", "a", "a-", "a.", "a0"]
LONG = "/".join(["x" * 255] * 4)
"""Of 1,023 bytes; a server that keeps objects as files takes 255 bytes in one name."""
WRONG = "0" * 32


def fake(_: pytest.FixtureRequest) -> Iterator[Store]:
    yield FakeServer().store("bucket")


def minio(request: pytest.FixtureRequest) -> Iterator[Store]:
    yield from served(request, request.getfixturevalue("minio"), store_user)


def versitygw(request: pytest.FixtureRequest) -> Iterator[Store]:
    yield from served(request, request.getfixturevalue("versitygw"), gateway_user)


def moto(request: pytest.FixtureRequest) -> Iterator[Store]:
    yield from served(request, request.getfixturevalue("moto"), anybody)


def served(request: pytest.FixtureRequest, endpoint: str, made: Callable[..., Identity]) -> Iterator[Store]:
    root = request.getfixturevalue("tmp_path")
    bucket = f"store-{secrets.token_hex(4)}"
    s3_client(endpoint, ADMIN, PASSWORD).create_bucket(Bucket=bucket)
    ref = BucketRef.model_validate(
        {"bucket": bucket, "endpoint": endpoint, "credentials": {"secretRef": {"name": "store"}}}
    )
    mount(root, made(endpoint, Identity(ADMIN, PASSWORD), store_rights(ref)))
    store = connect(ref, root, Pace(8, None, threading.Event()))
    yield store
    store.close()


def mount(root: Path, identity: Identity) -> None:
    folder = root / "secrets" / "store"
    folder.mkdir(parents=True)
    for key, value in identity.secret().items():
        (folder / key).write_text(value)


@pytest.fixture(
    params=[fake, minio, pytest.param(versitygw, marks=pytest.mark.slow), moto], ids=lambda made: made.__name__
)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    yield from request.param(request)


def put(store: Store, *keys: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, key.encode(), {}), keys))


def listed(store: Store, prefix: str = "", **bounds: Any) -> list[str]:
    return [entry.key for entry in store.list_objects(prefix, **bounds)]


def test_any_key_is_written_read_listed_copied_and_deleted(store: Store) -> None:
    keys = [*(f"p/{key}" for key in KEYS if key != "a"), LONG]
    put(store, *keys)
    for key in keys:
        found = store.head(key)
        assert found is not None
        with store.get(key, etag=found.etag).body as body:
            assert body.read() == key.encode()
        store.copy(store.bucket, found, f"c{key[1:]}" if key != LONG else "c/long")
    assert listed(store, "p/") == sorted((key for key in keys if key != LONG), key=str.encode)
    assert len(listed(store, "c/")) == len(keys)
    assert store.delete([store.head(key) for key in keys], conditional=True) == {}  # type: ignore[misc]
    assert listed(store, "p/") == []


def test_listings_are_in_the_order_of_bytes(store: Store) -> None:
    keys = ["a", "a ", "a!", "aA", "aa", "aé", "a\uffee", "a🙂", "b"]
    put(store, *keys)
    assert listed(store) == sorted(keys, key=str.encode)


def test_after_is_exclusive_and_until_inclusive(store: Store) -> None:
    put(store, "k1", "k2", "k3", "k4")
    assert listed(store, "k", after="k1", until="k3") == ["k2", "k3"]
    assert listed(store, "k", after="k2") == ["k3", "k4"]
    assert listed(store, "k", until="k2") == ["k1", "k2"]
    assert listed(store, "k", after="k15", until="k25") == ["k2"]
    assert listed(store, "k", after="k4") == []
    assert listed(store, "nothing") == []


def test_a_listing_of_many_pages_is_complete(store: Store) -> None:
    keys = [f"n/{number:05d}" for number in range(1203)]
    put(store, *keys)
    assert listed(store, "n/") == keys
    assert listed(store, "n/", after=keys[499], until=keys[1101]) == keys[500:1102]
    gone = store.delete(list(store.list_objects("n/")), conditional=False)
    assert gone == {}
    assert listed(store, "n/") == []


def test_records_are_in_no_listing(store: Store) -> None:
    put(store, ".bucketops/x", "a/.bucketops/y", "a/z")
    assert listed(store) == ["a/z"]
    assert list(store.keys("")) == [".bucketops/x", "a/.bucketops/y", "a/z"]
    store.remove([".bucketops/x", ".bucketops/absent"])
    assert list(store.keys(".bucketops/")) == []


def test_an_absent_object_is_none_or_not_found(store: Store) -> None:
    assert store.head("absent") is None
    with pytest.raises(NotFoundError):
        store.get("absent")
    with pytest.raises((NotFoundError, PreconditionFailedError)):
        store.copy(store.bucket, Object("absent", WRONG, 1, None), "k")  # type: ignore[arg-type]


def test_a_put_that_expects_nothing_there_overwrites_nothing(store: Store) -> None:
    put(store, "taken")
    with pytest.raises(PreconditionFailedError):
        store.put("taken", b"new", {}, ABSENT)
    store.put("free", b"new", {}, ABSENT)
    with store.get("taken").body as body:
        assert body.read() == b"taken"
    assert store.head("free") is not None


def test_a_put_that_expects_one_etag_overwrites_no_other(store: Store) -> None:
    etag = store.put("k", b"one", {})
    with pytest.raises(PreconditionFailedError):
        store.put("k", b"new", {}, Expect(etag=WRONG))
    store.put("k", b"new", {}, Expect(etag=etag))
    with pytest.raises((PreconditionFailedError, NotFoundError)):
        store.put("absent", b"new", {}, Expect(etag=etag))


def test_a_copy_of_a_source_that_changed_is_refused(store: Store) -> None:
    put(store, "source")
    seen = store.head("source")
    assert seen is not None
    store.put("source", b"changed", {})
    with pytest.raises(PreconditionFailedError):
        store.get("source", etag=seen.etag)
    if probe(store, ".bucketops/").facts()["conditionalCopySource"] == "no":  # moto
        return
    with pytest.raises(PreconditionFailedError):
        store.copy(store.bucket, seen, "k")
    assert store.head("k") is None


def test_what_the_probe_says_of_conditional_copies_is_true(store: Store) -> None:
    """Where the server ignores a condition, the probe says so: then nobody relies on it."""
    put(store, "source", "taken")
    found, source = probe(store, ".bucketops/"), store.head("source")
    assert source is not None
    try:
        store.copy(store.bucket, source, "taken", ABSENT)
        honoured = False
    except PreconditionFailedError:
        honoured = True
    assert found.copy_if_absent <= honoured
    assert found.put_if_absent
    assert list(store.keys(".bucketops/")) == []


def test_a_conditional_delete_spares_what_changed_where_the_probe_promises_it(store: Store) -> None:
    put(store, "k", "other")
    seen, other = store.head("k"), store.head("other")
    assert seen is not None
    assert other is not None
    store.put("k", b"changed", {})
    if probe(store, ".bucketops/").delete_if_match:
        assert set(store.delete([seen, other], conditional=True)) == {"k"}
        assert store.head("k") is not None
    assert store.delete([seen], conditional=False) == {}
    assert store.head("k") is None
    assert store.delete([other], conditional=True) == {}


def test_headers_travel_with_a_get_and_a_copy(store: Store) -> None:
    store.put("k", io.BytesIO(b"png"), {"content-type": "image/png", "x-amz-meta-who": "me"})
    entry = store.head("k")
    assert entry is not None
    store.copy(store.bucket, entry, "copy")
    for key in ("k", "copy"):
        content = store.get(key)
        with content.body:
            assert (content.size, content.etag) == (3, entry.etag)
            assert content.headers["content-type"] == "image/png"
            assert content.headers["x-amz-meta-who"] == "me"


PARTS = {"conditionalMultipart": "yes", "multipartCopy": "yes"}
KNOWN = {
    "minio": PARTS | {"conditionalCopy": "no", "conditionalPut": "yes", "conditionalDelete": "no", "versioning": "Off"},
    "versitygw": PARTS | {"conditionalCopy": "no", "conditionalPut": "yes", "conditionalDelete": "yes"},
}
"""What these servers are known to do: MinIO and versitygw answer a conditional CopyObject with 200 and overwrite."""


def test_the_probe_finds_what_is_known_of_a_server(store: Store, request: pytest.FixtureRequest) -> None:
    facts = probe(store, ".bucketops/").facts()
    known = KNOWN.get(request.node.callspec.params["store"].__name__, {})
    assert {name: facts[name] for name in known} == known
    assert set(facts) == {
        "bulkDelete",
        "checksums",
        "conditionalCopy",
        "conditionalCopySource",
        "conditionalDelete",
        "conditionalMultipart",
        "conditionalOverwrite",
        "conditionalPut",
        "encryption",
        "keys",
        "multipartCopy",
        "tagging",
        "versioning",
    }
    assert facts["bulkDelete"] == "yes"
    assert probe(store, ".bucketops/").lost == ()
    assert list(store.keys("")) == []


def test_many_copies_go_at_once_and_each_has_its_own_answer(store: Store) -> None:
    put(store, *(f"s/{number}" for number in range(50)))
    entries = list(store.list_objects("s/"))
    absent = Object("s/absent", WRONG, 1, entries[0].modified)
    wanted = [Copy(store.bucket, entry, f"d/{entry.key}") for entry in [*entries, absent]]
    answers = dict(store.copies(wanted))
    assert set(answers) == set(wanted)
    assert isinstance(answers[wanted[-1]], NotFoundError | PreconditionFailedError)
    assert {entry.key: entry.etag for entry in store.list_objects("d/")} == {
        copy.key: answers[copy] for copy in wanted[:-1]
    }


def test_a_body_too_large_for_memory_is_streamed_both_ways(store: Store) -> None:
    data = secrets.token_bytes(1 << 20) * 9
    headers = {"content-type": "image/png", "x-amz-meta-who": "me", "x-amz-tagging": "a=b&c=d"}
    etag = store.put("large", io.BytesIO(data), headers)
    content = store.get("large", etag=etag)
    with content.body as body:
        assert (content.size, hashlib.sha256(body.read()).digest()) == (len(data), hashlib.sha256(data).digest())
    assert dict(content.headers) == headers
    with pytest.raises(PreconditionFailedError):
        store.put("large", io.BytesIO(data), {}, ABSENT)


def test_a_key_that_xml_cannot_hold_is_listed_and_deleted_or_refused(store: Store) -> None:
    key = "odd/\x01\x1b"
    try:
        store.put(key, b"x", {})
    except ItemError:
        return
    try:
        assert listed(store) == [key]
    except ShardError:  # versitygw lists a replacement character instead, and is believed in nothing
        return
    assert store.delete(list(store.list_objects("")), conditional=False) == {}
    assert store.head(key) is None


def test_a_carriage_return_in_a_key_survives_the_list_of_a_bulk_delete(store: Store) -> None:
    put(store, "a\rb", "a&<b", "plain")
    entries = [Object(key, WRONG, 1, datetime.now(UTC)) for key in ("a\rb", "a&<b")]
    assert store.delete(entries, conditional=False) == {}
    assert listed(store) == ["plain"]


def test_a_key_is_stored_as_it_was_written_or_refused_or_the_listing_tells(store: Store) -> None:
    """versitygw stores a//b as a/b and answers 200; the listing is what a worker looks at after each copy."""
    for key in ("a//b", "./x", "/lead", "a/../b", "dir/"):
        try:
            store.put(key, b"x", {})
        except ItemError:
            assert key not in listed(store)
            continue
        found = listed(store)
        other = {"a//b": "a/b", "./x": "x", "/lead": "lead", "a/../b": "b"}
        assert key in found or other[key] in found
        store.delete(list(store.list_objects("")), conditional=False)
