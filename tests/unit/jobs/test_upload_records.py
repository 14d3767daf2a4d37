"""Records of multipart uploads under way: they open no way to the uploads of others."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bucketops_jobs.migration import parts
from bucketops_jobs.records import Records
from bucketops_jobs.s3.fake import FakeServer

KNOWN = {"key": "avatar/a.bin", "upload": "u1", "etag": "e", "size": 9, "part": 8}


@pytest.fixture
def context() -> Any:
    records = Records(FakeServer().store("production"), ".bucketops/x/")
    return SimpleNamespace(records=records, spec=SimpleNamespace(destination=SimpleNamespace(prefix="avatar/")))


def written(context: Any, content: object, key: str = "avatar/a.bin") -> dict[str, Any] | None:
    name = parts._record(context, key)  # noqa: SLF001 - the one place that names records
    context.records.store.put(name, json.dumps(content).encode(), {})
    return parts._known(context, name)  # noqa: SLF001 - what is believed of it


def test_an_upload_of_ours_is_known(context: Any) -> None:
    assert written(context, KNOWN) == KNOWN


@pytest.mark.parametrize(
    "content",
    [
        KNOWN | {"key": "others/a.bin"},
        KNOWN | {"key": "avatar/b.bin"},
        KNOWN | {"upload": 3},
        {"key": "avatar/a.bin"},
        [],
        7,
    ],
)
def test_a_record_of_an_upload_elsewhere_is_none_of_ours(context: Any, content: object) -> None:
    assert written(context, content) is None
    assert written(context, KNOWN | {"key": "others/a.bin"}, "others/a.bin") is None
