"""S3 policy statements as data, in the language that AWS and MinIO share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bucketops_api.names import RECORDS_FOLDER
from bucketops_api.v1alpha1.common import BucketRef

Statement = dict[str, Any]


def policy(*statements: Statement) -> dict[str, Any]:
    """One document of all statements. An identity that has several parts to play gets the statements of all of them."""
    once = [s for number, s in enumerate(statements) if s not in statements[:number]]
    return {"Version": "2012-10-17", "Statement": once}


def on_bucket(sid: str, ref: BucketRef, actions: Iterable[str]) -> Statement:
    """Allow actions on the bucket itself."""
    return _allow(sid, actions, [bucket_arn(ref)])


def on_keys(sid: str, ref: BucketRef, prefixes: Iterable[str], actions: Iterable[str]) -> Statement:
    """Allow actions on the objects below `prefixes`; '' is every key."""
    return _allow(sid, actions, [f"{bucket_arn(ref)}/{prefix}*" for prefix in prefixes])


def on_objects(sid: str, ref: BucketRef, keys: Iterable[str], actions: Iterable[str]) -> Statement:
    """Allow actions on single objects."""
    return _allow(sid, actions, [f"{bucket_arn(ref)}/{key}" for key in keys])


def listing(sid: str, ref: BucketRef, prefixes: Iterable[str]) -> Statement:
    """Allow listings below `prefixes` and of nothing else in the bucket."""
    below = [f"{prefix}*" for prefix in prefixes]
    condition = {} if "*" in below else {"Condition": {"StringLike": {"s3:prefix": below}}}
    return on_bucket(sid, ref, ["s3:ListBucket"]) | condition


def records(sid: str, ref: BucketRef, folder: str = RECORDS_FOLDER) -> Statement:
    """Allow everything that is done with what is ours, under `.bucketops/`."""
    return on_keys(sid, ref, [folder], ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"])


def encryption(sid: str, ref: BucketRef) -> tuple[Statement, ...]:
    """Allow the use of the key that written objects are encrypted with, where it is a resource of AWS."""
    key = ref.encryption.kms_key_id or ""
    if not key.startswith("arn:"):
        return ()
    return (_allow(sid, ["kms:Decrypt", "kms:GenerateDataKey"], [key]),)


def bucket_arn(ref: BucketRef) -> str:
    """The bucket's name in a policy; China and the government's regions are partitions of their own."""
    region = ref.region or ""
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return f"arn:{partition}:s3:::{ref.bucket}"


def _allow(sid: str, actions: Iterable[str], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}
