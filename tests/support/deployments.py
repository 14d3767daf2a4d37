"""Folders as a listing would show them, for the rules of S3Retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_jobs.retention.folders import Folder, Plan

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def folder(path: str, days: float = 100, **changes: Any) -> Folder:
    """One whose objects are all so many days old."""
    when = NOW - timedelta(days=days)
    return Folder(**{"path": path, "objects": 3, "bytes": 30, "oldest": when, "newest": when} | changes)


def spec(**changes: Any) -> RetentionSpec:
    """As a user writes it; `keep`, `folders` … replace whole sections."""
    plain: dict[str, Any] = {"mode": "Apply", "bucket": {"bucket": "deployments"}, "delete": {"olderThan": "30d"}}
    return RetentionSpec.model_validate(plain | changes)


def gone(plan: Plan) -> set[str]:
    return {verdict.folder.path for verdict in plan.verdicts if verdict.delete}


def stay(plan: Plan) -> set[str]:
    return {verdict.folder.path for verdict in plan.kept}


def rules_of(plan: Plan, path: str) -> tuple[str, ...]:
    return next(verdict.rules for verdict in plan.verdicts if verdict.folder.path == path)
