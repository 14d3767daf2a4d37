"""What operator and workers tell each other."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bucketops_api import counts
from bucketops_api.contract import (
    RESULT_BYTES,
    SAMPLES,
    Artifact,
    Limits,
    RunResult,
    RunSpec,
    UnknownResultError,
    read_result,
    resolved,
    total,
)
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Sample
from bucketops_api.v1alpha1.migration import MigrationSpec

OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
ANY = st.text(max_size=60)
RESULTS = st.builds(
    RunResult,
    reason=st.text(max_size=40),
    message=st.text(max_size=3000),
    counts=st.dictionaries(ANY, st.integers(0, 2**60), max_size=40),
    facts=st.dictionaries(ANY, st.text(max_size=400), max_size=10),
    samples=st.lists(st.builds(Sample, key=st.text(max_size=256), outcome=ANY, message=st.text(max_size=300))).map(
        tuple
    ),
    plan=st.none() | st.builds(Artifact, key=st.text(max_size=600), sha256=st.just("0" * 64)),
)


def sample(key: str, outcome: str = "conflict") -> Sample:
    return Sample(key=key, outcome=outcome)


@settings(max_examples=200)
@given(RESULTS)
def test_a_result_fits_a_termination_message_whatever_it_holds(result: RunResult) -> None:
    text = result.encode()
    assert len(text.encode()) <= RESULT_BYTES
    RunResult.model_validate_json(text)


def test_what_fits_is_told_in_full() -> None:
    result = RunResult(
        reason="Claimed", message="wait", counts={"done": 3}, facts={"copy": "yes"}, samples=(sample("k"),)
    )
    assert RunResult.model_validate_json(result.encode()) == result


def test_samples_go_before_counts_and_the_plan() -> None:
    whole = RunResult(
        message="m" * 4000,
        counts={"done": 3},
        samples=tuple(Sample(key="k" * 256, outcome="conflict", message="m" * 300) for _ in range(SAMPLES)),
        plan=Artifact(key="plans/1.json", sha256="0" * 64),
    )
    told = RunResult.model_validate_json(whole.encode())
    assert (told.counts, told.plan) == (whole.counts, whole.plan)
    assert 0 < len(told.samples) < SAMPLES


@given(RESULTS)
def test_a_result_is_told_with_all_that_programs_read_or_as_an_error(result: RunResult) -> None:
    """Never an empty success, nor one without some of its counts or facts."""
    told = RunResult.model_validate_json(result.encode())
    if result.fits:
        assert (told.reason, told.counts, told.facts, told.plan) == (
            result.reason, result.counts, result.facts, result.plan,
        )  # fmt: skip
        assert result.message.startswith(told.message)
    else:
        assert told.reason == Reason.RESULT_TOO_LARGE
        with pytest.raises(UnknownResultError):
            read_result(result.encode())


def test_many_counts_are_an_error_and_no_empty_success() -> None:
    result = RunResult(counts={f"prefix/{number:04}/bytes": 10**12 for number in range(200)}, message="200 prefixes")
    told = RunResult.model_validate_json(result.encode())
    assert told.reason == "ResultTooLarge"
    assert "4096 reach the operator" in told.message
    assert result.as_failure().fits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "left no result"),
        (" \n", "left no result"),
        ('{"counts": {"done": 1}, "samples": [{"key": "a"', "cut short"),
        ("x" * RESULT_BYTES, "cut short"),
        ("Traceback (most recent call last):", "is no result, but other text"),
        ("[]", "is no result, but JSON of another form: run the operator's own version"),
        ("3", "is no result, but JSON of another form: run the operator's own version"),
        ('{"version": 2}', "of a version that this operator does not know"),
        ('{"colour": "red"}', "fields that this operator cannot read (colour)"),
        ('{"counts": {"done": "many"}}', "fields that this operator cannot read (counts.done)"),
        ('{"reason": "ResultTooLarge", "message": "the result has 9000 bytes"}', "the result has 9000 bytes"),
        ('{"runSha256": "another"}', "that of another run"),
        ("[" * 4000, "other text"),
        ('{"message": "%s"}' % ("x" * RESULT_BYTES), "bytes, and a result has 4096 at most"),
        ('{"facts": {"any": "%s"}}' % ("x" * 257), "facts that no status can hold: any"),
        ('{"facts": {"accessKey": "%s"}}' % ("x" * 129), "facts that no status can hold: accessKey"),
        ('{"facts": {"secret": "Stolen"}}', "facts that no status can hold: secret"),
        (json.dumps({"facts": {f"f{number}": "" for number in range(33)}}), "33 facts, and a status holds 32"),
        ('{"facts": {"a\\nb": ""}}', "names that are none"),
    ],
)
def test_what_is_no_result_of_this_run_is_said_in_words(text: str, words: str) -> None:
    with pytest.raises(UnknownResultError, match=re.escape(words)):
        read_result(text, "this")


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode(errors="replace")))
def test_whatever_a_worker_leaves_is_a_result_or_unknown(text: str) -> None:
    with contextlib.suppress(UnknownResultError):
        read_result(text, "this")


def test_a_result_without_the_digest_of_its_run_is_one_of_an_older_worker() -> None:
    assert read_result('{"counts": {"done": 1}}', "this").counts == {"done": 1}
    assert read_result('{"counts": {"done": 1}, "runSha256": "this"}', "this").counts == {"done": 1}


@pytest.mark.parametrize("wrong", [{"version": 2}, {"colour": "red"}, {"shards": 0}])
def test_a_run_of_another_version_or_with_an_unknown_key_is_refused(wrong: dict[str, object]) -> None:
    run = {"kind": "S3Migration", "phase": "copy", "namespace": "a", "name": "b", "run": "b-1-copy", "spec": {}}
    RunSpec.model_validate(run)
    with pytest.raises(ValidationError):
        RunSpec.model_validate(run | wrong)


def test_the_total_of_shards() -> None:
    whole = total(
        [
            RunResult(counts={"done": 1, "a": 1}, marks={"m": NEW}, facts={"x": "1"}, message="first"),
            RunResult(counts={"done": 2, "b": 1}, marks={"m": OLD}, facts={"y": "2"}, message="second"),
        ]
    )
    assert whole.counts == {"done": 3, "a": 1, "b": 1}
    assert whole.marks == {"m": NEW}
    assert whole.facts == {"x": "1", "y": "2"}
    assert whole.message == "first"


def test_faults_of_the_last_shard_stand_before_what_fills_the_first() -> None:
    first = RunResult(samples=tuple(sample(f"k{number}") for number in range(SAMPLES)))
    last = RunResult(samples=(sample("lost", "dangling"),))
    keys = [found.key for found in total([first, last]).samples]
    assert (keys[0], len(keys)) == ("lost", SAMPLES)


@given(st.dictionaries(ANY, st.integers(0, 100)), st.dictionaries(ANY, st.integers(0, 100)))
def test_counts_add_up_in_any_order(one: dict[str, int], other: dict[str, int]) -> None:
    assert counts.add(one, other) == counts.add(other, one)
    assert sum(counts.add(one, other).values()) == sum(one.values()) + sum(other.values())


@given(st.sampled_from(["objects/", "rows/", ""]), st.text(min_size=1, max_size=20))
def test_a_metric_carries_its_count(prefix: str, name: str) -> None:
    metric, labels = counts.to_metric(prefix + name)
    assert counts.from_metric(metric, labels) == prefix + name


def test_metrics_of_another_meaning_carry_none() -> None:
    assert counts.from_metric("python_gc_objects_collected_total", {"generation": "0"}) is None


def test_a_resolved_spec_says_all_defaults_and_reads_as_the_same() -> None:
    spec = MigrationSpec.model_validate(
        {"source": {"bucket": "legacy-s3"}, "destination": {"bucket": "production-s3", "prefix": "avatar/"}}
    )
    whole = resolved(spec)
    assert (whole["mode"], whole["cleanup"]["policy"], whole["onConflict"]) == ("Plan", "Retain", "Fail")
    assert MigrationSpec.model_validate(json.loads(json.dumps(whole))) == spec


def test_limits_are_written_in_camel_case() -> None:
    assert json.loads(Limits(requests_per_second=2).model_dump_json(by_alias=True))["requestsPerSecond"] == 2


@pytest.mark.parametrize("count", [-1, 2**53 + 1, 10**400])
def test_a_result_with_counts_that_no_status_can_hold_is_unknown(count: int) -> None:
    """Else each later look at the resource would break on its own status."""
    with pytest.raises(UnknownResultError, match="counts that are none: foldersSeen"):
        read_result(f'{{"counts": {{"foldersSeen": {count}}}}}')


ODD_TIMES = ["2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        *(({"marks": {"lastLegacyWrite": when}}, "times that are none: lastLegacyWrite") for when in ODD_TIMES),
        *(
            ({"facts": {"shards": text}}, "number of shards")
            for text in ("", "0", "-1", "x", "1.5", "[]", "٣", "100000")
        ),
        *(({"facts": {name: "x" * 2049}}, f"names of objects that are none: {name}") for name in ("records", "report")),
        ({"plan": {"key": "x" * 1025, "sha256": "0" * 64}}, "a plan that is none"),
        ({"plan": {"key": "plans/1.json", "sha256": "0" * 63}}, "a plan that is none"),
    ],
)
def test_a_result_that_no_phase_machine_can_go_on_from_is_unknown(result: dict[str, object], words: str) -> None:
    """Else each later look at the resource ends in an error, and nothing of it in words."""
    with pytest.raises(UnknownResultError, match=words):
        read_result(json.dumps(result))


def test_a_result_with_times_and_a_plan_is_known() -> None:
    plan = {"key": "plans/1.json", "sha256": "0" * 64}
    marks = {"lastLegacyWrite": "2026-01-01T01:00:00+01:00"}
    found = read_result(json.dumps({"marks": marks, "facts": {"shards": "64", "versioning": "Off"}, "plan": plan}))
    assert found.marks["lastLegacyWrite"] == datetime(2026, 1, 1, tzinfo=UTC)
