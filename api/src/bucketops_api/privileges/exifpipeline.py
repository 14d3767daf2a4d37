"""Least privileges of a pipeline: it reads the source and deletes nothing there; nobody else writes the destination."""

from __future__ import annotations

from urllib.parse import urlsplit

from bucketops_api.names import RECORDS_FOLDER
from bucketops_api.privileges import s3
from bucketops_api.privileges.parts import Owner, Part
from bucketops_api.privileges.s3 import Statement, policy
from bucketops_api.v1alpha1.exifpipeline import PipelineSpec

__all__ = [
    "destination_statements",
    "parts",
    "policy",
    "quarantine_statements",
    "queue_statements",
    "source_statements",
    "statements",
]

_WRITE = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging")
_PROBE = ("s3:AbortMultipartUpload", "s3:GetObjectTagging", "s3:PutObjectTagging")
_RECEIVE = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage")


def source_statements(spec: PipelineSpec) -> tuple[Statement, ...]:
    """Of the source's identity. Of `.bucketops/` it sees whether both buckets are one."""
    ref = spec.source
    heard = spec.events is not None and spec.events.minio is not None
    listening = (s3.on_bucket("SourceListen", ref, ["s3:ListenBucketNotification"]),) if heard else ()
    return (
        s3.listing("SourceList", ref, [ref.prefix, RECORDS_FOLDER]),
        s3.on_keys("SourceRead", ref, [ref.prefix], ["s3:GetObject", "s3:GetObjectTagging"]),
        s3.on_keys("SourceProbe", ref, [RECORDS_FOLDER], ["s3:GetObject"]),
        *listening,
    )


def destination_statements(spec: PipelineSpec) -> tuple[Statement, ...]:
    """Of the destination's identity. It deletes pictures with `onSourceDelete: Delete` alone."""
    ref = spec.destination
    deletes = (s3.on_keys("DestinationDelete", ref, [ref.prefix], ["s3:DeleteObject"]),)
    return (
        s3.listing("DestinationList", ref, [ref.prefix, RECORDS_FOLDER]),
        s3.on_bucket("DestinationInspect", ref, ["s3:GetBucketVersioning"]),
        s3.on_keys("DestinationWrite", ref, [ref.prefix], _WRITE),
        s3.records("DestinationRecords", ref),
        s3.on_keys("DestinationProbe", ref, [RECORDS_FOLDER], _PROBE),
        *(deletes if spec.on_source_delete == "Delete" else ()),
        *s3.encryption("DestinationKey", ref),
    )


def quarantine_statements(spec: PipelineSpec) -> tuple[Statement, ...]:
    """Of the quarantine's identity, where there is one: it writes why, and takes it away when it is mended."""
    ref = spec.quarantine
    if ref is None or spec.on_not_jpeg == "Skip":
        return ()
    return (
        s3.listing("QuarantineList", ref, [ref.prefix]),
        s3.on_keys("QuarantineWrite", ref, [ref.prefix], ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]),
        *s3.encryption("QuarantineKey", ref),
    )


def queue_statements(spec: PipelineSpec) -> tuple[Statement, ...]:
    """Of the source's identity, on the queue of its events."""
    queue = spec.events.sqs if spec.events else None
    if queue is None:
        return ()
    url = urlsplit(queue.queue_url)
    account, _, name = url.path.strip("/").rpartition("/")
    region = queue.region or spec.source.region or "*"
    partition = s3.bucket_arn(spec.source).split(":")[1]
    arn = f"arn:{partition}:sqs:{region}:{account or '*'}:{name}"
    return ({"Sid": "Queue", "Effect": "Allow", "Action": list(_RECEIVE), "Resource": [arn]},)


def statements(spec: PipelineSpec) -> tuple[Statement, ...]:
    """Of one identity that plays all parts on the store."""
    return (
        *source_statements(spec),
        *destination_statements(spec),
        *quarantine_statements(spec),
    )


def parts(spec: PipelineSpec, _owner: Owner) -> tuple[Part, ...]:
    """Everything that a pipeline needs; whose identities are one gives it the whole document."""
    found = (
        Part("pipeline", "one identity for all parts", "policy", policy(*statements(spec), *queue_statements(spec))),
        Part(
            "source",
            "the identity of spec.source",
            "policy",
            policy(*source_statements(spec), *queue_statements(spec)),
        ),
        Part("destination", "the identity of spec.destination", "policy", policy(*destination_statements(spec))),
        Part("quarantine", "the identity of spec.quarantine", "policy", policy(*quarantine_statements(spec))),
    )
    return tuple(part for part in found if part.content != policy())
