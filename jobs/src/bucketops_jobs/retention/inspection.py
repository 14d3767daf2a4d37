"""What must be known of a bucket before anything in it is deleted: the time there, versions, locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DeniedError, ItemError, UserError
from bucketops_jobs.retention.context import Context
from bucketops_jobs.s3 import clock


@dataclass(frozen=True)
class Inspection:
    """What a bucket says of itself."""

    now: datetime
    """The store's time, which is that of its objects' dates too."""
    versioning: str
    object_lock: str

    @property
    def frees_space(self) -> bool:
        """Whether an object that is deleted by its key alone takes its bytes along."""
        return self.versioning == "Off"

    def facts(self) -> Mapping[str, str]:
        """For `status.capabilities`."""
        return {"versioning": self.versioning, "objectLock": self.object_lock}


def inspect(context: Context) -> Inspection:
    """Look at the bucket; UserError where nothing may be deleted from it."""
    now = clock.agreed(context.store, context.spec.bucket.prefix)
    return Inspection(now, _versioning(context), _object_lock(context))


def _versioning(context: Context) -> str:
    store = context.store
    try:
        answer = store.call("get versioning", lambda: store.control.get_bucket_versioning(Bucket=store.bucket))
    except DeniedError as error:
        raise UserError(Reason.ACCESS_DENIED, f"{error}: allow s3:GetBucketVersioning on it") from error
    except ItemError:
        return "Off"  # the server knows no versions
    if answer.get("MFADelete") == "Enabled" and context.spec.versions == "All":
        raise UserError(
            Reason.REFUSED,
            f"{store.bucket} has MFA delete: no robot can remove versions from it; choose versions: Current and let a "
            "lifecycle rule (NoncurrentVersionExpiration) free the space",
        )
    return str(answer.get("Status") or "Off")


def _object_lock(context: Context) -> str:
    store = context.store
    try:
        answer = store.call("get lock", lambda: store.control.get_object_lock_configuration(Bucket=store.bucket))
    except DeniedError:
        return "Unknown"
    except ItemError:
        return "Off"
    return str(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") or "Off")
