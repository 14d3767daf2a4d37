"""Odd properties of objects are kept, by small and by large objects alike, or reported; none stops a run."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connect import connect
from support.driver import condition
from support.places import Place, migrating
from support.servers import ADMIN, PASSWORD

LARGE = 9 << 20
ODD = {
    "plain": {"x-amz-meta-name": "plain"},
    "blanks": {"x-amz-meta-name": "a  b"},
    "empty": {"x-amz-meta-name": "", "x-amz-meta-other": "x"},
    "utf8": {"x-amz-meta-name": "grüße"},
    "filename": {"content-disposition": 'attachment; filename="über.pdf"'},
    "nbsp": {"x-amz-meta-name": "a\u00a0b"},
    "ideographic": {"x-amz-meta-name": "\u3000日本\u3000\u3000語"},
    "rfc2047": {"x-amz-meta-name": "=?UTF-8?B?Z3LDvMOfZQ==?="},
    "chunked": {"content-encoding": "gzip,aws-chunked"},
    "expires": {"expires": "0"},
    "long": {"x-amz-meta-name": "x" * 1900},
    "tab": {"x-amz-meta-name": "a\tb"},
}


def opened(place: Place, root: Path) -> S3Store:
    folder = root / "secrets" / "admin"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "AWS_ACCESS_KEY_ID").write_text(ADMIN)
    (folder / "AWS_SECRET_ACCESS_KEY").write_text(PASSWORD)
    ref = {"bucket": place.bucket, "endpoint": place.endpoint, "credentials": {"secretRef": {"name": "admin"}}}
    return connect(BucketRef.model_validate(ref), root, Pace(8, None, threading.Event()))


def headers_of(store: S3Store, key: str) -> dict[str, str]:
    described = store.describe(key)
    assert described is not None, key
    return {name: value for name, value in described.headers.items() if name != "content-type"}


@pytest.mark.parametrize(
    "servers",
    [
        ("minio", "minio"),
        pytest.param(("minio", "versitygw"), marks=pytest.mark.slow),
        pytest.param(("versitygw", "minio"), marks=pytest.mark.slow),
    ],
    ids="-to-".join,
)
def test_odd_properties_arrive_or_are_reported_and_stop_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, servers: tuple[str, str]
) -> None:
    source, destination = (Place(server, request.getfixturevalue(server)).make() for server in servers)
    there, here = opened(source, tmp_path / "admin"), opened(destination, tmp_path / "admin")
    before: dict[str, dict[str, str]] = {}
    for name, headers in ODD.items():
        for size, body in (("small", b"x"), ("large", io.BytesIO(b"x" * LARGE))):
            if size == "large" and name not in {"plain", "empty", "utf8", "nbsp", "expires"}:
                continue
            there.put(f"image/{size}-{name}", body, headers)
            before[f"{size}-{name}"] = headers_of(there, f"image/{size}-{name}")
    with migrating(tmp_path, source, destination, guard="Strict") as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    told = {one["key"]: one["message"] for one in status.get("samples", []) if one["outcome"] == "notKept"}
    changed = {name: headers for name, headers in before.items() if headers_of(here, f"avatar/{name}") != headers}
    assert changed.keys() == told.keys(), (changed, told)
    assert not changed.keys() & {"small-plain", "large-plain", "small-blanks", "small-rfc2047", "small-long"}
    assert not list(there.list_objects("image/"))
    there.close()
    here.close()
