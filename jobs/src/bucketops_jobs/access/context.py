"""What every phase of S3Access works with: the user at its provider, the admin's S3 client, the mounted pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bucketops_api import names
from bucketops_api.contract import RunSpec
from bucketops_api.masking import MASK
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
from bucketops_jobs.s3.identity import ca_file, secret
from bucketops_jobs.tally import Tally

_REGION = "us-east-1"
"""Of IAM, which is one for all regions of a partition; STS is asked where nothing else is said."""


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

    @property
    def mark(self) -> str:
        """What a Secret must say before its pair is used, and shown to this server."""
        return names.secret_mark(self.run.kind, self.run.namespace, self.run.name, self.spec.admin.endpoint)

    def pair(self) -> Pair | None:
        """Return the pair in the credentials Secret; None where it has none. UserError if it is not for us."""
        name = self.spec.credentials_secret.name
        delivered = Delivery(self.run.namespace, name, self.root).delivered()
        found = secret(self.root, name)
        self.require_ours(name, found)
        return _shown(delivered or found)

    def staged(self) -> Pair | None:
        """Return the pair that was made for a rotation. UserError if its Secret is not for us."""
        name = names.staged_secret(self.run.run)
        found = secret(self.root, name)
        self.require_ours(name, found)
        return _shown(found)

    def require_ours(self, name: str, found: Mapping[str, str]) -> None:
        """Refuse a Secret that does not itself say that it is for this resource, on this server.

        Whoever writes a resource names Secrets and the server, and may be allowed to read neither.
        """
        if self.mark in (found.get(names.SECRET_MADE_KEY), found.get(names.SECRET_GIVEN_KEY)):
            return
        if not found:
            raise UserError(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} is empty or has just been deleted: delete it if it is there, and it is made anew",
            )
        raise UserError(
            Reason.REFUSED,
            f"Secret {name} does not say that it is for this resource and this server, so it is not used: add to it "
            f"the key {names.SECRET_GIVEN_KEY} with the value {self.mark!r}; or delete it, and one is made anew; or "
            "apply another resource that names another Secret",
        )

    def secret(self) -> str:
        """Return `Made` where the operator made the credentials Secret, `Given` where somebody else did; or nothing."""
        found = secret(self.root, self.spec.credentials_secret.name)
        if found.get(names.SECRET_MADE_KEY) == self.mark:
            return "Made"
        return "Given" if found.get(names.SECRET_GIVEN_KEY) == self.mark else ""

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
    ref = spec.admin.bucket(spec.grants[0].bucket)
    own = [ref.model_copy(update={"assume_role": None})] if ref.assume_role else []
    where = {"endpoint_url": ref.endpoint, "region_name": ref.region or _REGION}
    where |= {"verify": str(ca_file(ref.ca_bundle, root))} if ref.ca_bundle else {}
    identities = [session(each, root).client("sts", **where) for each in (ref, *own)]
    delivery = Delivery(run.namespace, spec.credentials_secret.name, root, run.secret_uid)
    iam = session(ref, root).client("iam", **where)
    return AwsUsers(iam, spec, run.namespace, run.name, delivery, identities=identities)


_USERS: dict[str, Callable[[RunSpec, AccessSpec, Path], Users]] = {"MinIO": _minio, "AWS": _aws}


def _shown(found: dict[str, str]) -> Pair | None:
    """The pair of the user that is made: the status names its key, so that is no secret."""
    pair = _pair(found)
    MASK.publish([pair.id] if pair else [])
    return pair


def _pair(found: dict[str, str]) -> Pair | None:
    key, value = found.get(names.ACCESS_KEY), found.get(names.SECRET_KEY)
    return Pair(key, value) if key and value else None
