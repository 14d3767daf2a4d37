"""A user on MinIO, by the admin API."""

from __future__ import annotations

from pathlib import Path

from bucketops_api import names
from bucketops_api.contract import RunSpec
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access import minio_admin
from bucketops_jobs.access.keys import pair_of
from bucketops_jobs.access.minio_users import MinioUsers
from bucketops_jobs.errors import UserError
from bucketops_jobs.s3.identity import secret


def users(run: RunSpec, spec: AccessSpec, root: Path) -> MinioUsers:
    """Return the user as the admin reaches it; UserError names what is missing."""
    found = secret(root, spec.admin.credentials.secret_ref.name) if spec.admin.credentials else {}
    pair = pair_of(found)
    if pair is None:
        raise UserError(Reason.CREDENTIALS_MISSING, f"admin.credentials: {names.ACCESS_KEY} is missing in the Secret")
    return MinioUsers(minio_admin.connect(spec.admin, root, pair), spec, run.namespace, run.name)
