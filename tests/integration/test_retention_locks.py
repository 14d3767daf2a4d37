"""S3Retention of every version: whatever stays, by a lock or a crash, nothing comes back to readers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

import pytest

from bucketops_jobs.retention.places import Entry, Remaining, Versions
from support.avatars import s3_client
from support.retention import Deployments, Retainer, versions
from support.servers import ADMIN, PASSWORD


def held(minio: str, retain: Retainer) -> Deployments:
    """A bucket with locks, in which an old version of one object of an old deployment is under legal hold."""
    found = Deployments(minio, f"held-{secrets.token_hex(4)}", s3_client(minio, ADMIN, PASSWORD))
    found.make(ObjectLockEnabledForBucket=True)
    retain.deployments = found
    found.deploy("now", days=1)
    found.deploy("old", days=50)
    hold = {"Status": "ON"}
    found.s3.put_object_legal_hold(Bucket=found.bucket, Key="old/assets/00000.css", LegalHold=hold)
    return found


def test_what_was_deleted_long_ago_does_not_come_back_with_a_version_that_is_locked(
    minio: str, retain: Retainer
) -> None:
    """The delete marker went and the version stayed: the deployment was served again."""
    bucket = held(minio, retain)
    retain(keep={"last": 1})
    assert bucket.folders() == {"now"}
    time.sleep(1)  # the store's Date header, which ages are judged by, knows whole seconds
    again = {"versions": "All", "delete": {}, "guards": {"maxDeletePercent": 100, "minAge": "0s"}}
    for _ in range(2):
        assert retain(keep={"last": 1}, **again).counts["objectsFailed"] == 1
        assert bucket.folders() == {"now"}
        assert versions(bucket).count("old/assets/00000.css") == 2  # the version, and the marker that hides it
        assert "old/index.html" not in versions(bucket)


def test_what_was_replaced_does_not_come_back_with_a_version_that_is_locked(minio: str, retain: Retainer) -> None:
    bucket = held(minio, retain)
    bucket.put("old/assets/00000.css", days=49, body=b"newer")
    retain(keep={"last": 1}, versions="All")
    body = bucket.s3.get_object(Bucket=bucket.bucket, Key="old/assets/00000.css")["Body"].read()
    assert body == b"newer"
    assert bucket.keys("old/") == {"old/assets/00000.css"}


def test_a_crash_among_versions_brings_nothing_back(
    versioned: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has gone by then, a reader gets of each object the latest, or nothing."""
    for number in range(3):
        for body in (b"one", b"two"):
            versioned.put(f"old/{number}.css", days=50 - len(body), body=body)
    versioned.deploy("now", days=1)
    versioned.s3.delete_object(Bucket=versioned.bucket, Key="old/2.css")
    time.sleep(1)
    again = {"versions": "All", "keep": {"last": 1}, "delete": {}, "guards": {"maxDeletePercent": 100, "minAge": "0s"}}
    requests: list[list[str]] = []
    delete = Versions.delete

    def watched(self: Versions, entries: Sequence[Entry]) -> Remaining:
        remaining = delete(self, entries)
        bodies = {
            key: versioned.s3.get_object(Bucket=versioned.bucket, Key=key)["Body"].read()
            for key in versioned.keys("old/")
        }
        assert set(bodies.values()) <= {b"two"}
        assert "old/2.css" not in bodies
        requests.append([entry.key for entry in entries])
        return remaining

    monkeypatch.setattr(Versions, "delete", watched)
    retain(**again)
    assert len(requests) == 2
    assert versioned.folders() == {"now"}
