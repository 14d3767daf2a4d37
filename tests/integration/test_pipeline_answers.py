"""A clean picture counts if the server keeps it: what is there afterwards is looked at, whatever was answered."""

from __future__ import annotations

import pytest

from support import faulty
from support.pipeline import PipelineLab, photo, stripped
from support.proxy import Proxy, Request

pytestmark = pytest.mark.slow

OLD, NEW = photo("old", 16), photo("new", 24)


def samples(result: object) -> str:
    return str(getattr(result, "samples", ""))


def test_a_picture_that_is_not_kept_as_it_was_written_has_failed(pipeline_lab: PipelineLab) -> None:
    """The PUT is answered with the right ETag; HEAD shows a byte less afterwards."""

    def headers(request: Request, found: dict[str, str]) -> dict[str, str]:
        if request.method == "HEAD" and (request.bucket, request.key) == (pipeline_lab.b, "a.jpg"):
            return found | {"Content-Length": str(int(found.get("Content-Length", "1")) - 1)}
        return found

    pipeline_lab.put("a.jpg", OLD)
    pipeline_lab.put("b.jpg", OLD)
    with Proxy(pipeline_lab.endpoint, headers=headers) as proxy:
        pipeline_lab.through = proxy.url
        result = pipeline_lab.sweep()
    assert (result.counts["processed"], result.counts["failed"]) == (1, 1)
    assert "keeps something else" in samples(result)


def test_a_picture_that_has_lost_bytes_since_is_made_anew(pipeline_lab: PipelineLab) -> None:
    """Its mark says that it is current; its length says that it is not."""
    pipeline_lab.put("a.jpg", OLD)
    pipeline_lab.sweep()
    found = pipeline_lab.head("a.jpg")
    pipeline_lab.put("a.jpg", b"cut off", bucket=pipeline_lab.b, Metadata=found["Metadata"])
    assert pipeline_lab.sweep().counts["processed"] == 1
    assert pipeline_lab.get("a.jpg") == stripped(OLD)


def test_a_picture_that_has_other_bytes_of_the_right_length_is_made_anew(pipeline_lab: PipelineLab) -> None:
    """Its mark and its length say that it is current: a broken write, or somebody who lies about it."""
    pipeline_lab.put("a.jpg", OLD)
    pipeline_lab.sweep()
    clean, found = stripped(OLD), pipeline_lab.head("a.jpg")
    other = bytes([clean[0] ^ 1]) + clean[1:]
    pipeline_lab.put("a.jpg", other, bucket=pipeline_lab.b, Metadata=found["Metadata"], ContentType="image/jpeg")
    assert pipeline_lab.sweep().counts["processed"] == 1
    assert pipeline_lab.get("a.jpg") == clean
    assert pipeline_lab.sweep().counts["current"] == 1


@pytest.mark.parametrize("encryption", ["AES256", "aws:kms"])
def test_where_etags_are_no_md5s_they_are_not_compared_with_the_mark(
    pipeline_lab: PipelineLab, encryption: str
) -> None:
    """As of SSE-KMS, where a picture would be made again and again."""

    def headers(request: Request, found: dict[str, str]) -> dict[str, str]:
        return found | ({"x-amz-server-side-encryption": encryption} if request.bucket == pipeline_lab.b else {})

    pipeline_lab.put("a.jpg", OLD)
    pipeline_lab.sweep()
    mark = pipeline_lab.head("a.jpg")["Metadata"] | {"bucketops-md5": "0" * 32}
    pipeline_lab.put("a.jpg", stripped(OLD), bucket=pipeline_lab.b, Metadata=mark)
    with Proxy(pipeline_lab.endpoint, headers=headers) as proxy:
        pipeline_lab.through = proxy.url
        result = pipeline_lab.sweep()
    assert result.counts["processed" if encryption == "AES256" else "current"] == 1, result


@pytest.mark.parametrize("bare", [True, False])
def test_a_server_that_refuses_the_right_if_match_is_not_taken_for_a_busy_uploader(
    pipeline_lab: PipelineLab, *, bare: bool
) -> None:
    """Ceph RGW takes it without quotes; where nothing works the picture fails with the reason."""
    pipeline_lab.put("a.jpg", OLD)
    with Proxy(pipeline_lab.endpoint, faulty.Rgw(bare=bare)) as proxy:
        pipeline_lab.through = proxy.url
        pipeline_lab.sweep()
        pipeline_lab.put("a.jpg", NEW)
        result = pipeline_lab.sweep()
    if bare:
        assert result.counts["processed"] == 1
        assert pipeline_lab.get("a.jpg") == stripped(NEW)
    else:
        assert result.counts["failed"] == 1
        assert "refuses what it shows itself" in samples(result)
        assert pipeline_lab.get("a.jpg") == stripped(OLD)
