"""What must be known of a bucket before anything in it is deleted: the time there, versions, locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DeniedError, ItemError, UnreachableError, UserError
from bucketops_jobs.retention.context import Context
from bucketops_jobs.retention.places import payer

MOST_SKEW = timedelta(minutes=5)
"""Between our clock and the store's: one of them is wrong, and so may be every age."""


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
    now = server_time(context)
    require_no_skew(now, datetime.now(UTC))
    return Inspection(now, _versioning(context), _object_lock(context))


def server_time(context: Context) -> datetime:
    """The store's clock, from the Date header of a listing: https://www.rfc-editor.org/rfc/rfc9110#field.date."""
    store, prefix = context.store, context.spec.bucket.prefix
    try:
        answer = store.call(
            f"list {prefix!r}",
            lambda: store.control.list_objects_v2(
                Bucket=store.bucket, Prefix=prefix, MaxKeys=1, **payer(context.spec.bucket)
            ),
        )
    except UnreachableError as error:
        raise UserError(Reason.ENDPOINT_UNREACHABLE, f"{error}: mend the endpoint, or start the server") from error
    except DeniedError as error:
        raise UserError(Reason.ACCESS_DENIED, f"{error}: allow s3:ListBucket on it") from error
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        raise UserError(
            Reason.CLOCK_SKEW,
            f"the store of {store.bucket} sends no Date header, so no age can be trusted and nothing is deleted: mend "
            "the proxy in between",
        )
    return parsedate_to_datetime(date)


def require_no_skew(there: datetime, here: datetime) -> None:
    """Refuse to judge ages by a clock that may be wrong."""
    if abs(there - here) > MOST_SKEW:
        raise UserError(
            Reason.CLOCK_SKEW,
            f"the store says {there.isoformat(timespec='seconds')}, this worker {here.isoformat(timespec='seconds')}: "
            "nothing is deleted; set the wrong clock (NTP), then set a new trigger",
        )


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
