"""A worker does what its pod was made for: a run file that was replaced since then is refused."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bucketops_api import names
from bucketops_api.contract import Limits, RunSpec
from bucketops_api.reasons import Reason
from bucketops_jobs.worker import work
from bucketops_operator.executor import Resource
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings

OWNER = Resource("Unknown", "default", "a", "uid-1", 1, {})
RUN = RunSpec(kind="Unknown", phase="copy", namespace="default", name="a", run="a-1-copy", spec={"note": "ä €"})
"""Of no kind that a worker knows, which is what it says as soon as it has read the file."""


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run file and the environment as the operator gives them to a pod."""
    run_map, _, job = run_objects(OWNER, RUN, parallelism=1, suspend=False, limits=Limits(), settings=Settings())
    for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]:
        monkeypatch.setenv(entry["name"], entry["value"])
    file = tmp_path / names.RUN_FILE
    file.parent.mkdir()
    file.write_text(run_map["data"]["run.json"])
    return file


def refusal(mounted: Path) -> str:
    code, result = work(mounted.parents[1], 0, threading.Event())
    assert (code, result.reason) == (names.EXIT_USER, Reason.CONTRACT_MISMATCH)
    return result.message


def test_the_run_file_that_a_pod_was_made_for_is_taken(mounted: Path) -> None:
    assert refusal(mounted) == "this version knows no kind Unknown"


def test_a_run_file_that_was_replaced_is_refused_and_nothing_is_done(mounted: Path) -> None:
    mounted.write_text(mounted.read_text().replace("copy", "deleteEverything"))
    assert "somebody has replaced its ConfigMap" in refusal(mounted)


def test_a_worker_that_was_told_no_digest_takes_its_file_as_it_is(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a laptop the file lies in a folder that only the user can write."""
    monkeypatch.delenv(names.ENV_RUN_DIGEST)
    mounted.write_text(mounted.read_text() + "\n")
    assert refusal(mounted) == "this version knows no kind Unknown"
