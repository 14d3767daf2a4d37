"""The pace over the wire: the real client against a server whose capacity changes, and one that never answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bucketops_api import names
from bucketops_api.contract import RunResult, RunSpec, resolved
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.errors import StoppedError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.s3.store import Copy, Object
from support.stub import SlowServer

MOST = 64
FULL, HALF = 32, 16
"""Requests that the server takes at once."""
PART = 1200


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / names.SECRETS_DIR / "user"
    folder.mkdir(parents=True)
    (folder / "AWS_ACCESS_KEY_ID").write_text("user")
    (folder / "AWS_SECRET_ACCESS_KEY").write_text("password")
    return tmp_path


def bucket(server: SlowServer) -> dict[str, object]:
    return {"bucket": "bucket", "endpoint": server.url, "credentials": {"secretRef": {"name": "user"}}}


def copies(number: int) -> list[Copy]:
    source = Object("key", "0" * 32, 1000, datetime(2026, 1, 1, tzinfo=UTC))
    return [Copy("bucket", source, f"copy-{each}") for each in range(number)]


def test_capacity_halves_and_comes_back(root: Path) -> None:
    """The server takes half as many at once for a while, and refuses the rest with 503: nothing fails; in flight
    falls, and recovers when the capacity does."""
    pace = Pace(MOST, None, threading.Event())
    limits: list[list[int]] = [[], [], []]
    with SlowServer(0.05, lambda answered: HALF if PART <= answered < 2 * PART else FULL) as server:
        store = connect(BucketRef.model_validate(bucket(server)), root, pace)
        for _, answer in store.copies(copies(3 * PART)):
            assert isinstance(answer, str)
            limits[min(2, server.answered // PART)].append(pace.gate.limit)
        store.close()
    before, during, after = (sum(part[len(part) // 3 :]) / len(part[len(part) // 3 :]) for part in limits)
    assert during < 0.75 * before
    assert after > 1.25 * during
    assert pace.retries == server.refused > 0
    assert pace.retries < 0.2 * 3 * PART


def stop_once_full(server: SlowServer, pace: Pace) -> None:
    while server.most < 300:
        time.sleep(0.01)
    pace.stop.set()


def test_told_to_stop_hundreds_in_flight_are_cancelled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server never answers; every copy is accounted for, and no slot stays taken."""
    monkeypatch.setattr("bucketops_jobs.flow.FINISH_SECONDS", 0.2)
    monkeypatch.setattr("bucketops_jobs.control.START", 300)
    pace = Pace(300, None, threading.Event())
    with SlowServer(None) as server:
        store = connect(BucketRef.model_validate(bucket(server)), root, pace)
        stream = store.copies(copies(1000))
        threading.Thread(target=stop_once_full, args=[server, pace], daemon=True).start()
        answers = [answer for _, answer in stream]
        assert len(answers) == 1000
        assert all(isinstance(answer, StoppedError) for answer in answers)
        assert pace.gate.active == 0
        store.close()


def test_sigterm_ends_a_worker_that_hangs_in_a_call(root: Path) -> None:
    """The server took the request and never answers: the worker leaves a word and the exit code that means: again."""
    with SlowServer(None) as server:
        place = bucket(server) | {"prefix": "image/"}
        spec = {"mode": "Apply", "source": place, "destination": place | {"prefix": "avatar/"}}
        run = RunSpec(
            kind="S3Migration",
            phase="preflight",
            namespace="default",
            name="avatars",
            run="avatars-1-preflight",
            spec=resolved(MigrationSpec.model_validate(spec)),
        )
        (root / "run").mkdir()
        (root / names.RUN_FILE).write_text(run.model_dump_json(by_alias=True))
        result = root / "result"
        environment = {names.ENV_ROOT: str(root), names.ENV_RESULT: str(result), names.ENV_METRICS_PORT: "0"}
        code = "import sys, bucketops_jobs.worker as worker; worker.STOP_SECONDS = 1; sys.exit(worker.main())"
        process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | environment, stdout=subprocess.PIPE)
        while not server.active:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == names.EXIT_RETRY
        assert process.stdout is not None
        process.stdout.close()
    assert "still under way" in RunResult.model_validate(json.loads(result.read_text())).message
