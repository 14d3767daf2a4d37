"""What keeps a wrong rule from doing harm: limits on a plan, and the approval of exactly one. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection

from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_jobs.retention.folders import Folder, Plan

Identity = tuple[str, str, int, int]
"""A folder as it was when a plan was made: path, newest object, objects, bytes."""


def identity(folder: Folder) -> Identity:
    """What must not have changed since a plan was approved."""
    return folder.path, folder.newest.isoformat(), folder.objects, folder.bytes


def plan_hash(plan: Plan) -> str:
    """The same for two plans that remove the same folders in the same state."""
    going = sorted(identity(verdict.folder) for verdict in plan.verdicts if verdict.delete)
    return hashlib.sha256(json.dumps(going).encode()).hexdigest()


def exceeded(plan: Plan, spec: RetentionSpec, approved: Collection[Identity]) -> str:
    """Which guard a plan exceeds, in words; empty if none. What is approved, or begun, has passed before."""
    guards = spec.guards
    count = sum(v.delete and not v.folder.begun and identity(v.folder) not in approved for v in plan.verdicts)
    of = f"{count} of {plan.seen} folders would go"
    if count > guards.max_delete_folders:
        return f"{of}, guards.maxDeleteFolders is {guards.max_delete_folders}"
    if count * 100 > guards.max_delete_percent * plan.seen:
        return f"{of} ({count * 100 / plan.seen:.3g} %), guards.maxDeletePercent is {guards.max_delete_percent}"
    return ""
