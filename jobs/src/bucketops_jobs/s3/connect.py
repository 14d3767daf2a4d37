"""From a BucketRef and the mounted Secrets to a boto3 client. Hidden retries are off: they belong to the engine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef, CaBundle
from bucketops_jobs.errors import UserError

CONNECT_SECONDS = 5
READ_SECONDS = 60
_KEYS = (names.ACCESS_KEY, names.SECRET_KEY)


def client(ref: BucketRef, root: Path, *, concurrency: int) -> Any:  # noqa: ANN401 - boto3 has no types
    """A boto3 S3 client for a bucket; UserError names the Secret or key that is missing."""
    return _s3(session(ref, root), ref, root, concurrency)


def client_as(ref: BucketRef, root: Path, access_key: str, secret_key: str) -> Any:  # noqa: ANN401 - boto3 has no types
    """The same as somebody else, whose key stands in no mounted Secret."""
    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
    return _s3(_session(ref, keys), ref, root, concurrency=1)


def session(ref: BucketRef, root: Path) -> boto3.session.Session:
    """A session with a bucket's credentials and role, for other services of its provider."""
    own = _session(ref, _credentials(ref, root))
    return _assumed(own, ref) if ref.assume_role else own


def _s3(session: boto3.session.Session, ref: BucketRef, root: Path, concurrency: int) -> Any:  # noqa: ANN401 - boto3 has no types
    return session.client(
        "s3",
        endpoint_url=ref.endpoint,
        verify=str(ca_file(ref.ca_bundle, root)) if ref.ca_bundle else None,
        config=Config(
            signature_version="s3v4",
            retries={"total_max_attempts": 1},
            max_pool_connections=concurrency + 4,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": _addressing(ref)},
        ),
    )


def _session(ref: BucketRef, credentials: dict[str, str]) -> boto3.session.Session:
    """A session of its own, for it keeps credentials; the service models behind it are read once per process."""
    own = botocore.session.Session()
    own.register_component("data_loader", _models())
    return boto3.session.Session(**credentials, region_name=ref.region or "us-east-1", botocore_session=own)


@cache
def _models() -> Any:  # noqa: ANN401 - boto3 has no types
    return botocore.session.Session().get_component("data_loader")


def _addressing(ref: BucketRef) -> str:
    """`auto` is virtual on AWS and path elsewhere: most other servers have no wildcard name."""
    if ref.addressing_style != "auto":
        return ref.addressing_style
    return "path" if ref.endpoint else "auto"


def secret(root: Path, name: str) -> dict[str, str]:
    """The keys of a mounted Secret; empty where the Secret is absent (the mount is optional)."""
    folder = root / names.SECRETS_DIR / name
    if not folder.is_dir():
        return {}
    return {file.name: file.read_text().strip() for file in folder.iterdir() if not file.name.startswith("..")}


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


def _credentials(ref: BucketRef, root: Path) -> dict[str, str]:
    if ref.credentials is None:
        return {}
    name = ref.credentials.secret_ref.name
    found = secret(root, name)
    missing = [key for key in _KEYS if not found.get(key)]
    if missing:
        what = f"has no key {' and '.join(missing)}" if found else "does not exist"
        raise UserError(
            Reason.CREDENTIALS_MISSING,
            f"Secret {name} (bucket {ref.bucket}) {what}: create it with {', '.join(_KEYS)}",
        )
    access, key = (found[name] for name in _KEYS)
    token = found.get(names.SESSION_TOKEN)
    credentials = {"aws_access_key_id": access, "aws_secret_access_key": key}
    return credentials | ({"aws_session_token": token} if token else {})


def _assumed(session: boto3.session.Session, ref: BucketRef) -> boto3.session.Session:
    """STS with the session's own identity: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html."""
    role = ref.assume_role
    if role is None:
        return session
    extra = {"ExternalId": role.external_id} if role.external_id else {}
    answer = session.client("sts").assume_role(RoleArn=role.role_arn, RoleSessionName=names.MANAGER, **extra)
    got = answer["Credentials"]
    credentials = {
        "aws_access_key_id": got["AccessKeyId"],
        "aws_secret_access_key": got["SecretAccessKey"],
        "aws_session_token": got["SessionToken"],
    }
    return _session(ref, credentials)
