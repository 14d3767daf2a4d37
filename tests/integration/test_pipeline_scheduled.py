"""Scheduled sweeps of an ExifPipeline: what they look into, what they believe, and until when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.contract import RunResult
from bucketops_jobs.worker import work
from support.pipeline import SCHEDULED, PipelineLab, photo, stripped
from support.proxy import Answer, Proxy, Request

pytestmark = pytest.mark.slow


def test_a_changed_source_is_saved_again(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("a.jpg", photo("one", 16))
    pipeline_lab.sweep()
    pipeline_lab.put("a.jpg", photo("two", 24))
    pipeline_lab.sweep(run=SCHEDULED)
    assert pipeline_lab.get("a.jpg") == stripped(photo("two", 24))


def test_a_scheduled_sweep_looks_into_what_is_new_alone_and_now_and_then_into_all(pipeline_lab: PipelineLab) -> None:
    """What is there, and older than the last sweep by more than an hour, is believed until `verifyEvery`."""
    pipeline_lab.put_all(["a.jpg", "b.jpg"])
    pipeline_lab.sweep(run=SCHEDULED)
    pipeline_lab.put("a.jpg", b"somebody's", bucket=pipeline_lab.b)
    pipeline_lab.s3.delete_object(Bucket=pipeline_lab.b, Key="b.jpg")
    now = datetime.now(UTC)
    pipeline_lab.watermark(began=now + timedelta(hours=2))
    later = pipeline_lab.sweep(run=SCHEDULED)
    assert (later.counts["processed"], later.counts["current"], later.counts.get("conflicts", 0)) == (1, 1, 0)
    pipeline_lab.watermark(began=now + timedelta(hours=2), verified=now - timedelta(hours=3))
    changes: dict[str, Any] = {"sweep": {"verifyEvery": "4h"}}
    assert pipeline_lab.sweep(run=SCHEDULED, **changes).counts.get("conflicts", 0) == 0
    changes = {"sweep": {"verifyEvery": "2h"}}
    pipeline_lab.watermark(began=now + timedelta(hours=2), verified=now - timedelta(hours=3))
    assert pipeline_lab.sweep(run=SCHEDULED, **changes).counts["conflicts"] == 1


def test_scheduled_sweeps_look_into_a_new_picture_until_it_was_found_settled_and_no_more(
    pipeline_lab: PipelineLab,
) -> None:
    """A mark that is taken away changes no ETag: who looks sees a conflict, who knows the pair does not look."""
    pipeline_lab.put_all(["a.jpg", "b.jpg"])
    assert pipeline_lab.sweep(run=SCHEDULED).counts["processed"] == 2
    assert pipeline_lab.sweep(run=SCHEDULED).counts["current"] == 2
    pipeline_lab.unmark("a.jpg")
    for _ in range(2):
        assert pipeline_lab.sweep(run=SCHEDULED).counts.get("conflicts", 0) == 0
    pipeline_lab.put("b.jpg", photo("two", 24))
    assert pipeline_lab.sweep(run=SCHEDULED).counts["processed"] == 1
    pipeline_lab.unmark("b.jpg")
    assert pipeline_lab.sweep(run=SCHEDULED).counts["conflicts"] == 1
    assert pipeline_lab.sweep().counts["conflicts"] == 2


def test_a_scheduled_sweep_looks_into_what_has_changed_since_the_one_before(pipeline_lab: PipelineLab) -> None:
    """A clean picture that stands there does not hide that it was made of an older one."""
    pipeline_lab.put("a.jpg", photo("one", 16))
    pipeline_lab.sweep(run=SCHEDULED)
    pipeline_lab.put("a.jpg", photo("two", 24))
    pipeline_lab.sweep(run=SCHEDULED)
    assert pipeline_lab.get("a.jpg") == stripped(photo("two", 24))


def test_a_run_by_hand_and_one_of_other_rules_look_into_everything(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("a.jpg")
    pipeline_lab.sweep(run=SCHEDULED)
    pipeline_lab.put("a.jpg", b"somebody's", bucket=pipeline_lab.b)
    pipeline_lab.watermark(began=datetime.now(UTC) + timedelta(hours=2))
    assert pipeline_lab.sweep().counts["conflicts"] == 1
    changes: dict[str, Any] = {"strip": {"orientation": "Drop"}}
    assert pipeline_lab.sweep(run=SCHEDULED, **changes).counts["conflicts"] == 1


def test_a_sweep_of_what_was_missed_looks_into_what_changed_since_and_moves_no_watermark(
    pipeline_lab: PipelineLab,
) -> None:
    """Whatever failed before that is the scheduled sweep's, which must not believe that it was looked into."""
    pipeline_lab.put_all(["a.jpg", "b.jpg"])
    pipeline_lab.sweep(run=SCHEDULED)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    pipeline_lab.watermark(began=began)
    pipeline_lab.put("a.jpg", photo("two", 24))
    pipeline_lab.put("b.jpg", b"somebody's", bucket=pipeline_lab.b)

    def swept(since: datetime) -> RunResult:
        root = pipeline_lab.mount("sweep", pipeline_lab.spec(), changed_since=since)
        code, result = work(root, 0, threading.Event())
        assert code == names.EXIT_DONE
        return result

    assert swept(datetime.now(UTC) + timedelta(hours=2)).counts["current"] == 2
    found = swept(datetime.now(UTC))
    assert (found.counts["processed"], found.counts["conflicts"]) == (1, 1)
    assert pipeline_lab.watermarked()["began"] == began.isoformat()


@contextmanager
def asked(lab: PipelineLab) -> Iterator[set[tuple[str, str]]]:
    """Each request for an object that is no record: the method and the key. Records lie elsewhere without the proxy."""
    found: set[tuple[str, str]] = set()

    def note(request: Request) -> None:
        if request.key and not request.key.startswith(names.RECORDS_FOLDER):
            found.add((request.method, request.key.removeprefix("pictures/")))

    with Proxy(lab.endpoint, note) as proxy:
        lab.through = proxy.url
        yield found
    lab.through = ""


BAD = [f"{number}/bad.jpg" for number in range(12)]


def test_scheduled_sweeps_ask_nothing_about_pictures_that_are_known_to_be_refused(pipeline_lab: PipelineLab) -> None:
    """One that changes, or whose note is taken away, is tried again; so are all now and then."""
    for key in BAD:
        pipeline_lab.put(key, b"no picture")
    with asked(pipeline_lab) as requests:
        assert pipeline_lab.sweep(run=SCHEDULED).counts["refused"] == len(BAD)
        assert pipeline_lab.sweep(run=SCHEDULED).counts["stillRefused"] == len(BAD)
        assert {key for _, key in requests} == set(BAD)
        for _ in range(2):
            requests.clear()
            assert pipeline_lab.sweep(run=SCHEDULED).counts["stillRefused"] == len(BAD)
            assert requests == set()
        pipeline_lab.put(BAD[0])
        pipeline_lab.put(BAD[1], b"no picture either")
        pipeline_lab.s3.delete_object(Bucket=pipeline_lab.q, Key=f"pictures/{BAD[2]}")
        found = pipeline_lab.sweep(run=SCHEDULED).counts
        assert (found["processed"], found["refused"], found["stillRefused"]) == (1, 2, len(BAD) - 3)
        assert {key for _, key in requests} == set(BAD[:3])
        requests.clear()
        pipeline_lab.watermark(verified=datetime.now(UTC) - timedelta(days=2))
        pipeline_lab.sweep(run=SCHEDULED)
        assert {key for _, key in requests} == set(BAD)


def test_old_refusals_are_believed_by_their_dates_until_the_rules_change(pipeline_lab: PipelineLab) -> None:
    data = photo(size=64)
    pipeline_lab.put("large.jpg", data)
    small, enough = ({"limits": {"maxObjectBytes": len(data) - less}} for less in (1, 0))
    with asked(pipeline_lab) as requests:
        pipeline_lab.sweep(run=SCHEDULED, **small)
        pipeline_lab.watermark(began=datetime.now(UTC) + timedelta(hours=2))
        requests.clear()
        assert pipeline_lab.sweep(run=SCHEDULED, **small).counts["stillRefused"] == 1
        assert requests == set()
        pipeline_lab.watermark(began=datetime.now(UTC) + timedelta(hours=2))
        assert pipeline_lab.sweep(run=SCHEDULED, **enough).counts["processed"] == 1
    assert pipeline_lab.keys(pipeline_lab.q) == set()


def test_a_note_that_outlived_its_reason_is_removed(pipeline_lab: PipelineLab) -> None:
    """Whoever wrote the clean picture was killed before the note was removed."""
    pipeline_lab.put("a.jpg", b"no picture")
    pipeline_lab.sweep(run=SCHEDULED)
    note = pipeline_lab.s3.get_object(Bucket=pipeline_lab.q, Key="pictures/a.jpg")
    body, metadata = note["Body"].read(), note["Metadata"]
    pipeline_lab.put("a.jpg")
    pipeline_lab.sweep(run=SCHEDULED)
    pipeline_lab.put("pictures/a.jpg", body, bucket=pipeline_lab.q, Metadata=metadata)
    assert pipeline_lab.sweep(run=SCHEDULED).counts["current"] == 1
    assert pipeline_lab.keys(pipeline_lab.q) == set()
    assert pipeline_lab.exact()


def test_each_scheduled_sweep_counts_all_conflicts_and_asks_about_none(pipeline_lab: PipelineLab) -> None:
    """However old they are; once the place is free, or may be taken, the picture is saved."""
    for key in ("a.jpg", "b.jpg"):
        pipeline_lab.put(key)
        pipeline_lab.put(key, b"somebody's", bucket=pipeline_lab.b)
    with asked(pipeline_lab) as requests:
        assert pipeline_lab.sweep(run=SCHEDULED).counts["conflicts"] == 2
        requests.clear()
        for _ in range(2):
            pipeline_lab.watermark(began=datetime.now(UTC) + timedelta(hours=2))
            result = pipeline_lab.sweep(run=SCHEDULED)
            assert (result.counts["conflicts"], requests) == (2, set())
            assert {sample.outcome for sample in result.samples} == {"conflict"}
        since = datetime.now(UTC) + timedelta(hours=2)
        root = pipeline_lab.mount("sweep", pipeline_lab.spec(), changed_since=since)
        assert (work(root, 0, threading.Event())[1].counts["conflicts"], requests) == (2, set())
        pipeline_lab.s3.delete_object(Bucket=pipeline_lab.b, Key="a.jpg")
        found = pipeline_lab.sweep(run=SCHEDULED).counts
        assert (found["processed"], found["conflicts"]) == (1, 1)
        assert pipeline_lab.sweep(run=SCHEDULED, onConflict="Overwrite").counts["processed"] == 1
    assert pipeline_lab.exact()


def test_a_refusal_that_cannot_be_written_down_is_counted_and_no_sweep_believes_it(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("bad.jpg", b"no picture")
    refuse = lambda request: Answer(403) if request.method == "PUT" and request.key == "pictures/bad.jpg" else None  # noqa: E731
    with Proxy(pipeline_lab.endpoint, refuse) as proxy:
        pipeline_lab.through = proxy.url
        result = pipeline_lab.sweep(run=SCHEDULED)
    assert (result.counts["failed"], result.counts["refusalsUnwritten"]) == (1, 1)
    assert "which could not be written down" in result.samples[0].message
    pipeline_lab.through = ""
    assert pipeline_lab.sweep(run=SCHEDULED).counts["refused"] == 1


def test_dates_are_those_of_the_server(pipeline_lab: PipelineLab) -> None:
    """What the watermark of scheduled sweeps rests on."""
    pipeline_lab.put("a.jpg")
    modified = pipeline_lab.head("a.jpg", pipeline_lab.a)["LastModified"]
    assert abs((datetime.now(UTC) - modified).total_seconds()) < 300
