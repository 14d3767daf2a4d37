"""What a worker counts."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest

from bucketops_api import counts, names
from bucketops_api.contract import SAMPLES
from bucketops_jobs.errors import TransientError
from bucketops_jobs.exposition import Counts, registry_of
from bucketops_jobs.migration.ahead import Ahead
from bucketops_jobs.pace import Pace
from bucketops_jobs.tally import Tally
from bucketops_jobs.worker import _serve
from bucketops_operator import scrape
from bucketops_operator.local_worker import free_port
from bucketops_operator.scrape import parse

OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def test_counts_add_up_and_zeros_are_left_out() -> None:
    tally = Tally()
    for amount in (1, 2, 0):
        tally.add("done", amount)
    tally.add("pending", 0)
    assert tally.result().counts == {"done": 3}


def test_the_latest_mark_counts() -> None:
    tally = Tally()
    for when in (OLD, NEW, OLD):
        tally.mark("lastLegacyWrite", when)
    assert tally.result().marks == {"lastLegacyWrite": NEW}


def test_samples_that_stand_last_make_room_for_all_others() -> None:
    tally = Tally()
    for number in range(SAMPLES):
        tally.sample(f"k{number}", "notKept", "tags", last=True)
    tally.sample("bad", "conflict", "other content")
    tally.sample("worse", "failed", "no")
    found = tally.result().samples
    assert [sample.key for sample in found[:3]] == ["bad", "worse", "k0"]
    assert len(found) == SAMPLES


def test_only_the_first_samples_are_kept_and_faults_come_before_them() -> None:
    tally = Tally()
    for number in range(SAMPLES + 5):
        tally.sample(f"k{number}", "conflict", "other content")
    tally.sample("fault", "dangling", "names nothing", first=True)
    keys = [sample.key for sample in tally.result().samples]
    assert len(keys) == SAMPLES
    assert keys[:2] == ["fault", "k0"]


def test_long_keys_and_messages_are_cut() -> None:
    tally = Tally()
    tally.sample("k" * 1024, "failed", "m" * 5000)
    (sample,) = tally.result().samples
    assert (len(sample.key), len(sample.message)) == (256, 300)


def test_the_operator_reads_the_very_counts_from_the_metrics() -> None:
    tally = Tally()
    found = {"objects/moved": 3, "objects/failed": 1, "rows/rewritten": 4, "done": 4, "bytes": 123}
    for name, amount in found.items():
        tally.add(name, amount)
    assert parse(generate_latest(registry_of(tally)).decode()) == found


def test_requests_are_shown_beside_the_counts_and_the_operator_reads_three_numbers_of_them() -> None:
    tally, pace = Tally(), Pace(64, None, threading.Event())
    tally.requests, registry = pace.metrics, registry_of(tally)
    tally.add("done", 4)
    answers = iter([TransientError("SlowDown", throttled=True), "answer"])

    def call() -> str:
        answer = next(answers)
        if isinstance(answer, TransientError):
            raise answer
        assert registry.get_sample_value(names.METRIC_IN_FLIGHT) == 1
        return answer

    assert pace.call(call, operation="copy") == "answer"
    assert registry.get_sample_value(f"{names.METRIC_REQUEST_SECONDS}_count", {"operation": "copy"}) == 1
    assert registry.get_sample_value(f"{names.METRIC_REQUEST_SECONDS}_count", {"operation": "list"}) == 0
    assert registry.get_sample_value(f"{names.METRIC_RETRIES}_total") == 1
    assert registry.get_sample_value(f"{names.METRIC_THROTTLES}_total") == 1
    assert registry.get_sample_value(names.METRIC_IN_FLIGHT) == 0
    assert registry.get_sample_value(names.METRIC_IN_FLIGHT_LIMIT) == pace.gate.limit
    shown = {counts.REQUESTS: 1, counts.RETRIES: 1, counts.THROTTLES: 1}
    assert parse(generate_latest(registry).decode()) == tally.live() == {"done": 4} | shown


def test_what_is_so_now_is_read_before_what_was_counted() -> None:
    """A pod counts a gap and then says that it hears everything: nobody may see the latter alone."""
    tally = Tally()

    def now() -> dict[str, int]:
        tally.add(counts.GAPS)
        return {counts.DROPPING: 0}

    tally.show(now)
    samples = [(sample.name, sample.labels) for family in Counts(tally).collect() for sample in family.samples]
    assert {counts.from_metric(name, labels) for name, labels in samples} == {counts.GAPS, counts.DROPPING}


def test_the_operator_asks_a_worker_for_its_counts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker measures of its requests is ten times as much, and nothing of it a count."""
    port, asked = free_port(), list[str]()
    monkeypatch.setenv(names.ENV_METRICS_PORT, str(port))
    tally = Tally()
    tally.requests = Pace(64, None, threading.Event()).metrics
    found = {"objects/moved": 3, "rows/rewritten": 4, "done": 4}
    for name, amount in found.items():
        tally.add(name, amount)
    tally.show(lambda: {"now/listening": 1})
    monkeypatch.setattr(scrape, "parse", lambda text: asked.append(text) or parse(text))
    _serve(tally)
    none = dict.fromkeys((counts.REQUESTS, counts.RETRIES, counts.THROTTLES), 0)
    assert scrape.live_counts(["127.0.0.1"], port) == found | none | {"now/listening": 1}
    shown = {re.split("[{ ]", line)[0] for line in asked[0].splitlines() if not line.startswith("#")}
    assert shown <= set(counts.METRICS)


def test_what_is_copied_ahead_leaves_with_its_chunk() -> None:
    tally = Tally()
    registry = registry_of(tally)

    def shown() -> dict[str, int]:
        return parse(generate_latest(registry).decode())

    with Ahead(tally) as ahead:
        for _ in range(3):
            ahead.object()
            ahead.bytes(10)
        assert shown() == {counts.AHEAD: 3, counts.AHEAD_BYTES: 30}
        assert tally.now() == shown()
        assert tally.result().counts == {}
    tally.add(counts.DONE, 3)
    assert shown() == {counts.DONE: 3}
