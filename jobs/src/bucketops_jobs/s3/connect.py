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
from bucketops_jobs.s3.wire import Calls, Place, place

_REGION = "us-east-1"
"""Of servers that know no regions."""


def connect(ref: BucketRef, root: Path, pace: Pace) -> S3Store:
    """A bucket, nothing of it asked yet; UserError names the Secret or key that is missing."""
    region, who, addressed = _caller(ref, root)
    where, ca = addressed(region), identity.ca_file(ref.ca_bundle, root) if ref.ca_bundle else None
    http = Wire(where, region, who, ca, None if ref.region else addressed)

    def control() -> Any:  # noqa: ANN401 - boto3 has no types
        from bucketops_jobs.s3 import boto  # noqa: PLC0415 - takes a quarter of a second; most workers need none of it

        there = ref.model_copy(update={"region": http.located()})
        return boto.control(boto.session(there, root), there, root)

    return S3Store(ref.bucket, Calls(ref, where), http, _once(control), pace)


def _caller(ref: BucketRef, root: Path) -> tuple[str, Identity, Callable[[str], Place]]:
    """Region, identity and, by region, the address: as the spec has them, else as AWS's configuration does."""
    who: Identity | None = None if ref.assume_role else identity.mounted(ref, root)
    if who and ref.endpoint:
        return ref.region or os.environ.get("AWS_DEFAULT_REGION", _REGION), who, _fixed(ref, ref.endpoint)
    region, other, addressed = _configured(ref, root)
    return region, who or other, addressed


def _fixed(ref: BucketRef, endpoint: str) -> Callable[[str], Place]:
    """Return this place for any region."""
    there = place(ref, endpoint)
    return lambda _: there


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    """The same for all threads, made when the first one asks: a client weighs some 10 MiB while it is made."""
    lock, made = threading.Lock(), cache(make)

    def get() -> Any:  # noqa: ANN401 - boto3 has no types
        with lock:
            return made()

    return get


def _configured(ref: BucketRef, root: Path) -> tuple[str, Identity, Callable[[str], Place]]:
    """Region, identity and, by region, the address as AWS's configuration has them."""
    from bucketops_jobs.s3 import boto  # noqa: PLC0415 - as above

    caller = boto.session(ref, root)
    if ref.endpoint:
        addressed = _fixed(ref, ref.endpoint)
    else:
        addressed = cache(lambda region: place(ref, boto.endpoint(ref, region)))
    return str(caller.region_name), boto.provider(caller, ref.bucket), addressed
