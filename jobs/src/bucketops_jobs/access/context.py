"""What every phase of S3Access works with: the user at its provider, the admin's S3 client, the mounted pairs."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bucketops_api import names
from bucketops_api.contract import RunSpec
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access.delivery import Delivery
from bucketops_jobs.access.keys import Pair, pair_of
from bucketops_jobs.access.users import Users
from bucketops_jobs.errors import UserError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.boto import control, session, session_as
from bucketops_jobs.s3.identity import secret
from bucketops_jobs.tally import Tally

USERS: Mapping[str, str] = {
    "MinIO": "bucketops_jobs.access.minio_connect:users",
    "AWS": "bucketops_jobs.access.aws_connect:users",
}
"""A worker imports the libraries of its own provider alone."""


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
    users: Users = pkgutil.resolve_name(USERS[spec.provider])(run, spec, root)
    return Context(run, spec, root, users, s3, pace, tally)


def _shown(found: dict[str, str]) -> Pair | None:
    """The pair of the user that is made: the status names its key, so that is no secret."""
    pair = pair_of(found)
    MASK.publish([pair.id] if pair else [])
    return pair
