"""Records: known by name and digest."""

from __future__ import annotations

import pytest

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import UserError
from bucketops_jobs.records import Records, folder
from bucketops_jobs.s3.fake import FakeServer


@pytest.fixture
def records() -> Records:
    return Records(FakeServer().store("records"), ".bucketops/x/")


def test_an_artifact_is_read_as_it_was_written(records: Records) -> None:
    artifact = records.write_json("plans/1.json", {"bounds": ["ü", "z"]})
    assert artifact.key == ".bucketops/x/plans/1.json"
    assert records.read_json(artifact) == {"bounds": ["ü", "z"]}


def test_an_artifact_that_somebody_changed_is_refused(records: Records) -> None:
    artifact = records.write_json("plans/1.json", {"bounds": []})
    records.store.put(artifact.key, b'{"bounds": ["a"]}', {})
    with pytest.raises(UserError, match="changed after it was written"):
        records.read_json(artifact)


def test_an_artifact_that_is_gone_is_named(records: Records) -> None:
    artifact = records.write_json("plans/1.json", {})
    records.store.remove([artifact.key])
    with pytest.raises(UserError, match="set a new trigger"):
        records.read_json(artifact)


def test_lines_are_read_as_they_were_written(records: Records) -> None:
    lines = [["ü\n", 1], [None, "\u2028"], []]
    records.write_lines("lines", lines)
    assert list(records.read_lines(".bucketops/x/lines")) == lines


def test_each_resource_and_each_place_has_a_folder_of_its_own() -> None:
    ref = BucketRef(bucket="records", prefix="ops/")
    folders = {
        folder(given, "S3Migration", namespace, name, place)
        for given in (None, ref)
        for namespace in ("a", "b")
        for name in ("x", "y")
        for place in ("here", "there")
    }
    assert len(folders) == 16
    assert all(found.endswith("/") and ".bucketops/s3migration/" in found for found in folders)
    assert folder(ref, "S3Migration", "a", "x", "here").startswith("ops/.bucketops/")


@pytest.mark.parametrize("body", [b"", b"junk", b"[1]", b"7", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}", b"\xff"])
def test_a_note_that_somebody_else_wrote_is_none(records: Records, body: bytes) -> None:
    records.store.put(f"{records.folder}note.json", body, {})
    assert records.note("note.json") == {}
    assert records.note("none.json") == {}
    records.write_json("note.json", {"a": 1})
    assert records.note("note.json") == {"a": 1}
