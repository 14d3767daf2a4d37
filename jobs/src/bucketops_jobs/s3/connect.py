"""From a BucketRef and the mounted Secrets to a store. Hidden retries are off: they belong to the pace."""

from __future__ import annotations

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
    ca = ca_file(ref.ca_bundle, root) if ref.ca_bundle else None
    caller = identity.session(ref, root)
    signer = identity.provider(caller, ref.bucket)
    control = _Control(caller, ref, ca)
    where = place(ref, ref.endpoint or control().meta.endpoint_url)
    wire = Wire(where, caller.region_name, signer, ca, concurrency)
    return S3Store(ref.bucket, Calls(ref, where), wire, control, pace)


class _Control:
    """The boto3 client, made when it is first needed: reading its models takes a tenth of a second."""

    def __init__(self, caller: boto3.session.Session, ref: BucketRef, ca: Path | None) -> None:
        self._caller, self._ref, self._ca = caller, ref, ca
        self._client: Any = None

    def __call__(self) -> Any:  # noqa: ANN401 - boto3 has no types
        if self._client is None:
            self._client = self._caller.client(
                "s3",
                endpoint_url=self._ref.endpoint,
                verify=str(self._ca) if self._ca else None,
                config=_config(self._ref),
            )
        return self._client


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
