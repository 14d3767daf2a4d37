"""The buckets of the grants: there, or made on request."""

from __future__ import annotations

from typing import Any

from botocore import exceptions

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.errors import UserError
from bucketops_jobs.s3.failures import translate

_DEFAULT_REGION = "us-east-1"
_OURS_ALREADY = "BucketAlreadyOwnedByYou"
_NOT_FOUND = 404


def ensure(s3: Any, spec: AccessSpec) -> list[str]:  # noqa: ANN401 - boto3 has no types
    """See that every bucket of the grants is there; the names of those that were made."""
    wanted = dict.fromkeys(grant.bucket for grant in spec.grants)
    return [bucket for bucket in wanted if not _exists(s3, bucket) and _make(s3, spec, bucket)]


def other(s3: Any, spec: AccessSpec) -> str:  # noqa: ANN401 - boto3 has no types
    """A bucket without a grant: the one that is named, else the first; empty where there is none, or none is shown."""
    if spec.probe_bucket:
        return spec.probe_bucket
    granted = {grant.bucket for grant in spec.grants}
    try:
        found = sorted(bucket["Name"] for bucket in s3.list_buckets()["Buckets"])
    except (exceptions.ClientError, exceptions.BotoCoreError):
        return ""
    return next((name for name in found if name not in granted), "")


def _exists(s3: Any, bucket: str) -> bool:  # noqa: ANN401 - boto3 has no types
    try:
        s3.head_bucket(Bucket=bucket)
    except exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == _NOT_FOUND:
            return False
        raise translate(error, f"look for bucket {bucket}: the admin needs s3:ListBucket on it") from error
    except exceptions.BotoCoreError as error:
        raise translate(error, f"look for bucket {bucket}") from error
    return True


def _make(s3: Any, spec: AccessSpec, bucket: str) -> bool:  # noqa: ANN401 - boto3 has no types
    """Make a bucket; one that came in between is as good."""
    if not spec.create_buckets:
        raise UserError(
            Reason.BUCKET_NOT_FOUND, f"bucket {bucket} does not exist: create it, or set createBuckets: true"
        )
    region = spec.admin.region or _DEFAULT_REGION
    where = {} if region == _DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **where)
    except exceptions.ClientError as error:
        if error.response["Error"]["Code"] == _OURS_ALREADY:
            return False
        raise translate(error, f"create bucket {bucket}") from error
    return True
