"""Who may do what in a demo: the migration as `bucketops policy` says, the website what a website does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bucketops_api.privileges.parts import Owner, Part
from bucketops_api.privileges.registry import parts_of
from bucketops_api.v1alpha1.migration import MigrationSpec

ROLE, WEBSITE = "avatars", "website"
"""In the database: of the migration, of the website."""
Statement = Mapping[str, Any]


def of_the_migration(spec: MigrationSpec) -> Sequence[Statement]:
    """Return the statements of its one user, who reads the source and writes the destination."""
    return [
        statement
        for part in _parts(spec)
        if part.form == "policy" and isinstance(part.content, Mapping)
        for statement in part.content["Statement"]
    ]


def of_the_public(spec: MigrationSpec) -> Sequence[Statement]:
    """Return the statements of everybody: a browser gets pictures."""
    keys = [f"arn:aws:s3:::{place.bucket}/{place.prefix}*" for place in (spec.source, spec.destination)]
    return [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": keys}]


def grants(spec: MigrationSpec) -> Sequence[str]:
    """Return the SQL that gives both roles what they need."""
    found = [str(line) for part in _parts(spec) if part.form == "sql" for line in part.content]
    return [*found, f"GRANT SELECT ON avatars TO {WEBSITE}"]


def _parts(spec: MigrationSpec) -> Sequence[Part]:
    return parts_of("S3Migration", spec, Owner("default", "avatars", ROLE))
