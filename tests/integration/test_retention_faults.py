"""S3Retention where things go wrong: crashes, uploads on the way, pages that fail, keys that are refused, locks."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.v1alpha1.retention import RetentionSpec
from support.avatars import s3_client
from support.identities import Identity, retention_user
from support.proxy import Answer, Proxy, Request
from support.retention import Deployments, Retainer, retain_place, versions
from support.servers import ADMIN, PASSWORD

pytestmark = pytest.mark.slow


def five(deployments: Deployments, assets: int = 2) -> None:
    """Two that stay and three that go."""
    for number in range(5):
        deployments.deploy(f"d{number}", days=40 + number, assets=assets)


def deletes(request: Request) -> bool:
    return request.method == "POST" and "delete" in request.path


@pytest.mark.parametrize("deletions", [1, 2, 3, 4, 5])
def test_a_crash_after_any_deletion_is_finished_and_counts_nothing_twice(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch, deletions: int
) -> None:
    """The worker dies right after so many DeleteObjects; the folder that it left in halves does not count as kept."""
    five(deployments)
    left = iter(range(deletions))
    place = retain_place(monkeypatch, lambda: next(left, None) is None)
    assert retain.attempt(worker={"concurrency": 1})[0] == names.EXIT_RETRY
    place.undo()
    assert deployments.folders() != {"d0", "d1"}
    retain()
    assert deployments.folders() == {"d0", "d1"}
    assert deployments.records("deleting") == []


def test_a_half_deleted_folder_is_not_kept_in_place_of_a_whole_one(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """d2 has lost its index.html; then d0 is taken away by hand, so that d2 would be one of the last two."""
    five(deployments)
    left = iter(range(1))
    patched = retain_place(monkeypatch, lambda: next(left, None) is None)
    retain.attempt(worker={"concurrency": 1})
    patched.undo()
    assert len(deployments.keys("d2/")) == 2
    for key in deployments.keys("d0/"):
        deployments.s3.delete_object(Bucket=deployments.bucket, Key=key)
    retain()
    assert deployments.folders() == {"d1", "d3"}


def test_sigkill_half_way_and_a_rerun(deployments: Deployments, retain: Retainer, tmp_path: Path) -> None:
    """SIGKILL from outside, in the middle of a folder; the rerun leaves what one run would have left."""
    five(deployments, assets=20)
    gone = 0

    def count(request: Request, status: int) -> None:
        nonlocal gone
        gone += deletes(request) and status == 200

    with Proxy(deployments.endpoint, after=count, rule=slowly) as proxy:
        spec = RetentionSpec.model_validate(deployments.spec(place={"endpoint": proxy.url}, worker={"concurrency": 2}))
        root = retain.mount(tmp_path / "killed", spec)
        environment = os.environ | {names.ENV_ROOT: str(root), names.ENV_METRICS_PORT: "0"}
        environment[names.ENV_RESULT] = str(tmp_path / "result")
        worker = subprocess.Popen([sys.executable, "-m", "bucketops_jobs"], env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while gone < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    between = deployments.folders()
    assert between > {"d0", "d1"}
    assert deployments.records("deleting") != []
    retain()
    assert deployments.folders() == {"d0", "d1"}
    assert deployments.records("deleting") == []


def slowly(request: Request) -> None:
    if deletes(request):
        time.sleep(0.3)


def test_a_half_deleted_folder_that_received_objects_is_judged_afresh(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody deployed into it again: it is the newest folder now."""
    five(deployments, assets=3)
    left = iter(range(1))
    patched = retain_place(monkeypatch, lambda: next(left, None) is None)
    assert retain.attempt(worker={"concurrency": 1})[0] == names.EXIT_RETRY
    patched.undo()
    left_over = deployments.keys()
    half = next(name for name in deployments.folders() if f"{name}/index.html" not in left_over)
    deployments.put(f"{half}/index.html")
    retain()
    assert deployments.folders() == {"d0", half}


def test_a_folder_that_receives_an_object_after_the_plan_is_skipped(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    five(deployments)
    after_the_plan(monkeypatch, lambda: deployments.put("d3/late.css"))
    result = retain()
    assert deployments.folders() == {"d0", "d1", "d3"}
    assert len(deployments.keys("d3/")) == 4
    assert result.counts["foldersSkipped"] == 1
    assert [(s.key, s.outcome) for s in result.samples] == [("d3", "skipped")]
    line = deployments.report(result.facts["report"])["d3"]
    assert (line["verdict"], line["message"]) == ("skipped", "it received an object after the plan")


def after_the_plan(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    from bucketops_jobs.retention import retain as phase  # noqa: PLC0415 - patched here alone

    guards = phase._require_guards  # noqa: SLF001 - the moment between plan and deletion

    def then(*arguments: Any) -> None:
        guards(*arguments)
        act()

    monkeypatch.setattr(phase, "_require_guards", then)


def test_a_deployment_under_way_is_not_touched(deployments: Deployments, retain: Retainer) -> None:
    """Its first objects are minutes old, and it looks small and unfinished."""
    five(deployments)
    deployments.put("uploading/assets/1.js", days=0.01)
    retain(keep={"last": 1}, delete={})
    assert deployments.folders() == {"uploading"}


@pytest.mark.parametrize("status", [503, 500])
def test_a_page_that_fails_deletes_nothing(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Of one folder alone, and for good: the others are not judged without it."""
    monkeypatch.setattr("bucketops_jobs.retries.ATTEMPTS", 2)
    five(deployments)
    before = deployments.keys()

    def fail(request: Request) -> Answer | None:
        return Answer(status, b"<Error><Code>InternalError</Code></Error>") if "prefix=d0%2F" in request.path else None

    with Proxy(deployments.endpoint, rule=fail) as proxy:
        code, _ = retain.attempt(place={"endpoint": proxy.url})
    assert code == names.EXIT_RETRY
    assert deployments.keys() == before


def test_keys_that_the_store_fails_on_are_tried_again_one_by_one(deployments: Deployments, retain: Retainer) -> None:
    """The first answer of each batch names one key as failed; it alone is sent again."""
    five(deployments)
    failed: set[str] = set()
    error = (
        '<?xml version="1.0"?><DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Error>'
        "<Key>d4/index.html</Key><Code>SlowDown</Code><Message>slower</Message></Error></DeleteResult>"
    )

    def fail(request: Request) -> Answer | None:
        if deletes(request) and not failed:
            failed.add(request.path)
            return Answer(200, error.encode())
        return None

    with Proxy(deployments.endpoint, rule=fail) as proxy:
        result = retain(place={"endpoint": proxy.url}, keep={"last": 4}, worker={"concurrency": 1})
    assert failed
    assert "objectsFailed" not in result.counts
    assert deployments.folders() == {"d0", "d1", "d2", "d3"}


def test_a_refused_key_is_counted_and_the_rest_goes(deployments: Deployments, retain: Retainer) -> None:
    five(deployments)

    @cache
    def user() -> Identity:
        spec = RetentionSpec.model_validate(deployments.spec())
        made = retention_user(deployments.endpoint, Identity(ADMIN, PASSWORD), spec)
        from support.identities import forbid  # noqa: PLC0415 - of this test alone

        held = f"{deployments.bucket}/d3/assets/00000.css"
        forbid(deployments.endpoint, Identity(ADMIN, PASSWORD), made, "s3:DeleteObject", held)
        return made

    retain.user = lambda _: user()
    result = retain()
    assert deployments.keys() == {*deployments.keys("d0/"), *deployments.keys("d1/"), "d3/assets/00000.css"}
    assert (result.counts["foldersFailed"], result.counts["objectsFailed"]) == (1, 1)
    assert result.counts["foldersDeleted"] == 2
    assert result.samples[0].key == "d3/assets/00000.css"
    again = retain()
    assert again.counts["foldersFailed"] == 1
    assert deployments.report(again.facts["report"])["d3"]["rule"] == "begun by an earlier run: finished"


def test_entry_points_go_first(deployments: Deployments, retain: Retainer) -> None:
    """While the rest is being deleted nobody is served half of the application."""
    deployments.deploy("old", days=50, assets=20)
    deployments.deploy("now", days=1)
    seen: list[set[str]] = []

    def look(request: Request, status: int) -> None:
        if deletes(request) and status == 200:
            seen.append(deployments.keys("old/"))

    with Proxy(deployments.endpoint, after=look) as proxy:
        retain(place={"endpoint": proxy.url}, keep={"last": 1})
    assert seen[0] == {f"old/assets/{number:05}.css" for number in range(20)}
    assert seen[-1] == set()


def test_a_versioned_bucket_keeps_old_versions_and_says_that_no_space_is_freed(
    versioned: Deployments, retain: Retainer
) -> None:
    five(versioned)
    result = retain()
    assert versioned.folders() == {"d0", "d1"}
    assert "bytesFreed" not in result.counts
    assert "versioning is Enabled: deleted objects stay as old versions and no space is freed" in result.message
    assert versions(versioned).count("d4/index.html") == 2


def test_versions_all_removes_every_version_and_what_was_deleted_before(
    versioned: Deployments, retain: Retainer
) -> None:
    five(versioned)
    versioned.put("d4/index.html", days=44, body=b"three")
    retain(keep={"last": 4})  # d4 becomes delete markers, dated now
    time.sleep(1)  # the store's Date header, which ages are judged by, knows whole seconds
    result = retain(versions="All", guards={"maxDeletePercent": 100, "minAge": "0s"}, delete={})
    assert versioned.folders() == {"d0", "d1"}
    assert {key.split("/")[0] for key in versions(versioned)} == {"d0", "d1"}
    assert result.counts["bytesFreed"] == 3 + 3 + 3 + 5


def test_versions_under_object_lock_are_counted_in_clear_words(minio: str, retain: Retainer) -> None:
    locked = Deployments(minio, f"locked-{secrets.token_hex(4)}", s3_client(minio, ADMIN, PASSWORD))
    locked.make(ObjectLockEnabledForBucket=True)
    retain.deployments = locked
    locked.deploy("now", days=1)
    locked.deploy("old", days=50)
    until = datetime.now(UTC) + timedelta(days=1)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    locked.s3.put_object_retention(Bucket=locked.bucket, Key="old/index.html", Retention=retention)
    result = retain(versions="All", keep={"last": 1})
    assert locked.keys("old/") == {"old/index.html"}
    assert result.counts["objectsFailed"] == 1
    assert "Object Lock is on" in result.message
    assert result.facts["objectLock"] == "Enabled"
    assert re.search("AccessDenied|WORM", result.samples[0].message)


@pytest.fixture
def files(versitygw: str, tmp_path_factory: pytest.TempPathFactory) -> Deployments:
    """A bucket on versitygw, whose objects are files."""
    data = next(tmp_path_factory.getbasetemp().glob("versitygw*/data"))
    s3 = s3_client(versitygw, ADMIN, PASSWORD)
    return Deployments(versitygw, f"deployments-{secrets.token_hex(4)}", s3, data).make()


@pytest.mark.parametrize("age", ["newest", "oldest"])
def test_dates_of_another_server(files: Deployments, retain: Retainer, age: str) -> None:
    """versitygw lists the times of its files; its root user is the only one that it has."""
    retain.deployments, retain.user = files, lambda _: Identity(ADMIN, PASSWORD)
    five(files)
    files.deploy("deploy1", days=50)
    files.deploy("deploy10", days=2)
    files.put("deploy1/late.css", days=5)
    files.put("index.html", days=500)
    result = retain(folders={"age": age}, keep={"last": 1})
    left = {"deploy10", "deploy1"} if age == "newest" else {"deploy10"}
    assert files.folders() == left
    assert "index.html" in files.keys("index")
    assert result.counts["foldersSeen"] == 7


def test_objects_that_are_listed_without_a_version_are_not_deleted_by_one(
    deployments: Deployments, retain: Retainer
) -> None:
    """Without its id a deletion would take whatever stands there by then; the run says what to choose instead."""
    five(deployments)

    def body(request: Request, data: bytes) -> bytes:
        return re.sub(rb"<VersionId>.*?</VersionId>", b"", data) if "versions" in request.path else data

    with Proxy(deployments.endpoint, body=body) as proxy:
        code, result = retain.attempt(place={"endpoint": proxy.url}, versions="All")
    assert code == names.EXIT_USER, result
    assert "choose versions: Current" in result.message
    assert len(deployments.folders()) == 5


def test_a_file_that_is_deleted_from_an_old_deployment_costs_no_newer_one(
    versioned: Deployments, retain: Retainer
) -> None:
    """The delete marker is the newest of all entries; a deployment it is not."""
    versioned.deploy("live", days=40)
    versioned.deploy("old", days=90)
    versioned.s3.delete_object(Bucket=versioned.bucket, Key="old/assets/00000.css")
    result = retain(versions="All", keep={"last": 1}, delete={})
    assert "live" in versioned.folders()
    assert versioned.report(result.facts["report"])["live"]["rule"] == "last 1 of 1"
