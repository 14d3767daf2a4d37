"""How a worker's work ends: each error as an exit code and words, a mistake of the user's never as a crash."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bucketops_api import names
from bucketops_api.contract import RunResult, RunSpec, read_result, run_digest
from bucketops_jobs import worker
from bucketops_jobs.errors import DatabaseError, DatabaseUnreachableError, ItemError, TransientError, UnreachableError

Ending = tuple[int, str, str]
MANY = {f"prefix/{number:04}/bytes": 10**12 for number in range(200)}


class Shape(BaseModel):
    """Of a spec that some other version may read."""

    size: int


def invalid() -> None:
    Shape.model_validate({"size": "hunter2"})


def raising(error: Exception) -> Any:
    def job(*_: object) -> RunResult:
        if isinstance(error, LookupError):
            invalid()
        raise error

    return job


@pytest.fixture
def root(tmp_path: Path) -> Path:
    run = RunSpec(
        kind="S3Retention",
        phase="retain",
        namespace="a",
        name="b",
        run="b-1-retain",
        spec={"worker": {"concurrency": 1}},
    )
    (tmp_path / names.RUN_FILE).parent.mkdir()
    (tmp_path / names.RUN_FILE).write_text(run.model_dump_json(by_alias=True))
    return tmp_path


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (DatabaseError('column "path" does not exist'), (64, "DatabaseRefused", 'column "path" does not exist')),
        (DatabaseError("deadlock", transient=True), (1, "RunFailed", "deadlock")),
        (DatabaseUnreachableError("nobody answers"), (1, "RunFailed", "nobody answers")),
        (TransientError("get 'x': 503"), (1, "RunFailed", "get 'x': 503")),
        (UnreachableError("nobody answers at http://s3"), (1, "RunFailed", "nobody answers at http://s3")),
        (ItemError("put 'x': 400 InvalidRequest"), (1, "RunFailed", "put 'x': 400 InvalidRequest")),
        (LookupError("invalid spec"), (64, "InvalidSpec", "spec.size: Input should be a valid integer")),
        (ZeroDivisionError("a bug"), (1, "RunFailed", "ZeroDivisionError: a bug")),
    ],
)
def test_each_error_ends_in_words_and_only_a_bug_looks_like_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, ending: Ending
) -> None:
    code, reason, message = ending
    monkeypatch.setattr(worker, "_job", lambda _: raising(error))
    with caplog.at_level(logging.INFO):
        ended, result = worker.work(root, 0, threading.Event())
    assert (ended, result.reason) == (code, reason)
    assert result.message.startswith(message)
    assert "hunter2" not in caplog.text + result.message
    assert any(record.exc_info for record in caplog.records) is isinstance(error, ZeroDivisionError)


def test_a_result_names_the_run_file_that_was_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_job", lambda _: lambda *given: given[-1].result())
    _, result = worker.work(root, 0, threading.Event())
    digest = run_digest((root / names.RUN_FILE).read_text())
    assert result.run_sha256 == digest
    assert read_result(result.encode(), digest) == result


def test_work_whose_result_does_not_fit_has_failed_for_good() -> None:
    code, result = worker.told(names.EXIT_DONE, RunResult(counts=MANY))
    assert (code, result.reason) == (names.EXIT_SHARD, "ResultTooLarge")
    assert json.loads(result.encode())["reason"] == "ResultTooLarge"


@pytest.mark.parametrize("code", [names.EXIT_USER, names.EXIT_RETRY, names.EXIT_SHARD])
def test_a_failure_whose_counts_do_not_fit_keeps_its_words(code: int) -> None:
    said = RunResult(reason="GuardExceeded", message="9 of 10 folders", counts=MANY)
    ended, result = worker.told(code, said)
    assert (ended, result.reason, result.message) == (code, "GuardExceeded", "9 of 10 folders")


def test_what_fits_is_told_as_it_is() -> None:
    result = RunResult(counts={"done": 1}, message="well")
    assert worker.told(0, result) == (0, result)
