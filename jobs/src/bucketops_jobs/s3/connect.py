"""From a BucketRef and the mounted Secrets to a store. Hidden retries are off: they belong to the pace."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import identity
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.http import Wire
from bucketops_jobs.s3.signing import Identity
from bucketops_jobs.s3.wire import Calls, place

_REGION = "us-east-1"
"""Of servers that know no regions."""


def connect(ref: BucketRef, root: Path, pace: Pace) -> S3Store:
    """A bucket, nothing of it asked yet; UserError names the Secret or key that is missing."""
    who: Identity | None = None if ref.assume_role else identity.mounted(ref, root)
    lazy = _once(lambda: _control(ref, root))
    if who and ref.endpoint:
        region, endpoint = ref.region or os.environ.get("AWS_DEFAULT_REGION", _REGION), ref.endpoint
    else:
        region, other, endpoint = _resolved(ref, root, lazy)
        who = who or other
    where = place(ref, endpoint)
    ca = identity.ca_file(ref.ca_bundle, root) if ref.ca_bundle else None
    return S3Store(ref.bucket, Calls(ref, where), Wire(where, region, who, ca), lazy, pace)


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    """The same for all threads, made when the first one asks: a client weighs some 10 MiB while it is made."""
    lock, made = threading.Lock(), cache(make)

    def get() -> Any:  # noqa: ANN401 - boto3 has no types
        with lock:
            return made()

    return get


def _control(ref: BucketRef, root: Path) -> Any:  # noqa: ANN401 - boto3 has no types
    from bucketops_jobs.s3 import boto  # noqa: PLC0415 - takes a quarter of a second, and most workers need none of it

    return boto.control(boto.session(ref, root), ref, root)


def _resolved(ref: BucketRef, root: Path, control: Callable[[], Any]) -> tuple[str, Identity, str]:
    """Region, identity and endpoint as AWS's configuration has them."""
    from bucketops_jobs.s3 import boto  # noqa: PLC0415 - the same

    caller = boto.session(ref, root)
    endpoint = ref.endpoint or str(control().meta.endpoint_url)
    return str(caller.region_name), boto.provider(caller, ref.bucket), endpoint
