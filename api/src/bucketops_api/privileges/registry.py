"""The privileges of every kind, for `bucketops policy` and the documents. A new kind is a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bucketops_api.privileges import access, exifpipeline, migration, retention
from bucketops_api.privileges.parts import Owner, Part

PRIVILEGES: Mapping[str, Callable[[Any, Owner], tuple[Part, ...]]] = {
    "S3Migration": migration.parts,
    "S3Access": access.parts,
    "S3Retention": retention.parts,
    "ExifPipeline": exifpipeline.parts,
}
