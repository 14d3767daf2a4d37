"""Whether buckets are there, and whether two of them are one under two names."""

from __future__ import annotations

from bucketops_api.names import RECORDS_FOLDER
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DeniedError, UnreachableError, UserError
from bucketops_jobs.s3 import scratch
from bucketops_jobs.s3.store import Store

SCRATCH = f"{RECORDS_FOLDER}scratch/"
"""In the bucket itself, wherever the records lie."""


def require_listed(store: Store, prefix: str) -> None:
    """The bucket is there and may be listed; UserError says what to mend."""
    try:
        next(store.list_objects(prefix), None)
    except UnreachableError as error:
        raise UserError(Reason.ENDPOINT_UNREACHABLE, f"{error}: mend the endpoint, or start the server") from error


def require_apart(source: Store, source_prefix: str, destination: Store, destination_prefix: str) -> None:
    """Refuse overlapping prefixes of one bucket that goes by two endpoint names."""
    if one_place(source, destination) and (
        source_prefix.startswith(destination_prefix) or destination_prefix.startswith(source_prefix)
    ):
        raise UserError(
            Reason.OVERLAP,
            f"{source.bucket} is the same bucket under both endpoints, and the prefixes overlap: "
            "choose another destination",
        )


def one_place(source: Store, destination: Store) -> bool:
    """Whether both are the same bucket, whatever their endpoints are called."""
    with scratch.objects(destination, SCRATCH, 1) as name:
        try:
            destination.put(f"{name}-1", b"bucketops looks whether both buckets are one", {})
            return source.bucket == destination.bucket and source.head(f"{name}-1") is not None
        except DeniedError as error:
            raise UserError(
                Reason.ACCESS_DENIED, f"{error}: allow s3:GetObject and s3:PutObject on .bucketops/*"
            ) from error
