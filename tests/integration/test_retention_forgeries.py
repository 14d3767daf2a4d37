"""S3Retention against people who may write to the bucket and may not delete: they decide no deletion."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.privileges import access
from bucketops_api.v1alpha1.access import AccessSpec
from support.avatars import s3_client
from support.identities import Identity, store_user
from support.retention import Deployments, Retainer, retain_place
from support.servers import ADMIN, PASSWORD

pytestmark = pytest.mark.slow


def writer(deployments: Deployments) -> Any:
    """A user that may put objects anywhere in the bucket, and nothing else."""
    statement = {
        "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"arn:aws:s3:::{deployments.bucket}/*"],
    }  # fmt: skip
    document: dict[str, object] = {"Version": "2012-10-17", "Statement": [statement]}
    user = store_user(deployments.endpoint, Identity(ADMIN, PASSWORD), document)
    return s3_client(deployments.endpoint, user.name, user.password)


def records_of(deployments: Deployments) -> str:
    """Where the records of the retention lie: everybody who reads the documentation can tell."""
    (folder,) = {key.partition("plans/")[0] for key in deployments.records("plans/")}
    return folder


def forge(deployments: Deployments, s3: Any, path: str, **content: Any) -> None:
    key = f"{records_of(deployments)}deleting/current/{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"
    record = {
        "path": path, "objects": 10**9, "bytes": 10**9, "oldest": "2000-01-01T00:00:00+00:00",
        "newest": "9999-01-01T00:00:00+00:00", "marker": None,
    }  # fmt: skip
    s3.put_object(Bucket=deployments.bucket, Key=key, Body=json.dumps(record | content).encode())


@pytest.mark.parametrize("seal", [{}, {"seal": "0" * 64}])
def test_forged_records_of_begun_folders_change_nothing(
    deployments: Deployments, retain: Retainer, seal: dict[str, str]
) -> None:
    """Young deployments, all within keep.last, and guards that let nothing through."""
    for number in range(6):
        deployments.deploy(f"d{number}", days=1 + number)
    rules = {"keep": {"last": 5}, "guards": {"maxDeletePercent": 0, "maxDeleteFolders": 0, "minAge": "1m"}}
    honest = retain(**rules)
    before = deployments.keys()
    for number in range(6):
        forge(deployments, writer(deployments), f"d{number}", **seal)
    result = retain(**rules)
    assert deployments.keys() == before
    assert result.facts["planHash"] == honest.facts["planHash"]
    assert "6 records of folders that a run is said to have begun were not written by this identity" in result.message
    assert deployments.records("deleting/") == []


def test_a_plan_that_somebody_rewrote_is_not_the_approved_one(deployments: Deployments, retain: Retainer) -> None:
    for number in range(10):
        deployments.deploy(f"d{number}", days=40 + number)
    guards = {"maxDeletePercent": 0}
    _, refused = retain.attempt(keep={"last": 9}, guards=guards)
    (key,) = deployments.records("plans/")
    lines = [json.dumps(line | {"verdict": "planned"}) for line in deployments.report(key).values()]
    body = gzip.compress("\n".join(lines).encode())
    writer(deployments).put_object(Bucket=deployments.bucket, Key=key, Body=body)
    before = deployments.keys()
    code, result = retain.attempt(keep={"last": 1}, guards=guards, approvePlan=refused.facts["planHash"])
    assert (code, result.reason) == (names.EXIT_USER, "GuardExceeded")
    assert "is not among the last 100 plans as they were written" in result.message
    assert deployments.keys() == before


def test_an_approval_holds_for_a_folder_that_a_crash_left_in_halves(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        deployments.deploy(f"d{number}", days=40 + number)
    rules = {"keep": {"last": 1}, "guards": {"maxDeletePercent": 0}, "worker": {"concurrency": 1}}
    _, refused = retain.attempt(**rules)
    left = iter(range(1))
    dying = retain_place(monkeypatch, lambda: next(left, None) is None)
    assert retain.attempt(**rules, approvePlan=refused.facts["planHash"])[0] == names.EXIT_RETRY
    dying.undo()
    assert len(deployments.keys("d1/")) == 2
    assert retain.attempt(**rules)[1].reason == "GuardExceeded"
    retain(**rules, approvePlan=refused.facts["planHash"])
    assert deployments.folders() == {"d0"}


def test_a_folder_that_lost_its_marker_in_a_crash_is_finished(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its record nobody could tell its age any more."""
    for number in range(3):
        deployments.deploy(f"d{number}", days=40 + number)
    rules = {"folders": {"age": "marker", "markerKey": "index.html"}, "keep": {"last": 1}, "worker": {"concurrency": 1}}
    left = iter(range(1))
    dying = retain_place(monkeypatch, lambda: next(left, None) is None)
    assert retain.attempt(**rules)[0] == names.EXIT_RETRY
    dying.undo()
    assert "d1/index.html" not in deployments.keys("d1/")
    retain(**rules)
    assert deployments.folders() == {"d0"}


def test_a_grant_of_s3access_reaches_no_record(deployments: Deployments, retain: Retainer) -> None:
    deployments.deploy("d0", days=1)
    retain()
    spec = AccessSpec.model_validate(
        {
            "provider": "MinIO",
            "user": "ci-writer",
            "admin": {"endpoint": deployments.endpoint, "credentials": {"secretRef": {"name": "admin"}}},
            "grants": [{"bucket": deployments.bucket, "access": "ReadWrite"}],
            "credentialsSecret": {"name": "ci-s3"},
        }
    )
    user = store_user(deployments.endpoint, Identity(ADMIN, PASSWORD), access.document(spec))
    s3 = s3_client(deployments.endpoint, user.name, user.password)
    s3.put_object(Bucket=deployments.bucket, Key="d0/more.css", Body=b"x")
    folder = records_of(deployments)
    for call in (
        lambda: s3.put_object(Bucket=deployments.bucket, Key=f"{folder}deleting/current/0.json", Body=b"{}"),
        lambda: s3.delete_object(Bucket=deployments.bucket, Key=deployments.records("plans/")[0]),
        lambda: s3.get_object(Bucket=deployments.bucket, Key=deployments.records("plans/")[0]),
    ):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            call()
