"""What keeps a wrong rule from doing harm: limits on a plan, and the approval of exactly one. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable

from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_jobs.retention.folders import Folder, Plan

Identity = tuple[str, str, int, int]
"""A folder as it was when a plan was made: path, newest object, objects, bytes."""


def identity(folder: Folder) -> Identity:
    """What must not have changed since a plan was approved; of a half-deleted folder, what it was when it was whole."""
    known = folder.whole
    return folder.path, known.newest.isoformat(), known.objects, known.bytes


def plan_hash(plan: Plan) -> str:
    """The same for two plans that remove the same folders in the same state."""
    return digest(identity(verdict.folder) for verdict in plan.verdicts if verdict.delete)


def digest(going: Iterable[Identity]) -> str:
    """The hash of a plan that removes these folders."""
    return hashlib.sha256(json.dumps(sorted(going)).encode()).hexdigest()


def exceeded(plan: Plan, spec: RetentionSpec, approved: Collection[Identity]) -> str:
    """Which guard a plan exceeds, in words; empty if none. What is approved has passed before.

    The percentage holds for all folders and for the deployments among them: a thousand empty folders are no reason to
    delete the last ten deployments.
    """
    going = [v.folder for v in plan.verdicts if v.delete and identity(v.folder) not in approved]
    if len(going) > spec.guards.max_delete_folders:
        most = f"guards.maxDeleteFolders is {spec.guards.max_delete_folders}"
        return f"{len(going)} of {plan.seen} folders would go, {most}"
    deployed = [folder for folder in going if folder.deployed]
    every = sum(verdict.folder.deployed for verdict in plan.verdicts)
    shares = ((len(going), plan.seen, "folders"), (len(deployed), every, "deployments"))
    return next(filter(None, (_percent(count, seen, what, spec) for count, seen, what in shares)), "")


def _percent(count: int, seen: int, what: str, spec: RetentionSpec) -> str:
    most = spec.guards.max_delete_percent
    if count * 100 <= most * seen:
        return ""
    return f"{count} of {seen} {what} would go ({count * 100 / seen:.3g} %), guards.maxDeletePercent is {most}"
