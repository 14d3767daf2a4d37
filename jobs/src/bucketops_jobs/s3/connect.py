"""From a BucketRef and the mounted Secrets to a store. Hidden retries are off: they belong to the pace."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef, CaBundle
from bucketops_jobs.errors import UserError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import identity
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.crt import ANSWER_SECONDS, CONNECT_SECONDS, Wire
from bucketops_jobs.s3.wire import Calls, place


def connect(ref: BucketRef, root: Path, pace: Pace, *, concurrency: int) -> S3Store:
    """A bucket, nothing of it asked yet; UserError names the Secret or key that is missing."""
    caller = identity.session(ref, root)
    signer = identity.provider(caller, ref.bucket)
    lazy = cache(lambda: control(caller, ref, root))  # its models take a tenth of a second to read
    where = place(ref, ref.endpoint or lazy().meta.endpoint_url)
    ca = ca_file(ref.ca_bundle, root) if ref.ca_bundle else None
    wire = Wire(where, caller.region_name, signer, ca, concurrency)
    return S3Store(ref.bucket, Calls(ref, where), wire, lazy, pace)


def control(caller: boto3.session.Session, ref: BucketRef, root: Path) -> Any:  # noqa: ANN401 - boto3 has no types
    """The boto3 client of a bucket, for rare calls."""
    verify = str(ca_file(ref.ca_bundle, root)) if ref.ca_bundle else None
    return caller.client("s3", endpoint_url=ref.endpoint, verify=verify, config=_config(ref))


def _config(ref: BucketRef) -> Config:
    return Config(
        signature_version="s3v4",
        retries={"total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": _addressing(ref)},
    )


def _addressing(ref: BucketRef) -> str:
    if ref.addressing_style != "auto":
        return ref.addressing_style
    return "path" if ref.endpoint else "auto"


def ca_file(bundle: CaBundle, root: Path) -> Path:
    """The mounted file of a CA bundle; UserError when it is not there."""
    ref, folder, kind = (
        (bundle.secret_ref, names.SECRETS_DIR, "Secret")
        if bundle.secret_ref
        else (bundle.config_map_ref, names.CONFIG_MAPS_DIR, "ConfigMap")
    )
    if ref is None:
        raise UserError(Reason.INVALID_SPEC, "caBundle: name one of configMapRef and secretRef")
    path = root / folder / ref.name / ref.key
    if not path.is_file():
        raise UserError(Reason.CREDENTIALS_MISSING, f"{kind} {ref.name} has no key {ref.key}: create it, in PEM form")
    return path
