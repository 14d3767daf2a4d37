"""What every phase of S3Access works with: the user at its provider, the admin's S3 client, the mounted pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bucketops_api import names
from bucketops_api.contract import RunSpec
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access import minio_admin
from bucketops_jobs.access.aws_users import AwsUsers
from bucketops_jobs.access.delivery import Delivery
from bucketops_jobs.access.keys import Pair
from bucketops_jobs.access.minio_users import MinioUsers
from bucketops_jobs.access.users import Users
from bucketops_jobs.errors import UserError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.boto import control, session, session_as
from bucketops_jobs.s3.identity import secret
from bucketops_jobs.tally import Tally


@dataclass(frozen=True)
class Context:
    """One worker's tools."""

    run: RunSpec
    spec: AccessSpec
    root: Path
    users: Users
    s3: Any
    """As the admin."""
    pace: Pace
    tally: Tally

    def pair(self) -> Pair | None:
        """The pair that stands in the credentials Secret; None where it has none."""
        name = self.spec.credentials_secret.name
        return _pair(Delivery(self.run.namespace, name, self.root).delivered() or secret(self.root, name))

    def staged(self) -> Pair | None:
        """The pair that was made for a rotation."""
        return _pair(secret(self.root, names.staged_secret(self.run.run)))

    def given(self) -> bool:
        """Whether somebody else made the credentials Secret."""
        return names.SECRET_OWNER_KEY not in secret(self.root, self.spec.credentials_secret.name)

    def as_user(self, pair: Pair) -> Any:  # noqa: ANN401 - boto3 has no types
        """An S3 client of the user, who assumes no role."""
        ref = self.spec.admin.bucket(self.spec.grants[0].bucket).model_copy(update={"assume_role": None})
        return control(session_as(ref, pair.id, pair.secret), ref, self.root)


def build(run: RunSpec, root: Path, pace: Pace, tally: Tally) -> Context:
    """Open everything; UserError names what is missing."""
    spec = AccessSpec.model_validate(run.spec)
    ref = spec.admin.bucket(spec.grants[0].bucket)
    s3 = control(session(ref, root), ref, root)
    return Context(run, spec, root, _USERS[spec.provider](run, spec, root), s3, pace, tally)


def _minio(run: RunSpec, spec: AccessSpec, root: Path) -> Users:
    found = secret(root, spec.admin.credentials.secret_ref.name) if spec.admin.credentials else {}
    pair = _pair(found)
    if pair is None:
        raise UserError(Reason.CREDENTIALS_MISSING, f"admin.credentials: {names.ACCESS_KEY} is missing in the Secret")
    return MinioUsers(minio_admin.connect(spec.admin, root, pair), spec, run.namespace, run.name)


def _aws(run: RunSpec, spec: AccessSpec, root: Path) -> Users:
    iam = session(spec.admin.bucket(spec.grants[0].bucket), root).client("iam", endpoint_url=spec.admin.endpoint)
    delivery = Delivery(run.namespace, spec.credentials_secret.name, root)
    return AwsUsers(iam, spec, run.namespace, run.name, delivery)


_USERS: dict[str, Callable[[RunSpec, AccessSpec, Path], Users]] = {"MinIO": _minio, "AWS": _aws}


def _pair(found: dict[str, str]) -> Pair | None:
    key, value = found.get(names.ACCESS_KEY), found.get(names.SECRET_KEY)
    return Pair(key, value) if key and value else None
