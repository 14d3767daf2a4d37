"""The journal against whoever may write where it lies: a file that this migration has not written says nothing."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_api import names
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.migration import journal, sealing
from bucketops_jobs.migration.journal import Reader, Writer
from bucketops_jobs.migration.merge import Entry, Outcome
from bucketops_jobs.records import LARGEST_FILE, Records
from bucketops_jobs.s3.fake import FakeServer
from bucketops_jobs.s3.store import Store
from bucketops_jobs.seal import Seal
from bucketops_jobs.shards import Range

FOLDER = ".bucketops/s3migration/default/avatars/0/"
OURS, THEIRS = Seal([b"ours"]), Seal([b"a guess"])
MOVED = Entry("s", 1, copied=True, before=None, committed=True, after="d", outcome=Outcome.MOVED)
FORGED = replace(MOVED, after="forged")


def records_of(store: Store, seal: Seal = OURS, folder: str = FOLDER) -> Records:
    return Records(store, folder, seal)


@pytest.fixture
def store() -> Store:
    return FakeServer().store("records")


def write(records: Records, entry: Entry = MOVED, *, epoch: str = "000001", shard: int = 0, number: int = 1) -> str:
    """The key of a file that says what became of the object `k`."""
    before = set(records.keys(journal.ROOT))
    Writer(records, epoch, shard, number).chunk().done([("k", entry)])
    (key,) = set(records.keys(journal.ROOT)) - before
    return key


def said(reader: Reader) -> dict[str, Entry]:
    return {key: history[-1].entry for key, history in reader.histories("999999", 0, Range())}


def body_of(store: Store, key: str) -> bytes:
    with store.get(key).body as body:
        return body.read()


def test_a_file_of_ours_counts_and_people_can_read_it(store: Store) -> None:
    key = write(records_of(store))
    reader = Reader(records_of(store))
    assert said(reader) == {"k": MOVED}
    assert reader.words() == ""
    head, line = map(json.loads, gzip.decompress(body_of(store, key)).splitlines())
    assert list(head) == ["seals"]
    assert line[0] == "k"


@pytest.mark.parametrize("seal", [Seal(), THEIRS])
def test_a_file_that_somebody_else_wrote_says_nothing(store: Store, seal: Seal) -> None:
    write(records_of(store))
    forged = write(records_of(store, seal), FORGED, number=2)
    reader = Reader(records_of(store))
    assert said(reader) == {"k": MOVED}
    assert (reader.strangers, reader.stranger) == (1, forged)
    assert "1 files of the journal bear no seal" in reader.words()
    assert forged in reader.words()
    assert forged in set(store.keys(FOLDER))  # nothing is deleted


@pytest.mark.parametrize(
    "body",
    [
        b"", b"junk", b"\x1f\x8b\x08", gzip.compress(b'{"seals":""}\n'), gzip.compress(b'{"seals":"x"}\n[]\n'),
        gzip.compress(b'{"seals":"' + b"0" * 64 + b'"}\n') + gzip.compress(b"[]\n"),
        gzip.compress(b'{"seals":"' + b"0" * 100_000_000 + b'"}\n', mtime=0), gzip.compress(b"[" * 100_000),
    ],
    ids=["nothing", "junk", "a head", "no seal", "a word for a seal", "noughts for a seal", "a large seal", "brackets"],
)  # fmt: skip
def test_whatever_lies_there_stops_nothing(store: Store, body: bytes) -> None:
    key = write(records_of(store))
    store.put(key, body, {})
    reader = Reader(records_of(store))
    assert said(reader) == {}
    assert reader.stranger == key


def test_what_is_larger_than_any_file_of_ours_says_nothing(store: Store) -> None:
    key = write(records_of(store))
    store.put(key, body_of(store, key) + b"\0" * LARGEST_FILE, {})
    assert said(Reader(records_of(store))) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/000001/", "/000002/"), ("/000001/", "/000001-back/"), ("/00000/", "/00001/"), ("/000001-", "/000002-"),
        ("/000001.done", "/000002.done"), (".done", ".intent"), ("/avatars/", "/others/"), ("/default/", "/theirs/"),
    ],
)  # fmt: skip
def test_a_file_of_ours_says_nothing_in_another_place(store: Store, old: str, new: str) -> None:
    """Another epoch, a rollback's, another shard, segment or chunk, an intent, another resource, another namespace."""
    key = write(records_of(store))
    moved = key.replace(old, new)
    assert moved != key
    store.put(moved, body_of(store, key), {})
    store.remove([key])
    folder = moved.partition(journal.ROOT)[0]
    reader = Reader(records_of(store, folder=folder))
    assert said(reader) == {}
    assert reader.stranger == moved


@given(st.data())
def test_a_file_that_was_changed_says_nothing(data: st.DataObject) -> None:
    store = FakeServer().store("records")
    name = f"{journal.ROOT}000001/00000/000001-0/000001.done"
    records_of(store).write_sealed(name, [["k", "s", 1, True, None, []]])
    key = FOLDER + name
    body = bytearray(body_of(store, key))
    head = len(gzip.compress(gzip.decompress(bytes(body)).splitlines(keepends=True)[0], compresslevel=1, mtime=0))
    place = data.draw(st.integers(head, len(body) - 1))
    change = data.draw(st.sampled_from(["flip", "cut", "insert"]))
    if change == "flip":
        body[place] ^= data.draw(st.integers(1, 255))
    elif change == "cut":
        del body[place:]
    else:
        body[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    store.put(key, bytes(body), {})
    assert said(Reader(records_of(store))) == {}


@given(st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), min_size=2, max_size=2, unique=True))
def test_a_seal_is_for_one_place_and_for_these_bytes(pairs: list[tuple[str, bytes]]) -> None:
    (place, data), (other, more) = pairs
    assert OURS.holds(place, data, OURS.sign(place, data))
    assert not OURS.holds(other, more, OURS.sign(place, data))


@pytest.mark.parametrize("seals", [None, 7, "", " ", "0" * 64, "\udcff", ["x"]])
def test_what_is_no_seal_holds_nothing(seals: object) -> None:
    assert not OURS.holds("a", b"b", seals)


def test_nobody_uses_up_the_numbers(store: Store) -> None:
    write(records_of(store, THEIRS), epoch="999999999", number=999_999_999)
    write(records_of(store, THEIRS), number=999_999_999)
    assert Reader(records_of(store)).next_epoch(back=False) == "000002"
    assert Reader(records_of(store)).next_segment("000001", 0) == 1
    write(records_of(store), epoch="900000001", number=900_000_002)
    assert Reader(records_of(store)).next_epoch(back=True) == "900000002-back"
    assert Reader(records_of(store)).next_segment("900000001", 0) == 900_000_003


def test_a_number_that_was_taken_under_a_lost_key_is_not_taken_again(store: Store) -> None:
    write(records_of(store, Seal([b"lost"])), epoch="000007")
    assert Reader(records_of(store)).next_epoch(back=False) == "000008"


def test_a_journal_is_empty_where_nothing_in_it_is_ours(store: Store) -> None:
    write(records_of(store, THEIRS))
    assert Reader(records_of(store)).empty
    write(records_of(store))
    assert not Reader(records_of(store)).empty


REF = BucketRef.model_validate({"bucket": "records", "credentials": {"secretRef": {"name": "s3"}}})
KEYLESS = BucketRef.model_validate({"bucket": "records"})


def seal_of(root: Path, secret_key: str, journal_key: str = "", ref: BucketRef = REF, **more: str) -> Seal:
    """The seal of a migration whose Secret holds this now."""
    folder = root / names.SECRETS_DIR / "s3"
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for name, value in {names.ACCESS_KEY: "id", names.SECRET_KEY: secret_key, **more}.items():
        (folder / name).write_text(value)
    return sealing.seal(ref, root, journal_key)


def test_the_key_of_the_status_outlives_that_of_the_secret_and_the_other_way_round(
    tmp_path: Path, store: Store
) -> None:
    write(records_of(store, seal_of(tmp_path, "old-secret", "status")))
    known = {
        ("old-secret", "status"): True, ("old-secret", ""): True, ("old-secret", "another status"): True,
        ("new-secret", "status"): True, ("new-secret", ""): False, ("new-secret", "another status"): False,
    }  # fmt: skip
    for (secret_key, journal_key), counts in known.items():
        reader = Reader(records_of(store, seal_of(tmp_path, secret_key, journal_key)))
        assert bool(said(reader)) is counts, (secret_key, journal_key)
    assert names.FORMER_SECRET_KEYS in reader.words()


def test_a_former_key_of_the_secret_is_known_and_signs_nothing(tmp_path: Path, store: Store) -> None:
    write(records_of(store, seal_of(tmp_path, "old-secret")))
    rotated = seal_of(tmp_path, "new-secret", **{names.FORMER_SECRET_KEYS: "older\nold-secret\n"})
    assert said(Reader(records_of(store, rotated))) == {"k": MOVED}
    key = write(records_of(store, rotated), number=2)
    store.remove([other for other in store.keys(FOLDER) if other != key])
    assert said(Reader(records_of(store, seal_of(tmp_path, "old-secret")))) == {}


def test_keys_of_a_session_seal_nothing(tmp_path: Path) -> None:
    """They are others an hour later."""
    assert not seal_of(tmp_path, "secret", **{names.SESSION_TOKEN: "token"}).vouches
    assert seal_of(tmp_path, "secret", "status", **{names.SESSION_TOKEN: "token"}).vouches


def test_without_any_key_that_stays_the_journal_is_believed_as_it_is(tmp_path: Path, store: Store) -> None:
    """On a laptop without a Secret: there is nothing that bucket writers do not have, too."""
    write(records_of(store))
    assert said(Reader(records_of(store, seal_of(tmp_path, "secret", ref=KEYLESS)))) == {"k": MOVED}
