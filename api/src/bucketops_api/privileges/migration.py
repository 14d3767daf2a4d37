"""Least privileges of a migration: one set per identity, and the grants of its role in the database.

`mode` plays no part: a plan is made with the rights of the run that it foretells, so that it finds a missing one.
"""

from __future__ import annotations

from typing import Literal

from bucketops_api.names import RECORDS_FOLDER
from bucketops_api.privileges import s3
from bucketops_api.privileges.parts import Owner, Part
from bucketops_api.privileges.s3 import Statement, policy
from bucketops_api.privileges.sql import quoted
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_api.v1alpha1.migration import Database, MigrationSpec, Reference

Phase = Literal["preflight", "copy", "sweep", "delete", "audit"]

_INSPECT = ("s3:GetBucketVersioning", "s3:GetLifecycleConfiguration")
_WRITE = (
    "s3:AbortMultipartUpload",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
)
_PROBE = ("s3:AbortMultipartUpload", "s3:GetObjectTagging", "s3:PutObjectTagging")

__all__ = ["destination_statements", "parts", "policy", "records_statements", "source_statements", "sql_grants"]


def source_statements(spec: MigrationSpec, phase: Phase | None = None) -> tuple[Statement, ...]:
    """Of the source's identity, in one phase or (None) in all of them.

    Listings below `.bucketops/` are those of the preflight: a scratch key that was written to the destination and
    shows up in the source gives away that both are the same place.
    """
    ref = spec.source
    return (
        s3.listing("SourceList", ref, [ref.prefix, RECORDS_FOLDER]),
        s3.on_keys("SourceRead", ref, [ref.prefix], ["s3:GetObject", "s3:GetObjectTagging"]),
        s3.records("SourceClaim", ref),
        *_source_inspection(ref, phase),
        *_source_deletion(spec, phase),
    )


def _source_inspection(ref: BucketRef, phase: Phase | None) -> tuple[Statement, ...]:
    if phase in {None, "preflight"}:
        return (s3.on_bucket("SourceInspect", ref, [*_INSPECT, "s3:ListBucketMultipartUploads"]),)
    if phase == "delete":
        return (s3.on_bucket("SourceInspect", ref, ["s3:GetBucketVersioning"]),)
    return ()


def _source_deletion(spec: MigrationSpec, phase: Phase | None) -> tuple[Statement, ...]:
    if phase in {None, "delete"} and spec.cleanup.policy == "Delete":
        return (s3.on_keys("SourceDelete", spec.source, [spec.source.prefix], ["s3:DeleteObject"]),)
    return ()


def destination_statements(spec: MigrationSpec) -> tuple[Statement, ...]:
    """Of the destination's identity; it deletes nothing.

    It signs copies on the server, so it reads the source too; where it may not, objects pass through the workers. The
    rights of tagging are needed for objects that have tags.
    """
    ref, source = spec.destination, spec.source
    return (
        s3.listing("DestinationList", ref, [ref.prefix, RECORDS_FOLDER]),
        s3.on_bucket("DestinationInspect", ref, _INSPECT),
        s3.on_keys("DestinationWrite", ref, [ref.prefix], _WRITE),
        s3.records("DestinationRecords", ref),
        s3.on_keys("DestinationProbe", ref, [RECORDS_FOLDER], _PROBE),
        s3.on_keys("DestinationCopyFrom", source, [source.prefix], ["s3:GetObject", "s3:GetObjectTagging"]),
        *s3.encryption("DestinationKey", ref),
    )


def records_statements(spec: MigrationSpec) -> tuple[Statement, ...]:
    """Of the identity of `records`; without that field the records lie with the destination, in its statements."""
    ref = spec.records
    if ref is None:
        return ()
    folder = ref.prefix + RECORDS_FOLDER
    return (
        s3.listing("RecordsList", ref, [folder]),
        s3.records("RecordsWrite", ref, folder),
        *s3.encryption("RecordsKey", ref),
    )


def sql_grants(database: Database, role: str) -> tuple[str, ...]:
    """What a role needs to find and rewrite rows. Replicas show their lag to those alone who may read statistics."""
    schemas = dict.fromkeys(reference.schema_ for reference in database.references)
    usage = (f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)};" for schema in schemas)
    tables = (_table_grant(reference, role) for reference in database.references)
    lag = (f"GRANT pg_read_all_stats TO {quoted(role)};",) if database.max_replication_lag else ()
    return tuple(dict.fromkeys((*usage, *tables, *lag)))


def _table_grant(reference: Reference, role: str) -> str:
    table = f"{quoted(reference.schema_)}.{quoted(reference.table)}"
    read = ", ".join(dict.fromkeys(map(quoted, (*reference.keys, reference.column))))
    return f"GRANT SELECT ({read}), UPDATE ({quoted(reference.column)}) ON {table} TO {quoted(role)};"


def parts(spec: MigrationSpec, owner: Owner) -> tuple[Part, ...]:
    """Everything that a migration needs; whose identities are one gives it all of their documents."""
    kept = records_statements(spec)
    grants = sql_grants(spec.database, owner.role) if spec.database else ()
    found = (
        Part("source", "the identity of spec.source", "policy", policy(*source_statements(spec))),
        Part("destination", "the identity of spec.destination", "policy", policy(*destination_statements(spec))),
        Part("records", "the identity of spec.records", "policy", policy(*kept)),
        Part("database", f"the role {owner.role} in the database", "sql", grants),
    )
    return tuple(part for part in found if part.content and part.content != policy())
