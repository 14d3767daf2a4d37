"""What we did: the newest entry of a key counts, whoever wrote it."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import journal
from bucketops_jobs.migration.journal import Reader, Writer
from bucketops_jobs.migration.merge import Entry, Outcome, RowOutcome
from bucketops_jobs.records import Records
from bucketops_jobs.s3.fake import FakeServer
from bucketops_jobs.shards import Range

KEY = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
INTENTS = st.builds(
    Entry,
    source_etag=st.text("0123456789abcdef", max_size=4),
    source_size=st.integers(0, 2**50),
    copied=st.booleans(),
    before=st.none() | st.text("ab", max_size=3),
    rows=st.lists(st.tuples(st.text(max_size=4), st.sampled_from(RowOutcome)), max_size=3).map(tuple),
)
ENTRIES = st.one_of(
    INTENTS,
    st.builds(
        lambda entry, after, outcome: replace(entry, committed=True, after=after, outcome=outcome),
        INTENTS,
        st.none() | st.text("ab", max_size=3),
        st.none() | st.sampled_from(Outcome),
    ),
    INTENTS.map(lambda entry: replace(entry, outcome=Outcome.FAILED, message="the store says no", after="bad")),
    INTENTS.map(lambda entry: replace(entry, committed=True, after="a", not_kept="tags")),
    INTENTS.map(lambda entry: replace(entry, committed=True, after="a", undeletable="403")),
)
PLAIN = Entry("s", 1, copied=True, before=None)


def entry(etag: str, *, done: bool = False) -> Entry:
    made = replace(PLAIN, source_etag=etag)
    return replace(made, committed=True, after=etag, outcome=Outcome.MOVED) if done else made


@pytest.fixture
def records() -> Records:
    return Records(FakeServer().store("records"), ".bucketops/x/")


def segment(records: Records, epoch: str, shard: int) -> Writer:
    return Writer(records, epoch, shard, Reader(records).next_segment(epoch, shard))


def read(records: Records, epoch: str, shard: int, within: Range = Range()) -> dict[str, Entry]:  # noqa: B008
    found = list(Reader(records).histories(epoch, shard, within))
    assert [key for key, _ in found] == sorted({key for key, _ in found})
    return {key: history[-1].entry for key, history in found}


@settings(max_examples=60)
@given(st.dictionaries(KEY, ENTRIES, max_size=6))
def test_what_is_written_is_read_again(entries: dict[str, Entry]) -> None:
    records = Records(FakeServer().store("records"), ".bucketops/x/")
    segment(records, "000001", 0).chunk().intend(sorted(entries.items()))
    assert read(records, "000001", 0) == entries


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.dictionaries(KEY, ENTRIES, max_size=4)), max_size=8))
def test_the_newest_entry_counts(chunks: list[tuple[bool, dict[str, Entry]]]) -> None:
    """Each chunk is the walk of another attempt, or of a later epoch with another cut."""
    records, newest, epoch = Records(FakeServer().store("records"), ".bucketops/x/"), dict[str, Entry](), 1
    for later, entries in chunks:
        epoch += later
        chunk = segment(records, f"{epoch:06d}", 0).chunk()
        chunk.intend((key, PLAIN) for key in sorted(entries))
        chunk.done(sorted(entries.items()))
        newest |= entries
    assert read(records, f"{epoch:06d}", 0) == newest


def test_an_outcome_stands_above_its_intent_and_an_intent_alone_is_open(records: Records) -> None:
    writer = segment(records, "000001", 0)
    chunk = writer.chunk()
    chunk.intend([("a", entry("1")), ("b", entry("2"))])
    chunk.done([("a", entry("1", done=True))])
    writer.chunk().intend([("c", entry("3"))])
    found = read(records, "000001", 0)
    assert [found[key].committed for key in "abc"] == [True, False, False]


def test_a_shard_reads_its_own_segments_and_all_of_older_epochs(records: Records) -> None:
    for shard, key in ((0, "a"), (1, "m"), (2, "z")):
        segment(records, "000001", shard).chunk().done([(key, entry(key, done=True))])
    segment(records, "000002", 1).chunk().done([("m", entry("new", done=True))])
    assert set(read(records, "000001", 0)) == {"a", "m"}
    assert set(read(records, "000002", 0, Range("", "n"))) == {"a", "m"}
    assert read(records, "000002", 0, Range("", "n"))["m"].source_etag == "m"
    assert read(records, "000002", 1)["m"].source_etag == "new"


def test_a_new_epoch_comes_after_all_that_have_written(records: Records) -> None:
    assert Reader(records).next_epoch(back=False) == "000001"
    segment(records, "000007", 0).chunk().intend([("a", PLAIN)])
    assert Reader(records).next_epoch(back=True) == "000008-back"
    segment(records, "000008-back", 0).chunk().intend([("a", PLAIN)])
    assert Reader(records).next_epoch(back=False) == "000009"


def test_a_rollback_writes_to_the_same_journal_and_its_entries_are_told_apart(records: Records) -> None:
    segment(records, "000001", 0).chunk().done([("a", entry("1", done=True))])
    segment(records, "000002-back", 3).chunk().done([("a", entry("2", done=True))])
    segment(records, "000003", 0).chunk().done([("a", entry("3", done=True))])
    ((key, history),) = Reader(records).histories("000003", 0, Range())
    assert key == "a"
    assert [(version.entry.source_etag, version.back) for version in history] == [
        ("1", False),
        ("2", True),
        ("3", False),
    ]


def test_segments_of_a_shard_are_numbered_on(records: Records) -> None:
    assert Reader(records).next_segment("000001", 0) == 1
    segment(records, "000001", 0).chunk().intend([("a", PLAIN)])
    segment(records, "000001", 1).chunk().intend([("b", PLAIN)])
    assert Reader(records).next_segment("000001", 0) == 2


def test_two_pods_of_one_shard_never_write_the_same_object(records: Records) -> None:
    for etag in ("1", "2"):
        Writer(records, "000001", 0, 1).chunk().intend([("a", entry(etag))])
    assert len(list(records.keys(journal.ROOT))) == 2


@pytest.mark.parametrize(
    ("after", "until", "inside", "outside"),
    [("", None, ["", "a"], []), ("", "b", ["", "b"], ["b\0", "c"]), ("b", "d", ["c", "d"], ["", "b", "e"])],
)
def test_a_range_is_open_below_and_closed_above(
    after: str, until: str | None, inside: list[str], outside: list[str]
) -> None:
    assert all(key in Range(after, until) for key in inside)
    assert not any(key in Range(after, until) for key in outside)


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "000001/x",
        "../000001/00000/000001-ab/000001.done",
        "1/0/1-ab/1.done",
        "9999999999/00000/000001-ab/000001.done",
    ],
)
def test_what_no_writer_has_named_is_no_part_of_the_journal(records: Records, name: str) -> None:
    segment(records, "000001", 0).chunk().done([("k", entry("a", done=True))])
    records.store.put(f"{records.folder}{journal.ROOT}{name}", b"junk", {})
    assert read(records, "000001", 0) == {"k": entry("a", done=True)}
    assert Reader(records).next_epoch(back=False) == "000002"


@pytest.mark.parametrize(
    "body",
    [
        b"junk",
        b"",
        gzip.compress(b"junk\n", mtime=0),
        gzip.compress(b"[1]\n", mtime=0),
        gzip.compress(b"{}\n", mtime=0),
    ],
)
def test_a_damaged_file_of_the_journal_is_named_and_stops_the_run(records: Records, body: bytes) -> None:
    segment(records, "000001", 0).chunk().done([("k", entry("a", done=True))])
    (key,) = records.keys(journal.ROOT)
    records.store.put(key, body, {})
    if not body:
        assert read(records, "000001", 0) == {}
        return
    with pytest.raises(UserError, match="is damaged, or was not written by this migration"):
        read(records, "000001", 0)
