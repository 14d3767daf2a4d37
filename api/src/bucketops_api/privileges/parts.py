"""Privileges as people take them: each part is a document for one program (`aws`, `mc`, `psql`, `kubectl`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Owner:
    """Whose privileges these are."""

    namespace: str
    name: str
    role: str = "bucketops"
    """In the database."""


@dataclass(frozen=True)
class Part:
    """What one identity needs: an S3 policy document, SQL statements, or Kubernetes objects."""

    name: str
    about: str
    form: Literal["policy", "sql", "rbac"]
    content: Mapping[str, Any] | tuple[str, ...] | tuple[Mapping[str, Any], ...]
