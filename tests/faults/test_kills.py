"""SIGKILL in the middle of the work: nothing is lost, and little is done twice. A counting proxy is the witness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.avatars import LEGACY, MODERN, name
from support.cluster import wait_for
from support.driver import Driver, condition
from support.proxy import Proxy, Request

OBJECTS, CHUNK = 300, 25


class Copies:
    """How many objects were written to the production place."""

    def __init__(self, bucket: str) -> None:
        self.bucket, self.made = bucket, 0

    def __call__(self, request: Request, status: int) -> None:
        if request.method == "PUT" and request.bucket == self.bucket and request.key.startswith(MODERN):
            self.made += status == 200


@pytest.fixture
def copies(lab: Any) -> Copies:
    return Copies(lab.world.destination)


@pytest.fixture
def proxy(lab: Any, copies: Copies) -> Iterator[Proxy]:
    with Proxy(lab.endpoint, after=copies) as proxy:
        yield proxy


def slow_spec(lab: Any, proxy: Proxy) -> dict[str, Any]:
    """Slow enough to be killed between 20 and 80 percent, more than once."""
    worker = {"parallelism": 2, "shards": 2, "concurrency": 8, "requestsPerSecond": 100}
    spec: dict[str, Any] = lab.spec(worker=worker)
    spec["database"]["batchSize"] = CHUNK
    spec["source"]["endpoint"] = spec["destination"]["endpoint"] = proxy.url
    return spec


def expect_the_right_end(lab: Any) -> None:
    assert lab.world.keys(lab.world.source) == {}
    assert set(lab.world.keys(lab.world.destination)) == {MODERN + name(n) for n in range(1, OBJECTS + 1)}
    assert not [path for path in lab.world.paths() if path.startswith(LEGACY)]


def kill_at(driver: Driver, percent: int) -> int:
    """SIGKILL every worker once the status shows `percent`; how many died."""
    status = driver.until(lambda s: s.get("progress", {}).get("percent", 0) >= percent)
    assert 20 <= status["progress"]["percent"] <= 80
    victims = driver.local.processes(status["runs"][-1]["id"])
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    return len(victims)


def test_kills_repeat_no_more_than_the_chunks_in_flight(lab: Any, proxy: Proxy, copies: Copies) -> None:
    lab.world.seed(legacy=range(1, OBJECTS + 1))
    driver = lab.drive(slow_spec(lab, proxy), processes=True)
    kills = sum(kill_at(driver, percent) for percent in (20, 35, 50))
    status = driver.finish()
    assert condition(status, "Complete"), status
    expect_the_right_end(lab)
    assert kills >= 3
    assert OBJECTS <= copies.made <= OBJECTS + CHUNK * kills
    assert status["outcomes"]["moved"] == OBJECTS
    assert status["rowOutcomes"]["rewritten"] == OBJECTS


def test_bucketops_run_is_killed_and_the_same_command_goes_on(
    lab: Any, proxy: Proxy, copies: Copies, tmp_path: Path
) -> None:
    lab.world.seed(legacy=range(1, OBJECTS + 1))
    spec = slow_spec(lab, proxy)
    command = write_command(lab, spec, tmp_path)
    environment = os.environ | {"TMPDIR": str(lab.root)}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment) as process:
        deadline = time.monotonic() + 60
        while copies.made < OBJECTS // 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    wait_for("no worker is left behind", lambda: not workers(lab.root), 20)
    assert OBJECTS // 4 <= copies.made < OBJECTS
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    expect_the_right_end(lab)
    status = yaml.safe_load(done.stdout)
    assert status["outcomes"]["moved"] == OBJECTS
    assert copies.made <= OBJECTS + CHUNK * 2


def workers(folder: Path) -> list[int]:
    """Ids of worker processes of this test: those of the killed command lie below its own temporary folder."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            command = (proc / "cmdline").read_bytes()
            environment = (proc / "environ").read_bytes()
        except OSError:
            continue
        if b"bucketops_jobs" in command and b"TMPDIR=" + str(folder).encode() in environment:
            found.append(int(proc.name))
    return found


def write_command(lab: Any, spec: dict[str, Any], folder: Path) -> list[str]:
    """`bucketops run` with this migration in a file and its Secrets in env files."""
    manifest = {"apiVersion": "bucketops.dev/v1alpha1", "kind": "S3Migration", "metadata": {"name": "avatars"}}
    (folder / "migration.yaml").write_text(yaml.safe_dump(manifest | {"spec": spec}))
    command = [
        str(Path(sys.executable).with_name("bucketops")),
        "run",
        "-f",
        str(folder / "migration.yaml"),
        "-o",
        "yaml",
    ]
    for secret, data in lab.secrets(spec).items():
        file = folder / f"{secret}.env"
        file.write_text("".join(f"{key}={value}\n" for key, value in data.items()))
        command += ["--secret", f"{secret}={file}"]
    return command
