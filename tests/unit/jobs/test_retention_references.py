"""Objects that name live folders, as a bucket has them: what cannot be read ends the run, and nothing is deleted."""

from __future__ import annotations

import gzip
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.retention import survey
from bucketops_jobs.retention.context import Context
from bucketops_jobs.s3.fake import FakeServer
from support.deployments import spec

KEY = "latest.json"
PATHS = ["1", "2", "12", "déploy-2"]


def context(body: bytes) -> Context:
    store = FakeServer().store("deployments")
    store.put(KEY, body, {})
    made: Any = SimpleNamespace(store=store, spec=spec(keep={"last": 1, "referencedBy": [KEY]}))
    return cast("Context", made)


def named(body: bytes) -> set[str]:
    return set(survey._references(context(body), PATHS))  # noqa: SLF001 - the part of a survey that reads them


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_reference_in_another_encoding_ends_the_run(encoding: str, packed: bool) -> None:
    """Read as UTF-8, `12` would be a 1, a NUL and a 2: it names two old folders and not the live one."""
    body = '{"live": "12"}'.encode(encoding)
    with pytest.raises(UserError) as error:
        named(gzip.compress(body) if packed else body)
    assert error.value.reason == Reason.REFERENCE_INVALID
    assert "is no text in UTF-8, so nothing is deleted" in str(error.value)


@pytest.mark.parametrize(
    "body", [b'{"live": "12"}', b"\xef\xbb\xbf12", gzip.compress(b"12", mtime=0), b'{"live": "\\u00312"}\n{}']
)
def test_a_reference_names_its_folder_packed_marked_or_escaped(body: bytes) -> None:
    assert named(body) == {"12"}
