"""Least privileges of a retention: one identity, which reads no object but those that name live folders."""

from __future__ import annotations

from bucketops_api.names import RECORDS_FOLDER
from bucketops_api.privileges import s3
from bucketops_api.privileges.parts import Owner, Part
from bucketops_api.privileges.s3 import Statement, policy
from bucketops_api.v1alpha1.retention import RetentionSpec

__all__ = ["parts", "policy", "statements"]


def statements(spec: RetentionSpec) -> tuple[Statement, ...]:
    """Of the bucket's identity. With `mode: Plan` it can delete nothing but records of ours."""
    ref = spec.bucket
    return (
        s3.listing("List", ref, [ref.prefix, RECORDS_FOLDER]),
        *_versions(spec),
        s3.on_bucket("Inspect", ref, ["s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning"]),
        *_references(spec),
        *_deletion(spec),
        s3.records("Records", ref),
        *s3.encryption("RecordsKey", ref),
    )


def parts(spec: RetentionSpec, _owner: Owner) -> tuple[Part, ...]:
    """Everything that a retention needs: the rights of its one identity."""
    return (Part("bucket", "the identity of spec.bucket", "policy", policy(*statements(spec))),)


def _versions(spec: RetentionSpec) -> tuple[Statement, ...]:
    if spec.versions == "Current":
        return ()
    listed = s3.listing("ListVersions", spec.bucket, [spec.bucket.prefix])
    return (listed | {"Action": ["s3:ListBucketVersions"]},)


def _references(spec: RetentionSpec) -> tuple[Statement, ...]:
    keys = [spec.bucket.prefix + key for key in spec.keep.referenced_by]
    return (s3.on_objects("ReadReferences", spec.bucket, keys, ["s3:GetObject"]),) if keys else ()


def _deletion(spec: RetentionSpec) -> tuple[Statement, ...]:
    """Below the folders alone: what lies above the depth has too few slashes for the resource's pattern."""
    if spec.mode == "Plan":
        return ()
    actions = ["s3:DeleteObject"] if spec.versions == "Current" else ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    folders = spec.bucket.prefix + "*/" * spec.folders.depth
    return (s3.on_keys("Delete", spec.bucket, [folders], actions),)
