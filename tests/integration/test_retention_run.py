"""`bucketops run` of an S3Retention: plan, guard, approval, a kill in between, on a laptop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from bucketops_api.v1alpha1.retention import RetentionSpec
from support.proxy import Proxy, Request
from support.retention import SECRET, Deployments, Retainer

BUCKETOPS = str(Path(sys.executable).with_name("bucketops"))


@pytest.fixture
def command(deployments: Deployments, retain: Retainer, tmp_path: Path) -> Any:
    """The command for a spec with its Secret beside it; four of six folders would go."""
    for number in range(6):
        deployments.deploy(f"d{number}", days=40 + number, assets=5)

    def write(**changes: Any) -> list[str]:
        spec = deployments.spec(**changes)
        documents = [
            {"apiVersion": "bucketops.dev/v1alpha1", "kind": "S3Retention", "metadata": {"name": "web"}, "spec": spec},
            {
                "kind": "Secret",
                "metadata": {"name": SECRET},
                "stringData": retain.user(RetentionSpec.model_validate(spec)).secret(),
            },
        ]
        file = tmp_path / "retention.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        return [BUCKETOPS, "run", "--file", str(file), "--output", "json"]

    return write


def run(command: list[str]) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run([*command, "--in-process"], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_plan_then_the_same_applied_in_spite_of_a_schedule(command: Any, deployments: Deployments) -> None:
    code, planned, told = run(command(mode="Plan", schedule="0 3 * * *"))
    assert (code, planned["phase"]) == (0, "Planned")
    assert planned["removal"] == {"folders": 4, "objects": 24, "bytes": 24}
    assert "4 of 6 folders would go (24 objects, 24 bytes)" in told
    assert [sample["key"] for sample in planned["samples"]] == ["d2", "d3", "d4", "d5"]
    assert len(deployments.folders()) == 6
    code, applied, told = run(command(schedule="0 3 * * *"))
    assert (code, applied["phase"], applied["planHash"]) == (0, "Succeeded", planned["planHash"])
    assert deployments.folders() == {"d0", "d1"}
    assert "Succeeded: 4 of 6 folders deleted (24 objects, 24 bytes freed), 2 kept." in told


def test_a_guard_ends_with_1_and_its_approval_with_0(command: Any, deployments: Deployments) -> None:
    guards = {"maxDeletePercent": 50}
    code, status, told = run(command(guards=guards))
    assert (code, status["phase"]) == (1, "Failed")
    assert f"set spec.approvePlan: {status['planHash']}" in told
    assert len(deployments.folders()) == 6
    code, _, _ = run(command(guards=guards, approvePlan=status["planHash"]))
    assert code == 0
    assert deployments.folders() == {"d0", "d1"}


def test_a_run_killed_half_way_goes_on_and_its_approval_still_holds(command: Any, deployments: Deployments) -> None:
    guards = {"maxDeletePercent": 40}
    approved = {"guards": guards, "approvePlan": run(command(guards=guards))[1]["planHash"]}
    gone = 0

    def slowly(request: Request) -> None:
        if request.method == "POST":
            time.sleep(0.3)

    def count(request: Request, status: int) -> None:
        nonlocal gone
        gone += request.method == "POST" and status == 200

    with Proxy(deployments.endpoint, rule=slowly, after=count) as proxy:
        slow = command(**approved, place={"endpoint": proxy.url}, worker={"concurrency": 2})
        process = subprocess.Popen(slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 60
        while gone < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert {"d0", "d1"} < deployments.folders()
    code, status, _ = run(command(**approved))
    assert (code, status["phase"]) == (0, "Succeeded")
    assert deployments.folders() == {"d0", "d1"}
    assert deployments.records("deleting") == []
