"""Whose time it is: ages are the difference of a store's dates and a clock, which had better agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DeniedError, UnreachableError, UserError
from bucketops_jobs.s3.client import S3Store

MOST_SKEW = timedelta(minutes=5)
"""Between our clock and the store's: one of them is wrong, and so may be every age. S3 itself takes 15 minutes.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
"""


def agreed(store: S3Store, prefix: str) -> datetime:
    """The store's time, which is that of its objects' dates too; UserError where ours is another one."""
    try:
        there = store.now(prefix)
    except UnreachableError as error:
        raise UserError(Reason.ENDPOINT_UNREACHABLE, f"{error}: mend the endpoint, or start the server") from error
    except DeniedError as error:
        raise UserError(Reason.ACCESS_DENIED, f"{error}: allow s3:ListBucket on it") from error
    if there is None:
        raise UserError(
            Reason.CLOCK_SKEW,
            f"the store of {store.bucket} sends no Date header, so no age can be trusted and nothing is deleted: mend "
            "the proxy in between",
        )
    require_no_skew(there, datetime.now(UTC))
    return there


def earliest(store: S3Store, prefix: str) -> datetime:
    """The time of the clock that is behind, ours or the store's (which tells whole seconds); UserError as `agreed`."""
    return min(agreed(store, prefix) + timedelta(seconds=1), datetime.now(UTC))


def require_no_skew(there: datetime, here: datetime) -> None:
    """Refuse to judge ages by a clock that may be wrong."""
    if abs(there - here) > MOST_SKEW:
        raise UserError(
            Reason.CLOCK_SKEW,
            f"the store says {there.isoformat(timespec='seconds')}, this worker {here.isoformat(timespec='seconds')}: "
            "nothing is deleted; set the wrong clock (NTP), then set a new trigger",
        )
