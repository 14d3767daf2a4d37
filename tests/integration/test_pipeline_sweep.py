"""ExifPipeline's sweep on a real MinIO, as a user with the documented rights: correct without any event."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.v1alpha1.exifpipeline import PipelineSpec
from bucketops_jobs.exif.verify import verify
from bucketops_jobs.worker import work
from support.avatars import s3_client
from support.identities import pipeline_user
from support.jpegs import picture
from support.pipeline import ROOT, PipelineLab, photo
from support.servers import ADMIN, PASSWORD, start_minio
from support.ultrahdr import UltraHdr

pytestmark = pytest.mark.slow

AWKWARD = ["a b+c%20.jpg", "été/部署.jpg", "q?&=#'\"<>.jpg", "deep/er/and/deeper.jpg"]


def test_every_picture_is_saved_stripped_under_the_same_key(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put_all([*AWKWARD, "plain.jpg"])
    result = pipeline_lab.sweep()
    assert pipeline_lab.exact()
    assert (result.counts["processed"], result.counts["pictures"]) == (5, 5)
    assert b"GPS" not in pipeline_lab.get("plain.jpg")
    assert pipeline_lab.keys(pipeline_lab.q) == set()


def test_a_second_sweep_writes_nothing(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put_all(["a.jpg", "b.jpg"])
    pipeline_lab.sweep()
    before = pipeline_lab.head("a.jpg")["LastModified"]
    result = pipeline_lab.sweep()
    assert "processed" not in result.counts
    assert result.counts["current"] == 2
    assert pipeline_lab.head("a.jpg")["LastModified"] == before


def test_headers_user_metadata_and_tags_travel(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put(
        "a.jpg", ContentType="image/pjpeg", CacheControl="max-age=60", ContentDisposition="inline",
        ContentLanguage="fr", Metadata={"album": "summer"}, Tagging="team=web&kind=avatar",
        Expires=datetime(2030, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    pipeline_lab.sweep()
    found = pipeline_lab.head("a.jpg")
    shown = [found[name] for name in ("ContentType", "CacheControl", "ContentDisposition", "ContentLanguage")]
    assert shown == ["image/jpeg", "max-age=60", "inline", "fr"]
    assert found["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT"
    assert found["Metadata"]["album"] == "summer"
    tags = pipeline_lab.s3.get_object_tagging(Bucket=pipeline_lab.b, Key="a.jpg")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "web", "kind": "avatar"}


def test_a_clean_pictures_type_is_what_its_content_is(pipeline_lab: PipelineLab) -> None:
    """An uploader's word would make a browser run what it is shown, on the origin of the public bucket."""
    for number, (kind, encoding) in enumerate([("text/html", "gzip"), ("image/svg+xml", ""), ("", "")]):
        given = {"ContentType": kind, "ContentEncoding": encoding}
        pipeline_lab.put(f"{number}.jpg", **{name: value for name, value in given.items() if value})
    pipeline_lab.sweep()
    found = [pipeline_lab.head(f"{number}.jpg") for number in range(3)]
    assert [head["ContentType"] for head in found] == ["image/jpeg"] * 3
    assert [head.get("ContentEncoding", "") for head in found] == [""] * 3


def test_only_matching_keys_are_pictures(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put_all(["a.jpg", "b.JPG", "c.jpeg", "d.png", "jpg", ".bucketops/x.jpg"])
    pipeline_lab.sweep()
    assert pipeline_lab.keys(pipeline_lab.b) == {"a.jpg"}
    pipeline_lab.sweep(match={"extensions": [".jpg", ".jpeg"], "caseSensitive": False})
    assert pipeline_lab.keys(pipeline_lab.b) == {"a.jpg", "b.JPG", "c.jpeg"}


def test_prefixes_are_swapped(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put_all(["in/x/a.jpg", "out/b.jpg"])
    source, destination = pipeline_lab.place(pipeline_lab.a, "in/"), pipeline_lab.place(pipeline_lab.a, "clean/")
    pipeline_lab.sweep(source=source, destination=destination)
    assert pipeline_lab.keys(pipeline_lab.a) == {"in/x/a.jpg", "out/b.jpg", "clean/x/a.jpg"}


def test_poison_is_never_copied_but_noted_and_tried_again_when_it_changes(pipeline_lab: PipelineLab) -> None:
    etag = pipeline_lab.put("bad.jpg", b"<html>no picture</html>")
    pipeline_lab.put("cut.jpg", picture()[:-300])
    pipeline_lab.put("empty.jpg", b"")
    pipeline_lab.put("good.jpg")
    first = pipeline_lab.sweep()
    assert pipeline_lab.keys(pipeline_lab.b) == {"good.jpg"}
    note = pipeline_lab.refusal("bad.jpg")
    assert (note["reason"], note["etag"], note["key"]) == ("NotJpeg", etag, "bad.jpg")
    assert pipeline_lab.refusal("empty.jpg")["reason"] == "Empty"
    assert first.counts["refused"] == 3
    assert {sample.key for sample in first.samples} == {"bad.jpg", "cut.jpg", "empty.jpg"}
    again = pipeline_lab.sweep()
    assert (again.counts.get("refused", 0), again.counts["stillRefused"]) == (0, 3)
    pipeline_lab.put("bad.jpg")
    pipeline_lab.s3.delete_object(Bucket=pipeline_lab.a, Key="cut.jpg")
    pipeline_lab.sweep()
    assert pipeline_lab.keys(pipeline_lab.b) == {"bad.jpg", "good.jpg"}
    assert pipeline_lab.keys(pipeline_lab.q) == {"pictures/empty.jpg"}


def test_what_is_skipped_is_not_read_again(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("bad.jpg", b"no picture")
    changes: dict[str, Any] = {"onNotJpeg": "Skip", "quarantine": None}
    assert pipeline_lab.sweep(**changes).counts["refused"] == 1
    assert pipeline_lab.sweep(**changes).counts["stillRefused"] == 1
    assert pipeline_lab.keys(pipeline_lab.b) == pipeline_lab.keys(pipeline_lab.q) == set()


def test_a_picture_above_the_limit_is_refused_unread_until_the_limit_is_raised(pipeline_lab: PipelineLab) -> None:
    data = photo(size=64)
    pipeline_lab.put("large.jpg", data)
    pipeline_lab.sweep(limits={"maxObjectBytes": len(data) - 1})
    assert pipeline_lab.refusal("large.jpg")["reason"] == "TooLarge"
    pipeline_lab.sweep(limits={"maxObjectBytes": len(data)})
    assert pipeline_lab.exact()
    assert pipeline_lab.keys(pipeline_lab.q) == set()


def test_other_rules_make_every_picture_anew(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put_all(["a.jpg", "b.jpg"])
    pipeline_lab.sweep()
    assert pipeline_lab.sweep(strip={"orientation": "Drop"}).counts["processed"] == 2
    assert pipeline_lab.sweep(strip={"orientation": "Rotate"}).counts["processed"] == 2
    assert pipeline_lab.sweep(strip={"orientation": "Rotate", "hdrGainMap": "Keep"}).counts["processed"] == 2
    assert pipeline_lab.sweep(strip={"orientation": "Rotate", "hdrGainMap": "Keep"}).counts.get("processed", 0) == 0


def test_pictures_are_turned_and_gain_maps_kept_if_the_spec_says_so(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("a.jpg", UltraHdr(picture(size=(96, 64)), picture("L", (48, 32)), 6).file())
    pipeline_lab.put("b.jpg", UltraHdr(picture(size=(96, 64)), picture("L", (44, 30)), 6).file())
    counts = pipeline_lab.sweep(strip={"orientation": "Rotate", "hdrGainMap": "Keep"}).counts
    assert counts["processed"] == 2
    assert counts["loss/rotation_imperfect"] == 1
    assert [verify(io.BytesIO(pipeline_lab.get(key))).orientation for key in ("a.jpg", "b.jpg")] == [1, 6]
    assert all(verify(io.BytesIO(pipeline_lab.get(key))).gain_map_crc32 for key in ("a.jpg", "b.jpg"))


def test_what_no_pipeline_made_is_kept_unless_asked(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("a.jpg")
    pipeline_lab.put("a.jpg", b"somebody's", bucket=pipeline_lab.b)
    result = pipeline_lab.sweep()
    assert result.counts["conflicts"] == 1
    assert pipeline_lab.get("a.jpg") == b"somebody's"
    pipeline_lab.sweep(onConflict="Overwrite")
    assert pipeline_lab.exact()


def test_refusals_may_lie_on_another_server_with_other_rights(pipeline_lab: PipelineLab, tmp_path: Path) -> None:
    """Two endpoints, two Secrets: neither identity is known to the other server."""
    server = start_minio(tmp_path)
    try:
        endpoint = f"http://127.0.0.1:{server.port}"
        other = PipelineLab(endpoint, tmp_path / "lab", s3_client(endpoint, ADMIN, PASSWORD)).make()
        place = other.place(other.q, "refused/") | {"credentials": {"secretRef": {"name": "other-s3"}}}
        spec = pipeline_lab.spec(quarantine=place)
        user = pipeline_user(endpoint, ROOT, PipelineSpec.model_validate(spec))
        pipeline_lab.put("good.jpg")
        pipeline_lab.put("bad.jpg", b"no picture")
        root = pipeline_lab.mount("sweep", spec, **{"other-s3": user.secret()})
        assert [work(root, 0, threading.Event())[1].counts.get("refused") for _ in range(2)] == [1, None]
        assert (other.keys(other.q), pipeline_lab.keys(pipeline_lab.q)) == ({"refused/bad.jpg"}, set())
        pipeline_lab.put("bad.jpg")
        work(root, 0, threading.Event())
        assert other.keys(other.q) == set()
        assert pipeline_lab.exact()
    finally:
        server.stop()


def test_without_orders_nothing_is_deleted(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("a.jpg")
    pipeline_lab.sweep()
    pipeline_lab.s3.delete_object(Bucket=pipeline_lab.a, Key="a.jpg")
    pipeline_lab.sweep()
    assert pipeline_lab.keys(pipeline_lab.b) == {"a.jpg"}


def test_with_orders_only_what_this_pipeline_made_is_deleted(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put_all(["a.jpg", "b.jpg", "c.jpg"])
    pipeline_lab.sweep(onSourceDelete="Delete")
    pipeline_lab.put("theirs.jpg", b"somebody's", bucket=pipeline_lab.b)
    pipeline_lab.s3.delete_object(Bucket=pipeline_lab.a, Key="a.jpg")
    result = pipeline_lab.sweep(onSourceDelete="Delete")
    assert pipeline_lab.keys(pipeline_lab.b) == {"b.jpg", "c.jpg", "theirs.jpg"}
    assert result.counts["deleted"] == 1


def test_above_the_guard_nothing_is_deleted(pipeline_lab: PipelineLab) -> None:
    """A source that was emptied by mistake must not empty the destination."""
    pipeline_lab.put_all(["a.jpg", "b.jpg", "c.jpg"])
    pipeline_lab.sweep()
    for key in ("a.jpg", "b.jpg"):
        pipeline_lab.s3.delete_object(Bucket=pipeline_lab.a, Key=key)
    code, result = pipeline_lab.try_sweep(onSourceDelete="Delete")
    assert (code, result.reason) == (names.EXIT_USER, "GuardExceeded")
    assert "guards.maxDeletePercent: 50" in result.message
    assert pipeline_lab.keys(pipeline_lab.b) == {"a.jpg", "b.jpg", "c.jpg"}
    pipeline_lab.sweep(onSourceDelete="Delete", guards={"maxDeletePercent": 100})
    assert pipeline_lab.keys(pipeline_lab.b) == {"c.jpg"}


def test_the_same_bucket_under_two_names_is_refused(pipeline_lab: PipelineLab) -> None:
    other = pipeline_lab.endpoint.replace("127.0.0.1", "localhost")
    code, result = pipeline_lab.try_sweep(destination=pipeline_lab.place(pipeline_lab.a) | {"endpoint": other})
    assert (code, result.reason) == (names.EXIT_USER, "Overlap")


@pytest.mark.parametrize("shards", [2, 5])
def test_shards_together_do_every_picture_once(pipeline_lab: PipelineLab, shards: int) -> None:
    keys = [f"{number % 7}/{number:03}.jpg" for number in range(60)]
    pipeline_lab.put_all(keys)
    root = pipeline_lab.mount("sweep", pipeline_lab.spec(), shards=shards)
    with ThreadPoolExecutor(shards) as pool:
        answers = list(pool.map(lambda shard: work(root, shard, threading.Event()), range(shards)))
    assert [code for code, _ in answers] == [names.EXIT_DONE] * shards
    assert sum(result.counts.get("processed", 0) for _, result in answers) == 60
    assert sum(result.counts.get("total", 0) for _, result in answers) == 60
    assert all(result.counts.get("processed") for _, result in answers)
    assert pipeline_lab.exact()


def test_more_shards_than_pictures_are_fine(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("a.jpg")
    root = pipeline_lab.mount("sweep", pipeline_lab.spec(), shards=3)
    answers = [work(root, shard, threading.Event()) for shard in range(3)]
    assert sum(result.counts.get("processed", 0) for _, result in answers) == 1


def test_fifty_overwrites_at_once_end_in_the_latest(pipeline_lab: PipelineLab) -> None:
    """While two sweeps run over the same key; whoever read an older picture loses."""
    versions = [photo(f"version {number}", 8 + number) for number in range(50)]
    with ThreadPoolExecutor(16) as pool:
        sweeps = [pool.submit(pipeline_lab.try_sweep, run=f"pictures-{n}-race") for n in range(1, 3)]
        list(pool.map(lambda data: pipeline_lab.put("one.jpg", data), versions))
        assert [sweep.result()[0] for sweep in sweeps] == [names.EXIT_DONE] * 2
    pipeline_lab.sweep()
    assert pipeline_lab.exact()


def test_large_pictures_are_streamed(pipeline_lab: PipelineLab) -> None:
    """Above what one request carries in memory."""
    whole = photo(size=64)
    data = whole[:2] + b"".join(b"\xff\xfe\xff\xff" + bytes(65533) for _ in range(150)) + whole[2:]
    assert len(data) > 9 << 20
    pipeline_lab.put("large.jpg", data)
    pipeline_lab.sweep()
    assert pipeline_lab.exact()
