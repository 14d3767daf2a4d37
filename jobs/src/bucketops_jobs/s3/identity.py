"""Who calls: the mounted Secret, or the pod's own identity, and the role it takes on; what expires is refreshed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from awscrt.auth import AwsCredentials, AwsCredentialsProvider
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials, RefreshableCredentials

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import UserError

_KEYS = (names.ACCESS_KEY, names.SECRET_KEY)


def session(ref: BucketRef, root: Path) -> boto3.session.Session:
    """The caller of a bucket; UserError names the Secret or key that is missing."""
    made, own = _session(ref, _credentials(ref, root))
    if ref.assume_role:
        _assume(own, ref)
    return made


def session_as(ref: BucketRef, access_key: str, secret_key: str) -> boto3.session.Session:
    """Somebody else, whose key stands in no mounted Secret; a role is not taken on."""
    made, _ = _session(ref, {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key})
    return made


def _session(ref: BucketRef, credentials: dict[str, str]) -> tuple[boto3.session.Session, botocore.session.Session]:
    own = botocore.session.Session()
    own.register_component("data_loader", _models())
    region = ref.region or own.get_config_variable("region") or "us-east-1"
    return boto3.session.Session(**credentials, region_name=region, botocore_session=own), own


def provider(caller: boto3.session.Session, bucket: str) -> AwsCredentialsProvider:
    """The same identity for awscrt; asked anew for each request where it expires."""
    found = caller.get_credentials()
    if found is None:
        raise UserError(
            Reason.CREDENTIALS_MISSING, f"bucket {bucket}: no credentials: name a Secret or give the pod an identity"
        )
    if isinstance(found, RefreshableCredentials):
        return AwsCredentialsProvider.new_delegate(lambda: AwsCredentials(*found.get_frozen_credentials()[:3]))
    return AwsCredentialsProvider.new_static(*found.get_frozen_credentials()[:3])


def secret(root: Path, name: str) -> dict[str, str]:
    """The keys of a mounted Secret; empty where the Secret is absent (the mount is optional)."""
    folder = root / names.SECRETS_DIR / name
    if not folder.is_dir():
        return {}
    return {file.name: file.read_text().strip() for file in folder.iterdir() if not file.name.startswith("..")}


@cache
def _models() -> Any:  # noqa: ANN401 - boto3 has no types
    """The service models, read once per process: a session of its own is needed, for it keeps credentials."""
    return botocore.session.Session().get_component("data_loader")


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


def _assume(own: botocore.session.Session, ref: BucketRef) -> None:
    """Take on the role by STS with the session's own identity, again before it expires.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    role = ref.assume_role
    if role is None:
        return
    extra = {"RoleSessionName": names.MANAGER} | ({"ExternalId": role.external_id} if role.external_id else {})
    fetcher = AssumeRoleCredentialFetcher(own.create_client, own.get_credentials(), role.role_arn, extra_args=extra)
    own._credentials = DeferredRefreshableCredentials(  # noqa: SLF001 - botocore's only way to hand in credentials
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
