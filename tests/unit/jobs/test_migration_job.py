"""What ends a worker of S3Migration, by whose it is to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucketops_api.contract import RunSpec
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import DatabaseError, DatabaseUnreachableError, UserError
from bucketops_jobs.migration import job
from bucketops_jobs.tally import Tally


def work(monkeypatch: pytest.MonkeyPatch, phase: str, error: Exception) -> None:
    def build(*_: object) -> None:
        raise error

    monkeypatch.setattr(job.context, "build", build)
    run = RunSpec(kind="S3Migration", phase=phase, namespace="n", name="avatars", run="avatars-1-x", spec={})
    job.work(run, 0, Path(), Engine.__new__(Engine), Tally())


@pytest.mark.parametrize("phase", ["preflight", "copy", "delete", "audit"])
def test_what_the_database_refuses_for_good_is_the_users_to_change(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    with pytest.raises(UserError, match="operator does not exist") as caught:
        work(monkeypatch, phase, DatabaseError("read public.avatars.path: operator does not exist: json = text"))
    assert caught.value.reason == "DatabaseRefused"


def test_what_may_succeed_later_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatabaseError, match="deadlock"):
        work(monkeypatch, "copy", DatabaseError("deadlock", transient=True))
    with pytest.raises(DatabaseUnreachableError):
        work(monkeypatch, "copy", DatabaseUnreachableError("nobody answers"))
    with pytest.raises(UserError, match="nobody answers"):
        work(monkeypatch, "preflight", DatabaseUnreachableError("nobody answers"))
