"""SIGKILL in the middle of the work: nothing is lost, and little is done twice. A counting proxy is the witness."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bucketops_operator.objects import ATTEMPTS
from support.avatars import LEGACY, MODERN, name
from support.cluster import wait_for
from support.command import apart
from support.driver import Driver, condition
from support.ending import Copies
from support.gate import Gate
from support.processes import workers
from support.proxy import Proxy

OBJECTS, CHUNK, WORKERS = 300, 10, 2


@pytest.fixture
def copies(lab: Any) -> Copies:
    return Copies(lab.world.destination)


@pytest.fixture
def proxy(lab: Any, copies: Copies) -> Iterator[Proxy]:
    with Proxy(lab.endpoint, after=copies) as proxy:
        yield proxy


def spec_of(lab: Any, proxy: Proxy) -> dict[str, Any]:
    """Small chunks, through the proxy."""
    worker = {"parallelism": WORKERS, "shards": WORKERS, "concurrency": 8}
    return lab.spec(endpoint=proxy.url, chunk=CHUNK, worker=worker)


@pytest.fixture
def gate(lab: Any) -> Gate:
    """The world, held before the middle of the work."""
    lab.world.seed(legacy=range(1, OBJECTS + 1))
    gate = Gate(lab.world, objects=OBJECTS, workers=WORKERS, chunk=CHUNK)
    gate.reach(20)
    return gate


def expect_the_right_end(lab: Any) -> None:
    assert lab.world.keys(lab.world.source) == {}
    assert set(lab.world.keys(lab.world.destination)) == {MODERN + name(n) for n in range(1, OBJECTS + 1)}
    assert not [path for path in lab.world.paths() if path.startswith(LEGACY)]


def kill_at(driver: Driver, gate: Gate, percent: int) -> int:
    """SIGKILL every worker once the status shows `percent`; how many died."""
    gate.reach(percent)
    status = driver.until(lambda s: s.get("progress", {}).get("percent", 0) >= percent)
    assert 20 <= status["progress"]["percent"] <= 80
    return driver.kill_workers()


def test_kills_repeat_no_more_than_the_chunks_in_flight(lab: Any, proxy: Proxy, copies: Copies, gate: Gate) -> None:
    driver = lab.drive(spec_of(lab, proxy), processes=True)
    kills = sum(kill_at(driver, gate, percent) for percent in (20, 35, 50))
    gate.open()
    status = driver.finish()
    assert condition(status, "Complete"), status
    expect_the_right_end(lab)
    assert kills >= 3
    assert OBJECTS <= copies.made <= OBJECTS + CHUNK * kills
    assert status["outcomes"]["moved"] == OBJECTS
    assert status["rowOutcomes"]["rewritten"] == OBJECTS
    percents = [status["progress"]["percent"] for status in driver.seen if "progress" in status]
    assert percents == sorted(percents)


def test_bucketops_run_is_killed_and_the_same_command_goes_on(
    lab: Any, proxy: Proxy, copies: Copies, gate: Gate, tmp_path: Path
) -> None:
    command = [*apart(lab, tmp_path, spec_of(lab, proxy)), "--output", "yaml"]
    environment = os.environ | {"TMPDIR": str(lab.root)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True) as process:
        shown = next(percent for percent in map(percent_of, process.stderr or ()) if percent >= 20)
        process.kill()
    assert shown <= 80
    gate.drain()
    wait_for("no worker is left behind", lambda: not workers(lab.root))
    assert OBJECTS // 5 <= copies.made < OBJECTS
    assert list(lab.root.glob("bucketops-run-*")), "what the next start has to remove"
    gate.open()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert not list(lab.root.glob("bucketops-run-*"))
    expect_the_right_end(lab)
    status = yaml.safe_load(done.stdout)
    assert status["outcomes"]["moved"] == OBJECTS
    assert copies.made <= OBJECTS + CHUNK * WORKERS


def percent_of(line: str) -> int:
    """What a line of progress shows; 0 in any other."""
    found = re.search(r"(\d+)%", line)
    return int(found[1]) if found else 0


@pytest.mark.usefixtures("quick_phases")
def test_a_shard_that_used_up_its_attempts_gets_new_ones_and_goes_on_where_it_was(
    lab: Any, proxy: Proxy, copies: Copies, gate: Gate
) -> None:
    """The Job gives it up after its seventh death and lets the others end; then the operator begins the phase anew."""
    driver = lab.drive(spec_of(lab, proxy), processes=True)
    driver.until(lambda _: gate.rewritten() >= OBJECTS // 5)
    deaths: set[int] = set()
    while len(deaths) <= ATTEMPTS:
        driver.step()
        victims = [each for each in workers(lab.root) if each.shard == 0 and each.pid not in deaths]
        deaths |= {each.pid for each in victims if each.signal(signal.SIGKILL)}
    gate.open()
    status = driver.until(lambda status: condition(status, "Stalled"))
    assert [(run["phase"], run["result"]) for run in status["runs"]][1:] == [("copy", "Failed")]
    status = driver.until(lambda status: condition(status, "Complete"))
    assert [(run["phase"], run["result"]) for run in status["runs"]][1:3] == [
        ("copy", "Failed"),
        ("copy", "Succeeded"),
    ]
    expect_the_right_end(lab)
    assert status["outcomes"]["moved"] == OBJECTS
    assert OBJECTS <= copies.made <= OBJECTS + CHUNK * len(deaths)
