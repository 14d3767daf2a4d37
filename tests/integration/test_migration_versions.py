"""Versions, locks and archives: what a deletion leaves, what the store refuses, what cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.driver import condition, phases, reason
from support.identities import forbid
from support.places import ROOT, Place, migrating, spec, users, warned
from support.proxy import Answer, Proxy, Request


def versioned(place: Place) -> Place:
    place.make()
    place.s3.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    return place


def locked(place: Place, *, retained: bool) -> Place:
    """A bucket with Object Lock; `retained`: whatever is written stays for a day."""
    place.make(ObjectLockEnabledForBucket=True)
    if retained:
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
        lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
        place.s3.put_object_lock_configuration(Bucket=place.bucket, ObjectLockConfiguration=lock)
    return place


def versions(place: Place, prefix: str) -> tuple[list[str], list[str]]:
    """Keys of the versions, and of the delete markers on top."""
    found = place.s3.list_object_versions(Bucket=place.bucket, Prefix=prefix)
    markers = [row["Key"] for row in found.get("DeleteMarkers", ()) if row["IsLatest"]]
    return [row["Key"] for row in found.get("Versions", ())], markers


def test_on_versioned_buckets_a_deletion_leaves_a_marker_and_the_versions(minio: str, tmp_path: Path) -> None:
    source, destination = versioned(Place("minio", minio)), versioned(Place("minio", minio))
    for body in (b"older", b"newer"):
        source.put("image/a", body)
    with migrating(tmp_path, source, destination) as driver:
        status = driver.finish()
        assert "is versioned: a deletion leaves a delete marker, and the versions beneath stay" in warned(driver)
    assert condition(status, "Complete"), status
    assert status["capabilities"]["versioning"] == "Enabled"
    assert status["progress"]["objectsDeleted"] == 1
    assert destination.body("avatar/a") == b"newer"
    assert versions(source, "image/") == (["image/a", "image/a"], ["image/a"])
    assert versions(destination, "avatar/") == (["avatar/a"], [])


def test_a_lock_on_both_buckets_harms_nothing(minio: str, tmp_path: Path) -> None:
    """A deletion without a version leaves a marker, which a lock permits; scratch keys become markers too."""
    source, destination = locked(Place("minio", minio), retained=True), locked(Place("minio", minio), retained=True)
    source.put("image/a")
    with migrating(tmp_path, source, destination) as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert versions(source, "image/") == (["image/a"], ["image/a"])
    assert destination.body("avatar/a") == b"image/a"
    kept = destination.s3.get_object_retention(Bucket=destination.bucket, Key="avatar/a")["Retention"]
    assert kept["RetainUntilDate"] > datetime.now(UTC) + timedelta(hours=20)


def test_a_deletion_that_is_refused_fails_its_object_with_the_stores_words(minio: str, tmp_path: Path) -> None:
    source, destination = Place("minio", minio).make(), Place("minio", minio).make()
    for key in "abc":
        source.put(f"image/{key}")
    given = users(source, destination, spec(source, destination))
    forbid(minio, ROOT, given["one"], "s3:DeleteObject", f"{source.bucket}/image/b")
    with migrating(tmp_path, source, destination, given=given) as driver:
        status = driver.finish()
        assert reason(status, "Failed") == "PartiallyFailed", status
        assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (2, 1)
        (sample,) = status["samples"]
        assert (sample["key"], sample["outcome"]) == ("b", "failed")
        assert "moved, but the original stays" in sample["message"]
        assert "AccessDenied" in sample["message"]
        assert source.keys("image/") == {"b"}
        assert destination.keys("avatar/") == {"a", "b", "c"}
        source.s3.delete_object(Bucket=source.bucket, Key="image/b")
        driver.change(spec(source, destination, trigger="deleted by hand"))
        driver.step()
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 3


def write_once(request: Request) -> Answer | None:
    """A server that keeps every object for good, and says so of each key of a list."""
    if request.method == "POST" and "delete" in request.path:
        error = (
            "<Error><Key>image/b</Key><Code>InvalidRequest</Code><Message>Object is WORM protected</Message></Error>"
        )
        return Answer(200, f"<DeleteResult>{error}</DeleteResult>".encode())
    return None


def test_an_object_under_retention_is_named_and_others_are_not_held_up(minio: str, tmp_path: Path) -> None:
    """Of a server that has locks without versions."""
    with Proxy(
        minio, lambda request: write_once(request) if request.bucket.startswith("place") and tripped else None
    ) as proxy:
        source, destination = Place("minio", minio, through=proxy.url).make(), Place("minio", minio).make()
        tripped: list[int] = []
        for key in "ab":
            source.put(f"image/{key}")
        with migrating(tmp_path, source, destination) as driver:
            driver.before("delete", lambda: tripped.append(1))
            status = driver.finish()
    assert reason(status, "Failed") == "PartiallyFailed" or condition(status, "Failed"), status
    assert any("WORM protected" in sample["message"] for sample in status["samples"]), status["samples"]


def test_archived_objects_are_named_before_and_fail_alone(moto: str, tmp_path: Path) -> None:
    """moto refuses copies of archived objects as AWS does."""
    source, destination = Place("moto", moto).make(), Place("moto", moto).make()
    source.put("image/a plain one")
    source.put("image/cold", StorageClass="GLACIER")
    source.put("image/frozen", StorageClass="DEEP_ARCHIVE")
    source.put("image/seldom", StorageClass="STANDARD_IA")
    with migrating(tmp_path, source, destination, guard="Check") as driver:
        status = driver.finish()
        assert "2 objects are archived (DEEP_ARCHIVE, GLACIER) and cannot be copied before" in warned(driver)
    assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (2, 2), status
    messages: dict[str, Any] = {sample["key"]: sample["message"] for sample in status["samples"]}
    assert set(messages) == {"cold", "frozen"}
    assert all("it is archived: restore it, then set a new trigger" in text for text in messages.values())
    assert source.keys("image/") == {"cold", "frozen"}
    assert destination.head("avatar/seldom")["StorageClass"] == "STANDARD_IA"
    assert phases(status)[-1] == "audit"
