"""What Prometheus reads from the operator."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest

from bucketops_operator.metrics import Metrics
from bucketops_operator.workqueue import Key

KEY = Key("S3Migration", "shop", "avatars")
LABELS = {"kind": "S3Migration", "namespace": "shop", "name": "avatars"}
STATUS = {
    "progress": {"percent": 41, "objectsTotal": 100, "objectsDone": 41, "bytesDone": 4096, "rowsUpdated": 40},
    "outcomes": {"moved": 40, "already": 1},
    "rowOutcomes": {"rewritten": 40},
    "runs": [{"id": "avatars-1-copy", "result": "Succeeded"}, {"id": "avatars-2-sweep", "result": "Running"}],
    "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(depth=lambda: 3, list_age=lambda: 12.5)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"bucketops_resource_{name}", LABELS | labels)


def test_a_resource_that_was_just_seen_has_all_its_series_at_zero(metrics: Metrics) -> None:
    metrics.resources.show(KEY, {})
    assert value(metrics, "objects", outcome="failed") == 0
    assert value(metrics, "rows", outcome="missingSource") == 0
    assert value(metrics, "progress_percent") == 0
    assert value(metrics, "last_success_timestamp_seconds") == 0
    assert value(metrics, "condition", type="Failed", status="Unknown") == 1
    assert value(metrics, "runs", result="Failed") == 0


def test_a_status_becomes_series(metrics: Metrics) -> None:
    metrics.resources.show(KEY, STATUS)
    assert value(metrics, "objects", outcome="moved") == 40
    assert value(metrics, "rows", outcome="rewritten") == 40
    assert value(metrics, "progress_percent") == 41
    assert value(metrics, "objects_expected") == 100
    assert value(metrics, "done_bytes") == 4096
    assert value(metrics, "runs", result="Running") == 1
    assert value(metrics, "condition", type="Complete", status="True") == 1
    assert value(metrics, "condition", type="Complete", status="False") == 0
    assert value(metrics, "last_success_timestamp_seconds") == 1767225600


def test_series_end_with_their_resource(metrics: Metrics) -> None:
    metrics.resources.show(KEY, STATUS)
    metrics.resources.forget(KEY)
    assert value(metrics, "progress_percent") is None


def test_a_count_that_a_kind_does_not_have_has_no_series(metrics: Metrics) -> None:
    metrics.resources.show(KEY, {"outcomes": {"unheardOf": 5}})
    assert value(metrics, "objects", outcome="unheardOf") is None


def test_the_operator_tells_of_itself(metrics: Metrics) -> None:
    metrics.reconciled("S3Migration", 0.2)
    metrics.failed("S3Migration", OSError("x"))
    text = generate_latest(metrics.registry).decode()
    assert 'bucketops_operator_reconcile_duration_seconds_count{kind="S3Migration"} 1.0' in text
    assert 'bucketops_operator_reconcile_errors_total{error="OSError",kind="S3Migration"} 1.0' in text
    assert "bucketops_operator_queue_depth 3.0" in text
    assert "bucketops_operator_list_age_seconds 12.5" in text
    assert "bucketops_operator_build_info{" in text


def test_the_last_success_of_a_schedule_is_that_of_its_runs(metrics: Metrics) -> None:
    """Complete stays True from one night to the next."""
    runs = [
        {"result": "Succeeded", "completedAt": "2026-01-03T00:00:00Z"},
        {"result": "Failed", "completedAt": "2026-01-04T00:00:00Z"},
        {"result": "Running"},
    ]
    metrics.resources.show(KEY, STATUS | {"scheduled": {"runs": runs}})
    assert value(metrics, "last_success_timestamp_seconds") == datetime(2026, 1, 3, tzinfo=UTC).timestamp()


def test_a_pipeline_shows_its_listeners_its_last_sweep_and_when_the_next_is_overdue(metrics: Metrics) -> None:
    key = Key("ExifPipeline", "shop", "pictures")

    def found(name: str) -> float | None:
        labels = dict(zip(("kind", "namespace", "name"), key, strict=True))
        return metrics.registry.get_sample_value(f"bucketops_resource_{name}", labels)

    run = {"result": "Succeeded", "startedAt": "2026-01-03T00:00:00Z", "completedAt": "2026-01-03T00:01:30Z"}
    earlier = run | {"startedAt": "2026-01-01T00:00:00Z", "completedAt": "2026-01-01T05:00:00Z"}
    shown = {
        "listeners": {"wanted": 2, "listening": 1},
        "lastSweep": {"repaired": 3, "pictures": 10, "failed": 1},
        "progress": {"repaired": 7, "dropped": 5, "gaps": 2, "unwritten": 1},
        "sweepOverdueAt": "2026-01-01T00:00:00Z",
        "runs": [earlier],
        "scheduled": {"runs": [run, {"result": "Running", "startedAt": "2026-01-04T00:00:00Z"}]},
    }
    wanted = {
        "listeners_wanted": 2,
        "listeners_listening": 1,
        "last_sweep_repaired": 3,
        "last_sweep_pictures": 10,
        "last_sweep_failed": 1,
        "pictures_repaired": 7,
        "events_dropped": 5,
        "events_gaps": 2,
        "refusals_unwritten": 1,
        "last_run_duration_seconds": 90,
        "sweep_overdue_timestamp_seconds": 1767225600,
    }
    metrics.resources.show(key, {})
    assert {found(name) for name in wanted} == {0}
    metrics.resources.show(key, shown)
    assert {name: found(name) for name in wanted} == wanted
    metrics.resources.show(KEY, STATUS)
    assert value(metrics, "listeners_wanted") is None
    assert value(metrics, "sweep_overdue_timestamp_seconds") is None
