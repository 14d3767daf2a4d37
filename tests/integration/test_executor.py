"""The executor of this machine keeps the protocol."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketops_api.contract import Limits, RunSpec
from bucketops_operator.executor import Resource
from bucketops_operator.local import Local
from bucketops_operator.objects import ATTEMPTS, run_objects
from bucketops_operator.settings import Settings
from support import scripted
from support.conformance import *  # noqa: F403 - the tests that every executor passes
from support.conformance import Place


def new_owner(name: str) -> Resource:
    return Resource("S3Migration", "default", name, str(uuid.uuid4()), 1, {})


@pytest.fixture
def owner() -> Resource:
    return new_owner("avatars")


@pytest.fixture
def place(tmp_path: Path, owner: Resource) -> Iterator[Place]:
    local = Local(tmp_path, {}, backoff_seconds=0.05, run_worker=scripted.work)
    yield Place(local, owner, new_owner, lambda *key: scripted.attempts[key], Settings(), 0.1, ATTEMPTS, 120)
    local.close()


def start(local: Local, owner: Resource) -> None:
    """A worker, as a process, of a kind that it does not know."""
    run = RunSpec(
        kind="S3Nothing", phase="copy", namespace="default", name="x", run="x-1-copy", shards=1, spec={"worker": {}}
    )
    local.apply(owner, run_objects(owner, run, parallelism=1, suspend=False, limits=Limits(), settings=Settings()))


def test_the_real_worker_refuses_a_kind_it_does_not_know(tmp_path: Path, owner: Resource) -> None:
    """As a process: its exit code is 64, its result says why."""
    local = Local(tmp_path, {})
    start(local, owner)
    local.wait(120)
    (seen,) = local.observe(owner)
    assert seen.state == "Failed"
    assert seen.failure is not None
    assert seen.failure.reason == "ContractMismatch"
    assert "S3Nothing" in seen.failure.message


def test_waiting_ends_with_the_first_worker_or_with_the_time_given(tmp_path: Path, owner: Resource) -> None:
    """And does not end at once for a worker that was collected already."""
    local = Local(tmp_path, {})
    start(local, owner)
    local.wait(0)
    (pid,) = local.processes("x-1-copy")
    assert local.observe(owner)[0].pods == 1
    local.wait(3600)
    assert not Path(f"/proc/{pid}/exe").exists()
    assert local.observe(owner)[0].pods == 0
    begin = time.monotonic()
    local.wait(0.3)
    assert time.monotonic() - begin >= 0.3


def test_a_worker_that_ends_well_and_leaves_no_result_is_unknown(
    tmp_path: Path, owner: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of another program that exits with 0."""
    program = tmp_path / "worker"
    program.write_text("#!/bin/sh\nprintf '{\"counts\": ' > $BUCKETOPS_RESULT\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    local = Local(tmp_path, {})
    start(local, owner)
    local.wait(120)
    (seen,) = local.observe(owner)
    local.close()
    assert (seen.state, seen.lost) == ("Succeeded", 1)
    assert seen.unknown == "shard 0: the result that it left is cut short"
