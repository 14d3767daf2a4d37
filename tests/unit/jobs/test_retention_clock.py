"""Clocks: one that is wrong deletes nothing, and a scheduled run begins a little later."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from bucketops_api import names
from bucketops_api.contract import RunSpec, resolved
from bucketops_jobs.errors import UserError
from bucketops_jobs.s3.clock import MOST_SKEW, require_no_skew
from bucketops_jobs.worker import work
from support.deployments import NOW, spec


def test_five_minutes_between_the_clocks_are_fine() -> None:
    assert timedelta(minutes=5) == MOST_SKEW
    require_no_skew(NOW, NOW + MOST_SKEW)
    require_no_skew(NOW + MOST_SKEW, NOW)


@pytest.mark.parametrize("seconds", [301, -301])
def test_more_than_that_deletes_nothing_and_names_both(seconds: int) -> None:
    with pytest.raises(UserError, match="nothing is deleted; set the wrong clock") as refused:
        require_no_skew(NOW, NOW + timedelta(seconds=seconds))
    assert refused.value.reason == "ClockSkew"
    assert "2026-06-15T12:00:00+00:00" in str(refused.value)


def test_a_run_with_jitter_waits_and_can_be_stopped_while_it_does(tmp_path: Path) -> None:
    """The bucket that it names is nowhere: a run that did not wait would fail on that."""
    run = RunSpec(kind="S3Retention", phase="retain", namespace="n", name="web", run="web-scheduled-g1",
                  jitter_seconds=3600, spec=resolved(spec()))  # fmt: skip
    (tmp_path / "run").mkdir()
    (tmp_path / names.RUN_FILE).write_text(run.model_dump_json(by_alias=True))
    stop = threading.Event()
    stop.set()
    code, result = work(tmp_path, 0, stop)
    assert (code, result.message) == (names.EXIT_RETRY, "told to stop before it began")
