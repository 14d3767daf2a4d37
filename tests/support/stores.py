"""A store as a worker opens it: by a mounted Secret, over its own connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connect import connect
from support.servers import ADMIN, PASSWORD


@contextmanager
def opened(root: Path, endpoint: str, bucket: str, **changes: Any) -> Iterator[S3Store]:
    """The administrator's view of a bucket; `changes` are fields of the reference."""
    folder = root / "secrets" / "store"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "AWS_ACCESS_KEY_ID").write_text(ADMIN)
    (folder / "AWS_SECRET_ACCESS_KEY").write_text(PASSWORD)
    who = {"credentials": {"secretRef": {"name": "store"}}}
    ref = BucketRef.model_validate({"bucket": bucket, "endpoint": endpoint, **who, **changes})
    store = connect(ref, root, Pace(8, None, threading.Event()))
    try:
        yield store
    finally:
        store.close()
