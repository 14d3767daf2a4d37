"""`bucketops run` in a real terminal: the bar moves, Ctrl-C is heard, and what fails is told with a remedy."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.avatars import LEGACY, MODERN, name
from support.cluster import wait_for
from support.command import beside
from support.faulty import error
from support.gate import Gate
from support.proxy import Answer, Proxy, Request
from support.relay import Relay
from support.terminal import CTRL_C, Terminal

pytestmark = pytest.mark.slow

HOLDS = {"parallelism": 1, "shards": 1, "concurrency": 4}


def held(lab: Any, objects: int) -> Gate:
    """A gate behind which every row waits, though all objects may be copied."""
    lab.world.seed(legacy=range(1, objects + 1))
    return Gate(lab.world, objects=objects, workers=1, chunk=1000)


def test_the_bar_moves_while_the_first_chunk_is_at_work(lab: Any, tmp_path: Path) -> None:
    """All is one chunk, and none of it is done before its rows are: they wait until the bar has been seen to move."""
    gate = held(lab, 60)
    with Terminal(beside(lab, tmp_path, lab.spec(worker=HOLDS))) as terminal:
        terminal.until(r"[1-9]\d* of 60 objects copied")
        assert gate.rewritten() == 0
        gate.open()
        terminal.until(r"Succeeded: 60 objects moved")
        assert terminal.end() == 0
    assert re.search(r"objects in legacy-\w+/image/ +60 +0\b", terminal.text)
    assert re.search(r"rows with a legacy path +60 +0\b", terminal.text)
    assert lab.world.paths() == [MODERN + name(n) for n in range(1, 61)]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_terminal_may_be_narrow_and_change_its_size(lab: Any, tmp_path: Path, columns: int) -> None:
    gate = held(lab, 20)
    with Terminal(beside(lab, tmp_path, lab.spec(worker=HOLDS)), columns=columns) as terminal:
        terminal.until(r"[1-9]\d* of 20 objects copied")
        terminal.resize(columns // 2, 20)
        terminal.until(r"(?s)objects copied.*Copying")
        gate.open()
        assert terminal.end() == 0


def test_ctrl_c_is_answered_at_once_and_a_second_one_waits_for_nothing(lab: Any, tmp_path: Path) -> None:
    """The rows of the chunk in hand never come through: a safe point is never reached."""
    gate = held(lab, 40)
    command = beside(lab, tmp_path, lab.spec(worker=HOLDS))
    with Terminal(command) as terminal:
        terminal.until(r"[1-9]\d* of 40 objects copied")
        terminal.type(CTRL_C)
        terminal.until("stopping at a safe point")
        terminal.type(CTRL_C)
        terminal.until("Stopped at once: nothing is lost; the same command goes on from there")
        assert terminal.end() == 130
    assert all(path.startswith(LEGACY) for path in lab.world.paths())
    lab.world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    gate.open()
    with Terminal(command) as terminal:
        assert terminal.end() == 0
    assert lab.world.paths() == [MODERN + name(n) for n in range(1, 41)]


def test_sigterm_stops_at_a_safe_point_and_says_how_to_go_on(lab: Any, tmp_path: Path) -> None:
    gate = held(lab, 20)
    with Terminal(beside(lab, tmp_path, lab.spec(worker=HOLDS))) as terminal:
        terminal.until(r"[1-9]\d* of 20 objects copied")
        terminal.process.send_signal(signal.SIGTERM)
        terminal.until("stopping at a safe point")
        gate.open()
        terminal.until("Stopped at a safe point: nothing is lost; the same command goes on from there")
        assert terminal.end() == 130


def test_a_database_that_is_away_is_named_with_how_long(lab: Any, tmp_path: Path) -> None:
    gate = held(lab, 20)
    with Relay(int(lab.database["PGPORT"])) as relay:
        lab.database["PGPORT"] = str(relay.port)
        with Terminal(beside(lab, tmp_path, lab.spec(worker=HOLDS))) as terminal:
            terminal.until(r"[1-9]\d* of 20 objects copied")
            behind = relay.target
            relay.turn(1)
            terminal.until(r"the database has not answered for \d+ s")
            gate.open()
            relay.turn(behind)
            terminal.until("Succeeded: 20 objects moved")
            assert terminal.end() == 0


class Throttling:
    """Answers SlowDown to so many requests of the copies as a test waits for."""

    def __init__(self) -> None:
        self.on = True
        self._count = 0

    def __call__(self, request: Request) -> Answer | None:
        self._count += 1
        mine = request.method == "PUT" and "avatar-" in request.path
        return Answer(503, error("SlowDown")) if self.on and mine and self._count % 3 else None


def test_a_store_that_slows_down_is_named(lab: Any, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 31))
    rule = Throttling()
    with Proxy(lab.endpoint, rule) as proxy:
        spec = lab.spec(endpoint=proxy.url, worker=HOLDS)
        with Terminal(beside(lab, tmp_path, spec), columns=120) as terminal:
            terminal.until(r"the store answers SlowDown to \S+ of \S+ requests a second")
            terminal.until(r"requests were sent again after an error")
            rule.on = False
            assert terminal.end() == 0


def test_what_fails_is_told_with_samples_and_what_to_do(lab: Any, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 6))
    lab.world.s3.put_object(Bucket=lab.world.destination, Key=MODERN + name(3), Body=b"another")
    with Terminal(beside(lab, tmp_path, lab.spec()), columns=120) as terminal:
        assert terminal.end() == 1
    assert "PartiallyFailed: 0 objects and 1 rows failed, 1 objects are in conflict" in terminal.text
    assert "conflict: the destination holds other content" in terminal.text
    assert name(3) in terminal.text
    assert "what to do: compare both objects" in terminal.text


def test_fields_go_to_stdout_alone_and_everything_else_to_stderr(lab: Any, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 4))
    command = beside(lab, tmp_path, lab.spec())
    done = subprocess.run([*command, "-o", "json"], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["phase"] == "Succeeded"
    assert "Succeeded: 3 objects moved" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Succeeded: 3 objects moved" in again.stdout
    assert "outcomes" not in again.stdout


def test_a_reader_that_goes_away_ends_no_work(lab: Any, tmp_path: Path) -> None:
    """As in `bucketops run … 2>&1 | head -1`."""
    lab.world.seed(legacy=range(1, 11))
    reading, writing = os.pipe()
    command = beside(lab, tmp_path, lab.spec())
    with subprocess.Popen(command, stdout=writing, stderr=writing) as process:
        os.close(writing)
        os.close(reading)
        wait_for("the rows", lambda: lab.world.paths() == [MODERN + name(n) for n in range(1, 11)])
        assert process.wait(120) == 0
