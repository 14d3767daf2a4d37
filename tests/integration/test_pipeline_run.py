"""ExifPipeline by the operator's own reconcile with the local executor: sweep and listeners as processes."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from bucketops_jobs.pipeline import desk
from bucketops_jobs.pipeline.inbox import Inbox
from bucketops_operator.kinds import pipeline_gaps
from support.driver import condition, driving
from support.pipeline import PipelineLab, wait
from support.proxy import Hold, Proxy


def test_backfill_then_events_with_progress_in_the_status(pipeline_lab: PipelineLab, tmp_path: Path) -> None:
    old = [f"old/{number:02}.jpg" for number in range(20)]
    pipeline_lab.put_all(old)
    spec = pipeline_lab.spec(replicas=2)
    with driving(tmp_path / "run", pipeline_lab.secrets(spec), spec, "pictures", kind="ExifPipeline") as driver:
        status = driver.until(lambda status: condition(status, "Ready"), 120)
        assert status["phase"] == "Running"
        assert status["progress"]["processed"] == status["lastSweep"]["repaired"] == len(old)
        assert status["progress"]["percent"] == 100
        assert status["listeners"] == {"wanted": 2, "listening": 2}
        pipeline_lab.put_all(["new/1.jpg", "new/2.jpg", "new/3.jpg"])
        pipeline_lab.put("bad.jpg", b"no picture")
        status = driver.until(lambda status: status["progress"]["processed"] == len(old) + 3, 60)
        status = driver.until(lambda status: status["progress"]["quarantined"] == 1, 60)
        assert status["progress"]["latencyP99Ms"] >= status["progress"]["latencyP50Ms"] > 0


def test_a_listener_that_is_killed_is_started_again_and_what_it_missed_is_made_good_by_itself(
    pipeline_lab: PipelineLab, tmp_path: Path
) -> None:
    spec = pipeline_lab.spec(replicas=1)
    secrets = pipeline_lab.secrets(spec)
    with driving(tmp_path / "run", secrets, spec, "pictures", kind="ExifPipeline", processes=True) as driver:
        driver.until(lambda status: condition(status, "Ready"), 120)
        (pid,) = driver.local.listeners("pictures-events")
        os.kill(pid, signal.SIGKILL)
        pipeline_lab.put_all([f"{number}.jpg" for number in range(10)])
        driver.until(lambda _: bool(set(driver.local.listeners("pictures-events")) - {pid}), 60)
        driver.until(lambda status: status["listeners"]["listening"] == 1, 60)
        swept = driver.status["lastSweep"]
        driver.until(lambda status: status["lastSweep"] != swept and condition(status, "Ready"), 120)
        assert driver.status["lastSweep"]["repaired"] == 10
        assert pipeline_lab.exact()
        pipeline_lab.put("after.jpg")
        wait(pipeline_lab.exact)


def test_events_without_room_are_made_good_by_a_sweep_that_begins_by_itself(
    pipeline_lab: PipelineLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "Inbox", lambda: Inbox(4))
    monkeypatch.setattr(pipeline_gaps, "CALM", timedelta(seconds=1))
    hold = Hold(lambda request: request.method == "PUT" and request.key.endswith(".jpg"))
    with Proxy(pipeline_lab.endpoint, hold) as proxy:
        place = pipeline_lab.place(pipeline_lab.b) | {"endpoint": proxy.url}
        spec = pipeline_lab.spec(destination=place, worker={"concurrency": 2, "parallelism": 1})
        secrets = pipeline_lab.secrets(spec)
        with driving(tmp_path / "run", secrets, spec, "pictures", kind="ExifPipeline") as driver:
            driver.until(lambda status: condition(status, "Ready"), 120)
            pipeline_lab.put_all([f"{number}.jpg" for number in range(20)])
            driver.until(lambda status: status["progress"]["dropped"] > 0, 60)
            hold.let(10**6)
            driver.until(lambda status: status["progress"]["repaired"] > 0, 120)
            assert driver.status["progress"]["gaps"] > 0
            driver.until(lambda _: pipeline_lab.exact(), 60)


def test_once_on_a_laptop_is_one_sweep(pipeline_lab: PipelineLab, tmp_path: Path) -> None:
    pipeline_lab.put_all(["a.jpg", "b.jpg"])
    spec = pipeline_lab.spec(events=None, sweep={"schedule": ""})
    with driving(tmp_path / "run", pipeline_lab.secrets(spec), spec, "pictures", kind="ExifPipeline") as driver:
        assert condition(driver.finish(60), "Complete")
    assert pipeline_lab.exact()
